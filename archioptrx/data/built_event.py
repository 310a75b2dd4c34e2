"""Result of building the graphs of one event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archioptrx.data.hitgraph import HitGraph


@dataclass(frozen=True)
class BuiltEvent:
    """The graphs that were built of one event.

    Attributes
    ----------
    graphs
        Graph of the event, or of each sector.
    counts
        Numbers that are added over all events: `true_edges`, `kept_edges` …
    truth
        True: the event's files have the truth of edges. Else `y` is 0 for all.
    """

    graphs: tuple[HitGraph, ...]
    counts: Mapping[str, float] = field(default_factory=dict)
    truth: bool = True
