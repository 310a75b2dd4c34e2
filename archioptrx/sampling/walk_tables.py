"""Tables that the walk looks up: the names, types and functions of a function graph as numbers, made once a space."""

from __future__ import annotations

from dataclasses import dataclass

from archioptrx.graphs.computation_graph import name_stems
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.signatures import POOLED
from archioptrx.graphs.steps import DataType
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.shortest_plans import Function, Plans, functions_of


@dataclass(frozen=True, eq=False)
class WalkTables:
    """A function graph and a search space, ready for the walk. Data nodes are numbered in the order of the graph.

    Attributes
    ----------
    function_graph, search_space
        Function graph and search space of the tables.
    functions, plans
        Function nodes with numbers instead of names; plans, with a memory of the costs that were computed.
    names, number
        Name of each data node, by number; number of each data node, by name.
    stems
        First part of the names of values, before the age (`x` of `x0`), by data node.
    merges
        Ways in which a branch may be merged (`add`, `concat`), by data node.
    pooled
        Whether values lie on a smaller graph, by data node.
    targets
        Numbers of the targets, in order.
    types
        Data types of the values, sources first.
    """

    function_graph: FunctionGraph
    search_space: SearchSpace
    functions: tuple[Function, ...]
    plans: Plans
    names: tuple[str, ...]
    number: dict[str, int]
    stems: tuple[str, ...]
    merges: tuple[tuple[str, ...], ...]
    pooled: tuple[bool, ...]
    targets: tuple[int, ...]
    types: tuple[DataType, ...]

    @classmethod
    def of(cls, function_graph: FunctionGraph, search_space: SearchSpace) -> WalkTables:
        """Compute the tables."""
        functions, nodes = functions_of(function_graph), function_graph.data
        names = tuple(node.name for node in nodes)
        number = {name: i for i, name in enumerate(names)}
        sources = [function_graph.node[name] for name in function_graph.sources]
        return cls(
            function_graph=function_graph,
            search_space=search_space,
            functions=functions,
            plans=Plans(functions),
            names=names,
            number=number,
            stems=tuple(name_stems(function_graph.sources, names).values()),
            merges=tuple(node.merge for node in nodes),
            pooled=tuple(node.domain == POOLED for node in nodes),
            targets=tuple(number[name] for name in function_graph.targets),
            types=tuple(
                DataType(node.name, node.domain, function_graph.width[node.name], node.field)
                for node in [*sources, *(node for node in nodes if node not in sources)]
            ),
        )
