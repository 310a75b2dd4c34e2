"""Correction for several tests: the differences, of many, that hold in a test of all together."""

from __future__ import annotations

from collections.abc import Sequence


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
