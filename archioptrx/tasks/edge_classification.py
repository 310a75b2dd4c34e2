"""Edge classification: does a candidate edge join consecutive hits of one particle?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from archioptrx.errors import InputError, TrialError
from archioptrx.hitgraph import HitGraph
from archioptrx.metrics import Bools, Floats, Ranking, cut_for_efficiency, rates
from archioptrx.tasks.options import EdgeOptions
from archioptrx.tasks.task import Objective, Task

FIXED_CUT = 0.7
FIXED_EFFICIENCY = 0.98
ETA_BINS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, math.inf)
"""|η| of the outer hit as seen from the origin."""
PT_BINS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, math.inf)
"""Transverse momentum in GeV of the particle that made the inner hit."""


class EdgeClassification(Task):
    """Binary cross-entropy on logits. Edges outside `edge_mask` count neither in the loss nor in metrics.

    Parameters
    ----------
    class_weight
        Weight of true edges in the loss: a number, `none` or `balanced` (false edges per true one of the batch).
    """

    name = "edge_classification"
    domain = "edge"
    target_width = 1
    objective = Objective("auc", "max")

    def __init__(self, class_weight: str | float = "none") -> None:
        self.class_weight = class_weight

    def loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Mean loss per edge, weighted by `edge_weight` where the data have it. Shapes: output [E] -> []."""
        weight = batch.get("edge_weight")
        mask = batch.get("edge_mask")
        if mask is not None:
            weight = mask.to(output.dtype) if weight is None else weight * mask
        truth = batch.y.to(output.dtype)
        losses = binary_cross_entropy_with_logits(
            output, truth, reduction="none", pos_weight=self._positive(truth, mask)
        )
        if weight is None:
            return losses.sum() / max(1, losses.numel())
        mean: Tensor = (losses * weight).sum() / weight.sum().clamp(min=1e-12)
        return mean

    def _positive(self, truth: Tensor, mask: Tensor | None) -> Tensor | None:
        """Weight of true edges, None for 1."""
        if self.class_weight == "none":
            return None
        if self.class_weight != "balanced":
            return truth.new_tensor(float(self.class_weight))
        counted = truth if mask is None else truth[mask]
        true = counted.sum()
        return torch.where(true > 0, (counted.numel() - true) / true.clamp(min=1), 1.0)

    def metrics(
        self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score logits; see `Task.metrics`.

        Returns
        -------
        `loss, auc, average_precision`, `accuracy, efficiency, purity` at `cut`, `efficiency_0.7, purity_0.7`,
        `purity_at_efficiency_0.98, edges, true_fraction`; with bins, `eta` and `pt`: lists of such scores per bin.
        A score that needs both classes is None where one is missing.
        """
        if not 0 < cut < 1:
            raise InputError(f"cut: is {cut:g}; legal: between 0 and 1")
        logits = _joined([o.detach() for o in outputs])
        bad = int((~np.isfinite(logits)).sum())
        if bad:
            raise TrialError(f"{bad} of {len(logits)} scores aren't finite numbers")
        kept = _joined([_mask(g) for g in graphs]).astype(bool)
        truth = _joined([g.y for g in graphs]) > 0.5
        result: dict[str, Any] = _scores(logits[kept], truth[kept], cut)
        losses = [float(self.loss(o.detach().float(), g)) for o, g in zip(outputs, graphs, strict=True)]
        weights = [max(1, int(_mask(g).sum())) for g in graphs]
        result = {"loss": float(np.average(losses, weights=weights)) if losses else None, **result}
        for name, limits, values in _binned(graphs) if bins else ():
            result[name] = _per_bin(logits[kept], truth[kept], values[kept], limits, cut)
        return result

    def perfect(self, graph: HitGraph) -> Tensor:
        """Logits of ±10 as the truth says: an AUC of exactly 1. Shapes: -> [E]."""
        return 10 * (2 * graph.y - 1)

    def constant(self, graph: HitGraph) -> Tensor:
        """A probability of 0.5 for every edge: an AUC of exactly 0.5. Shapes: -> [E]."""
        return graph.x.new_zeros(graph.num_edges)

    def cut(self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], efficiency: float) -> float | None:
        """The highest cut on the probability that keeps this share of the true edges; None without true edges.

        Take it from validation events and apply it to others.
        """
        kept = _joined([_mask(g) for g in graphs]).astype(bool)
        logits = _joined([o.detach() for o in outputs])[kept]
        found = cut_for_efficiency(logits, (_joined([g.y for g in graphs]) > 0.5)[kept], efficiency)
        # A hair lower, so that the logit of the cut, rounded, doesn't lose the edge that it was taken from.
        return None if found is None else 1 / (1 + math.exp(-(found - 1e-9)))


def make(options: EdgeOptions) -> EdgeClassification:
    """Make the task from its options."""
    return EdgeClassification(options.class_weight)


def _joined(parts: Sequence[Tensor]) -> Any:
    return torch.cat([p.cpu().double() for p in parts]).numpy() if parts else np.zeros(0)


def _mask(graph: HitGraph) -> Tensor:
    mask = graph.get("edge_mask")
    return torch.ones(graph.num_edges, dtype=torch.bool) if mask is None else mask


def _scores(logits: Floats, truth: Bools, cut: float) -> dict[str, float | None]:
    """Rank logits, not probabilities: those run into ties near 1."""
    ranking = Ranking.of(logits, truth)
    fixed = rates(logits >= _logit(FIXED_CUT), truth)
    return {
        "auc": ranking.auc,
        "average_precision": ranking.average_precision,
        "cut": cut,
        **rates(logits >= _logit(cut), truth),
        f"efficiency_{FIXED_CUT:g}": fixed["efficiency"],
        f"purity_{FIXED_CUT:g}": fixed["purity"],
        f"purity_at_efficiency_{FIXED_EFFICIENCY:g}": ranking.purity_at_efficiency(FIXED_EFFICIENCY),
        "edges": len(truth),
        "true_fraction": float(truth.mean()) if len(truth) else None,
    }


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _binned(graphs: Sequence[HitGraph]) -> list[tuple[str, tuple[float, ...], Floats]]:
    """Quantities that all graphs have: name, limits of the bins, one value per edge."""
    found: list[tuple[str, tuple[float, ...], Floats]] = []
    if graphs and all(g.get("pos") is not None for g in graphs):
        found.append(("eta", ETA_BINS, _joined([_eta(g) for g in graphs])))
    if graphs and all(g.get("pt") is not None for g in graphs):
        found.append(("pt", PT_BINS, _joined([g.pt[g.edge_index[0]] for g in graphs])))
    return found


def _eta(graph: HitGraph) -> Tensor:
    x, y, z = graph.pos[graph.edge_index[1]].double().unbind(1)
    return torch.asinh(z.abs() / torch.hypot(x, y).clamp(min=1e-9))


def _per_bin(
    logits: Floats, truth: Bools, values: Floats, limits: tuple[float, ...], cut: float
) -> list[dict[str, Any]]:
    """Score each bin that holds an edge."""
    rows = []
    for low, high in itertools.pairwise(limits):
        inside = (values >= low) & (values < high)
        if inside.any():
            ends: dict[str, Any] = {"from": low, "to": high if math.isfinite(high) else None}
            rows.append(ends | _scores(logits[inside], truth[inside], cut))
    return rows
