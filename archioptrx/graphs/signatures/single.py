"""`gru` and `norm`: small layers with weights, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.graphs.signatures.domains import Shape, alike, same_width
from archioptrx.graphs.signatures.parameter import Parameter
from archioptrx.graphs.signatures.signature import MEETS, MIXES, Signature, keeps
from archioptrx.graphs.signatures.width import Width
from archioptrx.graphs.source.step import LayerSource, SourceStep

NORMS = {"layer": "nn.LayerNorm", "batch": "nn.BatchNorm1d", "graph": "GraphNorm"}
"""The class of each kind of norm."""


def _gru_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    return widths[1]


def _gru_count(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    state = output.width
    return 3 * state * (inputs[0].width + state) + 6 * state  # three gates, two biases each


def _gru_reads(slot: int, widths: Sequence[Width], parameters: Mapping[str, Any]) -> str:
    return MIXES if slot == 0 else MEETS  # the state's channels are gated one by one


def _gru_source(step: SourceStep) -> LayerSource:
    return LayerSource(f"nn.GRUCell({step.inputs[0].width}, {step.inputs[1].width})", step.codes)


def _norm_count(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    return (3 if parameters["kind"] == "graph" else 2) * output.width


def _norm_source(step: SourceStep) -> LayerSource:
    return LayerSource(f"{NORMS[step.parameters['kind']]}({step.output.width})", step.codes, {"layer.": ""})


BLOCKS = {
    "gru": (
        Signature(
            "gru", alike(2, 2), _gru_width, distinct=True, count=_gru_count, reads=_gru_reads, source=_gru_source,
        ),
    ),
    "normal": (
        Signature(
            "norm", alike(1, 1), same_width, (Parameter("kind", (str,), "layer", tuple(NORMS)),),
            idempotent=True, count=_norm_count, reads=keeps, source=_norm_source,
        ),
    ),
}  # fmt: skip
"""By the file of `archioptrx.networks.blocks` that implements them."""
