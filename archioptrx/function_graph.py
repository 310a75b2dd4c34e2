"""The function graph: the bipartite digraph of typed data and function nodes that is the search space."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import networkx as nx
import yaml

from archioptrx.core.config import Fields, bundled, finish, read_yaml
from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.signatures import DOMAINS, SIGNATURES, Choice, Hyperparameter, Signature, Width

MERGES = ("add", "concat")
OF_TARGET = "target."
"""Begins the symbol for the width of one of several targets."""


@dataclass(frozen=True)
class DataNode:
    """A typed place.

    Attributes
    ----------
    name, domain
        `node`, `edge`, `triplet` or `graph`: what a value has one row for.
    width
        A number of channels, a Hyperparameter, `"target"` (as wide as the task asks; `"target.NAME"`, as it asks for
        one of several targets), or None: inferred from the functions that produce it; of a source: taken from the data
        set.
    field
        The data set's field that fills a source (`x`, `edge_attr` …); None for all others.
    merge
        How a branch may arrive here: `add`, `concat` (followed by a projection to this node's width).
    """

    name: str
    domain: str
    width: int | str | Hyperparameter | None = None
    field: str | None = None
    merge: tuple[str, ...] = ("add",)


@dataclass(frozen=True)
class FunctionNode:
    """A typed operation.

    Attributes
    ----------
    name, block, inputs, output
        The building block and the data nodes that it connects, inputs in order.
    params
        Sorted pairs; a value is a literal, a Hyperparameter (one value per candidate) or a Choice (one per step).
    weights
        `own`: each step has weights of its own; `shared`: all steps of this function share one set.
    per_pass
        In a loop every pass has weights of its own.
    weight
        How much the random walk prefers this function; relative.
    """

    name: str
    block: str
    inputs: tuple[str, ...]
    output: str
    params: tuple[tuple[str, Any], ...] = ()
    weights: str = "own"
    per_pass: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", tuple(sorted((k, frozen(v)) for k, v in dict(self.params).items())))

    @property
    def signature(self) -> Signature:
        """The type of the block."""
        return SIGNATURES[self.block]

    def variants(self) -> Iterator[dict[str, Any]]:
        """All parameter sets that the choices allow, complete with defaults."""
        complete = self.signature.complete(dict(self.params))
        options = [value.options if isinstance(value, Choice) else (value,) for value in complete.values()]
        for values in itertools.product(*options):
            yield dict(zip(complete, values, strict=True))


def frozen(value: Any) -> Any:
    """A hashable form of a parameter's value: mappings become sorted pairs, lists tuples."""
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), frozen(inner)) for key, inner in value.items()))
    return tuple(frozen(inner) for inner in value) if isinstance(value, list) else value


@dataclass(frozen=True)
class FunctionGraph:
    """A checked function graph; building one with a fault raises InputError with every fault, one line each.

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
        from archioptrx.function_graph_check import faults

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
        """Functions by the data node that they give."""
        return {n.name: tuple(f for f in self.functions if f.output == n.name) for n in self.data}

    @cached_property
    def consumers(self) -> dict[str, tuple[FunctionNode, ...]]:
        """Functions by the data node that they take."""
        return {n.name: tuple(f for f in self.functions if n.name in f.inputs) for n in self.data}

    @cached_property
    def width(self) -> dict[str, Width]:
        """The symbolic width of each data node, declared or inferred; a source's is a symbol of its name."""
        widths = {name: Width.of(name) for name in self.sources}
        for node in self.data:
            if node.name not in widths and node.width is not None:
                widths[node.name] = Width.of(node.width)
        changed = True
        while changed:  # each round infers at least one more, so this ends
            changed = False
            for function in self.functions:
                if function.output in widths or not all(name in widths for name in function.inputs):
                    continue
                inputs = tuple(widths[name] for name in function.inputs)
                width = function.signature.width(inputs, next(function.variants()))
                if width is not None:
                    widths[function.output] = width
                    changed = True
        return widths

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
        """Identity of the content, file name and comments apart."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_networkx(self) -> nx.DiGraph[Any]:
        """The bipartite digraph: data and function nodes (attribute `kind`), arrows with their input slot."""
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
            "data": {node.name: _node_form(node) for node in self.data},
            "functions": {function.name: _function_form(function) for function in self.functions},
            "sources": list(self.sources),
            "targets": list(self.targets),
        }

    def to_yaml(self) -> str:
        """The YAML form as text."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    @staticmethod
    def from_dict(content: object, place: str = "function graph") -> FunctionGraph:
        """Build from the YAML form; `place` (a file's name) begins each line of an error."""
        faults: list[str] = []
        top = Fields(content, place, faults)
        name = top.take("name", str)
        data = _parse_nodes(top.inside("data"))
        functions = _parse_functions(top.inside("functions"))
        sources, targets = (_names(top, key) for key in ("sources", "targets"))
        top.rest()
        if faults:
            raise InputError(*faults)
        return FunctionGraph(name, data, functions, sources, targets, place)

    @staticmethod
    def load(name: str | Path) -> FunctionGraph:
        """Read a bundled function graph by its name, or any by its path."""
        path = bundled("function_graphs", name)
        return FunctionGraph.from_dict(read_yaml(path), str(path))

    def with_functions(self, *functions: FunctionNode) -> FunctionGraph:
        """A copy with further functions."""
        return replace(self, functions=self.functions + functions)


