"""Quality of a binary classifier on all held-out events: scores, ROC, purity against efficiency, by pT and η."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from numpy.typing import NDArray

from archioptrx.report.axes import POWERS_OF_TEN, log_axis
from archioptrx.report.held_out import CUT, CUT_LOGIT, BinaryTarget
from archioptrx.report.page import View, figure
from archioptrx.tasks.classification_metrics import Bools, Floats, Ranking

MOST_POINTS = 500
"""Points of a drawn curve, at most."""
BINS = 50
"""Bins of the score histogram."""
TRUE, FALSE, MARK = "var(--c1)", "var(--c2)", "var(--ink)"


@dataclass(frozen=True)
class Rates:
    """Rates at each distinct score, from the highest down, beginning with the point where nothing is accepted.

    Attributes
    ----------
    efficiency, purity, false : float64 [K + 1]
        Shares: true rows accepted, accepted rows true, false rows accepted. Where no row is accepted, the purity is
        that of the next point.
    cut
        Place of the last score that is `CUT` or more; 0 where none is.
    """

    efficiency: Floats
    purity: Floats
    false: Floats
    cut: int

    @classmethod
    def of(cls, logits: Floats, truth: Bools) -> Rates:
        """Compute the rates from rows of both classes. Shapes: logits [R], truth bool [R]."""
        ranking = Ranking.of(logits, truth)
        true, false = np.append(0, ranking.true), np.append(0, ranking.false)
        purity = ranking.true / (ranking.true + ranking.false)
        cut = int((ranking.thresholds >= CUT_LOGIT).sum())
        return cls(true / true[-1], np.append(purity[:1], purity), false / false[-1], cut)


def curve_places(x: Floats, y: Floats, most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Choose points of a curve at about equal distances along it; both ends are always among them.

    Shapes: x, y [K] in the units of the picture -> int64 [≤ most].
    """
    if len(x) <= most:
        return np.arange(len(x))
    extent = [float(np.ptp(values)) or 1.0 for values in (x, y)]
    steps = np.hypot(np.diff(x) / extent[0], np.diff(y) / extent[1])
    along = np.append(0.0, np.cumsum(steps))
    places = np.searchsorted(along, np.linspace(0, along[-1], most - 2))
    return np.unique(np.append(places, len(x) - 1).clip(max=len(x) - 1))


def classification_figures(target: BinaryTarget, metrics: Mapping[str, Any]) -> dict[str, Markup]:
    """Figures of one target by their headings.

    Parameters
    ----------
    target
        The target, with the outputs of the model.
    metrics
        Metrics of this target, as `evaluate` gives them.
    """
    logits, truth = target.logits[target.counted], target.truth[target.counted]
    suffix = f"-{target.name}" if target.name else ""
    plural = target.task.rows.plural
    figures = {"Scores": score_histogram(f"score-histogram{suffix}", logits, truth, plural)}
    if metrics["auc"] is not None:
        rates = Rates.of(logits, truth)
        figures["ROC"] = roc_figure(f"roc{suffix}", rates, metrics)
        figures["Purity and efficiency"] = purity_figure(f"purity-efficiency{suffix}", rates, metrics)
        figures["Calibration"] = calibration_figure(f"calibration{suffix}", logits, truth, plural)
    if len(target.passes) > 1:
        figures["Metrics by iteration"] = pass_figure(f"by-iteration{suffix}", target.by_pass())
    for name, axis in (("pt", "pT [GeV]"), ("eta", "|η|")):
        if metrics.get(name):
            heading = f"Efficiency and purity by {axis.split()[0]}"
            figures[heading] = binned_figure(f"by-{name}{suffix}", metrics[name], axis, plural)
    return figures


