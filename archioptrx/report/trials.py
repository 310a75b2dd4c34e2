"""Section with the leaderboard: the trials as columns of plain data, small enough for ten thousand of them.

The page's scripts make a table of them to sort and filter, which opens each architecture.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.report.content import Content
from archioptrx.report.page import Section, fragment, packed
from archioptrx.runs.leaderboard import front_numbers
from archioptrx.runs.text import brief, goal_score, varied
from archioptrx.training.objective import COSTS, header

Row = Mapping[str, Any]
SCRIPTS = ("trials.js",)
"""Scripts for a section whose figures or tables link to trials."""
MOST_HYPERPARAMETERS = 8
"""Most hyperparameters that have columns of their own, of those that differ."""


def section(content: Content) -> Section:
    """Section with the table of all ended trials; a note where there is none yet."""
    if not content.rows:
        return Section("leaderboard", "Leaderboard", fragment("empty.html", text="No trial has ended yet."))
    statuses = [row["status"] for row in content.rows]
    tallies = {name: statuses.count(name) for name in ("finished", "pruned", "failed") if name in statuses}
    body = fragment("leaderboard.html", data=packed("trials", trial_data(content)), tallies=tallies)
    description = (
        "All ended trials, best first. Click a heading to sort, or a row to open the trial. "
        "Scores are computed on validation events."
    )
    return Section("leaderboard", "Leaderboard", body, description, (*SCRIPTS, "leaderboard.js"))


def trial_data(content: Content) -> dict[str, Any]:
    """Data for the script `trials.js`, in the order of `content.rows`; texts that occur often are stored once.

    Returns
    -------
    dict
        `columns` of the leaderboard (`head`, `kind`: format, `values`); `texts`, `hyperparameters` and `errors`, with
        the index of each trial in them; all `metrics`, by name; and the name of the `run` for commands.
    """
    rows = content.rows
    graphs = [content.graph(row["proposal"]) for row in rows]
    texts = _Distinct([brief(graph), str(graph)] for graph in graphs)
    settings = _Distinct(dict(row["hyperparameters"]) for row in rows)
    errors = _Distinct(row["error"] or "" for row in rows)
    return {
        "run": shlex.quote(str(content.folder.path)),
        "id": [row["id"] for row in rows],
        "status": [row["status"] for row in rows],
        "columns": [{"head": h, "kind": kind, "values": values} for h, kind, values in _columns(content, graphs)],
        "text": texts.numbers,
        "texts": texts.values,
        "setting": settings.numbers,
        "hyperparameters": settings.values,
        "error": errors.numbers,
        "errors": errors.values,
        "metrics": _metrics(rows),
        "kept": {str(i): row["id"] for i, row in enumerate(content.best)},
    }


class _Distinct:
    """List of distinct values, and for each occurrence the index of its value."""

    def __init__(self, values: Any) -> None:
        known: dict[str, int] = {}
        self.values: list[Any] = []
        self.numbers: list[int] = []
        for value in values:
            number = known.setdefault(repr(value), len(self.values))
            if number == len(self.values):
                self.values.append(value)
            self.numbers.append(number)


def metric_value(row: Row, name: str) -> float | None:
    """Metric of a trial; None where it failed or has none. Old run folders lack `seconds_per_epoch` in the metrics."""
    if row["score"] is None:
        return None
    if name == "parameters":
        return float(row["parameters"])
    if name == "seconds_per_epoch" and name not in row["metrics"] and row["epochs"]:
        return float(row["train_seconds"] / row["epochs"])
    value = row["metrics"].get(name)
    return None if value is None else float(value)


def _columns(content: Content, graphs: Sequence[ComputationGraph]) -> list[tuple[str, str, list[Any]]]:
    """Heading, kind and values of each column of the leaderboard."""
    rows, objective = content.rows, content.experiment.objective

    def of(kind: str, head: str, value: Callable[[Row], Any]) -> tuple[str, str, list[Any]]:
        return head, kind, [value(row) for row in rows]

    def metric(name: str) -> tuple[str, str, list[Any]]:
        kind = "count" if name == "parameters" else "cost" if name in COSTS else "metric"
        short = decimals if kind == "metric" else _rounded
        return of(kind, header(name), lambda row: short(metric_value(row, name)))

    fronts = front_numbers(rows)
    columns = [of("count", "front", lambda row: fronts.get(row["proposal"]))] if fronts else []
    if not fronts:
        columns = [("place", "count", [i if row["score"] is not None else None for i, row in enumerate(rows, 1)])]
    columns.append(of("trial", "trial", lambda row: row["proposal"]))
    columns += _combined(content)
    costs = [name for name in ("latency", "seconds_per_epoch") if any(name in row["metrics"] for row in rows)]
    names = dict.fromkeys([*objective.metrics, "parameters", *costs])
    columns += [metric(name) for name in names]
    columns += [of("count", "epochs", lambda row: row["epochs"])]
    one_architecture = len({row["fingerprint"] for row in rows}) == 1  # its hyperparameters are what differs
    if not one_architecture:
        columns += [("steps", "count", [len(graph.steps) for graph in graphs])]
        columns += [("rounds", "count", [graph.rounds for graph in graphs])]
    columns += [of("seconds", "time", lambda row: _rounded(row["seconds"]))]
    columns += [of("text", "status", lambda row: status_text(row, "given" if one_architecture else row["reference"]))]
    varying = varied(rows)[:MOST_HYPERPARAMETERS]
    columns += [of("value", name, lambda row, name=name: _shown(row, name)) for name in varying]  # type: ignore[misc]
    if not one_architecture:
        columns += [("architecture", "brief", [None] * len(rows))]
        columns += [of("text", "fingerprint", lambda row: row["fingerprint"][:12])]
    return columns


def _combined(content: Content) -> list[tuple[str, str, list[Any]]]:
    """Columns with the scores of goals that subtract a cost from a metric."""
    columns = []
    for index, goal in enumerate(content.experiment.objective.goals):
        if goal.price is not None:
            columns.append(("score", "metric", [decimals(goal_score(row, index)) for row in content.rows]))
    return columns


def status_text(row: Row, reference: str) -> str:
    """Status of a trial, for a reference with its name."""
    return f"{row['status']} ({reference})" if row["reference"] else str(row["status"])


def _shown(row: Row, name: str) -> Any:
    value = row["hyperparameters"].get(name)
    return value if value is None or isinstance(value, int | float | str) else str(value)


def _metrics(rows: Sequence[Row]) -> dict[str, list[float | None]]:
    names = dict.fromkeys(
        name
        for row in rows
        for name, value in row["metrics"].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    return {name: [_rounded(metric_value(row, name)) for row in rows] for name in names}


def decimals(value: float | None) -> float | int | None:
    """Value with the five decimals that the page shows: rounding to six digits first could round up twice.

    >>> decimals(0.9993850864), f"{0.9993850864:.6g}"
    (0.99939, '0.999385')
    """
    return _rounded(value) if value is None or abs(value) < 1e-3 else float(f"{value:.5f}")


def _rounded(value: float | None) -> float | int | None:
    """Value with six significant digits; whole numbers as int."""
    if value is None:
        return None
    rounded = value if value.is_integer() else float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
