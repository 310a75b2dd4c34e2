"""Places for the nodes of a layered drawing, and ways for its arrows (Sugiyama et al. 1981): numbers, no drawing.

`layered` gives the order within ranks and the places from left to right. `stacked` also gives ranks their heights, with
gaps between them that belong to arrows alone: an arrow runs straight down beside items and bends in gaps.

Nodes come in ranks from above. An arrow that passes a rank has a place of its own there, so that it never crosses a
node. Ranks are ordered by the barycentres of their neighbours; then each cell moves as near to its neighbours as the
others leave room for (least squares under minimal distances, by pooling adjacent violators).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 24
BESIDE, PASSING = 22.0, 14.0
"""Least distance of two items of a rank; breadth of an arrow that passes."""
PORTS, GAP, WIDEST = 16.0, 21.0, 60.0
"""Distance of arrows that come to one item; height of a gap whose arrows go straight down, and at most."""
Arrow = tuple[str, ...]
"""Start and end, and where several join the same two, the value that the arrow carries."""
Cell = Hashable
"""A node's name, or (arrow, rank) where an arrow passes."""


@dataclass(frozen=True)
class Layout:
    """Places of nodes and arrows; x has the unit of the rooms, to the right of the middle.

    Attributes
    ----------
    rank, x
        Rank, from above, and middle of each node.
    ways
        Places (rank, x) where each arrow passes a rank, in its direction, without its ends.
    """

    rank: Mapping[str, int]
    x: Mapping[str, float]
    ways: Mapping[Arrow, Sequence[tuple[int, float]]]


def layered(rank: Mapping[str, int], arrows: Sequence[Arrow], room: Mapping[str, float], passing: float) -> Layout:
    """Lay out a digraph whose nodes have ranks; arrows may go down or up, and join different ranks.

    Parameters
    ----------
    room, passing
        Width that each node, and a passing arrow, takes up.
    """
    arrows = list(dict.fromkeys(arrows))
    chains = {arrow: _chain(arrow, rank) for arrow in arrows}
    rows: dict[int, list[Cell]] = {number: [] for number in range(max(rank.values()) + 1)}
    for name, number in rank.items():
        rows[number].append(name)
    for arrow, between in chains.items():
        for number in between:
            rows[number].append((arrow, number))
    near: dict[Cell, list[Cell]] = {cell: [] for row in rows.values() for cell in row}
    for arrow, between in chains.items():
        path: list[Cell] = [arrow[0], *((arrow, number) for number in between), arrow[1]]
        for before, after in pairwise(path):
            near[before].append(after)
            near[after].append(before)
    size = {cell: room[cell] if isinstance(cell, str) else passing for cell in near}
    x = _places(_ordered(rows, near), near, size)
    ways = {arrow: [(number, x[arrow, number]) for number in between] for arrow, between in chains.items()}
    return Layout(dict(rank), {name: x[name] for name in rank}, ways)


def _chain(arrow: Arrow, rank: Mapping[str, int]) -> list[int]:
    """Ranks between the ends, in the arrow's direction."""
    start, end = rank[arrow[0]], rank[arrow[1]]
    return list(range(start + 1, end)) if start < end else list(range(start - 1, end, -1))


def _ordered(rows: Mapping[int, list[Cell]], near: Mapping[Cell, Sequence[Cell]]) -> list[list[Cell]]:
    """Cells of each rank from the left: the order with the fewest crossings that the sweeps came upon."""
    order = [list(rows[number]) for number in sorted(rows)]
    best, fewest = order, crossings(order, near)
    for sweep in range(SWEEPS):
        order = [list(row) for row in order]
        numbers = range(1, len(order)) if sweep % 2 == 0 else range(len(order) - 2, -1, -1)
        for number in numbers:
            # Both sides count from the third sweep on, the one that was just placed before.
            sides = [number - 1 if sweep % 2 == 0 else number + 1] if sweep < 2 else [number - 1, number + 1]
            places = {
                cell: place / max(1, len(order[side]) - 1)
                for side in sides
                if 0 <= side < len(order)
                for place, cell in enumerate(order[side])
            }
            order[number] = _by_neighbours(order[number], near, places)
        count = crossings(order, near)
        if count < fewest:
            best, fewest = order, count
    return best


def _by_neighbours(
    row: Sequence[Cell], near: Mapping[Cell, Sequence[Cell]], places: Mapping[Cell, float]
) -> list[Cell]:
    def wish(number: int) -> float:
        known = [places[other] for other in near[row[number]] if other in places]
        return sum(known) / len(known) if known else number / max(1, len(row) - 1)

    return [row[number] for number in sorted(range(len(row)), key=wish)]


