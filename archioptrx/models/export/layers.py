"""Blocks with weights as classes of torch's own layers, in the plain form: gather, join, multiply, sum up."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from archioptrx.models.export.code import Call, Code, Names, call, identifier, listed
from archioptrx.models.export.helpers import HELPERS
from archioptrx.models.export.program import Assign, Layers

ACTIVATIONS = {
    "relu": "nn.ReLU()",
    "tanh": "nn.Tanh()",
    "gelu": "nn.GELU()",
    "silu": "nn.SiLU()",
    "elu": "nn.ELU()",
    "leaky_relu": "nn.LeakyReLU()",
    "sigmoid": "nn.Sigmoid()",
}
ROWS = {"node": "N", "edge": "E", "graph": "1", "pooled": "P"}
ENDS = ("start", "end")
RESERVED = ("self", "torch", "nn", "math", "edge_index", "nodes", "turn", "middle", *ENDS, *HELPERS)
"""Names that no value may have."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a block is told of a value: the name of its data node, its domain and width."""

    name: str
    domain: str
    width: int

    def __str__(self) -> str:
        return f"{identifier(self.name)} [{ROWS[self.domain]}, {self.width}]"


def mlp(name: str, inputs: Sequence[Kind], output: Kind, params: Mapping[str, Any]) -> Layers:
    """`mlp`: inputs brought to the output's rows, side by side, through linear layers."""
    names = _arguments(inputs)
    parts = [
        part for own, kind in zip(names, inputs, strict=True) for part in _lifted(own, kind, names, inputs, output)
    ]
    width = sum(kind.width * (2 if _gathered(kind, output) else 1) for kind in inputs)
    members, keys = _sequence(width, output.width, params)
    joined: Code = parts[0] if len(parts) == 1 else call("torch.cat", listed(*parts), "dim=1")
    result = call("self.layers", joined)
    return Layers(name, _about(inputs, output), members, _with_indices(names, inputs, output), (), result, keys)


def attention(name: str, inputs: Sequence[Kind], output: Kind, params: Mapping[str, Any]) -> Layers:
    """`attention`: what flows in and out, weighted by the logits' sigmoid, beside the value itself."""
    x, logits = _arguments(inputs)
    local = Names([x, logits, *RESERVED])
    weight, arriving, leaving = (local.new(one) for one in ("weight", "arriving", "leaving"))
    body = (
        Assign(weight, f"{logits}.sigmoid()"),
        Assign(arriving, call("total", f"{weight} * {x}[start]", "end", f"{x}.shape[0]")),
        Assign(leaving, call("total", f"{weight} * {x}[end]", "start", f"{x}.shape[0]")),
    )
    together = params.get("direction") == "together"
    parts = (f"{arriving} + {leaving}", x) if together else (arriving, leaving, x)
    members, keys = _sequence(len(parts) * inputs[0].width, output.width, params)
    result = call("self.layers", call("torch.cat", listed(*parts), "dim=1"))
    return Layers(name, _about(inputs, output), members, (x, logits, *ENDS), body, result, keys)


def _arguments(inputs: Sequence[Kind]) -> tuple[str, ...]:
    names = Names(RESERVED)
    return tuple(names.new(identifier(kind.name)) for kind in inputs)


def _gathered(kind: Kind, output: Kind) -> bool:
    return kind.domain == "node" and output.domain == "edge"


def _lifted(own: str, kind: Kind, names: Sequence[str], inputs: Sequence[Kind], output: Kind) -> Sequence[str]:
    """An input with the rows of the output."""
    if _gathered(kind, output):
        return [f"{own}[start]", f"{own}[end]"]
    if kind.domain == output.domain:
        return [own]
    like = [name for name, other in zip(names, inputs, strict=True) if other.domain == output.domain]
    rows = f"{like[0]}.shape[0]" if like else "start.shape[0]" if output.domain == "edge" else "nodes"
    return [f"{own}.expand({rows}, -1)"]


def _with_indices(names: Sequence[str], inputs: Sequence[Kind], output: Kind) -> tuple[str, ...]:
    """The arguments of `forward`: values, then what says which rows belong together, as far as it is needed."""
    if any(_gathered(kind, output) for kind in inputs):
        return (*names, *ENDS)
    spread = all(kind.domain == "graph" for kind in inputs) and output.domain != "graph"
    return (*names, "start" if output.domain == "edge" else "nodes") if spread else tuple(names)


def _sequence(first: int, last: int, params: Mapping[str, Any]) -> tuple[tuple[tuple[str, Code], ...], dict[str, str]]:
    """The member `layers` of linear layers, norms and activations, and where each part of the block is in it."""
    count: int = params["layers"]
    widths = [first, *[params.get("hidden", 0)] * (count - 1), last]
    parts: list[Code] = []
    keys: dict[str, str] = {}
    for place, (a, b) in enumerate(pairwise(widths)):
        inner = place < count - 1
        kind = params["activation"] if inner else params["output_activation"]
        keys[f"layers.{place}."] = f"layers.{len(parts)}."
        parts.append(f"nn.Linear({a}, {b})")
        if kind != "none":
            if params["norm"] != "none":
                keys[f"norms.{place}."] = f"layers.{len(parts)}."
                parts.append(f"nn.LayerNorm({b})" if params["norm"] == "layer" else f"nn.BatchNorm1d({b})")
            parts.append(ACTIVATIONS[kind])
        if inner and params.get("dropout"):
            parts.append(f"nn.Dropout({params['dropout']:g})")
    if len(parts) == 1:
        return (("layers", parts[0]),), {"layers.0.": "layers."}
    return (("layers", Call("nn.Sequential", tuple(parts))),), keys


def _about(inputs: Sequence[Kind], output: Kind) -> str:
    return textwrap.fill(f"{', '.join(map(str, inputs))} -> {output}.", 80)
