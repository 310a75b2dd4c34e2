"""A Gaussian process over counts of labels, with numpy alone, which is enough for a thousand points or two.

The kernel is a sum over levels of weight × cosine of the angle between two vectors of counts. It has one weight for
each level and a noise, fitted by maximum a posteriori: the gradient is known in closed form, and steps that depend on
its sign alone (Riedmiller and Braun 1993) need no line search.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

KINSHIPS = (0.8, 0.95, 0.6, 0.3, 0.0)
"""Correlations between searches that are tried; the first one holds while nothing speaks for another."""

STEPS = 25
PRIOR_WEIGHT, PRIOR_NOISE, WIDTH, NOISE_WIDTH = -1.5, -2.0, 1.5, 1.0
"""Mean and standard deviation of the logarithms of weights and noise; targets have variance 1."""


@dataclass(frozen=True, eq=False)
class FeaturePoint:
    """Counts of labels of one candidate. Two points are equal only if they are the same object.

    Attributes
    ----------
    labels
        Numbers of the labels, by level [labels].
    counts
        Number of occurrences of each label, by level [labels].
    norms
        [levels]: Euclidean norm of the counts; 0 where there is no label.
    """

    labels: tuple[npt.NDArray[np.uint64], ...]
    counts: tuple[npt.NDArray[np.float32], ...]
    norms: Array


def point_of(levels: Sequence[Mapping[str, int]]) -> FeaturePoint:
    """A point from the counts of labels by level."""
    labels = tuple(np.array([_number(label) for label in level], dtype=np.uint64) for level in levels)
    counts = tuple(np.array(list(level.values()), dtype=np.float32) for level in levels)
    squares = [sum(count * count for count in level.values()) for level in levels]
    return FeaturePoint(labels, counts, np.sqrt(np.array(squares, dtype=np.float64)))


@lru_cache(maxsize=65536)
def _number(label: str) -> int:
    """Number of a label, the same in every process."""
    return int.from_bytes(hashlib.blake2b(label.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Level:
    """Several points at one level, with their labels one after the other.

    Attributes
    ----------
    labels, counts, rows
        [labels of all points]: number of the label, number of its occurrences, and position of its point.
    norms
        [points]: as in FeaturePoint.
    """

    labels: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    norms: Array

    def since(self, first: int) -> Level:
        """The points from number `first` on."""
        start = int(np.searchsorted(self.rows, first))  # rows never fall
        return Level(self.labels[start:], self.counts[start:], self.rows[start:] - first, self.norms[first:])


def levels_of(points: Sequence[FeaturePoint]) -> list[Level]:
    """Several points by level."""
    result = []
    for level in range(len(points[0].labels)):
        labels = [point.labels[level] for point in points]
        rows = np.repeat(np.arange(len(points)), [len(row) for row in labels])
        counts = np.concatenate([point.counts[level] for point in points])
        result.append(Level(np.concatenate(labels), counts, rows, np.array([point.norms[level] for point in points])))
    return result


def joined(first: Sequence[Level], second: Sequence[Level]) -> list[Level]:
    """The points of both."""
    return [
        Level(
            np.concatenate([a.labels, b.labels]),
            np.concatenate([a.counts, b.counts]),
            np.concatenate([a.rows, b.rows + len(a.norms)]),
            np.concatenate([a.norms, b.norms]),
        )
        for a, b in zip(first, second, strict=True)
    ]


def _matrix(level: Level, columns: npt.NDArray[np.int64], number: int) -> npt.NDArray[np.float32]:
    """Counts [points, number] with the column of each label; -1: it has none."""
    result, known = np.zeros((len(level.norms), number), dtype=np.float32), columns >= 0
    result[level.rows[known], columns[known]] = level.counts[known]
    return result


def _product(rows: npt.NDArray[np.float32], columns: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Products [n, m] of counts [n, number] and [m, number].

    Finite counts have finite products. But kernels of OpenBLAS also compute with what lies behind the end of a row, and
    throw it away. It may leave a flag behind, for which NumPy warns of an invalid value (numpy issue 24067).
    """
    with np.errstate(all="ignore"):
        return rows @ columns.T


def _scaled(products: npt.NDArray[np.float32], a: Level, b: Level) -> Array:
    """Cosines from products of counts; 1 for two points without labels."""
    whole = [np.where(level.norms > 0, level.norms, 1.0) for level in (a, b)]
    return products / np.outer(*whole) + np.outer(a.norms == 0, b.norms == 0)


def cosines(rows: Sequence[Level], columns: Sequence[Level]) -> list[Array]:
    """Cosines by level, each [points of rows, points of columns].

    Products of counts are sums of whole numbers below 2^24: they are exact, in whatever order they are added.
    """
    result = []
    for a, b in zip(rows, columns, strict=True):
        labels, first = np.unique(a.labels, return_inverse=True)
        if not len(labels):
            result.append(_scaled(np.zeros((len(a.norms), len(b.norms)), dtype=np.float32), a, b))
            continue
        second = np.minimum(np.searchsorted(labels, b.labels), len(labels) - 1)
        met = labels[second] == b.labels
        common = np.zeros(len(labels), dtype=bool)
        common[second[met]] = True
        column = np.where(common, np.cumsum(common) - 1, -1)
        number = int(common.sum())
        products = _product(_matrix(a, column[first], number), _matrix(b, np.where(met, column[second], -1), number))
        result.append(_scaled(products, a, b))
    return result


