"""A Gaussian process over counts of labels, with numpy alone, which is enough for a few hundred points.

The kernel is a sum over levels of weight × cosine of the angle between two vectors of counts. It has one weight for
each level and a noise, fitted by maximum a posteriori: the gradient is known in closed form, and steps that depend on
its sign alone (Riedmiller and Braun 1993) need no line search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Rows = Sequence[Sequence[Mapping[str, int]]]
"""By point and level: counts of labels."""

STEPS = 25
PRIOR_WEIGHT, PRIOR_NOISE, WIDTH, NOISE_WIDTH = -1.5, -2.0, 1.5, 1.0
"""Mean and standard deviation of the logarithms of weights and noise; targets have variance 1."""


@dataclass(frozen=True)
class Level:
    """Points at one level.

    Attributes
    ----------
    columns
        Column of each label.
    counts
        [points, columns]: how often a point has a label.
    norms
        [points]: Euclidean norm of all counts, with labels that have no column; 1 where a point has no label.
    empty
        [points]: whether a point has no label.
    """

    columns: Mapping[str, int]
    counts: Array
    norms: Array
    empty: npt.NDArray[np.bool_]


def levels_of(rows: Rows, known: Sequence[Level] | None = None) -> list[Level]:
    """Points as matrices, with the columns of `known` where it is given.

    Shapes: a list of levels, each with [len(rows), columns].
    """
    result = []
    for number in range(len(rows[0])):
        counters = [row[number] for row in rows]
        columns = known[number].columns if known else _columns(counters)
        counts, norms = np.zeros((len(rows), len(columns))), np.zeros(len(rows))
        for i, counter in enumerate(counters):
            for label, count in counter.items():
                norms[i] += count * count
                if label in columns:
                    counts[i, columns[label]] = count
        result.append(Level(columns, counts, np.sqrt(np.where(norms > 0, norms, 1.0)), norms == 0))
    return result


def _columns(counters: Sequence[Mapping[str, int]]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for counter in counters:
        for label in counter:
            columns.setdefault(label, len(columns))
    return columns


def cosines(rows: Sequence[Level], columns: Sequence[Level]) -> list[Array]:
    """Cosines by level, each [points of rows, points of columns]; 1 for two points without labels."""
    return [
        a.counts @ b.counts.T / np.outer(a.norms, b.norms) + np.outer(a.empty, b.empty)
        for a, b in zip(rows, columns, strict=True)
    ]


def kernel(parts: Sequence[Array], theta: Array) -> Array:
    """Sum of weighted parts [n, m]; `theta`: logarithms of the weights, then of the noise."""
    return np.asarray(sum(math.exp(t) * part for t, part in zip(theta, parts, strict=False)))


def fit(parts: Sequence[Array], targets: Array, theta: Array | None = None) -> Array:
    """Logarithms of weights and noise at the maximum of the posterior, from the start `theta`.

    Shapes: parts [n, n] each; targets [n]; result [len(parts) + 1].
    """
    mean = np.array([PRIOR_WEIGHT] * len(parts) + [PRIOR_NOISE])
    width = np.array([WIDTH] * len(parts) + [NOISE_WIDTH])
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


def posterior(known: Sequence[Level], targets: Array, new: Sequence[Level], theta: Array) -> Posterior:
    """Posterior at new points, given known ones and their targets [n]. `new` has the columns of `known`."""
    noisy = kernel(cosines(known, known), theta) + math.exp(theta[-1]) * np.eye(len(targets))
    inverse = np.linalg.inv(np.linalg.cholesky(noisy))
    across = kernel(cosines(new, known), theta) @ inverse.T
    among = kernel(cosines(new, new), theta)
    np.fill_diagonal(among, float(np.exp(theta[:-1]).sum()))  # labels without a column are a point's own
    return Posterior(across @ (inverse @ targets), among - across @ across.T)
