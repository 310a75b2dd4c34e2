"""Choices of each trial of a search: functions, decisions of the walk, hyperparameters, sizes.

A choice is made by some of the trials that could make it, its *scope*: for a decision of the walk the trials that
came to such a decision at all (a merge is `add` or `concat` only where something merges), for all else every trial.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from archioptrx.graphs.computation_graph import ComputationGraph

Mask = npt.NDArray[np.bool_]
Row = Mapping[str, Any]

SPOKEN = {
    "function": "from {place}: {label}",
    "maker": "{place} made by {label}",
    "merge": "merge at {place}: {label}",
    "iterations": "loop {place}: iterations {label}",
    "extra": "extra steps to {place}: {label}",
    "walk": "walk {place} is a {label}",
    "another": "another walk after {place}: {label}",
    "reuse": "{place} needed: {label}",
    "shortcut": "walk back to {place}: {label}",
    "parameter": "{place}: {label}",
    "source": "walk to {place} begins at {label}",
}
"""Texts of the kinds of decisions that mean the same in every trial. The others (`value`, `from`, `to`, `slot`) choose
among the values of one network by number."""
SIZES = {"executed": "executed steps", "rounds": "message rounds", "depth": "longest path"}
"""Sizes with clearer names for the reader, none of them also the name of a hyperparameter."""
LABELS = 5
"""Number of distinct values above which they are grouped into quarters."""


@dataclass(frozen=True)
class TrialChoice:
    """Choice, and the trials that made it.

    Attributes
    ----------
    group
        `function`, `decision`, `hyperparameter` or `size`.
    name
        Text of the choice: `from x: attend`, `hidden 32`.
    chosen_by, scope
        Masks of the trials that made it, and of those that could, [trials].
    """

    group: str
    name: str
    chosen_by: Mask
    scope: Mask


def choices_of(rows: Sequence[Row], proposals: Mapping[int, Row]) -> list[TrialChoice]:
    """Find all choices that some trials in their scope made and some didn't.

    Parameters
    ----------
    rows
        Trials.
    proposals
        Lines of `proposals.jsonl` by number.
    """
    lines = [proposals[row["proposal"]] for row in rows]
    choices = [
        *_functions(lines),
        *_decisions(rows),
        *_hyperparameters(rows),
        *_sizes(rows, [size_of(line) for line in lines]),
    ]
    return [choice for choice in choices if choice.chosen_by.any() and (choice.scope & ~choice.chosen_by).any()]


def size_of(line: Row) -> Mapping[str, int]:
    """Size of a proposal's network; computed from the graph for lines of old run folders."""
    size: Mapping[str, int] | None = line.get("size")
    return size if size is not None else ComputationGraph.from_dict(line["graph"]).size


def _functions(lines: Sequence[Row]) -> Iterable[TrialChoice]:
    counts = [Counter(step["function"] for step in line["graph"]["steps"]) for line in lines]
    everywhere = np.ones(len(lines), dtype=bool)
    for name in sorted({name for count in counts for name in count}):
        often = np.array([count[name] for count in counts])
        yield TrialChoice("function", name, often > 0, everywhere)
        yield TrialChoice("function", f"{name}, twice or more", often > 1, everywhere)


def _decisions(rows: Sequence[Row]) -> Iterable[TrialChoice]:
    points: dict[tuple[str, str], dict[int, set[str]]] = {}  # labels by trial
    for index, row in enumerate(rows):
        for kind, place, label in row["trace"]["decisions"]:
            if kind in SPOKEN:
                points.setdefault((kind, place), {}).setdefault(index, set()).add(label)
    for (kind, place), taken in sorted(points.items()):
        shown = str(int(place) + 1) if kind in ("iterations", "walk") else place
        scope = _mask(len(rows), taken)
        for label, takes in _labels({label for labels in taken.values() for label in labels}):
            chosen = _mask(len(rows), (i for i, labels in taken.items() if any(map(takes, labels))))
            yield TrialChoice("decision", SPOKEN[kind].format(place=shown, label=label), chosen, scope)


def _hyperparameters(rows: Sequence[Row]) -> Iterable[TrialChoice]:
    for name in sorted({name for row in rows for name in row["hyperparameters"]}):
        values = [row["hyperparameters"].get(name) for row in rows]
        scope = np.array([value is not None for value in values])
        for label, takes in _labels({value for value in values if value is not None}):
            chosen = np.array([value is not None and takes(value) for value in values])
            yield TrialChoice("hyperparameter", f"{name} {label}", chosen, scope)


def _sizes(rows: Sequence[Row], sizes: Sequence[Mapping[str, int]]) -> Iterable[TrialChoice]:
    sizes_by_trial: list[dict[str, Any]] = [
        {**{SIZES.get(key, key): number for key, number in size.items()}, "parameters": row["parameters"]}
        for row, size in zip(rows, sizes, strict=True)
    ]
    for name in sizes_by_trial[0] if sizes_by_trial else ():
        values = [trial_sizes[name] for trial_sizes in sizes_by_trial]
        scope = np.array([value is not None for value in values])
        for label, takes in _labels({value for value in values if value is not None}, values):
            chosen = np.array([value is not None and takes(value) for value in values])
            yield TrialChoice("size", f"{name} {label}", chosen, scope)


def _mask(count: int, members: Iterable[int]) -> Mask:
    mask = np.zeros(count, dtype=bool)
    mask[list(members)] = True
    return mask


def _labels(values: set[Any], weighted: Sequence[Any] | None = None) -> list[tuple[str, Callable[[Any], bool]]]:
    """Labels of the values, or of quarters where there are many numbers; with a test whether a value belongs to it.

    Parameters
    ----------
    weighted
        Values as often as they occur, for quarters of equally many trials; else the distinct values are divided.
    """
    numbers = [_number(value) for value in values]
    if len(values) <= LABELS or any(number is None for number in numbers):
        ordered = sorted(values, key=lambda value: (_number(value) is None, _number(value) or 0.0, str(value)))
        return [(_text(value), partial(_same, value)) for value in ordered]
    counted = [number for value in weighted or values if (number := _number(value)) is not None]
    edges = sorted({float(np.quantile(counted, share, method="lower")) for share in (0.25, 0.5, 0.75)})
    bounds = [-np.inf, *edges, np.inf]
    result: list[tuple[str, Callable[[Any], bool]]] = []
    for low, high in pairwise(bounds):
        inside = sorted({n for n in numbers if n is not None and low < n <= high})
        if inside:
            text = _text(inside[0]) if len(inside) == 1 else f"{_text(inside[0])}–{_text(inside[-1])}"
            result.append((text, partial(_within, low, high)))
    return result


def _same(expected: Any, value: Any) -> bool:
    return bool(value == expected)


def _within(low: float, high: float, value: Any) -> bool:
    return low < (_number(value) or 0.0) <= high


def _number(value: Any) -> float | None:
    """Number of a value or of a label; None: it is no finite number."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    number = _number(value)
    if number is None:
        return str(value)
    return f"{number:,.0f}" if number == int(number) else f"{number:.3g}"
