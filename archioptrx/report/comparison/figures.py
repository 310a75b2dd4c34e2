"""Figures of a comparison's page, in the colours of the page; a model has the same colour in all figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from archioptrx.report.axes import POWERS_OF_TEN
from archioptrx.report.comparison.decisions import Pair
from archioptrx.report.comparison.pictures import Curves, Display
from archioptrx.report.comparison.result import ComparedModel, Comparison, Number
from archioptrx.report.comparison.text import metric_text, p_text
from archioptrx.report.page import View, hover_text

Trace = dict[str, Any]
GOOD, BAD, BOTH, TRUE = "var(--c1)", "var(--bad)", "var(--c8)", "var(--strong)"
COLOURS = 8
"""Colours of the page before they are repeated."""
NARROW = {"l": 8, "r": 16, "t": 28, "b": 48}
COSTS: Mapping[str, Callable[[ComparedModel], float | None]] = {
    "parameters": lambda entry: entry.parameters,
    "latency (ms)": lambda entry: entry.latency,
    "memory (MiB)": lambda entry: None if entry.memory is None else entry.memory / 2**20,
}


def colour(place: int) -> str:
    """Colour of the model at a place."""
    return f"var(--c{place % COLOURS + 1})"


def figure_of(traces: Sequence[Trace], **layout: Any) -> go.Figure:
    """Figure of plain traces."""
    return go.Figure(data=list(traces), layout=layout)


def interval_figure(comparison: Comparison, names: Sequence[str]) -> tuple[go.Figure, list[View]]:
    """Forest plot: value and interval of each model, for the metric that a switch chooses."""
    traces = [
        _forest([entry.name], [entry.metrics.get(names[0])], place, entry.name)
        for place, entry in enumerate(comparison.entries)
    ]
    views = [
        View(
            "Metric",
            metric_text(name),
            [_forest_data([entry.name], [entry.metrics.get(name)]) for entry in comparison.entries],
            {"xaxis": {"title": {"text": metric_text(name)}}},
        )
        for name in names
    ]
    figure = figure_of(
        traces,
        xaxis={"title": {"text": metric_text(names[0])}},
        yaxis={"type": "category", "range": [len(comparison.entries) - 0.5, -0.5]},  # the first one at the top
        showlegend=False,
        margin=NARROW,
    )
    return figure, views


def stage_figure(entries: Sequence[ComparedModel], stages: Sequence[str]) -> go.Figure:
    """Bars of the seconds per event of each entry, divided into its stages."""
    names = [hover_text(entry.title) for entry in entries]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": stage,
            "y": names,
            "x": [entry.seconds.get(stage) for entry in entries],
            "marker": {"color": colour(place), "pattern": {"shape": "" if place < COLOURS else "/"}},
            "hovertemplate": f"%{{y}}<br>{stage}: %{{x:.4f}} s<extra></extra>",
        }
        for place, stage in enumerate(stages)
    ]
    rows = {"type": "category", "autorange": "reversed", "categoryorder": "array", "categoryarray": names}
    axis = {"title": {"text": "seconds per event"}, "rangemode": "tozero"}
    return figure_of(traces, barmode="stack", xaxis=axis, yaxis=rows, legend={"traceorder": "normal"}, showlegend=True)


def difference_figure(comparison: Comparison, names: Sequence[str]) -> go.Figure:
    """Paired differences of all metrics from the first model, one mark for each other model."""
    traces = []
    for place, entry in enumerate(comparison.entries[1:], 1):
        shared = [name for name in names if name in entry.differences]
        labels = [metric_text(name) for name in shared]
        traces.append(_forest(labels, [entry.differences[name] for name in shared], place, entry.name))
    axis = {
        "title": {"text": f"difference from {hover_text(comparison.first.name)}"},
        "zeroline": True,
        "zerolinecolor": "var(--ink)",
    }
    order = [metric_text(name) for name in names]
    rows: dict[str, Any] = {
        "type": "category",
        "autorange": "reversed",
        "categoryorder": "array",
        "categoryarray": order,
    }
    return figure_of(
        traces, xaxis=axis, yaxis=rows, scattermode="group", scattergap=0.4, showlegend=len(traces) > 1, margin=NARROW
    )


def _forest(labels: Sequence[str], values: Sequence[Number | None], place: int, name: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": hover_text(name),
        "marker": {"color": colour(place), "size": 9},
        "orientation": "h",
        "hovertemplate": f"{hover_text(name)}<br>%{{y}}<br>%{{text}}<extra></extra>",
        **_forest_data(labels, values),
    }


def _forest_data(labels: Sequence[str], values: Sequence[Number | None]) -> Trace:
    numbers = [number or Number(None) for number in values]
    up = [None if number.value is None or number.high is None else number.high - number.value for number in numbers]
    down = [None if number.value is None or number.low is None else number.value - number.low for number in numbers]
    return {
        "x": [number.value for number in numbers],
        "y": [hover_text(label) for label in labels],
        "error_x": {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 2, "width": 5},
        "text": [_number_text(number) for number in numbers],
    }


def _number_text(number: Number) -> str:
    if number.value is None:
        return "–"
    return f"{number.value:.5f}" + ("" if number.low is None else f" ({number.low:.5f} … {number.high:.5f})")


def change_figure(pairs: Sequence[Pair], rows_name: str) -> go.Figure:
    """Bars of the rows that each model fixes, to the right, and worsens, to the left."""
    rows = [f"{hover_text(pair.second)}<br>against {hover_text(pair.first)}" for pair in pairs]
    bars = (("fixes", GOOD, [pair.fixes for pair in pairs], 1), ("worsens", BAD, [pair.worsens for pair in pairs], -1))
    traces: list[Trace] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": rows,
            "x": [sign * number for number in numbers],
            "text": [f"{number:,}" for number in numbers],
            "textposition": "auto",
            "marker": {"color": ink},
            "hovertext": [
                f"net {pair.net:+,}, McNemar p {hover_text(p_text(pair.p))}{'*' * pair.firm}" for pair in pairs
            ],
        }
        for name, ink, numbers, sign in bars
    ]
    axis = {
        "title": {"text": f"{rows_name} worsened (left) and fixed (right)"},
        "zeroline": True,
        "zerolinecolor": "var(--ink)",
    }
    return figure_of(traces, barmode="relative", xaxis=axis, yaxis={"autorange": "reversed", "type": "category"})


def roc_comparison(curves: Mapping[str, Curves], places: Mapping[str, int]) -> go.Figure:
    """ROC curves: efficiency over false positive rate, the share of the false rows that are accepted."""
    lines = [
        (name, curve.false_rate, curve.efficiency, curve.at_cut and curve.at_cut[1::-1])
        for name, curve in curves.items()
    ]
    axes = {
        "xaxis": {**POWERS_OF_TEN, "title": {"text": "false positive rate"}},
        "yaxis": {"title": {"text": "efficiency"}},
    }
    return figure_of([trace for line in lines for trace in _curve(*line, place=places[line[0]])], **axes)


def purity_comparison(curves: Mapping[str, Curves], places: Mapping[str, int]) -> go.Figure:
    """Curves of purity over efficiency."""
    lines = [
        (name, curve.efficiency, curve.purity, curve.at_cut and curve.at_cut[::2]) for name, curve in curves.items()
    ]
    axes = {"xaxis": {"title": {"text": "efficiency"}}, "yaxis": {"title": {"text": "purity"}}}
    return figure_of([trace for line in lines for trace in _curve(*line, place=places[line[0]])], **axes)


def _curve(name: str, x: Any, y: Any, mark: Sequence[float] | None, place: int) -> list[Trace]:
    label, line = hover_text(name), {"color": colour(place), "width": 2}
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": label,
            "legendgroup": label,
            "line": line,
            "x": _short(x),
            "y": _short(y),
        }
    ]
    if mark:
        dot = {"color": colour(place), "size": 11, "symbol": "diamond"}
        at = {"x": [mark[0]], "y": [mark[1]], "name": f"{label} at its cut", "legendgroup": label, "showlegend": False}
        traces.append({"type": "scatter", "mode": "markers", "marker": dot, **at})
    return traces


def _short(values: Any) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def changed_edges_figure(shown: Display) -> go.Figure:
    """Drawing of an event in x-y: edges that the second model fixes and worsens, and those where both agree."""
    kinds = (
        ("true, both right", (shown.state == 0) & shown.truth, TRUE, 0.7),
        ("both wrong", shown.state == 3, BOTH, 1.2),
        (f"worsened by {shown.second}", shown.state == 2, BAD, 2.2),
        (f"fixed by {shown.second}", shown.state == 1, GOOD, 2.2),
    )
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{hover_text(name)} ({int(which.sum()):,})",
            "line": {"color": ink, "width": width},
            "hoverinfo": "skip",
            **_lines(shown, which),
        }
        for name, which, ink, width in kinds
    ]
    x, y = np.round(shown.hits.T, 1)
    dots = {"color": "var(--soft)", "size": 3}
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "hits",
            "marker": dots,
            "x": x.tolist(),
            "y": y.tolist(),
            "hoverinfo": "skip",
        }
    )
    square = {"title": {"text": "y (mm)"}, "scaleanchor": "x"}
    return figure_of(traces, xaxis={"title": {"text": "x (mm)"}}, yaxis=square)


def _lines(shown: Display, which: Any) -> dict[str, list[float | None]]:
    """Line segments with gaps between them."""
    ends = np.round(shown.hits[shown.edges[:, which]], 1)  # [2, edges, 2]
    points: list[list[float | None]] = [[], []]
    for inner, outer in zip(*ends.tolist(), strict=True):
        for axis in (0, 1):
            points[axis] += [inner[axis], outer[axis], None]
    return {"x": points[0], "y": points[1]}


def score_over_cost(comparison: Comparison, name: str) -> tuple[go.Figure, list[View]]:
    """Figure of a metric with its interval over parameters, latency or memory."""
    networks = [entry for entry in comparison.entries if entry.network]
    costs = [cost for cost, get in COSTS.items() if all(get(entry) for entry in networks)]
    traces = []
    for place, entry in enumerate(comparison.entries):
        if not entry.network:
            continue
        number = entry.metrics[name]
        base = _forest_data([entry.name], [number])
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "marker": {"color": colour(place), "size": 11},
                "name": hover_text(entry.name),
                "x": [COSTS[costs[0]](entry)],
                "y": base["x"],
                "error_y": base["error_x"],
            }
        )
    views = [
        View(
            "Cost",
            cost,
            [{"x": [COSTS[cost](entry)]} for entry in networks],
            {"xaxis": {"title": {"text": cost}}},
        )
        for cost in costs
    ]
    axes = {
        "xaxis": {"title": {"text": costs[0]}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": metric_text(name)}},
    }
    return figure_of(traces, showlegend=True, **axes), views
