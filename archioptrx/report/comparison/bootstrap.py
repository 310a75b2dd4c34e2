"""Bootstrap intervals: the spread of a metric if other events had been recorded. Plain numpy.

The *units* that are drawn with replacement are events, or parts of them (see `units`), because rows of one event aren't
independent. A resample gives each unit a whole number, how often it is drawn. All models get the same resamples, so
that their differences are paired: what makes an event hard for all models cancels in a difference.

The intervals are bias-corrected and accelerated (BCa): Efron 1987, J. Am. Stat. Assoc. 82, 171, "Better bootstrap
confidence intervals". With the standard normal distribution Φ, the metric t of the units as they are, its values t*
in the resamples and its values t₍ᵢ₎ with unit i left out (jackknife), the ends of the interval are the quantiles of t*
at the shares

    α(z) = Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z)))        z = Φ⁻¹(0.025) and Φ⁻¹(0.975)
    z₀   = Φ⁻¹(share of t* below t)                    bias correction
    a    = Σ dᵢ³ / (6 (Σ dᵢ²)^(3/2)),  dᵢ = mean(t₍ᵢ₎) − t₍ᵢ₎     acceleration, from the skewness

Metrics near a bound, such as an AUC of 0.999, have skewed distributions; a symmetric interval can exceed 1.
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
"""Function of the count of each unit. Shapes: int64 [U] -> one number for each metric, None where it isn't defined."""

LEVEL = 0.95
"""Coverage of all intervals."""
_DEFINED = 0.9
"""Share of the resamples in which a metric must be defined; otherwise it has no interval."""


def resamples(units: int, number: int, seed: int) -> Ints:
    """Draw as many units as there are, with replacement.

    Parameters
    ----------
    units, number
        Number of units, and of resamples.
    seed
        Seed of numpy's generator: the same seed gives the same resamples.

    Returns
    -------
    int64 [number, units]
        Count of each unit in each resample; each row sums to `units`.
    """
    random = np.random.default_rng(seed)
    return random.multinomial(units, np.full(units, 1 / units), size=number).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Replicates:
    """A model's metrics in each resample.

    Attributes
    ----------
    value
        The metric of the units as they are; None: it isn't defined.
    drawn : float64 [R]
        The metric in each resample, NaN where it isn't defined.
    without : float64 [U]
        The metric with one unit left out, for each unit (jackknife), NaN where it isn't defined.
    """

    value: float | None
    drawn: Floats
    without: Floats

    def minus(self, other: Replicates) -> Replicates:
        """Difference in the same resamples; without interval where the two models have different resamples."""
        value = None if self.value is None or other.value is None else self.value - other.value
        if self.drawn.shape != other.drawn.shape or self.without.shape != other.without.shape:
            return Replicates(value, np.zeros(0), np.zeros(0))
        return Replicates(value, self.drawn - other.drawn, self.without - other.without)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Bias-corrected and accelerated (BCa) interval, see above; None where the metric is undefined too often."""
        defined = self.drawn[np.isfinite(self.drawn)]
        if self.value is None or len(defined) < max(1, _DEFINED * len(self.drawn)):
            return None
        tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        low, high = np.quantile(defined, _corrected(tails, self.value, defined, self.without))
        return float(low), float(high)


def _corrected(tails: Floats, value: float, drawn: Floats, without: Floats) -> Floats:
    """Shares α(z) of the resampled values at which the interval ends; `tails` are the uncorrected shares."""
    # Resamples that equal the value count half: metrics of few units have many ties.
    below = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    if not 0 < below < 1:
        return tails  # z₀ is infinite where all resamples lie on one side: the plain percentile interval remains
    bias, normal = ndtri(below), ndtri(tails)
    apart = np.nanmean(without) - without if np.isfinite(without).any() else np.zeros(1)
    spread = np.nansum(apart**2) ** 1.5
    # Without spread (no unit changes the metric) the acceleration is 0/0; 0 leaves the bias-corrected interval.
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
    """Metrics of each draw. Shapes: [R, U] -> [R, number of metrics]; None becomes NaN."""
    rows = [statistic(draw) for draw in draws]
    values: list[list[Any]] = [[np.nan if row[name] is None else row[name] for name in names] for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(draws), len(names))
