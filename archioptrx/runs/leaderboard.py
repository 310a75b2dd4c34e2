"""Standings of the trials of a search, from their rows: who is best, and the Pareto front of several goals.

The front is always derived from the rows of `trials.jsonl` and never written: so a run folder that a crash left has
the front of all trials that had ended, and nothing can disagree with it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.sampling.samplers.ranking import Score, dominates, fronts, order

Row = Mapping[str, Any]
Numbers = float | tuple[float, ...]
"""A score; one number of each goal where there are several. Larger is better."""


def numbers_of(row: Row) -> Numbers:
    """The score of a row that has one, or of an epoch's message."""
    scores = row.get("scores")
    return tuple(scores) if scores else float(row["score"])


def score_of(row: Row) -> Score:
    """What a sampler is told of an ended trial; None: it failed."""
    return None if row["score"] is None else numbers_of(row)


def curve_of(row: Row) -> list[Numbers]:
    """The score after each epoch, as a scheduler was told it."""
    return [tuple(scores) for scores in row["curves"]] if row.get("curves") else list(row["curve"])


def ranked(rows: Sequence[Any]) -> list[Any]:
    """Rows, best first; failed ones last, else the earlier one first where nothing tells two apart.

    With several goals by front and then by crowding (Deb et al. 2002, NSGA-II); of the ends of a front, whose
    crowding is infinite, the one that is best in the first goal leads. A pruned trial stands by its score: with more
    epochs it could only be better.
    """
    by_first = sorted(rows, key=lambda row: (row["score"] is None, -(row["score"] or 0.0), row["proposal"]))
    return [by_first[i] for i in order([(score_of(row), 1) for row in by_first])]


def front_numbers(rows: Sequence[Row]) -> dict[int, int]:
    """By proposal the number of its front, 1 for the Pareto front; empty where there is one goal."""
    scored = [row for row in rows if row.get("scores")]
    members_of_fronts = fronts([row["scores"] for row in scored])
    return {scored[i]["proposal"]: number for number, members in enumerate(members_of_fronts, 1) for i in members}


def pareto_front(rows: Sequence[Any]) -> list[Any]:
    """The rows that no other one dominates, best in the first goal first; empty where there is one goal."""
    numbers = front_numbers(rows)
    return sorted((row for row in rows if numbers.get(row["proposal"]) == 1), key=lambda row: -row["score"])


class Front:
    """The Pareto front while trials end: only its scores."""

    def __init__(self) -> None:
        self.scores: list[tuple[float, ...]] = []

    def add(self, row: Row) -> None:
        """Take in an ended trial; equal scores are all kept."""
        scores = tuple(row.get("scores") or ())
        if scores and not any(dominates(other, scores) for other in self.scores):
            self.scores = [other for other in self.scores if not dominates(scores, other)] + [scores]


def worth_training_again(rows: Sequence[Any]) -> list[Any]:
    """Rows that have a score, best first; with several goals only those in the better half by the first one.

    The ends of a front lead by their crowding, and one of them is often a network that costs nothing and can do
    nothing. Ranks decide, so that no scale of any metric matters.
    """
    scored = [row for row in ranked(rows) if row["score"] is not None]
    if not any(row.get("scores") for row in scored):
        return scored
    middle = statistics.median(row["score"] for row in scored)
    return [row for row in scored if row["score"] >= middle]
