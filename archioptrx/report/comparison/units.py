"""Units of the bootstrap: events; where there are few of them, their graphs (φ sectors) or parts of those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.storage.graph_views import Facts, facts_of
from archioptrx.tasks.binary import Rows

LEAST = 6
"""Least number of units: fewer give no reliable spread, see the coverage in docs/report_statistics.md."""
BLOCKS = 16
"""Parts that all graphs together are divided into where there are fewer graphs than `LEAST`."""

EVENTS, GRAPHS, PARTS = "events", "graphs", "φ parts of the graphs"


@dataclass(frozen=True)
class Units:
    """Bootstrap units of graphs.

    Attributes
    ----------
    kind
        `EVENTS`, `GRAPHS` or `PARTS`; empty: there are none.
    of_graph
        First unit of each graph; it has `parts` of them.
    number, parts
        Units in all; units per graph, 1 unless the graphs are divided.
    """

    kind: str
    of_graph: tuple[int, ...]
    number: int
    parts: int = 1

    def of_rows(self, place: int, graph: HitGraph, rows: Rows) -> NDArray[np.int64]:
        """Unit of each row of a graph. Shapes: -> [R].

        The parts of a graph hold equally many rows, by the φ of their inner hits.
        """
        first, count = self.of_graph[place], graph[rows.index].shape[1]
        if self.parts == 1:
            return np.full(count, first, dtype=np.int64)
        inner, _ = rows.hits(graph)
        rank = np.empty(count, dtype=np.int64)
        rank[np.argsort(graph.x[inner, 1].numpy(), kind="stable")] = np.arange(count)
        units: NDArray[np.int_] = first + rank * self.parts // max(1, count)
        return units


def events_of(graphs: Sequence[HitGraph]) -> list[str]:
    """Names of the events, in the order of their first graphs."""
    return list(dict.fromkeys(facts.event for facts in facts_of(graphs)))


def scored_graphs(graphs: Sequence[HitGraph], rows: Rows | None) -> list[Facts]:
    """Facts of the graphs that have something to score: rows that count, or hits; `rows`: see `units_of`."""
    facts = facts_of(graphs)
    if rows is None:
        return [of_graph for of_graph in facts if of_graph.hits]
    return [of_graph for of_graph, graph in zip(facts, graphs, strict=True) if bool(rows.counted(graph).any())]


def units_of(graphs: Sequence[HitGraph], rows: Rows | None) -> Units:
    """Choose the largest kind of unit of which there are enough, without those that have nothing to score.

    Parameters
    ----------
    rows
        Rows that are scored one by one, so that a graph may be divided. None: a graph is scored as a whole.
    """
    events = {name: place for place, name in enumerate(events_of(graphs))}
    scored = scored_graphs(graphs, rows)
    if len({facts.event for facts in scored}) >= LEAST:
        return Units(EVENTS, tuple(events[facts.event] for facts in facts_of(graphs)), len(events))
    if len(scored) >= LEAST:
        return Units(GRAPHS, tuple(range(len(graphs))), len(graphs))
    if rows is None or not scored:
        return Units("", (), 0)
    parts = -(-BLOCKS // len(scored))
    return Units(PARTS, tuple(range(0, parts * len(graphs), parts)), parts * len(graphs), parts)
