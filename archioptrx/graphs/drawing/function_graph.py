"""Drawings of function graphs from top to bottom: alone, with the steps of one walk, or with the course of a search.

The steps of a walk are numbered, and each kind of walk has its own stroke. A course shows a number of each function
over a search; see `archioptrx.graphs.drawing.course`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archioptrx.graphs.decisions import Trace
from archioptrx.graphs.drawing import course as courses
from archioptrx.graphs.drawing.course import Course
from archioptrx.graphs.drawing.layered_layout import Arrow, Layout, layered
from archioptrx.graphs.drawing.network import BACK, DOMAIN, FUNCTION, mark
from archioptrx.graphs.drawing.svg import (
    INK,
    NAME,
    PALE,
    SMALL,
    Outline,
    Picture,
    Point,
    Stroke,
    Text,
    Way,
    framed,
    label,
    moved,
    text_width,
)
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.nodes import FunctionNode

STROKES = {
    "first walk": ("#1f5fa8", 2.4, False),
    "reverse walk": ("#3f7f32", 1.8, True),
    "recurrence": ("#a03070", 2.4, False),
    "branch": ("#b86a00", 2.4, False),
}
"""Colour and breadth of the arrows of each kind of walk, and whether they are dashed."""
IDLE = "#b5b5b5"
"""Arrows that no walk takes."""
OVAL, BOX, GAP = 34.0, 26.0, 32.0
"""Heights of data nodes, of functions, and of the gaps between them."""
BESIDE, PASSING = 24.0, 16.0
"""Least distance of nodes of a rank; breadth of an arrow that passes."""
PORT, PORT_OF_OVAL, SPREAD = 14.0, 7.0, 0.65
"""Distance of arrows on one side of a function and of a data node; share of the side that all take up at most."""
Port = tuple[str, int, Arrow]
"""A node, its lower side (1) or upper one (-1), and the arrow that begins or ends there."""


@dataclass(frozen=True)
class Move:
    """Choice of a function: kind of the walk, function, data node before it (None: a reverse walk)."""

    kind: str
    function: str
    start: str | None


def moves_of(trace: Trace) -> list[Move]:
    """The functions that a walk chose, in order.

    >>> from archioptrx.graphs.decisions import Decision
    >>> first, then = Decision("function", "hits", "encode"), Decision("maker", "xs", "shortcut")
    >>> [move.kind for move in moves_of(Trace((first, Decision("walk", "1", "branch"), first, then)))]
    ['first walk', 'branch', 'reverse walk']
    """
    moves, walk = [], "first walk"
    for kind, place, chosen in trace.decisions:
        if kind == "walk":
            walk = chosen
        elif kind == "function":
            moves.append(Move(walk, chosen, place))
        elif kind == "maker":
            moves.append(Move("reverse walk", chosen, None))
    return moves


def draw_walk(graph: FunctionGraph, trace: Trace | None = None, title: str = "") -> Picture:
    """Draw a function graph with the steps of one walk; without a trace the graph alone.

    Inputs that no step of the walk comes from are those that reverse walks supply.
    """
    return _Drawing(graph, moves_of(trace) if trace else []).picture(title)


def draw_course(graph: FunctionGraph, course: Course, title: str = "") -> Picture:
    """Draw a function graph whose functions show a number over a search, and its last value as their colour."""
    return _Drawing(graph, course=course).picture(title)


class _Drawing:
    def __init__(self, graph: FunctionGraph, moves: Sequence[Move] = (), course: Course | None = None) -> None:
        self.graph, self.moves, self.course = graph, moves, course
        self.box = BOX if course is None else courses.HEIGHT
        self.tall = max(OVAL, self.box)  # an arrow that passes a rank is straight beside all of it
        self.step = (OVAL + self.box) / 2 + GAP
        self.ranks = ranks_of(graph)
        self.arrows: list[Arrow] = [
            (name, bracketed(f.name)) for f in graph.functions for name in dict.fromkeys(f.inputs)
        ]
        self.arrows += [(bracketed(f.name), f.output) for f in graph.functions]
        self.width = {node.name: self._oval(node.name) for node in graph.data}
        for function in graph.functions:
            self.width[bracketed(function.name)] = self._box(function.name)

    def picture(self, title: str) -> Picture:
        strokes, width, height = self.strokes()
        return framed(strokes, (width, height), title, self._legend())

    def strokes(self) -> tuple[list[Stroke], float, float]:
        """All strokes from (0, 0); their width and height."""
        rooms = {name: width + BESIDE for name, width in self.width.items()}
        layout = layered(self.ranks, self.arrows, rooms, PASSING)
        spans = [(layout.x[name], self.width[name] / 2) for name in self.width]
        spans += [(at, PASSING / 2) for way in layout.ways.values() for _, at in way]
        left, right = min(x - half for x, half in spans), max(x + half for x, half in spans)
        kinds, ports = self._kinds(), _ports(layout, self.width)
        strokes: list[Stroke] = []
        for arrow in sorted(layout.ways, key=lambda arrow: arrow in kinds):
            strokes.append(self._way(layout, arrow, ports, kinds.get(arrow)))
        for name in self.width:
            strokes += self._node(name, (layout.x[name], self.step * layout.rank[name]))
        return moved(strokes, -left, OVAL / 2), right - left, self.step * max(layout.rank.values()) + OVAL

    def _kinds(self) -> dict[Arrow, str]:
        """Kind of the walk that took an arrow first."""
        kinds: dict[Arrow, str] = {}
        for move in self.moves:
            function, key = self.graph.function[move.function], bracketed(move.function)
            if move.start is not None:
                kinds.setdefault((move.start, key), move.kind)
            kinds.setdefault((key, function.output), move.kind)
        for move in self.moves:
            for name in self.graph.function[move.function].inputs:
                kinds.setdefault((name, bracketed(move.function)), "reverse walk")
        return kinds

    def _oval(self, name: str) -> float:
        """Width of a data node, for its texts and the arrows of each side."""
        sides = Counter(
            _down(self.ranks, arrow) * (1 if arrow[0] == name else -1) for arrow in self.arrows if name in arrow
        )
        ports = PORT_OF_OVAL / SPREAD * (max(sides.values(), default=1) - 1)
        return max(text_width(name, NAME, True) + 20, text_width(self._below(name), SMALL) + 34, ports)

    def _box(self, function: str) -> float:
        if self.course is not None:
            return courses.box_width(function)
        turns = sum(move.function == function for move in self.moves)
        return text_width(function, NAME) + 16 + 18 * turns

    def _below(self, name: str) -> str:
        """Text below the name of a data node."""
        field = self.graph.node[name].field
        return str(self.graph.width[name]) if field is None else f"source: {field}"

    def _way(self, layout: Layout, arrow: Arrow, ports: Mapping[Port, float], kind: str | None) -> Way:
        """Curve from side to side, straight beside nodes that it passes."""
        start, end = arrow[:2]
        down = _down(layout.rank, arrow)
        places = [self._side(layout, start, down, ports[start, down, arrow])]
        for rank, x in _straight(layout.ways[arrow]):
            places += [(x, self.step * rank - down * self.tall / 2), (x, self.step * rank + down * self.tall / 2)]
        places.append(self._side(layout, end, -down, ports[end, -down, arrow]))
        parts: list[tuple[Point, ...]] = [(places[0],)]
        for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(places)):
            bend = (to_y - y) * 0.5
            parts.append(((to_x, to_y),) if number % 2 else ((x, y + bend), (to_x, to_y - bend), (to_x, to_y)))
        if kind is None:
            return Way(tuple(parts), IDLE if self.moves else INK if down > 0 else BACK)
        colour, thick, dashed = STROKES[kind]
        return Way(tuple(parts), colour, thick, dashed)

    def _side(self, layout: Layout, name: str, side: int, x: float) -> Point:
        """Point on the lower (1) or upper (-1) side of a node, at x; an oval's side is an arc."""
        half, middle = self.box / 2, self.step * layout.rank[name]
        if not is_function(name):
            half = OVAL / 2 * math.sqrt(1 - (2 * (x - layout.x[name]) / self.width[name]) ** 2)
        return x, middle + side * half

    def _node(self, name: str, at: Point) -> list[Stroke]:
        if not is_function(name):
            kind, target = self.graph.node[name], name in self.graph.targets
            thick = 2.2 if target else 1.0
            return [
                Outline(at, self.width[name], OVAL, DOMAIN[kind.domain], thick=thick, note=kind.domain),
                Text((at[0], at[1] - 5), name, NAME, bold=True),
                Text((at[0], at[1] + 7), self._below(name), SMALL, fill=PALE),
            ]
        function = name[1:-1]
        if self.course is not None:
            return courses.box(self.course, function, at, self.width[name])
        turns = [(number, move.kind) for number, move in enumerate(self.moves, 1) if move.function == function]
        idle = bool(self.moves) and not turns
        strokes: list[Stroke] = [Outline(at, self.width[name], BOX, "#f6f1ea" if idle else FUNCTION, radius=3.0)]
        strokes.append(Text((at[0] - 9 * len(turns), at[1]), function, NAME, fill=PALE if idle else INK))
        right = at[0] + self.width[name] / 2
        for place, (number, kind_of) in enumerate(reversed(turns)):
            strokes += mark((right - 12 - 18 * place, at[1]), str(number), STROKES[kind_of][0])
        return strokes

    def _legend(self) -> list[list[Stroke]]:
        groups: list[list[Stroke]] = [
            [Outline((9, 0), 18, 10, DOMAIN[domain]), label(23, f"{domain} data")]
            for domain in dict.fromkeys(node.domain for node in self.graph.data)
        ]
        groups.append([Outline((9, 0), 18, 10, thick=2.2), label(23, "target")])
        if self.course is None:
            groups.append([Outline((9, 0), 18, 10, FUNCTION, radius=3.0), label(23, "function")])
        kinds = dict.fromkeys([*(move.kind for move in self.moves), *["reverse walk"] * bool(self.moves)])
        for kind in kinds:
            colour, thick, dashed = STROKES[kind]
            groups.append([Way((((0, 0),), ((24, 0),)), colour, thick, dashed), label(28, kind)])
        if not kinds and any(_down(self.ranks, arrow) < 0 for arrow in self.arrows):
            groups.append([Way((((0, 0),), ((24, 0),)), BACK), label(28, "back, to data that can be made earlier")])
        return groups + ([] if self.course is None else courses.legend(self.course))


