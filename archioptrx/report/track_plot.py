"""Picture of the efficiency of tracks against pT and |η|, with binomial intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.core.files import writing
from archioptrx.core.own_files import picture_metadata
from archioptrx.data.plot import check_picture
from archioptrx.tasks.tracks.figures import binomial_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
AXES = {"pt": "pT of the particle [GeV]", "eta": "|η| of the particle"}
COLOURS = ("#1565c0", "#e8894a", "#2e7d32", "#9c27b0")
BEYOND = 1.5
"""A last bin without an end is drawn up to so many times its beginning."""


def plot_efficiencies(path: Path, curves: Mapping[str, Mapping[str, Rows]], title: str) -> None:
    """Draw efficiencies to a file; its folder is made if it's missing.

    Parameters
    ----------
    curves
        By the name of each curve: `pt` and `eta`, lists of bins with `from`, `to`, `particles` and `efficiency`.
    title
        Definition of the efficiency.

    Raises
    ------
    InputError
        The file's ending isn't one of a picture, or it can't be written.
    """
    check_picture(path)
    figure = efficiency_figure(curves, title)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130, metadata=picture_metadata(path))


def efficiency_figure(curves: Mapping[str, Mapping[str, Rows]], title: str) -> Figure:
    """A panel for each quantity; bars are 95 % intervals of Clopper and Pearson."""
    from matplotlib.figure import Figure

    known = [quantity for quantity in AXES if any(quantity in bins for bins in curves.values())]
    figure = Figure(figsize=(5.6 * max(1, len(known)), 4.2), layout="constrained")
    for place, quantity in enumerate(known):
        axes = figure.add_subplot(1, len(known), place + 1)
        for colour, (name, bins) in zip(COLOURS, curves.items(), strict=False):
            x, half, y, down, up = (
                zip(*map(point, bins.get(quantity, ())), strict=True) if bins.get(quantity) else [()] * 5
            )
            axes.errorbar(x, y, xerr=half, yerr=[down, up], fmt="o", ms=4, color=colour, label=name, capsize=2)
        axes.set_xlabel(AXES[quantity])
        axes.set_ylabel("efficiency")
        axes.set_ylim(top=1.02)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, fontsize=9)
    return figure


def point(row: Mapping[str, Any]) -> tuple[float, float, float, float, float]:
    """Middle and half width of a bin, its efficiency, and the lengths of its bar downwards and upwards.

    >>> [round(value, 3) for value in point({"from": 1.0, "to": 2.0, "particles": 10, "efficiency": 1.0})]
    [1.5, 0.5, 1.0, 0.308, 0.0]
    """
    low, count, value = float(row["from"]), int(row["particles"]), row["efficiency"]
    high = max(low * BEYOND, low + 0.5) if row["to"] is None else float(row["to"])
    if value is None:
        return (low + high) / 2, (high - low) / 2, math.nan, 0.0, 0.0
    least, most = binomial_interval(round(value * count), count)
    return (low + high) / 2, (high - low) / 2, value, value - least, most - value
