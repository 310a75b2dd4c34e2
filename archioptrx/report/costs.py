"""Section on costs: seconds by status, workers over time, seconds against parameters, retraining, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from archioptrx.report.axes import log_axis, time_unit
from archioptrx.report.content import Content
from archioptrx.report.functions import evenly_thinned
from archioptrx.report.page import Cell, Section, figure, fragment, table
from archioptrx.runs.costs import Schedule, Spent, running, saved_by_pruning, schedule_of
from archioptrx.runs.statistics import agreement
from archioptrx.runs.text import duration_text

SPANS, BINS, DOTS = 500, 240, 1000
"""Most trials drawn as single bars; bins of the time where there are more; points of time against parameters."""
STATUSES = ("finished", "pruned", "failed")


def section(content: Content) -> Section | None:
    """Section on the cost of the search; None before a trial has ended."""
    if not content.rows:
        return None
    schedule = schedule_of(content.rows)
    parts = [_facts(content, schedule), _by_status(content), _time(schedule), _parameters(content)]
    body = Markup("").join(part for part in parts if part)
    return Section("costs", "Costs", body, "How the time was used. The time of a trial is that of its worker.")


def _facts(content: Content, schedule: Schedule) -> Markup:
    workers = 1 + max((span.lane for span in schedule.spans), default=0)
    spent = Spent.of(content.rows)
    planned = {number: line["epochs"] for number, line in content.proposals.items()}
    saved = saved_by_pruning(content.rows, planned)
    facts = {
        "all trials": duration_text(spent.seconds),
        "wall time": duration_text(schedule.wall),
        f"{workers} workers busy" if workers > 1 else "worker busy": f"{schedule.busy / (workers * schedule.wall):.0%}"
        if schedule.wall > 0
        else "–",
    }
    facts |= {"saved by pruning": f"≈ {duration_text(saved)}"} if saved else {}
    facts |= _retraining(content)
    facts |= _memory(content)
    notes = ["Wall time: from the first start of a trial to the last end."]
    notes += [f"Pauses of {duration_text(schedule.paused)} are left out."] if schedule.paused else []
    notes += (
        ["Saved by pruning: the epochs that pruned trials did not run, at the mean time of those that they did."]
        if saved
        else []
    )
    return fragment("facts.html", facts=facts, note=" ".join(notes))


def _retraining(content: Content) -> dict[str, str]:
    rows = content.folder.retrained.read()
    return {f"{len(rows)} retrainings": duration_text(sum(row["seconds"] for row in rows))} if rows else {}


def _memory(content: Content) -> dict[str, str]:
    """Peak memory of the worker processes, where the run folder has it."""
    lines = content.folder.epochs.read()
    largest = max((line["memory"] for line in lines if line.get("memory")), default=None)
    return {} if largest is None else {"peak memory of a worker": f"{largest / 2**20:,.0f} MiB"}


def _by_status(content: Content) -> Markup:
    groups = {status: [row for row in content.rows if row["status"] == status] for status in STATUSES}
    spent_by_status = {status: Spent.of(rows) for status, rows in groups.items() if rows}
    spent_by_status |= {"all": Spent.of(content.rows)} if len(spent_by_status) > 1 else {}
    heads = ["trials", "count", "epochs", "training", "other", "total", "per trial", "other, share"]
    rows: list[list[str | Cell]] = [[status, *_cells(spent)] for status, spent in spent_by_status.items()]
    body = table("costs-status", heads, rows, left=(0,))
    description = "Training includes validation; other: building the network, measuring its latency, sending reports."
    return fragment("part.html", title="By status", description=description, body=body)


def _cells(spent: Spent) -> list[Cell]:
    each = spent.seconds / spent.trials
    return [
        Cell(f"{spent.trials:,}", spent.trials),
        Cell(f"{spent.epochs:,}", spent.epochs),
        Cell(duration_text(spent.train), spent.train),
        Cell(duration_text(spent.rest), spent.rest),
        Cell(duration_text(spent.seconds), spent.seconds),
        Cell(f"{each:.2g} s" if each < 10 else duration_text(each), each),
        Cell(f"{spent.rest / spent.seconds:.0%}" if spent.seconds else "–", spent.rest),
    ]


def _time(schedule: Schedule) -> Markup | None:
    """Figure of the workers over time: bars of single trials, or the number of running ones where they are many."""
    if schedule.wall <= 0:
        return None
    draw = _one_by_one if len(schedule.spans) <= SPANS else _together
    return draw(schedule)


def _one_by_one(schedule: Schedule) -> Markup:
    factor, unit = time_unit(schedule.wall)
    lanes = 1 + max(span.lane for span in schedule.spans)
    traces = []
    for status in STATUSES:
        spans = [span for span in schedule.spans if span.row["status"] == status]
        if spans:
            traces.append(
                go.Bar(
                    name=status,
                    orientation="h",
                    y=[f"worker {span.lane + 1}" for span in spans],
                    base=[round(span.start / factor, 4) for span in spans],
                    x=[round((span.end - span.start) / factor, 4) for span in spans],
                    marker={"color": f"var(--{status})", "line": {"width": 1, "color": "var(--ground)"}},
                    text=[_span_text(span.row) for span in spans],
                    textposition="none",
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    order = [f"worker {lane + 1}" for lane in reversed(range(lanes))]
    layout = {
        "barmode": "overlay",
        "bargap": 0.15,
        "xaxis": {"title": {"text": f"{unit} since the first trial began"}},
        "yaxis": {"type": "category", "categoryorder": "array", "categoryarray": order, "showgrid": False},
    }
    drawn = figure("costs-time", go.Figure(traces, layout), "Trials of each worker in time", 130 + 44 * min(lanes, 24))
    description = "Each bar is a trial, in the first lane that was free; gaps between bars are overhead."
    return fragment("part.html", title="Over time", description=description, body=drawn)


def _span_text(row: Mapping[str, Any]) -> str:
    return f"trial {row['id']}, {row['status']}<br>{row['epochs']} epochs, {duration_text(row['seconds'])}"


def _together(schedule: Schedule) -> Markup:
    factor, unit = time_unit(schedule.wall)
    width = schedule.wall / BINS
    traces = [
        go.Scatter(
            name=status,
            x=[round((part + 0.5) * width / factor, 4) for part in range(BINS)],
            y=[round(mean, 3) for mean in running(spans, schedule.wall, BINS)],
            stackgroup="all",
            mode="none",
            fillcolor=f"var(--{status})",
            hovertemplate=f"%{{y:.2f}} {status}<extra></extra>",
        )
        for status in STATUSES
        if (spans := [span for span in schedule.spans if span.row["status"] == status])
    ]
    layout = {
        "xaxis": {"title": {"text": f"{unit} since the first trial began"}},
        "yaxis": {"title": {"text": "running trials"}, "rangemode": "tozero"},
        "hovermode": "x unified",
    }
    chart = figure("costs-time", go.Figure(traces, layout), "Running trials over time", 320)
    description = "Number of trials that run at the same time, by their final status."
    return fragment("part.html", title="Over time", description=description, body=chart)


def _parameters(content: Content) -> Markup | None:
    rows = [row for row in content.rows if row["parameters"] and row["epochs"] and row["train_seconds"] > 0]
    if len(rows) < 2:
        return None
    each = [row["train_seconds"] / row["epochs"] for row in rows]
    agreed = agreement([row["parameters"] for row in rows], each)
    shown: Sequence[tuple[Mapping[str, Any], float]] = evenly_thinned(list(zip(rows, each, strict=True)), DOTS)
    traces = [
        go.Scatter(
            name=status,
            x=[row["parameters"] for row, _ in points],
            y=[float(f"{seconds:.4g}") for _, seconds in points],
            text=[row["id"] for row, _ in points],
            mode="markers",
            marker={"color": f"var(--{status})", "size": 7, "opacity": 0.75},
            hovertemplate="trial %{text}<br>%{x:,} parameters<br>%{y} s per epoch<extra></extra>",
        )
        for status in STATUSES
        if (points := [point for point in shown if point[0]["status"] == status])
    ]
    layout = {
        "xaxis": log_axis([row["parameters"] for row in rows], "parameters"),
        "yaxis": log_axis(each, "seconds per epoch"),
    }
    chart = figure("costs-parameters", go.Figure(traces, layout), "Seconds per epoch against parameters", 380)
    text = f" Rank correlation {agreed.rho:.2f} ({agreed.low:.2f} to {agreed.high:.2f})." if agreed else ""
    description = f"Seconds of an epoch against the size of the network, each on a logarithmic scale.{text}"
    return fragment("part.html", title="Seconds and parameters", description=description, body=chart)
