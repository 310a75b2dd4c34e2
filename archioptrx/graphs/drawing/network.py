"""Drawings of computation graphs: values as ovals, steps as boxes, widths on arrows, loops in frames.

They need neither torch nor (for SVG) matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.drawing.network_layout import STEM, Frame, Placed, Size, Unit, Wire, place
from archioptrx.graphs.drawing.svg import (
    NAME,
    PALE,
    SMALL,
    Outline,
    Picture,
    Stroke,
    Text,
    Way,
    framed,
    label,
    rounded,
    text_width,
)
from archioptrx.graphs.literals import value_text
from archioptrx.graphs.signatures import Hyperparameter, Width
from archioptrx.graphs.steps import Loop

DOMAIN = {"node": "#cfe3f5", "edge": "#d3ecc8", "triplet": "#f3d4e8", "graph": "#fbe9a9", "pooled": "#dcd3f2"}
FUNCTION, BACK, LOOP = "#fdddb8", "#a03070", "#fbf2f7"
"""Colours: data by their domain; functions; back edges; the ground of a loop."""
MARKS = ("#4e79a7", "#e15759", "#59a14f", "#b07aa1", "#9c755f", "#76b7b2")
"""Colours of the marks of weights that several steps share."""
OVAL, LINE = 25.0, 10.0


def svg_of(
    graph: ComputationGraph,
    widths: Mapping[str, int] | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    title: str = "",
    legend: bool = True,
) -> str:
    """Drawing of a computation graph as one `<svg>` element that may stand in an HTML page; see `picture_of`.

    It has a light ground of its own, so it is legible on a dark page as it is; and the class `archioptrx-drawing`.
    """
    return picture_of(graph, widths, hyperparameters, title, legend).svg()


def draw_architecture(
    graph: ComputationGraph,
    folder: Path,
    name: str,
    widths: Mapping[str, int] | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    title: str = "",
) -> list[Path]:
    """Draw a computation graph to `name.svg` and `name.png`; the paths of the two.

    Raises
    ------
    InputError
        The folder is a file, or can't be written.
    """
    return picture_of(graph, widths, hyperparameters, title).save(folder, name)


def picture_of(
    graph: ComputationGraph,
    widths: Mapping[str, int] | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    title: str = "",
    legend: bool = True,
) -> Picture:
    """Drawing of a computation graph.

    Parameters
    ----------
    widths
        Channels of sources (and of `target`), by name. Where they and `hyperparameters` are known arrows carry
        numbers, else the symbolic width.
    hyperparameters
        Values of the hyperparameters, shown in the parameters of steps.
    title
        Title above the drawing.
    legend
        True: an explanation of colours and lines stands below.
    """
    return _NetworkDrawing(graph, {**(hyperparameters or {}), **(widths or {})}, hyperparameters or {}).picture(
        title, legend
    )


class _NetworkDrawing:
    def __init__(self, graph: ComputationGraph, symbols: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> None:
        self.graph, self.symbols, self.hyperparameters = graph, symbols, hyperparameters
        self.first = len(graph.sources)
        names = [step.weights for step in graph.steps]
        shared = [name for name in dict.fromkeys(names) if name and names.count(name) > 1]
        self.mark = {name: number for number, name in enumerate(shared)}
        self.back = {index for loop in graph.loops for index in loop.back}
        self.once = {index for loop in graph.loops for index in loop.once}

    def picture(self, title: str, legend: bool) -> Picture:
        placed = place(
            self.graph, self.size, lambda loop: max(text_width(t, s, True) for t, s in _loop_texts(loop)) + 6
        )
        below = self.legend() if legend else []
        parts = [stroke.room[2] for group in below for stroke in group if isinstance(stroke, Text)]
        size = (placed.width, placed.height)
        framed_picture = framed(self.strokes(placed), size, title, below, least=max([170.0, *parts]))
        return replace(framed_picture, title=title or "computation graph")

    def size(self, key: str) -> Size:
        number = int(key[1:])
        box_width = box = 0.0
        index = number if key[0] == "s" else number - self.first
        if index >= 0 and (key[0] == "s" or self.whole(number)):
            step = self.graph.steps[index]
            notes = self.notes(index)
            room = text_width(step.function, NAME, True) + 14 + 22 * (step.weights in self.mark)
            box_width = max([room, *(text_width(note, SMALL) + 12 for note in notes)])
            box = 19.0 + (LINE * len(notes) + 1.5) * bool(notes)
        if key[0] == "s":
            return Size(box_width, box)
        oval = text_width(self.graph.values[number], NAME, True) + 20
        beside = 2 * (text_width(self.width_text(number), SMALL) + 6)
        stem = STEM + (10.0 if index < 0 else 0.0)
        return Size(max(box_width, oval, beside), box, stem, OVAL, oval)

    def whole(self, value: int) -> bool:
        """Whether a value's oval and the box that makes it are one unit."""
        inner = {i for loop in self.graph.loops for i in (*loop.forward, *loop.back)}
        heads = {head for loop in self.graph.loops for head, _ in loop.heads}
        return value not in heads or value - self.first in inner

    def width_text(self, value: int) -> str:
        return width_text(self.graph.type_of(value).width, self.symbols)

    def notes(self, index: int) -> list[str]:
        """The small lines of a step: its block and its parameters."""
        step = self.graph.steps[index]
        texts = [] if step.block == step.function else [step.block]
        printed, usual = step.signature.printed(dict(step.params)), step.signature.complete({})
        for parameter in step.signature.parameters:
            usual |= {parameter.name: None} if parameter.shown else {}
        values = {key: _value(value, self.hyperparameters) for key, value in printed.items()}
        texts += [f"{k}={v}" for k, v in values.items() if v not in (k, _value(usual[k], {}))]
        texts += [f"{self.graph.values[v]} twice" for v in dict.fromkeys(step.inputs) if step.inputs.count(v) > 1]
        texts += ["own weights each pass"] * (step.per_pass and self.graph.passes[index] > 1)
        texts += ["first pass only"] * (index in self.once)
        lines: list[str] = []
        for text in texts:
            longer = f"{lines[-1]}, {text}" if lines else text
            if lines and text_width(longer, SMALL) <= 110:
                lines[-1] = longer
            else:
                lines.append(text)
        return lines

    def strokes(self, placed: Placed) -> list[Stroke]:
        strokes: list[Stroke] = [stroke for frame in placed.frames for stroke in self.frame(frame)]
        strokes += [_wire(wire) for wire in placed.wires]
        strokes += [Way(rounded(way), BACK, 1.6) for way in placed.backs]
        for key, unit in placed.units.items():
            strokes += self.unit(key, unit)
        return strokes

    def frame(self, frame: Frame) -> list[Stroke]:
        loop = self.graph.loops[frame.loop]
        middle = (frame.left + frame.width / 2, frame.top + frame.height / 2)
        names = self.graph.values
        note = ", ".join(f"{names[head]} becomes {names[carried]}" for head, carried in loop.heads)
        shape = Outline(middle, frame.width, frame.height, LOOP, BACK, 0.8, False, 8.0, f"between two passes {note}", 0)
        texts: list[Stroke] = []
        for number, (text, size) in enumerate(_loop_texts(loop)):
            at = (frame.lanes + 6, middle[1] + 13 * number - 6)
            texts.append(Text(at, text, size, "start", not number, BACK))
        return [shape, *texts]

    def unit(self, key: str, unit: Unit) -> list[Stroke]:
        number, size = int(key[1:]), unit.size
        index = number if key[0] == "s" else number - self.first
        strokes: list[Stroke] = []
        if size.box:
            strokes += self.box(index, unit)
        if not size.oval:
            return strokes
        x, y = unit.oval
        start, end = unit.top + size.box, y - size.oval / 2
        kind = self.graph.type_of(number)
        if number < self.first:
            strokes.append(Text((x, start + 4), kind.field or kind.name, SMALL, fill=PALE))
            start += 10
        strokes.append(Way((((x, start),), ((x, end),))))
        strokes.append(Text((x + 4, (start + end) / 2 - 1), self.width_text(number), SMALL, "start", fill=PALE))
        target = number in self.graph.targets
        note = f"{kind.domain} [{kind.width}]" + ", a target" * target
        strokes.append(
            Outline((x, y), size.oval_width, size.oval, DOMAIN[kind.domain], thick=2.2 if target else 1.0, note=note)
        )
        strokes.append(Text((x, y), self.graph.values[number], NAME, bold=True))
        return strokes

    def box(self, index: int, unit: Unit) -> list[Stroke]:
        step, notes, size = self.graph.steps[index], self.notes(index), unit.size
        marked = step.weights in self.mark
        width = max([text_width(step.function, NAME, True) + 14 + 22 * marked,
                     *(text_width(note, SMALL) + 12 for note in notes)])  # fmt: skip
        at = (unit.x, unit.top + size.box / 2)
        strokes: list[Stroke] = [Outline(at, width, size.box, FUNCTION, dashed=index in self.back, radius=3.0)]
        name = (unit.x - 9 * marked, unit.top + 9.5)
        strokes.append(Text(name, step.function, NAME))
        strokes += [Text((unit.x, unit.top + 21.5 + LINE * i), note, SMALL, fill=PALE) for i, note in enumerate(notes)]
        if marked:
            strokes += _shared((unit.x + width / 2 - 10, unit.top + 9.5), self.mark[step.weights])
        return strokes

    def legend(self) -> list[list[Stroke]]:
        """Groups of strokes, each from (0, 0) to the right."""
        kinds = [self.graph.type_of(value) for value in range(len(self.graph.values))]
        groups: list[list[Stroke]] = []
        for domain in dict.fromkeys(kind.domain for kind in kinds):
            groups.append([Outline((9, 0), 18, 10, DOMAIN[domain]), label(23, domain)])
        groups.append(
            [Outline((9, 0), 18, 10, DOMAIN[kinds[self.graph.targets[0]].domain], thick=2.2), label(23, "target")]
        )
        groups.append([Outline((9, 0), 18, 10, FUNCTION, radius=3.0), label(23, "step")])
        if self.back:
            skipped = Outline((9, 0), 18, 10, FUNCTION, dashed=True, radius=3.0)
            groups.append([skipped, label(23, "not in the last pass")])
        if self.graph.loops:
            groups.append([Way((((0, 0),), ((19, 0),)), BACK, 1.6), label(23, "to the next pass")])
        for name, number in self.mark.items():
            groups.append([*_shared((7, 0), number), label(18, f"same weights: {name}")])
        return groups


