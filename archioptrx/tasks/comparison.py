"""Comparison of a classifier of triplets with the classifier of doublets before it, and quality of its triplets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.tasks.classification_metrics import Bools, Floats, Ranking, logit, rates


@dataclass(frozen=True, eq=False)
class Baseline:
    """Answers of an earlier classifier.

    Attributes
    ----------
    scores : [R]
        Its score of each row.
    logits
        True: scores are logits, as a network gives them. False: probabilities, as data may bring them along.
    """

    scores: Floats
    logits: bool

    def accepted(self, cut: float) -> Bools:
        """Mask of the rows that it accepts at a cut, a probability or a `Cut`. Shapes: -> [R]."""
        # Probabilities are kept in single precision: one that stands exactly on the cut is accepted.
        return np.asarray(self.scores >= (logit(cut) if self.logits else np.float32(cut)))


def against_baseline(accepted: Bools, baseline: Baseline, truth: Bools, cut: float) -> dict[str, Any]:
    """Count the rows that an earlier classifier has wrong and the new one right, and the reverse.

    Both decide at the same cut. For triplets the earlier one is the classifier of doublets, that
    accepts a triplet if it accepts both doublets.

    Parameters
    ----------
    accepted : [R]
        Rows that the new classifier accepts.
    baseline
        Answers of the earlier one to these rows.
    truth : [R]
        Truth of each row.
    cut
        Probability from which the earlier one accepts.

    Returns
    -------
    `fixed, worsened`: numbers of rows; `baseline_auc`; and at the cut `baseline_accuracy, baseline_efficiency,
    baseline_purity`.

    >>> both = np.array([True, False])
    >>> found = against_baseline(both, Baseline(np.array([0.2, 0.3]), logits=False), truth=both, cut=0.5)
    >>> found["fixed"], found["worsened"]
    (1, 0)
    """
    before = baseline.accepted(cut)
    right, wrong = before == truth, before != truth
    return {
        "fixed": int((wrong & (accepted == truth)).sum()),
        "worsened": int((right & (accepted != truth)).sum()),
        "baseline_auc": Ranking.of(baseline.scores, truth).auc,
        **{f"baseline_{name}": value for name, value in rates(before, truth).items()},
    }


def medals(accepted: Bools, truth: Bools, index: NDArray[np.int64], doublets: Bools) -> dict[str, int]:
    """Count the triplets of each class, see `medal_classes`."""
    return {name: int(which.sum()) for name, which in medal_classes(accepted, truth, index, doublets).items()}


def medal_classes(accepted: Bools, truth: Bools, index: NDArray[np.int64], doublets: Bools) -> dict[str, Bools]:
    """Divide the triplets that are accepted or true into five classes.

    The picture of triplets in the talks of Exa.TrkX has five colours; this is our reading of them.

    Parameters
    ----------
    accepted, truth : [T]
        Accepted and true triplets; those that don't count are False in both.
    index : [2, T]
        Inner and outer doublet of each triplet.
    doublets
        Truth of each doublet.

    Returns
    -------
    gold
        True, accepted, and nothing else is: no other accepted triplet goes on from its inner doublet or comes to its
        outer one.
    silver
        True and accepted, but another accepted triplet contests one of its doublets.
    bronze
        Accepted, false, with at least one true doublet: a track that takes a wrong turn.
    red
        Accepted and false, both doublets too.
    blue
        True, but not accepted.
    """
    inner, outer = index
    leaving = np.bincount(inner[accepted], minlength=len(doublets))[inner]
    arriving = np.bincount(outer[accepted], minlength=len(doublets))[outer]
    good, bad = accepted & truth, accepted & ~truth
    alone = (leaving == 1) & (arriving == 1)
    half = doublets[inner] | doublets[outer]
    return {
        "gold": good & alone,
        "silver": good & ~alone,
        "bronze": bad & half,
        "red": bad & ~half,
        "blue": truth & ~accepted,
    }
