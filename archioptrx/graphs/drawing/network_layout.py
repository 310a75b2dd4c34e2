"""Places for the steps and values of a computation graph, from top to bottom: numbers, no drawing.

A step and the value that it makes are one *unit*: box, arrow, oval, one below the other. A loop is laid out by itself
and is one item of the whole, so that its frame holds nothing else; values that it reads enter through *gates* in the
frame's upper side, values that others read of it leave through gates in the lower one. Items come in ranks by their
longest path (see `layered_layout`); between two ranks is a gap that belongs to arrows alone. Back edges run up a lane
of their own on the right of their loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.drawing.layered_layout import PASSING, Item, Stack, Vertical, ranks_of, stacked
from archioptrx.graphs.drawing.svg import Point
from archioptrx.graphs.steps import Loop

STEM, LANE, EDGE = 21.0, 10.0, 14.0
"""Length of the arrow inside a unit; distances of the lanes of back edges, and of a frame from its content."""


@dataclass(frozen=True)
class Size:
    """Sizes of a unit's parts; a part of height 0 isn't there.

    Attributes
    ----------
    width
        Width of the whole, with the text beside the stem.
    box, stem, oval
        Heights, from the top down.
    oval_width
        Width of the oval.
    """

    width: float
    box: float = 0.0
    stem: float = 0.0
    oval: float = 0.0
    oval_width: float = 0.0

    @property
    def height(self) -> float:
        """Height of the whole unit."""
        return self.box + self.stem + self.oval


@dataclass(frozen=True)
class Unit:
    """Unit with its place: x of its middle, y of its top."""

    size: Size
    x: float
    top: float

    @property
    def oval(self) -> Point:
        """Middle of the oval."""
        return self.x, self.top + self.size.height - self.size.oval / 2


@dataclass(frozen=True)
class Frame:
    """A loop's frame: left, top, width, height; and the right end of its lanes."""

    loop: int
    left: float
    top: float
    width: float
    height: float
    lanes: float


@dataclass(frozen=True)
class Wire:
    """An arrow: the value that it carries, its straight parts from above; `head`: its end is a step or a value."""

    value: int
    parts: tuple[Vertical, ...]
    head: bool


@dataclass(frozen=True)
class Placed:
    """A level, or the whole: everything with its place.

    Attributes
    ----------
    units
        Units by key: `v3` makes value 3 (or is it, for a source or a head), `s2` is the box of step 2 alone.
    backs
        Corners of the way of each back edge.
    """

    width: float
    height: float
    units: Mapping[str, Unit]
    wires: Sequence[Wire] = ()
    backs: Sequence[tuple[Point, ...]] = ()
    frames: Sequence[Frame] = ()
    gates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def place(graph: ComputationGraph, size: Callable[[str], Size], margin: Callable[[Loop], float]) -> Placed:
    """Lay out a graph.

    Parameters
    ----------
    size
        Function that gives the size of a unit by its key (see `Placed.units`).
    margin
        Room for the texts of a loop, on the right of its lanes.
    """
    levels = _Levels(graph)
    numbers, margins = range(len(graph.loops)), [margin(loop) for loop in graph.loops]
    inner = [_loop(levels, number, size, margins[number], False) for number in numbers]
    turned = [_loop(levels, number, size, margins[number], True) for number in numbers]
    best = min((_whole(levels, inner, size, flipped) for flipped in (False, True)), key=_unrest)
    for number in numbers:
        tried = [*inner[:number], turned[number], *inner[number + 1 :]]
        other = min((_whole(levels, tried, size, flipped) for flipped in (False, True)), key=_unrest)
        if _unrest(other) < _unrest(best):
            inner, best = tried, other
    return best


