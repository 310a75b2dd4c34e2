"""What every task offers to training and search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from archioptrx.hitgraph import HitGraph


@dataclass(frozen=True)
class Objective:
    """The metric that a search improves, and its direction (`max` or `min`)."""

    metric: str
    direction: str = "max"

    def value(self, metrics: dict[str, Any]) -> float | None:
        """Take the metric from a report, turned so that larger is better. None where it couldn't be computed."""
        value = metrics.get(self.metric)
        return None if value is None else float(value) if self.direction == "max" else -float(value)


class Task(ABC):
    """A target with a loss and metrics.

    Attributes
    ----------
    name
        Name in experiment files.
    domain
        Domain of the target: node, edge, triplet or graph.
    target_width
        Width of the output; with 1 a model gives [rows] instead of [rows, 1].
    objective
        What a search improves unless told otherwise.
    divisible
        Whether a part of a graph can be trained on: true where targets belong to hits, edges or triplets.
    """

    name: str
    domain: str
    target_width: int
    objective: Objective
    divisible: bool = True

    @abstractmethod
    def loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Loss of a model's output on a batch, a scalar."""

    @abstractmethod
    def metrics(
        self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score outputs on all graphs (or batches) together.

        Parameters
        ----------
        outputs, graphs
            One output per graph or batch, in the same order, on any device.
        cut
            Probability at which a row counts as accepted.
        bins
            Add lists of scores per bin of physical quantities, where the data have them.

        Raises
        ------
        TrialError
            An output isn't a number.
        """

    def tracks(self, output: Tensor, graph: HitGraph) -> Tensor | None:
        """Track candidate of each hit of one graph, -1 for none; None where the task makes no tracks.

        Shapes: output as the model gives it -> int64 [N].
        """
        return None
