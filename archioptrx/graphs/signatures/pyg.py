"""`pyg`: convolutions of torch_geometric.nn. As plain torch the class itself, made and called as by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archioptrx.core.errors import did_you_mean
from archioptrx.graphs.literals import frozen, thawed
from archioptrx.graphs.signatures.convolutions import (
    CONVOLUTIONS,
    REQUIRED,
    START,
    WEIGHT,
    Channels,
    ConvolutionFacts,
    PerceptronWidths,
    Sizes,
)
from archioptrx.graphs.signatures.domains import Domains, Kind, Shape
from archioptrx.graphs.signatures.parameter import Parameter
from archioptrx.graphs.signatures.pyg_source import convolution_source
from archioptrx.graphs.signatures.signature import Signature
from archioptrx.graphs.signatures.width import Hyperparameter, Width

EDGE_WIDTHS = ("edge_dim", "dim", "in_edge_channels")
"""Arguments that take the width of an edge input."""
DIRECTIONS = ("both", "together", "in", "out")
INPUTS = (("node",), ("node", "edge"), ("node", "node"), ("node", "node", "edge"))


def _accepts(domains: Domains, output: str) -> str | None:
    if domains in INPUTS and output == "node":
        return None
    allowed = "; ".join(f"{' and '.join(inputs)} to node" for inputs in INPUTS)
    return f"can't take {' and '.join(domains)} to {output}; allowed: {allowed}"


def _named(conv: Any) -> tuple[Any, dict[str, Any]]:
    """Class and arguments of `CLASS` or `{CLASS: {ARGUMENT: value}}`."""
    form = thawed(conv)
    if isinstance(form, Mapping) and len(form) == 1:
        name, arguments = next(iter(form.items()))
        if isinstance(arguments, Mapping | None):
            return name, dict(arguments or {})
    return conv, {}


def _normal(parameters: dict[str, Any]) -> dict[str, Any]:
    """The class as a name and all its arguments in `arguments`, without those that have their default.

    Those beside the class come before those for all classes.
    """
    name, own = _named(parameters["conv"])
    common = thawed(parameters["arguments"])
    if not isinstance(common, Mapping):
        return parameters
    facts = CONVOLUTIONS.get(name) if isinstance(name, str) else None
    arguments = {**common, **own}
    if facts is not None:
        arguments = {key: value for key, value in arguments.items() if not _usual(facts.argument(key), value)}
    return {**parameters, "conv": name, "arguments": frozen(arguments)}


def _usual(argument: Parameter | None, value: Any) -> bool:
    """Whether an argument has its default; 1 isn't true."""
    if argument is None:
        return False
    default = argument.default
    same = type(value) is type(default) or (float in argument.types and type(value) is int)
    return same and bool(value == default)


def _irrelevant(parameters: Mapping[str, Any]) -> set[str]:
    """The squashing of weights, where the class takes none."""
    conv = parameters["conv"]
    facts = CONVOLUTIONS.get(conv) if isinstance(conv, str) else None
    return {"edge_activation"} if facts is not None and facts.edges != WEIGHT else set()


def _idle(inputs: Domains) -> set[str]:
    """The squashing of weights, where there are none."""
    return set() if "edge" in inputs else {"edge_activation"}


def _width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width | None:
    """The input's width for a class that keeps it; else any, that of the output's data node."""
    facts = CONVOLUTIONS.get(parameters["conv"]) if isinstance(parameters["conv"], str) else None
    return widths[0] if facts is not None and facts.keeps and widths else None