def score_histogram(name: str, logits: Floats, truth: Bools, plural: str) -> Markup:
    """Histogram of the scores of true and of false rows; counts on a logarithmic scale."""
    chart = go.Figure()
    scores = probability(logits)
    limits = np.linspace(0, 1, BINS + 1)
    for label, chosen, colour in (("true", truth, TRUE), ("false", ~truth, FALSE)):
        counts = np.histogram(scores[chosen], limits)[0]
        steps = {"x": limits.tolist(), "y": [*map(_positive, counts), _positive(counts[-1])]}
        shown = f"{label}: {int(chosen.sum()):,}"
        chart.add_scatter(**steps, name=shown, mode="lines", line={"shape": "hv", "color": colour, "width": 2})
    chart.add_vline(x=CUT, line={"color": MARK, "dash": "dot", "width": 1.2})
    chart.update_layout(
        xaxis={"title": {"text": "score"}, "range": [-0.01, 1.01]},
        yaxis={"title": {"text": f"{plural} per 0.02"}, **POWERS_OF_TEN},
    )
    return figure(name, chart, f"Histogram of the scores of true and of false {plural}", 360)


def roc_figure(name: str, rates: Rates, metrics: Mapping[str, Any]) -> Markup:
    """ROC curve: efficiency against false positive rate, the share of the false rows that are accepted."""
    logarithmic = np.log10(np.maximum(rates.false, 0.5 * _least(rates.false)))
    at = np.unique(
        np.append(curve_places(logarithmic, rates.efficiency, 250), curve_places(rates.false, rates.efficiency, 250))
    )
    chart = _curve(rates.false, rates.efficiency, at, f"AUC {metrics['auc']:.5f}", TRUE)
    place = float(rates.false[rates.cut]), float(rates.efficiency[rates.cut])
    _mark(chart, *place, f"cut {CUT:g}: {place[1]:.2%} of true, {place[0]:.2%} of false accepted")
    axis = {"title": {"text": "false positive rate"}}
    chart.update_layout(xaxis={**axis, **POWERS_OF_TEN}, yaxis={"title": {"text": "efficiency"}})
    linear = View("scale", "linear", layout={"xaxis": {"type": "linear", "dtick": None, "range": [-0.02, 1.02]}})
    views = [View("scale", "logarithmic"), linear]
    return figure(name, chart, "ROC curve: efficiency against false positive rate", 360, views)


def purity_figure(name: str, rates: Rates, metrics: Mapping[str, Any]) -> Markup:
    """Purity against efficiency."""
    at = curve_places(rates.efficiency, rates.purity)
    chart = _curve(rates.efficiency, rates.purity, at, f"average precision {metrics['average_precision']:.5f}", TRUE)
    place = float(rates.efficiency[rates.cut]), float(rates.purity[rates.cut])
    _mark(chart, *place, f"cut {CUT:g}: efficiency {place[0]:.4f}, purity {place[1]:.4f}")
    chart.update_layout(xaxis={"title": {"text": "efficiency"}}, yaxis={"title": {"text": "purity"}})
    low = float(min(0.9, rates.purity[rates.cut], rates.efficiency[rates.cut]))
    zoom = {"range": [max(0.0, 2 * low - 1), 1.004]}
    views = [View("range", "near the cut", layout={"xaxis": zoom, "yaxis": zoom}), View("range", "all")]
    return figure(name, chart, "Purity against efficiency, the cut at 0.5 marked", 360, views)


def calibration_figure(name: str, logits: Floats, truth: Bools, plural: str) -> Markup:
    """Share of true rows against the score: on the diagonal a score is a probability."""
    scores = probability(logits)
    place = np.minimum((10 * scores).astype(int), 9)
    count = np.bincount(place, minlength=10)
    used = count > 0
    mean = np.bincount(place, scores, 10)[used] / count[used]
    share = np.bincount(place, truth, 10)[used] / count[used]
    error = np.sqrt(share * (1 - share) / count[used])
    chart = go.Figure()
    chart.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": MARK, "dash": "dot", "width": 1.2},
        showlegend=False,
        hoverinfo="skip",
    )
    chart.add_scatter(
        x=mean.tolist(), y=share.tolist(), error_y={"array": error.tolist(), "thickness": 1.2}, mode="lines+markers",
        line={"color": TRUE}, name="ten bins of the score", customdata=count[used].tolist(),
        hovertemplate=f"mean score %{{x:.3f}}<br>true fraction %{{y:.3f}}<br>%{{customdata:,}} {plural}<extra></extra>",
    )  # fmt: skip
    chart.update_layout(xaxis={"title": {"text": "mean score"}}, yaxis={"title": {"text": "true fraction"}})
    return figure(name, chart, "Calibration: fraction of true rows against the mean score", 360)


