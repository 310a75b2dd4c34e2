"""Paired decisions of two classifiers: rows that one has right and the other wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.stats import binom

from archioptrx.runs.statistics import holm
from archioptrx.tasks.classification_metrics import Bools


@dataclass(frozen=True)
class Pair:
    """Decisions of two classifiers on the same rows, each at its own cut.

    Attributes
    ----------
    first, second
        Names of the classifiers.
    rows
        Number of rows (edges or triplets) that count.
    fixes, worsens
        Rows that only the second has right, that only the first has right.
    both_right, both_wrong
        The other rows.
    p
        Two-sided p value of the exact McNemar test (McNemar 1947, Psychometrika 12, 153). The null hypothesis: a row on
        which the two disagree is as likely fixed as worsened, so that fixes ~ Binomial(fixes + worsens, 1/2). The test
        assumes independent rows, which those of one event aren't quite: the bootstrap interval of the difference in
        accuracy is the more careful answer.
    firm
        Whether fixes and worsens differ for all pairs of a comparison together (Holm's correction, `marked`).
    """

    first: str
    second: str
    rows: int
    fixes: int
    worsens: int
    both_right: int
    both_wrong: int
    p: float
    firm: bool = False

    @property
    def net(self) -> int:
        """Rows that the second has right beyond those of the first."""
        return self.fixes - self.worsens


def compare_decisions(first: str, second: str, first_accepts: Bools, second_accepts: Bools, truth: Bools) -> Pair:
    """Count the decisions of two classifiers.

    Parameters
    ----------
    first, second
        Names of the classifiers.
    first_accepts, second_accepts, truth : bool [R]
        Rows that each of them accepts, and rows that are true.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([True, True, False, False])
    >>> a, b = np.array([True, False, True, False]), np.array([False, True, False, False])
    >>> pair = compare_decisions("a", "b", a, b, truth)
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


def marked(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Mark the pairs that differ for all of them together; a pair and its mirror are one test.

    >>> tests = (("a", "b", 0.03), ("b", "a", 0.03), ("a", "c", 0.9))
    >>> pairs = [Pair(first, second, 100, 10, 0, 90, 0, p) for first, second, p in tests]
    >>> [pair.firm for pair in marked(pairs[:2])], [pair.firm for pair in marked(pairs)]
    ([True, True], [False, False, False])
    """
    tests = {frozenset((pair.first, pair.second)): pair.p for pair in pairs}
    firm = dict(zip(tests, holm(list(tests.values())), strict=True))
    return tuple(replace(pair, firm=firm[frozenset((pair.first, pair.second))]) for pair in pairs)


def mcnemar(fixes: int, worsens: int) -> float:
    """Two-sided p value of the exact McNemar test; 1 where the two agree on all rows.

    With n = fixes + worsens it is min(1, 2 P(X ≤ min(fixes, worsens))), X ~ Binomial(n, 1/2): rows on which both are
    right or both are wrong don't matter.
    """
    return min(1.0, 2 * float(binom.cdf(min(fixes, worsens), fixes + worsens, 0.5)))
