"""Rule for the graphs of a data set: all of them have the same fields.

A batch joins fields that all of its graphs have. A particle that is known in some files only, or truth, would be lost
without a word, or stand for noise and false edges.
"""

from __future__ import annotations

from collections.abc import Iterable

from archioptrx.data.hitgraph import HitGraph

Fields = frozenset[str]
TRUTH = "truth"
"""Name among the fields where a file has the truth of edges; `y` is there in any case."""


def fields_of(graph: HitGraph, truth: bool = True) -> Fields:
    """Names of the fields that a graph has."""
    names = {name for name, value in graph.to_dict().items() if value is not None}
    return frozenset(names | ({TRUTH} if truth else set()))


def difference(fields: Fields, first: Fields, name: str) -> str | None:
    """The difference between a graph's fields and those of the first graph, which has a name; None: there is none.

    >>> difference(frozenset({"x"}), frozenset({"x", "pid"}), "event1_g000")
    'lacks pid, which event1_g000 has; allowed: the same arrays for all events'
    """
    allowed = "allowed: the same arrays for all events"
    if missing := sorted(first - fields):
        return f"lacks {', '.join(missing)}, which {name} has; {allowed}"
    if further := sorted(fields - first):
        return f"has {', '.join(further)}, which {name} lacks; {allowed}"
    return None


def fault_of(graphs: Iterable[HitGraph]) -> str | None:
    """Fault of the first graph with other fields than those of the first one; None: there is none."""
    first: tuple[str, Fields] | None = None
    for graph in graphs:
        name, fields = f"{graph.event} sector {graph.sector}", fields_of(graph)
        first = first or (name, fields)
        if (fault := difference(fields, first[1], first[0])) is not None:
            return f"{name}: {fault}"
    return None
