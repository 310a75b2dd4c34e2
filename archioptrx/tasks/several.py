"""Several targets at once: each has its own task, and the losses are added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks import task_from
from archioptrx.tasks.options.registry import task
from archioptrx.tasks.options.several import SeveralOptions
from archioptrx.tasks.task import Task, TaskObjective


class Several(Task):
    """The weighted sum of the losses of some targets; their metrics beside each other.

    Parameters
    ----------
    parts
        Task of each target and the weight of its loss, by the name of the target's data node, in the order of the
        function graph's targets: so the model gives them.
    """

    name = "several"

    def __init__(self, parts: Mapping[str, tuple[Task, float]]) -> None:
        self.tasks = {name: task for name, (task, _) in parts.items()}
        self.weights = {name: weight for name, (_, weight) in parts.items()}
        name, first = next(iter(self.tasks.items()))
        self.domain = first.domain
        self.target_width = {name: _width(task) for name, task in self.tasks.items()}
        self.objective = TaskObjective(f"{name}.{first.objective.metric}", first.objective.direction)
        self.divisible = all(task.divisible for task in self.tasks.values())

    def misfit(self, targets: Sequence[tuple[str, str]]) -> str | None:
        """Expected targets, unless names, order and domains are those of the tasks."""
        expected = [(name, task.domain) for name, task in self.tasks.items()]
        if list(targets) == expected:
            return None
        return ", ".join(f"{name} ({domain})" for name, domain in expected) + ", in this order"

    def truth_fault(self, graphs: Iterable[HitGraph]) -> str | None:
        """The first fault of its tasks."""
        return next((fault for task in self.tasks.values() if (fault := task.truth_fault(graphs))), None)

    def data_fault(self, graph: HitGraph) -> str | None:
        """Fault of the events for one of the tasks."""
        return next((fault for task in self.tasks.values() if (fault := task.data_fault(graph))), None)

    def loss(self, output: tuple[Tensor, ...], batch: HitGraph) -> Tensor:
        """Weighted sum of the losses."""
        return self._sum([task.loss(part, batch) for task, part in zip(self.tasks.values(), output, strict=True)])

    def validation_loss(self, output: tuple[Tensor, ...], batch: HitGraph) -> Tensor:
        """Weighted sum of the losses in metrics."""
        parts = zip(self.tasks.values(), output, strict=True)
        return self._sum([task.validation_loss(part, batch) for task, part in parts])

    def _sum(self, losses: Sequence[Tensor]) -> Tensor:
        return torch.stack([w * loss for w, loss in zip(self.weights.values(), losses, strict=True)]).sum()

    def metrics(
        self, outputs: Sequence[tuple[Tensor, ...]], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score each target: `loss`, the weighted sum, and all metrics of each after its name, `score.auc`."""
        merged: dict[str, Any] = {}
        for place, (name, part) in enumerate(self.tasks.items()):
            own = part.scores([output[place] for output in outputs], graphs, cut=cut, bins=bins)
            merged |= {f"{name}.{metric}": value for metric, value in own.items()}
        losses = [merged[f"{name}.loss"] for name in self.tasks]
        total = None if None in losses else sum(w * x for w, x in zip(self.weights.values(), losses, strict=True))
        return {"loss": total, **merged}

    def tracks(self, output: tuple[Tensor, ...], graph: HitGraph) -> Tensor | None:
        """Tracks of the first target that makes any."""
        found_tracks = (task.tracks(part, graph) for task, part in zip(self.tasks.values(), output, strict=True))
        return next((labels for labels in found_tracks if labels is not None), None)

    def perfect(self, graph: HitGraph) -> tuple[Tensor, ...]:
        """The truth of each target."""
        return tuple(task.perfect(graph) for task in self.tasks.values())

    def constant(self, graph: HitGraph) -> tuple[Tensor, ...]:
        """The constant answer of each task."""
        return tuple(task.constant(graph) for task in self.tasks.values())


def parts_of(task: Task) -> tuple[Task, ...]:
    """The task of each target."""
    return tuple(task.tasks.values()) if isinstance(task, Several) else (task,)


def _width(task: Task) -> int:
    assert isinstance(task.target_width, int)  # several don't stand inside several
    return task.target_width


@task(SeveralOptions)
def make(options: SeveralOptions) -> Several:
    """Make the task from its options."""
    return Several({target.name: (task_from(target.options), target.weight) for target in options.targets})
