"""Which rows one classifier has right and another wrong."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binom

from archioptrx.tasks.classification_metrics import Bools


@dataclass(frozen=True)
class Pair:
    """Decisions of two classifiers on the same rows, each at its cut.

    Attributes
    ----------
    first, second
        Their names.
    rows
        Edges, say, that count.
    fixes, worsens
        Rows that only the second has right, that only the first has right.
    both_right, both_wrong
        The other rows.
    p
        Exact McNemar test (McNemar 1947, Psychometrika 12, 153): the chance of a split at least as uneven as that of
        fixes and worsens if each fell on either side by a fair coin. It takes rows for independent, which those of one
        event aren't quite: the interval of the difference in accuracy is the more careful answer.
    """

    first: str
    second: str
    rows: int
    fixes: int
    worsens: int
    both_right: int
    both_wrong: int
    p: float

    @property
    def net(self) -> int:
        """Rows that the second has right beyond those of the first."""
        return self.fixes - self.worsens


def compare_decisions(first: str, second: str, first_accepts: Bools, second_accepts: Bools, truth: Bools) -> Pair:
    """Count. Shapes: what each accepts and the truth, bool [R].

    >>> import numpy as np
    >>> truth = np.array([True, True, False, False])
    >>> pair = compared("a", "b", np.array([True, False, True, False]), np.array([False, True, False, False]), truth)
    >>> pair.fixes, pair.worsens, pair.both_right, pair.both_wrong, pair.p
    (2, 1, 1, 0, 1.0)
    """
    before, after = first_accepts == truth, second_accepts == truth
    fixes, worsens = int((~before & after).sum()), int((before & ~after).sum())
    return Pair(
        first,
        second,
        len(truth),
        fixes,
        worsens,
        int((before & after).sum()),
        int((~before & ~after).sum()),
        mcnemar(fixes, worsens),
    )


def mcnemar(fixes: int, worsens: int) -> float:
    """Two-sided exact p. Without any difference it is 1."""
    return min(1.0, 2 * float(binom.cdf(min(fixes, worsens), fixes + worsens, 0.5)))
