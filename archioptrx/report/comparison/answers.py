"""Answers of the models of a comparison on its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archioptrx.core.config import finish
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.models.model_folder import TrainedModel
from archioptrx.report.comparison.events import ModelEvents, row_order
from archioptrx.report.comparison.models import LoadedModel
from archioptrx.tasks.binary import BinaryClassification
from archioptrx.tasks.classification_metrics import Bools, logit
from archioptrx.tasks.options import TaskOptions
from archioptrx.tasks.options.meaning import differing_losses, differing_meaning, kind_of_task
from archioptrx.tasks.several import parts_of
from archioptrx.tasks.task import apply_to
from archioptrx.tasks.tracks.metrics import EventTracks, Selection
from archioptrx.tasks.tracks.scores import events_of_task, signal_selection
from archioptrx.training.fit import predict


@dataclass(frozen=True, eq=False)
class ModelAnswers:
    """Outputs of a model on the events.

    Attributes
    ----------
    contestant, model, view
        The entry of the comparison, the model (one of its trainings), and the events as its input.
    outputs
        Output for each graph, on the CPU.
    cut
        Probability from which it accepts.
    """

    contestant: LoadedModel
    model: TrainedModel
    view: ModelEvents
    outputs: Sequence[Any]
    cut: float

    @cached_property
    def rows(self) -> tuple[BinaryClassification, list[Tensor]] | None:
        """Task and logits of the first target that is decided row by row; None: there is none."""
        for place, task in enumerate(parts_of(self.model.task)):
            if isinstance(task, BinaryClassification):
                return task, [output[place] if isinstance(output, tuple) else output for output in self.outputs]
        return None

    @cached_property
    def decided(self) -> tuple[Bools, Bools, Bools]:
        """Accepted rows, true rows and rows that count, of all graphs. Shapes: three of bool [R]."""
        assert self.rows is not None
        task, logits = self.rows
        rows, level = task.rows, logit(self.cut)
        graphs = self.view.graphs
        accepted = np.concatenate([values.double().numpy() >= level for values in logits])
        truth = np.concatenate([(graph[rows.truth] > 0.5).numpy() for graph in graphs])
        return accepted, truth, np.concatenate([rows.counted(graph).numpy() for graph in graphs])

    @cached_property
    def tracks(self) -> list[EventTracks]:
        """Tracks of each event; none where the task makes no tracks, or the particles of hits aren't known."""
        return events_of_task(self.model.task, self.outputs, self.view.graphs, self.view.whole)

    @cached_property
    def signal(self) -> Selection:
        """Particles by which tracks are judged."""
        return signal_selection(self.view.graphs, self.view.metadata.options)


def check_tasks(contestants: Sequence[LoadedModel]) -> None:
    """Raise InputError unless the metrics of all models mean the same."""
    first = contestants[0]
    finish([fault for loaded in contestants[1:] if (fault := _other_task(loaded, first))])


def _other_task(loaded: LoadedModel, first: LoadedModel) -> str:
    """Fault of a model of another task than the first one's; empty where both are of one."""
    kind, expected = kind_of_task(options_of_task(loaded)), kind_of_task(options_of_task(first))
    if kind != expected:
        return f"{loaded.name}: is for {kind}, {first.name} for {expected}; allowed: models of one task"
    if differing := differing_meaning(options_of_task(loaded), options_of_task(first)):
        return f"{loaded.name}: differs from {first.name} in {differing}; allowed: models with the same"
    return ""


def options_of_task(loaded: LoadedModel) -> TaskOptions:
    """Options of the task of a model."""
    return loaded.model.provenance.task.options


def model_answers(contestant: LoadedModel, model: TrainedModel, view: ModelEvents, cut: float) -> ModelAnswers:
    """Run a model, one of the trainings of an entry, on its view of the events."""
    device = device_of_models()
    network = model.model.to(device)
    outputs = [predict(network, [batch_graphs([graph]).to(device)])[0] for graph in view.graphs]
    return ModelAnswers(contestant, model, view, [apply_to(output, Tensor.cpu) for output in outputs], cut)


def device_of_models() -> torch.device:
    """Device on which all models run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def different_losses(runs: Sequence[ModelAnswers]) -> tuple[str, ...]:
    """Losses that mean something else for one of the models."""
    first, *others = (options_of_task(run.contestant) for run in runs)
    return tuple(dict.fromkeys(name for other in others for name in differing_losses(other, first)))


def order_of_rows(run: ModelAnswers, first: ModelAnswers) -> Any:
    """Place of each row of the first model among this one's; None where they have different rows."""
    if run.view.same and first.view.same:
        return slice(None)
    rows = run.rows
    return row_order(first.view.graphs, run.view.graphs) if rows and rows[0].domain == "edge" else None


def strangers(runs: Sequence[ModelAnswers]) -> list[ModelAnswers]:
    """Models whose rows can't be found among those of the first one."""
    return [run for run in runs[1:] if run.rows and order_of_rows(run, runs[0]) is None]
