"""The function graph: the bipartite digraph of typed data and function nodes that is the search space."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from archioptrx.core.config import Fields, bundled, finish, read_yaml
from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.core.reading import reading
from archioptrx.graphs.literals import thawed, value_text
from archioptrx.graphs.nodes import (
    DataNode,
    FunctionNode,
    function_form,
    node_form,
    parse_functions,
    parse_names,
    parse_nodes,
)
from archioptrx.graphs.signatures import POOLED, SIGNATURES, Choice, Hyperparameter, Kind, Width

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class FunctionGraph:
    """A checked function graph: a search space of architectures.

    Attributes
    ----------
    name
        Name in messages and files.
    data, functions
        The nodes, in the order of the file.
    sources
        Names of the data nodes that the data set fills.
    targets
        Names of the data nodes that the task trains and scores.
    place
        File that it was read from, for messages; no part of equality.

    Raises
    ------
    InputError
        All faults, one line each.

    Examples
    --------

    >>> graph = FunctionGraph(
    ...     name="tiny",
    ...     data=(DataNode("hits", "node", field="x"), DataNode("score", "edge", "target")),
    ...     functions=(FunctionNode("edge_net", "mlp", ("hits",), "score"),),
    ...     sources=("hits",),
    ...     targets=("score",),
    ... )
    >>> str(graph.width["score"])
    'target'
    """

    name: str
    data: tuple[DataNode, ...]
    functions: tuple[FunctionNode, ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    place: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        place = self.place or f"function graph {self.name}"
        finish([f"{place}: {fault}" for fault in faults(self)])

    @cached_property
    def node(self) -> dict[str, DataNode]:
        """Data nodes by name."""
        return {node.name: node for node in self.data}

    @cached_property
    def function(self) -> dict[str, FunctionNode]:
        """Function nodes by name."""
        return {function.name: function for function in self.functions}

    @cached_property
    def producers(self) -> dict[str, tuple[FunctionNode, ...]]:
        """Functions by the data node of their output."""
        return {n.name: tuple(f for f in self.functions if f.output == n.name) for n in self.data}

    @cached_property
    def consumers(self) -> dict[str, tuple[FunctionNode, ...]]:
        """Functions by the data nodes of their inputs."""
        return {n.name: tuple(f for f in self.functions if n.name in f.inputs) for n in self.data}

    @cached_property
    def width(self) -> dict[str, Width]:
        """Symbolic width of each data node, declared or inferred; the width of a source is a symbol of its name."""
        return _widths(self, self.functions)

    @cached_property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names of all hyperparameters that widths or parameters refer to, sorted."""
        names = {n.width.name for n in self.data if isinstance(n.width, Hyperparameter)}
        for function in self.functions:
            for parameters in function.variants():
                values = dict(function.signature.relevant(parameters)).values()
                names.update(value.name for value in values if isinstance(value, Hyperparameter))
        return tuple(sorted(names))

    @cached_property
    def digest(self) -> str:
        """Hash of the content without file name and comments: 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_networkx(self) -> nx.DiGraph[Any]:
        """The bipartite digraph, with attribute `kind` of nodes (`data`, `function`) and `slot` of arrows to functions.

        A data node is its name, a function node a tuple of its name.
        """
        import networkx as nx  # here, because it takes longer than all else that a walk imports

        graph: nx.DiGraph[Any] = nx.DiGraph(name=self.name)
        graph.add_nodes_from((node.name, {"kind": "data", "domain": node.domain}) for node in self.data)
        for function in self.functions:
            graph.add_node((function.name,), kind="function", block=function.block)
            for slot, name in enumerate(function.inputs):
                graph.add_edge(name, (function.name,), slot=slot)
            graph.add_edge((function.name,), function.output)
        return graph

    def to_dict(self) -> dict[str, Any]:
        """The YAML form as plain data; `from_dict` inverts it."""
        return {
            "name": self.name,
            "data": {node.name: node_form(node) for node in self.data},
            "functions": {function.name: function_form(function) for function in self.functions},
            "sources": list(self.sources),
            "targets": list(self.targets),
        }

    def to_yaml(self) -> str:
        """The YAML form as text."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    @staticmethod
    def from_dict(content: object, place: str = "function graph") -> FunctionGraph:
        """Build from the YAML form; `place` (a file's name) begins each line of an error.

        Raises
        ------
        InputError
            All faults, one line each.
        """
        faults: list[str] = []
        top = Fields(content, place, faults)
        name = top.take("name", str)
        data = parse_nodes(top.inside("data"))
        functions = parse_functions(top.inside("functions"))
        sources, targets = (parse_names(top, key) for key in ("sources", "targets"))
        top.rest()
        if faults:
            raise InputError(*faults)
        return FunctionGraph(name, data, functions, sources, targets, place)

    @staticmethod
    def load(name: str | Path) -> FunctionGraph:
        """Read a bundled function graph by its name, or any by its path.

        Raises
        ------
        InputError
            There is no such file, or it has faults: one line each.
        """
        path = bundled("function_graphs", name)
        with reading(str(path)):
            return FunctionGraph.from_dict(read_yaml(path), str(path))

    def with_functions(self, *functions: FunctionNode) -> FunctionGraph:
        """A copy with further functions."""
        return replace(self, functions=self.functions + functions)


