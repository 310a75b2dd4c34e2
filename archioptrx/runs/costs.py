"""Cost of the trials of a search: seconds by status, use of the workers, seconds saved by pruning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
PAUSE = 60.0
"""Seconds in which no trial runs that count as a pause: the search was stopped and resumed."""


@dataclass(frozen=True)
class Spent:
    """Seconds of some trials.

    Attributes
    ----------
    trials, epochs
        Number of trials, and of their epochs in all.
    train, rest
        Seconds of training with validation; and of all else in the worker: building the network, measuring, reports.
    """

    trials: int
    epochs: int
    train: float
    rest: float

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.train + self.rest

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Spent:
        """Sum over ended trials."""
        train = sum(row["train_seconds"] for row in rows)
        other = sum(row["seconds"] for row in rows) - train
        return cls(len(rows), sum(row["epochs"] for row in rows), train, max(0.0, other))


@dataclass(frozen=True)
class Span:
    """A trial in the time of a search.

    Attributes
    ----------
    row
        Row of `trials.jsonl`.
    lane
        A worker's number: the first that was free when the trial began. Which one it really was is not recorded.
    start, end
        Seconds since the first trial began, without pauses.
    """

    row: Row
    lane: int
    start: float
    end: float


@dataclass(frozen=True)
class Schedule:
    """The trials of a search in time.

    Attributes
    ----------
    spans
        Trials in the order of their start.
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
        """Seconds of all trials, as the search saw them."""
        return sum(span.end - span.start for span in self.spans)


def schedule_of(rows: Sequence[Row]) -> Schedule:
    """Trials in time, each in a lane where none overlaps another."""
    spans: list[Span] = []
    free: list[float] = []  # when each lane becomes free
    paused, first = 0.0, min((row["started"] for row in rows), default=0.0)
    latest = first
    for row in sorted(rows, key=lambda row: (row["started"], row["proposal"])):
        if row["started"] - latest > PAUSE:
            paused += row["started"] - latest
        start, end = row["started"] - first - paused, row["ended"] - first - paused
        lane = next((n for n, time in enumerate(free) if time <= start + 1e-6), len(free))
        free[lane : lane + 1] = [end]
        spans.append(Span(row, lane, start, end))
        latest = max(latest, row["ended"])
    return Schedule(spans, max((span.end for span in spans), default=0.0), paused)


def saved_by_pruning(rows: Sequence[Row], planned: Mapping[int, int]) -> float:
    """Seconds that pruned trials would have trained on, each epoch that is missing at the mean of its own epochs.

    Parameters
    ----------
    planned
        Epochs of a whole trial, by proposal.
    """
    pruned = [row for row in rows if row["status"] == "pruned" and row["epochs"]]
    missing = [(row, planned[row["proposal"]] - row["epochs"]) for row in pruned]
    return float(sum(row["train_seconds"] / row["epochs"] * left for row, left in missing if left > 0))


def running(spans: Sequence[Span], wall: float, bins: int) -> list[float]:
    """Mean number of trials that run in each of some equal parts of the wall time."""
    width = wall / bins
    total = [0.0] * bins
    for span in spans:
        first, last = int(span.start / width), min(bins - 1, int(span.end / width))
        for part in range(first, last + 1):
            total[part] += max(0.0, min(span.end, (part + 1) * width) - max(span.start, part * width))
    return [seconds / width for seconds in total]
