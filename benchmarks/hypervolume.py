"""Hypervolume of two objectives: one to be large, one to be small."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Point = tuple[float, float]


def front_of(points: Iterable[Point]) -> list[Point]:
    """Points that no other one dominates (first large, second small), by falling first number.

    >>> front_of([(0.9, 3.0), (0.8, 1.0), (0.7, 2.0)])
    [(0.9, 3.0), (0.8, 1.0)]
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (-p[0], p[1])):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front


def hypervolume(points: Iterable[Point], reference: Point) -> float:
    """Area between points and a reference that is worse than all points that count.

    >>> hypervolume([(2.0, 1.0), (1.0, 0.0)], (0.0, 2.0))
    3.0
    """
    better = [point for point in points if point[0] > reference[0] and point[1] < reference[1]]
    area, ceiling = 0.0, reference[1]
    for first, second in front_of(better):
        area += (first - reference[0]) * (ceiling - second)
        ceiling = second
    return area


class Shares:
    """Share of the true front's hypervolume that a growing set of points has.

    The reference is the nadir of the true front: the worst number of each objective on it. Points far from the front
    count nothing then, and a share means more than with the worst numbers of the whole table.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        front = front_of((float(row["valid_perf"]), float(row["latency"])) for row in rows)
        self.reference = min(p[0] for p in front), max(p[1] for p in front)
        self.whole = hypervolume(front, self.reference)
        self.points: list[Point] = []

    def add(self, accuracy: float, latency: float) -> float:
        """Add a point; the share after it."""
        self.points = front_of([*self.points, (accuracy, latency)])
        return hypervolume(self.points, self.reference) / self.whole
