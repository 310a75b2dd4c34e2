"""Entries of a comparison: metrics, differences from the first, costs; of models and of other algorithms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from archioptrx.data.hitgraph import batch_graphs
from archioptrx.report.comparison.acts_tracks import FurtherTracks
from archioptrx.report.comparison.answers import ModelAnswers, device_of_models
from archioptrx.report.comparison.bootstrap import Replicates
from archioptrx.report.comparison.memory import peak_memory
from archioptrx.report.comparison.result import ComparedModel, Number
from archioptrx.runs.statistics import holm
from archioptrx.training.measure import latencies

Seconds = Sequence[Mapping[str, float]]
"""Seconds of each stage, of each event."""


def entries_of_models(
    runs: Sequence[ModelAnswers],
    replicates: Sequence[Mapping[str, Replicates]],
    bins: Sequence[Mapping[str, Any]],
    seconds: Sequence[Seconds | None],
) -> list[ComparedModel]:
    """Entries of models.

    Parameters
    ----------
    runs
        Answers of the first training of each entry.
    replicates, bins
        Metrics of each entry, and rates of its tracks in bins.
    seconds
        Time of each entry for each event; None: it isn't measured.
    """
    device = device_of_models()
    models = [run.model.model for run in runs]
    largest = [batch_graphs([max(run.view.graphs, key=lambda graph: graph.num_edges)]).to(device) for run in runs]
    memory = [peak_memory(model, graph) for model, graph in zip(models, largest, strict=True)]
    costs = zip(latencies(models, largest), memory, strict=True)
    entries = []
    for place, (run, (latency, held)) in enumerate(zip(runs, costs, strict=True)):
        loaded, of_model = run.contestant, replicates[place]
        entries.append(
            ComparedModel(
                name=loaded.name,
                place=loaded.place,
                trained=loaded.trained,
                seeds=len(loaded.trainings),
                task=loaded.model.task.name,
                fingerprint=loaded.model.architecture.graph.fingerprint,
                parameters=sum(p.numel() for p in loaded.model.model.parameters() if p.requires_grad),
                latency=latency,
                memory=held,
                epochs=loaded.model.provenance.training.get("epochs"),
                train_seconds=loaded.model.metrics.get("train_seconds"),
                cut=run.cut,
                metrics=_metrics(of_model),
                differences=_differences(of_model, replicates[0]) if place else {},
                bins=bins[place],
                seconds=mean_seconds(seconds[place]),
            )
        )
    return entries


def entry_of_algorithm(
    other: FurtherTracks,
    replicates: Mapping[str, Replicates],
    first: Mapping[str, Replicates],
    bins: Mapping[str, Any],
    task: str,
) -> ComparedModel:
    """Entry of an algorithm that is no network.

    Parameters
    ----------
    replicates, first
        Its metrics, and those of the first model.
    bins
        Rates of its tracks in bins.
    task
        Name of the task of the models beside it.
    """
    return ComparedModel(
        name=other.name,
        place=other.place,
        trained=False,
        seeds=1,
        task=task,
        fingerprint="",
        parameters=None,
        latency=None,
        memory=None,
        epochs=None,
        train_seconds=None,
        cut=None,
        metrics=_metrics(replicates),
        differences=_differences(replicates, first),
        bins=bins,
        seconds=mean_seconds(other.seconds),
    )


def mean_seconds(seconds: Seconds | None) -> dict[str, float]:
    """Mean time of each stage for an event, in the order of the stages; empty where it isn't measured.

    >>> mean_seconds([{"network": 1.0, "fit": 0.5}, {"network": 2.0, "fit": 0.0}])
    {'network': 1.5, 'fit': 0.25}
    """
    events = seconds or ({},)
    return {stage: float(np.mean([of_event[stage] for of_event in events])) for stage in events[0]}


def _metrics(replicates: Mapping[str, Replicates]) -> dict[str, Number]:
    return {name: _number(value) for name, value in replicates.items()}


def _number(replicates: Replicates) -> Number:
    if (interval := replicates.interval) is None:
        return Number(replicates.value)
    return Number(replicates.value, *interval, units=len(replicates.apart))


def _differences(replicates: Mapping[str, Replicates], first: Mapping[str, Replicates]) -> dict[str, Number]:
    """Differences from the first model, with their p values."""
    differences = {}
    for name in replicates:
        if name in first:
            apart = replicates[name].minus(first[name])
            spread = apart.spread
            p = None if spread is None or apart.value is None else spread.p(apart.value)
            differences[name] = replace(_number(apart), p=p)
    return differences


def marked_entries(entries: Sequence[ComparedModel]) -> tuple[ComparedModel, ...]:
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
