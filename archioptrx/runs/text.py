"""Texts for reports and terminal: an architecture on one line, durations, the table of the best trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.steps import Loop
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.leaderboard import front_numbers
from archioptrx.runs.run_folder import RunFolder
from archioptrx.training.objective import Objective, header, value_text

WIDTH = 120
"""Columns of the table where stdout is no terminal."""


def brief(graph: ComputationGraph) -> str:
    """An architecture on one line, in order of execution: `encode · 4×(attend) 5×(shortcut · edge_net)`.

    For a loop with n iterations the forward part stands with n + 1 passes, the back part, which runs between them,
    before it with n. A part without steps is left out.
    """
    parts: list[str] = []
    for item in graph.schedule:
        if isinstance(item, Loop):
            turns = ((item.iterations, item.back), (item.iterations + 1, item.forward))
            parts.append(" ".join(f"{count}×({_names(graph, steps)})" for count, steps in turns if steps))
        else:
            parts.append(graph.steps[item].function)
    return " · ".join(parts)


def _names(graph: ComputationGraph, steps: Sequence[int]) -> str:
    return " · ".join(graph.steps[index].function for index in steps)


def duration_text(seconds: float) -> str:
    """Text of a duration in seconds.

    >>> duration_text(4.21), duration_text(95), duration_text(7260)
    ('4.2 s', '1 min 35 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds_left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds_left} s"
    return f"{minutes // 60} h {minutes % 60} min"


def score_text(score: float | None) -> str:
    """Text of a score, with enough digits for values near 1."""
    return "–" if score is None else f"{score:.5f}"


@dataclass(frozen=True)
class Column:
    """Column of the leaderboard.

    Attributes
    ----------
    head
        Heading of the column.
    cell
        Function that gives the text of a row.
    left
        True: the column is text, aligned to the left.
    spare
        Order of removal where the table is too wide: the highest number goes first; columns with 0 stay.
    """

    head: str
    cell: Callable[[Mapping[str, Any]], str]
    left: bool = False
    spare: int = 0


def goal_columns(objective: Objective) -> list[Column]:
    """Columns of the metrics of all goals, and of the score where a cost is subtracted from a metric."""

    def score(index: int) -> Column:
        return Column("score", lambda row: score_text(goal_score(row, index)))

    def metric(name: str) -> Column:
        return Column(header(name), lambda row: value_text(name, _metric(row, name)))

    combined = [score(index) for index, goal in enumerate(objective.goals) if goal.price is not None]
    return combined + [metric(name) for name in objective.metrics]


def goal_score(row: Mapping[str, Any], index: int) -> float | None:
    """Score of a goal; None: the trial failed."""
    if row["score"] is None:
        return None
    score: float = (row.get("scores") or [row["score"]])[index]
    return score


def _metric(row: Mapping[str, Any], name: str) -> float | None:
    """Metric of a trial; None where the trial failed, even if it had reported a value before."""
    value: float | None = None if row["score"] is None else row["metrics"].get(name)
    return value


def columns(objective: Objective, graphs: Mapping[int, ComputationGraph]) -> list[Column]:
    """Columns of the leaderboard without the first one."""
    columns_after_goals = [
        Column("epochs", lambda row: str(row["epochs"])),
        Column("parameters", lambda row: value_text("parameters", row["parameters"])),
        Column("steps", lambda row: str(len(graphs[row["proposal"]].steps))),
        Column("rounds", lambda row: str(graphs[row["proposal"]].rounds)),
        Column("time", lambda row: duration_text(row["seconds"])),
        Column("status", lambda row: row["status"] + (f" ({row['reference']})" if row["reference"] else ""), left=True),
        Column("fingerprint", lambda row: row["fingerprint"][:12], left=True),
    ]
    return _after_goals(objective, columns_after_goals)


def _after_goals(objective: Objective, further: Sequence[Column]) -> list[Column]:
    """Columns of the trial and its goals, then the further ones that show something else."""
    goals = goal_columns(objective)
    heads = [column.head for column in goals]
    return [Column("trial", lambda row: row["id"]), *goals, *(column for column in further if column.head not in heads)]


def differing(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hyperparameters that differ, if all trials are of one architecture; otherwise none."""
    return varied(rows) if len({row["fingerprint"] for row in rows}) == 1 else []


def varied(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hyperparameters that differ between trials."""
    names = dict.fromkeys(name for row in rows for name in row["hyperparameters"])
    return [name for name in names if len({str(row["hyperparameters"].get(name)) for row in rows}) > 1]


def hyperparameter_columns(objective: Objective, names: Sequence[str]) -> list[Column]:
    """Columns for trials of one architecture: the hyperparameters `names` instead of fingerprint and steps."""

    def value(name: str) -> Column:
        return Column(name.replace("_", "\n"), lambda row: _value_text(row["hyperparameters"].get(name)), spare=1)

    columns_after_goals = [
        Column("epochs", lambda row: str(row["epochs"]), spare=2),
        Column("parameters", lambda row: value_text("parameters", row["parameters"])),
        *(value(name) for name in names),
        Column("time", lambda row: duration_text(row["seconds"]), spare=3),
        Column("status", lambda row: row["status"] + (" (given)" if row["reference"] else ""), left=True),
    ]
    return _after_goals(objective, columns_after_goals)


def _value_text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "–" if value is None else str(value)


def fitting(shown: Sequence[Column], rows: Sequence[Mapping[str, Any]], room: int) -> list[Column]:
    """Columns that fit into `room` characters, with two between each."""
    remaining = list(shown)
    width = {
        id(column): 2 + max(len(text) for text in [*column.head.splitlines(), *(column.cell(row) for row in rows)])
        for column in shown
    }
    while sum(width[id(column)] for column in remaining) > room and any(column.spare for column in remaining):
        last = max(range(len(remaining)), key=lambda index: (remaining[index].spare, index))
        del remaining[last]
    return remaining


def leaderboard(
    rows: Sequence[Mapping[str, Any]],
    fronts: Mapping[int, int],
    shown: Sequence[Column],
) -> Table:
    """Table of trials, best first; with several goals by front, and in a front by the first goal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("front" if fronts else "", justify="right", vertical="bottom", no_wrap=True)
    for column in shown:
        table.add_column(column.head, justify="left" if column.left else "right", no_wrap=True)
    if fronts:
        rows = sorted(rows, key=lambda row: (fronts.get(row["proposal"], math.inf), -(row["score"] or 0.0)))
    for place, row in enumerate(rows, 1):
        first = str(fronts.get(row["proposal"], "–") if fronts else place)
        table.add_row(first, *(column.cell(row) for column in shown))
    return table


def graphs_of(folder: RunFolder) -> dict[int, ComputationGraph]:
    """Computation graph of each proposal."""
    return {number: ComputationGraph.from_dict(line["graph"]) for number, line in folder.proposed().items()}


def table_text(
    rows: Sequence[Mapping[str, Any]], top: int, objective: Objective, graphs: Mapping[int, ComputationGraph]
) -> str:
    """Leaderboard of the first `top` rows as text."""
    names, fronts = differing(rows), front_numbers(rows)
    if not names:
        return plain_text(leaderboard(rows[:top], fronts, columns(objective, graphs)))
    candidates = hyperparameter_columns(objective, names)
    shown = fitting(candidates, rows[:top], WIDTH - len("front" if fronts else str(top)))
    heads = [column.head for column in shown]
    left_out = [column.head.replace("\n", "_") for column in candidates if column.head not in heads]
    text = plain_text(leaderboard(rows[:top], fronts, shown))
    return f"{text}\nno room for: {', '.join(left_out)} (in --json)" if left_out else text


def plain_text(table: Table) -> str:
    """Table as text, in colour on a terminal; brackets and colons of a cell are no commands to rich."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=WIDTH)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def metric_of(experiment: Experiment) -> str:
    """Name of the score: that of the first goal where there are several."""
    return experiment.objective.first.label


def seeds_text(seeds: int, failed: int = 0) -> str:
    """Number of seeds in words, and of further ones whose training failed.

    >>> seeds_text(1), seeds_text(3), seeds_text(1, 2)
    ('one seed', '3 seeds', '1 of 3 seeds, the others failed')
    """
    if failed:
        return f"{seeds} of {seeds + failed} seeds, the others failed"
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def spread_text(mean: float, deviation: float, seeds: int) -> str:
    """Mean and spread of a score over seeds; one seed has no spread.

    >>> spread_text(0.5, 0.25, 2), spread_text(0.5, 0.0, 1)
    ('0.50000 ± 0.25000', '0.50000')
    """
    return f"{mean:.5f} ± {deviation:.5f}" if seeds > 1 else f"{mean:.5f}"


def hyperparameters_text(hyperparameters: Mapping[str, Any]) -> str:
    """Hyperparameters on one line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(hyperparameters.items())) or "none"
