"""`mlp`, `attention` and `gate`: networks of linear layers.

As plain torch they are classes of torch's own layers, in the plain form: gather, join, multiply, sum up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.graphs.signatures.domains import LADDER, Domains, Shape, any_width, copies, off_ladder, wrong_number
from archioptrx.graphs.signatures.parameter import Parameter
from archioptrx.graphs.signatures.signature import MEETS, MIXES, Signature, mixes
from archioptrx.graphs.signatures.width import Hyperparameter, Width
from archioptrx.graphs.source.step import (
    ENDS,
    RESERVED,
    Assign,
    LayerClass,
    LayerSource,
    Operand,
    SourceStep,
    about,
    argument_names,
)
from archioptrx.graphs.source.text import Call, Code, Names, call, joined

MODULES = {
    "relu": "nn.ReLU()",
    "tanh": "nn.Tanh()",
    "gelu": "nn.GELU()",
    "silu": "nn.SiLU()",
    "elu": "nn.ELU()",
    "leaky_relu": "nn.LeakyReLU()",
    "sigmoid": "nn.Sigmoid()",
}
"""Code that makes each activation."""
ACTIVATIONS = (*MODULES, "none")
PARAMETERS = (
    Parameter("layers", (int,), 2, minimum=1),
    Parameter("hidden", (int,), Hyperparameter("hidden"), minimum=1),
    Parameter("activation", (str,), "relu", ACTIVATIONS),
    Parameter("norm", (str,), "layer", ("layer", "batch", "none")),
    Parameter("output_activation", (str,), "none", ACTIVATIONS),
    Parameter("dropout", (float,), 0.0, minimum=0, below=1),
)


def _mlp_accepts(domains: Domains, output: str) -> str | None:
    for domain in domains:
        if domain == "graph" or (output in LADDER and domain in LADDER and LADDER[domain] <= LADDER[output]):
            continue
        first = "readout" if output == "graph" else "aggregate"
        return f"can't turn {domain} values into {output} values; allowed: {first} it first"
    return None if domains else "takes one input or more, not 0"


def _attention_accepts(domains: Domains, output: str) -> str | None:
    if fault := wrong_number(domains, 2, "values, logits of the rung above") or off_ladder((*domains, output)):
        return fault
    if domains[0] != output or LADDER[domains[1]] != LADDER[output] + 1:
        return (
            f"can't take {' and '.join(domains)} to {output}; allowed: node and edge to node, edge and triplet to edge"
        )
    return None


def _attention_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> None:
    if widths[1] not in (widths[0], Width.of(1)) and not widths[1].of_target:
        raise InputError(f"logits of width {widths[1]} don't fit values of width {widths[0]}; allowed: 1, {widths[0]}")


def _gate_accepts(domains: Domains, output: str) -> str | None:
    if not domains:
        return "takes one input or more, not 0"
    if domains[0] != output:
        return f"weighs its first input, so it can't take {domains[0]} to {output}; allowed: output of the same domain"
    return _mlp_accepts(domains, output)


def _gate_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    return widths[0]


def _gate_output(output: Shape, parameters: Mapping[str, Any]) -> int:
    """Number of gate values of each row."""
    return 1 if parameters["weights"] == "row" else output.width


def _gate_count(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    first = sum(copies(domain, output.domain) * width for domain, width in inputs)
    return (first + 1) * _gate_output(output, parameters)


def _gate_reads(slot: int, widths: Sequence[Width], parameters: Mapping[str, Any]) -> str:
    return MEETS if slot == 0 else MIXES  # the first input is read by the linear layer, and weighed as well


def _mlp_irrelevant(parameters: Mapping[str, Any]) -> set[str]:
    activation, output = parameters["activation"], parameters["output_activation"]
    single, plain = parameters["layers"] == 1, output == "none"
    drop = ({"hidden", "activation"} if single else set()) | ({"dropout"} if single else set())
    return drop | ({"norm"} if plain and (single or activation == "none") else set())


def _attention_irrelevant(parameters: Mapping[str, Any]) -> set[str]:
    # At its default the direction is no part of an architecture's identity: it came later than searches that are kept.
    return _mlp_irrelevant(parameters) | ({"direction"} if parameters["direction"] == "both" else set())


def _layers_count(first: int, output: int, parameters: Mapping[str, Any]) -> int:
    """Linear layers from `first` to `output` channels, two numbers per channel for each norm."""
    number: int = parameters["layers"]
    widths: list[int] = [first] + [parameters.get("hidden", 0)] * (number - 1) + [output]
    total = sum(a * b + b for a, b in pairwise(widths))
    if parameters.get("norm", "none") == "none":
        return total
    activations = [parameters.get("activation", "none")] * (number - 1) + [parameters["output_activation"]]
    return total + sum(2 * w for w, kind in zip(widths[1:], activations, strict=True) if kind != "none")


def _mlp_count(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    first = sum(copies(domain, output.domain) * width for domain, width in inputs)
    return _layers_count(first, output.width, parameters)


def _attention_count(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    parts = 2 if parameters.get("direction") == "together" else 3
    return _layers_count(parts * inputs[0].width, output.width, parameters)


def _leaves(parameters: Mapping[str, Any]) -> int:
    """Channels before the last layer; 0 where an activation follows it, or where it is the first one too."""
    if parameters["output_activation"] != "none" or parameters["layers"] < 2:
        return 0
    return int(parameters["hidden"])


def _first_width(output: Shape, parameters: Mapping[str, Any]) -> int:
    return output.width if parameters["layers"] == 1 else int(parameters["hidden"])


def _mlp_multiplies(slot: int, inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    return copies(inputs[slot].domain, output.domain) * _first_width(output, parameters)


def _attention_multiplies(slot: int, inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    # Weights of each channel meet the values before the first layer does: nothing is linear up to there.
    return 3 * _first_width(output, parameters) if slot == 0 and inputs[1].width == 1 else 0


def _attention_reads(slot: int, widths: Sequence[Width], parameters: Mapping[str, Any]) -> str:
    # Logits of several channels weigh each channel of the values by its own.
    return MIXES if slot == 0 and widths[1] == Width.of(1) else MEETS


def _mlp_source(step: SourceStep) -> LayerSource:
    """Inputs brought to the output's rows, side by side, through linear layers."""
    output = step.output
    names, parts, width = _side_by_side(step)
    members, keys = _sequence(width, output.width, step.parameters)
    indices = _indices(step.inputs, output)
    layer_class = LayerClass(about(step), members, (*names, *indices), (), call("self.layers", joined(parts)))
    return LayerSource(layer_class, (*step.codes, *indices), keys)


