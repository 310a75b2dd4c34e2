"""Hits of an event that is divided into graphs, each once, wherever sectors overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.hitgraph import HitGraph

Ints = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class EventNodes:
    """The nodes of all graphs of an event, numbered in the order in which they first come.

    Attributes
    ----------
    numbers : for each graph int64 [N]
        Number of each of its nodes in the event.
    first : int64 [nodes of the event]
        Place of each where it first comes, among the nodes of all graphs one after the other.
    """

    numbers: tuple[Ints, ...]
    first: Ints

    @classmethod
    def of(cls, graphs: Sequence[HitGraph]) -> EventNodes:
        """Find the nodes that are one in several graphs.

        A hit is known by its name and z, as where tracks are joined (`event_tracks`): in some formats names are rows
        of a sector's file. A node of a line graph is known by the names of its hits, and its z.
        """
        sizes = [len(graph.x) for graph in graphs]
        if len(graphs) == 1:
            every = np.arange(sizes[0])
            return cls((every,), every)
        z = np.concatenate([graph.pos[:, 2].numpy() for graph in graphs]) + np.float32(0)  # -0.0 is 0.0
        hits = [graph.hit_id.unsqueeze(1) if graph.get("chain") is None else graph.chain for graph in graphs]
        names = np.column_stack([np.concatenate([of_graph.numpy() for of_graph in hits]), z.view(np.int32)])
        _, first, of = np.unique(names, axis=0, return_index=True, return_inverse=True)
        numbers = np.argsort(np.argsort(first))[of.ravel()]
        return cls(tuple(np.split(numbers, np.cumsum(sizes)[:-1])), np.sort(first))

    def of_first(self, values: Sequence[NDArray[Number]]) -> NDArray[Number]:
        """Values of the event's nodes, of those of each graph's nodes. Shapes: [N, …] of each graph -> [nodes, …]."""
        of_nodes: NDArray[Number] = np.concatenate(values)[self.first]
        return of_nodes


class EventSize(NamedTuple):
    """Numbers of hits, of edges and of true edges of an event, each once wherever its sectors overlap."""

    hits: int
    edges: int
    true: int

    @classmethod
    def of(cls, graphs: Sequence[HitGraph]) -> EventSize:
        """Count those of the graphs of one event."""
        nodes = EventNodes.of(graphs)
        ends = [of_graph[g.edge_index.numpy()] for of_graph, g in zip(nodes.numbers, graphs, strict=True)]
        every = np.concatenate(ends, axis=1)
        is_true = np.concatenate([g.y.numpy() > 0.5 for g in graphs])
        edges, true = (len(np.unique(some, axis=1).T) for some in (every, every[:, is_true]))
        return cls(len(nodes.first), edges, true)
