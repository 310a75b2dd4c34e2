"""Metrics as functions of the counts of the units: equal to those of the task, fast enough for 1000 resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.hitgraph import HitGraph, batch_graphs
from archioptrx.report.comparison.bootstrap import Ints, Numbers
from archioptrx.report.comparison.units import Units
from archioptrx.tasks.binary import BinaryClassification, Rows
from archioptrx.tasks.classification_metrics import FIXED_CUT, Bools, ClassifiedRows, Floats, Ranking, logit
from archioptrx.tasks.metrics import OF_OTHERS, TRACKS, metrics_of
from archioptrx.tasks.task import Task
from archioptrx.tasks.tracks.metrics import (
    Counts,
    CountTracks,
    EventTracks,
    FoundTracks,
    Selection,
    added,
    ratio,
)

FACTS = ("cut", "cut_logit", "true_fraction", "edges", "triplets", "pairs", "graphs", "tracks", "particles", "hits")
"""Metrics that describe the data, not the model: they are not compared."""


def by_rows(task: Task) -> TypeGuard[BinaryClassification]:
    """Whether all metrics of a task are its loss and registered metrics of rows, so that sums can give them."""
    return isinstance(task, BinaryClassification) and type(task).metrics is BinaryClassification.metrics


def rows_of(task: Task) -> Rows | None:
    """Rows that a task scores one by one; None: see `by_rows`."""
    return task.rows if by_rows(task) else None


class RowStatistic:
    """Metrics of a classifier of rows: sorted once, then sums for each resample.

    Parameters
    ----------
    outputs, graphs, units
        Logits of each graph, and the units of the graphs.
    cut
        Probability that accepts.

    Attributes
    ----------
    units
        Number of units.
    rows, unit : [R]
        The rows that count, and the unit of each.
    falling, unit_falling : [R]
        Truth and unit of the rows by falling logit.
    ends, thresholds : [K]
        Place of the last row of each distinct logit in that order, and these logits.
    counts
        Result of `_counts` for each cut.
    """

    def __init__(
        self,
        task: BinaryClassification,
        outputs: Sequence[Any],
        graphs: Sequence[HitGraph],
        units: Units,
        cut: float,
    ) -> None:
        rows, self.units = task.rows, units.number
        self.rows = task.answers(outputs, graphs, cut)
        logits, truth = self.rows.logits, self.rows.truth
        places = enumerate(graphs)
        self.unit = _joined([units.of_rows(place, graph, rows)[rows.counted(graph).numpy()] for place, graph in places])
        order = np.argsort(-logits, kind="stable")
        ranked = logits[order]
        self.falling, self.unit_falling = truth[order], self.unit[order]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)])
        self.thresholds = ranked[self.ends]
        levels = (cut, FIXED_CUT)
        self.counts = {level: _counts(logits >= logit(level), truth, self.unit, units.number) for level in levels}
        self._losses = _losses(task, outputs, graphs, units) if units.parts == 1 else None
        self._metrics = metrics_of(task.name, rows.plural)

    def __call__(self, weights: Ints) -> Numbers:
        """Metrics by their names in the task, without those of `FACTS`."""
        drawn = DrawnRows(self, weights)
        loss = None if self._losses is None else ratio(*(self._losses @ weights))
        return {metric.name: metric.value(drawn) for metric in self._metrics} | {"loss": loss}

    def quick(self) -> bool:
        """Whether sums are enough for all metrics, so that many resamples cost little."""
        drawn = DrawnRows(self, np.ones(self.units, dtype=np.int64))
        for metric in self._metrics:
            metric.value(drawn)
        return "drawn" not in vars(drawn)


class DrawnRows(ClassifiedRows):
    """Rows of a resample, for any metric: ranking and rates come from sums, rows are drawn only if a metric reads them.

    Parameters
    ----------
    statistic
        The rows of all units.
    weights : int64 [U]
        Count of each unit.
    """

    def __init__(self, statistic: RowStatistic, weights: Ints) -> None:
        self._statistic, self._weights = statistic, weights

    def __len__(self) -> int:
        """Number of rows that are drawn."""
        rows, *_ = self._statistic.counts[self.cut]
        return int(rows @ self._weights)

    @cached_property
    def ranking(self) -> Ranking:
        """The rows by falling logit."""
        all_rows, weights = self._statistic, self._weights[self._statistic.unit_falling]
        rows, true = (np.cumsum(counted)[all_rows.ends] for counted in (weights, weights * all_rows.falling))
        occurring = np.diff(rows, prepend=0) > 0  # thresholds without a row in this resample are dropped
        return Ranking(all_rows.thresholds[occurring], true[occurring], (rows - true)[occurring])

    @cached_property
    def rates(self) -> dict[str, float | None]:
        """Accuracy, efficiency and purity at the cut."""
        return _rates(self._statistic.counts[self.cut] @ self._weights)

    @cached_property
    def fixed_rates(self) -> dict[str, float | None]:
        """Accuracy, efficiency and purity at `FIXED_CUT`."""
        return _rates(self._statistic.counts[FIXED_CUT] @ self._weights)

    @cached_property
    def drawn(self) -> ClassifiedRows:
        """The rows themselves, each as often as its unit is drawn."""
        unit = self._statistic.unit
        return self._statistic.rows.taken(np.repeat(np.arange(len(unit)), self._weights[unit]))

    @property
    def logits(self) -> Floats:
        """Logarithms of the odds."""
        return self.drawn.logits

    @property
    def truth(self) -> Bools:
        """Truth of each row."""
        return self.drawn.truth

    @property
    def places(self) -> Ints | None:
        """The rows among all rows of the graphs."""
        return self.drawn.places

    @property
    def cut(self) -> float:
        """Probability that accepts."""
        return self._statistic.rows.cut

    @property
    def graphs(self) -> Sequence[Any]:
        """The graphs of all units."""
        return self._statistic.rows.graphs

    @property
    def ends(self) -> Callable[[str], tuple[Floats, Floats]]:
        """Values of a field at both ends of the rows of all units."""
        return self._statistic.rows.ends

    def taken(self, rows: Ints) -> ClassifiedRows:
        """Some of the rows, in the given order."""
        return self.drawn.taken(rows)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if len(parts) else np.zeros(0)


def _counts(accepted: Bools, truth: Bools, unit: Ints, units: int) -> Floats:
    """Rows of each unit: all, right, true, accepted, true and accepted. Shapes: -> [5, U]."""
    kinds = (np.ones_like(truth), accepted == truth, truth, accepted, accepted & truth)
    return np.stack([np.bincount(unit[kind], minlength=units) for kind in kinds]).astype(np.float64)


def _rates(counts: Floats) -> dict[str, float | None]:
    rows, right, true, accepted, both = counts
    return {"accuracy": ratio(right, rows), "efficiency": ratio(both, true), "purity": ratio(both, accepted)}


def _losses(task: BinaryClassification, outputs: Sequence[Any], graphs: Sequence[HitGraph], units: Units) -> Floats:
    """Sum of the losses of each unit's graphs, weighted by their sizes, and of the sizes. Shapes: -> [2, U]."""
    sums = np.zeros((2, units.number))
    for output, graph, unit in zip(outputs, graphs, units.of_graph, strict=True):
        size = task.size(graph)
        sums[:, unit] += size * float(task.validation_loss(output.float(), graph)), size
    return sums


