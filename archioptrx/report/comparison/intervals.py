"""Intervals of a metric of few events, by Student's t and by the bootstrap: the wider end of both. Plain numpy.

The metric t has *sources of variation*: units (events, or parts of them, see `units`) that contribute to it, and the
seeds of each architecture that was trained several times. With d the mean of the jackknife values of a source (the
metric with one of its n members left out) minus each of them, its variance is

    events   v = Σ d²              f = n − 2 degrees of freedom
    seeds    v = Σ d² (n − 1) / n   f = n − 1

For seeds, whose mean is shown, this is s²/n, and exact. For events the jackknife's variance is multiplied by
n / (n − 1), and one degree of freedom is taken away, because metrics are ratios over events of unequal size, and the
largest ones decide. This was chosen by simulation (`benchmarks/interval_coverage.py`, docs/report_statistics.md). All
sources together have the degrees of freedom of Satterthwaite (1946, Biometrics Bull. 2, 110, "An approximate
distribution of estimates of variance components"):

    σ² = Σ v        f = σ⁴ / Σ (v² / f)        q = quantile of Student's t with f degrees of freedom at 0.975

- *Student's t*: t ± q σ (Tukey's jackknife; Miller 1974, Biometrika 61, 1, "The jackknife – a review"). A share
  between 0 and 1 gets it on the scale log(t / (1 − t)), a loss on the scale log t; there σ is multiplied by the slope,
  1 / (t (1 − t)) or 1 / t. So the ends stay within the bounds, and are skewed near a bound. The ends of a difference of
  two shares are cut at −1 and 1: no true difference lies beyond, so the interval covers as often.
- *Bootstrap*: the bias-corrected and accelerated interval (BCa; Efron 1987, J. Am. Stat. Assoc. 82, 171, "Better
  bootstrap confidence intervals"), whose ends are the quantiles of the resampled values t* at the shares

      α(z) = Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z)))
      z₀   = Φ⁻¹(share of t* below t)              bias correction
      a    = Σ d³ / (6 (Σ d²)^(3/2))               acceleration, from the skewness

  with z = ± q σ / σ* in place of ± 1.96, where σ*² = Σ d² (n − 1) / n is the jackknife's variance without the factors
  above: n units that are drawn from n vary less than n new ones (Hesterberg 2015, Am. Stat. 69, 371, "What teachers
  should know about the bootstrap", expanded percentile interval).

The plain BCa interval covers 0.79 to 0.85 with 6 events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

Floats = NDArray[np.float64]

LEVEL = 0.95
"""Coverage of all intervals."""
PLAIN, LOG, LOG_ODDS, DIFFERENCE = SCALES = ("plain", "log", "log_odds", "difference")
"""Scales of the interval by Student's t; `DIFFERENCE`: of two shares."""
BOUNDS = {PLAIN: (-np.inf, np.inf), LOG: (0.0, np.inf), LOG_ODDS: (0.0, 1.0), DIFFERENCE: (-1.0, 1.0)}
"""Least and largest value on each scale, where the value itself keeps them."""


@dataclass(frozen=True)
class Spread:
    """Uncertainty of a value.

    Attributes
    ----------
    error
        Standard error σ.
    free
        Degrees of freedom f, of Welch and Satterthwaite.
    expansion
        σ / σ*, the factor by which resamples vary less.
    """

    error: float
    free: float
    expansion: float

    @property
    def quantile(self) -> float:
        """Quantile q of Student's t."""
        return float(stdtrit(self.free, (1 + LEVEL) / 2))

    def p(self, value: float) -> float:
        """Two-sided p value of a value, under a true value of 0."""
        return 2 * float(stdtr(self.free, -abs(value) / self.error))


def spread_of(events: Floats, seeds: Sequence[Floats]) -> Spread | None:
    """Spread from the deviations d of the events and of the seeds of each architecture.

    It is None for fewer than three events that contribute, or only one seed; and without any variation, as where all
    events have an efficiency of 1: it isn't known then how near to 1 the true one is.
    """
    if len(events) < 3 or any(len(apart) < 2 for apart in seeds):
        return None
    sources = [(float((events**2).sum()), len(events), len(events) - 2)]
    sources += [
        (float((apart**2).sum()) * (len(apart) - 1) / len(apart), len(apart), len(apart) - 1) for apart in seeds
    ]
    variance = sum(v for v, _, _ in sources)
    if variance == 0:
        return None
    free = variance**2 / sum(v**2 / f for v, _, f in sources)
    resampled = sum(float((apart**2).sum()) * (len(apart) - 1) / len(apart) for apart in (events, *seeds))
    return Spread(float(np.sqrt(variance)), free, float(np.sqrt(variance / resampled)))


def student_interval(value: float, spread: Spread, scale: str) -> tuple[float, float]:
    """Interval by Student's t, on a scale on which it keeps the bounds of a share or a loss."""
    reach = spread.quantile * spread.error
    if scale == LOG_ODDS and 0 < value < 1:
        odds, steps = np.log(value / (1 - value)), reach / (value * (1 - value))
        low, high = 1 / (1 + np.exp(-np.clip([odds - steps, odds + steps], -700, 700)))
        return float(low), float(high)
    if scale == LOG and value > 0:
        factor = float(np.exp(min(700.0, reach / value)))
        return value / factor, value * factor
    least, largest = BOUNDS[scale]
    low, high = value - reach, value + reach
    return (max(least, low), min(largest, high)) if least <= value <= largest else (low, high)


def bca_interval(value: float, drawn: Floats, apart: Floats, z: float) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval; z = 1.96 gives Efron's of 95 %.

    Parameters
    ----------
    drawn : float64 [R]
        Resampled values, all of them defined.
    apart : float64 [U]
        Deviations d of all sources.
    """
    low, high = np.quantile(drawn, _shares(value, drawn, apart, np.array([-z, z])))
    return float(low), float(high)


def _shares(value: float, drawn: Floats, apart: Floats, z: Floats) -> Floats:
    """Shares α(z) of the resampled values at which the interval ends."""
    # Resamples that equal the value count half: metrics of few units have many ties.
    below = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    if not 0 < below < 1:
        return np.asarray(ndtr(z))  # z₀ is infinite where all resamples lie on one side: a percentile interval remains
    bias, size = ndtri(below), float((apart**2).sum()) ** 1.5
    skew = float((apart**3).sum()) / (6 * size)
    left = 1 - skew * (bias + z)
    # Beyond the pole of the formula the end is that of the resamples.
    return np.where(left > 0, ndtr(bias + (bias + z) / np.where(left > 0, left, 1.0)), z > 0)
