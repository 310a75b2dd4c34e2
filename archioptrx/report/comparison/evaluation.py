"""Evaluation of the models on the events, and the comparison of their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archioptrx.core.config import finish
from archioptrx.data.dataset import Dataset
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.models.model_folder import TrainedModel
from archioptrx.report.comparison.acts_tracks import FurtherTracks
from archioptrx.report.comparison.bootstrap import Ints, Replicates, over_seeds, replicate, resamples
from archioptrx.report.comparison.decisions import Pair, compare_decisions, marked
from archioptrx.report.comparison.events import ModelEvents, row_order
from archioptrx.report.comparison.intervals import LOG, LOG_ODDS
from archioptrx.report.comparison.memory import peak_memory
from archioptrx.report.comparison.models import LoadedModel
from archioptrx.report.comparison.pictures import Curves, Display, curves_of, display_of
from archioptrx.report.comparison.result import ComparedModel, Comparison, Number
from archioptrx.report.comparison.statistics import (
    GraphStatistic,
    RowStatistic,
    by_rows,
    judging_metrics,
)
from archioptrx.report.comparison.track_judging import BIN, TrackJudging, time_replicates, track_replicates
from archioptrx.report.comparison.units import EVENTS, Units, events_of, scored_graphs, units_of
from archioptrx.runs.statistics import holm
from archioptrx.tasks.binary import BinaryClassification
from archioptrx.tasks.classification_metrics import Bools, logit
from archioptrx.tasks.options import TaskOptions
from archioptrx.tasks.options.meaning import differing_losses, differing_meaning, kind_of_task
from archioptrx.tasks.options.registry import objective_metrics
from archioptrx.tasks.several import parts_of
from archioptrx.tasks.task import apply_to
from archioptrx.tasks.tracks.figures import limits_text
from archioptrx.tasks.tracks.metrics import Selection
from archioptrx.tasks.tracks.scores import events_of_task, signal_selection
from archioptrx.training.fit import predict
from archioptrx.training.measure import latencies

FEW, MANY = 200, 1000
"""Default numbers of resamples: for metrics that the task computes anew for each, and for those of sums."""


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


def check_tasks(contestants: Sequence[LoadedModel]) -> None:
    """Raise InputError unless the metrics of all models mean the same."""
    first = contestants[0]
    finish([fault for loaded in contestants[1:] if (fault := _other_task(loaded, first))])


def _other_task(loaded: LoadedModel, first: LoadedModel) -> str:
    """Fault of a model of another task than the first one's; empty where both are of one."""
    kind, expected = kind_of_task(_options(loaded)), kind_of_task(_options(first))
    if kind != expected:
        return f"{loaded.name}: is for {kind}, {first.name} for {expected}; allowed: models of one task"
    if differing := differing_meaning(_options(loaded), _options(first)):
        return f"{loaded.name}: differs from {first.name} in {differing}; allowed: models with the same"
    return ""


def _options(loaded: LoadedModel) -> TaskOptions:
    return loaded.model.provenance.task.options


