"""Pruning of trials: the same rule in every backend, which also takes the trials from before a resume."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from archioptrx.runs.experiment_sections import Scheduler
from archioptrx.sampling.samplers.ranking import Score, order


class Fifo:
    """Never prunes."""

    def prunes(self, trial: int, epoch: int, score: Score) -> bool:
        """Decide whether the trial stops after this epoch (counted from 1); `score`: larger is better, None: none."""
        return False

    def remember(self, trial: int, curve: Sequence[Score]) -> None:
        """Add the scores of a trial from before a resume, one per epoch."""


class Asha(Fifo):
    """Asynchronous successive halving (ASHA), in the form that stops trials (Li et al. 2018, arXiv:1810.05934).

    Rung k is at epoch `grace * factor**k`. A trial that reaches a rung continues if its best score so far is among the
    best ceil(n / factor) of the n trials that have reached this rung by now; otherwise it is pruned. Nothing waits for
    other trials: the first trial of a rung always continues, and an early decision isn't revised when better trials
    come later. Ray's own ASHA uses the same rule, but forgets the rungs when a search is resumed, and works with Ray
    only.

    With several goals the best of a rung are the first by non-dominated sorting and crowding distance (Schmucker et
    al. 2021, arXiv:2106.12639); the best epoch of a trial is the one with the best score in the first goal. A trial
    that has no score yet is worse than all that have one.

    Invariant: `remember` and `prunes` fill the same rungs, so a resumed search decides as one that was never stopped.

    Parameters
    ----------
    grace
        Epoch of the first rung, 1 or more.
    factor
        Reduction factor, above 1: one trial in `factor` continues.
    """

    def __init__(self, grace: int = 1, factor: float = 3.0) -> None:
        self.grace, self.factor = grace, factor
        self._rungs: dict[int, dict[int, Score]] = {}
        self._best: dict[int, Score] = {}

    def rung(self, epoch: int) -> int | None:
        """Number of the rung at an epoch; None between two rungs.

        >>> [Asha(1, 3.0).rung(epoch) for epoch in (1, 2, 3, 4, 9)]
        [0, None, 1, None, 2]
        """
        level = 0
        while (at := round(self.grace * self.factor**level)) < epoch:
            level += 1
        return level if at == epoch else None

    def prunes(self, trial: int, epoch: int, score: Score) -> bool:
        """Decide whether the trial stops after this epoch (counted from 1); `score`: larger is better, None: none."""
        self._best[trial] = best = max(self._best.get(trial), score, key=_first)
        level = self.rung(epoch)
        if level is None:
            return False
        scores = self._rungs.setdefault(level, {})
        scores[trial] = best
        return _ahead(scores, trial) >= math.ceil(len(scores) / self.factor)

    def remember(self, trial: int, curve: Sequence[Score]) -> None:
        """Add the scores of a trial from before a resume, one per epoch."""
        for epoch, score in enumerate(curve, 1):
            self.prunes(trial, epoch, score)


def _first(score: Score) -> float:
    """Score of the first goal; no score is below all others."""
    if score is None:
        return -math.inf
    return score[0] if isinstance(score, tuple) else score


def _ahead(scores: Mapping[int, Score], trial: int) -> int:
    """Number of trials of a rung that are better than a trial; an equal score isn't better.

    Of trials with the same crowding distance, as both ends of a front, the one that is best in the first goal is
    better: the list is sorted by the first goal before the stable `order`.
    """
    by_first = sorted(scores.values(), key=_first, reverse=True)
    return [by_first[i] for i in order([(score, 1) for score in by_first])].index(scores[trial])


def make_schedule(scheduler: Scheduler) -> Fifo:
    """Make the pruning rule of an experiment."""
    if scheduler.name == "asha":
        return Asha(scheduler.grace_epochs, scheduler.reduction_factor)
    return Fifo()
