"""Figures of other targets: distances in an embedding, parameters of particles, numbers of tracks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import torch
from markupsafe import Markup
from torch import Tensor

from archioptrx.core.errors import InputError
from archioptrx.data.hitgraph import HitGraph
from archioptrx.report.axes import POWERS_OF_TEN
from archioptrx.report.held_out import CUT, HeldOut
from archioptrx.report.page import figure
from archioptrx.report.registry import FIGURES, Figures, TaskFigure, task_figures
from archioptrx.tasks.classification_metrics import Floats
from archioptrx.tasks.node_embedding import NodeEmbedding, pairs_of
from archioptrx.tasks.node_regression import NodeRegression
from archioptrx.tasks.options.parameters import TrackParameter
from archioptrx.tasks.parameters import residuals, split
from archioptrx.tasks.task import Task
from archioptrx.tasks.track_count import TrackCount, track_numbers
from archioptrx.tasks.track_set import TrackSet

BINS = 60
MOST_POINTS = 2000
"""Most graphs in a scatter plot; of more graphs every n-th is drawn."""
LABELS = {"inverse_pt": "1/pT", "charge_over_pt": "charge/pT", "phi": "φ", "eta": "η", "z0": "z0", "charge": "charge"}
TRUE, FALSE, MARK = "var(--c1)", "var(--c2)", "var(--ink)"


def figures_of(name: str, task: Task, outputs: Sequence[Tensor], held: HeldOut) -> dict[str, Markup]:
    """Elements of the page by heading: the figures of one target; none for tasks without any.

    Parameters
    ----------
    name
        The target's name, empty if it is the only one.

    Raises
    ------
    InputError
        A user's own function raises an error, or gives something else than figures.
    """
    if task.name not in FIGURES:
        return {}
    with FIGURES.guarded(task.name):
        figures = FIGURES.get(task.name)(task, outputs, held.batches)
    if not isinstance(figures, Mapping) or not all(isinstance(part, TaskFigure) for part in figures.values()):
        raise InputError(f"report figures {task.name}: gave {figures!r:.80}; allowed: TaskFigure by heading")
    suffix = f"-{name}" if name else ""
    return {
        heading: figure(f"{identifier(heading)}{suffix}", part.chart, part.label, part.height)
        for heading, part in figures.items()
    }


def identifier(heading: str) -> str:
    """A heading as the id of an element.

    >>> identifier("Residuals of 1/pT")
    'residuals-of-1-pt'
    """
    return "-".join(re.findall(r"\w+", heading.lower()))


@task_figures("node_embedding")
def distance_figures(task: NodeEmbedding, outputs: Sequence[Tensor], graphs: Sequence[HitGraph]) -> Figures:
    """Histogram of the distances between hits of one and of different particles; nothing without pairs."""
    pairs = [pairs_of(graph) for graph in graphs]
    apart = [task.distance(embedding, index) for embedding, (index, _) in zip(outputs, pairs, strict=True)]
    distance = torch.cat(apart).double().numpy()
    if not len(distance):
        return {}
    same = torch.cat([same_particle for _, same_particle in pairs]).numpy()
    # What is far beyond the threshold would press all else into the first bins.
    far = float(np.quantile(distance, 0.99))
    limits = np.linspace(0, float(np.clip(far, 2 * task.threshold, 12 * task.threshold)), BINS + 1)
    chart = go.Figure()
    for label, chosen, colour in (("same particle", same, TRUE), ("different particles", ~same, FALSE)):
        counts = np.histogram(np.minimum(distance[chosen], limits[-1]), limits)[0].tolist()
        chart.add_scatter(
            x=limits.tolist(), y=[value or None for value in [*counts, counts[-1]]], mode="lines",
            name=f"{label}: {int(chosen.sum()):,}", line={"shape": "hv", "color": colour, "width": 2},
        )  # fmt: skip
    chart.add_vline(x=task.threshold, line={"color": MARK, "dash": "dot", "width": 1.2})
    axis = {"title": {"text": "pairs (the last bin holds all beyond)"}, **POWERS_OF_TEN}
    title = (
        f"{task.options.distance} distance of a pair's hits; below {task.threshold:g} they are assigned to one particle"
    )
    chart.update_layout(xaxis={"title": {"text": title}}, yaxis=axis)
    label = "Histogram of the distances of hits of one and of different particles"
    return {"Distances of hits": TaskFigure(chart, label)}


@task_figures("node_regression")
def parameter_figures(task: NodeRegression, outputs: Sequence[Tensor], graphs: Sequence[HitGraph]) -> Figures:
    """Predicted against true values, and residuals, of each parameter; nothing where all hits are noise."""
    predicted, truth = task.of_particles(outputs, graphs)
    if not len(truth):
        return {}
    names = task.options.parameters
    figures = {}
    for (parameter, predicted_values), (_, true_values) in zip(
        split(predicted, names), split(truth, names), strict=True
    ):
        label, errors = LABELS[parameter.name], residuals(parameter, predicted_values, true_values)
        figures[f"Predicted and true {label}"] = predicted_and_true(parameter, predicted_values, true_values)
        figures[f"Residuals of {label}"] = residual_histogram(parameter, errors)
    return figures


def predicted_and_true(parameter: TrackParameter, predicted: Floats, truth: Floats) -> TaskFigure:
    """Heat map of the hits by true and by predicted value."""
    predicted_values, true_values = in_unit(parameter, predicted), in_unit(parameter, truth)
    low, high = np.quantile(true_values, [0.005, 0.995])
    limits = np.linspace(low, high if high > low else low + 1, 41)
    counts = np.histogram2d(np.clip(predicted_values, limits[0], limits[-1]), true_values, [limits, limits])[0]
    middles = (limits[1:] + limits[:-1]) / 2
    shown = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)
    chart = go.Figure()
    chart.add_heatmap(
        x=middles.tolist(), y=middles.tolist(), z=[[None if v != v else v for v in row] for row in shown.tolist()],
        customdata=counts.astype(int).tolist(), showscale=False, colorscale=[[0, "var(--line)"], [1, "var(--c1)"]],
        hovertemplate="true %{x:.3g}<br>predicted %{y:.3g}<br>%{customdata:,} hits<extra></extra>",
    )  # fmt: skip
    ends = [float(limits[0]), float(limits[-1])]
    chart.add_scatter(x=ends, y=ends, mode="lines", line={"color": MARK, "dash": "dot", "width": 1.2}, showlegend=False)
    label = labelled(parameter)
    chart.update_layout(xaxis={"title": {"text": f"true {label}"}}, yaxis={"title": {"text": f"predicted {label}"}})
    return TaskFigure(chart, f"Predicted against true {label}", 380)


def residual_histogram(parameter: TrackParameter, error: Floats) -> TaskFigure:
    """Histogram of predicted minus true value, with bias (median) and resolution (half of the central 68 % interval).

    The outermost bins hold all values beyond.
    """
    low, middle, high = np.percentile(error, [16, 50, 84])
    width = (high - low) / 2
    limits = np.linspace(middle - 5 * (width or 1), middle + 5 * (width or 1), BINS + 1)
    counts = np.histogram(np.clip(error, limits[0], limits[-1]), limits)[0].tolist()
    chart = go.Figure()
    label = f"bias {middle:.3g}, resolution {width:.3g}"
    chart.add_scatter(
        x=limits.tolist(), y=[*counts, counts[-1]], mode="lines", name=label, showlegend=True,
        line={"shape": "hv", "color": TRUE, "width": 2},
    )  # fmt: skip
    chart.update_layout(
        xaxis={"title": {"text": f"predicted − true {labelled(parameter)}"}},
        yaxis={"title": {"text": "hits"}, "rangemode": "tozero"},
    )
    return TaskFigure(chart, f"Residuals of {labelled(parameter)}", 380)


@task_figures("track_count")
def track_count_figures(task: TrackCount, outputs: Sequence[Tensor], graphs: Sequence[HitGraph]) -> Figures:
    """Predicted and true numbers of tracks."""
    predicted = torch.cat([task.number(output.double()) for output in outputs]).numpy()
    truth = torch.cat([track_numbers(graph, task.options.hits) for graph in graphs]).double().numpy()
    return {"Numbers of tracks": track_number_figure(predicted, truth)}


@task_figures("track_set")
def track_set_figures(task: TrackSet, outputs: Sequence[Tensor], graphs: Sequence[HitGraph]) -> Figures:
    """Numbers of accepted and of true tracks."""
    pairs = [(len(tracks), len(truth)) for tracks, truth in task.accepted(outputs, graphs, CUT)]
    predicted, truth = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return {"Numbers of tracks": track_number_figure(predicted, truth)}


def track_number_figure(predicted: Floats, truth: Floats) -> TaskFigure:
    """Predicted against true numbers of tracks; the area of a point is the number of graphs."""
    step = max(1, -(-len(truth) // MOST_POINTS))
    points, counts = np.unique(np.stack([truth, predicted])[:, ::step], axis=1, return_counts=True)
    ends = [float(min(predicted.min(), truth.min())), float(max(predicted.max(), truth.max()))]
    chart = go.Figure()
    chart.add_scatter(x=ends, y=ends, mode="lines", line={"color": MARK, "dash": "dot", "width": 1.2}, showlegend=False)
    shown = f"{len(truth[::step]):,} graphs" + (f", 1 in {step}" if step > 1 else "")
    chart.add_scatter(
        x=points[0].tolist(), y=points[1].tolist(), mode="markers", name=shown, showlegend=True,
        marker={"color": TRUE, "size": np.round(6 * np.sqrt(counts), 1).tolist(), "opacity": 0.6},
        customdata=counts.tolist(),
        hovertemplate="true %{x:.0f}<br>predicted %{y:.2f}<br>%{customdata:,} graphs<extra></extra>",
    )  # fmt: skip
    chart.update_layout(
        xaxis={"title": {"text": "true number of tracks"}}, yaxis={"title": {"text": "predicted number"}}
    )
    return TaskFigure(chart, "Predicted against true number of tracks")


def in_unit(parameter: TrackParameter, values: Floats) -> Floats:
    """Values of a parameter in its unit. Shapes: [N, 1 or 2] -> [N]."""
    if parameter.periodic:
        return np.arctan2(values[:, 0], values[:, 1])
    in_units: Floats = parameter.centre + parameter.scale * values[:, 0]
    return in_units


def labelled(parameter: TrackParameter) -> str:
    """Name and unit of a parameter."""
    return f"{LABELS[parameter.name]}{f' [{parameter.unit}]' if parameter.unit else ''}"
