"""Objective of a search: one metric, a metric set against a cost, or several of these. Torch- and ray-free."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archioptrx.core.config import Fields
from archioptrx.tasks.metrics import defined
from archioptrx.tasks.options import ObjectiveMetrics

EDGE = 1e-9
"""Least distance of a share from 0 and 1 in a logit, which so stays finite."""
PER_DOUBLING = 0.2
"""Default price of a doubled cost: it has to divide the error by e^0.2, which makes it 18 % smaller."""


@dataclass(frozen=True)
class CostMetric:
    """A metric of a network's cost, which the worker measures.

    Attributes
    ----------
    header
        Head of its column in tables, with the unit.
    smallest
        Least value in its logarithm: smaller values count as this.
    """

    header: str
    smallest: float


COSTS = {
    "parameters": CostMetric("parameters", 1.0),
    "seconds_per_epoch": CostMetric("s/epoch", 1e-6),
    "latency": CostMetric("latency ms", 1e-6),
}
"""Trained numbers; seconds of training and validation, mean of the epochs so far; milliseconds of one forward pass."""


@dataclass(frozen=True)
class Price:
    """A cost against which a metric is set: each doubling of the cost takes `per_doubling` from the metric's logit."""

    metric: str
    per_doubling: float = PER_DOUBLING


@dataclass(frozen=True)
class Goal:
    """A metric that should be large (`max`) or small (`min`).

    With a price the score is logit(metric) - per_doubling * log2(cost). On this scale saturating scores differ: near 1
    it is the logarithm of how small the error is, so that twice the cost pays if it divides the error by more than
    e^per_doubling. MnasNet (Tan et al. 2019, arXiv:1807.11626, equation 2) has the product form for accuracies.
    """

    metric: str
    mode: str = "max"
    price: Price | None = None

    def value(self, metrics: Mapping[str, Any]) -> float | None:
        """Larger is better; None where a number is missing or not finite, or no share though it has a price."""
        value = defined(metrics.get(self.metric))
        if value is None:
            return None
        sign = 1.0 if self.mode == "max" else -1.0
        if self.price is None:
            return sign * value
        cost = defined(metrics.get(self.price.metric))
        if cost is None or not 0 <= value <= 1:
            return None
        share = min(max(value, EDGE), 1 - EDGE)
        cost = max(cost, COSTS[self.price.metric].smallest)
        return sign * math.log(share / (1 - share)) - self.price.per_doubling * math.log2(cost)

    @property
    def label(self) -> str:
        """Name of the score: the metric, turned so that larger is better."""
        if self.price is not None:
            return "score"
        return self.metric if self.mode == "max" else f"-{self.metric}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it needs."""
        return (self.metric,) if self.price is None else (self.metric, self.price.metric)

    def __str__(self) -> str:
        text = f"{self.metric} {'up' if self.mode == 'max' else 'down'}"
        if self.price is None:
            return text
        return f"{text}, less {self.price.per_doubling:g} for each doubling of {self.price.metric}"

    def to_plain(self) -> dict[str, Any]:
        """Plain data for YAML."""
        plain: dict[str, Any] = {"metric": self.metric, "mode": self.mode}
        if self.price is not None:
            plain["cost"] = {"metric": self.price.metric, "per_doubling": self.price.per_doubling}
        return plain


