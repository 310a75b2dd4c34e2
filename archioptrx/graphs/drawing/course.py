"""The course of a number of each function over a search, as it is drawn in the function's box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archioptrx.graphs.drawing.svg import GROUND, INK, NAME, Outline, Point, Stroke, Text, Way, label, text_width

HEIGHT, LEAST = 54.0, 96.0
"""Height of a function's box with a course, and its least width."""
PANEL, EDGE = 26.0, 6.0
"""Height of the panel of a curve, and its distance from the box's sides."""
POINTS = 60
"""Points of a curve at most; more can't be seen at this size."""
EMPTY, FULL = (255, 255, 255), (242, 142, 43)
"""Red, green and blue of a function with the value 0, and with the largest value."""
SHADES = 12
"""Steps of the scale in the legend."""


@dataclass(frozen=True)
class Course:
    """A number of each function in the course of a search.

    Attributes
    ----------
    quantity
        Name of the number, such as `probability`.
    values
        Numbers of each function from the first to the last; None where it has none.
    """

    quantity: str
    values: Mapping[str, Sequence[float | None]]

    def now(self, function: str) -> float | None:
        """The last value."""
        return (self.values.get(function) or [None])[-1]

    @property
    def top(self) -> float:
        """The largest value of all, rounded up to tenths."""
        known = [value for values in self.values.values() for value in values if value is not None]
        return min(1.0, max(0.1, -(-round(10 * max(known, default=0.0), 9) // 1) / 10))


def box_width(function: str) -> float:
    """Width of a box in which the name and the last value stand side by side."""
    return max(LEAST, text_width(function, NAME) + text_width("0.00", NAME) + 2 * EDGE + 10)


def box(course: Course, function: str, at: Point, width: float) -> list[Stroke]:
    """Box of a function: coloured by its last value, dashed where it has none; below its name the curve."""
    value = course.now(function)
    fill = GROUND if value is None else shade(value / course.top)
    left, upper = at[0] - width / 2 + EDGE, at[1] - HEIGHT / 2 + 11
    panel = (at[0], at[1] + (HEIGHT - PANEL) / 2 - EDGE + 1)
    return [
        Outline(at, width, HEIGHT, fill, dashed=value is None, radius=4.0),
        Text((left, upper), function, NAME, "start"),
        Text((at[0] + width / 2 - EDGE, upper), "–" if value is None else f"{value:.2f}", NAME, "end"),
        Outline(panel, width - 2 * EDGE, PANEL, GROUND, "none", radius=2.0, layer=3),
        *_curve(course.values.get(function, ()), course.top, panel, (width - 2 * EDGE - 8, PANEL - 8)),
    ]


def _curve(values: Sequence[float | None], top: float, middle: Point, size: tuple[float, float]) -> list[Stroke]:
    """A curve between 0 and the largest value of all functions, with a dot at its last point."""
    last = len(values) - 1
    taken = sorted({round(last * i / (POINTS - 1)) for i in range(POINTS)}) if last >= POINTS else range(last + 1)
    left, bottom = middle[0] - size[0] / 2, middle[1] + size[1] / 2
    numbers = [(i, value) for i in taken if (value := values[i]) is not None]
    points = [(left + size[0] * i / max(1, last), bottom - size[1] * min(1.0, value / top)) for i, value in numbers]
    if not points:
        return []
    curve: list[Stroke] = [Way(tuple((point,) for point in points), thick=1.2, arrow=False, layer=4)]
    return [*curve[: len(points) - 1], Outline(points[-1], 4, 4, INK, radius=None, layer=4)]


def shade(share: float) -> str:
    """Colour between those of 0 and 1.

    >>> shade(0.0), shade(1.0)
    ('#ffffff', '#f28e2b')
    """
    share = min(1.0, max(0.0, share))
    return "#" + "".join(f"{round(low + share * (high - low)):02x}" for low, high in zip(EMPTY, FULL, strict=True))


def legend(course: Course) -> list[list[Stroke]]:
    """Groups of strokes that explain colours and curves."""
    step = 4.0
    scale: list[Stroke] = [
        Outline((step * (i + 0.5), 0), step, 10, shade(i / (SHADES - 1)), "none", radius=0.0) for i in range(SHADES)
    ]
    frame = Outline((step * SHADES / 2, 0), step * SHADES, 10, thick=0.8, radius=0.0, layer=3)
    curve: list[Stroke] = [Way((((1, 3),), ((8, -3),), ((14, 1),), ((20, -2),)), thick=1.2, arrow=False)]
    return [
        [*scale, frame, label(step * SHADES + 5, f"0 … {course.top:.1f}: {course.quantity} now")],
        [*curve, Outline((20, -2), 4, 4, INK, layer=3), label(26, "from first to last, on the same scale")],
        [Outline((9, 0), 18, 10, GROUND, dashed=True, radius=3.0), label(23, f"no {course.quantity} now")],
    ]
