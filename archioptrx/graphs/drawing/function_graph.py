"""Drawings of function graphs from top to bottom, with the steps of one walk: numbered, a stroke for each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archioptrx.graphs.decisions import Trace
from archioptrx.graphs.drawing.function_columns import bracketed, columns_of, is_function
from archioptrx.graphs.drawing.layered_layout import Layout, layered
from archioptrx.graphs.drawing.network import DOMAIN, FUNCTION, SMALL, label, mark, rows_of
from archioptrx.graphs.drawing.svg import (
    INK,
    PALE,
    Outline,
    Picture,
    Point,
    Stroke,
    Text,
    Way,
    moved,
    ordered,
    text_width,
    wrapped,
)
from archioptrx.graphs.function_graph import FunctionGraph

STROKES = {
    "first walk": ("#1f5fa8", 2.4, False),
    "reverse walk": ("#3f7f32", 1.8, True),
    "recurrence": ("#a03070", 2.4, False),
    "branch": ("#b86a00", 2.4, False),
}
"""Colour and breadth of the arrows of each kind of walk, and whether they are dashed."""
IDLE = "#b5b5b5"
"""Arrows that no walk takes."""
RANK, OVAL, BOX, BESIDE, PASSING, PORT = 62.0, 34.0, 26.0, 24.0, 16.0, 14.0
MARGIN, NAME = 16.0, 11.0


@dataclass(frozen=True)
class Move:
    """One choice of a function: by which kind of walk, from which data node (None: by a reverse walk)."""

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
    """A function graph with the steps of one walk; without a trace the graph alone.

    Inputs that no step of the walk comes from are what reverse walks supply.
    """
    moves = moves_of(trace) if trace else []
    strokes, width, height = _Drawing(graph, moves).strokes()
    groups = _legend(graph, [move.kind for move in moves])
    return framed(strokes, width, height, title, groups)


def framed(
    strokes: Sequence[Stroke], width: float, height: float, title: str, groups: Sequence[list[Stroke]]
) -> Picture:
    """Strokes with a title above and a legend below."""
    inner = max([width, *(text_width(word, NAME, True) for word in title.split())])
    lines = wrapped(title, NAME, inner, True)
    top = MARGIN + 14 * len(lines) + 8 * bool(lines)
    laid, tall = rows_of(groups, inner)
    every = moved(strokes, MARGIN + (inner - width) / 2, top)
    every += [Text((MARGIN, MARGIN + 5 + 14 * i), text, NAME, "start", True) for i, text in enumerate(lines)]
    every += moved(laid, MARGIN, top + height + MARGIN)
    return Picture(inner + 2 * MARGIN, top + height + tall + 2 * MARGIN + 8, ordered(every), title)


class _Drawing:
    def __init__(self, graph: FunctionGraph, moves: Sequence[Move]) -> None:
        self.graph, self.moves = graph, moves
        self.arrows = [(name, bracketed(f.name)) for f in graph.functions for name in dict.fromkeys(f.inputs)]
        self.arrows += [(bracketed(f.name), f.output) for f in graph.functions]
        self.width = {node.name: self._oval(node.name) for node in graph.data}
        for function in graph.functions:
            turns = sum(move.function == function.name for move in moves)
            self.width[bracketed(function.name)] = text_width(function.name, NAME) + 16 + 18 * turns

    def strokes(self) -> tuple[list[Stroke], float, float]:
        """All strokes from (0, 0); width and height of what they take up."""
        rooms = {name: width + BESIDE for name, width in self.width.items()}
        layout = layered(columns_of(self.graph), self.arrows, rooms, PASSING)
        spans = [(layout.height[name], self.width[name] / 2) for name in self.width]
        spans += [(at, PASSING / 2) for way in layout.ways.values() for _, at in way]
        left, right = min(x - half for x, half in spans), max(x + half for x, half in spans)
        kinds, ports = self._kinds(), _ports(layout, self.width)
        made: list[Stroke] = []
        for arrow in sorted(layout.ways, key=lambda arrow: (arrow[0], arrow[1]) in kinds):
            made.append(self._way(layout, arrow, ports, kinds.get((arrow[0], arrow[1]))))
        for name in self.width:
            made += self._node(name, (layout.height[name], RANK * layout.column[name]))
        return moved(made, -left, OVAL / 2), right - left, RANK * max(layout.column.values()) + OVAL

    def _kinds(self) -> dict[tuple[str, str], str]:
        """Which walk took an arrow first."""
        kinds: dict[tuple[str, str], str] = {}
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
        return max(text_width(name, NAME, True) + 20, text_width(self._below(name), SMALL) + 34)

    def _below(self, name: str) -> str:
        """What stands below the name of a data node."""
        field = self.graph.node[name].field
        return str(self.graph.width[name]) if field is None else f"source: {field}"

    def _way(
        self,
        layout: Layout,
        arrow: tuple[str, ...],
        ports: Mapping[tuple[str, int, tuple[str, ...]], float],
        kind: str | None,
    ) -> Way:
        """From side to side, straight beside what it passes."""
        start, end = arrow[:2]
        down = _down(layout, arrow)
        places = [(ports[start, down, arrow], RANK * layout.column[start] + down * self._half(start))]
        for column, x in _straight(layout.ways[arrow]):
            places += [(x, RANK * column - down * OVAL / 2), (x, RANK * column + down * OVAL / 2)]
        places.append((ports[end, -down, arrow], RANK * layout.column[end] - down * self._half(end)))
        parts: list[tuple[Point, ...]] = [(places[0],)]
        for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(places)):
            bend = (to_y - y) * 0.5
            parts.append(((to_x, to_y),) if number % 2 else ((x, y + bend), (to_x, to_y - bend), (to_x, to_y)))
        if kind is None:
            return Way(tuple(parts), IDLE if self.moves else INK)
        colour, thick, dashed = STROKES[kind]
        return Way(tuple(parts), colour, thick, dashed)

    def _half(self, name: str) -> float:
        return (BOX if is_function(name) else OVAL) / 2

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
        turns = [(number, move.kind) for number, move in enumerate(self.moves, 1) if move.function == function]
        idle = bool(self.moves) and not turns
        made: list[Stroke] = [Outline(at, self.width[name], BOX, "#f6f1ea" if idle else FUNCTION, radius=3.0)]
        made.append(Text((at[0] - 9 * len(turns), at[1]), function, NAME, fill=PALE if idle else INK))
        right = at[0] + self.width[name] / 2
        for place, (number, kind_of) in enumerate(reversed(turns)):
            made += mark((right - 12 - 18 * place, at[1]), str(number), STROKES[kind_of][0])
        return made


def _down(layout: Layout, arrow: Sequence[str]) -> int:
    """1: to a lower rank, -1: to a higher one."""
    return 1 if layout.column[arrow[1]] > layout.column[arrow[0]] else -1


def _straight(way: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Where an arrow passes ranks: straight on where it would hardly bend. (It has more room than that.)"""
    places = [x for _, x in way]
    if not places or max(places) - min(places) > PASSING / 2:
        return list(way)
    return [(column, (max(places) + min(places)) / 2) for column, _ in way]


