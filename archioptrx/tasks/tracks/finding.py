"""The bundled track finders: from scores of edges or triplets to track candidates, one label per hit, -1 for none.

`components` joins all hits that accepted edges connect, `junction_removal` after all but the best edges of each hit are
dropped. `walk_through` also separates tracks that share hits or touch,
and `chains` does so with scores of triplets. Each works on one graph, or on a batch, whose graphs no edge connects. A
user adds a finder with `archioptrx.tasks.options.tracks.track_finder`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from archioptrx.tasks.options.tracks import TRACK_FINDERS, TRIPLET_FINDERS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MIN_HITS = 3
"""Least number of hits of a track: any two points lie on some circle through the beam line."""


@TRACK_FINDERS.registering("components")
def components(edge_index: Ints, scores: Floats, hits: int, cut: float = 0.5, min_hits: int = MIN_HITS) -> Ints:
    """Connected components of the edges from a cut on, whatever their direction.

    Shapes: edge_index [2, E], scores [E] -> int64 [hits].

    >>> components(np.array([[0, 1, 3], [1, 2, 4]]), np.array([0.9, 0.6, 0.7]), 6).tolist()
    [0, 0, 0, -1, -1, -1]
    """
    return numbered(groups(edge_index[:, scores >= cut], hits), min_hits)


@TRACK_FINDERS.registering("junction_removal")
def junction_removal(edge_index: Ints, scores: Floats, hits: int, cut: float = 0.5, min_hits: int = MIN_HITS) -> Ints:
    """Connected components after the removal of junctions: of a hit's edges inwards and outwards only the best stay.

    As the track building of Acts on GPUs does it ("junction removal") and acorn's pipeline for it. What is left of a
    component is paths. The time is that of sorting the edges.

    Shapes: edge_index [2, E], scores [E] -> int64 [hits].

    >>> junction_removal(np.array([[0, 1, 1, 2], [1, 2, 4, 3]]), np.array([0.9, 0.8, 0.7, 0.9]), 5).tolist()
    [0, 0, 0, 0, -1]
    """
    accepted = scores >= cut
    (start, end), score = edge_index[:, accepted], scores[accepted]
    best = np.ones((2, len(start)), dtype=np.bool_)
    for side, (own, other) in enumerate(((start, end), (end, start))):
        order = np.lexsort((other, -score, own))
        best[side] = False
        best[side, order[starts(own[order])]] = True
    return numbered(groups(np.stack([start, end])[:, best.all(axis=0)], hits), min_hits)


@TRACK_FINDERS.registering("walk_through")
def walk_through(
    edge_index: Ints,
    scores: Floats,
    hits: int,
    cut: float = 0.1,
    follow: float = 0.6,
    min_hits: int = MIN_HITS,
) -> Ints:
    """Walk along the direction of the edges, best path first; a hit belongs to one path.

    After the "CC and walk" of the Exa.TrkX and ACORN pipelines (Ju et al. 2021, arXiv:2103.06995; Caillou et al. 2024,
    CHEP 2023), where edges below a low cut are dropped, components without a branch are tracks as they stand, and in
    the others a walk from each free hit follows every edge above a high cut, or else the best one; its longest path is
    a track. Two things differ. There the walks begin in the order of the hits; here the best path of all free hits is
    taken first, where the worth of a path is the sum of its scores: scores near 1 make that its length, and among paths
    of equal length the scores decide. And paths aren't listed, for their number is exponential in the branches: the
    best one is found by dynamic programming from the outer hits inwards.

    Parameters
    ----------
    edge_index : [2, E]
        Inner and outer hit. Where edges form a circle, the one that closes it is left out.
    scores : [E]
        Probabilities.
    hits
        Number of hits.
    cut
        Score below which edges are dropped.
    follow
        Score from which every edge at a branch is tried; below it only the best one of a hit.
    min_hits
        Least number of hits of a track: shorter paths leave their hits to others.

    Returns
    -------
    int64 [hits]
    """
    return numbered(best_paths(edge_index, scores, hits, cut, follow, min_hits)[0], min_hits)


@TRIPLET_FINDERS.registering("walk_through")
def chains(
    triplet_index: Ints,
    scores: Floats,
    edge_index: Ints,
    hits: int,
    cut: float = 0.5,
    follow: float = 0.6,
    min_hits: int = MIN_HITS,
) -> Ints:
    """Join triplets that share a doublet to chains; a shared hit goes to the chain with the largest sum of scores.

    The same walk as `walk_through`, one rung higher: from doublet to doublet by triplets.

    Shapes: triplet_index [2, T] (inner and outer doublet), scores [T], edge_index [2, E] -> int64 [hits].
    """
    doublets = edge_index.shape[1]
    chains, worth = best_paths(triplet_index, scores, doublets, cut, follow, min_hits - 1)
    chains = numbered(chains, min_hits - 1)
    used = np.flatnonzero(chains >= 0)
    hit, chain, value = edge_index[:, used].ravel(), np.tile(chains[used], 2), np.tile(worth[used], 2)
    order = np.lexsort((chain, -value, hit))
    first = order[starts(hit[order])]
    labels = np.full(hits, -1, dtype=np.int64)
    labels[hit[first]] = chain[first]
    return numbered(labels, min_hits)


def numbered(labels: Ints, min_hits: int = 1) -> Ints:
    """Number the labels 0, 1, … in their order, without those of too few hits. Shapes: [N] -> int64 [N].

    >>> numbered(np.array([7, -1, 7, 3]), 2).tolist()
    [0, -1, 0, -1]
    """
    names, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    good = (names >= 0) & (sizes >= min_hits)
    return np.where(good, np.cumsum(good) - 1, -1)[place]


def apart(labels: Sequence[Ints]) -> Ints:
    """Join the labels of several graphs so that those of different ones differ.

    >>> apart([np.array([0, 1]), np.array([-1, 0])]).tolist()
    [0, 1, -1, 2]
    """
    before = np.cumsum([0, *(int(graph_labels.max(initial=-1)) + 1 for graph_labels in labels)])
    parts = [np.where(graph_labels < 0, -1, graph_labels + n) for graph_labels, n in zip(labels, before, strict=False)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def best_paths(
    edge_index: Ints, scores: Floats, nodes: int, cut: float, follow: float, min_nodes: int
) -> tuple[Ints, Floats]:
    """Paths through a directed graph, each node in one of them; see `walk_through`.

    Returns
    -------
    labels : int64 [nodes]
        Path of each node, -1 for none; a node without edges is a path of its own.
    worth : [nodes]
        Sum of the scores of that path.
    """
    accepted = scores >= cut
    (start, end), score = edge_index[:, accepted], scores[accepted].astype(np.float64)
    group = groups(edge_index[:, accepted], nodes)
    simple = _simple(start, end, group)
    labels = np.where(simple[group], group, -1)
    worth: Floats = np.bincount(group[start], score, minlength=len(simple)).astype(np.float64)[group]
    tried = _followed(start, end, score, follow) & ~simple[group[start]]
    paths = _Paths(start[tried], end[tried], score[tried])
    for number, (value, path) in enumerate(paths.best_first(min_nodes)):
        labels[path] = len(simple) + number
        worth[path] = value
    return labels, worth


def groups(edge_index: Ints, nodes: int) -> Ints:
    """Connected component of each node."""
    ones = np.ones(edge_index.shape[1], dtype=np.int8)
    matrix = coo_array((ones, (edge_index[0], edge_index[1])), shape=(nodes, nodes))
    group: Ints = connected_components(matrix, directed=False)[1].astype(np.int64)
    return group


def _simple(start: Ints, end: Ints, group: Ints) -> Bools:
    """Components that are one path, or ring, without a branch. Shapes: -> bool [components]."""
    sizes = np.bincount(group)
    forked = (np.bincount(start, minlength=len(group)) > 1) | (np.bincount(end, minlength=len(group)) > 1)
    branches = np.bincount(group, forked, minlength=len(sizes)) > 0
    return ~branches


def _followed(start: Ints, end: Ints, score: Floats, follow: float) -> Bools:
    """Edges that a walk may take: all good ones, and the best one of each node."""
    order = np.lexsort((end, -score, start))
    tried = score >= follow
    tried[order[starts(start[order])]] = True
    return tried


def starts(values: Ints) -> Ints:
    """Places where a new value begins in a sorted array."""
    return np.flatnonzero(np.diff(values, prepend=-1))


class _Paths:
    """The best paths of a directed graph, one after the other.

    `value[v]` is the worth of the best path from v on, `next[v]` the edge it begins with (-1: it ends there). Taking a
    path lowers values of nodes before it; they are corrected when they come to the top of the queue, not before.
    """

    def __init__(self, start: Ints, end: Ints, score: Floats) -> None:
        self.nodes, place = np.unique(np.concatenate([start, end]), return_inverse=True)
        start, end = place[: len(start)], place[len(start) :]
        order = np.lexsort((end, -score, start))
        count = len(self.nodes)
        self.first: list[int] = np.searchsorted(start[order], np.arange(count + 1)).tolist()
        self.end: list[int] = end[order].tolist()
        self.score: list[float] = score[order].tolist()
        self.free = [True] * count
        self.value, self.next = [0.0] * count, [-1] * count
        self._outside_in()

    def _outside_in(self) -> None:
        """Give each node its value after those that its edges lead to; an edge that closes a circle is dropped."""
        place, opened, done = self.first[:-1].copy(), [False] * len(self.nodes), [False] * len(self.nodes)
        self.dropped = set[int]()
        for root in range(len(self.nodes)):
            stack = [] if opened[root] else [root]
            while stack:
                node = stack[-1]
                opened[node] = True
                edge = place[node]
                if edge == self.first[node + 1]:
                    self._update(node)
                    done[node] = True
                    stack.pop()
                    continue
                place[node] += 1
                if not opened[self.end[edge]]:
                    stack.append(self.end[edge])
                elif not done[self.end[edge]]:
                    self.dropped.add(edge)

    def _update(self, node: int) -> None:
        """Choose the best edge to a free node."""
        value, best = 0.0, -1
        for edge in range(self.first[node], self.first[node + 1]):
            end = self.end[edge]
            # A path that ends here is worth less than one more step, even if that has the score 0.
            if self.free[end] and edge not in self.dropped and (best < 0 or self.score[edge] + self.value[end] > value):
                value, best = self.score[edge] + self.value[end], edge
        self.value[node], self.next[node] = value, best

    def _path(self, node: int) -> list[int]:
        """Nodes of the best path from a free node on."""
        path = [node]
        while True:
            edge = self.next[path[-1]]
            if edge >= 0 and not self.free[self.end[edge]]:
                self._update(path[-1])
                edge = self.next[path[-1]]
            if edge < 0:
                return path
            path.append(self.end[edge])

    def _worth(self, path: list[int]) -> float:
        """Sum of the scores, added in the order in which values are: equal ones are equal to the last bit."""
        worth = 0.0
        for node in reversed(path[:-1]):
            worth = self.score[self.next[node]] + worth
        return worth

    def best_first(self, min_nodes: int) -> Iterator[tuple[float, Ints]]:
        """Take paths until none is left: worth and nodes of each."""
        queue = [(-value, node) for node, value in enumerate(self.value)]
        heapq.heapify(queue)
        while queue:
            promised, node = heapq.heappop(queue)
            if not self.free[node]:
                continue
            path = self._path(node)
            worth = self._worth(path)
            if worth < -promised:
                for doublet in reversed(path):
                    self._update(doublet)
                heapq.heappush(queue, (-self.value[node], node))
            elif len(path) >= min_nodes:
                for doublet in path:
                    self.free[doublet] = False
                yield worth, self.nodes[path]
