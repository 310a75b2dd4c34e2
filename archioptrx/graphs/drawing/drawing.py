"""Drawings of function graphs: data nodes and functions, how probable each function is, and how that came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archioptrx.core.errors import InputError
from archioptrx.graphs.drawing.function_columns import bracketed, columns_of, is_function
from archioptrx.graphs.drawing.layered_layout import Arrow, Layout, layered
from archioptrx.graphs.function_graph import FunctionGraph

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, ROW, PASSING = 2.75, 1.35, 0.42
"""Distances of columns, nodes and passing arrows, in inches."""
BOX, OVAL = (1.9, 1.02), (1.75, 0.78)
"""Width and height of functions and data nodes."""
DATA, FUNCTION, FULL, INK, BACK = "#cfe3f5", "#ffffff", "#f28e2b", "#222222", "#a03070"
"""Data nodes; functions of value 0 and of the largest; text and arrows; arrows to the left."""
FORMATS = ("svg", "png")
Side = Literal["left", "center", "right"]
Port = tuple[str, int, Arrow]
"""A node, its right side (1) or left one (-1), and the arrow that begins or ends there."""


@dataclass(frozen=True)
class Course:
    """How a number of each function went.

    Attributes
    ----------
    what
        What the number is: `probability`, say.
    values
        Of each function in the course of the search, None where it has none; the last one is its value now.
    """

    what: str
    values: Mapping[str, Sequence[float | None]]

    def now(self, function: str) -> float | None:
        """The last value."""
        return (self.values.get(function) or [None])[-1]

    @property
    def top(self) -> float:
        """The largest value of all, rounded up to tenths."""
        known = [value for values in self.values.values() for value in values if value is not None]
        return min(1.0, max(0.1, -(-round(10 * max(known, default=0.0), 9) // 1) / 10))


def draw_function_graph(
    graph: FunctionGraph, folder: Path, title: str, course: Course | None = None, name: str = "functions"
) -> list[Path]:
    """Draw a function graph to `name.svg` and `name.png`; the paths of the two.

    Parameters
    ----------
    folder
        Made if it's missing.
    title
        Says what is shown.
    course
        Fills the functions and gives each a curve; None: the bare graph.

    Raises
    ------
    InputError
        The folder is a file, or can't be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; allowed: a folder, which is made if it's missing")
    paths = [folder / f"{name}.{kind}" for kind in FORMATS]
    figure = picture(graph, title, course)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise InputError(f"{folder}: can't be written: {(error.strerror or str(error)).lower()}") from error
    return paths


def picture(graph: FunctionGraph, title: str, course: Course | None = None) -> Figure:
    """The drawing itself. It touches neither a screen nor matplotlib's global state."""
    # Loaded here: it takes half a second, which no other command shall wait for.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    arrows = [(name, bracketed(f.name)) for f in graph.functions for name in dict.fromkeys(f.inputs)]
    arrows += [(bracketed(f.name), f.output) for f in graph.functions]
    layout = layered(columns_of(graph), arrows, ROW, PASSING)
    width = COLUMN * max(layout.column.values()) + BOX[0] + 0.8
    low, high = min(layout.height.values()), max(layout.height.values())
    low = min([low, *(at for way in layout.ways.values() for _, at in way)])
    high = max([high, *(at for way in layout.ways.values() for _, at in way)])
    bottom, top = low - ROW / 2 - 1.3, high + ROW / 2 + 0.7
    figure = Figure(figsize=(width, top - bottom))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-BOX[0] / 2 - 0.4, width - BOX[0] / 2 - 0.4), ylim=(bottom, top))
    axes.set_axis_off()
    _text(axes, (-BOX[0] / 2 - 0.1, top - 0.3), title, 14, width - 0.6)
    ports = _ports(layout)
    for arrow in layout.ways:
        _arrow(axes, layout, arrow, ports)
    for node in graph.data:
        _data_node(axes, graph, node.name, (COLUMN * layout.column[node.name], layout.height[node.name]))
    for function in graph.functions:
        key = bracketed(function.name)
        _function(axes, function.name, (COLUMN * layout.column[key], layout.height[key]), course)
    _legend(axes, bottom + 0.8, course)
    return figure


