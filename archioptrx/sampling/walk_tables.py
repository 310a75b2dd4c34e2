"""Tables that the walk looks up: the names, types and functions of a function graph as numbers, made once a space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archioptrx.graphs.computation_graph import name_stems, width_symbols
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.operations import Operation, operation_of
from archioptrx.graphs.signatures import POOLED
from archioptrx.graphs.steps import DataType, Step
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.shortest_plans import Function, Plans, functions_of

Chosen = tuple[tuple[str, Any], ...]
"""Parameters chosen at a step: (name, value) pairs."""


@dataclass(frozen=True, slots=True)
class StepForm:
    """What many steps have in common.

    Attributes
    ----------
    step
        A step without inputs.
    numbered
        True: each step has weights of its own, with a number behind the name of the function.
    operation
        Its operation.
    """

    step: Step
    numbered: bool
    operation: Operation

    def with_inputs(self, inputs: tuple[int, ...], numbers: dict[str, int]) -> Step:
        """A step with inputs; `numbers` counts the weights of each name."""
        form = self.step
        weights = form.weights
        if self.numbered:
            name = weights or form.function
            number = numbers[name] = numbers.get(name, -1) + 1
            weights = f"{name}.{number}"
        return Step(form.function, form.block, inputs, form.type, form.params, weights, form.per_pass)


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
    types, kinds
        Data types of the values: sources first; by data node.
    type_order
        Numbers of the data nodes of `types`.
    forms, subsets
        Memory of `form`, and of `types_of`.
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
    kinds: tuple[DataType, ...]
    type_order: tuple[int, ...]
    forms: dict[Any, StepForm]
    subsets: dict[int, tuple[tuple[DataType, ...], frozenset[str]]]

    def types_of(self, used: int) -> tuple[tuple[DataType, ...], frozenset[str]]:
        """Data types of a set of data nodes, a bit for each, in the order of `types`; symbols of their widths.

        They are collected once.
        """
        known = self.subsets.get(used)
        if known is None:
            types = tuple(self.kinds[name] for name in self.type_order if used >> name & 1)
            sources = [name for name in self.function_graph.sources if used >> self.number[name] & 1]
            known = self.subsets[used] = types, width_symbols(types, sources)
        return known

    def form(self, f: Function | str, chosen: Chosen, name: int) -> StepForm:
        """What all steps of a function with these choices have in common, or all merges of a way and a type.

        It is made once.
        """
        key = (f if isinstance(f, str) else f.number, chosen, name)
        form = self.forms.get(key)
        if form is None:
            form = _merge_form(f, self.kinds[name]) if isinstance(f, str) else _form(f, chosen, self.kinds)
            # In a mapping, 1 and true mean different things but are equal, so that the wrong form would be found.
            if not form.operation.signature.structured:
                self.forms[key] = form
        return form

    @classmethod
    def of(cls, function_graph: FunctionGraph, search_space: SearchSpace) -> WalkTables:
        """Compute the tables."""
        functions, nodes = functions_of(function_graph), function_graph.data
        names = tuple(node.name for node in nodes)
        number = {name: i for i, name in enumerate(names)}
        kinds = tuple(DataType(node.name, node.domain, function_graph.width[node.name], node.field) for node in nodes)
        sources = [number[name] for name in function_graph.sources]
        order = (*sources, *(name for name in range(len(nodes)) if name not in sources))
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
            types=tuple(kinds[name] for name in order),
            type_order=order,
            kinds=kinds,
            forms={},
            subsets={},
        )


def _form(f: Function, chosen: Chosen, kinds: Sequence[DataType]) -> StepForm:
    node, output = f.node, kinds[f.output]
    weights = ""
    if not f.renews and node.signature.has_weights:
        # Steps that were built with other choices can't share weights.
        weights = f.name + "".join(f",{key}={value}" for key, value in chosen)
    params = tuple(sorted(f.fixed + chosen)) if chosen else f.fixed
    step = Step(f.name, node.block, (), output.name, params, weights, node.per_pass)
    return StepForm(step, f.renews, operation_of(step, tuple(kinds[name] for name in f.inputs), output))


def _merge_form(way: str, kind: DataType) -> StepForm:
    if way == "add":
        step = Step("add", "add", (), kind.name)
    else:  # the projection of the concatenation to the data node's width
        step = Step("concat", "mlp", (), kind.name, (("layers", 1),), "merge")
    return StepForm(step, way != "add", operation_of(step, (kind, kind), kind))
