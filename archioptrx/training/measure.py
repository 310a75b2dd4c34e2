"""Measured costs of a network: seconds of a training step, milliseconds of a forward pass."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import torch
from torch import nn

from archioptrx.data.hitgraph import HitGraph, batch_graphs
from archioptrx.training.fit import Fitting, predict

PASSES = 20
"""Forward passes that are timed where an objective names the latency."""
FEW = 3
"""Forward passes that are timed where none does."""
ENOUGH = 1.0
"""Seconds after which the few passes are enough in any case."""


def step_seconds(fitting: Fitting) -> float:
    """Seconds of one training step (forward and backward) on the first batch, after one to warm up."""
    batch, model = batch_graphs(fitting.graphs[: fitting.batch_size]), fitting.model
    before = copy.deepcopy(model.state_dict())
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        loss = fitting.task.loss(model(batch), batch)
        torch.autograd.backward(loss)
        _wait(batch)
        seconds = time.perf_counter() - start
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return seconds


def latency(model: nn.Module, graph: HitGraph, device: str, precision: str = "float32", passes: int = PASSES) -> float:
    """Milliseconds of one forward pass on a graph; see `latencies`."""
    return latencies([model], [batch_graphs([graph]).to(device)], precision, passes)[0]


def latencies(
    models: Sequence[nn.Module], graphs: Sequence[HitGraph], precision: str = "float32", passes: int = PASSES
) -> list[float]:
    """Milliseconds of a forward pass without gradients of each model on its graph: the fastest of some.

    Other work of a machine only adds time: on a busy one the median of 20 passes varied by 8 to 99 % from
    measurement to measurement, their minimum by 3 to 24 %. Several models run in turn, so that it slows all of them
    alike; the first turn warms up.
    """
    seconds: list[list[float]] = [[] for _ in models]
    while len(seconds[0]) <= passes and (len(seconds[0]) <= FEW or sum(map(sum, seconds)) < ENOUGH * len(models)):
        for model, graph, model_seconds in zip(models, graphs, seconds, strict=True):
            model_seconds.append(_seconds(model, graph, precision))
    return [1000 * min(model_seconds[1:]) for model_seconds in seconds]


def _seconds(model: nn.Module, graph: HitGraph, precision: str) -> float:
    _wait(graph)
    start = time.perf_counter()
    predict(model, [graph], precision)
    _wait(graph)
    return time.perf_counter() - start


def _wait(graph: HitGraph) -> None:
    if graph.x.is_cuda:
        torch.cuda.synchronize(graph.x.device)
