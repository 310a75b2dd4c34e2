"""Section on score and cost: score against parameters and times, each pair of goals, and their Pareto fronts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import plotly.graph_objects as go

from archioptrx.report.axes import is_share, log_axis, score_views
from archioptrx.report.content import Content
from archioptrx.report.page import Section, View, figure, fragment
from archioptrx.report.scores import dot_size, dots
from archioptrx.report.trials import SCRIPTS, metric_value
from archioptrx.runs.leaderboard import pareto_front
from archioptrx.training.objective import Goal

Row = Mapping[str, Any]
Point = tuple[int, float, float]
"""Place of a trial in `Content.rows`, and its values on both axes."""
COSTS = {
    "parameters": ("parameters", "parameters"),
    "latency": ("latency", "latency of one forward pass (ms)"),
    "seconds_per_epoch": ("time per epoch", "time of an epoch (s)"),
}
"""Label on a switch, and on an axis."""
MOST_DRAWN = 40
"""Most drawings of trials on a front."""


def section(content: Content) -> Section | None:
    """Section with the figures; None while no trial has a score."""
    rows = [row for row in content.rows if row["score"] is not None]
    if not rows:
        return None
    first, goals = content.experiment.objective.first, content.experiment.objective.goals
    costs = [cost for cost in COSTS if any(metric_value(row, cost) for row in rows)]
    chart, views, members = _against_costs(content, first, costs)
    label = f"{first.metric} of {len(rows)} trials against {', '.join(COSTS[cost][0] for cost in costs)}"
    charts = [figure("pareto-figure", chart, label, 480, views)]
    for goal, other in combinations(goals, 2):
        if not (goal is first and other.metric in costs):
            chart = _pair(content, goal, other)
            label = f"{other.metric} against {goal.metric}, both goals of the search"
            charts.append(figure(f"pareto-{other.metric}-{goal.metric}".replace(".", "-"), chart, label, 420))
    on_front = [content.rows[place] for place in members] + pareto_front(content.rows)
    shown = {row["proposal"] for row in content.best}
    further = {row["proposal"]: row for row in on_front if row["proposal"] not in shown}
    drawings = [(place, content.drawing(row)) for place, row in content.numbered(list(further.values())[:MOST_DRAWN])]
    start = members[0] if members else 0
    body = fragment("pareto.html", charts=charts, drawn=drawings, start=start)
    description = (
        "The line is the Pareto front: no other trial is better at the same cost or less. Point at a trial to see its "
        "architecture in one line; click to see its drawing."
    )
    return Section("pareto", "Score and cost", body, description, (*SCRIPTS, "pareto.js"))


def front_of_points(points: Sequence[Point], up: tuple[bool, bool]) -> list[Point]:
    """Pareto front of points in a plane, from left to right.

    A point is on the front if no other point is at least as good on both axes and better on one. Sorted by the first
    axis, the best first (ties: the best on the second axis first), a point is on the front exactly if it is better on
    the second axis than all before it. Of equal points the first one is kept.

    Parameters
    ----------
    up
        True where large values are good, on the horizontal and on the vertical axis.

    Examples
    --------
    >>> front_of_points([(0, 1.0, 0.5), (1, 2.0, 0.9), (2, 3.0, 0.8), (3, 2.0, 0.7)], (False, True))
    [(0, 1.0, 0.5), (1, 2.0, 0.9)]
    """
    side, height = (1 if upward else -1 for upward in up)
    front: list[Point] = []
    for point in sorted(points, key=lambda candidate: (-side * candidate[1], -height * candidate[2], candidate[0])):
        if not front or height * point[2] > height * front[-1][2]:
            front.append(point)
    return sorted(front, key=lambda point: point[1])


def scored_points(content: Content, across: str, upward: str) -> list[Point]:
    """Trials with a score that have both metrics: a failed one may have those of an epoch before it failed."""
    scored = ((i, row) for i, row in enumerate(content.rows) if row["score"] is not None)
    both = ((i, metric_value(row, across), metric_value(row, upward)) for i, row in scored)
    return [(i, x, y) for i, x, y in both if x is not None and y is not None]


def _against_costs(content: Content, goal: Goal, costs: Sequence[str]) -> tuple[go.Figure, list[View], list[int]]:
    """The figure with one front for each cost, its views, and the trials on any of the fronts, cheapest first."""
    groups = {
        status: [i for i, row in enumerate(content.rows) if row["status"] == status and row["score"] is not None]
        for status in ("finished", "pruned")
    }
    heights = [metric_value(row, goal.metric) for row in content.rows]
    fronts = [front_of_points(scored_points(content, cost, goal.metric), (False, goal.mode == "max")) for cost in costs]
    chart = go.Figure()
    for status, members in groups.items():
        y, style = [heights[i] for i in members], dots(status, dot_size(len(heights)))
        chart.add_scatter(y=y, name=status, customdata=members, visible=bool(members), **style)
    for number, points in enumerate(fronts):
        x, y = [point[1] for point in points], [point[2] for point in points]
        members = [point[0] for point in points]
        chart.add_scatter(x=x, y=y, name="front", customdata=members, visible=number == 0, **_line())
    values = {cost: [metric_value(row, cost) for row in content.rows] for cost in costs}
    for trace, members in zip(chart.data, groups.values(), strict=False):
        trace.x = [values[costs[0]][i] for i in members]
    chart.update_layout(
        xaxis=log_axis(values[costs[0]], COSTS[costs[0]][1]), yaxis_title=f"validation {goal.metric}", meta="trials"
    )
    switch = [
        View(
            "Against",
            COSTS[cost][0],
            [
                *({"x": [values[cost][i] for i in members]} for members in groups.values()),
                *({"visible": shown_cost == cost} for shown_cost in costs),
            ],
            {"xaxis": log_axis(values[cost], COSTS[cost][1])},
        )
        for cost in costs
    ]
    views = switch if len(switch) > 1 else []
    views += score_views(goal, goal.metric, [trace.y for trace in chart.data])
    return chart, views, list(dict.fromkeys(point[0] for points in fronts for point in reversed(points)))


def _pair(content: Content, across: Goal, upward: Goal) -> go.Figure:
    """Figure of two goals: `across` on the horizontal axis, `upward` on the vertical one; costs on log axes."""
    points = scored_points(content, across.metric, upward.metric)
    line = front_of_points(points, (across.mode == "max", upward.mode == "max"))
    chart = go.Figure()
    for name, members, style in (("trials", points, dots("finished", dot_size(len(points)))), ("front", line, _line())):
        place, x, y = ([point[axis] for point in members] for axis in range(3))
        chart.add_scatter(x=x, y=y, customdata=place, name=name, **style)
    for axis, goal, number in (("xaxis", across, 1), ("yaxis", upward, 2)):
        values = [float(point[number]) for point in points]
        log = not is_share(goal, values) and bool(values) and min(values) > 0
        title = COSTS[goal.metric][1] if goal.metric in COSTS else goal.metric
        chart.update_layout({axis: log_axis(values, title) if log else {"title": title}})
    return chart.update_layout(meta="trials")


def _line() -> dict[str, Any]:
    line = {"color": "var(--c2)", "width": 2}
    marker = {"size": 10, "color": "var(--ground)", "line": {"width": 2.5, "color": "var(--c2)"}}
    return {"mode": "lines+markers", "line": line, "marker": marker, "hoverinfo": "none"}