def model_answers(contestant: LoadedModel, model: TrainedModel, view: ModelEvents, cut: float) -> ModelAnswers:
    """Run a model, one of the trainings of an entry, on its view of the events."""
    device = _device()
    network = model.model.to(device)
    outputs = [predict(network, [batch_graphs([graph]).to(device)])[0] for graph in view.graphs]
    return ModelAnswers(contestant, model, view, [apply_to(output, Tensor.cpu) for output in outputs], cut)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compare_answers(
    groups: Sequence[Sequence[ModelAnswers]],
    origin: str,
    notes: Sequence[str],
    number: int | None,
    seed: int,
    judging: TrackJudging | None = None,
    others: Sequence[FurtherTracks] = (),
    seconds: Sequence[Sequence[float] | None] = (),
) -> Comparison:
    """Compare the outputs of all models.

    Parameters
    ----------
    groups
        Outputs of the trainings of each entry. Decisions, curves and costs are those of the first one.
    origin, notes
        Texts for the reader; see `Comparison`.
    number
        Number of resamples; None: `FEW` or `MANY`.
    judging
        Definition and limits for tracks; None: those of the signal.
    others
        Tracks of algorithms that are no networks.
    seconds
        Time of each entry for each event, where it is measured.
    """
    judging = judging or TrackJudging()
    runs = [group[0] for group in groups]
    first = runs[0]
    apart = _different_losses(runs)
    units = units_of(first.view.graphs, divisible=by_rows(first.model.task))
    statistics = [[_statistic(run, units) for run in group] for group in groups]
    quick = all(
        isinstance(statistic, RowStatistic) and statistic.quick() for group in statistics for statistic in group
    )
    number = (MANY if quick else FEW) if number is None else number
    draws = resamples(units.number, number, seed) if units.number else np.zeros((0, 0), np.int64)
    replicates = [
        _over_seeds(
            [
                _replicates(run, statistic, units, draws, judging)
                for run, statistic in zip(group, of_group, strict=True)
            ],
            number,
            seed + place,
        )
        for place, (group, of_group) in enumerate(zip(groups, statistics, strict=True), 1)
    ]
    of_events = draws if units.kind == EVENTS else np.zeros((0, 0), np.int64)
    for values, of_model in zip(replicates, seconds, strict=False):
        values |= {} if of_model is None else time_replicates(of_model, of_events)
    replicates = [{name: values[name] for name in values if name not in apart} for values in replicates]
    models = _entries(runs, replicates)
    signal = signal_selection(first.view.graphs, first.view.metadata.options)
    further = [
        _further(
            other,
            track_replicates(other.events, signal, judging, first.model.task.name, of_events, _scales(first))
            | time_replicates(other.seconds, of_events),
            replicates[0],
            models[0],
        )
        for other in others
    ]
    entries = _marked([*models, *further])
    rows = first.decided[2] if first.rows else None
    extra = [] if units.number else ["there are too few events for intervals"]
    if units.kind not in ("", EVENTS) and any(name.startswith("track") for name in entries[0].metrics):
        few = len({facts.event for facts in scored_graphs(first.view.graphs, by_rows(first.model.task))})
        extra.append(f"tracks are those of whole events: {few} are too few for intervals")
    extra += [
        f"{run.contestant.name}: has graphs of its own, so its edges can't be compared one by one"
        for run in _strangers(runs)
    ]
    if apart:
        extra.append(f"the models were trained with different options of the task, so {', '.join(apart)} says nothing")
    extra += [note for other in others for note in other.notes]
    several = [entry.name for entry in entries if entry.seeds > 1]
    extra += [f"{name}: decisions, curves and costs are those of its first training" for name in several]
    return Comparison(
        entries=entries,
        events=len(events_of(first.view.graphs)),
        graphs=len(first.view.graphs),
        rows=None if rows is None else int(rows.sum()),
        origin=origin,
        what=first.rows[0].rows.plural if first.rows else "",
        unit=units.kind,
        units=max((n.units for entry in entries for n in entry.metrics.values() if n.units), default=units.number),
        resamples=number if units.number else 0,
        pairs=_pairs(runs),
        device=_device().type,
        notes=(*notes, *extra),
        judging=_judging_text(judging, signal, first),
        curves=_curves(runs),
        display=_display(runs),
    )


def _different_losses(runs: Sequence[ModelAnswers]) -> tuple[str, ...]:
    """Losses that mean something else for one of the models."""
    first, *others = (_options(run.contestant) for run in runs)
    return tuple(dict.fromkeys(name for other in others for name in differing_losses(other, first)))


def _order(run: ModelAnswers, first: ModelAnswers) -> Any:
    """Place of each row of the first model among this one's; None where they have different rows."""
    if run.view.same and first.view.same:
        return slice(None)
    rows = run.rows
    return row_order(first.view.graphs, run.view.graphs) if rows and rows[0].domain == "edge" else None


def _strangers(runs: Sequence[ModelAnswers]) -> list[ModelAnswers]:
    return [run for run in runs[1:] if run.rows and _order(run, runs[0]) is None]


