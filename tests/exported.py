"""Trained models for the tests of exports: any architecture with random weights, as a folder or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archioptrx.data.dataset import Metadata
from archioptrx.data.description import DataDescription
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import BackEdge, DataType, Step
from archioptrx.models.export.check import random_event, raw, tensors
from archioptrx.models.export.files import written
from archioptrx.models.export.trained import Take
from archioptrx.models.inference import transform
from archioptrx.models.model_folder import Provenance, TrainedModel, save_model
from archioptrx.networks.compile import Model, compile_model, source_widths
from archioptrx.tasks import describe_task, make_task
from archioptrx.training.trial import weights_of

WHOLE = Metadata("test")
SECTORS = Metadata("test", node_scale=(1000.0, math.pi / 4, 1000.0), sectors=4)
EDGES = {"name": "edge_classification"}
PROVENANCE = Provenance(DataDescription({"source": "toy"}), {}, None, "abc", describe_task(EDGES), {})
NODE = DataType("x", "node", Width.of(4))
EDGE = DataType("e", "edge", Width.of(4))
TYPES = (
    DataType("hits", "node", Width.of("hits"), "x"),
    DataType("doublet", "edge", Width.of("doublet"), "edge_attr"),
    NODE,
    EDGE,
    DataType("m", "node", Width.of(8)),
    DataType("g", "graph", Width.of(4)),
    DataType("score", "edge", Width.of("target")),
    DataType("c", "pooled", Width.of(4)),
)


def network(architecture: Architecture, metadata: Metadata = WHOLE, seed: int = 0, task: Any = EDGES) -> Model:
    """A compiled network with random weights, norms included."""
    torch.manual_seed(seed)
    graph = architecture.graph
    widths = source_widths(graph, metadata)
    model = compile_model(graph, architecture.hyperparameters, widths, make_task(task).target_width).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.1 * torch.rand_like(tensor)
    return model


def take(
    graph: ComputationGraph, hyperparameters: Mapping[str, Any], metadata: Metadata = WHOLE, seed: int = 0
) -> Take:
    """The plan of an export of such a network."""
    architecture = Architecture(graph, hyperparameters)
    model = network(architecture, metadata, seed)
    trained = TrainedModel(architecture, model, make_task(), metadata, PROVENANCE, {})
    plan = Take.of(trained, Path("runs/first/best"), 0.5)
    assert plan.program  # planned here, so that a network that can't be exported is refused here
    return plan


def saved(folder: Path, architecture: Architecture, metadata: Metadata = WHOLE, task: Any = EDGES) -> Path:
    """A model folder with such a network."""
    weights = weights_of(network(architecture, metadata, task=task))
    save_model(folder, architecture, weights, metadata, replace(PROVENANCE, task=describe_task(task)), {"test": {}})
    return folder


def worst(plan: Take, path: Path, seed: int = 0) -> float:
    """The largest difference of exported code from its model, relative to the largest value, on graphs of six sizes.

    Many edges meet in one hit; the edges stand in no order.
    """
    code = raw(written(plan, path).load())
    random, largest = np.random.default_rng(seed), 0.0
    for hits, edges in ((50, 400), (7, 30), (1, 3), (1, 0), (4, 0), (2, 1)):
        event = random_event(random, len(plan.trained.metadata.node_features), hits, edges)
        with torch.no_grad():
            expected = plan.trained.model(transform(*event, plan.trained.metadata))
            outputs = code(*map(torch.tensor, event))
        for a, b in zip(tensors(outputs), tensors(expected), strict=True):
            assert a.shape == b.shape
            assert a.isfinite().all()
            if b.numel():
                largest = max(largest, float((a - b).abs().max()) / max(1.0, float(b.abs().max())))
    return largest


def spoilt(plan: Take) -> Take:
    """The same export with another scale of r."""
    text = tuple(text.replace("r / 1000.0", "r / 999.0") for text in plan.program.geometry)
    assert text != plan.program.geometry
    other = replace(plan)
    vars(other)["program"] = replace(plan.program, geometry=text)
    return other


def chain(*steps: Step, back: tuple[BackEdge, ...] = (), targets: tuple[int, ...] = ()) -> ComputationGraph:
    """A computation graph on hits (value 0) and doublets (1), whose last step is the target."""
    return ComputationGraph(TYPES, ("hits", "doublet"), steps, back, targets or (len(steps) + 1,))


def step(
    block: str, inputs: tuple[int, ...], output: str, weights: str = "", per_pass: bool = False, **params: Any
) -> Step:
    """A step of a function that is called as its block; `weights` names its weights, where it has any."""
    known = {"layers": 2, "hidden": 5} if block in ("mlp", "attention") else {}
    pairs = tuple(sorted({**known, **params}.items()))
    return Step(weights.split(".")[0] or block, block, inputs, output, pairs, weights, per_pass)


def everything() -> ComputationGraph:
    """All blocks that can be exported, all sums, a loop with weights of each pass.

    A number is that of the value that a step makes: put a new step in front of the last one.
    """
    return chain(
        step("mlp", (0,), "x", "encode"),  # 2
        step("mlp", (2, 1), "e", "relate", output_activation="gelu"),  # 3
        step("aggregate", (3,), "x", reduce="max"),  # 4
        step("aggregate", (3,), "x", reduce="std", direction="out"),  # 5
        step("aggregate", (3,), "x", reduce="softmax"),  # 6
        step("aggregate", (3,), "m", reduce="mean", direction="both"),  # 7
        step("mlp", (2, 4, 5, 6, 7), "x", "update", norm="batch", layers=3),  # 8
        step("readout", (8,), "g", reduce="mean"),  # 9
        step("readout", (3,), "g", reduce="max"),  # 10
        step("broadcast", (9,), "x"),  # 11
        step("norm", (8,), "x", "norms", kind="graph"),  # 12
        step("gru", (11, 12), "x", "gate", per_pass=True),  # 13
        step("mlp", (13, 10), "e", "edges", True, layers=1),  # 14
        step("attention", (13, 14), "x", "attend"),  # 15
        step("mean", (12, 15), "x"),  # 16
        step("norm", (16,), "x", "batched", kind="batch"),  # 17
        step("add", (16, 17), "x"),  # 18
        step("identity", (18,), "x"),  # 19
        step("concat", (19, 13), "m"),  # 20
        step("gate", (3, 19, 9), "e", "weigh"),  # 21
        Step("channels", "gate", (20,), "m", (("weights", "channel"),), "channels"),  # 22
        step("mlp", (22, 21, 9), "score", "classify"),  # 23
        back=(BackEdge(15, 12, 2),),
    )
