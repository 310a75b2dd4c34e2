"""Clusters of points that stand for tracks, and how well they agree with the particles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score, v_measure_score

from archioptrx.track_metrics import EventTracks, track_metrics

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
OF_TRACKS = ("track_efficiency", "track_fake_rate", "trackml_score")
"""Figures that clusters share with other tracks, see `archioptrx.track_metrics.track_metrics`."""


def cluster(points: Floats, eps: float, min_samples: int) -> Ints:
    """DBSCAN (Ester et al., KDD 1996) of the points of one event.

    Parameters
    ----------
    points : [N, D]
    eps
        Euclidean distance within which points are neighbours.
    min_samples
        Neighbours, the point itself included, that make it the core of a cluster.

    Returns
    -------
    int64 [N]: 0 … for the clusters, -1 for points in none.
    """
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    return np.asarray(DBSCAN(eps=eps, min_samples=min_samples).fit_predict(points), dtype=np.int64)


def alone(labels: Ints) -> Ints:
    """Give each point in no cluster a label of its own.

    >>> alone(np.array([0, -1, 0, -1]))
    array([0, 1, 0, 2])
    """
    found = labels.copy()
    out = labels < 0
    found[out] = labels.max(initial=-1) + 1 + np.arange(out.sum())
    return found


def cluster_scores(
    labels: Sequence[Ints], particles: Sequence[Ints], weights: Sequence[Floats | None]
) -> dict[str, Any]:
    """Score the clusters of some graphs.

    Parameters
    ----------
    labels
        Cluster of each hit, -1 for none, for each graph.
    particles
        Particle of each hit, 0 for noise.
    weights
        Weight of each hit in the TrackML score; None where the data have none.

    Returns
    -------
    Means over the graphs, each counted by its hits of particles: `v_measure` (harmonic mean of homogeneity and
    completeness, Rosenberg and Hirschberg 2007), `adjusted_rand` (Hubert and Arabie 1985). Only hits of particles
    count; those in no cluster stand each alone. `clusters`: mean number. And `OF_TRACKS`, with the hits of the graph as
    the whole event. None where no hit counts.
    """
    found: dict[str, list[float]] = {"v_measure": [], "adjusted_rand": []}
    sizes = []
    for given, pid in zip(labels, particles, strict=True):
        kept = pid != 0
        if kept.any():
            ours, truth = alone(given)[kept], pid[kept]
            found["v_measure"].append(float(v_measure_score(truth, ours)))
            found["adjusted_rand"].append(float(adjusted_rand_score(truth, ours)))
            sizes.append(int(kept.sum()))
    means = {name: float(np.average(values, weights=sizes)) if sizes else None for name, values in found.items()}
    number = [len(np.unique(given[given >= 0])) for given in labels]
    events = [_tracks(*one) for one in zip(labels, particles, weights, strict=True)]
    tracks = track_metrics(events)
    return {**means, "clusters": float(np.mean(number)) if number else None, **{k: tracks[k] for k in OF_TRACKS}}


def _tracks(labels: Ints, pid: Ints, weight: Floats | None) -> EventTracks:
    """A graph's clusters as tracks; without weights each hit of a particle weighs the same."""
    weights: NDArray[np.float64] = np.asarray(pid != 0 if weight is None else weight, dtype=np.float64)
    names = np.unique(pid[pid != 0])
    particle = np.where(pid == 0, -1, np.searchsorted(names, pid))
    kept = particle >= 0
    return EventTracks(
        name="",
        labels=labels,
        particle=particle,
        weight=weights,
        hits=np.bincount(particle[kept], minlength=len(names)),
        weights=np.bincount(particle[kept], weights[kept], minlength=len(names)).astype(np.float64),
        **dict.fromkeys(("pt", "eta", "vr"), np.full(len(names), np.nan)),
    )
