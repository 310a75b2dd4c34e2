"""Bootstrap intervals: how far a number would move, had other events been drawn. Plain numpy.

What is drawn anew are *units* (events, or parts of them), for rows of one event aren't independent. A resample is a
whole number for each unit, how often it is drawn; all models get the same resamples, so that their differences are
paired: what makes an event hard for all of them cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Numbers = Mapping[str, float | None]
Statistic = Callable[[Ints], Numbers]
"""Gives metrics when each unit is counted so many times. Shapes: [U] -> one number each."""

LEVEL = 0.95
"""Of all intervals."""
_DEFINED = 0.9
"""Share of the resamples in which a metric must exist; else it has no interval."""


def resamples(units: int, number: int, seed: int) -> Ints:
    """Draw as many units as there are, with replacement, so many times. Shapes: -> [number, units]."""
    random = np.random.default_rng(seed)
    return random.multinomial(units, np.full(units, 1 / units), size=number).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Replicates:
    """A model's metrics in each resample.

    Attributes
    ----------
    value
        Of the units as they are.
    drawn : [R]
        In each resample, NaN where there is no such number.
    without : [U]
        With one unit left out, for each of them.
    """

    value: float | None
    drawn: Floats
    without: Floats

    def minus(self, other: Replicates) -> Replicates:
        """The difference in the same resamples; without them where the two have different ones."""
        value = None if self.value is None or other.value is None else self.value - other.value
        if self.drawn.shape != other.drawn.shape or self.without.shape != other.without.shape:
            return Replicates(value, np.zeros(0), np.zeros(0))
        return Replicates(value, self.drawn - other.drawn, self.without - other.without)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Bias-corrected and accelerated (BCa) interval; None where the metric is missing too often.

        Efron 1987, J. Am. Stat. Assoc. 82, 171. It respects that an AUC near 1 can't go up as far as down.
        """
        defined = self.drawn[np.isfinite(self.drawn)]
        if self.value is None or len(defined) < max(1, _DEFINED * len(self.drawn)):
            return None
        tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        low, high = np.quantile(defined, _corrected(tails, self.value, defined, self.without))
        return float(low), float(high)


def _corrected(tails: Floats, value: float, drawn: Floats, without: Floats) -> Floats:
    """Shares of the distribution that stand for the tails."""
    below = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    if not 0 < below < 1:
        return tails  # no correction is known where all resamples lie on one side
    bias, normal = ndtri(below), ndtri(tails)
    apart = np.nanmean(without) - without if np.isfinite(without).any() else np.zeros(1)
    spread = np.nansum(apart**2) ** 1.5
    skew = np.nansum(apart**3) / (6 * spread) if spread > 0 else 0.0
    shares: Floats = ndtr(bias + (bias + normal) / (1 - skew * (bias + normal)))
    return shares


def replicate(statistic: Statistic, draws: Ints) -> dict[str, Replicates]:
    """Compute metrics for the units as they are, in each resample and with each unit left out.

    Shapes: draws [R, U].
    """
    units = draws.shape[1]
    whole = statistic(np.ones(units, dtype=np.int64))
    names = list(whole)
    resampled = _table(statistic, names, draws)
    without = _table(statistic, names, 1 - np.eye(units, dtype=np.int64))
    return {name: Replicates(whole[name], resampled[:, k], without[:, k]) for k, name in enumerate(names)}


def _table(statistic: Statistic, names: Sequence[str], draws: Ints) -> Floats:
    """One row per draw, one column per metric, NaN for None."""
    rows = [statistic(draw) for draw in draws]
    values: list[list[Any]] = [[np.nan if row[name] is None else row[name] for name in names] for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(draws), len(names))
