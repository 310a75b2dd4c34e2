"""A task and two metrics of your own: was a hit made by a particle, or is it noise?

    archioptrx search custom_task.yaml --imports custom_task
    archioptrx search quickstart --set imports=[custom_task] --set objective=fast_efficiency

each in the folder of this file, or where it is installed. The first searches for networks of the task, as the
experiment beside it says; the second for edge classifiers that are good at fast particles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from archioptrx.data.hitgraph import HitGraph
from archioptrx.report.registry import TaskFigure, task_figures
from archioptrx.tasks.classification_metrics import ClassifiedRows
from archioptrx.tasks.metrics import NetworkOutputs, metric
from archioptrx.tasks.options import PlainTaskOptions, task
from archioptrx.tasks.task import Task, TaskObjective, finite, lacks_pid, mean_loss

FAST = 2.0
"""Transverse momentum of a fast particle, GeV."""


@dataclass(frozen=True)
class HitNoiseOptions(PlainTaskOptions):
    """The options of the task: `task: {name: hit_noise, noise_weight: 2.0}`."""

    name = "hit_noise"
    judged = ("hits",)  # metrics of hits judge its answers
    shares = ("noise_accuracy",)  # its own metrics from 0 to 1; the first is what a search improves by default
    noise_weight: float = 1.0  # of a hit of noise in the loss


@task(HitNoiseOptions)
class HitNoise(Task):
    """One logit for each hit: whether a particle has made it."""

    domain = "node"
    target_width = 1
    objective = TaskObjective("noise_accuracy")

    def __init__(self, options: HitNoiseOptions) -> None:
        self.options = options

    def data_fault(self, graph: HitGraph) -> str | None:
        """Events that don't say whose a hit is are refused."""
        return lacks_pid(graph)

    def loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Mean binary cross-entropy. Shapes: output [hits] -> []."""
        truth = (batch.pid != 0).to(output.dtype)
        weight = torch.where(truth > 0, 1.0, self.options.noise_weight)
        return binary_cross_entropy_with_logits(output, truth, weight)

    def metrics(
        self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score logits of all graphs together; None stands for a number that there isn't."""
        finite(outputs)
        right = [(torch.sigmoid(o) >= cut) == (g.pid != 0) for o, g in zip(outputs, graphs, strict=True)]
        count = sum(len(flags) for flags in right)
        return {
            "loss": mean_loss(self, outputs, graphs, [len(flags) for flags in right]),
            "noise_accuracy": sum(int(flags.sum()) for flags in right) / count if count else None,
            "hits": count,
        }

    def perfect(self, graph: HitGraph) -> Tensor:
        """The truth, as logits."""
        return 20.0 * (graph.pid != 0) - 10

    def constant(self, graph: HitGraph) -> Tensor:
        """A probability of 0.5 for each hit."""
        return graph.x.new_zeros(len(graph.x))


@metric("noise_rejection", of="hits", tasks=["hit_noise"])
def noise_rejection(judged: NetworkOutputs) -> float | None:
    """Share of the hits of noise that are recognised."""
    noise = torch.cat([graph.pid == 0 for graph in judged.graphs])
    accepted = torch.cat([torch.sigmoid(output) >= judged.cut for output in judged.outputs])
    return float((noise & ~accepted).sum() / noise.sum()) if noise.any() else None


@task_figures("hit_noise")
def noise_figures(task: HitNoise, outputs: Sequence[Tensor], graphs: Sequence[HitGraph]) -> dict[str, TaskFigure]:
    """Histogram of the probabilities, in the report of a search."""
    import plotly.graph_objects as go

    probability = torch.cat([torch.sigmoid(output) for output in outputs])
    of_particle = torch.cat([graph.pid != 0 for graph in graphs])
    chart = go.Figure()
    for name, rows, colour in (("particles", of_particle, "var(--c1)"), ("noise", ~of_particle, "var(--c2)")):
        bins = {"start": 0, "end": 1, "size": 0.05}
        chart.add_histogram(x=probability[rows].tolist(), xbins=bins, name=name, marker={"color": colour})
    chart.update_layout(xaxis={"title": {"text": "probability that a particle made the hit"}}, yaxis={"type": "log"})
    return {"Probabilities of hits": TaskFigure(chart, "Histogram of the probabilities of hits")}


@metric("fast_efficiency", of="edges")
def fast_efficiency(edges: ClassifiedRows) -> float | None:
    """Share of the true edges of fast particles that are accepted."""
    inner, _ = edges.at_ends("pt")
    true = edges.truth & (inner > FAST)
    return (true & edges.accepted).sum() / true.sum() if true.any() else None