def ranks_of(graph: FunctionGraph) -> dict[str, int]:
    """Rank of each data node (even numbers) and each function (odd); functions' names in brackets.

    A function graph has cycles. Data nodes are ordered by how early they can be made, targets last; a function leads
    forward if all of its inputs come before its output. Ranks follow the longest forward path; a function that leads
    back stands between its inputs and its output.
    """
    early = earliest(graph)
    order = sorted(early, key=lambda name: (name in graph.targets, early[name]))
    place = {name: number for number, name in enumerate(order)}
    level = dict.fromkeys(order, 0)
    forward = [f for f in graph.functions if all(place[i] < place[f.output] for i in f.inputs)]
    for name in order:
        inputs = [max(level[i] for i in f.inputs) for f in forward if f.output == name]
        level[name] = 2 + max(inputs, default=-2)
    level.update(dict.fromkeys(graph.targets, max(level.values())))
    return level | {bracketed(f.name): _between(f, level) for f in graph.functions}


def bracketed(function: str) -> str:
    """Name of a function as a node of the drawing: a data node may have the same name."""
    return f"({function})"


def is_function(node: str) -> bool:
    """Whether a node of the drawing is a function."""
    return node.startswith("(")


def earliest(graph: FunctionGraph) -> dict[str, int]:
    """Least number of functions in a row before each data node exists."""
    known = dict.fromkeys(graph.sources, 0)
    while True:
        new = {
            f.output: 1 + max(known[i] for i in f.inputs)
            for f in reversed(graph.functions)
            if f.output not in known and all(i in known for i in f.inputs)
        }
        if not new:
            return {node.name: known.get(node.name, len(graph.data)) for node in graph.data}
        known |= new