def _attention_source(step: SourceStep) -> LayerSource:
    """Source of `attention`: flows in and out, weighted by the logits' sigmoid, beside the value itself."""
    x, logits = argument_names(step.inputs)
    local = Names([x, logits, *RESERVED])
    weight, arriving, leaving = (local.new(name) for name in ("weight", "arriving", "leaving"))
    body = (
        Assign(weight, f"{logits}.sigmoid()"),
        Assign(arriving, call("total", f"{weight} * {x}[start]", "end", f"{x}.shape[0]")),
        Assign(leaving, call("total", f"{weight} * {x}[end]", "start", f"{x}.shape[0]")),
    )
    together = step.parameters.get("direction") == "together"
    parts = (f"{arriving} + {leaving}", x) if together else (arriving, leaving, x)
    members, keys = _sequence(len(parts) * step.inputs[0].width, step.output.width, step.parameters)
    result = call("self.layers", joined(parts))
    layer_class = LayerClass(about(step), members, (x, logits, *ENDS), body, result)
    return LayerSource(layer_class, (*step.codes, *ENDS), keys)


def _gate_source(step: SourceStep) -> LayerSource:
    """Source of `gate`: the first input, weighed by the sigmoid of a linear layer of all inputs."""
    output = step.output
    names, parts, width = _side_by_side(step)
    members = (("weigh", f"nn.Linear({width}, {_gate_output(Shape(output.domain, output.width), step.parameters)})"),)
    indices = _indices(step.inputs, output)
    weight = Names([*names, *RESERVED]).new("weight")
    body = (Assign(weight, call("self.weigh", joined(parts))),)
    layer_class = LayerClass(about(step), members, (*names, *indices), body, f"{names[0]} * {weight}.sigmoid()")
    return LayerSource(layer_class, (*step.codes, *indices))


def _side_by_side(step: SourceStep) -> tuple[tuple[str, ...], list[str], int]:
    """Names of the inputs, their code with the rows of the output, and the width of all side by side."""
    inputs, output = step.inputs, step.output
    names = argument_names(inputs)
    parts = [
        part for own, kind in zip(names, inputs, strict=True) for part in _lifted(own, kind, names, inputs, output)
    ]
    return names, parts, sum(kind.width * (2 if _gathered(kind, output) else 1) for kind in inputs)


def _gathered(kind: Operand, output: Operand) -> bool:
    return kind.domain == "node" and output.domain == "edge"


def _lifted(own: str, kind: Operand, names: Sequence[str], inputs: Sequence[Operand], output: Operand) -> Sequence[str]:
    """An input with the rows of the output."""
    if _gathered(kind, output):
        return [f"{own}[start]", f"{own}[end]"]
    if kind.domain == output.domain:
        return [own]
    like = [name for name, other in zip(names, inputs, strict=True) if other.domain == output.domain]
    rows = f"{like[0]}.shape[0]" if like else "start.shape[0]" if output.domain == "edge" else "nodes"
    return [f"{own}.expand({rows}, -1)"]


def _indices(inputs: Sequence[Operand], output: Operand) -> tuple[str, ...]:
    """Arguments of `forward` after the values: indices of rows that belong together, as far as they are needed."""
    if any(_gathered(operand, output) for operand in inputs):
        return ENDS
    spread = all(operand.domain == "graph" for operand in inputs) and output.domain != "graph"
    return ("start" if output.domain == "edge" else "nodes",) if spread else ()


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
            parts.append(MODULES[kind])
        if inner and params.get("dropout"):
            parts.append(f"nn.Dropout({params['dropout']:g})")
    if len(parts) == 1:
        return (("layers", parts[0]),), {"layers.0.": "layers."}
    return (("layers", Call("nn.Sequential", tuple(parts))),), keys


BLOCKS = {
    "mlp": (
        Signature(
            "mlp", _mlp_accepts, any_width, PARAMETERS,
            commutative=True, distinct=True, irrelevant=_mlp_irrelevant, count=_mlp_count,
            leaves=_leaves, multiplies=_mlp_multiplies, reads=mixes, source=_mlp_source,
        ),
        Signature(
            "attention", _attention_accepts, _attention_width,
            (*PARAMETERS, Parameter("direction", (str,), "both", ("both", "together"))),
            passes_messages=True, irrelevant=_attention_irrelevant, count=_attention_count,
            leaves=_leaves, multiplies=_attention_multiplies, reads=_attention_reads, source=_attention_source,
        ),
    ),
    "gate": (
        Signature(
            "gate", _gate_accepts, _gate_width, (Parameter("weights", (str,), "row", ("row", "channel")),),
            distinct=True, count=_gate_count, reads=_gate_reads, source=_gate_source,
        ),
    ),
}  # fmt: skip
"""By the file of `archioptrx.networks.blocks` that implements them."""
