"""Places for the nodes of a layered drawing, and ways for its arrows (Sugiyama et al. 1981): numbers, no drawing.

Nodes come in columns. An arrow that passes a column has a place of its own there, so that it never crosses a node.
Rows are ordered by the barycentres of their neighbours; then each item moves as near to its neighbours as the others
leave room for (least squares under minimal distances, by pooling adjacent violators).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 24
Arrow = tuple[str, ...]
"""Where it starts and ends, and what else tells it from another one."""
Item = Hashable
"""A node's name, or (arrow, column) where an arrow passes."""


@dataclass(frozen=True)
class Layout:
    """Where things are; columns are whole numbers from the left, heights have the unit of `heights`, upwards.

    Attributes
    ----------
    column, height
        Of each node.
    ways
        Of each arrow: (column, height) of where it passes, its ends not included.
    """

    column: Mapping[str, int]
    height: Mapping[str, float]
    ways: Mapping[Arrow, Sequence[tuple[int, float]]]


def layered(
    columns: Mapping[str, int],
    arrows: Sequence[Arrow],
    room: float | Mapping[str, float] = 1.0,
    passing: float = 0.4,
) -> Layout:
    """Lay out a digraph whose nodes have columns; arrows may go either way, and join different columns.

    Parameters
    ----------
    room, passing
        Height that a node (each one, or all alike), and a passing arrow, take up.
    """
    arrows = list(dict.fromkeys(arrows))
    chains = {arrow: _chain(arrow, columns) for arrow in arrows}
    rows: dict[int, list[Item]] = {column: [] for column in range(max(columns.values()) + 1)}
    for name, column in columns.items():
        rows[column].append(name)
    for arrow, between in chains.items():
        for column in between:
            rows[column].append((arrow, column))
    near: dict[Item, list[Item]] = {item: [] for row in rows.values() for item in row}
    for arrow, between in chains.items():
        path: list[Item] = [arrow[0], *((arrow, column) for column in between), arrow[1]]
        for one, other in pairwise(path):
            near[one].append(other)
            near[other].append(one)
    rooms = dict.fromkeys(columns, room) if isinstance(room, int | float) else room
    size = {item: rooms[item] if isinstance(item, str) else passing for item in near}
    height = _heights(_ordered(rows, near), near, size)
    ways = {arrow: [(c, height[arrow, c]) for c in between] for arrow, between in chains.items()}
    return Layout(dict(columns), {name: height[name] for name in columns}, ways)


def _chain(arrow: Arrow, columns: Mapping[str, int]) -> list[int]:
    """Columns between the ends, in the arrow's direction."""
    start, end = columns[arrow[0]], columns[arrow[1]]
    return list(range(start + 1, end)) if start < end else list(range(start - 1, end, -1))


def _ordered(rows: Mapping[int, list[Item]], near: Mapping[Item, Sequence[Item]]) -> list[list[Item]]:
    """Each column's items from below: the order with the fewest crossings that the sweeps came upon."""
    order = [list(rows[column]) for column in sorted(rows)]
    best, fewest = order, crossings(order, near)
    for sweep in range(SWEEPS):
        order = [list(row) for row in order]
        numbers = range(1, len(order)) if sweep % 2 == 0 else range(len(order) - 2, -1, -1)
        for number in numbers:
            # Both sides count from the third sweep on, the one that was just placed before.
            sides = [number - 1 if sweep % 2 == 0 else number + 1] if sweep < 2 else [number - 1, number + 1]
            places = {
                item: place / max(1, len(order[side]) - 1)
                for side in sides
                if 0 <= side < len(order)
                for place, item in enumerate(order[side])
            }
            order[number] = _by_neighbours(order[number], near, places)
        count = crossings(order, near)
        if count < fewest:
            best, fewest = order, count
    return best


def _by_neighbours(
    row: Sequence[Item], near: Mapping[Item, Sequence[Item]], places: Mapping[Item, float]
) -> list[Item]:
    def wish(number: int) -> float:
        known = [places[other] for other in near[row[number]] if other in places]
        return sum(known) / len(known) if known else number / max(1, len(row) - 1)

    return [row[number] for number in sorted(range(len(row)), key=wish)]


def crossings(order: Sequence[Sequence[Item]], near: Mapping[Item, Sequence[Item]]) -> int:
    """How many pairs of lines between adjacent columns cross."""
    count = 0
    for left, right in pairwise(order):
        places = {item: place for place, item in enumerate(right)}
        ends = [place for item in left for place in sorted(places[other] for other in near[item] if other in places)]
        count += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return count


def _heights(
    order: Sequence[Sequence[Item]], near: Mapping[Item, Sequence[Item]], size: Mapping[Item, float]
) -> dict[Item, float]:
    """Height of every item; the whole is centred at 0."""
    height: dict[Item, float] = {}
    for row in order:
        offsets = _offsets(row, size)
        height.update({item: at - offsets[-1] / 2 for item, at in zip(row, offsets, strict=True)} if row else {})
    for sweep in range(SWEEPS):
        for row in order if sweep % 2 == 0 else reversed(order):
            wishes = [sum(height[o] for o in near[i]) / len(near[i]) if near[i] else height[i] for i in row]
            height.update(zip(row, spread(wishes, _offsets(row, size), [_weight(i) for i in row]), strict=True))
    middle = (max(height.values()) + min(height.values())) / 2
    return {item: at - middle for item, at in height.items()}


def _weight(item: Item) -> float:
    """A passing arrow shall be straight; a node stands where it may."""
    return 1.0 if isinstance(item, str) else 2.0


def _offsets(row: Sequence[Item], size: Mapping[Item, float]) -> list[float]:
    """Smallest possible height of each item above the first."""
    offsets = [0.0]
    for below, item in pairwise(row):
        offsets.append(offsets[-1] + (size[below] + size[item]) / 2)
    return offsets


def spread(wishes: Sequence[float], offsets: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Heights nearest to the wishes that keep at least the distances of the offsets, in order.

    >>> spread([0.0, 0.0], [0.0, 1.0], [1.0, 1.0])
    [-0.5, 0.5]
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number of items
    for wish, offset, weight in zip(wishes, offsets, weights, strict=False):
        mean, total, count = wish - offset, weight, 1
        while blocks and blocks[-1][0] >= mean:
            before, heavy, many = blocks.pop()
            mean, total = (before * heavy + mean * total) / (heavy + total), heavy + total
            count += many
        blocks.append((mean, total, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
