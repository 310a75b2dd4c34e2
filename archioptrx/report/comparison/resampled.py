"""Metrics of the models of a comparison in all resamples of the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from archioptrx.data.hitgraph import batch_graphs
from archioptrx.report.comparison.answers import ModelAnswers
from archioptrx.report.comparison.bootstrap import Ints, Replicates, over_seeds, replicate, resamples
from archioptrx.report.comparison.intervals import LOG, LOG_ODDS
from archioptrx.report.comparison.statistics import GraphStatistic, RowStatistic, by_rows, judging_metrics, rows_of
from archioptrx.report.comparison.track_judging import TrackJudging, track_replicates
from archioptrx.report.comparison.units import EVENTS, Units, units_of
from archioptrx.tasks.options.registry import objective_metrics

FEW, MANY = 200, 1000
"""Default numbers of resamples: for metrics that the task computes anew for each, and for those of sums."""


@dataclass(frozen=True, eq=False)
class DrawnUnits:
    """Units of the events, and how often each is drawn in each resample.

    Attributes
    ----------
    units
        Units of the first model's graphs.
    draws : int64 [R, U]
        See `resamples`; of size 0 where there are no units.
    number, seed
        Number of resamples, and their seed.
    """

    units: Units
    draws: Ints
    number: int
    seed: int

    @classmethod
    def of(cls, units: Units, number: int, seed: int) -> DrawnUnits:
        """Draw resamples of units."""
        draws = resamples(units.number, number, seed) if units.number else np.zeros((0, 0), np.int64)
        return cls(units, draws, number, seed)

    @property
    def of_events(self) -> Ints:
        """The draws where whole events are drawn, else none: tracks and times are those of events."""
        return self.draws if self.units.kind == EVENTS else np.zeros((0, 0), np.int64)


def resampled_metrics(
    groups: Sequence[Sequence[ModelAnswers]], number: int | None, seed: int, judging: TrackJudging
) -> tuple[DrawnUnits, list[dict[str, Replicates]]]:
    """Draw resamples, the same for all entries, and compute the metrics of each entry in them.

    Parameters
    ----------
    groups
        Answers of the trainings of each entry; metrics are means over them.
    number
        Number of resamples; None: `FEW` or `MANY`.
    """
    first = groups[0][0]
    units = units_of(first.view.graphs, rows_of(first.model.task))
    statistics = [[_statistic(run, units) for run in group] for group in groups]
    quick = all(isinstance(one, RowStatistic) and one.quick() for of_group in statistics for one in of_group)
    drawn = DrawnUnits.of(units, (MANY if quick else FEW) if number is None else number, seed)
    of_entries = []
    for place, (group, of_group) in enumerate(zip(groups, statistics, strict=True), 1):
        trainings = [_replicates(run, one, drawn, judging) for run, one in zip(group, of_group, strict=True)]
        of_entries.append(_over_seeds(trainings, drawn.number, seed + place))
    return drawn, of_entries


def _statistic(run: ModelAnswers, units: Units) -> RowStatistic | GraphStatistic:
    """Metrics of a model as a function of the counts of the units; without units, metrics of all events together."""
    task, graphs = run.model.task, run.view.graphs
    own = units if run.view.same else units_of(graphs, None)
    if (units.kind != EVENTS and not run.view.same) or not own.number:
        own = Units(EVENTS, (0,) * len(graphs), 1)
    if by_rows(task):
        return RowStatistic(task, run.outputs, graphs, own, run.cut)
    return GraphStatistic(task, run.outputs, graphs, own, run.cut)


def _replicates(
    run: ModelAnswers, statistic: RowStatistic | GraphStatistic, drawn_units: DrawnUnits, judging: TrackJudging
) -> dict[str, Replicates]:
    """Metrics of a model in all resamples; of one with other graphs only where events are drawn."""
    task, graphs = run.model.task, run.view.graphs
    units, draws = drawn_units.units, drawn_units.draws
    drawn = draws if statistic.units == units.number else np.zeros((0, statistic.units), np.int64)
    replicates = replicate(statistic, drawn, scales_of(run))
    if replicates.get("loss") and replicates["loss"].value is None:
        batches = [batch_graphs([graph]) for graph in graphs]
        whole = judging_metrics(task.scores(run.outputs, batches, cut=run.cut))
        replicates["loss"] = replace(replicates["loss"], value=whole["loss"])
    return replicates | _tracks(run, drawn_units.of_events, judging)


def _over_seeds(trainings: Sequence[Mapping[str, Replicates]], number: int, seed: int) -> dict[str, Replicates]:
    """Means over the trainings of an entry; the trainings of each entry are resampled by themselves."""
    draws = resamples(len(trainings), number, seed)
    shared = [name for name in trainings[0] if all(name in training for training in trainings)]
    return {name: over_seeds([training[name] for training in trainings], draws) for name in shared}


def scales_of(run: ModelAnswers) -> dict[str, str]:
    """Scale of the interval of each metric whose bounds the task states."""
    metrics = objective_metrics(run.model.provenance.task.options)
    return dict.fromkeys(metrics.losses, LOG) | dict.fromkeys(metrics.shares, LOG_ODDS)


def _tracks(run: ModelAnswers, draws: Ints, judging: TrackJudging) -> dict[str, Replicates]:
    """Metrics of the tracks, where the task builds tracks and the data have the particle of each hit."""
    if not run.tracks:
        return {}
    return track_replicates(run.tracks, run.signal, judging, run.model.task.name, draws, scales_of(run))
