"""Metrics as functions of the counts of the units: equal to those of the task, fast enough for 1000 resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.hitgraph import HitGraph, batch_graphs
from archioptrx.report.comparison.bootstrap import Ints, Numbers
from archioptrx.report.comparison.units import Units
from archioptrx.tasks.binary import BinaryClassification
from archioptrx.tasks.classification_metrics import FIXED_CUT, FIXED_EFFICIENCY, Bools, Floats, Ranking, logit
from archioptrx.tasks.metrics import TRACKS, Metric
from archioptrx.tasks.task import Task
from archioptrx.tasks.tracks.metrics import EventTracks, FoundTracks, Selection, track_counts

FACTS = ("cut", "cut_logit", "true_fraction", "edges", "triplets", "pairs", "graphs", "tracks", "particles", "hits")
"""Metrics that describe the data, not the model: they are not compared."""


class RowStatistic:
    """Metrics of a classifier of rows: sorted once, then sums for each resample.

    Parameters
    ----------
    outputs, graphs, units
        Logits of each graph, and the units of the graphs.
    cut
        Probability that accepts.
    """

    def __init__(
        self,
        task: BinaryClassification,
        outputs: Sequence[Any],
        graphs: Sequence[HitGraph],
        units: Units,
        cut: float,
    ) -> None:
        rows = task.rows
        masks = [rows.kept(graph).numpy() for graph in graphs]
        logits = _joined([o.double().numpy()[kept] for o, kept in zip(outputs, masks, strict=True)])
        truth = _joined([(g[rows.truth] > 0.5).numpy()[kept] for g, kept in zip(graphs, masks, strict=True)])
        places = enumerate(zip(graphs, masks, strict=True))
        unit = _joined([units.of_rows(place, graph, rows)[kept] for place, (graph, kept) in places])
        order = np.argsort(-logits, kind="stable")
        ranked = logits[order]
        self._ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._thresholds, self._truth, self._unit = ranked[self._ends], truth[order], unit[order]
        self._counts = {level: _counts(logits >= logit(level), truth, unit, units.number) for level in (cut, FIXED_CUT)}
        self._losses = _losses(task, outputs, graphs, units) if units.parts == 1 else None
        self._cut = cut
        self._own = [metric for metric in task.own_metrics if TRACKS not in metric.of]
        self._judged, self._places = task.answers(outputs, graphs, cut), unit

    def __call__(self, weights: Ints) -> Numbers:
        """Metrics by their names in the task, without those of `FACTS`."""
        own = {}
        if self._own:
            rows = np.repeat(np.arange(len(self._places)), weights[self._places])
            judged = self._judged.taken(rows)
            own = {metric.name: metric.value(judged) for metric in self._own}
        each = weights[self._unit]
        every, true = np.cumsum(each)[self._ends], np.cumsum(each * self._truth)[self._ends]
        occurring = np.diff(every, prepend=0) > 0  # thresholds without a row in this resample are dropped
        ranking = Ranking(self._thresholds[occurring], true[occurring], (every - true)[occurring])
        fixed = _rates(self._counts[FIXED_CUT] @ weights)
        loss = None if self._losses is None else _ratio(*(self._losses @ weights))
        return {
            "auc": ranking.auc,
            "average_precision": ranking.average_precision,
            **_rates(self._counts[self._cut] @ weights),
            f"efficiency_{FIXED_CUT:g}": fixed["efficiency"],
            f"purity_{FIXED_CUT:g}": fixed["purity"],
            f"purity_at_efficiency_{FIXED_EFFICIENCY:g}": ranking.purity_at_efficiency(FIXED_EFFICIENCY),
            "loss": loss,
            **own,
        }


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if len(parts) else np.zeros(0)


def _counts(accepted: Bools, truth: Bools, unit: Ints, units: int) -> Floats:
    """Rows of each unit: all, right, true, accepted, true and accepted. Shapes: -> [5, U]."""
    kinds = (np.ones_like(truth), accepted == truth, truth, accepted, accepted & truth)
    return np.stack([np.bincount(unit[kind], minlength=units) for kind in kinds]).astype(np.float64)


def _rates(counts: Floats) -> dict[str, float | None]:
    rows, right, true, accepted, both = counts
    return {"accuracy": _ratio(right, rows), "efficiency": _ratio(both, true), "purity": _ratio(both, accepted)}


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None


def _losses(task: BinaryClassification, outputs: Sequence[Any], graphs: Sequence[HitGraph], units: Units) -> Floats:
    """Sum of the losses of each unit's graphs, weighted by their sizes, and of the sizes. Shapes: -> [2, U]."""
    sums = np.zeros((2, units.number))
    for output, graph, unit in zip(outputs, graphs, units.of_graph, strict=True):
        size = max(1e-9, task.size(graph))
        sums[:, unit] += size * float(task.validation_loss(output.float(), graph)), size
    return sums


class GraphStatistic:
    """Metrics of any task, computed anew by it for the graphs of each resample."""

    def __init__(
        self, task: Task, outputs: Sequence[Any], graphs: Sequence[HitGraph], units: Units, cut: float
    ) -> None:
        self._task, self._outputs, self._cut = task, outputs, cut
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
    """Metrics of tracks, as ratios of sums of the counts of each event."""

    def __init__(self, events: Sequence[EventTracks], selection: Selection, own: Sequence[Metric] = ()) -> None:
        self._events, self._selection, self._own = events, selection, own
        counts = [track_counts(event, selection) for event in events]
        self._names = list(counts[0])
        self._counts = np.array(
            [[event_counts[name] for event_counts in counts] for name in self._names], dtype=np.float64
        )

    def __call__(self, weights: Ints) -> Numbers:
        """Ratios of the sums over events."""
        sums = np.einsum("nuk,u->nk", self._counts, weights)
        values = {name: _ratio(*pair) for name, pair in zip(self._names, sums, strict=True)}
        if not self._own:
            return values
        drawn = [event for event, times in zip(self._events, weights, strict=True) for _ in range(int(times))]
        judged = FoundTracks(drawn, self._selection)
        return values | {one.name: one.value(judged) for one in self._own}
