"""The comparison of the searches of a study, as text and as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from archioptrx.core.files import plain
from archioptrx.runs.text import duration_text, plain_text, score_text
from archioptrx.search.study_comparison import SeedGroup, outcomes_of, seed_groups
from archioptrx.search.study_run import StudyFolder


def study_text(folder: StudyFolder) -> str:
    """Comparison as text for the terminal."""
    outcomes, goal = outcomes_of(folder)
    rows = seed_groups(outcomes, str(folder.document["name"]))
    ended = sum(outcome.ended for outcome in outcomes)
    first = {"quarter": "after 1/4 of the trials", "half": "after 1/2", "all": "after all"}
    last = {"validation": f"validation {goal.label}", "test": f"test {goal.metric}", "parameters": "parameters"}
    last |= {"architectures": "architectures", "seconds": "wall time"}
    parts = [
        f"best validation {goal.label} so far, trials in the order of their proposal:",
        _table(rows, first),
        "",
        "the winners, trained again:",
        _table(rows, last),
        "",
        f"{ended} of {len(outcomes)} searches ended; mean ± sample standard deviation over seeds",
    ]
    if any(difference.error is not None for row in rows for difference in row.differences.values()):
        parts.append(
            f"* differs from {_references(rows)} by more than the standard error of the difference, paired by seed\n"
            "  (where nothing differs, chance alone does so in three to five of ten cases)"
        )
    if len(apart := _of_other_events(rows)) > 1:
        parts.append(f"scores of other data or another split, not compared with each other: {', '.join(apart)}")
    return "\n".join(parts)


def _of_other_events(rows: Sequence[SeedGroup]) -> list[str]:
    """Labels of the first row of each data and split."""
    return [row.label for row in rows if row.reference is None]


def _references(rows: Sequence[SeedGroup]) -> str:
    first, *more = _of_other_events(rows)
    return "the first row of the same data and split" if more else first


def study_json(folder: StudyFolder) -> str:
    """Comparison as JSON: all figures and the curves."""
    outcomes, goal = outcomes_of(folder)
    content = {
        "study": str(folder.path),
        "metric": goal.label,
        "test_metric": goal.metric,
        "vary": folder.vary,
        "searches": [
            {
                "search": outcome.combination.name,
                "run": str(folder.path / outcome.combination.name),
                "values": outcome.combination.values,
                "ended": outcome.ended,
                "figures": outcome.figures,
                "curve": outcome.curve,
            }
            for outcome in outcomes
        ],
        "comparison": [_row_document(row) for row in seed_groups(outcomes, str(folder.document["name"]))],
    }
    return json.dumps(plain(content), indent=1, ensure_ascii=False)


def _row_document(row: SeedGroup) -> dict[str, Any]:
    figures = row.outcomes[0].figures if row.outcomes else ()
    numbers = {figure: row.numbers(figure) for figure in figures}
    return {
        "label": row.label,
        "values": row.values,
        "searches": row.searches,
        "reference": row.reference,
        "ended": [outcome.combination.name for outcome in row.outcomes],
        "figures": {
            figure: {
                "mean": statistics.fmean(values),
                "deviation": statistics.stdev(values) if len(values) > 1 else None,
                "values": values,
            }
            for figure, values in numbers.items()
            if values
        },
        "differences": {
            name: {**asdict(difference), "larger": difference.larger} for name, difference in row.differences.items()
        },
    }


def _table(rows: Sequence[SeedGroup], columns: Mapping[str, str]) -> str:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    for title in columns.values():
        table.add_column(title, no_wrap=True)
    for row in rows:
        seeds = str(len(row.outcomes)) + ("" if len(row.outcomes) == row.searches else f" of {row.searches}")
        table.add_row(row.label, seeds, *(_cell(row, figure) for figure in columns))
    return plain_text(table)


def _cell(row: SeedGroup, figure: str) -> str:
    numbers = row.numbers(figure)
    if not numbers:
        return "–"
    mean = statistics.fmean(numbers)
    if figure == "seconds":
        return duration_text(mean)
    if figure in ("parameters", "architectures"):
        return f"{mean:,.0f}"
    spread = f" ± {statistics.stdev(numbers):.5f}" if len(numbers) > 1 else ""
    difference = row.differences.get(figure)
    return score_text(mean) + spread + (" *" if difference is not None and difference.larger else "")
