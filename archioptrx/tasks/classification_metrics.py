"""Exact scores of a classifier, ties included. Plain numpy, one sort for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Ranking:
    """Counts of accepted rows at each distinct score, from the highest score down.

    Attributes
    ----------
    thresholds : [K]
        Distinct scores, falling. A row is accepted if its score is the threshold or more.
    true, false : int64 [K]
        Accepted rows of the two classes.
    """

    thresholds: Floats
    true: NDArray[np.int64]
    false: NDArray[np.int64]

    @classmethod
    def of(cls, scores: Floats, truth: Bools) -> Ranking:
        """Rank rows. Shapes: scores [N], truth bool [N]."""
        order = np.argsort(-scores, kind="stable")
        ranked, hit = scores[order], truth[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], [True] * (len(ranked) > 0)))
        true = np.cumsum(hit, dtype=np.int64)[ends]
        return cls(ranked[ends], true, ends + 1 - true)

    @property
    def one_class(self) -> bool:
        """Whether a class is empty: nothing can be ranked then."""
        return not len(self.true) or self.true[-1] == 0 or self.false[-1] == 0

    @property
    def auc(self) -> float | None:
        """Area under the ROC curve: chance that a true row scores above a false one, a tie counting half."""
        if self.one_class:
            return None
        true, false = np.append(0, self.true), np.append(0, self.false)
        # Whole numbers until the last division: 0.5 and 1.0 come out exactly.
        twice_area = int(np.sum(np.diff(false) * (true[1:] + true[:-1])))
        return twice_area / (2 * int(true[-1]) * int(false[-1]))

    @property
    def average_precision(self) -> float | None:
        """Mean purity over the steps of the efficiency."""
        if self.one_class:
            return None
        gained = np.diff(self.true, prepend=0)
        return float(np.sum(gained * (self.true / (self.true + self.false))) / self.true[-1])

    def index_for_efficiency(self, efficiency: float) -> int | None:
        """Place of the highest threshold that accepts at least this share of the true rows."""
        if not len(self.true) or self.true[-1] == 0:
            return None
        wanted = math.ceil(efficiency * int(self.true[-1]) - 1e-9)
        return int(np.searchsorted(self.true, max(1, wanted)))

    def purity_at_efficiency(self, efficiency: float) -> float | None:
        """Share of true rows among those accepted at the cut for an efficiency."""
        index = self.index_for_efficiency(efficiency)
        if index is None:
            return None
        return float(self.true[index] / (self.true[index] + self.false[index]))


def rates(accepted: Bools, truth: Bools) -> dict[str, float | None]:
    """Accuracy, efficiency (recall) and purity (precision) of the true class; None where nothing is counted."""
    both, true, kept = int((accepted & truth).sum()), int(truth.sum()), int(accepted.sum())
    return {
        "accuracy": float((accepted == truth).mean()) if len(truth) else None,
        "efficiency": both / true if true else None,
        "purity": both / kept if kept else None,
    }


def cut_for_efficiency(scores: Floats, truth: Bools, efficiency: float) -> float | None:
    """Choose the highest cut that keeps at least this share of the true rows.

    Take it from validation events and apply it to others. None without true rows.

    >>> cut_for_efficiency(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True]), 0.6)
    0.7
    """
    ranking = Ranking.of(np.asarray(scores), np.asarray(truth).astype(bool))
    index = ranking.index_for_efficiency(efficiency)
    return None if index is None else float(ranking.thresholds[index])