def _ports(layout: Layout, widths: Mapping[str, float]) -> dict[tuple[str, int, tuple[str, ...]], float]:
    """Where on the lower (1) or upper (-1) side of a node each arrow begins or ends, side by side."""
    sides: dict[tuple[str, int], list[tuple[float, tuple[str, ...]]]] = {}
    for arrow, way in layout.ways.items():
        down, (start, end) = _down(layout, arrow), arrow[:2]
        sides.setdefault((start, down), []).append((way[0][1] if way else layout.height[end], arrow))
        sides.setdefault((end, -down), []).append((way[-1][1] if way else layout.height[start], arrow))
    ports = {}
    for (name, side), ends in sides.items():
        room = 0.7 * widths[name] if is_function(name) else 0.0
        step = min(PORT, room / max(1, len(ends) - 1))
        for number, (_, arrow) in enumerate(sorted(ends)):
            ports[name, side, arrow] = layout.height[name] + step * (number - (len(ends) - 1) / 2)
    return ports


def _legend(graph: FunctionGraph, kinds: Iterable[str]) -> list[list[Stroke]]:
    groups: list[list[Stroke]] = [
        [Outline((9, 0), 18, 10, DOMAIN[domain]), label(23, f"{domain} data")]
        for domain in dict.fromkeys(node.domain for node in graph.data)
    ]
    groups.append([Outline((9, 0), 18, 10, thick=2.2), label(23, "target")])
    groups.append([Outline((9, 0), 18, 10, FUNCTION, radius=3.0), label(23, "function")])
    taken = [*dict.fromkeys(kinds), *["reverse walk"] * bool(kinds)]
    for kind in dict.fromkeys(taken):
        colour, thick, dashed = STROKES[kind]
        groups.append([Way((((0, 0),), ((24, 0),)), colour, thick, dashed), label(28, kind)])
    return groups
