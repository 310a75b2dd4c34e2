"""Graphs that are made when they are asked for: the rest of the program sees an ordinary sequence of hit graphs.

What needs no content (events, numbers of edges, digests) has functions here, which ask a view for what it knows and
look at the graphs themselves where they are in memory.
"""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, overload

from archioptrx.data.hitgraph import HitGraph, batch_graphs, graph_digest


class Facts(NamedTuple):
    """Facts of a graph without its content: event, φ sector, number of hits, number of edges."""

    event: str
    sector: int
    hits: int
    edges: int


class Graphs(Sequence[HitGraph]):
    """A sequence that holds no content: each access makes the graph anew. A slice is a view again. Cheap to pickle."""

    @overload
    def __getitem__(self, place: int) -> HitGraph: ...
    @overload
    def __getitem__(self, place: slice) -> Graphs: ...
    def __getitem__(self, place: int | slice) -> HitGraph | Graphs:
        places = range(len(self))
        return self.take(places[place]) if isinstance(place, slice) else self.graph(places[place])

    @abstractmethod
    def graph(self, place: int) -> HitGraph:
        """Make one graph; the place is 0 … len - 1."""

    @abstractmethod
    def take(self, places: Sequence[int]) -> Graphs:
        """View of the graphs at some places, in that order."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes that all of them would take in memory, about."""

    @abstractmethod
    def facts(self, place: int) -> Facts:
        """Look a graph up without making it."""

    def digest(self, place: int) -> bytes:
        """See `graph_digest`."""
        return graph_digest(self.graph(place))


class Changed(Graphs):
    """Graphs of another view, each changed by a function that leaves the number of its hits and edges."""

    def __init__(self, graphs: Graphs, change: Callable[[HitGraph], HitGraph]) -> None:
        self.graphs, self.change = graphs, change

    def __len__(self) -> int:
        return len(self.graphs)

    def graph(self, place: int) -> HitGraph:
        """Make and change one graph."""
        return self.change(self.graphs.graph(place))

    def take(self, places: Sequence[int]) -> Changed:
        """View of the graphs at some places."""
        return Changed(self.graphs.take(places), self.change)

    @property
    def size(self) -> int:
        """Sizes before the change."""
        return self.graphs.size

    def facts(self, place: int) -> Facts:
        """Facts of the graph before the change."""
        return self.graphs.facts(place)


class Joined(Sequence[HitGraph]):
    """Batches of so many graphs of a view, in order, joined when they are asked for."""

    def __init__(self, graphs: Graphs, size: int) -> None:
        self.graphs, self.size = graphs, size

    def __len__(self) -> int:
        return -(-len(self.graphs) // self.size)

    @overload
    def __getitem__(self, place: int) -> HitGraph: ...
    @overload
    def __getitem__(self, place: slice) -> list[HitGraph]: ...
    def __getitem__(self, place: int | slice) -> HitGraph | list[HitGraph]:
        if isinstance(place, slice):
            return [self[k] for k in range(len(self))[place]]
        first = range(len(self))[place] * self.size
        return batch_graphs(list(self.graphs[first : first + self.size]))


def in_memory(graphs: Sequence[HitGraph], limit: int) -> Sequence[HitGraph]:
    """Read a view of at most so many bytes into memory; everything else stays as it is."""
    if not isinstance(graphs, Graphs) or graphs.size > limit:
        return graphs
    return tuple(pickle.loads(pickle.dumps(graph)) for graph in graphs)  # a pickled graph is a copy


def facts_of(graphs: Sequence[HitGraph]) -> list[Facts]:
    """Event, sector and sizes of each graph."""
    if isinstance(graphs, Graphs):
        return [graphs.facts(place) for place in range(len(graphs))]
    return [Facts(g.event, g.sector, len(g.x), g.num_edges) for g in graphs]


def digests_of(graphs: Sequence[HitGraph]) -> list[bytes]:
    """Digest of each graph's content, see `graph_digest`."""
    if isinstance(graphs, Graphs):
        return [graphs.digest(place) for place in range(len(graphs))]
    return [graph_digest(g) for g in graphs]


def taken(graphs: Sequence[HitGraph], places: Sequence[int]) -> Sequence[HitGraph]:
    """Graphs at some places, in that order."""
    return graphs.take(places) if isinstance(graphs, Graphs) else tuple(graphs[k] for k in places)


def changed(graphs: Sequence[HitGraph], change: Callable[[HitGraph], HitGraph]) -> Sequence[HitGraph]:
    """Change each graph: now those in memory, when they are asked for those of a view.

    Parameters
    ----------
    change
        Function that leaves the number of hits and edges: a module's function or a `partial` of one, so that a view can
        be pickled.
    """
    return Changed(graphs, change) if isinstance(graphs, Graphs) else tuple(change(g) for g in graphs)
