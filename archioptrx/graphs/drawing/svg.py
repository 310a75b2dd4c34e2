"""Strokes of a drawing, and the two forms that they are written in: SVG as text, PNG by matplotlib.

Lengths are in points, from the upper left corner, y downwards. A drawing is described once; both forms show the same.
The SVG has no ids, no style sheet, no prolog, and texts as texts: many of them may stand in one HTML page.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.sax.saxutils import escape, quoteattr

from archioptrx.core.errors import InputError
from archioptrx.core.files import clean_name, write_atomically, writing
from archioptrx.core.own_files import DRAWING, check_replaceable
from archioptrx.core.printing import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]
Side = Literal["start", "middle", "end"]
FORMATS = ("svg", "png")
GROUND, INK, PALE = "#ffffff", "#222222", "#666666"
"""Ground of every drawing (light on a dark page too), colour of texts and lines, and of small texts."""
NAME, SMALL = 11.0, 8.0
"""Sizes of letters."""
FONT = "Helvetica, Arial, DejaVu Sans, sans-serif"
CORNER = 7.0
"""Radius of a line's corners."""
MARGIN = 16.0
"""Room around a drawing, and between it and its legend."""
HEAD = (7.0, 3.0)
"""Length and half the breadth of an arrow's head."""
BROAD, NARROW = frozenset("mwMWOQ@%#+<=>^~×←→–…"), frozenset("ijl'IJ ,./:;\\|f-()[]tr!·")


@dataclass(frozen=True)
class Outline:
    """A box with round corners, or an oval, by its middle.

    Attributes
    ----------
    radius
        Radius of a box's corners; None: an oval.
    note
        Text that is shown where the mouse rests on the shape.
    layer
        Order of painting; lines have 1, texts 5.
    """

    at: Point
    width: float
    height: float
    fill: str = "none"
    line: str = INK
    thick: float = 1.0
    dashed: bool = False
    radius: float | None = None
    note: str = ""
    layer: int = 2

    @property
    def style(self) -> str:
        """SVG attributes that shapes of one group share."""
        return _drawn(self.fill, self.line, self.thick, self.dashed)


@dataclass(frozen=True)
class Way:
    """A line of straight parts and Bézier curves: `points` has the start, then one point or three for each part."""

    points: tuple[tuple[Point, ...], ...]
    line: str = INK
    thick: float = 1.1
    dashed: bool = False
    arrow: bool = True
    layer: int = 1

    @property
    def style(self) -> str:
        """SVG attributes; see `Outline.style`."""
        return _drawn("none", self.line, self.thick, self.dashed)

    @property
    def head(self) -> tuple[Point, Point, Point]:
        """The triangle at the end: its tip first."""
        flat = [point for part in self.points for point in part]
        tip = flat[-1]
        before = next(point for point in reversed(flat) if math.dist(point, tip) > 1e-6)
        far = math.dist(before, tip)
        along = ((tip[0] - before[0]) / far, (tip[1] - before[1]) / far)
        foot = (tip[0] - HEAD[0] * along[0], tip[1] - HEAD[0] * along[1])
        across = (-HEAD[1] * along[1], HEAD[1] * along[0])
        return tip, (foot[0] + across[0], foot[1] + across[1]), (foot[0] - across[0], foot[1] - across[1])


