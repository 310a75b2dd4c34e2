"""The interface of a task to training, search and evaluation."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archioptrx.core.config import kind_of
from archioptrx.core.errors import InputError, TrialError
from archioptrx.core.files import plain
from archioptrx.core.reading import shown
from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.metrics import TRACKS, Metric, NetworkOutputs, defined
from archioptrx.tasks.options.registry import TASKS

Output = Tensor | tuple[Tensor, ...]
"""Output of a model: one tensor, or one of each target in order."""


def apply_to(output: Output, act: Callable[[Tensor], Tensor]) -> Output:
    """Apply a function to the tensor of each target."""
    return act(output) if isinstance(output, Tensor) else tuple(act(part) for part in output)


def as_columns(output: Tensor) -> Tensor:
    """An output as rows and columns, also one without rows: [rows] -> [rows, 1], [rows, C] stays.

    >>> as_columns(torch.zeros(0, 6)).shape, as_columns(torch.zeros(4)).shape
    (torch.Size([0, 6]), torch.Size([4, 1]))
    """
    return output.reshape(len(output), math.prod(output.shape[1:]))  # without rows, -1 could be any number


def finite(outputs: Sequence[Tensor]) -> None:
    """Raise TrialError where an output isn't a finite number."""
    bad = sum(int((~torch.isfinite(output)).sum()) for output in outputs)
    if bad:
        raise TrialError(f"{bad} of {sum(output.numel() for output in outputs)} numbers aren't finite")


def lacks_pid(graph: HitGraph) -> str | None:
    """Fault of events without the particles of hits; None: they have them."""
    if graph.get("pid") is not None:
        return None
    return "the hits have no particle ids (pid); allowed: a source that knows them (toy, helix, trackml …)"


def no_particles(graphs: Iterable[HitGraph]) -> str | None:
    """Fault of graphs in which no particle has a hit, as of files without truth; None: one has."""
    if any(graph.get("pid") is not None and bool((graph.pid != 0).any()) for graph in graphs):
        return None
    return "no hit is of a particle (files without truth?); allowed: events with particles"


def mean_loss(
    task: Task, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], weights: Sequence[float]
) -> float | None:
    """Loss of all graphs (or batches), weighted by the size of each; None without graphs."""
    losses = [float(task.validation_loss(o.detach().float(), g)) for o, g in zip(outputs, graphs, strict=True)]
    return float(np.average(losses, weights=[max(1e-9, weight) for weight in weights])) if losses else None


@dataclass(frozen=True)
class TaskObjective:
    """The metric that a search improves, its direction (`max` or `min`), and further metrics that it needs.

    An epoch in which one of them is undefined has no score; see `archioptrx.tasks.metrics.defined`.
    """

    metric: str
    direction: str = "max"
    needs: tuple[str, ...] = ()

    def value(self, metrics: Mapping[str, Any]) -> float | None:
        """Take the metric from a report, turned so that larger is better. None: these metrics give no score."""
        value = defined(metrics.get(self.metric))
        if value is None or any(defined(metrics.get(name)) is None for name in self.needs):
            return None
        return value if self.direction == "max" else -value


class Task(ABC):
    """A target with a loss and metrics.

    Attributes
    ----------
    name
        Name in experiment files.
    domain
        Domain of the target: node, edge, triplet or graph.
    target_width
        Width of the output, for several targets by name; with 1 a model gives [rows] instead of [rows, 1].
    objective
        Metric that a search improves by default.
    divisible
        True: a part of a graph can be trained on, since targets belong to hits, edges or triplets.
    logits
        True: its outputs are logits, which `predict` and `export` turn into probabilities.
    judging
        The metrics that judge its answers; `archioptrx.tasks.task_from` sets them.
    """

    name: str = ""
    domain: str
    target_width: int | Mapping[str, int]
    objective: TaskObjective
    divisible: bool = True
    logits: bool = False
    judging: Sequence[Metric] = ()

    def misfit(self, targets: Sequence[tuple[str, str]]) -> str | None:
        """Allowed targets of a function graph; None: its targets are allowed.

        Parameters
        ----------
        targets
            Name and domain of each.
        """
        return None if [domain for _, domain in targets] == [self.domain] else f"one of domain {self.domain}"

    def data_fault(self, graph: HitGraph) -> str | None:
        """Fault of events that lack what this task needs, judged by one of their graphs; None: nothing."""
        return None

    def truth_fault(self, graphs: Iterable[HitGraph]) -> str | None:
        """Fault of graphs from which nothing can be learned, as without truth in their files; None: there is none."""
        return None

    @abstractmethod
    def loss(self, output: Any, batch: HitGraph) -> Tensor:
        """Loss of a model's output on a batch, a scalar. Random numbers come from torch's generator of the CPU.

        A training seeds that generator, so that its draws are new in each step and follow its seed.
        """

    def validation_loss(self, output: Any, batch: HitGraph) -> Tensor:
        """Loss in metrics: draws nothing, and graphs have the same loss in any batch. Usually the loss itself."""
        return self.loss(output, batch)

    @abstractmethod
    def metrics(
        self, outputs: Sequence[Any], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score outputs on all graphs (or batches) together.

        Parameters
        ----------
        outputs, graphs
            One output per graph or batch, in the same order, on any device.
        cut
            Probability at which a row counts as accepted. The one for an efficiency may be as good as 1: then compare
            logits with `archioptrx.tasks.classification_metrics.logit` of it, which is exact.
        bins
            Add lists of scores per bin of physical quantities, where the data have them.

        Raises
        ------
        TrialError
            An output isn't a number.
        """

    def answers(self, outputs: Sequence[Any], graphs: Sequence[HitGraph], cut: float = 0.5) -> Sized:
        """Input of the metrics that judge this task's outputs."""
        return NetworkOutputs(outputs, graphs, cut)

    def scores(
        self, outputs: Sequence[Any], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """The task's own numbers and the metrics that judge it; arguments as of `metrics`.

        Those of tracks are computed elsewhere.

        Raises
        ------
        TrialError
            An output isn't a number, or a metric fails.
        """
        with TASKS.guarded(self.name):
            scores = self.metrics(outputs, graphs, cut=cut, bins=bins)
        if not isinstance(scores, dict):
            raise InputError(f"task {self.name}: its metrics are {kind_of(scores)}; allowed: numbers by name, a dict")
        for name, value in scores.items():
            if isinstance(value, int) and abs(value) > sys.float_info.max:
                raise TrialError(f"task {self.name}: metric {name}: is a whole number that no float holds")
            number = isinstance(plain(value), int | float | None) and not isinstance(plain(value), bool)
            if not number and not (bins and isinstance(value, list)):
                allowed = "a number, or None where there is none"
                raise TrialError(f"task {self.name}: metric {name}: is {shown(value)}; allowed: {allowed}")
        further = [metric for metric in self.judging if TRACKS not in metric.of and metric.name not in scores]
        if not further:
            return scores
        judged = self.answers(outputs, graphs, cut)
        return scores | {metric.name: metric.value(judged) for metric in further}

    @abstractmethod
    def perfect(self, graph: HitGraph) -> Any:
        """The true answer, in the form of a model's output."""

    @abstractmethod
    def constant(self, graph: HitGraph) -> Any:
        """An answer without information: the same for all rows."""

    def tracks(self, output: Any, graph: HitGraph) -> Tensor | None:
        """Track candidate of each hit of one graph, -1 for none; None where the task makes no tracks.

        Shapes: output as the model gives it -> int64 [N].
        """
        return None
