"""Track count: the number of particles that made tracks in an event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import huber_loss, poisson_nll_loss

from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.options.registry import task
from archioptrx.tasks.options.track_count import CountOptions
from archioptrx.tasks.parameters import explained
from archioptrx.tasks.particle_hits import particles_with
from archioptrx.tasks.task import Task, TaskObjective, finite, lacks_pid, mean_loss, no_particles

LARGEST = 15.0
"""Largest Poisson output, the logarithm of a number: larger ones count as this, so that the loss stays finite."""


@task(CountOptions)
class TrackCount(Task):
    """One number for each graph: particles with at least so many hits in it.

    `huber`: the output is the number over `scale`; Huber loss with δ = 1. `poisson`: the output is log(number / scale),
    the loss the negative logarithm of the Poisson probability of the true number, but for its constant, over `scale`.
    """

    name = "track_count"
    domain = "graph"
    target_width = 1
    divisible = False

    def __init__(self, options: CountOptions) -> None:
        self.options = options
        self.objective = TaskObjective("explained", "max")

    def data_fault(self, graph: HitGraph) -> str | None:
        """Fault of events without particles, which are counted by their hits."""
        return lacks_pid(graph)

    def truth_fault(self, graphs: Iterable[HitGraph]) -> str | None:
        """Fault of graphs without hits of particles."""
        return no_particles(graphs)

    def loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Mean loss per graph. Shapes: output [graphs] -> []."""
        truth = track_numbers(batch, self.options.hits).to(output.dtype) / self.options.scale
        if self.options.loss == "huber":
            return huber_loss(output, truth)
        return poisson_nll_loss(output.clamp(max=LARGEST), truth, log_input=True)

    def metrics(
        self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score numbers of tracks; see `Task.metrics`. `cut` has no meaning here.

        Returns
        -------
        `loss`; `explained`, the share of the variance from graph to graph that is explained; `exact`, the share of
        graphs whose rounded number is right; `mean_error` (of the absolute value), `bias` (mean), `rms` of the error in
        tracks; `graphs`.
        """
        finite(outputs)
        sizes = [graph.num_graphs for graph in graphs]
        scores: dict[str, Any] = {"loss": mean_loss(self, outputs, graphs, sizes), "graphs": sum(sizes)}
        names = ("explained", "exact", "mean_error", "bias", "rms")
        if not graphs:
            return scores | dict.fromkeys(names)
        predicted = torch.cat([self.number(o.detach().double().cpu()) for o in outputs]).numpy()
        truth = torch.cat([track_numbers(g, self.options.hits).cpu() for g in graphs]).double().numpy()
        error = predicted - truth
        values = (
            explained(predicted[:, None], truth[:, None]),
            float((np.round(predicted) == truth).mean()),
            float(np.abs(error).mean()),
            float(error.mean()),
            float(np.sqrt(np.square(error).mean())),
        )
        return scores | dict(zip(names, values, strict=True))

    def perfect(self, graph: HitGraph) -> Tensor:
        """The true number; with `poisson` a number next to 0 in place of 0."""
        number = track_numbers(graph, self.options.hits).to(graph.x.dtype) / self.options.scale
        return number if self.options.loss == "huber" else number.clamp(min=1e-6).log()

    def constant(self, graph: HitGraph) -> Tensor:
        """`scale` tracks for every graph."""
        value = 1.0 if self.options.loss == "huber" else 0.0
        numbers: Tensor = graph.x.new_full((graph.num_graphs,), value)
        return numbers

    def number(self, output: Tensor) -> Tensor:
        """Numbers of tracks that an output stands for. Shapes: [graphs] -> [graphs]."""
        return self.options.scale * (output if self.options.loss == "huber" else output.clamp(max=LARGEST).exp())


def track_numbers(batch: HitGraph, hits: int) -> Tensor:
    """Particles with at least so many hits in each graph. Shapes: -> int64 [graphs]."""
    graph, _ = particles_with(batch, hits)
    return torch.bincount(graph, minlength=batch.num_graphs)