def cosines_among(points: Sequence[Level]) -> list[Array]:
    """Cosines of points with each other, by level, each [points, points]."""
    result = []
    for level in points:
        _, place, number = np.unique(level.labels, return_inverse=True, return_counts=True)
        common = number > 1  # a label of one point alone adds to the diagonal only
        column = np.where(common, np.cumsum(common) - 1, -1)[place] if len(place) else place
        counts = _matrix(level, column, int(common.sum()))
        part = _scaled(_product(counts, counts), level, level)
        np.fill_diagonal(part, 1.0)
        result.append(part)
    return result


def kernel(parts: Sequence[Array], theta: Array) -> Array:
    """Sum of weighted parts [n, m]; `theta`: logarithms of the weights, then of the noise."""
    return np.asarray(sum(math.exp(t) * part for t, part in zip(theta, parts, strict=False)))


def _prior(levels: int) -> tuple[Array, Array]:
    """Mean and standard deviation of the logarithms of the weights of so many levels, then of the noise."""
    return np.array([PRIOR_WEIGHT] * levels + [PRIOR_NOISE]), np.array([WIDTH] * levels + [NOISE_WIDTH])


def fit(parts: Sequence[Array], targets: Array, theta: Array | None = None) -> Array:
    """Logarithms of weights and noise at the maximum of the posterior, from the start `theta`.

    Shapes: parts [n, n] each; targets [n]; result [len(parts) + 1].
    """
    mean, width = _prior(len(parts))
    theta = mean.copy() if theta is None else theta.copy()
    step, before = np.full(len(theta), 0.3), np.zeros(len(theta))
    for _ in range(STEPS):
        noise = math.exp(theta[-1])
        inverse = np.linalg.inv(kernel(parts, theta) + noise * np.eye(len(targets)))
        alpha = inverse @ targets
        pull = np.outer(alpha, alpha) - inverse
        slopes = [math.exp(t) * float((pull * part).sum()) for t, part in zip(theta, parts, strict=False)]
        gradient = np.array([*slopes, noise * float(np.trace(pull))]) / 2 - (theta - mean) / width**2
        sign = np.sign(gradient)
        step = np.where(sign * before > 0, np.minimum(step * 1.2, 1.0), np.where(sign * before < 0, step / 2, step))
        theta, before = theta + sign * step, sign
    return theta


def evidence(parts: Sequence[Array], targets: Array, theta: Array) -> float:
    """Logarithm of the posterior of weights and noise, up to a constant: what `fit` climbs."""
    mean, width = _prior(len(parts))
    root = np.linalg.cholesky(kernel(parts, theta) + math.exp(theta[-1]) * np.eye(len(targets)))
    white = np.linalg.solve(root, targets)
    likelihood = -0.5 * float(white @ white) - float(np.log(np.diag(root)).sum())
    return likelihood - 0.5 * float((((theta - mean) / width) ** 2).sum())


def likeness(first: Whole, second: Whole, kinship: float) -> Array:
    """Factor [n, m] of the kernel between points of the searches `first` [n] and `second` [m].

    1 within a search, `kinship` between two: the kernel of tasks of Bonilla et al. 2007 ("Multi-task Gaussian Process
    Prediction", NeurIPS) with one correlation for all pairs. It is positive semi-definite for a kinship from 0 to 1.
    """
    return np.where(first[:, None] == second, 1.0, kinship)


def fit_kinship(
    parts: Sequence[Array], targets: Array, searches: Whole, theta: Array | None = None
) -> tuple[Array, float]:
    """Weights and noise as `fit`, with the kinship of `KINSHIPS` under which the posterior is largest.

    Searches that rank alike get a kinship near 1; with 0 the points of other searches say nothing.
    """
    results = []
    for kinship in KINSHIPS:
        related = [part * likeness(searches, searches, kinship) for part in parts]
        fitted = fit(related, targets, theta)
        results.append((evidence(related, targets, fitted), fitted, kinship))
    _, best, kinship = max(results, key=lambda result: result[0])
    return best, kinship


@dataclass(frozen=True)
class Posterior:
    """Posterior at new points: mean [m] and covariance [m, m] of the function without noise."""

    mean: Array
    covariance: Array

    def sample(self, random: np.random.Generator) -> Array:
        """Values [m] of one function at the new points: Thompson sampling takes its maximum."""
        jitter = 1e-6 * (1 + float(np.trace(self.covariance)) / len(self.mean))
        root = np.linalg.cholesky(self.covariance + jitter * np.eye(len(self.mean)))
        return np.asarray(self.mean + root @ random.standard_normal(len(self.mean)))

    def expected_improvement(self, best: float) -> Array:
        """Expected improvement [m] over a known value (Mockus 1975)."""
        deviation = np.sqrt(np.maximum(np.diag(self.covariance), 1e-12))
        z = (self.mean - best) / deviation
        below = np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in z])
        return np.asarray(deviation * (z * below + np.exp(-z * z / 2) / math.sqrt(2 * math.pi)))


