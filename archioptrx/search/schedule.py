"""When a trial is pruned: the same rule in every backend, and it remembers the trials of before a resume."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from archioptrx.runs.experiment_sections import Scheduler
from archioptrx.runs.leaderboard import Numbers
from archioptrx.sampling.samplers.ranking import order


class Fifo:
    """Never prunes."""

    def prunes(self, trial: int, epoch: int, score: Numbers) -> bool:
        """Whether the trial shall stop after this epoch."""
        return False

    def remember(self, trial: int, curve: Sequence[Numbers]) -> None:
        """Take in the scores of an earlier trial, one per epoch."""


class Asha(Fifo):
    """Asynchronous successive halving, in the form that stops trials (Li et al. 2018, arXiv:1810.05934).

    At epoch `grace * factor**k` a trial goes on if its best score is among the best 1/factor (rounded up) of those
    that have come to this rung so far. Ray's own ASHA decides alike, but forgets everything when a search is resumed
    and exists for Ray only.

    With several goals the best of a rung are the first by non-dominated sorting and crowding (Schmucker et al. 2021,
    arXiv:2106.12639), and the best epoch of a trial is that of its first goal.

    Parameters
    ----------
    grace
        First rung, in epochs.
    factor
        One in this many goes on.
    """

    def __init__(self, grace: int = 1, factor: float = 3.0) -> None:
        self.grace, self.factor = grace, factor
        self._rungs: dict[int, dict[int, Numbers]] = {}
        self._best: dict[int, Numbers] = {}

    def rung(self, epoch: int) -> int | None:
        """The rung at an epoch; None between two rungs.

        >>> [Asha(1, 3.0).rung(epoch) for epoch in (1, 2, 3, 4, 9)]
        [0, None, 1, None, 2]
        """
        level = 0
        while (at := round(self.grace * self.factor**level)) < epoch:
            level += 1
        return level if at == epoch else None

    def prunes(self, trial: int, epoch: int, score: Numbers) -> bool:
        """Whether the trial shall stop after this epoch."""
        self._best[trial] = best = max(self._best.get(trial, score), score, key=_first)
        level = self.rung(epoch)
        if level is None:
            return False
        scores = self._rungs.setdefault(level, {})
        scores[trial] = best
        return _ahead(scores, trial) >= math.ceil(len(scores) / self.factor)

    def remember(self, trial: int, curve: Sequence[Numbers]) -> None:
        """Take in the scores of an earlier trial, one per epoch."""
        for epoch, score in enumerate(curve, 1):
            self.prunes(trial, epoch, score)


def _first(score: Numbers) -> float:
    return score[0] if isinstance(score, tuple) else score


def _ahead(scores: Mapping[int, Numbers], trial: int) -> int:
    """How many are better than a trial; one with the same score isn't.

    Of those that crowding can't tell apart, the ends of a front say, the one that is best in the first goal leads.
    """
    by_first = sorted(scores.values(), key=_first, reverse=True)
    return [by_first[i] for i in order([(score, 1) for score in by_first])].index(scores[trial])


def make_schedule(scheduler: Scheduler) -> Fifo:
    """The rule that an experiment asks for."""
    if scheduler.name == "asha":
        return Asha(scheduler.grace_epochs, scheduler.reduction_factor)
    return Fifo()
