"""Rank correlations with their intervals, and what choosing by a noisy number brings. Needs scipy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

Array = NDArray[np.float64]
RESAMPLED = 1000


def spearman(a: Array, b: Array) -> float:
    """Rank correlation; 0 where one of them is constant.

    >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0])), 6)
    1.0
    """
    ranks = rankdata(a), rankdata(b)
    if np.ptp(ranks[0]) == 0 or np.ptp(ranks[1]) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def partial(a: Array, b: Array, given: Array) -> float:
    """Rank correlation of a and b with the ranks of a third held fixed; 0 where a is a function of the third."""
    ab, ac, bc = spearman(a, b), spearman(a, given), spearman(b, given)
    rest = (1 - ac**2) * (1 - bc**2)
    return (ab - ac * bc) / math.sqrt(rest) if rest > 1e-12 else 0.0


def intervals(values: Array, scores: Array, seed: int = 0) -> dict[str, list[float]]:
    """Spearman and Kendall with the 2.5 and 97.5 % points of a bootstrap over trials."""
    draw = np.random.default_rng(seed)
    kinds = {"spearman": spearman, "kendall": lambda a, b: float(np.nan_to_num(kendalltau(a, b)[0]))}
    picks = [draw.integers(0, len(scores), len(scores)) for _ in range(RESAMPLED)]
    found = {}
    for name, kind in kinds.items():
        ends = np.percentile([kind(values[one], scores[one]) for one in picks], [2.5, 97.5])
        found[name] = [kind(values, scores), *map(float, ends)]
    return found


def expected_best(values: Array, worth: Array, size: int) -> float:
    """Expected worth of the best by `values` of so many different rows, drawn at random. Exact; ties are shared.

    >>> round(expected_best(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5, 1.0]), 3), 6)
    1.0
    >>> round(expected_best(np.array([1.0, 1.0, 1.0]), np.array([0.0, 0.5, 1.0]), 2), 6)
    0.5
    """
    order = np.argsort(values, kind="stable")
    ranked, shared = values[order], worth[order].copy()
    for value in np.unique(ranked):
        shared[ranked == value] = shared[ranked == value].mean()
    total = math.comb(len(values), size)
    return float(sum(math.comb(i, size - 1) / total * w for i, w in enumerate(shared)))
