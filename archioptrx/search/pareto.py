"""Output on the Pareto front of a search with several goals: a line, a table of the retrained models, plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from archioptrx.runs.leaderboard import front_numbers, pareto_front
from archioptrx.runs.run_folder import RunFolder
from archioptrx.runs.text import plain_text
from archioptrx.search.winner import SeedSpread
from archioptrx.training.objective import Objective, header, value_text


def front_line(rows: Sequence[Mapping[str, Any]], objective: Objective) -> str:
    """Line with the number of trials that no other one dominates, and the goals."""
    scored = sum(row["score"] is not None for row in rows)
    return f"front 1 is the Pareto front: {len(pareto_front(rows))} of {scored} trials with scores; {objective}"


def front_json(rows: Sequence[Mapping[str, Any]], objective: Objective) -> list[dict[str, Any]] | None:
    """Pareto front with the metrics of its goals, best in the first goal first; None for one goal."""
    if not objective.several:
        return None
    return [
        {
            **{key: row[key] for key in ("id", "proposal", "fingerprint", "status", "epochs")},
            "goals": {name: row["metrics"][name] for name in objective.metrics},
        }
        for row in pareto_front(rows)
    ]


def spreads(folder: RunFolder, objective: Objective) -> dict[int, dict[str, SeedSpread]]:
    """Metrics of the goals over the seeds of the retraining, by proposal: on test events, or costs.

    A metric that is undefined for one of them (purity without any accepted edge) is left out.
    """
    metrics_by_proposal: dict[int, list[dict[str, Any]]] = {}
    for row in folder.retrainings():
        if row["status"] == "finished":
            metrics_by_proposal.setdefault(row["proposal"], []).append({**row["metrics"], **row["test"]})
    return {
        number: {
            name: SeedSpread.of([metrics[name] for metrics in several])
            for name in objective.metrics
            if all(metrics.get(name) is not None for metrics in several)
        }
        for number, several in sorted(metrics_by_proposal.items())
    }


def spreads_json(spreads_of: Mapping[int, Mapping[str, SeedSpread]]) -> dict[str, Any]:
    """Spreads as plain data, by the id of the trial."""
    return {
        f"{number:04d}": {name: {"mean": spread.mean, "deviation": spread.deviation} for name, spread in goals.items()}
        for number, goals in spreads_of.items()
    }


def retrained_text(folder: RunFolder, objective: Objective, winner: int) -> str:
    """Table of the networks that were trained again."""
    fronts = front_numbers(folder.rows())
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("front", "trial", *(header(metric) for metric in objective.metrics), ""):
        table.add_column(name, justify="right", no_wrap=True)
    finished = Counter(row["proposal"] for row in folder.retrainings() if row["status"] == "finished")
    for number, goals in spreads(folder, objective).items():
        cells = [_cell(name, goals.get(name), finished[number]) for name in objective.metrics]
        table.add_row(str(fronts[number]), f"{number:04d}", *cells, "best" if number == winner else "")
    return plain_text(table)


def _cell(metric: str, spread: SeedSpread | None, seeds: int) -> str:
    """Mean of a metric, with its spread where there are several seeds; costs that are the same under each have none."""
    if spread is None:
        return value_text(metric, None)
    mean = value_text(metric, spread.mean)
    same = metric == "parameters" or (metric == "latency" and spread.deviation == 0)
    return mean if same or seeds == 1 else f"{mean} ± {value_text(metric, spread.deviation)}"