def crossings(order: Sequence[Sequence[Cell]], near: Mapping[Cell, Sequence[Cell]]) -> int:
    """Number of pairs of lines between adjacent ranks that cross."""
    count = 0
    for left, right in pairwise(order):
        places = {cell: place for place, cell in enumerate(right)}
        ends = [place for cell in left for place in sorted(places[other] for other in near[cell] if other in places)]
        count += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return count


def _places(
    order: Sequence[Sequence[Cell]], near: Mapping[Cell, Sequence[Cell]], size: Mapping[Cell, float]
) -> dict[Cell, float]:
    """x of every cell; the whole is centred at 0."""
    x: dict[Cell, float] = {}
    for row in order:
        offsets = _offsets(row, size)
        x.update({cell: at - offsets[-1] / 2 for cell, at in zip(row, offsets, strict=True)} if row else {})
    for sweep in range(SWEEPS):
        for row in order if sweep % 2 == 0 else reversed(order):
            wishes = [
                sum(x[other] for other in near[cell]) / len(near[cell]) if near[cell] else x[cell] for cell in row
            ]
            x.update(zip(row, spread(wishes, _offsets(row, size), [_weight(cell) for cell in row]), strict=True))
    middle = (max(x.values()) + min(x.values())) / 2
    return {cell: at - middle for cell, at in x.items()}


def _weight(cell: Cell) -> float:
    """Weight of a cell's distance from its neighbours, larger for passing arrows: they should be straight."""
    return 1.0 if isinstance(cell, str) else 2.0


def _offsets(row: Sequence[Cell], size: Mapping[Cell, float]) -> list[float]:
    """Least possible distance of each cell from the first."""
    offsets = [0.0]
    for before, cell in pairwise(row):
        offsets.append(offsets[-1] + (size[before] + size[cell]) / 2)
    return offsets


