"""Figures of a page: efficiency, fake rate and duplicate rate of tracks in bins, curves beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from archioptrx.report.page import View, hover_text
from archioptrx.tasks.tracks.rates import TITLES, Bins, Rate, bin_rows, range_text

MOST_IN_LINE = 6
"""Bins whose labels have room beside each other; more have labels of two lines."""
Curves = Mapping[str, Bins]
"""Results of `in_bins` by the name of each curve."""
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "x", "cross", "star", "pentagon")


def rate_chart(curves: Curves, rate: Rate, quantities: Sequence[str]) -> tuple[go.Figure, list[View]]:
    """Figure of a rate against the first of some quantities, and a view for each of them.

    Curves have the colours of the page in their order. All views have one range of the rate.
    """
    first, *_ = views = [_view(curves, rate, name) for name in quantities]
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": hover_text(label),
            "marker": {"color": f"var(--c{place % 8 + 1})", "size": 7, "symbol": SYMBOLS[place % len(SYMBOLS)]},
            "hovertemplate": f"{hover_text(label)}<br>%{{x}}<br>%{{text}}<extra></extra>",
            **first.data[place],
        }
        for place, label in enumerate(curves)
    ]
    layout = {
        "yaxis": {"title": {"text": rate.title}, "range": rate.span(curves.values()), "zeroline": False},
        "scattermode": "group",
        "scattergap": 0.5,
        "showlegend": True,
        **first.layout,
    }
    return go.Figure(data=traces, layout=layout), views if len(views) > 1 else []


def _view(curves: Curves, rate: Rate, quantity: str) -> View:
    """Points of all curves against one quantity."""
    tables = [rate.rows(bins, quantity) for bins in curves.values()]
    order = [range_text(row) for row in bin_rows(tables)]
    axis: dict[str, Any] = {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": order,
        "range": [-0.5, len(order) - 0.5],
    }
    between = "… " if len(order) <= MOST_IN_LINE else "…<br>"  # plotly would turn labels that have no room
    # Also where they are the names of the bins: the labels of another view would stay.
    axis |= {"tickvals": order, "ticktext": [name.replace("… ", between) for name in order], "tickangle": 0}
    axis["title"] = {"text": rate.title_of(quantity)}
    label = TITLES[quantity].partition(" ")[0]
    return View("against", label, [_points(rows, rate) for rows in tables], {"xaxis": axis})


def _points(rows: Sequence[Mapping[str, Any]], rate: Rate) -> dict[str, Any]:
    """Places, values and intervals of a curve."""
    known = [row for row in rows if row[rate.name] is not None]
    return {
        "x": [range_text(row) for row in known],
        "y": [row[rate.name] for row in known],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [row[rate.high] - row[rate.name] for row in known],
            "arrayminus": [row[rate.name] - row[rate.low] for row in known],
            "thickness": 1.5,
            "width": 3,
        },
        "text": [f"{rate.text(row)}<br>{row[rate.count]:,} {rate.count}" for row in known],
    }
