"""The nodes of a function graph, and their YAML form."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archioptrx.core.config import Fields
from archioptrx.core.errors import did_you_mean
from archioptrx.graphs.literals import frozen, thawed
from archioptrx.graphs.signatures import DOMAINS, SIGNATURES, Choice, Hyperparameter, Signature

MERGES = ("add", "concat")
"""Ways in which a branch may be merged into a value."""

OF_TARGET = "target."
"""Start of the symbol for the width of one of several targets: `target.NAME`."""


@dataclass(frozen=True)
class DataNode:
    """A typed place in a function graph: a kind of values.

    Attributes
    ----------
    name
        Letters, digits and _.
    domain
        `node`, `edge`, `triplet`, `graph` or `pooled`: a value has one row for each of these.
    width
        Number of channels, a Hyperparameter, `"target"` (the width that the task needs; `"target.NAME"` for one of
        several targets), or None: inferred from the functions that produce it. A source has None, as its width is
        taken from the data set.
    field
        Field of the data set that fills a source (`x`, `edge_attr` …); None for all others.
    merge
        Ways in which a branch may be merged into a value: `add`, `concat` (followed by a projection to this width).
    """

    name: str
    domain: str
    width: int | str | Hyperparameter | None = None
    field: str | None = None
    merge: tuple[str, ...] = ("add",)


@dataclass(frozen=True)
class FunctionNode:
    """A typed operation of a function graph.

    Attributes
    ----------
    name
        Letters, digits and _.
    block, inputs, output
        Name of the building block, and names of the data nodes that it connects, inputs in order.
    params
        Sorted (name, value) pairs; a value is a literal, a Hyperparameter (one value per candidate) or a Choice (one
        per step).
    weights
        `own`: each step has weights of its own; `shared`: all steps of this function share one set.
    per_pass
        True: each pass of a loop has weights of its own.
    weight
        Prior weight of this function in the random walk, relative to the others; 0 or more.
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
        """Signature of the block."""
        return SIGNATURES[self.block]

    def variants(self) -> Iterator[dict[str, Any]]:
        """All parameter sets that the choices allow, complete with defaults."""
        complete = self.signature.complete(dict(self.params))
        options = [value.options if isinstance(value, Choice) else (value,) for value in complete.values()]
        for values in itertools.product(*options):
            yield dict(zip(complete, values, strict=True))


def symbol_form(value: Any) -> Any:
    """A parameter's value as YAML has it; `parse_symbol` inverts it."""
    if isinstance(value, Hyperparameter):
        return {"hyperparameter": value.name}
    if isinstance(value, Choice):
        return {"choice": [symbol_form(option) for option in value.options]}
    return thawed(value)


def width_form(width: int | str | Hyperparameter) -> Any:
    """A width as YAML has it."""
    if isinstance(width, str) and width.startswith(OF_TARGET):
        return {"target": width.removeprefix(OF_TARGET)}
    return symbol_form(width)


def node_form(node: DataNode) -> dict[str, Any]:
    """A data node as YAML has it, without its name; defaults are left out."""
    form: dict[str, Any] = {"domain": node.domain}
    if node.width is not None:
        form["width"] = width_form(node.width)
    if node.field is not None:
        form["field"] = node.field
    if node.merge != ("add",):
        form["merge"] = list(node.merge)
    return form


def function_form(function: FunctionNode) -> dict[str, Any]:
    """A function node as YAML has it, without its name; defaults are left out."""
    form: dict[str, Any] = {
        "block": function.block,
        "inputs": list(function.inputs),
        "output": function.output,
    }
    if function.params:
        form["params"] = {key: symbol_form(value) for key, value in function.params}
    if function.weights != "own":
        form["weights"] = function.weights
    if function.per_pass:
        form["per_pass"] = True
    if function.weight != 1:
        form["weight"] = function.weight
    return form


def parse_names(fields: Fields, key: str) -> tuple[str, ...]:
    """Read a list of names of data nodes."""
    names = fields.take(key, list)
    if not all(isinstance(name, str) for name in names or ()):
        fields.fault(key, f"is {names!r}; allowed: a list of names of data nodes")
        return ()
    return tuple(names or ())


def parse_symbol(value: Any, fields: Fields, key: str) -> Any:
    """Read a parameter's value: `{hyperparameter: NAME}`, `{choice: […]}`, or a literal, which is returned as it is."""
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
        inner.fault("choice", "is empty; allowed: a list of values")
    return Choice(tuple(frozen(parse_symbol(option, inner, "choice")) for option in options))


def parse_nodes(section: Fields) -> tuple[DataNode, ...]:
    """Read the section `data` of a function graph; faults are added to the section's list."""
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
    form = parse_symbol(width, fields, "width")
    if isinstance(form, dict | Choice):
        fields.fault(
            "width", f"is {width!r}; allowed: a whole number, target, {{target: NAME}}, {{hyperparameter: NAME}}"
        )
        return None
    return form


def parse_functions(section: Fields) -> tuple[FunctionNode, ...]:
    """Read the section `functions` of a function graph; faults are added to the section's list."""
    functions = []
    for name in section.content:
        fields = section.inside(name)
        params = fields.inside("params", {})
        function = FunctionNode(
            name,
            block=fields.take("block", str, choices=SIGNATURES) or "",
            inputs=parse_names(fields, "inputs"),
            output=fields.take("output", str) or "",
            params=tuple((key, parse_symbol(value, params, key)) for key, value in params.content.items()),
            weights=fields.take("weights", str, "own", choices=("own", "shared")),
            per_pass=fields.take("per_pass", bool, False),
            weight=fields.take("weight", float, 1.0, minimum=0),
        )
        fields.rest()
        functions.append(function)
    return tuple(functions)
