"""Candidate edges between the hits of neighbouring layers: a sorted window in φ, then the exact cuts.

A hit is compared only with those that the largest slope lets it reach: with n hits in a layer, cost grows with the
number of pairs in the windows, not with n². No array is longer than `CHUNK` and one hit's window together, however
dense the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.doublets import doublet_features

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CHUNK = 500_000
"""Pairs that are computed together."""
MOST_EDGES = 50_000_000
"""Candidate edges of one event beyond which the cuts are refused; in memory they would take tens of GB."""
_ROOM = 1e-9
"""Margin of windows, rad: they only preselect, the exact cuts decide."""


def candidate_edges(
    nodes: Floats, layer: Ints, pairs: Sequence[tuple[int, int]], slope_max: float, z0_max: float
) -> Ints:
    """Pairs of hits within the cuts; slope and z0 are those of `doublets.doublet_features`.

    Parameters
    ----------
    nodes : [N, 3]
        r, φ, z in mm, rad, mm; φ in [-π, π].
    layer : [N]
        Layer of each hit.
    pairs
        Inner and outer layer of the edges.
    slope_max, z0_max
        Largest |Δφ/Δr| in rad/mm, |z0| in mm.

    Returns
    -------
    int64 [2, E], inner and outer hit; by pair of layers, then by φ.

    Raises
    ------
    InputError
        There are more than `MOST_EDGES`.
    """
    by_phi = np.argsort(nodes[:, 1], kind="stable")
    hits_of = {k: by_phi[layer[by_phi] == k] for k in sorted({k for pair in pairs for k in pair})}
    accepted: list[Ints] = [np.zeros((2, 0), dtype=np.int64)]
    count = 0
    for inner, outer in pairs:
        for edges in _in_windows(nodes, hits_of[inner], hits_of[outer], slope_max):
            _, _, _, slope, z0 = doublet_features(nodes, edges).T
            accepted.append(edges[:, (np.abs(slope) <= slope_max) & (np.abs(z0) <= z0_max)])
            count += accepted[-1].shape[1]
            if count > MOST_EDGES:
                raise InputError(f"more than {MOST_EDGES:,} candidate edges; allowed: a smaller slope_max or z0_max")
    return np.concatenate(accepted, axis=1)


def _in_windows(nodes: Floats, inner: Ints, outer: Ints, slope_max: float) -> Iterator[Ints]:
    """Pairs whose Δφ is small enough for the largest Δr that the layers allow, in chunks [2, …].

    Both lists of hits are sorted by φ.
    """
    if not (len(inner) and len(outer)):
        return
    r, phi = nodes[inner, 0], nodes[inner, 1]
    # 1 mm is the least |Δr| that a slope is computed with.
    reach = np.maximum(1.0, np.maximum(nodes[outer, 0].max() - r, r - nodes[outer, 0].min()))
    window = np.minimum(np.pi, slope_max * reach) + _ROOM
    # The outer hits three times, shifted by a turn each: a window that crosses ±π is one interval of this list.
    turns = np.concatenate([nodes[outer, 1] + turn for turn in (-2 * np.pi, 0.0, 2 * np.pi)])
    start = np.searchsorted(turns, phi - window, side="left")
    # A window of a whole turn would hold a hit twice.
    count = np.minimum(np.searchsorted(turns, phi + window, side="right") - start, len(outer))
    before = np.concatenate([[0], np.cumsum(count)])
    first = 0
    while first < len(inner):
        last = max(first + 1, int(np.searchsorted(before, before[first] + CHUNK, side="right")) - 1)
        which, place = expanded(start[first:last], count[first:last])
        yield np.stack([inner[first:last][which], outer[place % len(outer)]])
        first = last


def expanded(start: Ints, count: Ints) -> tuple[Ints, Ints]:
    """List the numbers start … start + count - 1 of each row, and the row of each.

    >>> [a.tolist() for a in expanded(np.array([5, 9]), np.array([3, 2]))]
    [[0, 0, 0, 1, 1], [5, 6, 7, 9, 10]]
    """
    row = np.repeat(np.arange(len(start)), count)
    return row, np.arange(len(row)) + np.repeat(start - np.cumsum(count) + count, count)
