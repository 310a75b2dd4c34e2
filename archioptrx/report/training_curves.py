"""Training curves: all recorded quantities of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from archioptrx.report.axes import distance_view, is_share, log_axis, name_and_sign
from archioptrx.report.content import Content
from archioptrx.report.page import View, figure

Row = Mapping[str, Any]
LOGARITHMIC = ("loss (training)", "loss", "learning rate", "gradient norm")
NOTED = {
    "loss": "loss (training)",
    "learning_rate": "learning rate",
    "gradient_norm": "gradient norm",
    "weight_norm": "weight norm",
    "seconds": "seconds so far",
    "memory": "memory (bytes)",
    "gpu_memory": "GPU memory (bytes)",
}
"""Quantities of an epoch besides metrics, with their labels."""


def training_quantities(content: Content, row: Row) -> dict[str, list[float | None]]:
    """Values after each epoch of a trial, by name; at least its score."""
    lines = content.curves.get(row["proposal"], [])
    score, sign = name_and_sign(content.experiment.objective.first)
    values = [_number(line["score"]) for line in lines] if lines else list(row["curve"])
    values_by_name = {f"validation {score}": [None if value is None else sign * value for value in values]}
    if not lines:
        return values_by_name
    for key, name in NOTED.items():
        values_by_name[name] = [_number(line.get(key)) for line in lines]
    for key in dict.fromkeys(name for line in lines for name in line["metrics"]):
        values_by_name.setdefault(f"validation {key}", [_number(line["metrics"].get(key)) for line in lines])
    return {name: values for name, values in values_by_name.items() if any(value is not None for value in values)}


def training_figure(content: Content, name: str, rows: Sequence[Row], height: int) -> Markup:
    """Figure with a line for each trial; a switch, or a list, chooses the quantity."""
    known = [training_quantities(content, row) for row in rows]
    names = list(dict.fromkeys(quantity for quantities in known for quantity in quantities))
    chart = go.Figure()
    for number, (row, values) in enumerate(zip(rows, known, strict=True)):
        y = values.get(names[0], [])
        line = {"color": f"var(--c{number % 8 + 1})", "dash": "solid" if number < 8 else "dash"}
        epochs = list(range(1, len(next(iter(values.values()))) + 1))
        hover = f"trial {row['id']}, epoch %{{x}}: %{{y:.6g}}<extra></extra>"
        chart.add_scatter(
            x=epochs, y=y, name=row["id"], mode="lines+markers", line=line, marker={"size": 5}, hovertemplate=hover
        )
    chart.update_layout(
        xaxis={"title": "epoch", "dtick": 1 if max(len(trace.x) for trace in chart.data) <= 20 else None},
        yaxis_title=names[0],
        showlegend=len(rows) > 1,
    )
    views = [view for quantity in names for view in _views(content, quantity, known)]
    label = f"Training curves of {', '.join(row['id'] for row in rows)}"
    return figure(name, chart, label, height, views if len(views) > 1 else [])


def _views(content: Content, quantity: str, known: Sequence[Mapping[str, Sequence[float | None]]]) -> list[View]:
    """View of a quantity; for a score with the bound 1 also one of its distance to 1."""
    traces = [list(curves.get(quantity, [])) for curves in known]
    all_values = [value for values in traces for value in values]
    log = _logarithmic(quantity, all_values)
    axis = log_axis(all_values, quantity) if log else {"type": "linear", "title": {"text": quantity}}
    views = [View("Show", quantity, [{"y": values} for values in traces], {"yaxis": axis})]
    goal = content.experiment.objective.first
    if quantity == f"validation {name_and_sign(goal)[0]}" and is_share(goal, all_values):
        views.append(distance_view("Show", quantity, traces))
    return views


def _logarithmic(quantity: str, values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return quantity.removeprefix("validation ") in LOGARITHMIC and bool(known) and min(known) > 0


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