def faults(graph: FunctionGraph) -> list[str]:
    """All faults of a function graph, each as `path: what is wrong; allowed: …`.

    There are three stages: names, types, reachable data nodes. What a fault of one stage makes doubtful isn't judged
    in the next: functions with wrong names or domains, widths that follow from them, and with these what is reachable.
    """
    name_faults, known = list(_name_faults(graph)), set(graph.node)
    named = [f for f in graph.functions if f.block in SIGNATURES and {*f.inputs, f.output} <= known]
    type_faults = list(_type_faults(graph, named, bool(name_faults)))
    if name_faults or any(map(partial(_domain_fault, graph), named)):
        return name_faults + type_faults
    return type_faults + list(_reach_faults(graph))


def _widths(graph: FunctionGraph, functions: Sequence[FunctionNode]) -> dict[str, Width]:
    """Width of each data node that is declared or that follows from these functions."""
    widths = {name: Width.of(name) for name in graph.sources}
    for node in graph.data:
        if node.name not in widths and node.width is not None:
            widths[node.name] = Width.of(node.width)
    changed = True
    while changed:  # each round but the last infers one width or more, so this ends
        changed = False
        for function in functions:
            if function.output in widths or not all(name in widths for name in function.inputs):
                continue
            inputs = tuple(widths[name] for name in function.inputs)
            width = function.signature.result_width(inputs, next(function.variants()))
            if width is not None:
                widths[function.output] = width
                changed = True
    return widths


def _name_faults(graph: FunctionGraph) -> Iterator[str]:
    known = [node.name for node in graph.data]
    every = known + [f.name for f in graph.functions]
    for name in sorted({name for name in every if every.count(name) > 1}):
        yield f"{name}: stands for several nodes; allowed: one node a name"
    for name in every:
        if not name.isidentifier():
            yield f"{name!r}: is no name; allowed: letters, digits and _, not a digit first"
    for function in graph.functions:
        where = f"functions.{function.name}"
        if function.block not in SIGNATURES:
            yield f"{where}.block: is {function.block!r}; {did_you_mean(function.block, SIGNATURES)}"
        for name in (*function.inputs, function.output):
            if name not in known:
                slot = "output" if name == function.output else "inputs"
                yield f"{where}.{slot}: no data node is named {name!r}; {did_you_mean(name, known)}"
        if function.output in graph.sources:
            yield f"{where}.output: {function.output} is a source; allowed: a data node that the data set doesn't fill"
        if function.weights not in ("own", "shared"):
            yield f"{where}.weights: is {function.weights!r}; {did_you_mean(function.weights, ('own', 'shared'))}"
    for key, names in (("sources", graph.sources), ("targets", graph.targets)):
        if not names:
            yield f"{key}: is empty; allowed: one data node or more"
        for name in names:
            if name not in known:
                yield f"{key}: no data node is named {name!r}; {did_you_mean(name, known)}"
        if len(set(names)) < len(names):
            yield f"{key}: a name stands twice; allowed: each once"
    for name in sorted(set(graph.sources) & set(graph.targets)):
        yield f"targets: {name} is a source; allowed: a data node that functions produce"
    for node in graph.data:
        yield from _node_faults(graph, node)


