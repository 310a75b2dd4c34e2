"""Node regression: the parameters of the particle that made each hit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.options.node_regression import RegressionOptions
from archioptrx.tasks.options.parameters import channels_of
from archioptrx.tasks.options.registry import task
from archioptrx.tasks.parameters import Floats, known, lacks_particles, no_parameters, scaled, scores
from archioptrx.tasks.task import Task, TaskObjective, as_columns, finite, mean_loss


@task(RegressionOptions)
class NodeRegression(Task):
    """Huber loss on scaled parameters, mean over channels and hits.

    Hits of noise, and of particles whose parameters aren't known, count nowhere.

    With the residual d of a channel the loss is d²/2 where |d| ≤ δ, else δ (|d| - δ/2): Huber 1964
    (doi:10.1214/aoms/1177703732), so that a few particles with unpredictable parameters don't dominate the gradient.
    """

    name = "node_regression"
    domain = "node"
    target_width: int

    def __init__(self, options: RegressionOptions) -> None:
        self.options = options
        self.target_width = channels_of(options.parameters)
        self.objective = TaskObjective("explained", "max")

    def data_fault(self, graph: HitGraph) -> str | None:
        """Fault of events without particles."""
        return lacks_particles(graph)

    def truth_fault(self, graphs: Iterable[HitGraph]) -> str | None:
        """Fault of graphs without hits of particles whose parameters are known."""
        return no_parameters(graphs)

    def loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Mean Huber loss. Shapes: output [N, C], or [N] with one channel -> []."""
        counted = known(batch)
        predicted = as_columns(output)[counted]
        total = huber_loss(predicted, self.truth(batch)[counted], reduction="sum", delta=self.options.delta)
        return total / max(1, predicted.numel())

    def metrics(
        self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score parameters; see `Task.metrics` and `archioptrx.tasks.parameters.scores`; `hits` that count."""
        finite(outputs)
        given, truth = self.of_particles(outputs, graphs)
        sizes = [int(known(graph).sum()) for graph in graphs]
        return {
            "loss": mean_loss(self, outputs, graphs, sizes),
            **scores(given, truth, self.options.parameters),
            "hits": sum(sizes),
        }

    def of_particles(self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph]) -> tuple[Floats, Floats]:
        """Predicted and true parameters of the hits that count, scaled. Shapes: -> [R, C] each."""
        kept = [known(graph) for graph in graphs]
        rows = [as_columns(output)[keep] for output, keep in zip(outputs, kept, strict=True)]
        truth = [self.truth(graph)[keep] for graph, keep in zip(graphs, kept, strict=True)]
        none = torch.zeros(0, self.target_width)
        given, true = (torch.cat([none, *(part.detach().cpu() for part in parts)]) for parts in (rows, truth))
        return given.double().numpy(), true.double().numpy()

    def perfect(self, graph: HitGraph) -> Tensor:
        """The truth; 0 where it isn't known."""
        return self._shaped(self.truth(graph).nan_to_num())

    def constant(self, graph: HitGraph) -> Tensor:
        """The centre of each scale for every hit: no variance is explained."""
        return self._shaped(graph.x.new_zeros(len(graph.x), self.target_width))

    def truth(self, graph: HitGraph) -> Tensor:
        """Scaled parameters of the particle of each hit. Shapes: -> [N, C]."""
        return scaled(graph["particles"], self.options.parameters)[graph.particle_index]

    def _shaped(self, rows: Tensor) -> Tensor:
        return rows.squeeze(1) if self.target_width == 1 else rows