def _statistic(run: ModelAnswers, units: Units) -> RowStatistic | GraphStatistic:
    """Metrics of a model as a function of the counts of the units; without units, metrics of all events together."""
    task, graphs = run.model.task, run.view.graphs
    own = units if run.view.same else units_of(graphs, False)
    if (units.kind != EVENTS and not run.view.same) or not own.number:
        own = Units(EVENTS, (0,) * len(graphs), 1)
    if by_rows(task):
        return RowStatistic(task, run.outputs, graphs, own, run.cut)
    return GraphStatistic(task, run.outputs, graphs, own, run.cut)


def _replicates(
    run: ModelAnswers, statistic: RowStatistic | GraphStatistic, units: Units, draws: Ints, judging: TrackJudging
) -> dict[str, Replicates]:
    """Metrics of a model in all resamples; of one with other graphs only where events are drawn."""
    task, graphs = run.model.task, run.view.graphs
    drawn = draws if statistic.units == units.number else np.zeros((0, statistic.units), np.int64)
    replicates = replicate(statistic, drawn, _scales(run))
    if replicates.get("loss") and replicates["loss"].value is None:
        batches = [batch_graphs([graph]) for graph in graphs]
        whole = judging_metrics(task.scores(run.outputs, batches, cut=run.cut))
        replicates["loss"] = replace(replicates["loss"], value=whole["loss"])
    return replicates | _tracks(run, draws if units.kind == EVENTS else np.zeros((0, 0), np.int64), judging)


def _over_seeds(trainings: Sequence[Mapping[str, Replicates]], number: int, seed: int) -> dict[str, Replicates]:
    """Means over the trainings of an entry; the trainings of each entry are resampled by themselves."""
    draws = resamples(len(trainings), number, seed)
    shared = [name for name in trainings[0] if all(name in training for training in trainings)]
    return {name: over_seeds([training[name] for training in trainings], draws) for name in shared}


def _scales(run: ModelAnswers) -> dict[str, str]:
    """Scale of the interval of each metric whose bounds the task states."""
    metrics = objective_metrics(run.model.provenance.task.options)
    return dict.fromkeys(metrics.losses, LOG) | dict.fromkeys(metrics.shares, LOG_ODDS)


def _tracks(run: ModelAnswers, draws: Ints, judging: TrackJudging) -> dict[str, Replicates]:
    """Metrics of the tracks, where the task builds tracks and the data have the particle of each hit."""
    task, graphs = run.model.task, run.view.graphs
    events = events_of_task(task, run.outputs, graphs, run.view.whole)
    if not events:
        return {}
    signal = signal_selection(graphs, run.view.metadata.options)
    return track_replicates(events, signal, judging, task.name, draws, _scales(run))


def _judging_text(judging: TrackJudging, signal: Selection, first: ModelAnswers) -> str:
    """Definition and limits in words, as in `evaluate`."""
    if judging.definition is None:
        return ""
    events = events_of_task(first.model.task, first.outputs, first.view.graphs, first.view.whole)
    return f"{judging.definition.label}: {limits_text(judging.definition, judging.within(signal, events))}"


def _entries(runs: Sequence[ModelAnswers], replicates: Sequence[Mapping[str, Replicates]]) -> list[ComparedModel]:
    device = _device()
    models = [run.model.model for run in runs]
    largest = [batch_graphs([max(run.view.graphs, key=lambda graph: graph.num_edges)]).to(device) for run in runs]
    memory = [peak_memory(model, graph) for model, graph in zip(models, largest, strict=True)]
    entries = []
    for run, replicates_of_model, ms, held in zip(runs, replicates, latencies(models, largest), memory, strict=True):
        loaded = run.contestant
        differences = {} if run is runs[0] else _differences(replicates_of_model, replicates[0])
        entries.append(
            ComparedModel(
                name=loaded.name,
                place=loaded.place,
                trained=loaded.trained,
                seeds=len(loaded.trainings),
                task=loaded.model.task.name,
                fingerprint=loaded.model.architecture.graph.fingerprint,
                parameters=sum(p.numel() for p in loaded.model.model.parameters() if p.requires_grad),
                latency=ms,
                memory=held,
                epochs=loaded.model.provenance.training.get("epochs"),
                train_seconds=loaded.model.metrics.get("train_seconds"),
                cut=run.cut,
                metrics=_metrics(replicates_of_model),
                differences=differences,
                bins=_bins(replicates_of_model),
            )
        )
    return entries