def _node_faults(graph: FunctionGraph, node: DataNode) -> Iterator[str]:
    where, is_source = f"data.{node.name}", node.name in graph.sources
    if is_source and node.field is None:
        yield f"{where}.field: is missing; allowed: the field of the data set that fills this source (x, edge_attr …)"
    if node.domain == POOLED and node.name in (*graph.sources, *graph.targets):
        rule = "allowed for a source or target: all others, as no data set has pooled nodes"
        yield f"{where}.domain: is {POOLED}; {rule}"
    if is_source and node.width is not None:
        yield f"{where}.width: is {_width_text(node.width)}; allowed: none, as a source is as wide as its data"
    if not is_source and node.field is not None:
        yield f"{where}.field: is {node.field!r}; allowed: for sources only (add {node.name} to sources?)"
    if isinstance(node.width, str) and (name := node.width.removeprefix("target.")) not in ("target", *graph.targets):
        yield f"{where}.width: no target is named {name!r}; {did_you_mean(name, graph.targets)}"
    if isinstance(node.width, Hyperparameter) and node.width.name in (*graph.sources, "target"):
        yield f"{where}.width: the hyperparameter {node.width.name} has the name of a source or of the target's width"


def _width_text(width: object) -> str:
    return f"{{hyperparameter: {width.name}}}" if isinstance(width, Hyperparameter) else str(width)


def _type_faults(graph: FunctionGraph, functions: Sequence[FunctionNode], incomplete: bool) -> Iterator[str]:
    """Faults of the types of functions whose names are right; `incomplete`: there are others."""
    own_faults = {function.name: list(_function_faults(graph, function)) for function in functions}
    yield from itertools.chain.from_iterable(own_faults.values())
    sound = [function for function in functions if not own_faults[function.name]]
    try:
        widths = _widths(graph, sound)
    except InputError as error:  # the inference of widths met two inputs that don't fit together
        yield str(error)
        return
    for node in graph.data:
        if node.name not in widths and not incomplete and len(sound) == len(functions):
            yield (
                f"data.{node.name}.width: is missing and can't be inferred; "
                "allowed: a whole number, target, {hyperparameter: NAME}"
            )
    for function in functions:
        if function in sound:
            yield from _width_faults(graph, function, widths)
        else:
            yield from _further_faults(graph, function, widths)


def _further_faults(graph: FunctionGraph, function: FunctionNode, widths: dict[str, Width]) -> Iterator[str]:
    """Faults between the other parameters of a function, if nothing is wrong but texts and unknown names.

    These are left out. A width may depend on them and isn't judged.
    """
    wrong = {key for key, value in function.params if list(_parameter_faults(function, key, value))}
    nodes, possible = (*function.inputs, function.output), function.signature.can_leave_out(wrong)
    if _domain_fault(graph, function) or not possible or not set(nodes) <= set(widths):
        return
    usual = replace(function, params=tuple((key, value) for key, value in function.params if key not in wrong))
    kinds = [Kind(graph.node[name].domain, widths[name]) for name in nodes]
    faults = (f for variant in usual.variants() for f in usual.signature.faults_of(kinds[:-1], kinds[-1], variant))
    yield from dict.fromkeys(f"functions.{function.name}: {fault}" for fault in faults)


def _domain_fault(graph: FunctionGraph, function: FunctionNode) -> str | None:
    domains = tuple(graph.node[name].domain for name in function.inputs)
    return function.signature.type_fault(domains, graph.node[function.output].domain)


def _function_faults(graph: FunctionGraph, function: FunctionNode) -> Iterator[str]:
    """Faults of a function's domains and single parameters."""
    if fault := _domain_fault(graph, function):
        yield f"functions.{function.name}: {function.block} {fault}"
    for key, value in function.params:
        yield from _parameter_faults(function, key, value)


