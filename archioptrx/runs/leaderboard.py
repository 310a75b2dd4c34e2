"""Ranking of the trials of a search, from their rows: the best trial, and the Pareto front of several goals.

A trial *dominates* another one if it is at least as good in every goal and better in at least one. The *Pareto front*
holds the trials that no other trial dominates; front n + 1 is the Pareto front of what remains without fronts 1 … n
(non-dominated sorting: Deb et al. 2002, NSGA-II, IEEE Trans. Evol. Comput. 6, 182). All scores count as "larger is
better": goals that are minimised are stored as their negatives.

The front is always computed from the rows of `trials.jsonl` and never written to disk. So it is complete after a crash,
and no second file can contradict the rows.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.sampling.samplers.ranking import Score, dominates, fronts, order

Row = Mapping[str, Any]


def score_of(row: Row) -> Score:
    """Score of an ended trial, or of an epoch's message; None: it has none."""
    if row["score"] is None:
        return None
    scores = row.get("scores")
    return tuple(scores) if scores else float(row["score"])


def epochs_compared(row: Row, whole: int) -> int:
    """Epochs by which samplers compare a trial: a trial that was stopped counts its own, one that ended the whole ones.

    So a trial that ended early by its patience, or had fewer epochs by a hyperparameter, is compared by its score with
    all others that ended, and isn't taken for one that was stopped because it was bad.

    Parameters
    ----------
    whole
        Largest number of epochs that a trial of the search may have.
    """
    # A trial that failed in its first epoch counts one: no score after 0 epochs means that it was refused.
    least = whole if row["status"] == "finished" else 1
    return max(least, int(row["epochs"]))


def curve_of(row: Row) -> list[Score]:
    """Score after each epoch, as the scheduler received it; None for an epoch without one."""
    if row.get("curves"):
        return [None if scores is None else tuple(scores) for scores in row["curves"]]
    return list(row["curve"])


def ranked(rows: Sequence[Any]) -> list[Any]:
    """Rows, best first; failed trials last; of equal trials the earlier one first.

    With several goals they are ordered by front, and within a front by crowding distance, the larger one first (Deb et
    al. 2002, NSGA-II). Both ends of a front have an infinite crowding distance; of these the trial that is best in the
    first goal comes first. A pruned trial counts with its score: the score is that of its best epoch, so further
    epochs could only raise it.
    """
    # `order` is stable: the order by first goal and proposal decides between trials that it can't tell apart.
    by_first = sorted(rows, key=lambda row: (row["score"] is None, -(row["score"] or 0.0), row["proposal"]))
    return [by_first[i] for i in order([(score_of(row), 1) for row in by_first])]


def front_numbers(rows: Sequence[Row]) -> dict[int, int]:
    """Number of the front by proposal, 1 for the Pareto front; empty where there is a single goal."""
    scored = [row for row in rows if row.get("scores")]
    members_of_fronts = fronts([row["scores"] for row in scored])
    return {scored[i]["proposal"]: number for number, members in enumerate(members_of_fronts, 1) for i in members}


def pareto_front(rows: Sequence[Any]) -> list[Any]:
    """Rows that no other row dominates, best in the first goal first; empty where there is a single goal."""
    numbers = front_numbers(rows)
    return sorted((row for row in rows if numbers.get(row["proposal"]) == 1), key=lambda row: -row["score"])


class Front:
    """Pareto front of the trials that have ended so far: only its scores.

    Invariant: no score in `scores` dominates another one.
    """

    def __init__(self) -> None:
        self.scores: list[tuple[float, ...]] = []

    def add(self, row: Row) -> None:
        """Add an ended trial; equal scores are all kept, for neither dominates the other."""
        scores = tuple(row.get("scores") or ())
        if scores and not any(dominates(other, scores) for other in self.scores):
            self.scores = [other for other in self.scores if not dominates(scores, other)] + [scores]

    def remove(self, row: Row) -> None:
        """Leave out a trial that goes on; those that it dominated stay out, since its scores hardly get worse."""
        scores = tuple(row.get("scores") or ())
        if scores in self.scores:
            self.scores.remove(scores)


def worth_training_again(rows: Sequence[Any]) -> list[Any]:
    """Rows with a score, best first; with several goals only those in the better half by the first goal.

    The ends of a front come first by their crowding distance, and one of them is often a tiny network that finds
    nothing. The median is a matter of ranks, so that the scales of the metrics have no influence.
    """
    scored = [row for row in ranked(rows) if row["score"] is not None]
    if not any(row.get("scores") for row in scored):
        return scored
    middle = statistics.median(row["score"] for row in scored)
    return [row for row in scored if row["score"] >= middle]