def _data_node(axes: Axes, graph: FunctionGraph, name: str, at: tuple[float, float]) -> None:
    from matplotlib.patches import Ellipse

    end = name in graph.sources or name in graph.targets
    axes.add_patch(Ellipse(at, *OVAL, facecolor=DATA, edgecolor=INK, linewidth=2.4 if end else 1.0, zorder=3))
    _text(axes, (at[0], at[1] + 0.11), name, 11, OVAL[0] - 0.3, "center", "bold")
    role = "source" if name in graph.sources else "target" if name in graph.targets else f"[{graph.width[name]}]"
    text = f"{graph.node[name].domain} {role}"
    _text(axes, (at[0], at[1] - 0.15), text, 7.5, OVAL[0] - 0.35, "center")


def _function(axes: Axes, name: str, at: tuple[float, float], course: Course | None) -> None:
    value = course.now(name) if course else None
    fill = FUNCTION if course is None or value is None else shade(value / course.top)
    _box(axes, at, fill, dashed=course is not None and value is None)
    if course is None:
        _text(axes, at, name, 10.5, BOX[0] - 0.2, "center")
        return
    left, upper = at[0] - BOX[0] / 2 + 0.1, at[1] + BOX[1] / 2 - 0.21
    _text(axes, (left, upper), name, 10.5, BOX[0] - 0.65)
    text = "–" if value is None else f"{value:.2f}"
    _text(axes, (at[0] + BOX[0] / 2 - 0.1, upper), text, 10.5, 0.5, "right")
    _curve(axes, (left, at[1] - BOX[1] / 2 + 0.1), course.values.get(name, ()), course.top)


def _text(
    axes: Axes,
    at: tuple[float, float],
    text: str,
    size: float,
    room: float,
    side: Side = "left",
    weight: str = "normal",
) -> None:
    """A text, smaller where it would be wider than its room."""
    made = axes.text(*at, text, fontsize=size, ha=side, va="center", color=INK, zorder=4, weight=weight)
    width = made.get_window_extent().transformed(axes.transData.inverted()).width
    made.set_fontsize(size * min(1.0, 0.96 * room / width))


def _box(axes: Axes, at: tuple[float, float], fill: Any, dashed: bool = False, size: tuple[float, float] = BOX) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (at[0] - size[0] / 2, at[1] - size[1] / 2)
    style = "round,pad=0,rounding_size=0.08"
    line = "--" if dashed else "-"
    axes.add_patch(FancyBboxPatch(corner, *size, style, facecolor=fill, edgecolor=INK, linestyle=line, zorder=3))


def _curve(axes: Axes, corner: tuple[float, float], values: Sequence[float | None], top: float) -> None:
    """A small curve of the values, from 0 to the largest of all functions, on a white ground."""
    from matplotlib.patches import Rectangle

    width, height = BOX[0] - 0.2, 0.5
    axes.add_patch(Rectangle(corner, width, height, facecolor="white", edgecolor="none", alpha=0.75, zorder=3.5))
    step = width / max(1, len(values) - 1)
    points = [(corner[0] + step * i, corner[1] + height * v / top) for i, v in enumerate(values) if v is not None]
    if points:
        axes.plot(*zip(*points, strict=True), color=INK, linewidth=1.2, zorder=4, solid_capstyle="round")
        axes.plot(*points[-1], marker="o", markersize=3.5, color=INK, zorder=4)


def shade(share: float) -> tuple[float, float, float]:
    """Colour between that of 0 and that of 1."""
    from matplotlib.colors import to_rgb

    low, high = to_rgb(FUNCTION), to_rgb(FULL)
    red, green, blue = (a + (b - a) * min(1.0, max(0.0, share)) for a, b in zip(low, high, strict=True))
    return red, green, blue