def _faults(inputs: Sequence[Kind], output: Kind, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Faults of class, arguments, inputs and widths."""
    conv, given = parameters["conv"], thawed(parameters["arguments"])
    if isinstance(conv, Hyperparameter) or not isinstance(given, Mapping):
        return
    if conv not in CONVOLUTIONS:
        yield f"conv: is {thawed(conv)!r}, no convolution of torch_geometric.nn; {did_you_mean(conv, _buildable())}"
        return
    facts = CONVOLUTIONS[conv]
    if facts.reason:
        yield f"conv: {conv} {facts.reason}; allowed: {', '.join(_buildable())}"
        return
    wrong = list(_argument_faults(facts, given))
    yield from (f"{conv}: {fault}" for fault in wrong)
    sizes = sizes_of(inputs, output)
    yield from (f"{conv} {fault}" for fault in _input_faults(facts, sizes))
    if not wrong:
        complete = facts.complete(given)
        yield from (f"{conv} {fault}" for fault in _part_faults(facts, sizes, complete, given))
        yield from (f"{conv} {fault}" for fault in facts.rule(sizes, complete))


def _buildable() -> list[str]:
    return [name for name, facts in CONVOLUTIONS.items() if not facts.reason]


def _argument_faults(facts: ConvolutionFacts, given: Mapping[str, Any]) -> Iterator[str]:
    known = {parameter.name: parameter for parameter in facts.arguments}
    if "out_channels" in facts.widths:
        known["out_channels"] = Parameter("out_channels", (int,), None, minimum=1)
    for name, value in given.items():
        if name in facts.widths and name not in known:
            yield f"{name}: is given by the width of an input; allowed: no such argument"
        elif name == "flow":
            yield "flow: is given by the parameter direction; allowed: no such argument"
        elif name not in known:
            yield f"{name}: is no argument; {did_you_mean(name, known)}"
        elif name == "cached" and value is True:
            yield "cached: would keep the first event's edges for all others; allowed: false"
        elif fault := known[name].fault(value):
            yield f"{name}: {fault}"
    for name, parameter in known.items():
        if parameter.default is REQUIRED and name not in given:
            yield f"{name}: is missing; {parameter.hint()}"


def sizes_of(inputs: Sequence[Kind], output: Kind) -> Sizes:
    """Widths by their role."""
    nodes = [kind.width for kind in inputs if kind.domain != "edge"]
    edges = [kind.width for kind in inputs if kind.domain == "edge"]
    return Sizes(nodes[0], nodes[1] if nodes[1:] else None, edges[0] if edges else None, output.width)


def _input_faults(facts: ConvolutionFacts, sizes: Sizes) -> Iterator[str]:
    if sizes.edges is not None and not facts.edges:
        yield "takes no edge input; allowed: hits alone"
    if sizes.edges is None and facts.edges_needed:
        yield "needs an edge input, features of the edges; allowed: hits and edges"
    if sizes.edges is not None and facts.edges == WEIGHT and sizes.edges.number not in (None, 1):
        yield f"takes a weight of width 1 for each edge, not {sizes.edges}; allowed: an edge input of width 1"
    if sizes.second is not None and not facts.second:
        yield "takes one node input, not 2"
    if sizes.second is None and facts.second:
        noun = "the values of an earlier layer" if facts.second == START else "coordinates of the hits"
        yield f"needs a second node input, {noun}"
    if sizes.second is not None and facts.second == START and sizes.second != sizes.own:
        yield f"has node inputs of width {sizes.own} and {sizes.second}; allowed: equal widths"


def _part_faults(
    facts: ConvolutionFacts, sizes: Sizes, complete: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[str]:
    """Faults of a result that consists of parts of equal width."""
    parts, width = facts.parts(complete), sizes.output.number
    own = given.get("out_channels")
    if own is not None and (width is not None and width != own * parts):
        times = f"{parts} * " if parts > 1 else ""
        yield f"gives width {times}{own} by out_channels; allowed: {width}, or without out_channels"
    elif width is not None and width % parts:
        name = "heads" if facts.argument("heads") else "powers"
        yield f"can't divide its width {width} into {parts} equal parts ({name}); allowed: a multiple of {parts}"


def constructor_arguments(
    conv: str, inputs: Sequence[Shape], output: Shape, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Keyword arguments that make the class; a module is a `PerceptronWidths`."""
    facts = CONVOLUTIONS[conv]
    given = {**given}
    sizes = sizes_of([Kind(shape.domain, Width.of(shape.width)) for shape in inputs], Kind("node", Width()))
    result = given.get("out_channels", output.width // facts.parts(facts.complete(given)))
    own, second, edges = (0 if width is None else width.constant for width in (sizes.own, sizes.second, sizes.edges))
    values = {"in_channels": own, "channels": own, "out_channels": result}
    arguments = {name: values[name] for name in facts.widths if name in values}
    if sizes.edges is not None:
        arguments |= {name: edges for name in facts.widths if name in EDGE_WIDTHS}
    if facts.argument("hidden_channels"):
        arguments["hidden_channels"] = output.width
    for name, ends in (facts.perceptrons or {}).items():
        first, last = ends(Channels(own, second, edges, result))
        arguments[name] = PerceptronWidths((first, *given.pop(name, [output.width]), last))
    return arguments | given


def _count(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int | None:
    """Weights of GraphConv and SAGEConv with default arguments, two matrices and a bias; None for all other classes."""
    if parameters["conv"] not in ("GraphConv", "SAGEConv") or parameters["arguments"]:
        return None
    sets = 2 if parameters["direction"] == "both" else 1
    return sets * (2 * inputs[0].width * output.width + output.width)


BLOCKS = {"pyg": (
    Signature(
        "pyg", _accepts, _width,
        (
            Parameter("conv", (str, dict), "GCNConv", shown=True), Parameter("arguments", (dict,), {}),
            Parameter("direction", (str,), "both", DIRECTIONS),
            Parameter("edge_activation", (str,), "sigmoid", ("sigmoid", "none")),
        ),
        passes_messages=True, irrelevant=_irrelevant, idle=_idle, count=_count, source=convolution_source,
        normal=_normal, faults=_faults,
    ),
)}  # fmt: skip
"""By the file of `archioptrx.networks.blocks` that implements them."""
