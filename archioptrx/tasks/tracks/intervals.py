"""Intervals of shares of particles or tracks."""

from __future__ import annotations


def binomial_interval(part: float, whole: float, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share that part of a whole has, by Clopper and Pearson (Biometrika 26, 1934): never too narrow.

    Numbers may be means over several trainings, and no whole ones.

    >>> [round(end, 4) for end in binomial_interval(9, 10)]
    [0.555, 0.9975]
    >>> binomial_interval(0, 0)
    (0.0, 1.0)
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, part, whole - part + 1)) if part > 0 else 0.0
    high = float(beta.ppf(1 - tail, part + 1, whole - part)) if part < whole else 1.0
    return low, high
