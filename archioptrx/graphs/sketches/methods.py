"""The methods that a sketch's layers may name."""

from __future__ import annotations

from archioptrx.core.errors import did_you_mean
from archioptrx.graphs.signatures.convolutions import CONVOLUTIONS as LIBRARY

TYPES = ("node", "edge", "graph")
SOURCES = {
    "hits": ("node", "x"),
    "place": ("node", "pos"),
    "learned": ("node", "embedding"),
    "doublet": ("edge", "edge_attr"),
}
"""Domain and field of each source of the data set, by its name in a sketch."""
INPUT = {"node": "hits", "edge": "doublet"}
"""The value of a type before any layer of it has run."""
SHORTCUTS = {"shortcut_concatenation": "concat", "shortcut_addition": "add", "shortcut_gru": "gru"}
"""Blocks that join a value with an earlier one of its type."""
AGGREGATIONS = {"node": ("agg", "sum", "mean", "max", "std", "softmax"), "graph": ("agg", "sum", "mean", "max")}
"""Methods that bring the values of the rung above to hits, and those of hits or doublets to the event."""
ABOVE = {"node": "edge", "graph": "node"}
"""The type that an aggregation reads where it names no layer."""
CONVOLUTIONS = {
    "node": ("attention", *AGGREGATIONS["node"], *SHORTCUTS, "unpool"),
    "edge": ("end_concatenation", *SHORTCUTS),
    "graph": (*AGGREGATIONS["graph"], *SHORTCUTS),
}
SMALLER = {"topk": ("ratio",), "edge": (), "diff": ("clusters",)}
"""Poolings that make a smaller graph, with their options."""
POOLINGS = {"node": (*AGGREGATIONS["graph"], *SMALLER), "edge": AGGREGATIONS["node"], "graph": ()}


BUILDABLE = tuple(name for name, facts in LIBRARY.items() if not facts.reason)
"""Convolutions of torch_geometric.nn that a node layer may have."""


def is_of_library(method: str) -> bool:
    """Whether a method is a convolution of torch_geometric.nn."""
    return method in LIBRARY


def convolution_fault(kind: str, method: str) -> str | None:
    """Fault of a method of convolution; None: it is known."""
    own = CONVOLUTIONS[kind]
    if method in own or (kind == "node" and is_of_library(method)):
        return None
    if kind != "node":
        return f"is {method!r}; {did_you_mean(method, own)}"
    meant = did_you_mean(method, [*own, *BUILDABLE]).partition(" (did you mean")[1:]
    # Whoever writes a class name wants to see those; anybody else the short list.
    if method[:1].isupper():
        return f"is {method!r}, no convolution of torch_geometric.nn; {did_you_mean(method, BUILDABLE)}"
    few = (
        f"allowed: {', '.join(sorted(own))}, or a convolution of torch_geometric.nn by its class name, such as GATConv"
    )
    return f"is {method!r}; {few}{''.join(meant)}"


def pooling_fault(kind: str, method: str) -> str | None:
    """Fault of a method of pooling; None: it is known."""
    known = POOLINGS[kind]
    if not known:
        return f"is {method!r}; a value of the whole event can't be pooled, leave it out"
    return None if method in known else f"is {method!r}; {did_you_mean(method, known)}"
