"""Section on the course of the search: score of each trial, and the best one so far, over trials and over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go

from archioptrx.report.axes import name_and_sign, score_views, time_unit
from archioptrx.report.content import Content
from archioptrx.report.page import Section, View, figure
from archioptrx.report.trials import SCRIPTS
from archioptrx.search.winner import SeedSpread

Row = Mapping[str, Any]
MANY = 1000
"""Number of dots above which they are drawn small and pale."""


def section(content: Content) -> Section | None:
    """Section with the scores; None before a trial has ended."""
    if not content.rows:
        return None
    body = figure("scores-figure", *_figure(content))
    description = (
        "Score of each trial, and the best score so far. A diamond is a network that was trained again, at the place "
        "of its trial: mean and spread over the seeds. Failed trials are marked at the bottom. A click opens a trial."
    )
    return Section("scores", "Scores", body, description, SCRIPTS)


def _figure(content: Content) -> tuple[Any, str, int, list[View]]:
    """Figure of the scores, its label, height and views."""
    goal = content.experiment.objective.first
    metric, sign = name_and_sign(goal)
    ended = sorted(enumerate(content.rows), key=lambda numbered: numbered[1]["ended"])
    order = {place: number for number, (place, _) in enumerate(ended, 1)}
    clock, unit = wall_times(content.rows)
    groups = [[trial for trial in ended if trial[1]["status"] == status] for status in ("finished", "pruned", "failed")]
    scored = [trial for trial in ended if trial[1]["score"] is not None]
    again = spreads_of(content)
    retrained = [trial for trial in ended if trial[1]["proposal"] in again]
    # A line over the best so far; in front of the dots.
    best = [sign * score for score in accumulate((row["score"] for _, row in scored), max)]
    chart = go.Figure()
    for name, members in zip(("finished", "pruned"), groups, strict=False):
        chart.add_scatter(y=[sign * row["score"] for _, row in members], name=name, **dots(name, dot_size(len(ended))))
    chart.add_scatter(y=best, name="best so far", mode="lines", line={"shape": "hv", "width": 2, "color": "var(--c2)"})
    spreads = [again[row["proposal"]] for _, row in retrained]
    error = {"type": "data", "array": [spread.deviation for spread in spreads], "width": 4}
    chart.add_scatter(
        y=[sign * spread.mean for spread in spreads], name="trained again", error_y=error, **dots("c4", 10, "diamond")
    )
    chart.add_scatter(y=[0.015] * len(groups[2]), yaxis="y2", name="failed", **dots("failed", 8, "x-thin-open"))
    shown = [[place for place, _ in group] for group in (*groups[:2], scored, retrained, groups[2])]
    for trace, places in zip(chart.data, shown, strict=True):
        trace.update(x=[order[place] for place in places], customdata=places, visible=bool(places))
    bottom = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    chart.update_layout(xaxis_title="trials ended", yaxis_title=f"validation {metric}", yaxis2=bottom, meta="trials")
    views = [View("Over", "trials"), _over_time([[clock[place] for place in places] for places in shown], unit)]
    heights = [trace.y for trace in chart.data[:4]]
    views += score_views(goal, metric, heights)
    best_score = f"{best[-1]:.5f}" if best else "none"
    return chart, f"Scores of {len(ended)} trials over time; the best is {best_score}", 460, views


def dots(colour: str, size: int, symbol: str = "circle") -> dict[str, Any]:
    """Form of the dots of trials in a figure."""
    marker = {"size": size, "color": f"var(--{colour})", "symbol": symbol, "opacity": 0.8 if size > 4 else 0.4}
    if symbol.endswith("open"):
        marker["line"] = {"width": 2, "color": f"var(--{colour})"}
    return {"mode": "markers", "marker": marker, "hoverinfo": "none"}


def dot_size(count: int) -> int:
    """Size of a dot in pixels: smaller where there are many."""
    return 7 if count <= MANY else 4


def _over_time(times: Sequence[Sequence[float]], unit: str) -> View:
    return View(
        "Over",
        "time",
        [{"x": list(trace_times)} for trace_times in times],
        {"xaxis": {"title": {"text": f"wall time ({unit})"}}},
    )


def wall_times(rows: Sequence[Row]) -> tuple[list[float], str]:
    """End of each trial since the first one started, and the unit of these times."""
    start = min(row["started"] for row in rows)
    seconds = [row["ended"] - start for row in rows]
    size, unit = time_unit(max(seconds))
    return [round(elapsed / size, 4) for elapsed in seconds], unit


def spreads_of(content: Content) -> dict[int, SeedSpread]:
    """Validation score over the seeds of the retraining, by proposal."""
    scores_by_proposal: dict[int, list[float]] = {}
    for row in content.folder.retrainings():
        if row["status"] == "finished" and row["score"] is not None:
            scores_by_proposal.setdefault(row["proposal"], []).append(row["score"])
    return {number: SeedSpread.of(scores) for number, scores in scores_by_proposal.items()}
