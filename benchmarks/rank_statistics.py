"""Rank correlations with their intervals, and the gain of a choice by a noisy number. Needs scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def partial(a: Array, b: Array, third: Array) -> float:
    """Rank correlation of a and b with the ranks of a third held fixed; 0 where a is a function of the third."""
    ab, ac, bc = spearman(a, b), spearman(a, third), spearman(b, third)
    rest = (1 - ac**2) * (1 - bc**2)
    return (ab - ac * bc) / math.sqrt(rest) if rest > 1e-12 else 0.0


def intervals(values: Array, scores: Array, seed: int = 0) -> dict[str, list[float]]:
    """Spearman and Kendall with the 2.5 and 97.5 % points of a bootstrap over trials."""
    draw = np.random.default_rng(seed)
    kinds = {"spearman": spearman, "kendall": lambda a, b: float(np.nan_to_num(kendalltau(a, b)[0]))}
    picks = [draw.integers(0, len(scores), len(scores)) for _ in range(RESAMPLED)]
    correlations = {}
    for name, kind in kinds.items():
        ends = np.percentile([kind(values[pick], scores[pick]) for pick in picks], [2.5, 97.5])
        correlations[name] = [kind(values, scores), *map(float, ends)]
    return correlations


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


def best_of_search(
    values: Array, worth: Array, size: int, cost: Array, budgets: Sequence[float], searches: int = 500, seed: int = 0
) -> list[float]:
    """Mean of the highest worth that a screened search on a finite pool has found when a budget is used up.

    Each proposal is the best by `values` of so many rows (`size`; 1: random search) that are drawn from those that were
    not trained yet; losers go back. The row that exceeds a budget doesn't count for it.

    >>> rows = np.array([0.1, 0.2, 0.3])
    >>> best_of_search(rows, rows, 3, np.array([1.0, 1.0, 5.0]), [4, 5, 9])
    [0.0, 0.3, 0.3]
    """
    draw = np.random.default_rng(seed)
    total = np.zeros(len(budgets))
    for _ in range(searches):
        left, best, spent = list(range(len(worth))), np.zeros(len(budgets)), 0.0
        while left and spent < max(budgets):
            drawn = draw.choice(left, min(size, len(left)), replace=False)
            taken = int(drawn[np.argmax(values[drawn])])
            left.remove(taken)
            spent += cost[taken]
            best = np.where(spent <= np.array(budgets), np.maximum(best, worth[taken]), best)
        total += best
    return [round(float(mean), 6) for mean in total / searches]
