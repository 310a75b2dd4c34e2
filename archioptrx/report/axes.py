"""Axes of scores: the values, and their distance to 1 on a log axis, which separates 0.9990 from 0.9999."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from archioptrx.report.page import View
from archioptrx.training.objective import Goal

Values = Sequence[float | None]
NEAR = 0.95
"""Share above which the page first shows the distance to 1 instead of the share itself."""

MOST_DECADES = 3
"""Decades of a log axis above which only powers of ten have a tick."""
POWERS_OF_TEN = {"type": "log", "exponentformat": "power", "dtick": 1}
"""A log axis with a tick at each."""


def name_and_sign(goal: Goal) -> tuple[str, float]:
    """Name of a score on the page, and the sign that turns the stored score into that value.

    A goal to be minimised is stored as its negative (every sampler maximises); readers see the loss itself.

    >>> name_and_sign(Goal("auc")), name_and_sign(Goal("loss", "min"))
    (('auc', 1.0), ('loss', -1.0))
    """
    turned = goal.price is None and goal.mode == "min"
    return (goal.metric, -1.0) if turned else (goal.label, 1.0)


def is_share(goal: Goal, values: Values) -> bool:
    """Whether 1 is the best possible value: the goal has no price, is maximised, and all values are in [0, 1]."""
    known = [value for value in values if value is not None]
    return goal.price is None and goal.mode == "max" and bool(known) and min(known) >= 0 and max(known) <= 1


def missing_to_one(values: Values) -> list[float | None]:
    """Distances 1 - value. A log axis has no 0: for a value of 1 it is half of the smallest other distance.

    >>> missing_to_one([0.75, 1.0, None])
    [0.25, 0.125, None]
    """
    errors = [None if value is None else 1 - value for value in values]
    least = min((error for error in errors if error), default=1.0)
    return [None if error is None else float(f"{error or least / 2:.5g}") for error in errors]


def log_axis(values: Values, title: str) -> dict[str, Any]:
    """Logarithmic axis with ticks at 1, 2, 5, 10 …, over many decades at the powers of ten.

    If fewer than two of these lie among the values, as between 0.52 and 0.65, ticks have equal distances.

    >>> log_axis([30.0, 300.0], "time")["ticktext"], log_axis([0.52, 0.65], "loss")["ticktext"]
    (['20', '50', '100', '200', '500'], ['0.52', '0.54', '0.56', '0.58', '0.6', '0.62', '0.64', '0.66'])
    """
    known = [value for value in values if value is not None and value > 0] or [1.0]
    low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    steps = (1, 2, 5) if high - low <= MOST_DECADES else (1,)
    ticks = [float(f"{step}e{power}") for power in range(low - 1, high + 2) for step in steps]
    inside = [i for i, tick in enumerate(ticks) if min(known) <= tick <= max(known)]
    if len(inside) < 2 and max(known) > (1 + 1e-9) * min(known):
        ticks = _even(min(known), max(known))
    else:
        # One tick more on either side: the axis reaches a little beyond the values.
        first, last = (inside[0], inside[-1]) if inside else (len(steps), len(steps))
        ticks = ticks[max(0, first - 1) : last + 2]
    text = [f"{tick:,.0f}" if tick == int(tick) else np.format_float_positional(tick) for tick in ticks]
    return {"type": "log", "title": {"text": title}, "tickvals": ticks, "ticktext": text}


def _even(low: float, high: float) -> list[float]:
    """Five to eleven round numbers that enclose two values."""
    step = 10.0 ** math.floor(math.log10(high - low))
    step /= 5 if high - low < 2 * step else 2 if high - low < 5 * step else 1
    ticks = [float(f"{number * step:.12g}") for number in range(math.floor(low / step), math.ceil(high / step) + 1)]
    return [tick for tick in ticks if tick > 0]


def score_views(goal: Goal, label: str, traces: Sequence[Values]) -> list[View]:
    """Switch between scores and their distance to 1; empty where 1 isn't their bound.

    Parameters
    ----------
    label
        Name of the score.
    traces
        Values of the first traces of a figure; further traces stay as they are.
    """
    all_values = [value for values in traces for value in values]
    if not is_share(goal, all_values):
        return []
    lacking = distance_view("Scale", label, traces, ", log")
    plain = View("Scale", label)
    best = max(value for value in all_values if value is not None)
    return [lacking, plain] if best > NEAR else [plain, lacking]


def distance_view(group: str, label: str, traces: Sequence[Values], scale: str = "") -> View:
    """View of the distances of scores to 1, where better is up; `scale`: what the switch says after `1 − label`."""
    distances = missing_to_one([value for values in traces for value in values])
    axis = {"autorange": "reversed", **log_axis(distances, f"1 − {label} (log; better is up)")}
    errors = iter(distances)
    turned = [{"y": [next(errors) for _ in values]} for values in traces]
    return View(group, f"1 − {label}{scale}", turned, {"yaxis": axis})


def time_unit(longest: float) -> tuple[float, str]:
    """Seconds and name of a unit for an axis of times up to `longest` seconds.

    >>> time_unit(100), time_unit(1000), time_unit(10_000)
    ((1.0, 'seconds'), (60.0, 'minutes'), (3600.0, 'hours'))
    """
    return (3600.0, "hours") if longest >= 7200 else (60.0, "minutes") if longest >= 180 else (1.0, "seconds")
