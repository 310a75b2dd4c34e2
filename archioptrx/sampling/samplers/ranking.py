"""Order of observations: by rank, never by difference; one score or several.

Scores saturate, and a pruned trial has the score of fewer epochs. So only this is used: at equal epochs the larger
score is better; a trial of more epochs is better than one that was stopped earlier. A trial that failed, or whose score
is not a finite number, is worse than all others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import Any

Score = float | tuple[float, ...] | None
"""A number, or a tuple with one for each objective; larger is better. None: the trial failed."""

REFUSED: tuple[Score, int] = (None, 0)
"""Observation of a candidate that a constraint refused: no score, and no epoch. It says nothing about its quality."""


def clean(score: Any) -> Score:
    """A score as plain data; None where it, or one of its numbers, is not finite."""
    if score is None:
        return None
    if isinstance(score, list | tuple):
        numbers = tuple(float(number) for number in score)
        return numbers if all(map(math.isfinite, numbers)) else None
    return float(score) if math.isfinite(score) else None


def order(observations: Sequence[tuple[Score, int]]) -> list[int]:
    """Numbers of the (score, epochs) pairs, best first; equal ones in their own order.

    >>> order([(0.5, 4), (None, 4), (0.9, 1), (0.7, 4)])
    [3, 0, 2, 1]
    >>> order([((1.0, 0.0), 1), ((0.0, 0.0), 1), ((0.0, 1.0), 1)])
    [0, 2, 1]
    """
    by_epochs: dict[int, list[int]] = {}
    for number, (score, epochs) in enumerate(observations):
        by_epochs.setdefault(-1 if score is None else epochs, []).append(number)
    result: list[int] = []
    for epochs in sorted(by_epochs, reverse=True):
        members = by_epochs[epochs]
        if epochs < 0:
            result += members
            continue
        rows = [_tuple(observations[number][0]) for number in members]
        result += [members[i] for i in (_order_fronts(rows) if len(rows[0]) > 1 else _order_numbers(rows))]
    return result


def window(observations: Sequence[tuple[Score, int]], most: int) -> list[int]:
    """Numbers of the (score, epochs) pairs that a model is given, in their own order: all, or the best half and the
    latest of the others.

    The best are the parents of new candidates, and the latest are most like them.

    >>> window([(0.9, 1), (0.8, 1), (0.1, 1), (0.2, 1), (0.7, 1)], 4)
    [0, 1, 3, 4]
    """
    if len(observations) <= most:
        return list(range(len(observations)))
    best = order(observations)[: most // 2]
    others = sorted(set(range(len(observations))).difference(best))
    return sorted([*best, *others[len(best) - most :]])


def quantiles(observations: Sequence[tuple[Score, int]]) -> list[float]:
    """Normal quantiles of the ranks, the best highest, equal observations at their mean; variance 1 in all.

    >>> [round(q, 3) for q in quantiles([(0.5, 1), (0.9, 1), (0.5, 1)])]
    [-0.707, 1.414, -0.707]
    """
    count, normal = len(observations), NormalDist()
    shared: dict[tuple[Score, int], list[float]] = {}
    for rank, number in enumerate(order(observations)):
        shared.setdefault(observations[number], []).append(normal.inv_cdf(1 - (rank + 0.5) / count))
    means = {observation: fmean(values) if len(values) > 1 else values[0] for observation, values in shared.items()}
    raw = [means[observation] for observation in observations]
    spread = math.sqrt(fmean(value * value for value in raw)) if raw else 0.0
    return [value / spread if spread > 0 else 0.0 for value in raw]


def _tuple(score: Score) -> tuple[float, ...]:
    return score if isinstance(score, tuple) else (float(score or 0.0),)


def _order_numbers(rows: Sequence[tuple[float, ...]]) -> list[int]:
    return sorted(range(len(rows)), key=lambda i: -rows[i][0])


def dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether the first is worse in no number and better in at least one."""
    return all(a >= b for a, b in zip(first, second, strict=True)) and tuple(first) != tuple(second)


def fronts(rows: Sequence[Sequence[float]]) -> list[list[int]]:
    """Non-dominated sorting (Deb et al. 2002): the Pareto front, then the front of all others, and so on.

    >>> fronts([(1, 1), (2, 0), (0, 0), (2, 0)])
    [[0, 1, 3], [2]]
    """
    import numpy as np  # here, because samplers of one score need none of it

    no_worse = np.ones((len(rows), len(rows)), dtype=bool)
    for axis in np.array(rows, dtype=np.float64).T:
        no_worse &= axis[:, None] >= axis
    dominated = no_worse.T & ~no_worse  # [i, j]: j dominates i
    rivals, left, result = dominated.sum(1), np.ones(len(rows), dtype=bool), list[list[int]]()
    while left.any():
        front = left & (rivals == 0)
        result.append([int(i) for i in np.flatnonzero(front)])
        left &= ~front
        rivals -= dominated[:, front].sum(1)
    return result


def crowding(rows: Sequence[Sequence[float]]) -> list[float]:
    """Crowding distance in a front (Deb et al. 2002): distance between both neighbours; infinite at the ends.

    >>> crowding([(0, 4), (1, 1), (4, 0)])
    [inf, 2.0, inf]
    """
    distance = [0.0] * len(rows)
    for axis in range(len(rows[0]) if rows else 0):
        line = sorted(range(len(rows)), key=lambda i: rows[i][axis])
        span = rows[line[-1]][axis] - rows[line[0]][axis]
        distance[line[0]] = distance[line[-1]] = math.inf
        for before, at, after in zip(line, line[1:], line[2:], strict=False):
            distance[at] += (rows[after][axis] - rows[before][axis]) / span if span > 0 else 0.0
    return distance


def _order_fronts(rows: Sequence[tuple[float, ...]]) -> list[int]:
    result: list[int] = []
    for front in fronts(rows):
        apart = crowding([rows[i] for i in front])
        result += [front[k] for k in sorted(range(len(front)), key=lambda k: -apart[k])]
    return result
