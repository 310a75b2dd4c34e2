"""Binary classification of edges or triplets: loss and scores, row by row."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from archioptrx.core.errors import TrialError
from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.classification_metrics import Bools, ClassifiedRows, Cut, Floats, cut_for_efficiency, logit
from archioptrx.tasks.comparison import Baseline, against_baseline, medals
from archioptrx.tasks.metrics import metrics_of
from archioptrx.tasks.options.edge_classification import class_weight_of
from archioptrx.tasks.options.tracks import USUAL, TrackOptions
from archioptrx.tasks.task import Task, TaskObjective, mean_loss
from archioptrx.tasks.tracks.finders import Places
from archioptrx.tasks.tracks.metrics import ETA_BINS, PT_BINS


@dataclass(frozen=True)
class Rows:
    """Classified rows: their domain, and the fields of a hit graph that describe them.

    Attributes
    ----------
    domain
        Domain of the target.
    plural
        Name of several rows.
    index
        Field with the two rows of the rung below that each row joins.
    truth, weight, mask, baseline
        See `HitGraph`; the last three may be missing there.
    """

    domain: str
    plural: str
    index: str
    truth: str
    weight: str
    mask: str
    baseline: str

    @property
    def baseline_logit(self) -> str:
        """Field in place of the baseline where it is a logit."""
        return f"{self.baseline}_logit"

    def counted(self, graph: HitGraph) -> Tensor:
        """Mask of the rows that count: bool [R]."""
        mask = graph.get(self.mask)
        return torch.ones(graph[self.index].shape[1], dtype=torch.bool) if mask is None else mask

    def hits(self, graph: HitGraph) -> tuple[Tensor, Tensor]:
        """The innermost and the outermost node of each row: two of [R]."""
        inner, outer = graph[self.index]
        if self.domain == "edge":
            return inner, outer
        return graph.edge_index[0, inner], graph.edge_index[1, outer]


class BinaryClassification(Task):
    """Binary cross-entropy on logits. Rows outside of the mask count neither in the loss nor in metrics.

    Parameters
    ----------
    class_weight
        Weight of true rows in the loss: a number, `none` (1) or `balanced` (false rows per true one of the batch; in
        metrics, of the graph).
    tracks
        Rules by which tracks are found from the scores.

    Attributes
    ----------
    rows
        Rows that are classified.
    """

    target_width = 1
    logits = True
    objective = TaskObjective("auc", "max")
    rows: Rows

    def __init__(self, class_weight: str | float = "none", tracks: TrackOptions = USUAL) -> None:
        self.class_weight, self.finding = class_weight_of(class_weight), tracks

    def truth_fault(self, graphs: Iterable[HitGraph]) -> str | None:
        """Fault of graphs without any true row that counts."""
        if any(bool((graph[self.rows.truth][self.rows.counted(graph)] > 0.5).any()) for graph in graphs):
            return None
        singular = self.rows.plural.removesuffix("s")
        return f"no {singular} that counts is true (files without truth?); allowed: events with true {self.rows.plural}"

    def loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Mean loss per row, weighted where the data have weights. Shapes: output [R] -> []."""
        return self._loss(output, batch, by_graph=False)

    def validation_loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Loss in metrics; `balanced` is the ratio of the row's own graph, not of the batch."""
        return self._loss(output, batch, by_graph=True)

    def _loss(self, output: Tensor, batch: HitGraph, by_graph: bool) -> Tensor:
        weight = batch.get(self.rows.weight)
        mask = batch.get(self.rows.mask)
        if mask is not None:
            weight = mask.to(output.dtype) if weight is None else weight * mask
        truth = batch[self.rows.truth].to(output.dtype)
        losses = binary_cross_entropy_with_logits(
            output, truth, reduction="none", pos_weight=self._positive(batch, truth, mask, by_graph)
        )
        if weight is None:
            return losses.sum() / max(1, losses.numel())
        mean: Tensor = (losses * weight).sum() / weight.sum().clamp(min=1e-12)
        return mean

    def size(self, graph: HitGraph) -> float:
        """Divisor of the mean over a graph's rows: their number, or their weights."""
        counted, weight = self.rows.counted(graph), graph.get(self.rows.weight)
        return float(counted.sum() if weight is None else weight[counted].double().sum())

    def _positive(self, batch: HitGraph, truth: Tensor, mask: Tensor | None, by_graph: bool) -> Tensor | None:
        """Weight of true rows, None for 1; a number, or with `by_graph` one for each row."""
        if self.class_weight == "none":
            return None
        if self.class_weight != "balanced":
            return truth.new_tensor(float(self.class_weight))
        counted = torch.ones_like(truth) if mask is None else mask.to(truth.dtype)
        graph = torch.zeros_like(truth, dtype=torch.long)
        if by_graph and batch.get("batch") is not None:
            graph = batch.batch[self.rows.hits(batch)[0]]
        every, true = (truth.new_zeros(batch.num_graphs).index_add(0, graph, x) for x in (counted, counted * truth))
        ratio = torch.where(true > 0, (every - true) / true.clamp(min=1), 1.0)
        return ratio[graph]

    def metrics(
        self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score logits; see `Task.metrics`.

        Returns
        -------
        `loss, auc, average_precision`, `accuracy, efficiency, purity` at `cut`, `efficiency_0.7, purity_0.7`,
        `purity_at_efficiency_0.98`, the user's own, the number of rows (e.g. `edges`), `true_fraction`. With bins,
        `eta` and `pt`: lists of such scores per bin; where the data have a baseline, the result of
        `comparison.against_baseline`; and for triplets that of `comparison.medals`. A score that needs both classes is
        None where one is missing.
        """
        logit(cut)  # a wrong one is refused before anything is computed
        judged = self.answers(outputs, graphs, cut)
        result: dict[str, Any] = {"loss": mean_loss(self, outputs, graphs, [self.size(graph) for graph in graphs])}
        result |= self._scores(judged)
        if not bins:
            return result
        counted = _joined([self.rows.counted(g) for g in graphs]).astype(bool)
        result |= self._compared(outputs, counted, graphs, cut)
        for name, limits, values in self._binned(graphs):
            result[name] = self._per_bin(judged, values[counted], limits)
        return result

    def answers(self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float = 0.5) -> ClassifiedRows:
        """The rows that count, with their logits and truth.

        Raises
        ------
        TrialError
            A logit isn't a finite number.
        """
        logits = _joined([o.detach() for o in outputs])
        bad = int((~np.isfinite(logits)).sum())
        if bad:
            raise TrialError(f"{bad} of {len(logits)} scores aren't finite numbers")
        counted = _joined([self.rows.counted(g) for g in graphs]).astype(bool)
        truth = _joined([g[self.rows.truth] for g in graphs]) > 0.5

        def ends(name: str) -> tuple[Floats, Floats]:
            pairs = [[graph[name][hit] for hit in self.rows.hits(graph)] for graph in graphs]
            inner, outer = ([pair[side] for pair in pairs] for side in (0, 1))
            return _joined(inner)[counted], _joined(outer)[counted]

        return ClassifiedRows(logits[counted], truth[counted], cut, graphs, ends)

    def perfect(self, graph: HitGraph) -> Tensor:
        """Logits of +10 for true and -10 for false rows: an AUC of exactly 1. Shapes: -> [R]."""
        logits: Tensor = 10 * (2 * graph[self.rows.truth] - 1)
        return logits

    def constant(self, graph: HitGraph) -> Tensor:
        """A probability of 0.5 for every row: an AUC of exactly 0.5. Shapes: -> [R]."""
        logits: Tensor = graph.x.new_zeros(graph[self.rows.index].shape[1])
        return logits

    def cut(self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], efficiency: float) -> Cut | None:
        """The highest cut that keeps this share of the true rows; None without true rows.

        Take it from validation events and apply it to others.
        """
        rows = self.answers(outputs, graphs)
        lowest = cut_for_efficiency(rows.logits, rows.truth, efficiency)
        return None if lowest is None else Cut(lowest)

    def _scores(self, judged: ClassifiedRows) -> dict[str, float | None]:
        """The metrics of such rows, and their number."""
        scores = {metric.name: metric.value(judged) for metric in metrics_of(self.name, self.rows.plural)}
        size = len(judged.truth)
        facts = {
            "cut": judged.cut,
            "cut_logit": logit(judged.cut),
            self.rows.plural: size,
            "true_fraction": float(judged.truth.mean()) if size else None,
        }
        return scores | facts

    def _compared(
        self, outputs: Sequence[Tensor], counted: Bools, graphs: Sequence[HitGraph], cut: float
    ) -> dict[str, Any]:
        """Comparison with the baseline, and classes of accepted triplets, as far as the data allow it."""
        truth = _joined([g[self.rows.truth] for g in graphs]) > 0.5
        accepted = _joined([o.detach() for o in outputs]) >= logit(cut)
        comparison: dict[str, Any] = {}
        for name in (self.rows.baseline, self.rows.baseline_logit):
            if graphs and all(g.get(name) is not None for g in graphs):
                scores = _joined([g[name] for g in graphs])[counted]
                baseline = Baseline(scores, logits=name == self.rows.baseline_logit)
                comparison |= against_baseline(accepted[counted], baseline, truth[counted], cut)
        below = [self.true_below(g) for g in graphs]
        if graphs and all(flags is not None for flags in below):
            ends = np.cumsum([0, *(len(flags) for flags in below if flags is not None)])[:-1]
            index = [g[self.rows.index].cpu().numpy() + before for g, before in zip(graphs, ends, strict=True)]
            doublets = _joined([flags for flags in below if flags is not None]).astype(bool)
            comparison |= medals(accepted & counted, truth & counted, np.concatenate(index, axis=1), doublets)
        return comparison

    def true_below(self, graph: HitGraph) -> Tensor | None:
        """Truth of the rows of the rung below: edges, or nodes that are doublets. None: they are hits."""
        true: Tensor | None = None
        if self.rows.domain == "triplet":
            true = graph.y > 0.5
        elif graph.get("chain") is not None and graph.get("pid") is not None:
            true = graph.pid != 0
        return true

    def _binned(self, graphs: Sequence[HitGraph]) -> list[tuple[str, tuple[float, ...], Floats]]:
        """Quantities that all graphs have: name, limits of the bins, one value per row."""
        columns: list[tuple[str, tuple[float, ...], Floats]] = []
        ends = [self.rows.hits(g) for g in graphs]
        if graphs and all(g.get("pos") is not None for g in graphs):
            values = [_eta(g.pos[outer]) for g, (_, outer) in zip(graphs, ends, strict=True)]
            columns.append(("eta", ETA_BINS, _joined(values)))
        if graphs and all(g.get("pt") is not None for g in graphs):
            momenta = _joined([g.known_pt()[inner].double() for g, (inner, _) in zip(graphs, ends, strict=True)])
            if not np.isnan(momenta).any() or (momenta > 0).any():  # pT of 0, of noise, is left out where no other is
                columns.append(("pt", PT_BINS, momenta))
        return columns

    def _per_bin(self, judged: ClassifiedRows, values: Floats, limits: tuple[float, ...]) -> list[dict[str, Any]]:
        """Score each bin that holds a row. Shapes: values [R]."""
        scores = []
        for low, high in itertools.pairwise(limits):
            inside = np.flatnonzero((values >= low) & (values < high))
            if len(inside):
                ends: dict[str, Any] = {"from": low, "to": high if math.isfinite(high) else None}
                scores.append(ends | self._scores(judged.taken(inside)))
        return scores


def places_of(graph: HitGraph) -> Places | None:
    """Places of the hits of a graph or batch in mm.

    None where they aren't known, or in other units, or where nodes are chains of hits.
    """
    if graph.get("pos") is None or graph.get("chain") is not None or graph.get("own_units"):
        return None
    pos = graph.pos.detach().cpu().double().numpy()
    ends = np.array([0, len(pos)]) if graph.get("ptr") is None else graph.ptr.cpu().numpy()
    return Places(pos, ends)


def _joined(parts: Sequence[Tensor]) -> Any:
    return torch.cat([p.cpu().double() for p in parts]).numpy() if parts else np.zeros(0)


def _eta(pos: Tensor) -> Tensor:
    x, y, z = pos.double().unbind(1)
    return torch.asinh(z.abs() / torch.hypot(x, y).clamp(min=1e-9))