def _between(function: FunctionNode, level: Mapping[str, int]) -> int:
    reads, gives = max(level[name] for name in function.inputs), level[function.output]
    return reads - 1 if gives < reads else reads + 1


def _down(rank: Mapping[str, int], arrow: Arrow) -> int:
    """Direction of an arrow: 1 to a lower rank, -1 to a higher one."""
    return 1 if rank[arrow[1]] > rank[arrow[0]] else -1


def _straight(way: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Places where an arrow passes ranks, on one line where they differ by at most half of its room's width."""
    places = [x for _, x in way]
    if not places or max(places) - min(places) > PASSING / 2:
        return list(way)
    return [(rank, (max(places) + min(places)) / 2) for rank, _ in way]


def _ports(layout: Layout, widths: Mapping[str, float]) -> dict[Port, float]:
    """x of the place where each arrow begins or ends at a side of a node, side by side."""
    sides: dict[tuple[str, int], list[tuple[float, Arrow]]] = {}
    for arrow, way in layout.ways.items():
        down, (start, end) = _down(layout.rank, arrow), arrow[:2]
        sides.setdefault((start, down), []).append((way[0][1] if way else layout.x[end], arrow))
        sides.setdefault((end, -down), []).append((way[-1][1] if way else layout.x[start], arrow))
    ports = {}
    for (name, side), ends in sides.items():
        step = min(PORT if is_function(name) else PORT_OF_OVAL, SPREAD * widths[name] / max(1, len(ends) - 1))
        for number, (_, arrow) in enumerate(sorted(ends)):
            ports[name, side, arrow] = layout.x[name] + step * (number - (len(ends) - 1) / 2)
    return ports
