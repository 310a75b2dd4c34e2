"""Columns of a function graph in a drawing: sources on the left, targets on the right, functions between."""

from __future__ import annotations

from collections.abc import Mapping

from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.nodes import FunctionNode


def columns_of(graph: FunctionGraph) -> dict[str, int]:
    """A column for each data node (even numbers) and each function (odd); functions' names in brackets.

    A function graph has cycles. Data nodes are ordered by how early they can be made, targets last; a function leads
    forward if all of its inputs come before its output. Columns follow the longest forward path; a function that
    leads back stands between what it reads and what it gives.
    """
    early = earliest(graph)
    order = sorted(early, key=lambda name: (name in graph.targets, early[name]))
    place = {name: number for number, name in enumerate(order)}
    level = dict.fromkeys(order, 0)
    forward = [f for f in graph.functions if all(place[i] < place[f.output] for i in f.inputs)]
    for name in order:
        made = [2 + max(level[i] for i in f.inputs) for f in forward if f.output == name]
        level[name] = max(made, default=0)
    last = max(level.values())
    level.update(dict.fromkeys(graph.targets, last))
    return level | {bracketed(f.name): _between(f, level) for f in graph.functions}


def bracketed(function: str) -> str:
    """A function's name as a node: a data node may have the same name."""
    return f"({function})"


def is_function(node: str) -> bool:
    """Whether a node of a drawing is a function."""
    return node.startswith("(")


def earliest(graph: FunctionGraph) -> dict[str, int]:
    """How many functions in a row it takes, at least, before each data node exists."""
    known = dict.fromkeys(graph.sources, 0)
    while True:
        new = {
            f.output: 1 + max(known[i] for i in f.inputs)
            for f in reversed(graph.functions)
            if f.output not in known and all(i in known for i in f.inputs)
        }
        if not new:
            return {node.name: known.get(node.name, len(graph.data)) for node in graph.data}
        known |= new


def _between(function: FunctionNode, level: Mapping[str, int]) -> int:
    reads, gives = max(level[name] for name in function.inputs), level[function.output]
    if gives > reads:
        return reads + 1
    return reads - 1 if gives < reads else reads + 1
