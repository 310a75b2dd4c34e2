"""Clusters of points that stand for tracks, and their agreement with the particles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score, v_measure_score

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
MOST_PAIRS = 50_000_000
"""Limit of neighbours in one event: scikit-learn keeps them all, 8 bytes each. 50,000 hits in tracks have 500,000."""


def cluster(points: Floats, eps: float, min_samples: int) -> Ints:
    """DBSCAN (Ester et al., KDD 1996) of the points of one event.

    Parameters
    ----------
    points : [N, D]
        Coordinates of the points.
    eps
        Euclidean distance within which points are neighbours.
    min_samples
        Neighbours, the point itself included, that make it the core of a cluster.

    Returns
    -------
    int64 [N]: 0 … for the clusters, -1 for points in none. Where more than `MOST_PAIRS` are neighbours (estimated by a
    thousand points), as before any training, all are one cluster: an approximation that fits in memory.
    """
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    if len(points) ** 2 > MOST_PAIRS:
        some = points[:: len(points) // 1000]  # to count all pairs would take as long as to make them
        neighbours = KDTree(points).query_ball_point(some, eps, return_length=True)
        if float(np.mean(neighbours)) * len(points) > MOST_PAIRS:
            return np.zeros(len(points), dtype=np.int64)
    return np.asarray(DBSCAN(eps=eps, min_samples=min_samples).fit_predict(points), dtype=np.int64)


def alone(labels: Ints) -> Ints:
    """Give each point in no cluster a label of its own.

    >>> alone(np.array([0, -1, 0, -1]))
    array([0, 1, 0, 2])
    """
    numbered = labels.copy()
    out = labels < 0
    numbered[out] = labels.max(initial=-1) + 1 + np.arange(out.sum())
    return numbered


def cluster_scores(labels: Sequence[Ints], particles: Sequence[Ints]) -> dict[str, Any]:
    """Score the clusters of some graphs. As tracks `archioptrx.tasks.tracks.scores` scores them.

    Parameters
    ----------
    labels
        Cluster of each hit, -1 for none, for each graph.
    particles
        Particle of each hit, 0 for noise.

    Returns
    -------
    Means over the graphs, each counted by its hits of particles: `v_measure` (harmonic mean of homogeneity and
    completeness, Rosenberg and Hirschberg 2007), `adjusted_rand` (Hubert and Arabie 1985). Only hits of particles
    count; those in no cluster stand each alone. `clusters`: mean number. None where no hit counts.
    """
    scores: dict[str, list[float]] = {"v_measure": [], "adjusted_rand": []}
    sizes = []
    for graph_labels, pid in zip(labels, particles, strict=True):
        of_particles = pid != 0
        if of_particles.any():
            ours, truth = alone(graph_labels)[of_particles], pid[of_particles]
            scores["v_measure"].append(float(v_measure_score(truth, ours)))
            scores["adjusted_rand"].append(float(adjusted_rand_score(truth, ours)))
            sizes.append(int(of_particles.sum()))
    means = {name: float(np.average(values, weights=sizes)) if sizes else None for name, values in scores.items()}
    number = [len(np.unique(graph_labels[graph_labels >= 0])) for graph_labels in labels]
    return {**means, "clusters": float(np.mean(number)) if number else None}