def _unrest(placed: Placed) -> tuple[int, float]:
    """Number of crossings of arrows, and the sum of their distances aside."""
    curves = [
        (upper[2], lower[1], upper[0], lower[0], number)
        for number, wire in enumerate(placed.wires)
        for upper, lower in pairwise(wire.parts)
    ]
    crossed = 0
    for number, (top, bottom, x, to_x, wire) in enumerate(curves):
        for high, low, at, to_at, other in curves[number + 1 :]:
            crossed += wire != other and top < low and high < bottom and (x - at) * (to_x - to_at) < -1e-6
    return crossed, round(sum(abs(x - to_x) for _, _, x, to_x, _ in curves), 3)


def keys(graph: ComputationGraph) -> list[str]:
    """Keys of all units."""
    return sorted(set(_Levels(graph).home), key=lambda key: (key[0], int(key[1:])))


class _Levels:
    """Units by loop, and the values that they read.

    Attributes
    ----------
    home
        Loop of each unit; None: it is in no loop.
    maker
        Unit that holds the box of each step; unit that holds the oval of each value is `v` and its number.
    """

    def __init__(self, graph: ComputationGraph) -> None:
        self.graph, count = graph, len(graph.sources)
        self.home: dict[str, int | None] = {f"v{value}": None for value in range(count + len(graph.steps))}
        self.maker = [f"v{count + index}" for index in range(len(graph.steps))]
        for number, loop in enumerate(graph.loops):
            inner = {count + index for index in (*loop.forward, *loop.back)}
            heads = {head for head, _ in loop.heads}
            self.home |= {f"v{value}": number for value in inner | heads}
            for head in sorted(heads - inner):
                self.maker[head - count] = f"s{head - count}"
                self.home[f"s{head - count}"] = None
        self.reads = [
            (f"v{value}", self.maker[index], value)
            for index, step in enumerate(graph.steps)
            for value in dict.fromkeys(step.inputs)
        ]
        self.reads += [(m, f"v{count + i}", count + i) for i, m in enumerate(self.maker) if m[0] == "s"]

    def item(self, unit: str) -> str:
        """Item of the whole that a unit is, or that holds it."""
        loop = self.home[unit]
        return unit if loop is None else f"loop{loop}"


def _loop(levels: _Levels, number: int, size: Callable[[str], Size], margin: float, flipped: bool) -> Placed:
    """A loop by itself, with its frame; flipped: left and right exchanged, but for the lanes."""
    graph, home = levels.graph, levels.home
    own = [unit for unit, loop in home.items() if loop == number]
    sizes = {unit: size(unit) for unit in own}
    inside = [(a, b, str(v)) for a, b, v in levels.reads if home[a] == home[b] == number]
    enter = [(f"in{v}", b, str(v)) for a, b, v in levels.reads if home[b] == number != home[a]]
    leave = dict.fromkeys((a, f"out{v}", str(v)) for a, b, v in levels.reads if home[a] == number != home[b])
    gates = [*dict.fromkeys(a for a, _, _ in enter), *(b for _, b, _ in leave)]
    items = {unit: Item(sized.width, sized.height) for unit, sized in sizes.items()}
    items |= {gate: Item(PASSING, 0.0) for gate in gates}
    links = [*enter, *inside, *leave]
    rank = ranks_of(items, links, dict.fromkeys(own, 1 if enter else 0))
    last = 1 + max(rank[unit] for unit in own)
    rank |= {gate: last for gate in gates if gate.startswith("out")}
    stack = stacked(items, links, rank, flipped)
    units = {unit: Unit(sized, stack.x[unit], stack.top[unit]) for unit, sized in sizes.items()}
    loop = graph.loops[number]
    backs, right = _lanes(stack, units, rank, [(f"v{c}", f"v{h}") for h, c in loop.heads])
    wires = [Wire(int(v), stack.wires[a, b, v], b in sizes and sizes[b].box > 0) for a, b, v in links]
    bottom = max([stack.height, *(y for way in backs for _, y in way)])
    left, above, below = EDGE, 0.0 if enter else EDGE, 0.0 if leave else EDGE
    if leave:
        bottom = stack.height
    width, height = left + right + margin + EDGE, above + bottom + below
    frame = Frame(number, 0.0, 0.0, width, height, left + right)
    gate_positions = {
        kind: {gate.removeprefix(kind): left + stack.x[gate] - width / 2 for gate in gates if gate.startswith(kind)}
        for kind in ("in", "out")
    }
    placed = Placed(width, height, units, wires, backs, (), gate_positions)
    return replace(_shifted(placed, left, above), frames=(frame,), gates=gate_positions)


