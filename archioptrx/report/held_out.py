"""Evaluation of the best model on held-out events: its outputs after each pass of its loop, computed once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archioptrx.core.errors import InputError
from archioptrx.data.batches import batched, graphs_for
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.storage.graph_views import facts_of
from archioptrx.models.events import ModelData, events_for
from archioptrx.models.model_folder import TrainedModel
from archioptrx.tasks.binary import BinaryClassification
from archioptrx.tasks.classification_metrics import Bools, Ranking, rates
from archioptrx.tasks.several import Several
from archioptrx.tasks.task import Output, Task, apply_to
from archioptrx.training.fit import EDGES_PER_EVALUATION

CUT = 0.5
"""Probability that accepts, as in `archioptrx evaluate`."""
CUT_LOGIT = math.log(CUT / (1 - CUT))
MOST_NUMBERS = 50_000_000
"""Most outputs of earlier passes that are kept (4 bytes each); for further events only the last pass is kept."""
Logits = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Outputs of a model on its test events.

    Attributes
    ----------
    model
        The model.
    graphs
        The test events, whole or in sectors.
    batches
        The same graphs, joined as `evaluate` joins them.
    outputs
        Output on each batch.
    passes
        Outputs of all passes of the last loop on the first batches, in order; one where there is no loop.
    metrics
        Metrics of `archioptrx evaluate` at `CUT`, without those of tracks.
    events
        The test events with their metadata; None: of no data set.
    """

    model: TrainedModel
    graphs: Sequence[HitGraph]
    batches: Sequence[HitGraph]
    outputs: Sequence[Output]
    passes: Sequence[Sequence[Output]]
    metrics: Mapping[str, Any]
    events: ModelData | None = None

    def targets(self) -> Iterator[tuple[str, Task, list[Tensor]]]:
        """Each target: its name (empty if it is the only one), its task and the model's output on each batch."""
        task = self.model.task
        parts: Mapping[str, Task] = task.tasks if isinstance(task, Several) else {"": task}
        for place, (name, part) in enumerate(parts.items()):
            yield name, part, [_of_target(output, place) for output in self.outputs]

    def metrics_of(self, name: str) -> dict[str, Any]:
        """The metrics of one target under their own names."""
        prefix = f"{name}." if name else ""
        return {key[len(prefix) :]: value for key, value in self.metrics.items() if key.startswith(prefix)}


@dataclass(frozen=True)
class BinaryTarget:
    """A binary target: its task, and a model's outputs for each row (edge or triplet).

    Attributes
    ----------
    name
        Name of the target; empty if it is the only one.
    task
        The task of the target.
    logits : float64 [R]
        Logits of all test events, graph by graph.
    passes : [P] of float64 [≤ R]
        Logits of each pass on the first graphs; the last pass is the beginning of `logits`.
    truth, counted : bool [R]
        Truth; rows that count.
    spans
        First row and end of each graph.
    """

    name: str
    task: BinaryClassification
    logits: Logits
    passes: Sequence[Logits]
    truth: Bools
    counted: Bools
    spans: Sequence[tuple[int, int]]

    @classmethod
    def all_of(cls, held: HeldOut) -> list[BinaryTarget]:
        """All binary targets of a model, in order."""
        targets = []
        for place, (name, task, outputs) in enumerate(held.targets()):
            if isinstance(task, BinaryClassification):
                turns = [[_of_target(output, place) for output in turn] for turn in zip(*held.passes, strict=True)]
                sizes = [graph[task.rows.index].shape[1] for graph in held.graphs]
                truth = [graph[task.rows.truth].numpy() > 0.5 for graph in held.batches]
                counted = [task.rows.counted(graph).numpy() for graph in held.batches]
                targets.append(
                    cls(
                        name,
                        task,
                        _joined(outputs),
                        [_joined(turn) for turn in turns],
                        np.concatenate(truth),
                        np.concatenate(counted),
                        list(pairwise(accumulate(sizes, initial=0))),
                    )
                )
        return targets

    @property
    def drawable(self) -> int:
        """Number of graphs, from the first on, for which all passes are known."""
        rows = len(self.passes[0]) if self.passes else 0
        return sum(end <= rows for _, end in self.spans)

    def by_pass(self) -> list[dict[str, float | None]]:
        """AUC, efficiency and purity after each pass, on the graphs that have all passes."""
        metrics_by_pass = []
        for logits in self.passes:
            counted, truth = self.counted[: len(logits)], self.truth[: len(logits)]
            auc = Ranking.of(logits[counted], truth[counted]).auc
            metrics_by_pass.append({"auc": auc, **rates(logits[counted] >= CUT_LOGIT, truth[counted])})
        return metrics_by_pass


def evaluate_held_out(model: TrainedModel, most: int = MOST_NUMBERS) -> HeldOut:
    """Run a model on its test events, on the CPU.

    Parameters
    ----------
    model
        The trained model.
    most
        See `MOST_NUMBERS`.

    Raises
    ------
    InputError
        The events can't be read, have changed, or there are none.
    TrialError
        An output isn't a finite number.
    """
    events = events_for(model, None)
    graphs = events.graphs
    if not len(graphs):
        raise InputError("data: hold no test events; allowed: a share of the split for them, or --test PATH")
    batches = batched(graphs, graphs_for(graphs, EDGES_PER_EVALUATION))
    outputs: list[Output] = []
    passes: list[list[Output]] = []
    left = most
    with torch.no_grad():
        for batch in batches:
            if left > 0:
                outputs_by_pass = [apply_to(output, Tensor.float) for output in model.model(batch, passes=True)]
                passes.append(outputs_by_pass)
                left -= sum(
                    tensor.numel()
                    for turn in outputs_by_pass[:-1]
                    for tensor in ([turn] if isinstance(turn, Tensor) else turn)
                )
            else:
                outputs_by_pass = [apply_to(model.model(batch), Tensor.float)]
            outputs.append(outputs_by_pass[-1])
    metrics = model.task.scores(outputs, batches, cut=CUT, bins=True)
    return HeldOut(model, graphs, batches, outputs, passes, metrics, events)


def events_by_size(graphs: Sequence[HitGraph], count: int) -> list[tuple[str, list[int], str]]:
    """Events to show: name, indices of the graphs, and the reason for the choice.

    They are the event of median size (by edges), the largest and the smallest one.

    Parameters
    ----------
    count
        Number of graphs, from the first on, that may be shown; events with other graphs are left out.
    """
    places: dict[str, list[int]] = {}
    edges: dict[str, int] = {}
    for place, facts in enumerate(facts_of(graphs)):
        places.setdefault(facts.event, []).append(place)
        edges[facts.event] = edges.get(facts.event, 0) + facts.edges
    order = sorted((n, name) for name, n in edges.items() if n and places[name][-1] < count)
    names = [name for _, name in order]
    if not names:
        return []
    if len(names) < 3:
        return [(name, places[name], "") for name in reversed(names)]
    reasons = {names[len(names) // 2]: "median size", names[-1]: "the largest", names[0]: "the smallest"}
    return [(name, places[name], reason) for name, reason in reasons.items()]


def _of_target(output: Output, place: int) -> Tensor:
    return output if isinstance(output, Tensor) else output[place]


def _joined(parts: Sequence[Tensor]) -> Logits:
    return torch.cat([part.double() for part in parts]).numpy() if parts else np.zeros(0)
