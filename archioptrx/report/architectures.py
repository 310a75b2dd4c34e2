"""Section on the best architectures, each with all facts of its trial."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from archioptrx.report.axes import name_and_sign
from archioptrx.report.content import Content
from archioptrx.report.page import Section, fragment, table
from archioptrx.report.training_curves import training_figure
from archioptrx.report.trials import SCRIPTS, status_text
from archioptrx.runs.text import brief, duration_text, score_text
from archioptrx.training.objective import value_text

Row = Mapping[str, Any]
OPEN = 3
"""Number of trials that are unfolded at first."""
MOST_METRICS = 8
"""Columns of the retrainings' table."""


def section(content: Content) -> Section | None:
    """Section with the first trials of the leaderboard; None while no trial has a score."""
    if not content.best:
        return None
    together = training_figure(content, "curves", content.best, 420) if len(content.best) > 1 else None
    cards = [_card(content, number, place, row) for number, (place, row) in enumerate(content.numbered(content.best))]
    body = fragment("architectures.html", together=together, cards=cards, open=OPEN)
    description = "The best trials in detail: drawing, text form, hyperparameters and training curves."
    return Section("architectures", "Best architectures", body, description, SCRIPTS)


def _card(content: Content, number: int, place: int, row: Row) -> dict[str, Any]:
    """Values of a trial for the template `architectures.html`."""
    graph, (metric, sign) = content.graph(row["proposal"]), name_and_sign(content.experiment.objective.first)
    run = shlex.quote(f"{content.folder.path}/{row['id']}")
    facts = {
        f"validation {metric}": score_text(sign * row["score"]),
        "parameters": f"{row['parameters']:,}",
        "epochs": str(row["epochs"]),
        "training": duration_text(row["train_seconds"]),
        "steps, message rounds": f"{len(graph.steps)}, {graph.rounds}",
        "seed": str(row["seed"]),
        "fingerprint": row["fingerprint"],
    }
    commands = {"Train this trial again": f"archioptrx train {run}"}
    if content.winner and content.winner["proposal"] == row["proposal"]:
        best = shlex.quote(str(content.folder.path))
        commands["Export the winner: its code, with the weights"] = (
            f"archioptrx export {best} --format python --output model.py"
        )
    return {
        "place": place,
        "id": row["id"],
        "title": f"{number + 1} · trial {row['id']} · {metric} {score_text(sign * row['score'])}",
        "status": status_text(row, row["reference"]),
        "winner": bool(content.winner) and content.winner["proposal"] == row["proposal"],  # type: ignore[index]
        "brief": brief(graph),
        "text": str(graph),
        "svg": content.drawing(row),
        "facts": facts,
        "hyperparameters": {name: _value(value) for name, value in sorted(row["hyperparameters"].items())},
        "commands": commands,
        "curves": training_figure(content, f"curves-{row['id']}", [row], 320),
        "again": _again(content, row),
    }


def _again(content: Content, row: Row) -> Any:
    """Table of a trial's retrainings; None without any."""
    lines = [retraining for retraining in content.folder.retrainings() if retraining["proposal"] == row["proposal"]]
    if not lines:
        return None
    names = list(dict.fromkeys(name for retraining in lines for name in retraining.get("test") or {}))[:MOST_METRICS]
    metric, sign = name_and_sign(content.experiment.objective.first)
    heads = ["seed", f"validation {metric}", *(f"test {name}" for name in names)]
    cells = [
        [
            str(retraining["seed"]),
            score_text(None if retraining["score"] is None else sign * retraining["score"]),
            *(value_text(name, (retraining.get("test") or {}).get(name)) for name in names),
        ]
        for retraining in lines
    ]
    return table(f"retrained-{row['id']}", [head.replace("_", " ") for head in heads], cells)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
