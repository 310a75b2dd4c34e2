"""Items in ranks from top to bottom, and the arrows between them: numbers, no drawing.

`archioptrx.graphs.drawing.layered_layout` orders the items of each rank and finds places where arrows pass. Here ranks
get their heights, with gaps between them that belong to arrows alone: an arrow runs straight down beside items and
bends in gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from archioptrx.graphs.drawing.layered_layout import layered

BESIDE, PASSING = 22.0, 14.0
"""Least distance of two items of a rank; breadth of an arrow that passes."""
PORTS, GAP, WIDEST = 16.0, 21.0, 60.0
"""Distance of arrows that come to one item; height of a gap whose arrows go straight down, and at most."""
Link = tuple[str, ...]
"""Item that an arrow leaves, item that it comes to, value that it carries."""
Vertical = tuple[float, float, float]
"""A part of an arrow that runs straight down: x, from y, to y. Curves join them."""
Ways = Mapping[Link, Sequence[float]]


@dataclass(frozen=True)
class Item:
    """What is placed; of one with gates, where arrows of each value come and go, from its middle."""

    width: float
    height: float
    above: Mapping[str, float] = field(default_factory=dict)
    below: Mapping[str, float] = field(default_factory=dict)

    @property
    def gated(self) -> bool:
        """Whether it has gates."""
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
        Of each item: x of the last thing in its rank (its own, where nothing stands on its right).
    """

    width: float
    height: float
    x: Mapping[str, float]
    top: Mapping[str, float]
    wires: Mapping[Link, tuple[Vertical, ...]]
    ranks: Sequence[tuple[float, float]]
    right: Mapping[str, float]


def ranks_of(names: Iterable[str], links: Sequence[Link], least: Ranks | None = None) -> dict[str, int]:
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


def stacked(items: Items, links: Sequence[Link], rank: Ranks, flipped: bool = False) -> Stack:
    """Place items and arrows; flipped: left and right exchanged."""
    rooms = {name: item.width + BESIDE for name, item in items.items()}
    layout, turn = layered(rank, links, rooms, PASSING), -1 if flipped else 1
    x = {name: turn * layout.height[name] for name in items}
    ways = _straightened(items, rank, x, {link: [turn * at for _, at in way] for link, way in layout.ways.items()})
    passing = [at for way in ways.values() for at in way]
    left = min([*(x[n] - item.width / 2 for n, item in items.items()), *(at - PASSING / 2 for at in passing)])
    right = max([*(x[n] + item.width / 2 for n, item in items.items()), *(at + PASSING / 2 for at in passing)])
    x = {name: at - left for name, at in x.items()}
    ways = {link: [at - left for at in way] for link, way in ways.items()}
    ends = _ports(items, links, x, ways)
    paths = {link: [ends[link][0], *ways[link], ends[link][1]] for link in links}
    ranks = _heights(items, rank, paths)
    top = {name: _top(item, ranks[rank[name]], items, rank, name) for name, item in items.items()}
    wires: dict[Link, tuple[Vertical, ...]] = {}
    for link, path in paths.items():
        start, end = link[:2]
        parts = [(at, *ranks[rank[start] + number]) for number, at in enumerate(path)]
        parts[0] = (path[0], top[start] + items[start].height, ranks[rank[start]][1])
        parts[-1] = (path[-1], ranks[rank[end]][0], top[end])
        wires[link] = tuple(parts)
    return Stack(right - left, ranks[-1][1], x, top, wires, ranks, _last(rank, x, ways))


def _heights(items: Items, rank: Ranks, paths: Ways) -> list[tuple[float, float]]:
    """Top and bottom of each rank; a gap whose arrows go far aside is higher."""
    count = max(rank.values()) + 1
    tall = [max((items[name].height for name in items if rank[name] == r), default=0.0) for r in range(count)]
    reach = [0.0] * count
    for link, path in paths.items():
        for number, (one, other) in enumerate(pairwise(path), rank[link[0]]):
            reach[number] = max(reach[number], abs(one - other))
    ranks, y = [], 0.0
    for high, far in zip(tall, reach, strict=True):
        ranks.append((y, y + high))
        y += high + min(WIDEST, GAP + 0.1 * far)
    return ranks


def _top(item: Item, own: tuple[float, float], items: Items, rank: Ranks, name: str) -> float:
    """Items of a rank are level at the top; beside one with gates, which is large, at the middle."""
    gated = any(items[other].gated for other in items if rank[other] == rank[name])
    return own[0] + (own[1] - own[0] - item.height) / 2 * gated


def _last(rank: Ranks, x: Mapping[str, float], ways: Ways) -> dict[str, float]:
    """See `Stack.right`."""
    last = {r: max(x[name] for name in x if rank[name] == r) for r in set(rank.values())}
    for link, way in ways.items():
        for number, at in enumerate(way, rank[link[0]] + 1):
            last[number] = max(last.get(number, at), at)
    return {name: last[r] for name, r in rank.items()}


def _straightened(items: Items, rank: Ranks, x: Mapping[str, float], ways: Ways) -> dict[Link, list[float]]:
    """Ways that go straight down as far as what stands beside them lets them; nothing changes places."""
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
    items: Items, rank: Ranks, x: Mapping[str, float], ways: Ways, link: Link, number: int
) -> tuple[float, float]:
    """How far an arrow may go aside where it passes its rank of that number."""
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


def _ports(items: Items, links: Sequence[Link], x: Mapping[str, float], ways: Ways) -> dict[Link, tuple[float, float]]:
    """Where each arrow leaves and arrives: several that come to one item, side by side in the order of where from."""
    ends = {}
    coming: dict[str, list[tuple[float, Link]]] = {}
    for link in links:
        start, end, value = link
        leaves = x[start] + items[start].below.get(value, 0.0)
        ends[link] = (leaves, x[end] + items[end].above.get(value, 0.0))
        if not items[end].above:
            coming.setdefault(end, []).append((ways[link][-1] if ways[link] else leaves, link))
    for end, found in coming.items():
        step = min(PORTS, 0.7 * items[end].width / max(1, len(found) - 1))
        for number, (_, link) in enumerate(sorted(found)):
            ends[link] = (ends[link][0], x[end] + step * (number - (len(found) - 1) / 2))
    return ends
