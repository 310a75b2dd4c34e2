"""Common traits of the good trials of a search: the marginal effect of each choice, with counts and intervals.

Scores saturate and pruned trials have the score of fewer epochs, so trials are compared by their *standing*: the
share of the other trials that it beats, each pair at the epochs that both were trained for (a tie counts half). It is
0.5 in the mean; the effect of a choice is the difference of the mean standings of the trials that made it and of those
in its scope that didn't. With two groups and no pruning this is the probability of superiority (Mann and Whitney 1947,
Annals of Mathematical Statistics 18:50), less a half.

An effect is marginal: the two groups differ in other choices too. A sampler that learns makes its favourite choices
together, so that the effect of one may be that of another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from archioptrx.runs.statistics import holm
from archioptrx.runs.trial_choices import TrialChoice, choices_of

CONFIDENCE = 0.95
FEW = 3
"""Least number of trials with a choice, and without it, for an interval; other effects aren't counted."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """Marginal effect of a choice.

    Attributes
    ----------
    group, name
        See `archioptrx.runs.trial_choices.TrialChoice`.
    trials, others
        Numbers of trials that made the choice, and of trials in its scope that didn't.
    standing
        Mean standing of those that made it, 0 to 1.
    difference
        Difference to the mean of the others, -1 to 1; above 0: those that made it were better.
    low, high
        Ends of the 95 % interval of the difference, cut at -1 and 1 (Student's t with the pooled variance: standings
        have much the same spread in all groups, and a group of three has too few for a variance of its own). None: too
        few trials.
    p
        Two-sided p-value of no difference; None: too few trials.
    firm
        True: it holds for all choices together, by Holm's correction (1979, Scandinavian Journal of Statistics 6:65).
    also
        Other choices that exactly the same trials made or, with `not` before them, did not make.
    """

    group: str
    name: str
    trials: int
    others: int
    standing: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    firm: bool = False
    also: tuple[str, ...] = ()

    @property
    def few(self) -> bool:
        """Whether there are too few trials for an interval."""
        return self.low is None

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def sure(self) -> float:
        """Distance of the interval to 0, as a sort key; -1 without interval, below 0 where it includes 0."""
        if self.low is None or self.high is None:
            return -1.0
        return max(self.low, -self.high)


@dataclass(frozen=True)
class Effects:
    """Effects of all choices of a search on one goal.

    Attributes
    ----------
    effects
        Effects in the order of `Effect.sure`, the largest first; those with too few trials last.
    trials, pruned
        Numbers of compared trials, and of pruned ones among them.
    """

    effects: Sequence[Effect]
    trials: int
    pruned: int

    @property
    def judged(self) -> list[Effect]:
        """Effects with an interval."""
        return [effect for effect in self.effects if not effect.few]

    @property
    def caution(self) -> str:
        """Remarks for reading the effects, in a sentence or two."""
        count, clear = len(self.judged), sum(effect.clear for effect in self.judged)
        if not count:
            return "No choice has three trials with it and three without it yet."
        chance = max(1, round((1 - CONFIDENCE) * count))
        firm = sum(effect.firm for effect in self.judged)
        return (
            f"{clear} of {count} intervals exclude 0; by chance alone about {chance} would. "
            f"{firm or 'None'} {'hold' if firm > 1 else 'holds'} for all choices together (Holm's correction). "
            "Choices are correlated (a sampler that learns combines its favourite ones): none is proven to be a cause."
        )


def effects_of(
    rows: Sequence[Mapping[str, Any]],
    proposals: Mapping[int, Mapping[str, Any]],
    goal: int = 0,
) -> Effects:
    """Compute the effects of all choices.

    Parameters
    ----------
    rows
        Ended trials; those without a score are left out.
    proposals
        Lines of `proposals.jsonl` by number.
    goal
        Number of the goal, where there are several.
    """
    scored = [row for row in rows if row["score"] is not None]
    pruned = sum(row["status"] == "pruned" for row in scored)
    if len(scored) < 2:
        return Effects([], len(scored), pruned)
    standing = standings([best_curve_of(row, goal) for row in scored])
    joined = _joined(choices_of(scored, proposals))
    effects = _corrected([effect_of(choice, standing, also) for choice, also in joined])
    return Effects(sorted(effects, key=lambda effect: (effect.few, -effect.sure, effect.name)), len(scored), pruned)


def best_curve_of(row: Mapping[str, Any], goal: int = 0) -> list[float]:
    """Score of a goal after each epoch: that of the best epoch so far, chosen by the first goal.

    While no epoch has had a score it is -inf.
    """
    highest, at_best, result = -math.inf, -math.inf, []
    for score, scores in zip(row["curve"], row.get("curves") or [None] * len(row["curve"]), strict=True):
        if score is not None and score > highest:
            highest, at_best = score, float(scores[goal] if scores else score)
        result.append(at_best)
    return result


def standings(curves: Sequence[Sequence[float]]) -> Floats:
    """Standing of each trial: share of the others that it beats, each pair at the last epoch that both have.

    Parameters
    ----------
    curves
        Best score so far after each epoch, at least one; at least two curves.

    >>> standings([[0.5], [0.4, 0.9], [0.3, 0.8]]).tolist()
    [1.0, 0.5, 0.0]
    """
    epochs = np.array([len(curve) for curve in curves])
    wins = np.zeros(len(curves))
    for level in np.unique(epochs):  # pairs of which the shorter one has so many epochs
        here, beyond = np.flatnonzero(epochs == level).tolist(), np.flatnonzero(epochs > level).tolist()
        ended = [curves[i][level - 1] for i in here]
        going = [curves[i][level - 1] for i in beyond]
        wins[here] += _beaten(ended, [*ended, *going]) - 0.5  # not itself
        wins[beyond] += _beaten(going, ended)
    return wins / (len(curves) - 1)


def _beaten(values: Sequence[float], others: Sequence[float]) -> Floats:
    """Number of others that each value beats; a tie counts half."""
    ordered = np.sort(np.asarray(others, dtype=np.float64))
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2


def effect_of(choice: TrialChoice, standing: Floats, also: tuple[str, ...] = ()) -> Effect:
    """Effect of a choice that some trials in its scope made and some didn't; Student's t with pooled variance."""
    with_choice, left = standing[choice.chosen_by], standing[choice.scope & ~choice.chosen_by]
    difference = float(with_choice.mean() - left.mean())
    effect = Effect(
        choice.group, choice.name, len(with_choice), len(left), float(with_choice.mean()), difference, None, None, None
    )
    effect = replace(effect, also=also)
    if min(len(with_choice), len(left)) < FEW:
        return effect
    free = len(with_choice) + len(left) - 2
    squares = float(((with_choice - with_choice.mean()) ** 2).sum() + ((left - left.mean()) ** 2).sum())
    error = float(np.sqrt(squares / free * (1 / len(with_choice) + 1 / len(left))))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, free)) * error
    p = 2 * float(stats.t.sf(abs(difference) / error, free)) if error > 0 else float(difference == 0)
    return replace(effect, low=max(-1.0, difference - reach), high=min(1.0, difference + reach), p=p)


def _joined(choices: Sequence[TrialChoice]) -> list[tuple[TrialChoice, tuple[str, ...]]]:
    """Join choices that the same trials made, or did not make: the first of them, with the names of the others."""
    first: dict[tuple[bytes, bytes], TrialChoice] = {}
    also: dict[tuple[bytes, bytes], list[str]] = {}
    for choice in choices:
        makers, left = choice.chosen_by.tobytes(), (choice.scope & ~choice.chosen_by).tobytes()
        if (makers, left) in first:
            also[makers, left].append(choice.name)
        elif (left, makers) in first:
            also[left, makers].append(f"not {choice.name}")
        else:
            first[makers, left], also[makers, left] = choice, []
    return [(choice, tuple(also[key])) for key, choice in first.items()]


def _corrected(effects: Sequence[Effect]) -> list[Effect]:
    """Mark the effects that hold for all choices together."""
    judged = [i for i, effect in enumerate(effects) if effect.p is not None]
    firm = dict(zip(judged, holm([effects[i].p or 0.0 for i in judged], 1 - CONFIDENCE), strict=True))
    return [replace(effect, firm=firm.get(i, False)) for i, effect in enumerate(effects)]
