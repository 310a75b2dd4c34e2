"""Short forms for people: an architecture on one line, durations, the table of the best trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from archioptrx.computation_graph import ComputationGraph, Loop
from archioptrx.experiment import Experiment
from archioptrx.run_folder import RunFolder

WIDTH = 120
"""Columns of the table where stdout is no terminal."""
DEFAULT_METRIC = "auc"
"""What an experiment that names no metric searches: the objective of edge classification."""


def brief(graph: ComputationGraph) -> str:
    """An architecture on one line, in order of execution: `encode · 4×(attend) 5×(shortcut · edge_net)`.

    Of a loop with n iterations the forward part stands with n + 1 passes, the back part, which runs between them,
    before it with n.
    """
    parts: list[str] = []
    for item in graph.schedule:
        if isinstance(item, Loop):
            back = f"{item.iterations}×({_names(graph, item.back)}) " if item.back else ""
            parts.append(f"{back}{item.iterations + 1}×({_names(graph, item.forward)})")
        else:
            parts.append(graph.steps[item].function)
    return " · ".join(parts)


def _names(graph: ComputationGraph, steps: Sequence[int]) -> str:
    return " · ".join(graph.steps[index].function for index in steps)


def duration_text(seconds: float) -> str:
    """A duration for people.

    >>> duration_text(4.21), duration_text(95), duration_text(7260)
    ('4.2 s', '1 min 35 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def score_text(score: float | None) -> str:
    """A score, with digits enough for one near 1."""
    return "–" if score is None else f"{score:.5f}"


def leaderboard(rows: Sequence[Mapping[str, Any]], metric: str, graphs: Mapping[int, ComputationGraph]) -> Table:
    """Table of trials, best first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "trial", metric, "epochs", "parameters", "steps", "rounds", "time", "status", "fingerprint"):
        table.add_column(name, justify="left" if name in ("status", "fingerprint") else "right", no_wrap=True)
    for place, row in enumerate(rows, 1):
        graph = graphs[row["proposal"]]
        parameters = "–" if row["parameters"] is None else f"{row['parameters']:,}"
        status = row["status"] + (f" ({row['reference']})" if row["reference"] else "")
        table.add_row(
            str(place),
            row["id"],
            score_text(row["score"]),
            str(row["epochs"]),
            parameters,
            str(len(graph.steps)),
            str(graph.rounds),
            duration_text(row["seconds"]),
            status,
            row["fingerprint"][:12],
        )
    return table


def graphs_of(folder: RunFolder) -> dict[int, ComputationGraph]:
    """Computation graph of each proposal."""
    lines = folder.proposals.read()
    return {line["proposal"]: ComputationGraph.from_dict(line["graph"]) for line in lines if "refused" not in line}


def table_text(rows: Sequence[Mapping[str, Any]], metric: str, graphs: Mapping[int, ComputationGraph]) -> str:
    """The table of trials as text."""
    return plain_text(leaderboard(rows, metric, graphs))


def plain_text(table: Table) -> str:
    """A table as text, in colour on a terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def metric_of(experiment: Experiment) -> str:
    """What the score is called."""
    return experiment.objective.metric or DEFAULT_METRIC


def hyperparameters_text(hyperparameters: Mapping[str, Any]) -> str:
    """Hyperparameters on one line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(hyperparameters.items())) or "none"
