"""What `archioptrx inspect RUN --effects` tells: what the good trials of a search share."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from archioptrx.runs.effects import Effect, Effects, effects_of
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.run_folder import RunFolder
from archioptrx.runs.text import plain_text


def effects_by_goal(folder: RunFolder, experiment: Experiment) -> dict[str, Effects]:
    """The effects of all choices on each goal."""
    rows = folder.rows()
    proposals = {line["proposal"]: line for line in folder.proposals.read() if "refused" not in line}
    goals = experiment.objective.goals
    return {goal.label: effects_of(rows, proposals, number) for number, goal in enumerate(goals)}


def as_text(found: Mapping[str, Effects], top: int) -> str:
    """A table of the strongest effects on the first goal, for a terminal."""
    goal, effects = next(iter(found.items()))
    if not effects.judged:
        return f"{effects.caution} {effects.trials} trials have a score."
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("choice", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for head in ("made", "left", "difference", "95 % interval", "p"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in effects.judged[:top]:
        table.add_row(one.name, one.group, str(one.trials), str(one.others), *_numbers(one))
    pruned = f", {effects.pruned} of them pruned" if effects.pruned else ""
    more = len(effects.judged) - top
    parts = [
        f"what good trials share, on {goal}: {effects.trials} trials{pruned}; difference: of the mean share of others",
        "that a trial beats at equal epochs, in percent, between those that made a choice and those that didn't",
        plain_text(table),
        f"... and {more} more (--top)" if more > 0 else "",
        textwrap.fill(f"{effects.caution} * holds for all together", 118),
        f"other goals ({', '.join(list(found)[1:])}): --json" if len(found) > 1 else "",
    ]
    return "\n".join(part for part in parts if part)


def _numbers(one: Effect) -> tuple[str, str, str]:
    low, high, p = one.low or 0.0, one.high or 0.0, one.p or 0.0
    mark = " *" if one.firm else "  "
    return f"{100 * one.difference:+.0f}", f"{100 * low:+.0f} … {100 * high:+.0f}", f"{p:.2g}{mark}"


def document(found: Mapping[str, Effects]) -> dict[str, Any]:
    """The same for a program: all effects on each goal."""
    return {
        goal: {
            "trials": effects.trials,
            "pruned": effects.pruned,
            "caution": effects.caution,
            "choices": [asdict(one) for one in effects.effects],
        }
        for goal, effects in found.items()
    }
