"""Pruning of trials: the same rule in every backend, which also takes the trials from before a resume."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from archioptrx.runs.experiment_sections import Scheduler
from archioptrx.sampling.samplers.ranking import Score, order


class Fifo:
    """Never prunes."""

    def pauses(self, epochs: int) -> tuple[int, ...]:
        """Epochs after which a trial of so many epochs may pause, to go on later."""
        return ()

    def prunes(self, trial: int, epoch: int, score: Score, closing: bool = False) -> bool:
        """Decide whether the trial stops after this epoch.

        Parameters
        ----------
        epoch
            Counted from 1.
        score
            Larger is better; None: none.
        closing
            True: no new trial begins any more.
        """
        return False

    def promoted(self, closing: bool = False) -> int | None:
        """A paused trial that is to go on now, before any new one; None: there is none."""
        return None

    def drop(self, trial: int) -> None:
        """Take note that a trial can't go on: it has ended, or its state is gone."""

    def remember(self, trial: int, curve: Sequence[Score], paused: bool = False) -> None:
        """Add the scores of a trial from before a resume, one per epoch; `paused`: it can go on."""


class StoppingAsha(Fifo):
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

        >>> [StoppingAsha(1, 3.0).rung(epoch) for epoch in (1, 2, 3, 4, 9)]
        [0, None, 1, None, 2]
        """
        level = 0
        while (at := round(self.grace * self.factor**level)) < epoch:
            level += 1
        return level if at == epoch else None

    def prunes(self, trial: int, epoch: int, score: Score, closing: bool = False) -> bool:
        """See `Fifo`."""
        level = self._enter(trial, epoch, score)
        return level is not None and self._place(level, trial) >= math.ceil(len(self._rungs[level]) / self.factor)

    def remember(self, trial: int, curve: Sequence[Score], paused: bool = False) -> None:
        """See `Fifo`."""
        for epoch, score in enumerate(curve, 1):
            self._enter(trial, epoch, score)

    def _enter(self, trial: int, epoch: int, score: Score) -> int | None:
        """Enter the best score of a trial so far in the rung at this epoch; the rung's number, None without one."""
        self._best[trial] = best = max(self._best.get(trial), score, key=_first)
        level = self.rung(epoch)
        if level is not None:
            self._rungs.setdefault(level, {})[trial] = best
        return level

    def _place(self, level: int, trial: int) -> int:
        """Number of trials of a rung that are better than a trial; an equal score isn't better."""
        scores = self._rungs[level]
        return [scores[other] for other in _in_order(scores)].index(scores[trial])


class Asha(StoppingAsha):
    """ASHA in the form that pauses trials and promotes them (Li et al. 2018, arXiv:1810.05934, algorithm 2).

    A trial that reaches a rung pauses there. Whenever a worker is free, the best paused trial that is among the best
    floor(n / factor) of its n trials goes on, of the highest rung that has one; where there is none, a new trial
    begins. So an early trial waits until others have reached its rung, and a trial that others overtook at first may go
    on much later. A trial that is among the best when it reaches the rung needn't pause.

    Once no new trial begins (`closing`), ceil takes the place of floor: the search ends with a trial of all epochs.

    Rungs, scores and resumes: see `StoppingAsha`.
    """

    def __init__(self, grace: int = 1, factor: float = 3.0) -> None:
        super().__init__(grace, factor)
        self._paused: dict[int, int] = {}  # level of the rung, by trial
        self._searched: set[bool] = set()  # values of `closing` for which no trial can go on until a rung changes

    def pauses(self, epochs: int) -> tuple[int, ...]:
        """See `Fifo`.

        >>> Asha(2, 3.0).pauses(20)
        (2, 6, 18)
        """
        return tuple(epoch for epoch in range(1, epochs) if self.rung(epoch) is not None)

    def prunes(self, trial: int, epoch: int, score: Score, closing: bool = False) -> bool:
        """See `Fifo`."""
        level = self._enter(trial, epoch, score)
        if level is None or self._place(level, trial) < self._quota(level, closing):
            return False
        self._paused[trial] = level
        return True

    def promoted(self, closing: bool = False) -> int | None:
        """See `Fifo`. The trial counts as running from now on."""
        if closing in self._searched:
            return None
        for level in sorted(set(self._paused.values()), reverse=True):
            best = _in_order(self._rungs[level])[: self._quota(level, closing)]
            trial = next((trial for trial in best if self._paused.get(trial) == level), None)
            if trial is not None:
                del self._paused[trial]
                return trial
        self._searched.add(closing)
        return None

    def drop(self, trial: int) -> None:
        """See `Fifo`."""
        self._paused.pop(trial, None)

    def remember(self, trial: int, curve: Sequence[Score], paused: bool = False) -> None:
        """See `Fifo`."""
        super().remember(trial, curve)
        level = self.rung(len(curve))
        if paused and level is not None:
            self._paused[trial] = level

    def _enter(self, trial: int, epoch: int, score: Score) -> int | None:
        level = super()._enter(trial, epoch, score)
        if level is not None:
            self._searched.clear()
        return level

    def _quota(self, level: int, closing: bool) -> int:
        """Number of the best trials of a rung that may go on."""
        share = len(self._rungs[level]) / self.factor
        return math.ceil(share) if closing else math.floor(share)


def _first(score: Score) -> float:
    """Score of the first goal; no score is below all others."""
    if score is None:
        return -math.inf
    return score[0] if isinstance(score, tuple) else score


def _in_order(scores: Mapping[int, Score]) -> list[int]:
    """Trials of a rung, best first; of equal ones the earlier entry.

    Of trials with the same crowding distance, as both ends of a front, the one that is best in the first goal is
    better: the list is sorted by the first goal before the stable `order`.
    """
    by_first = sorted(scores, key=lambda trial: _first(scores[trial]), reverse=True)
    return [by_first[i] for i in order([(scores[trial], 1) for trial in by_first])]


def make_schedule(scheduler: Scheduler) -> Fifo:
    """Make the pruning rule of an experiment."""
    if scheduler.name == "asha":
        kind = Asha if scheduler.type == "promotion" else StoppingAsha
        return kind(scheduler.grace_epochs, scheduler.reduction_factor)
    return Fifo()