def _arrow(axes: Axes, layout: Layout, arrow: Arrow, ports: Mapping[Port, float]) -> None:
    """A smooth way from side to side, level where it passes a column."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Way

    ahead = _ahead(layout, arrow)
    points = [_side(layout, arrow[0], ahead, ports[arrow[0], ahead, arrow])]
    for column, height in layout.ways[arrow]:
        points += [(COLUMN * column - ahead * BOX[0] / 2, height), (COLUMN * column + ahead * BOX[0] / 2, height)]
    points.append(_side(layout, arrow[1], -ahead, ports[arrow[1], -ahead, arrow]))
    vertices, codes = [points[0]], [Way.MOVETO]
    for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        if number % 2:  # along a column
            vertices.append((to_x, to_y))
            codes.append(Way.LINETO)
            continue
        bend = (to_x - x) * 0.5
        vertices += [(x + bend, y), (to_x - bend, to_y), (to_x, to_y)]
        codes += [Way.CURVE4] * 3
    colour = INK if ahead > 0 else BACK
    way = Way(vertices, codes)
    arrowhead = FancyArrowPatch(path=way, arrowstyle="-|>", shrinkA=0, shrinkB=0, mutation_scale=12, color=colour)
    arrowhead.set(linewidth=1.1, zorder=2)
    axes.add_patch(arrowhead)


def _ahead(layout: Layout, arrow: Arrow) -> int:
    """1: to the right, -1: to the left."""
    return 1 if layout.column[arrow[1]] > layout.column[arrow[0]] else -1


def _ports(layout: Layout) -> dict[Port, float]:
    """Where on its side of a node each arrow begins or ends: one above the other, in the order of where they go."""
    sides: dict[tuple[str, int], list[tuple[float, int, Arrow]]] = {}
    for arrow, way in layout.ways.items():
        ahead = _ahead(layout, arrow)
        first = way[0][1] if way else layout.height[arrow[1]]
        last = way[-1][1] if way else layout.height[arrow[0]]
        sides.setdefault((arrow[0], ahead), []).append((first, ahead, arrow))
        sides.setdefault((arrow[1], -ahead), []).append((last, ahead, arrow))
    ports = {}
    for (name, side), ends in sides.items():
        room = 0.7 * (BOX if is_function(name) else OVAL)[1]
        step = min(0.18, room / max(1, len(ends) - 1))
        for number, (_, _, arrow) in enumerate(sorted(ends)):
            ports[name, side, arrow] = step * (number - (len(ends) - 1) / 2)
    return ports


def _side(layout: Layout, name: str, side: int, shift: float) -> tuple[float, float]:
    """A place on the right side of a node (1), or on its left one (-1), so far above its middle."""
    width, height = BOX if is_function(name) else OVAL
    inset = 0.0 if is_function(name) else 1 - (1 - (2 * shift / height) ** 2) ** 0.5
    return COLUMN * layout.column[name] + side * width / 2 * (1 - inset), layout.height[name] + shift


def _legend(axes: Axes, height: float, course: Course | None) -> None:
    from matplotlib.patches import Ellipse, Rectangle

    x = -BOX[0] / 2 + 0.2

    def label(text: str, x: float) -> float:
        made = axes.text(x, height, text, va="center", fontsize=9, color=INK)
        box = made.get_window_extent(axes.figure.canvas.get_renderer())  # type: ignore[attr-defined]
        return float(axes.transData.inverted().transform((box.x1, 0))[0]) + 0.5

    axes.add_patch(Ellipse((x, height), 0.5, 0.28, facecolor=DATA, edgecolor=INK))
    x = label("data (bold: source, target)", x + 0.35)
    _box(axes, (x + 0.1, height), FUNCTION, size=(0.45, 0.26))
    x = label("function", x + 0.45)
    for colour, text in ((INK, "forward"), (BACK, "back")):
        axes.annotate("", (x + 0.5, height), (x, height), arrowprops={"arrowstyle": "-|>", "color": colour})
        x = label(text, x + 0.6)
    if course is None:
        return
    x, height = -BOX[0] / 2 - 0.05, height - 0.45
    for number in range(20):
        place = (x + 0.05 * number, height - 0.13)
        axes.add_patch(Rectangle(place, 0.05, 0.26, facecolor=shade(number / 19), edgecolor="none"))
    axes.add_patch(Rectangle((x, height - 0.13), 1.0, 0.26, facecolor="none", edgecolor=INK, linewidth=0.8))
    text = f"0 … {course.top:.1f}: {course.what} now; curve: from first to last, same scale; dashed: none now"
    label(text, x + 1.1)