@dataclass(frozen=True)
class Text:
    """One line of text; `at` is its start, middle or end, at half the height of its letters."""

    at: Point
    text: str
    size: float = 9.0
    side: Side = "middle"
    bold: bool = False
    fill: str = INK

    @property
    def style(self) -> str:
        """SVG attributes; see `Outline.style`."""
        side = "" if self.side == "start" else f' text-anchor="{self.side}"'
        return f'fill="{self.fill}" font-size="{_number(self.size)}"{side}' + ' font-weight="bold"' * self.bold

    @property
    def base(self) -> Point:
        """Point on the line that the letters stand on."""
        return self.at[0], self.at[1] + 0.35 * self.size

    @property
    def room(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the largest room of the text."""
        width = text_width(self.text, self.size, self.bold)
        left = self.at[0] - {"start": 0.0, "middle": 0.5, "end": 1.0}[self.side] * width
        return left, self.at[1] - 0.6 * self.size, left + width, self.at[1] + 0.6 * self.size


Stroke = Outline | Way | Text


@dataclass(frozen=True)
class Picture:
    """A drawing: strokes from the lowest to the uppermost.

    Attributes
    ----------
    title
        Title for screen readers; it isn't drawn.
    """

    width: float
    height: float
    strokes: tuple[Stroke, ...]
    title: str = ""

    def svg(self) -> str:
        """One `<svg>` element."""
        size = f"{_number(self.width)} {_number(self.height)}"
        width, height = size.split()
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{DRAWING}" viewBox="0 0 {size}" width="{width}" '
            f'height="{height}" style="max-width:100%;height:auto" role="img" '
            f"aria-label={quoteattr(printable(self.title))} "
            f'font-family="{FONT}">',
            f'<rect width="{width}" height="{height}" rx="6" fill="{GROUND}"/>',
        ]
        for style, group in groupby(self.strokes, key=lambda stroke: stroke.style):
            parts.append(_group(style, list(group)))
        return "\n".join([*parts, "</svg>"])

    def save(self, folder: Path, name: str) -> list[Path]:
        """Write `name.svg` and `name.png` of a clean name; the paths of the two.

        Raises
        ------
        InputError
            The folder is a file, or can't be written, or holds other files of these names.
        """
        usable(folder)
        paths = [folder / f"{clean_name(name)}.{kind}" for kind in FORMATS]
        check_replaceable(*(path for path in paths if not path.is_symlink()))
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # A link of this name is replaced: what it leads to is not ours.
            write_atomically(paths[0], self.svg() + "\n")
            write_atomically(paths[1], _png(self))
        return paths


def usable(folder: Path) -> None:
    """Raise InputError where drawings can't be written to a folder."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; allowed: a folder, which is made if it's missing")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Largest width of a text in any of the fonts. (DejaVu Sans is the widest of them.)

    >>> text_width("score0", 10) < text_width("score0", 10, bold=True) < text_width("a longer one", 10)
    True
    """
    letters = sum(1.0 if c in BROAD else 0.42 if c in NARROW else 0.7 if c.isupper() else 0.64 for c in text)
    return size * letters * (1.15 if bold else 1.0)


def wrapped(text: str, size: float, room: float, bold: bool = False) -> list[str]:
    """A text in lines that have room, broken at spaces (a word may be wider).

    >>> wrapped("one two three", 10, 50)
    ['one two', 'three']
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def ordered(strokes: Iterable[Stroke]) -> tuple[Stroke, ...]:
    """Strokes by layer, those of one style together."""
    groups: dict[tuple[int, str], list[Stroke]] = {}
    for stroke in strokes:
        groups.setdefault((_layer(stroke), stroke.style), []).append(stroke)
    return tuple(stroke for key in sorted(groups, key=lambda key: key[0]) for stroke in groups[key])


def _layer(stroke: Stroke) -> int:
    return 5 if isinstance(stroke, Text) else stroke.layer


def moved(strokes: Iterable[Stroke], right: float, down: float) -> list[Stroke]:
    """Strokes moved to the right and down."""

    def there(point: Point) -> Point:
        return point[0] + right, point[1] + down

    return [
        replace(s, points=tuple(tuple(there(p) for p in part) for part in s.points))
        if isinstance(s, Way)
        else replace(s, at=there(s.at))
        for s in strokes
    ]


def beside(pictures: Sequence[Picture], title: str) -> Picture:
    """Pictures side by side."""
    strokes: list[Stroke] = []
    right = 0.0
    for picture in pictures:
        strokes += moved(picture.strokes, right, 0)
        right += picture.width
    return Picture(right, max(picture.height for picture in pictures), ordered(strokes), title)


def rows_of(groups: Sequence[list[Stroke]], width: float) -> tuple[list[Stroke], float]:
    """Groups side by side, in as many rows as the width requires; the height of all."""
    strokes: list[Stroke] = []
    x = y = 0.0
    for group in groups:
        long = max(stroke.room[2] for stroke in group if isinstance(stroke, Text))
        if x and x + long > width:
            x, y = 0.0, y + 15
        strokes += moved(group, x, y)
        x += long + 14
    return strokes, y


def framed(
    strokes: Sequence[Stroke], size: Point, title: str, groups: Sequence[list[Stroke]], least: float = 0.0
) -> Picture:
    """Strokes of that width and height with a title above and a legend below; the whole is at least so wide."""
    width = max([size[0], least, *(text_width(word, NAME, True) for word in title.split())])
    lines = wrapped(title, NAME, width, True)
    top = MARGIN + 14 * len(lines) + 8 * bool(lines)
    every = moved(strokes, MARGIN + (width - size[0]) / 2, top)
    every += [Text((MARGIN, MARGIN + 5 + 14 * i), text, NAME, "start", True) for i, text in enumerate(lines)]
    bottom = top + size[1] + MARGIN
    if groups:
        laid, tall = rows_of(groups, width)
        every += moved(laid, MARGIN, bottom)
        bottom += tall + MARGIN - 4
    return Picture(width + 2 * MARGIN, bottom, ordered(every), title)


def label(x: float, text: str) -> Text:
    """A text of a legend."""
    return Text((x, 0), text, SMALL, "start", fill=PALE)


def rounded(corners: Sequence[Point]) -> tuple[tuple[Point, ...], ...]:
    """A line along corners that are rounded off."""
    parts: list[tuple[Point, ...]] = [(corners[0],)]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        near = min(CORNER, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        start, end = (_towards(corner, other, near) for other in (before, after))
        parts += [(start,), (_towards(corner, start, 0.45 * near), _towards(corner, end, 0.45 * near), end)]
    return (*parts, (corners[-1],))


def _towards(start: Point, end: Point, far: float) -> Point:
    share = far / max(math.dist(start, end), 1e-9)
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _number(value: float) -> str:
    """A length for SVG: tenths of a point.

    >>> _number(2.0), _number(-0.04), _number(3.25)
    ('2', '0', '3.2')
    """
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def _drawn(fill: str, line: str, thick: float, dashed: bool) -> str:
    dash = f' stroke-dasharray="{_number(4 * thick)} {_number(3 * thick)}"' if dashed else ""
    return f'fill="{fill}" stroke="{line}"' + (f' stroke-width="{_number(thick)}"' if thick != 1 else "") + dash


def _group(style: str, strokes: Sequence[Stroke]) -> str:
    """Strokes of one style; all lines are one path, and so are their heads."""
    ways = [stroke for stroke in strokes if isinstance(stroke, Way)]
    if not ways:
        return f"<g {style}>{''.join(_element(stroke) for stroke in strokes if not isinstance(stroke, Way))}</g>"
    lines, heads = "".join(_path(way.points) for way in ways), "".join(_triangle(way) for way in ways if way.arrow)
    return f'<path d="{lines}" {style}/>' + (f'<path d="{heads}" fill="{ways[0].line}"/>' if heads else "")


def _triangle(way: Way) -> str:
    tip, left, right = way.head
    return f"M{_pair(tip)}l{_pair(_less(left, tip))} {_pair(_less(right, left))}z"


def _less(point: Point, other: Point) -> Point:
    return point[0] - other[0], point[1] - other[1]


def _element(stroke: Outline | Text) -> str:
    if isinstance(stroke, Text):
        x, y = stroke.base
        return f'<text x="{_number(x)}" y="{_number(y)}">{escape(printable(stroke.text))}</text>'
    (x, y), width, height = stroke.at, stroke.width, stroke.height
    if stroke.radius is None:
        name = "ellipse"
        where = f'cx="{_number(x)}" cy="{_number(y)}" rx="{_number(width / 2)}" ry="{_number(height / 2)}"'
    else:
        name, corner = "rect", f'x="{_number(x - width / 2)}" y="{_number(y - height / 2)}"'
        where = f'{corner} width="{_number(width)}" height="{_number(height)}" rx="{_number(stroke.radius)}"'
    if not stroke.note:
        return f"<{name} {where}/>"
    return f"<{name} {where}><title>{escape(printable(stroke.note))}</title></{name}>"


def _path(parts: Sequence[Sequence[Point]]) -> str:
    """SVG path in its short form: V and H for vertical and horizontal lines."""
    text, (x, y) = f"M{_pair(parts[0][0])}", parts[0][0]
    for part in parts[1:]:
        if len(part) == 3:
            text += "C" + " ".join(_pair(point) for point in part)
        elif _number(part[0][0]) == _number(x):
            text += f"V{_number(part[0][1])}"
        elif _number(part[0][1]) == _number(y):
            text += f"H{_number(part[0][0])}"
        else:
            text += f"L{_pair(part[0])}"
        x, y = part[-1]
    return text


def _pair(point: Point) -> str:
    return f"{_number(point[0])},{_number(point[1])}"


def _png(picture: Picture) -> bytes:
    """Content of a PNG, by matplotlib's own renderer: it touches neither a screen nor matplotlib's global state."""
    # Loaded here: it takes half a second, which no command that draws nothing shall wait for.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(picture.width / 72, picture.height / 72), facecolor=GROUND)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, picture.width), ylim=(picture.height, 0))
    axes.set_axis_off()
    for number, stroke in enumerate(picture.strokes):
        _paint(axes, stroke, number)
    content = io.BytesIO()
    figure.savefig(content, dpi=144, format="png", metadata={"Software": DRAWING})
    return content.getvalue()


def _paint(axes: Axes, stroke: Stroke, number: int) -> None:
    from matplotlib.patches import Ellipse, FancyBboxPatch, PathPatch, Polygon
    from matplotlib.path import Path as Curve

    if isinstance(stroke, Text):
        side = {"start": "left", "middle": "center", "end": "right"}[stroke.side]
        weight = "bold" if stroke.bold else "normal"
        axes.text(*stroke.base, printable(stroke.text), fontsize=stroke.size, ha=side, color=stroke.fill, weight=weight,
                  zorder=number, parse_math=False)  # fmt: skip
        return
    style: dict[str, Any] = {"edgecolor": stroke.line, "linewidth": stroke.thick, "zorder": number}
    style |= {"linestyle": (0, (4, 3))} if stroke.dashed else {}
    if isinstance(stroke, Way):
        codes = [Curve.MOVETO]
        for part in stroke.points[1:]:
            codes += [Curve.CURVE4] * 3 if len(part) == 3 else [Curve.LINETO]
        axes.add_patch(PathPatch(Curve([p for part in stroke.points for p in part], codes), facecolor="none", **style))
        if stroke.arrow:
            axes.add_patch(Polygon(stroke.head, closed=True, facecolor=stroke.line, edgecolor="none", zorder=number))
    elif stroke.radius is None:
        axes.add_patch(Ellipse(stroke.at, stroke.width, stroke.height, facecolor=stroke.fill, **style))
    else:
        corner = (stroke.at[0] - stroke.width / 2, stroke.at[1] - stroke.height / 2)
        shape = f"round,pad=0,rounding_size={stroke.radius}"
        axes.add_patch(FancyBboxPatch(corner, stroke.width, stroke.height, shape, facecolor=stroke.fill, **style))
