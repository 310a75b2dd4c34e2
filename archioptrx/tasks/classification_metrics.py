"""Exact scores of a classifier, ties included. Plain numpy, one sort for all of them.

The metrics of edges and triplets are registered here, as a user's own are elsewhere; see `archioptrx.tasks.metrics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.tasks.metrics import EDGES, TRIPLETS, metric

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

ROWS = (EDGES, TRIPLETS)
FIXED_CUT = 0.7
FIXED_EFFICIENCY = 0.98
LARGE_LOGIT = 8.0
"""Logit from which a probability is written as a logit: its distance to 1 is below 0.0004."""


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
        needed = math.ceil(efficiency * int(self.true[-1]) - 1e-9)
        return int(np.searchsorted(self.true, max(1, needed)))

    def purity_at_efficiency(self, efficiency: float) -> float | None:
        """Share of true rows among those accepted at the cut for an efficiency."""
        index = self.index_for_efficiency(efficiency)
        if index is None:
            return None
        return float(self.true[index] / (self.true[index] + self.false[index]))


def rates(accepted: Bools, truth: Bools) -> dict[str, float | None]:
    """Accuracy, efficiency (recall) and purity (precision) of the true class; None where nothing is counted."""
    both, true_rows, accepted_rows = int((accepted & truth).sum()), int(truth.sum()), int(accepted.sum())
    return {
        "accuracy": float((accepted == truth).mean()) if len(truth) else None,
        "efficiency": both / true_rows if true_rows else None,
        "purity": both / accepted_rows if accepted_rows else None,
    }


def cut_for_efficiency(scores: Floats, truth: Bools, efficiency: float) -> float | None:
    """Choose the highest cut, on the scale of the scores, that keeps at least this share of the true rows.

    Take it from validation events and apply it to others. None without true rows.

    >>> cut_for_efficiency(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True]), 0.6)
    0.7
    """
    ranking = Ranking.of(np.asarray(scores), np.asarray(truth).astype(bool))
    index = ranking.index_for_efficiency(efficiency)
    return None if index is None else float(ranking.thresholds[index])


class Cut(float):
    """Cut on the scores of a network: the probability that accepts, which keeps its logit.

    It is a number like any other probability. But probabilities near 1 lie too close together to hold a cut: from a
    logit of 37 on there is none left below 1. So scores are compared with `logit(cut)`. The number is rounded down,
    so that it accepts what the logit accepts.

    Parameters
    ----------
    value
        The logit.

    >>> Cut(0.0), Cut(40.0), logit(Cut(40.0))
    (0.5, 0.9999999999999999, 40.0)
    """

    def __new__(cls, value: float) -> Cut:
        below = math.exp(-abs(value)) / (1 + math.exp(-abs(value)))  # no overflow, whatever the logit
        probability = below if value < 0 else 1 - below
        while probability > math.ulp(0.0) and (probability == 1 or logit(probability) > value):
            probability = math.nextafter(probability, 0.0)
        cut = super().__new__(cls, max(probability, math.ulp(0.0)))
        cut.logit = float(value)
        return cut

    logit: float

    def __getnewargs__(self) -> tuple[float]:
        return (self.logit,)

    def __eq__(self, other: object) -> bool:
        return self.logit == other.logit if isinstance(other, Cut) else float(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(float(self))


def logit(cut: float) -> float:
    """Logarithm of the odds of a probability; for a `Cut` exactly its own.

    Raises
    ------
    InputError
        The probability has no logit.
    """
    if isinstance(cut, Cut):
        return cut.logit
    if not 0 < cut < 1:
        raise InputError(f"cut: is {cut:g}; allowed: between 0 and 1")
    return math.log(cut / (1 - cut))


def cut_text(cut: float) -> str:
    """A cut as text: a probability, or near 1 a logit.

    >>> cut_text(0.5), cut_text(Cut(20.0))
    ('0.5', 'a logit of 20')
    """
    level = logit(cut)
    return f"{float(cut):.4g}" if abs(level) < LARGE_LOGIT else f"a logit of {level:.4g}"


def _no_field(name: str) -> tuple[Floats, Floats]:
    raise KeyError(name)


@dataclass(frozen=True, eq=False)
class ClassifiedRows:
    """Edges or triplets, the answers to them and the truth. Rows outside of the mask are left out.

    Attributes
    ----------
    logits : float64 [R]
        Logarithms of the odds. Ranks of logits don't run into ties near 1, as those of probabilities do.
    truth : bool [R]
        Truth of each row.
    cut
        Probability that accepts, or a `Cut`.
    graphs
        The hit graphs, or batches of them, of the rows.
    ends
        Function that gives the values of a field at both ends of all rows; see `at_ends`.
    places : int64 [R] or None
        The rows among all rows of the graphs, for `ends`; None: they are all rows.
    """

    logits: Floats
    truth: Bools
    cut: float
    graphs: Sequence[Any] = ()
    ends: Callable[[str], tuple[Floats, Floats]] = field(default=_no_field, repr=False)
    places: Ints | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.truth)

    @property
    def probabilities(self) -> Floats:
        """Probability of each row. Shapes: -> [R]."""
        return np.asarray(0.5 * (1 + np.tanh(0.5 * self.logits)))  # no overflow, whatever the logit

    @property
    def accepted(self) -> Bools:
        """Mask of the rows that are accepted at the cut. Shapes: -> [R]."""
        return np.asarray(self.logits >= logit(self.cut))

    def at_ends(self, name: str) -> tuple[Floats, Floats]:
        """A field of the hit graphs that has one number for each hit (`pt`, `pid` …), at the ends of each row.

        Shapes: -> innermost and outermost hit, two of [R].

        Raises
        ------
        KeyError
            The data don't have that field.
        """
        inner, outer = self.ends(name)
        return (inner, outer) if self.places is None else (inner[self.places], outer[self.places])

    def taken(self, rows: Ints) -> ClassifiedRows:
        """Some of the rows, in the given order; one may stand several times."""
        places = rows if self.places is None else self.places[rows]
        return replace(self, logits=self.logits[rows], truth=self.truth[rows], places=places)

    @cached_property
    def ranking(self) -> Ranking:
        """The rows by falling logit."""
        return Ranking.of(self.logits, self.truth)

    @cached_property
    def rates(self) -> dict[str, float | None]:
        """Accuracy, efficiency and purity at the cut."""
        return rates(self.accepted, self.truth)

    @cached_property
    def fixed_rates(self) -> dict[str, float | None]:
        """The same at `FIXED_CUT`."""
        return rates(self.logits >= logit(FIXED_CUT), self.truth)


@metric("auc", of=ROWS, label="AUC")
def _auc(rows: ClassifiedRows) -> float | None:
    """Area under the ROC curve."""
    return rows.ranking.auc


@metric("average_precision", of=ROWS)
def _average_precision(rows: ClassifiedRows) -> float | None:
    """Mean purity over the steps of the efficiency."""
    return rows.ranking.average_precision


@metric("accuracy", of=ROWS, headline=False)
def _accuracy(rows: ClassifiedRows) -> float | None:
    """Share of rows on the right side of the cut."""
    return rows.rates["accuracy"]


@metric("efficiency", of=ROWS, label="efficiency at cut 0.5")
def _efficiency(rows: ClassifiedRows) -> float | None:
    """Share of true rows that are accepted."""
    return rows.rates["efficiency"]


@metric("purity", of=ROWS, label="purity at cut 0.5")
def _purity(rows: ClassifiedRows) -> float | None:
    """Share of accepted rows that are true."""
    return rows.rates["purity"]


@metric("efficiency_0.7", of=ROWS, headline=False)
def _efficiency_at_fixed_cut(rows: ClassifiedRows) -> float | None:
    """Efficiency at the cut 0.7."""
    return rows.fixed_rates["efficiency"]


@metric("purity_0.7", of=ROWS, headline=False)
def _purity_at_fixed_cut(rows: ClassifiedRows) -> float | None:
    """Purity at the cut 0.7."""
    return rows.fixed_rates["purity"]


@metric("purity_at_efficiency_0.98", of=ROWS)
def _purity_at_fixed_efficiency(rows: ClassifiedRows) -> float | None:
    """Purity at the cut that keeps 98 % of the true rows."""
    return rows.ranking.purity_at_efficiency(FIXED_EFFICIENCY)