def width_text(width: Width, symbols: Mapping[str, Any]) -> str:
    """A number where all symbols are known, else the symbolic width.

    >>> width_text(Width.of("hidden") + Width.of("hits"), {"hidden": 64, "hits": 3})
    '67'
    >>> width_text(Width.of("hidden") + Width.of("hits"), {"hidden": 64})
    'hidden + hits'
    """
    known = all(type(symbols.get(symbol)) is int and symbols[symbol] > 0 for symbol, _ in width.terms)
    return str(width.bind(symbols)) if known else str(width)


def source_widths(graph: ComputationGraph, widths: Mapping[str, int]) -> dict[str, int]:
    """Channels of sources and targets by name, from those of the data's fields and of targets (as a run notes them)."""
    sources = {kind.name: widths[str(kind.field)] for kind in graph.types if kind.field in widths}
    return sources | {name: width for name, width in widths.items() if name.split(".")[0] == "target"}


def _loop_texts(loop: Loop) -> list[tuple[str, float]]:
    """Texts of a loop, with the sizes of their letters."""
    many = loop.iterations != 1
    return [
        (f"× {loop.iterations}", 13.0),
        ("iterations" if many else "iteration", SMALL),
        (f"({loop.iterations + 1} passes)", SMALL),
    ]


def _value(value: Any, hyperparameters: Mapping[str, Any]) -> str:
    if isinstance(value, Hyperparameter):
        return str(hyperparameters.get(value.name, value.name))
    return str(value).lower() if isinstance(value, bool) else value_text(value)


def _wire(wire: Wire) -> Way:
    """Straight down beside items, a curve in each gap."""
    x, top, bottom = wire.parts[0]
    points: list[tuple[tuple[float, float], ...]] = [((x, top),)]
    points += [((x, bottom),)] * (bottom > top)
    for part in wire.parts[1:]:
        bend = (part[1] - bottom) * 0.5
        points.append(((x, bottom + bend), (part[0], part[1] - bend), (part[0], part[1])))
        x, bottom = part[0], part[2]
        points += [((x, bottom),)] * (bottom > part[1])
    return Way(tuple(points), arrow=wire.head)


def mark(at: tuple[float, float], text: str, colour: str) -> list[Stroke]:
    """A letter or number in a circle."""
    return [Outline(at, 14, 14, colour, colour, layer=3), Text(at, text, 8.5, bold=True, fill="#ffffff")]


def _shared(at: tuple[float, float], number: int) -> list[Stroke]:
    """Mark of shared weights, by their number."""
    letter, turn = chr(ord("A") + number % 26), number // 26
    return mark(at, letter + (str(turn) if turn else ""), MARKS[number % len(MARKS)])
