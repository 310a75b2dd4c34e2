"""Source of the block `pyg`: the class of torch_geometric itself, made and called as by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from archioptrx.graphs.signatures.convolutions import CONVOLUTIONS, EDGE_KEYWORDS, WEIGHT, PerceptronWidths
from archioptrx.graphs.source.step import Assign, LayerClass, LayerSource, SourceStep, about, argument_names
from archioptrx.graphs.source.text import Call, Code, call, flat, literal

FIRST = ("in_channels", "out_channels", "channels")
"""Arguments with which a class begins; they are written without their names."""


def convolution_source(step: SourceStep) -> LayerSource:
    """The class itself; for both directions a class of the export with two of them."""
    module, name, direction = step.module, step.parameters["conv"], step.parameters["direction"]
    maker = _constructor_call(name, module.arguments)
    if direction != "both":
        arguments = tuple(map(flat, _arguments(step, step.codes, step.edge_index, direction)))
        return LayerSource(maker, arguments, {"conv.": ""}, convolutions=(name,), doubtful=name)
    names = argument_names(step.inputs)
    body = (
        Assign("along", call("self.conv", *_arguments(step, names, "edge_index", "in"))),
        Assign("against", call("self.back", *_arguments(step, names, "edge_index", "out"))),
    )
    members = (("conv", maker), ("back", maker))
    both = LayerClass(about(step), members, (*names, "edge_index"), body, "along + against")
    return LayerSource(both, (*step.codes, step.edge_index), convolutions=(name,), doubtful=name)


def _constructor_call(name: str, arguments: Mapping[str, Any]) -> Call:
    first = [key for key in CONVOLUTIONS[name].widths if key in FIRST]
    named = [_keyword(key, _code(key, value)) for key, value in arguments.items() if key not in first]
    return call(name, *(literal(arguments[key]) for key in first), *named)


def _keyword(name: str, value: Code) -> Code:
    return Call(f"{name}={value.head}", value.args, value.brackets) if isinstance(value, Call) else f"{name}={value}"


def _code(name: str, value: Any) -> Code:
    """The value of an argument as code."""
    if not isinstance(value, PerceptronWidths):
        return f"torch.tensor({literal(value)})" if name == "deg" else literal(value)
    layers = [f"nn.Linear({first}, {last})" for first, last in pairwise(value.widths)]
    return call("nn.Sequential", *[part for layer in layers for part in (layer, "nn.ReLU()")][:-1])


def _arguments(step: SourceStep, names: Sequence[str], edge_index: str, direction: str) -> list[Code]:
    """Arguments of one call of the class, from names of the inputs."""
    conv = step.parameters["conv"]
    nodes = [name for name, kind in zip(names, step.inputs, strict=True) if kind.domain != "edge"]
    edges = [name for name, kind in zip(names, step.inputs, strict=True) if kind.domain == "edge"]
    twice = direction == "together"
    index = f"{edge_index}.flip(0)" if direction == "out" else edge_index
    index = f"torch.cat([{edge_index}, {edge_index}.flip(0)], dim=1)" if twice else index
    features = [f"torch.cat([{code}, {code}])" if twice else code for code in (_feature(step, name) for name in edges)]
    return [*nodes, index, *(f"{EDGE_KEYWORDS[CONVOLUTIONS[conv].edges]}={code}" for code in features)]


def _feature(step: SourceStep, name: str) -> str:
    """The edge input as the class takes it."""
    if CONVOLUTIONS[step.parameters["conv"]].edges != WEIGHT:
        return name
    return f"{name}[:, 0].sigmoid()" if step.parameters["edge_activation"] == "sigmoid" else f"{name}[:, 0]"
