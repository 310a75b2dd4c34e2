"""Models that answer with the truth, or with a constant: bounds of every score, for exact tests."""

from __future__ import annotations

from typing import Any

from torch import nn

from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks import make_task
from archioptrx.tasks.task import Task


class PerfectOracle(nn.Module):
    """Answers with the truth: for edges an AUC of exactly 1.

    Parameters
    ----------
    task
        The task whose truth it answers; None: edge classification.
    """

    def __init__(self, task: Task | None = None) -> None:
        super().__init__()
        self.task = task or make_task()

    def forward(self, data: HitGraph) -> Any:
        """An answer as a model of the task would give it."""
        return self.task.perfect(data)


class ConstantOracle(PerfectOracle):
    """Answers the same for everything: for edges an AUC of exactly 0.5."""

    def forward(self, data: HitGraph) -> Any:
        """An answer as a model of the task would give it."""
        return self.task.constant(data)
