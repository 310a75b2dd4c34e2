"""Cost of the trials of a search: seconds by status, use of the workers, seconds saved by pruning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
PAUSE = 60.0
"""Seconds without a running trial from which a gap counts as a pause: the search was stopped and resumed."""


@dataclass(frozen=True)
class Spent:
    """Seconds that trials took.

    Attributes
    ----------
    trials, epochs
        Number of trials, and of their epochs in all.
    train, rest
        Seconds of training with validation, and of all other work: building the network, measuring it, reports.
    """

    trials: int
    epochs: int
    train: float
    rest: float

    @property
    def seconds(self) -> float:
        """Seconds in all."""
        return self.train + self.rest

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Spent:
        """Sum over ended trials."""
        train = sum(row["train_seconds"] for row in rows)
        other = sum(row["seconds"] for row in rows) - train
        return cls(len(rows), sum(row["epochs"] for row in rows), train, max(0.0, other))


@dataclass(frozen=True)
class Span:
    """Time span of a trial in a search.

    Attributes
    ----------
    row
        Row of `trials.jsonl`.
    lane
        Number of the first lane that was free when the trial began; the real worker isn't recorded.
    start, end
        Seconds since the first trial began, without pauses.
    """

    row: Row
    lane: int
    start: float
    end: float


@dataclass(frozen=True)
class Schedule:
    """Time spans of all trials of a search.

    Attributes
    ----------
    spans
        Trials in the order of their start; one that had paused has a span for each of its parts.
    wall
        Seconds from the first start to the last end, without pauses.
    paused
        Seconds of all pauses.
    """

    spans: Sequence[Span]
    wall: float
    paused: float

    @property
    def busy(self) -> float:
        """Sum of the durations of all trials, in seconds, by the clock of the search."""
        return sum(span.end - span.start for span in self.spans)


def schedule_of(rows: Sequence[Row]) -> Schedule:
    """Assign each trial to the first free lane, so that trials in a lane don't overlap; remove pauses."""
    spans: list[Span] = []
    free: list[float] = []  # when each lane becomes free
    paused, first = 0.0, min((row["started"] for row in rows), default=0.0)
    latest = first
    parts = ((*part, row) for row in rows for part in row.get("parts") or [(row["started"], row["ended"])])
    for started, ended, row in sorted(parts, key=lambda part: (part[0], part[2]["proposal"])):
        if started - latest > PAUSE:
            paused += started - latest
        start, end = started - first - paused, ended - first - paused
        lane = next((n for n, time in enumerate(free) if time <= start + 1e-6), len(free))
        free[lane : lane + 1] = [end]
        spans.append(Span(row, lane, start, end))
        latest = max(latest, ended)
    return Schedule(spans, max((span.end for span in spans), default=0.0), paused)


def saved_by_pruning(rows: Sequence[Row], planned: Mapping[int, int]) -> float:
    """Estimate of the seconds that pruning saved: missing epochs of a trial cost the mean of its own epochs.

    Parameters
    ----------
    planned
        Epochs of a whole trial, by proposal.
    """
    pruned = [row for row in rows if row["status"] == "pruned" and row["epochs"]]
    missing = [(row, planned[row["proposal"]] - row["epochs"]) for row in pruned]
    return float(sum(row["train_seconds"] / row["epochs"] * left for row, left in missing if left > 0))


def running(spans: Sequence[Span], wall: float, bins: int) -> list[float]:
    """Mean number of running trials in each of `bins` equal parts of the wall time."""
    width = wall / bins
    total = [0.0] * bins
    for span in spans:
        first, last = int(span.start / width), min(bins - 1, int(span.end / width))
        for part in range(first, last + 1):
            total[part] += max(0.0, min(span.end, (part + 1) * width) - max(span.start, part * width))
    return [seconds / width for seconds in total]