class GraphStatistic:
    """Metrics of any task, computed anew by it for the graphs of each resample."""

    def __init__(
        self, task: Task, outputs: Sequence[Any], graphs: Sequence[HitGraph], units: Units, cut: float
    ) -> None:
        self._task, self._outputs, self._cut, self.units = task, outputs, cut, units.number
        self._batches = [batch_graphs([graph]) for graph in graphs]
        self._of_unit: list[list[int]] = [[] for _ in range(units.number)]
        for place, unit in enumerate(units.of_graph):
            self._of_unit[unit].append(place)

    def __call__(self, weights: Ints) -> Numbers:
        """Metrics without those of `FACTS`."""
        places = [place for unit, times in enumerate(weights) for place in self._of_unit[unit] * int(times)]
        outputs, graphs = [self._outputs[k] for k in places], [self._batches[k] for k in places]
        return judging_metrics(self._task.scores(outputs, graphs, cut=self._cut))


def judging_metrics(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Metrics that judge a model: single numbers, without those of `FACTS`."""
    judging = (name for name in metrics if name.rpartition(".")[2] not in FACTS)
    return {name: metrics[name] for name in judging if not isinstance(metrics[name], list | Mapping)}


class TrackStatistic:
    """Metrics of tracks, as ratios of sums of the counts of each event; not those of other projects' definitions."""

    def __init__(self, events: Sequence[EventTracks], selection: Selection, task: str = "") -> None:
        selection.check(events)
        self.events, self.selection = events, selection
        single = [FoundTracks([event], selection) for event in events]
        self.counts = np.array(
            [
                [
                    *(pair for rates in tracks.counts.values() for pair in rates.values()),
                    *tracks.benchmark.values(),
                    tracks.score,
                ]
                for tracks in single
            ],
            dtype=np.float64,
        )
        self.names = [(name, rate) for name, rates in single[0].counts.items() for rate in rates]
        self.names += [("", rate) for rate in single[0].benchmark]
        self._metrics = [metric for metric in metrics_of(task, TRACKS) if not metric.name.startswith(OF_OTHERS)]
        self._counted: dict[CountTracks, list[Counts]] = {}

    def counted(self, count: CountTracks) -> list[Counts]:
        """Result of a function that counts tracks, for each event; counted once."""
        if count not in self._counted:
            self._counted[count] = count(self.events, self.selection)
        return self._counted[count]

    def __call__(self, weights: Ints) -> Numbers:
        """Ratios of the sums over events."""
        drawn = DrawnTracks(self, weights)
        return {metric.name: metric.value(drawn) for metric in self._metrics}


class DrawnTracks(FoundTracks):
    """Tracks of a resample, for any metric: rates come from sums, events are joined only if a metric reads them.

    Parameters
    ----------
    statistic
        The tracks of all events.
    weights : int64 [events]
        Count of each event.
    """

    def __init__(self, statistic: TrackStatistic, weights: Ints) -> None:
        self._statistic, self._weights = statistic, weights

    def __len__(self) -> int:
        """Number of events that are drawn."""
        return int(self._weights.sum())

    @cached_property
    def events(self) -> Sequence[EventTracks]:
        """The events, each as often as it is drawn."""
        times = zip(self._statistic.events, self._weights.tolist(), strict=True)
        return [event for event, count in times for _ in range(count)]

    @property
    def selection(self) -> Selection:
        """Selection of the particles and tracks that count."""
        return self._statistic.selection

    @cached_property
    def _sums(self) -> Floats:
        sums: Floats = np.einsum("unk,u->nk", self._statistic.counts, self._weights)
        return sums

    @cached_property
    def _rates(self) -> dict[str, Counts]:
        """Numerator and denominator of each rate by the name of its matching; "": those of the benchmark."""
        counts: dict[str, Counts] = {}
        for (name, rate), (part, whole) in zip(self._statistic.names, self._sums[:-1].tolist(), strict=True):
            counts.setdefault(name, {})[rate] = (part, whole)
        return counts

    @cached_property
    def counts(self) -> dict[str, Counts]:
        """Numerator and denominator of each rate under each matching."""
        return {name: rates for name, rates in self._rates.items() if name}

    @cached_property
    def benchmark(self) -> Counts:
        """Numerator and denominator of each rate of ColliderML's benchmark."""
        return self._rates[""]

    def sums(self, count: CountTracks) -> Counts:
        """Numerators and denominators that a function counts in the drawn events, added up."""
        weighed = zip(self._statistic.counted(count), self._weights.tolist(), strict=True)
        return added(
            [
                {rate: (times * part, times * whole) for rate, (part, whole) in counts.items()}
                for counts, times in weighed
            ]
        )

    @cached_property
    def score(self) -> tuple[float, int]:
        """Sum of the TrackML scores, and the number of events that have one."""
        total, events = self._sums[-1].tolist()
        return total, int(events)