def pass_figure(name: str, passes: Sequence[Mapping[str, float | None]]) -> Markup:
    """Distance of AUC, efficiency and purity to 1 after each pass of the loop."""
    chart = go.Figure()
    plotted: list[float | None] = []
    looks = {"auc": ("1 − AUC", TRUE), "efficiency": ("1 − efficiency", FALSE), "purity": ("1 − purity", "var(--c3)")}
    for key, (label, colour) in looks.items():
        values = [metrics[key] for metrics in passes]
        missing = [_positive(1 - value) if value is not None else None for value in values]
        plotted += missing
        chart.add_scatter(
            x=list(range(len(passes))), y=missing, name=label, mode="lines+markers", line={"color": colour},
            customdata=values, hovertemplate=f"iteration %{{x}}<br>{key} %{{customdata:.5f}}<extra></extra>",
        )  # fmt: skip
    chart.update_layout(
        xaxis={"title": {"text": "iteration"}, "dtick": max(1, len(passes) // 12)},
        yaxis=log_axis(plotted, f"1 − value (cut {CUT:g})"),
    )
    return figure(name, chart, "1 − AUC, 1 − efficiency and 1 − purity after each iteration of the loop", 360)


def binned_figure(name: str, bins: Sequence[Mapping[str, Any]], axis: str, plural: str) -> Markup:
    """Efficiency and purity in bins of a quantity, as `evaluate` prints them, with binomial errors."""
    chart = go.Figure()
    labels = [f"{row['from']:g} … {'∞' if row['to'] is None else format(row['to'], 'g')}" for row in bins]
    true = [row["true_fraction"] * row[plural] for row in bins]
    for key, colour in (("efficiency", TRUE), ("purity", FALSE)):
        values = [row[key] for row in bins]
        sizes = [
            n if key == "efficiency" else (n * (row["efficiency"] or 0) / row["purity"] if row["purity"] else 0)
            for n, row in zip(true, bins, strict=True)
        ]
        errors = [
            (value * (1 - value) / n) ** 0.5 if value is not None and n else 0.0
            for value, n in zip(values, sizes, strict=True)
        ]
        chart.add_scatter(
            x=labels, y=values, error_y={"array": errors, "thickness": 1.2}, name=key, mode="lines+markers",
            line={"color": colour}, customdata=[row[plural] for row in bins],
            hovertemplate=f"{key} %{{y:.4f}}<br>%{{customdata:,}} {plural}<extra></extra>",
        )  # fmt: skip
    chart.update_layout(
        xaxis={"title": {"text": axis}, "type": "category"}, yaxis={"title": {"text": f"value at cut {CUT:g}"}}
    )
    return figure(name, chart, f"Efficiency and purity by {axis}", 360)


def probability(logits: Floats) -> Floats:
    """The logistic function, without overflow."""
    probabilities: Floats = 0.5 * (1 + np.tanh(0.5 * logits))
    return probabilities


def _curve(x: Floats, y: Floats, at: NDArray[np.intp], label: str, colour: str) -> go.Figure:
    chart = go.Figure()
    chart.add_scatter(x=x[at].tolist(), y=y[at].tolist(), mode="lines", name=label, line={"color": colour, "width": 2})
    return chart


def _mark(chart: go.Figure, x: float, y: float, label: str) -> None:
    marker = {"color": MARK, "size": 9, "symbol": "diamond"}
    chart.add_scatter(x=[x], y=[y], mode="markers", name=label, marker=marker)


def _positive(value: float) -> float | None:
    """Positive number for a logarithmic axis; None for all others."""
    return float(value) if value > 0 else None


def _least(values: Floats) -> float:
    return float(values[values > 0].min())