def _further(
    other: FurtherTracks, replicates: Mapping[str, Replicates], first: Mapping[str, Replicates], model: ComparedModel
) -> ComparedModel:
    """Entry of an algorithm that is no network, beside the first model."""
    return ComparedModel(
        name=other.name,
        place=other.place,
        trained=False,
        seeds=1,
        task=model.task,
        fingerprint="",
        parameters=None,
        latency=None,
        memory=None,
        epochs=None,
        train_seconds=None,
        cut=None,
        metrics=_metrics(replicates),
        differences=_differences(replicates, first),
        bins=_bins(replicates),
    )


def _metrics(replicates: Mapping[str, Replicates]) -> dict[str, Number]:
    return {name: _number(value) for name, value in replicates.items() if not name.startswith(BIN)}


def _bins(replicates: Mapping[str, Replicates]) -> dict[str, Number]:
    return {name.removeprefix(BIN): _number(value) for name, value in replicates.items() if name.startswith(BIN)}


def _number(replicates: Replicates) -> Number:
    if (interval := replicates.interval) is None:
        return Number(replicates.value)
    return Number(replicates.value, *interval, units=len(replicates.apart))


def _differences(replicates: Mapping[str, Replicates], first: Mapping[str, Replicates]) -> dict[str, Number]:
    """Differences from the first model, with their p values."""
    differences = {}
    for name in replicates:
        if name in first and not name.startswith(BIN):
            apart = replicates[name].minus(first[name])
            spread = apart.spread
            p = None if spread is None or apart.value is None else spread.p(apart.value)
            differences[name] = replace(_number(apart), p=p)
    return differences


def _marked(entries: Sequence[ComparedModel]) -> tuple[ComparedModel, ...]:
    """Entries whose differences are marked where they hold for all differences together."""
    judged = [
        (place, name, number.p)
        for place, entry in enumerate(entries)
        for name, number in entry.differences.items()
        if number.p is not None
    ]
    firm = {(place, name): mark for (place, name, _), mark in zip(judged, holm([p for _, _, p in judged]), strict=True)}
    return tuple(
        replace(
            entry,
            differences={
                name: replace(number, firm=number.apart and firm.get((place, name), False))
                for name, number in entry.differences.items()
            },
        )
        for place, entry in enumerate(entries)
    )


def _pairs(runs: Sequence[ModelAnswers]) -> tuple[Pair, ...]:
    """Decisions of each two models with the same rows, in the order of the rows of the first model."""
    if not runs[0].rows:
        return ()
    accepted, truth, counted = runs[0].decided
    alike = [(runs[0].contestant.name, accepted[counted])]
    for run in runs[1:]:
        if (order := _order(run, runs[0])) is not None:
            alike.append((run.contestant.name, run.decided[0][order][counted]))
    return marked(
        [
            compare_decisions(name, second, accepted_first, accepted_second, truth[counted])
            for name, accepted_first in alike
            for second, accepted_second in alike
            if name != second
        ]
    )


def _curves(runs: Sequence[ModelAnswers]) -> dict[str, Curves]:
    curves = {}
    for run in runs:
        if run.rows:
            _, truth, counted = run.decided
            logits = np.concatenate([values.double().numpy() for values in run.rows[1]])
            curves[run.contestant.name] = curves_of(logits[counted], truth[counted], run.cut)
    return curves


def _display(runs: Sequence[ModelAnswers]) -> Display | None:
    """Event in which the first two models with the same edges differ most; None where it can't be drawn."""
    first = runs[0]
    if not first.rows or first.rows[0].rows.domain != "edge":
        return None
    partner = next((run for run in runs[1:] if _order(run, first) is not None), None)
    if partner is None:
        return None
    accepted, truth, counted = first.decided
    order = _order(partner, first)
    return display_of(
        Dataset(first.view.graphs, first.contestant.model.metadata),
        accepted == truth,
        partner.decided[0][order] == truth,
        counted,
        (first.contestant.name, partner.contestant.name),
    )
