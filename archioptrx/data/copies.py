"""Recognition of copies of a graph by its content: under other names, in other scales, with hits in another order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.hitgraph import HitGraph

TOLERANCE = 1e-4
"""Relative difference of moments that rounding may make. Single precision has 6e-8 of a coordinate, but angles between
neighbours are small differences of such."""


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
