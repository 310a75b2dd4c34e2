"""Exports of networks that score edges, in the form that a tracking framework takes: scaled hits to logits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from archioptrx.core.errors import InputError
from archioptrx.models.export.check import EXAMPLE, Arrays, difference, random_event, raw
from archioptrx.models.export.files import written
from archioptrx.models.export.form import Scaled
from archioptrx.models.export.onnx_file import onnx_content, runner
from archioptrx.models.export.script_file import loaded, traced
from archioptrx.models.export.trained import Take

FIRST = ("r", "φ", "z")
SCALES = {"r": 1000.0, "φ": np.pi, "z": 1000.0, "η": 1.0, "eta": 1.0}
"""Divisors of the columns that all frameworks of the field have; others keep that of the training data."""


class EdgeLogits(nn.Module):
    """A network's logits of edges: [E, 1], or [E]."""

    def __init__(self, network: nn.Module, columns: bool) -> None:
        super().__init__()
        self.network, self.columns = network, columns

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor | None = None) -> Tensor:
        """The logits of one event."""
        inputs = (x, edge_index) if edge_attr is None else (x, edge_index, edge_attr)
        logits: Tensor = raw(self.network)(*inputs)
        return logits.unsqueeze(1) if self.columns else logits


def check_edge_scores(take: Take, kind: str) -> None:
    """Raise InputError where a model gives anything else than one score of each edge, of hits in mm."""
    outputs, place = take.program.outputs, f"--format {kind}"
    if len(outputs) != 1 or not outputs[0].probability or outputs[0].shape != "[E]":
        given = ", ".join(f"{output.name} {output.shape}" for output in outputs)
        task = take.trained.provenance.task.to_dict()["name"]
        raise InputError(f"{place}: the task {task} gives {given}; allowed: edge_classification, score [E]")
    if take.trained.metadata.own_units:
        raise InputError(f"{place}: the lengths of the training data are in units of their own; allowed: mm")


def scale_of(name: str, scale: float) -> float:
    """The divisor of a column of hits in the field; `scale` is that of the training data."""
    return SCALES.get(name, scale)


def onnx_logits(take: Take, form: Scaled, names: Mapping[str, str], columns: bool, kind: str) -> tuple[bytes, float]:
    """An ONNX file of the logits, and its largest difference from the model.

    Parameters
    ----------
    take
        An export in that form.
    names
        Names of `x`, `edge_index`, `edge_attr` and `output` in the file.
    columns
        True: logits are [E, 1], and `x` may have further columns; else [E], and `x` has those of the form.
    """
    changing = {"x": {0: "hits", 1: "columns"} if columns else {0: "hits"}, "edge_index": {1: "edges"}}
    changing["edge_attr"] = {0: "edges"}
    sizes = {names[name]: changing[name] for name in take.program.arguments}
    content = onnx_content(
        take, lambda code: EdgeLogits(code, columns), example(take, form), sizes, [names["output"]], kind
    )
    run = runner(take, content, [names["output"]], kind)
    return content, _difference(take, form, lambda *inputs: run(*inputs)[0])


def script_logits(take: Take, form: Scaled, columns: bool, kind: str) -> tuple[bytes, float]:
    """A TorchScript file of the logits, and its largest difference from the model."""
    with tempfile.TemporaryDirectory() as folder:
        code = written(take, Path(folder) / "network.py").load()
        content = traced(EdgeLogits(code, columns), example(take, form), ("forward",))
    network = loaded(content)
    with torch.no_grad():
        return content, _difference(take, form, lambda *inputs: network(*map(torch.tensor, inputs)))


def example(take: Take, form: Scaled) -> tuple[Tensor, ...]:
    """Inputs of the graph with which code is traced."""
    columns = len(take.trained.metadata.node_features)
    inputs = form.inputs(*random_event(np.random.default_rng(0), columns, *EXAMPLE))
    return tuple(map(torch.tensor, inputs[: len(take.program.arguments)]))


def _difference(take: Take, form: Scaled, run: Callable[..., Tensor]) -> float:
    count = len(take.program.arguments)

    def export(hits: Arrays, edges: Arrays) -> tuple[Tensor, ...]:
        return (run(*form.inputs(hits, edges)[:count]).reshape(-1),)

    return difference(take, export, form.rounded)
