"""Section on functions: in the best quarter against all trials, over the search, and the learned probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from archioptrx.report.content import Content
from archioptrx.report.page import Section, View, figure, fragment, hover_text
from archioptrx.runs.effects import best_curve_of, standings
from archioptrx.runs.function_statistics import probability_changes, span_text, windows_of

WINDOWS, POINTS, LINES = 12, 120, 6
"""Windows of the search; most points of a learned curve; curves with a colour of their own."""
SCALE = [[0, "var(--card)"], [1, "var(--c1)"]]
LEAST = 4
"""Least number of trials with a score for a best quarter."""


def section(content: Content) -> Section | None:
    """Section on the use of functions; None where a single architecture was searched or nothing is proposed."""
    if content.function_graph is None or not content.proposals:
        return None
    lines = list(content.proposals.values())
    names = list(content.function_graph.function)
    learned = content.folder.learned.read()
    parts = [_quarter(content, names), _course(lines, learned, names), _learned(content, learned, names)]
    body = Markup("").join(part for part in parts if part)
    return Section("functions", "Functions", body, "How often the walk takes each function of the function graph.")


def best_quarter(content: Content) -> set[int]:
    """Proposals of the quarter of trials with the highest standing on the first goal; empty below four trials."""
    scored = [row for row in content.rows if row["score"] is not None]
    if len(scored) < LEAST:
        return set()
    standing = standings([best_curve_of(row) for row in scored])
    order = sorted(range(len(scored)), key=lambda i: (-standing[i], scored[i]["proposal"]))
    return {scored[i]["proposal"] for i in order[: len(scored) // 4]}


def _functions(line: Mapping[str, Any]) -> set[str]:
    return {step["function"] for step in line["graph"]["steps"]}


def _quarter(content: Content, names: Sequence[str]) -> Markup | None:
    best = best_quarter(content)
    if not best:
        return None
    every = {row["proposal"] for row in content.rows if row["score"] is not None}
    functions_of = {number: _functions(content.proposals[number]) for number in every}
    shares = {
        name: [100 * sum(name in functions_of[n] for n in members) / len(members) for members in (every, best)]
        for name in names
    }
    order = sorted(names, key=lambda name: (shares[name][1] - shares[name][0], name))
    traces = [
        go.Bar(
            name=label,
            orientation="h",
            y=order,
            x=[round(shares[name][side], 1) for name in order],
            marker={"color": colour},
            hovertemplate=f"%{{y}}: in %{{x}} % of {label}<extra></extra>",
        )
        for side, label, colour in (
            (0, f"all {len(every)} trials", "var(--strong)"),
            (1, f"the best {len(best)}", "var(--c1)"),
        )
    ]
    layout = {
        "barmode": "group",
        "bargap": 0.25,
        "xaxis": {"title": {"text": "share of the trials that have the function, %"}, "range": [0, 100]},
        "yaxis": {"type": "category"},
        "legend": {"traceorder": "normal"},
    }
    label = "Share of each function among the best quarter of the trials and among all"
    chart = figure("functions-best", go.Figure(traces, layout), label, 110 + 26 * len(names))
    description = "At the top: functions that are more frequent in the best quarter (by standing) than in all trials."
    return fragment("part.html", title="In the best quarter", description=description, body=chart)


def _course(lines: Sequence[Mapping[str, Any]], learned: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Markup:
    windows = windows_of(lines, learned, names, WINDOWS)
    order = sorted(names, key=lambda name: (windows[-1].share[name], name))
    spans = [span_text(window) for window in windows]
    trace = go.Heatmap(
        x=spans,
        y=order,
        z=[[round(100 * window.share[name], 1) for window in windows] for name in order],
        zmin=0,
        zmax=100,
        colorscale=SCALE,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "%"}, "thickness": 12, "outlinewidth": 0},
        hovertemplate="%{y}: in %{z} % of proposals %{x}<extra></extra>",
    )
    layout = {
        "xaxis": {"title": {"text": "proposals"}, "type": "category", "showgrid": False},
        "yaxis": {"type": "category", "showgrid": False},
    }
    label = "Share of the proposals that have each function, by part of the search"
    chart = figure("functions-course", go.Figure([trace], layout), label, 110 + 22 * len(names))
    description = (
        "Share of the proposals that have each function, in windows of equal size, ordered by the last window."
    )
    return fragment("part.html", title="Over the search", description=description, body=chart)


def _learned(content: Content, learned: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Markup | None:
    if not learned:
        return None
    rows = evenly_thinned(learned, POINTS)
    numbers = [row["proposal"] for row in rows]
    course = {name: [_percent(row["functions"].get(name)) for row in rows] for name in names}
    order = sorted(names, key=lambda name: (course[name][-1] if course[name][-1] is not None else -1.0, name))
    map_trace = go.Heatmap(
        x=numbers,
        y=order,
        z=[course[name] for name in order],
        zmin=0,
        colorscale=SCALE,
        ygap=1,
        visible=False,
        colorbar={"title": {"text": "%"}, "thickness": 12, "outlinewidth": 0},
        hovertemplate="%{y}: %{z} % after proposal %{x}<extra></extra>",
    )
    first = [name for name, _, _ in probability_changes(learned) if name in course][:LINES]
    others = [name for name in reversed(order) if name not in first]
    traces = [_line(name, numbers, course[name], first) for name in (*first, *others)]
    views = [
        View(
            "form",
            form,
            [{"visible": form == "map"}, *({"visible": form == "lines"} for _ in traces)],
            {"yaxis": yaxis, "showlegend": form == "lines"},
        )
        for form, yaxis in (
            ("lines", {"title": {"text": "probability, %"}, "rangemode": "tozero"}),
            ("map", {"type": "category", "showgrid": False, "title": {"text": ""}}),
        )
    ]
    layout = {"xaxis": {"title": {"text": "after proposal"}}}
    label = "Probability that the sampler gives to each function where it may be chosen"
    chart = figure(
        "functions-learned", go.Figure([map_trace, *traces], layout), label, max(440, 110 + 22 * len(names)), views
    )
    sampler = content.experiment.sampler["name"]
    description = (
        f"Mean probability that the {sampler} gives to each function where it may be chosen. In colour: the "
        f"{len(first)} that have changed most; a click on a name hides its line."
    )
    return fragment("part.html", title=f"What the {sampler} has learned", description=description, body=chart)


def _line(name: str, x: Sequence[int], y: Sequence[float | None], first: Sequence[str]) -> Any:
    coloured = name in first
    colour = f"var(--c{1 + first.index(name)})" if coloured else "var(--strong)"
    return go.Scatter(
        name=hover_text(name),
        x=x,
        y=y,
        mode="lines+markers" if len(x) < 3 else "lines",
        line={"color": colour, "width": 2.5 if coloured else 1},
        showlegend=coloured,
        hovertemplate=f"{hover_text(name)}: %{{y}} % after proposal %{{x}}<extra></extra>",
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def evenly_thinned(rows: Sequence[Any], most: int) -> list[Any]:
    """Choose at most `most` rows at equal distances, the first and the last one among them.

    >>> evenly_thinned(range(10), 4), evenly_thinned([1, 2], 4)
    ([0, 3, 6, 9], [1, 2])
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]