def inverted(lower: Array) -> Array:
    """Inverse of a lower triangular matrix; numpy would invert it as any other matrix, with six times the operations.

    By halves: the inverse of [[A, 0], [B, C]] is [[A⁻¹, 0], [−C⁻¹ B A⁻¹, C⁻¹]].
    """
    if len(lower) <= 64:
        return np.tril(np.linalg.inv(lower))
    half, result = len(lower) // 2, np.zeros_like(lower)
    first, second = inverted(lower[:half, :half]), inverted(lower[half:, half:])
    result[:half, :half], result[half:, half:] = first, second
    result[half:, :half] = -second @ (lower[half:, :half] @ first)
    return result


class Regression:
    """Known points with the inverse of the Cholesky factor of their noisy kernel matrix.

    The inverse factor is kept, not the factor: numpy has no triangular solver, and a product with it costs the same. A
    further point adds one row to it: with the kernel k of the point to the known ones and a = inverse · k, the new
    pivot is p = √(k(point, point) + noise − a·a), and the row is (−a · inverse / p, 1 / p). The rows before it stay as
    they are, so that n² operations replace the n³ of a new factor.

    Parameters
    ----------
    points
        The first known points.
    theta
        Logarithms of the weights of the kernel, then of the noise.
    searches
        Number of the search of each point [points]; new points are of search 0. None: all are.
    kinship
        Correlation between searches; see `likeness`.
    """

    def __init__(
        self, points: Sequence[FeaturePoint], theta: Array, searches: Sequence[int] | None = None, kinship: float = 1.0
    ) -> None:
        self.points, self.theta, self.kinship = levels_of(points), theta, kinship
        self.searches = np.array([0] * len(points) if searches is None else searches, dtype=np.int64)
        related = kernel(cosines_among(self.points), theta) * likeness(self.searches, self.searches, kinship)
        noisy = related + math.exp(theta[-1]) * np.eye(len(points))
        self._rows = inverted(np.asarray(np.linalg.cholesky(noisy), dtype=np.float64))
        self._across: dict[FeaturePoint, Array] = {}  # by new point: its kernel to the points that were known then

    @property
    def inverse(self) -> Array:
        """Inverse of the lower triangular factor [points, points]."""
        count = len(self.points[0].norms)
        return self._rows[:count, :count]

    def append(self, point: FeaturePoint) -> None:
        """Add a known point."""
        new, inverse = levels_of([point]), self.inverse
        across, count = inverse @ self._kernel(new)[0], len(inverse)
        square = float(np.exp(self.theta).sum() - across @ across)  # the noise at least, but for rounding
        pivot = math.sqrt(max(square, math.exp(self.theta[-1]) / 2))
        if count == len(self._rows):
            self._rows = np.pad(self._rows, (0, 16 + count // 8))
        self._rows[count, :count] = -(across @ inverse) / pivot
        self._rows[count, count] = 1 / pivot
        self.points, self.searches = joined(self.points, new), np.append(self.searches, 0)

    def _kernel(self, new: Sequence[Level], first: int = 0) -> Array:
        """Kernel between new points and the known ones from number `first` on [new, points - first]."""
        own = np.zeros(len(new[0].norms), dtype=np.int64)
        parts = cosines(new, [level.since(first) for level in self.points])
        return kernel(parts, self.theta) * likeness(own, self.searches[first:], self.kinship)

    def across(self, new: Sequence[FeaturePoint]) -> Array:
        """Kernel between new points and the known ones [new, points].

        Rows of points that were asked for just before are kept, and only get the columns of the points added since.
        Cosines are exact, and each number of the kernel is computed by itself: a kept row equals one made anew.
        """
        kept = [point for point in new if point in self._across]
        fresh = [point for point in new if point not in self._across]
        rows = dict[FeaturePoint, Array]()
        if fresh:
            rows.update(zip(fresh, self._kernel(levels_of(fresh)), strict=True))
        if kept:
            known = np.array([self._across[point] for point in kept])
            added = self._kernel(levels_of(kept), known.shape[1])
            rows.update(zip(kept, np.hstack([known, added]), strict=True))
        self._across = rows
        return np.array([rows[point] for point in new])

    def posterior(self, targets: Array, new: Sequence[FeaturePoint]) -> Posterior:
        """Posterior at new points, given the targets [n] of the known ones."""
        across = self.across(new) @ self.inverse.T
        among = kernel(cosines_among(levels_of(new)), self.theta)
        return Posterior(across @ (self.inverse @ targets), among - across @ across.T)