def _symbol_form(value: Any) -> Any:
    if isinstance(value, Hyperparameter):
        return {"hyperparameter": value.name}
    if isinstance(value, Choice):
        return {"choice": [_symbol_form(option) for option in value.options]}
    if isinstance(value, tuple):  # what `frozen` made of a mapping
        return {key: _symbol_form(inner) for key, inner in value}
    return value


def width_form(width: int | str | Hyperparameter) -> Any:
    """A width as YAML has it."""
    if isinstance(width, str) and width.startswith(OF_TARGET):
        return {"target": width.removeprefix(OF_TARGET)}
    return _symbol_form(width)


def _node_form(node: DataNode) -> dict[str, Any]:
    form: dict[str, Any] = {"domain": node.domain}
    if node.width is not None:
        form["width"] = width_form(node.width)
    if node.field is not None:
        form["field"] = node.field
    if node.merge != ("add",):
        form["merge"] = list(node.merge)
    return form


def _function_form(function: FunctionNode) -> dict[str, Any]:
    form: dict[str, Any] = {
        "block": function.block,
        "inputs": list(function.inputs),
        "output": function.output,
    }
    if function.params:
        form["params"] = {key: _symbol_form(value) for key, value in function.params}
    if function.weights != "own":
        form["weights"] = function.weights
    if function.per_pass:
        form["per_pass"] = True
    if function.weight != 1:
        form["weight"] = function.weight
    return form


def _names(fields: Fields, key: str) -> tuple[str, ...]:
    names = fields.take(key, list)
    if not all(isinstance(name, str) for name in names or ()):
        fields.fault(key, f"is {names!r}; legal: a list of names of data nodes")
        return ()
    return tuple(names or ())


def _symbol(value: Any, fields: Fields, key: str) -> Any:
    if not isinstance(value, Mapping) or not {"hyperparameter", "choice"} & set(value):
        return value
    inner = Fields(value, fields.at(key), fields.faults)
    if "hyperparameter" in value:
        name = inner.take("hyperparameter", str)
        inner.rest()
        return Hyperparameter(str(name))
    options = inner.take("choice", list) or []
    inner.rest()
    if not options:
        inner.fault("choice", "is empty; legal: a list of values")
    return Choice(tuple(frozen(_symbol(option, inner, "choice")) for option in options))


def _parse_nodes(section: Fields) -> tuple[DataNode, ...]:
    nodes = []
    for name in section.content:
        fields = section.inside(name)
        domain = fields.take("domain", str, choices=DOMAINS)
        merge = fields.take("merge", list, ["add"])
        for way in merge:
            if way not in MERGES:
                fields.fault("merge", f"has {way!r}; {did_you_mean(way, MERGES)}")
        node = DataNode(name, domain or "node", _parse_width(fields), fields.take("field", str, None), tuple(merge))
        fields.rest()
        nodes.append(node)
    return tuple(nodes)


def _parse_width(fields: Fields) -> Any:
    width = fields.take("width", (int, str, dict), None, choices=("target",), minimum=1)
    if isinstance(width, dict) and "target" in width:
        inner = Fields(width, fields.at("width"), fields.faults)
        name = inner.take("target", str)
        inner.rest()
        return f"{OF_TARGET}{name}"
    form = _symbol(width, fields, "width")
    if isinstance(form, dict | Choice):
        fields.fault(
            "width", f"is {width!r}; legal: a whole number, target, {{target: NAME}}, {{hyperparameter: NAME}}"
        )
        return None
    return form


def _parse_functions(section: Fields) -> tuple[FunctionNode, ...]:
    functions = []
    for name in section.content:
        fields = section.inside(name)
        params = fields.inside("params", {})
        function = FunctionNode(
            name,
            block=fields.take("block", str, choices=SIGNATURES) or "",
            inputs=_names(fields, "inputs"),
            output=fields.take("output", str) or "",
            params=tuple((key, _symbol(value, params, key)) for key, value in params.content.items()),
            weights=fields.take("weights", str, "own", choices=("own", "shared")),
            per_pass=fields.take("per_pass", bool, False),
            weight=fields.take("weight", float, 1.0, minimum=0),
        )
        fields.rest()
        functions.append(function)
    return tuple(functions)
