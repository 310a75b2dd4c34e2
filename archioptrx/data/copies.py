"""Recognition of copies of a graph by its content: under other names, in other scales, with hits in another order.

Of an event that is divided in another way, the hits are compared, among events of one name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.storage.graph_views import facts_of, taken

TOLERANCE = 1e-4
"""Relative difference of moments that rounding may make. Single precision has 6e-8 of a coordinate, but angles between
neighbours are small differences of such."""

SAME_PLACE = 2e-6
"""Largest distance of a hit and its copy in the plane of r and z, per largest coordinate: rounding of a turned hit."""
FEWEST = 5
"""Least number of places by which two events are compared."""


@dataclass(frozen=True)
class GraphMoments:
    """Figures of a graph that are the same in all copies of it, and differ between events.

    A digest of rounded coordinates would not do: among thousands of hits, one lies where rounding may go up or down.

    Attributes
    ----------
    counts
        Numbers of hits, edges and true edges.
    moments : float64 [K]
        Roots of means of powers of z and r of the hits, and of Δz and Δφ of all edges and of the true ones; mm and rad.
    """

    counts: tuple[int, int, int]
    moments: NDArray[np.float64]

    @staticmethod
    def of(graph: HitGraph) -> GraphMoments | None:
        """Figures of a graph. None where nothing tells events apart: no positions; no edge, and no hit off z = 0."""
        if graph.get("pos") is None:
            return None
        x, y, z = graph.pos.double().numpy().T
        start, end = graph.edge_index.numpy()
        true = graph.y.numpy() > 0.5
        if not len(start) and not z.any():
            return None
        # The angle between two hits, whatever the middle of φ.
        turn = np.arctan2(x[start] * y[end] - y[start] * x[end], x[start] * x[end] + y[start] * y[end])
        rise = z[end] - z[start]
        series = (z, np.hypot(x, y), rise, turn, rise[true], turn[true])
        moments = [_moment(np.abs(values), power) for values in series for power in (1, 2, 4)]
        return GraphMoments((len(x), len(start), int(true.sum())), np.array(moments))


def _moment(values: NDArray[np.float64], power: int) -> float:
    return float(np.mean(values**power) ** (1 / power)) if len(values) else 0.0


class KnownGraphs:
    """Graphs that others are compared with."""

    def __init__(self, graphs: Iterable[HitGraph]) -> None:
        rows: dict[tuple[int, int, int], list[NDArray[np.float64]]] = {}
        for graph in graphs:
            if (figures := GraphMoments.of(graph)) is not None:
                rows.setdefault(figures.counts, []).append(figures.moments)
        self._known = {counts: np.stack(moments) for counts, moments in rows.items()}

    def holds(self, graph: HitGraph) -> bool:
        """Whether one of the graphs is a copy of this one."""
        figures = GraphMoments.of(graph)
        if figures is None or figures.counts not in self._known:
            return False
        known = self._known[figures.counts]
        near = np.abs(known - figures.moments) <= TOLERANCE * np.abs(figures.moments) + 1e-12
        return bool(near.all(axis=1).any())


def copied(graphs: Sequence[HitGraph], known: Sequence[HitGraph]) -> list[str]:
    """Events of which a graph is a copy of a known one. Only graphs of equal numbers of hits and edges are read."""
    sizes, known_sizes = ([(facts.hits, facts.edges) for facts in facts_of(some)] for some in (graphs, known))
    both = set(sizes) & set(known_sizes)
    candidates = taken(graphs, [place for place, size in enumerate(sizes) if size in both])
    compared = KnownGraphs(taken(known, [place for place, size in enumerate(known_sizes) if size in both]))
    return list(dict.fromkeys(graph.event for graph in candidates if compared.holds(graph)))


def shared_events(graphs: Sequence[HitGraph], known: Sequence[HitGraph]) -> list[str]:
    """Events that both have under one name, with more than half of the hits of the smaller one, however divided."""
    ours, theirs = _by_event(graphs), _by_event(known)
    names = [name for name in ours if name in theirs]
    return [name for name in names if _same_hits(taken(graphs, ours[name]), taken(known, theirs[name]))]


def _by_event(graphs: Sequence[HitGraph]) -> dict[str, list[int]]:
    """Places of the graphs of each event."""
    events: dict[str, list[int]] = {}
    for place, facts in enumerate(facts_of(graphs)):
        events.setdefault(facts.event, []).append(place)
    return events


def _same_hits(first: Sequence[HitGraph], second: Sequence[HitGraph]) -> bool:
    """Whether two events share more than half of the places of the smaller one in r and z, which no turn changes.

    Where most hits share their r and z with others, as in a plane, places don't tell events apart.
    """
    if any(graph.get("pos") is None for graph in (*first, *second)):
        return False
    events = [np.concatenate([graph.pos.double().numpy() for graph in graphs]) for graphs in (first, second)]
    small, large = sorted((np.column_stack([np.hypot(x, y), z]) for x, y, z in (e.T for e in events)), key=len)
    near = SAME_PLACE * max(1e-9, float(np.abs(large).max(initial=0)))
    distinct = len(np.unique(np.round(small / near), axis=0))
    if distinct < FEWEST or 2 * distinct < len(small):
        return False
    distance, _ = cKDTree(large).query(small, distance_upper_bound=near)
    return 2 * int(np.isfinite(distance).sum()) > len(small)
