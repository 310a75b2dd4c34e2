"""Pairs of hits, which files keep in one direction or in both, and the edges that they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError

Edges = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Undirected:
    """Each pair of hits once.

    Attributes
    ----------
    edge_index : int64 [2, E]
        Inner and outer hit of each edge, in the order in which the pairs came.
    first : int64 [E]
        Place of each edge among the pairs that came (of several: the first).
    """

    edge_index: Edges
    first: NDArray[np.int64]


def pair_keys(pairs: Edges, hits: int) -> NDArray[np.int64]:
    """A number for each pair of hits, the same in both directions.

    >>> pair_keys(np.array([[0, 2], [2, 0]]), 3).tolist()
    [2, 2]
    """
    low, high = np.minimum(*pairs), np.maximum(*pairs)
    return np.asarray(low * hits + high, dtype=np.int64)


def outward_rank(r: NDArray[Any], z: NDArray[Any]) -> NDArray[np.int64]:
    """Place of each hit in the order from the inner to the outer ones; `outward` says which. Shapes: [N] -> [N]."""
    rank = np.empty(len(r), dtype=np.int64)
    rank[np.lexsort((np.arange(len(r)), np.abs(z), r))] = np.arange(len(r))
    return rank


def outward(pairs: Edges, r: NDArray[Any], z: NDArray[Any]) -> Edges:
    """Turn each pair so that it goes from the hit nearer to the beam line to the other.

    A straight track from the beam line moves away from it all the time, in the barrel and in the end caps. Of hits at
    the same distance the one nearer to z = 0 comes first, then the one that stands first.

    Shapes: pairs [2, E], r and z [N].
    """
    rank = outward_rank(r, z)
    return np.where(rank[pairs[0]] <= rank[pairs[1]], pairs, pairs[::-1])


def undirected(pairs: Edges, r: NDArray[Any], z: NDArray[Any]) -> Undirected:
    """Keep each pair once, pointing outwards; a hit is no neighbour of itself.

    Shapes: pairs [2, E], r and z [N].
    """
    _, first = np.unique(pair_keys(pairs, len(r)), return_index=True)
    first = np.sort(first)
    first = first[pairs[0, first] != pairs[1, first]]
    return Undirected(outward(pairs[:, first], r, z), first)


def per_pair(pairs: Edges, edges: Edges, values: NDArray[Any], hits: int) -> NDArray[Any]:
    """One number for each pair of a caller's list, from one for each edge of the graph that was made of it.

    Parameters
    ----------
    pairs : [2, K]
        Pairs in either direction, repeated ones too.
    edges : [2, E]
        The graph's edges.
    values : [E]
        Number of each edge.
    hits
        Number of hits.

    Returns
    -------
    [K]: both directions of an edge have its number; a pair of a hit with itself, which is no edge, has 0.

    Raises
    ------
    InputError
        A pair is no edge of the graph.

    >>> per_pair(np.array([[0, 1, 1], [1, 0, 1]]), np.array([[0], [1]]), np.array([0.5]), 2).tolist()
    [0.5, 0.5, 0.0]
    """
    keys, pair_numbers = pair_keys(edges, hits), pair_keys(pairs, hits)
    own = pairs[0] == pairs[1]
    joined = np.zeros(len(pair_numbers), dtype=values.dtype)
    if own.all():
        return joined
    order = np.argsort(keys)
    place = np.searchsorted(keys, pair_numbers, sorter=order)
    place = order[place.clip(max=len(keys) - 1)] if len(keys) else place
    if not len(keys) or (~own & (keys[place] != pair_numbers)).any():
        raise InputError("has other edges than the graph that was read from it; allowed: the same file")
    joined[~own] = values[place[~own]]
    return joined
