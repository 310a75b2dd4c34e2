"""Picture of efficiency, fake rate and duplicate rate of tracks against pT, |η|, φ and z, with binomial intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.core.files import writing
from archioptrx.core.own_files import picture_metadata
from archioptrx.data.plot import check_picture
from archioptrx.tasks.tracks.rates import Bins, Rate, bin_ends, drawn_rates, low_end

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

USUAL = "technical efficiency by double majority; fakes and duplicates by single majority"
"""Definition of the usual metrics, as a title."""
COLOURS = ("#1565c0", "#e8894a", "#2e7d32", "#9c27b0")
MARKS = ("o", "s", "^", "D")
ROOM = 0.5
"""Part of a bin's width over which the marks of several curves are spread."""


def plot_rates(path: Path, curves: Mapping[str, Bins], title: str) -> None:
    """Draw rates in bins to a file; its folder is made if it's missing.

    Parameters
    ----------
    curves
        Results of `in_bins` by the name of each curve.
    title
        Definition of the rates.

    Raises
    ------
    InputError
        The file's ending isn't one of a picture, or it can't be written.
    """
    check_picture(path)
    figure = rate_figure(curves, title)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130, metadata=picture_metadata(path))


def rate_figure(curves: Mapping[str, Bins], title: str) -> Figure:
    """A row of panels for each rate, a panel for each quantity; bars are 95 % intervals of Clopper and Pearson."""
    from matplotlib.figure import Figure

    rates = drawn_rates(curves.values())
    columns = max(len(names) for _, names in rates)
    figure = Figure(figsize=(4.4 * columns, 3.2 * len(rates) + 0.8), layout="constrained")
    for number, (rate, names) in enumerate(rates):
        for column, name in enumerate(names):
            axes = figure.add_subplot(len(rates), columns, number * columns + column + 1)
            _panel(axes, {label: rate.rows(bins, name) for label, bins in curves.items()}, rate)
            axes.set(xlabel=rate.title_of(name), ylim=rate.span(curves.values()))
            if not column:
                axes.set_ylabel(rate.title, fontsize=12)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(f"{title}; bars: 95 % intervals of Clopper and Pearson", fontsize=10)
    return figure


def _panel(axes: Axes, curves: Mapping[str, Sequence[Mapping[str, Any]]], rate: Rate) -> None:
    """One rate against one quantity. Bins are equally wide, whatever their range, so that each can be read."""
    ends = bin_ends(curves.values())
    for place, (label, rows) in enumerate(curves.items()):
        shift = 0.5 + ROOM * ((place + 0.5) / len(curves) - 0.5)
        points = [(ends.index(low_end(row)) + shift, *point(row, rate)) for row in rows]
        x, y, down, up = zip(*points, strict=True) if points else ([], [], [], [])
        look: dict[str, Any] = {"fmt": MARKS[place % len(MARKS)], "color": COLOURS[place % len(COLOURS)]}
        axes.errorbar(x, y, yerr=[down, up], label=label, ms=4, capsize=2, **look)
    axes.set_xticks(range(len(ends)), [_end_text(end) for end in ends], fontsize=8)
    axes.set_xlim(0, max(1, len(ends) - 1))
    axes.grid(alpha=0.3)


def _end_text(end: float) -> str:
    """End of a bin, short.

    >>> _end_text(-math.inf), _end_text(math.pi / 4)
    ('-∞', '0.79')
    """
    return ("-∞" if end < 0 else "∞") if math.isinf(end) else f"{end:.2g}" if abs(end) < 10 else f"{end:g}"


def point(row: Mapping[str, Any], rate: Rate) -> tuple[float, float, float]:
    """A rate, and the lengths of its bar downwards and upwards.

    >>> from archioptrx.tasks.tracks.rates import EFFICIENCY
    >>> [round(value, 3) for value in point({"efficiency": 1.0, "low": 0.692, "high": 1.0}, EFFICIENCY)]
    [1.0, 0.308, 0.0]
    """
    value = row[rate.name]
    return (math.nan, 0.0, 0.0) if value is None else (value, value - row[rate.low], row[rate.high] - value)