@dataclass(frozen=True)
class Objective:
    """One goal, or several whose Pareto front is searched. The first chooses the epoch of a trial that counts."""

    goals: tuple[Goal, ...]

    @property
    def first(self) -> Goal:
        """The goal that chooses epochs and the winner."""
        return self.goals[0]

    @property
    def several(self) -> bool:
        """Whether there is a Pareto front."""
        return len(self.goals) > 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics that are needed, each once, in order."""
        return tuple(dict.fromkeys(name for goal in self.goals for name in goal.metrics))

    def scores(self, metrics: Mapping[str, Any]) -> tuple[float, ...] | None:
        """One number of each goal, larger is better; None where one is undefined: then an epoch has no score."""
        scores = [goal.value(metrics) for goal in self.goals]
        numbers = tuple(value for value in scores if value is not None)
        return numbers if len(numbers) == len(scores) else None

    def missing(self, metrics: Mapping[str, Any], epochs: int) -> str:
        """Reason why a training has no score: in none of so many epochs it had one; `metrics` are those of the last."""
        without = [goal for goal in self.goals if goal.value(metrics) is None]
        undefined = (name for goal in without for name in goal.metrics)
        names = [name for name in dict.fromkeys(undefined) if defined(metrics.get(name)) is None]
        verb = "is" if len(names) == 1 else "are"
        reasons = [f"the validation {' and '.join(names)} {verb} undefined"] if names else []
        for goal in without:
            value = defined(metrics.get(goal.metric))
            if goal.price is not None and value is not None and not 0 <= value <= 1:
                reasons.append(f"{goal.metric} is {value:g}; allowed with a cost: a share, 0 to 1")
        count = "1 epoch" if epochs == 1 else f"{epochs} epochs"
        return f"no score after {count}: {', '.join(reasons)}"

    def __str__(self) -> str:
        return ", ".join(map(str, self.goals))

    def to_plain(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Plain data: a mapping of one goal, a list of several."""
        goals = [goal.to_plain() for goal in self.goals]
        return goals if self.several else goals[0]

    @classmethod
    def read(cls, top: Fields, known: ObjectiveMetrics) -> Objective:
        """Take and check the key `objective`: a metric's name, a mapping, or a list of these.

        Parameters
        ----------
        known
            Metrics of the task, the first is the default. Without any the task is unknown, and metrics aren't checked.
        """
        written = top.take("objective", (dict, list, str), {})
        if isinstance(written, list) and not written:
            top.fault("objective", "is an empty list; allowed: at least one metric")
        several = isinstance(written, list)
        places = [f"objective[{index}]" for index in range(len(written))] if several else ["objective"]
        goals = [
            _read_goal(goal_written, top.at(place), top.faults, known)
            for goal_written, place in zip(written if several else [written], places, strict=True)
        ]
        for index, (goal, place) in enumerate(zip(goals, places, strict=True)):
            if goal.metric and goal.metric in [earlier.metric for earlier in goals[:index]]:
                top.fault(f"{place}.metric", f"{goal.metric} stands twice; allowed: each metric once")
        if goals and goals[0].metric in COSTS:
            allowed = f"first a metric of the task, which chooses epochs and the winner: {', '.join(known.all)}"
            top.fault(f"{places[0]}.metric", f"{goals[0].metric} is a cost; allowed: {allowed}")
        return cls(tuple(goals))


def _read_goal(written: object, place: str, faults: list[str], task: ObjectiveMetrics) -> Goal:
    inside = Fields({"metric": written} if isinstance(written, str) else written, place, faults)
    known = (*task.all, *COSTS) if task.all else None
    usual = task.all[0] if task.all and inside.content.get("metric") is None else ""
    metric = inside.take("metric", (str, type(None)), None, choices=known) or usual
    mode = inside.take("mode", str, "min" if metric in (*task.losses, *COSTS) else "max", choices=("max", "min"))
    price = None
    if inside.take("cost", (dict, str, type(None)), None) is not None:
        price = _read_price(inside)
        if known and metric and metric not in task.shares:
            inside.fault("cost", f"{metric} is no share of 1, and has no logit; allowed with: {', '.join(task.shares)}")
    inside.rest()
    return Goal(metric, mode, price)


def _read_price(goal: Fields) -> Price:
    written = goal.content["cost"]
    inside = Fields({"metric": written} if isinstance(written, str) else written, goal.at("cost"), goal.faults)
    price = Price(
        inside.take("metric", str, "seconds_per_epoch", choices=COSTS),
        inside.take("per_doubling", float, PER_DOUBLING, minimum=1e-6),
    )
    inside.rest()
    return price


def value_text(metric: str, value: float | None) -> str:
    """A metric's value in a table: five decimals, a cost three digits, parameters all of them.

    >>> value_text("auc", 0.99), value_text("parameters", 1234), value_text("auc", None)
    ('0.99000', '1,234', '–')
    >>> [value_text("latency", number) for number in (0.56, 12.345, 1234.5)]
    ['0.560', '12.3', '1,234']
    """
    if value is None:
        return "–"
    if metric in COSTS:
        return f"{value:,.0f}" if metric == "parameters" or value >= 100 else f"{value:#.3g}"
    return f"{value:.5f}"


def header(metric: str) -> str:
    """A metric's name over a column, with its unit."""
    return COSTS[metric].header if metric in COSTS else metric
