"""Measured costs of a network: seconds of a training step, milliseconds of a forward pass."""

from __future__ import annotations

import copy
import time

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
        if batch.x.is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return seconds


def latency(model: nn.Module, graph: HitGraph, device: str, precision: str = "float32", passes: int = PASSES) -> float:
    """Milliseconds of one forward pass without gradients: the fastest of some, after one to warm up.

    Other work of a machine only adds time: on a busy one the median of 20 passes varied by 8 to 99 % from
    measurement to measurement, their minimum by 3 to 24 %.
    """
    graph = batch_graphs([graph]).to(device)
    seconds: list[float] = []
    while len(seconds) <= passes and (len(seconds) <= FEW or sum(seconds) < ENOUGH):
        start = time.perf_counter()
        predict(model, [graph], precision)
        if graph.x.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds[1:])
