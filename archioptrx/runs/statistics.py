"""Statistics of a search: candidates passed over, causes of failure, lines of descent, value of the screen,
what holds for many differences together."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """Failed trials with the same cause.

    Attributes
    ----------
    cause
        The error with each number replaced by `#`: shapes and counts differ from trial to trial.
    example
        Error of the first of them.
    trials
        Ids of the trials, in the order of proposals.
    """

    cause: str
    example: str
    trials: tuple[str, ...]


def failures_of(rows: Sequence[Row]) -> list[Failure]:
    """Failed trials by cause, the most frequent first.

    >>> rows = [{"proposal": n, "id": f"000{n}", "error": f"loss is nan after step {9 + n}"} for n in (0, 1)]
    >>> [(one.cause, one.trials) for one in failures_of(rows)]
    [('loss is nan after step #', ('0000', '0001'))]
    """
    groups: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["proposal"]):
        if row["error"] is not None:
            groups.setdefault(folded(row["error"]), []).append(row)
    failures = [
        Failure(cause, members[0]["error"], tuple(row["id"] for row in members)) for cause, members in groups.items()
    ]
    return sorted(failures, key=lambda failure: (-len(failure.trials), failure.cause))


def folded(error: str) -> str:
    """Error message with `#` for each number.

    >>> folded("step 3 of 0x7f3a: 1.5e-3 is not 12")
    'step # of #: # is not #'
    >>> folded("mat1 and mat2 can't be multiplied (64x3 and 16x8)")
    "mat1 and mat2 can't be multiplied (# and #)"
    """
    return re.sub(r"0x[0-9a-fA-F]+|(?<![A-Za-z_])[0-9]+(?:x[0-9]+)*(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?", "#", error)


def passed_over(lines: Sequence[Row], refused: Sequence[Row]) -> Counter[str]:
    """Number of candidates that were drawn but not trained, by cause.

    Parameters
    ----------
    lines, refused
        Lines of `proposals.jsonl`: proposals, and those that void one.
    """
    total: Counter[str] = Counter()
    for line in lines:
        # Old run folders have only the number of refused draws.
        total.update(line["passed_over"] if "passed_over" in line else {"constraint": max(0, line["draws"] - 1)})
    total.update(line["refused"].split()[0] for line in refused)
    return +total


def generations(lines: Sequence[Row]) -> dict[int, int]:
    """Number of ancestors of each proposal; a parent is always proposed before its child.

    >>> generations([{"proposal": 0, "parent": None}, {"proposal": 1, "parent": 0}, {"proposal": 2, "parent": 1}])
    {0: 0, 1: 1, 2: 2}
    """
    ancestors: dict[int, int] = {}
    for line in lines:
        parent = line.get("parent")
        ancestors[line["proposal"]] = 0 if parent is None else ancestors.get(parent, 0) + 1
    return ancestors


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of two columns.

    Attributes
    ----------
    rho
        The correlation.
    low, high
        Ends of its 95 % interval: Fisher's transformation with the variance of Bonett and Wright (2000, Psychometrika
        65:23), (1 + rho²/2)/(n - 3).
    trials
        Number of pairs.
    """

    rho: float
    low: float
    high: float
    trials: int


def agreement(first: Sequence[float], second: Sequence[float]) -> Agreement | None:
    """Compute the rank correlation; None: fewer than five pairs, or a column is constant."""
    count = len(first)
    if count < 5 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    rho = float(stats.spearmanr(first, second).statistic)
    if abs(rho) > 1 - 1e-12:
        return Agreement(rho, rho, rho, count)
    reach = 1.959964 * math.sqrt((1 + rho**2 / 2) / (count - 3))
    return Agreement(rho, math.tanh(math.atanh(rho) - reach), math.tanh(math.atanh(rho) + reach), count)


def holm(p_values: Sequence[float], level: float = 0.05) -> list[bool]:
    """Mark the tests that hold after Holm's correction.

    Holm 1979, Scand. J. Stat. 6, 65: with m p values in ascending order, the k-th (k = 0, 1, …) holds while
    p_k ≤ level / (m − k), and none after the first that fails. The chance of one or more false marks is at most
    `level`, however the tests depend on each other.

    >>> holm([0.04, 0.001, 0.02, 0.6])
    [False, True, False, False]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    marks = [False] * len(p_values)
    for rank, place in enumerate(order):
        if p_values[place] > level / (len(order) - rank):
            break
        marks[place] = True
    return marks