def _lanes(
    stack: Stack, units: Mapping[str, Unit], rank: Mapping[str, int], pairs: Sequence[tuple[str, str]]
) -> tuple[list[tuple[Point, ...]], float]:
    """Ways of back edges: out of the carried oval, up (or down) a lane, into the head's; x of the last lane."""
    ways, lane = [], stack.width
    down = [0.0] * len(stack.ranks)
    for carried, head in sorted(pairs, key=lambda pair: (abs(rank[pair[0]] - rank[pair[1]]), pair)):
        lane += LANE
        corners: list[list[Point]] = []
        for unit, aside, up in ((carried, 8.0, 4.0), (head, 13.0, -4.0)):
            (x, y), sized = units[unit].oval, units[unit].size
            if stack.right[unit] <= x:
                slant = sized.oval_width / 2 * (1 - (2 * up / sized.oval) ** 2) ** 0.5
                corners.append([(x + slant, y + up), (lane, y + up)])
            else:
                down[rank[unit]] += 5.0
                under = stack.ranks[rank[unit]][1] + down[rank[unit]]
                depth = sized.oval / 2 * (1 - (2 * aside / sized.oval_width) ** 2) ** 0.5
                corners.append([(x + aside, y + depth), (x + aside, under), (lane, under)])
        ways.append((*corners[0], *reversed(corners[1])))
    return ways, lane


def _whole(levels: _Levels, inner: Sequence[Placed], size: Callable[[str], Size], flipped: bool) -> Placed:
    outer = {unit: size(unit) for unit, home in levels.home.items() if home is None}
    items = {unit: Item(sized.width, sized.height) for unit, sized in outer.items()}
    for number, loop in enumerate(inner):
        items[f"loop{number}"] = Item(loop.width, loop.height, loop.gates["in"], loop.gates["out"])
    crossing = [(levels.item(a), levels.item(b), str(v)) for a, b, v in levels.reads]
    links = list(dict.fromkeys(link for link in crossing if link[0] != link[1]))
    stack = stacked(items, links, ranks_of(items, links), flipped)
    units = {unit: Unit(sized, stack.x[unit], stack.top[unit]) for unit, sized in outer.items()}
    wires = [Wire(int(v), stack.wires[a, b, v], not b.startswith("loop")) for a, b, v in links]
    placed = Placed(stack.width, stack.height, units, wires)
    for number, loop in enumerate(inner):
        name = f"loop{number}"
        moved = _shifted(loop, stack.x[name] - loop.width / 2, stack.top[name])
        placed = replace(
            placed,
            units={**placed.units, **moved.units},
            wires=[*placed.wires, *moved.wires],
            backs=[*placed.backs, *moved.backs],
            frames=[*placed.frames, *moved.frames],
        )
    return placed


def _shifted(placed: Placed, right: float, down: float) -> Placed:
    return replace(
        placed,
        units={key: replace(u, x=u.x + right, top=u.top + down) for key, u in placed.units.items()},
        wires=[replace(w, parts=tuple((x + right, a + down, b + down) for x, a, b in w.parts)) for w in placed.wires],
        backs=[tuple((x + right, y + down) for x, y in way) for way in placed.backs],
        frames=[replace(f, left=f.left + right, top=f.top + down, lanes=f.lanes + right) for f in placed.frames],
    )