def spread(wishes: Sequence[float], offsets: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Places nearest to the wishes that keep at least the distances of the offsets, in order.

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


# --- from top to bottom ----------------------------------------------------------------------------------------------

Vertical = tuple[float, float, float]
"""A part of an arrow that runs straight down: x, from y, to y. Curves join them."""
Ways = Mapping[Arrow, Sequence[float]]


@dataclass(frozen=True)
class Item:
    """Something that is placed; with gates: x from its middle where arrows of each value arrive (above) and leave."""

    width: float
    height: float
    above: Mapping[str, float] = field(default_factory=dict)
    below: Mapping[str, float] = field(default_factory=dict)

    @property
    def gated(self) -> bool:
        """Whether the item has gates."""
        return bool(self.above or self.below)


Items = Mapping[str, Item]
Ranks = Mapping[str, int]


@dataclass(frozen=True)
class Stack:
    """Items with their places.

    Attributes
    ----------
    x, top
        Middle and top of each item.
    wires
        Parts of each arrow, from above.
    ranks
        Top and bottom of each rank.
    right
        x of the last thing in each item's rank (its own, where nothing stands on its right).
    """

    width: float
    height: float
    x: Mapping[str, float]
    top: Mapping[str, float]
    wires: Mapping[Arrow, tuple[Vertical, ...]]
    ranks: Sequence[tuple[float, float]]
    right: Mapping[str, float]


def ranks_of(names: Iterable[str], links: Sequence[Arrow], least: Ranks | None = None) -> dict[str, int]:
    """Ranks by the longest path from above.

    >>> ranks_of("abc", [("a", "b", ""), ("b", "c", ""), ("a", "c", "")], {"a": 1})
    {'a': 1, 'b': 2, 'c': 3}
    """
    rank = {name: (least or {}).get(name, 0) for name in names}
    changed = True
    while changed:
        changed = False
        for start, end, _ in links:
            if rank[end] <= rank[start]:
                rank[end], changed = rank[start] + 1, True
    return rank


def stacked(items: Items, links: Sequence[Arrow], rank: Ranks, flipped: bool = False) -> Stack:
    """Place items and arrows; flipped: left and right exchanged."""
    rooms = {name: item.width + BESIDE for name, item in items.items()}
    layout, turn = layered(rank, links, rooms, PASSING), -1 if flipped else 1
    x = {name: turn * layout.x[name] for name in items}
    ways = _straightened(items, rank, x, {link: [turn * at for _, at in way] for link, way in layout.ways.items()})
    passing = [at for way in ways.values() for at in way]
    left = min([*(x[n] - item.width / 2 for n, item in items.items()), *(at - PASSING / 2 for at in passing)])
    right = max([*(x[n] + item.width / 2 for n, item in items.items()), *(at + PASSING / 2 for at in passing)])
    x = {name: at - left for name, at in x.items()}
    ways = {link: [at - left for at in way] for link, way in ways.items()}
    ends = _ends(items, links, x, ways)
    paths = {link: [ends[link][0], *ways[link], ends[link][1]] for link in links}
    ranks = _rank_spans(items, rank, paths)
    top = {name: _top(item, ranks[rank[name]], items, rank, name) for name, item in items.items()}
    wires: dict[Arrow, tuple[Vertical, ...]] = {}
    for link, path in paths.items():
        start, end = link[:2]
        parts = [(at, *ranks[rank[start] + number]) for number, at in enumerate(path)]
        parts[0] = (path[0], top[start] + items[start].height, ranks[rank[start]][1])
        parts[-1] = (path[-1], ranks[rank[end]][0], top[end])
        wires[link] = tuple(parts)
    return Stack(right - left, ranks[-1][1], x, top, wires, ranks, _last(rank, x, ways))


def _rank_spans(items: Items, rank: Ranks, paths: Ways) -> list[tuple[float, float]]:
    """Top and bottom of each rank; a gap whose arrows go far aside is higher."""
    count = max(rank.values()) + 1
    tall = [max((items[name].height for name in items if rank[name] == r), default=0.0) for r in range(count)]
    reach = [0.0] * count
    for link, path in paths.items():
        for number, (x, to_x) in enumerate(pairwise(path), rank[link[0]]):
            reach[number] = max(reach[number], abs(x - to_x))
    ranks, y = [], 0.0
    for high, far in zip(tall, reach, strict=True):
        ranks.append((y, y + high))
        y += high + min(WIDEST, GAP + 0.1 * far)
    return ranks


def _top(item: Item, own: tuple[float, float], items: Items, rank: Ranks, name: str) -> float:
    """Top of an item: items of a rank are level there; beside an item with gates, which is large, at the middle."""
    gated = any(items[other].gated for other in items if rank[other] == rank[name])
    return own[0] + (own[1] - own[0] - item.height) / 2 * gated


def _last(rank: Ranks, x: Mapping[str, float], ways: Ways) -> dict[str, float]:
    """x of the last thing in each item's rank; see `Stack.right`."""
    last = {r: max(x[name] for name in x if rank[name] == r) for r in set(rank.values())}
    for link, way in ways.items():
        for number, at in enumerate(way, rank[link[0]] + 1):
            last[number] = max(last.get(number, at), at)
    return {name: last[r] for name, r in rank.items()}


def _straightened(items: Items, rank: Ranks, x: Mapping[str, float], ways: Ways) -> dict[Arrow, list[float]]:
    """Ways made straight as far as the items beside them allow; the order stays."""
    new = {link: list(way) for link, way in ways.items()}
    for link, way in new.items():
        free, start = [_free(items, rank, x, new, link, number) for number in range(len(way))], 0
        while start < len(way):
            low, high = free[start]
            end = start + 1
            while end < len(way) and max(low, free[end][0]) <= min(high, free[end][1]):
                low, high = max(low, free[end][0]), min(high, free[end][1])
                end += 1
            middle = sum(way[start:end]) / (end - start)
            wish = x[link[1]] if end == len(way) else x[link[0]] if start == 0 else middle
            wish = wish if abs(wish - middle) < 3 * PASSING else middle
            way[start:end] = [min(max(wish, low), high)] * (end - start)
            start = end
    return new


def _free(
    items: Items, rank: Ranks, x: Mapping[str, float], ways: Ways, link: Arrow, number: int
) -> tuple[float, float]:
    """Least and largest x that an arrow may have where it passes its rank of that number."""
    here, at = rank[link[0]] + 1 + number, ways[link][number]
    taken = [(x[name], (item.width + BESIDE) / 2) for name, item in items.items() if rank[name] == here]
    taken += [
        (way[here - rank[other[0]] - 1], PASSING / 2)
        for other, way in ways.items()
        if other != link and rank[other[0]] < here < rank[other[1]]
    ]
    low = max((place + room for place, room in taken if place <= at), default=float("-inf"))
    high = min((place - room for place, room in taken if place > at), default=float("inf"))
    return low + PASSING / 2, high - PASSING / 2


def _ends(items: Items, links: Sequence[Arrow], x: Mapping[str, float], ways: Ways) -> dict[Arrow, tuple[float, float]]:
    """x where each arrow leaves and arrives. Arrows to one item: side by side, ordered by their places before."""
    ends = {}
    coming: dict[str, list[tuple[float, Arrow]]] = {}
    for link in links:
        start, end, value = link
        leaves = x[start] + items[start].below.get(value, 0.0)
        ends[link] = (leaves, x[end] + items[end].above.get(value, 0.0))
        if not items[end].above:
            coming.setdefault(end, []).append((ways[link][-1] if ways[link] else leaves, link))
    for end, arrivals in coming.items():
        step = min(PORTS, 0.7 * items[end].width / max(1, len(arrivals) - 1))
        for number, (_, link) in enumerate(sorted(arrivals)):
            ends[link] = (ends[link][0], x[end] + step * (number - (len(arrivals) - 1) / 2))
    return ends