def _parameter_faults(function: FunctionNode, key: str, value: Any) -> Iterator[str]:
    where, known = f"functions.{function.name}", {each.name: each for each in function.signature.parameters}
    if key not in known:
        yield f"{where}.params.{key}: {function.block} has no such parameter; {did_you_mean(key, known)}"
        return
    labels = [value_text(option) for option in value.options] if isinstance(value, Choice) else []
    if len(set(labels)) < len(labels):
        yield f"{where}.params.{key}.choice: has {', '.join(labels)}; allowed: each value once"
    for option in value.options if isinstance(value, Choice) else (value,):
        if not isinstance(option, Hyperparameter) and (fault := known[key].fault(thawed(option))):
            yield f"{where}.params.{key}: {fault}"


def _width_faults(graph: FunctionGraph, function: FunctionNode, widths: dict[str, Width]) -> Iterator[str]:
    if all(name in widths for name in (*function.inputs, function.output)):
        variants = function.variants()
        faults = (fault for parameters in variants for fault in _variant_faults(graph, function, widths, parameters))
        yield from dict.fromkeys(f"functions.{function.name}: {fault}" for fault in faults)


def _variant_faults(
    graph: FunctionGraph, function: FunctionNode, widths: dict[str, Width], parameters: dict[str, Any]
) -> Iterator[str]:
    """Faults of a function with one set of parameters."""
    try:
        width = function.signature.result_width(tuple(widths[name] for name in function.inputs), parameters)
    except InputError as error:
        yield str(error)
        return
    kinds = [Kind(graph.node[name].domain, widths[name]) for name in (*function.inputs, function.output)]
    yield from function.signature.faults_of(kinds[:-1], kinds[-1], parameters)
    if width is not None and width != widths[function.output]:
        others = [f.name for f in graph.producers[function.output] if f is not function]
        also = f" (as {', '.join(others)} gives)" if others and graph.node[function.output].width is None else ""
        yield f"gives width {width}, but data node {function.output} has {widths[function.output]}{also}"


def _reach_faults(graph: FunctionGraph) -> Iterator[str]:
    least = costs(graph)
    useful = set(graph.targets)
    while grown := {n for f in graph.functions if f.output in useful for n in f.inputs} - useful:
        useful |= grown
    for node in graph.data:
        if not math.isinf(least[node.name]):
            if node.name not in useful:
                uses = [f.name for f in graph.consumers[node.name]]
                why = f"{', '.join(uses)} lead to no target" if uses else "nothing uses it"
                yield f"data.{node.name}: {why}; allowed: each data node leads to a target"
        elif node.name in graph.targets:
            yield f"targets: no walk can reach {node.name}: {_missing(graph, node.name, least)}"
        else:
            yield f"data.{node.name}: can't be made from the sources: {_missing(graph, node.name, least)}"


def costs(graph: FunctionGraph) -> dict[str, float]:
    """Number of steps, by data node, of a shortest way from the sources; infinite where there is none.

    A value that is read several times is counted each time.
    """
    least = {node.name: 0.0 if node.name in graph.sources else math.inf for node in graph.data}
    # As in the algorithm of Bellman and Ford: a shortest way passes each data node once, so as many rounds are enough.
    for _ in graph.data:
        for f in graph.functions:
            if not _needs_twice(f, graph.sources):
                least[f.output] = min(least[f.output], 1 + sum(least[name] for name in f.inputs))
    return least


def _needs_twice(f: FunctionNode, sources: tuple[str, ...]) -> bool:
    """Whether a function needs two different values of a source, which has only one."""
    return f.signature.distinct and any(f.inputs.count(name) > 1 for name in sources)


def _missing(graph: FunctionGraph, name: str, least: dict[str, float]) -> str:
    """Reasons for which no function gives a data node."""
    producers = graph.producers[name]
    if not producers:
        return "nothing produces it; allowed: a function with this output, or a source"
    lacking = itertools.chain.from_iterable(
        [f"{f.name} needs {n}" for n in dict.fromkeys(f.inputs) if math.isinf(least[n])]
        or [f"{f.name} needs two different values of a source, which has one"]
        for f in producers
    )
    return ", ".join(lacking)
