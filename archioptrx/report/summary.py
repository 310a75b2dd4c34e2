"""The head of a run's report: what was searched, how far it is, what was found."""

from __future__ import annotations

import fcntl
import shlex
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from archioptrx.core.version import __version__
from archioptrx.report.axes import name_and_sign
from archioptrx.report.content import Content
from archioptrx.report.page import fragment
from archioptrx.runs.costs import schedule_of
from archioptrx.runs.run_folder import RunFolder
from archioptrx.runs.text import duration_text, score_text, seeds_text

Row = Mapping[str, Any]
TIME = "%Y-%m-%d %H:%M UTC%z"
"""With the zone: a page is read elsewhere, and may be written elsewhere than the search ran."""


def subtitle(content: Content) -> str:
    """What was searched, by what, on which data."""
    experiment = content.experiment
    what = experiment.architecture or experiment.function_graph
    parts = [f"{what}", f"sampler {experiment.sampler['name']}", f"scheduler {experiment.scheduler.name}"]
    data = experiment.data
    parts.append(f"data {data['source']}" + (f" ({data['path']})" if data.get("path") else ""))
    return " · ".join([*parts, f"task {experiment.task['name']}", f"objective {experiment.objective}"])


def head_facts(content: Content) -> dict[str, Any]:
    """Short figures for the head of the page: a text, and a smaller one below it."""
    rows, budget = content.rows, content.experiment.budget.trials
    tally = Counter(row["status"] for row in rows)
    small = ", ".join(f"{count:,} {status}" for status, count in tally.most_common())
    figures = {"trials ended": _fact(f"{len(rows):,} of {budget:,}", small or "none yet")}
    if content.best:
        best = max(content.best, key=lambda row: row["score"])
        name, sign = name_and_sign(content.experiment.objective.first)
        detail = f"trial {best['id']}, {best['parameters']:,} parameters"
        figures[f"best validation {name}"] = _fact(score_text(sign * best["score"]), detail)
    if content.winner:
        figures |= _winner(content, content.winner)
    if rows:
        trained = sum(row["train_seconds"] or 0 for row in rows)
        wall = schedule_of(rows).wall
        figures["wall time"] = _fact(duration_text(wall), f"{duration_text(trained)} of training in all")
    data = content.environment["data"]
    figures["data"] = _fact(content.experiment.data["source"], data["split"])
    started = content.environment["started"]
    figures["started"] = _fact(started[:10], f"{started[11:16]} UTC{started[19:]}")
    return figures


def _winner(content: Content, winner: Mapping[str, Any]) -> dict[str, Any]:
    """The winner's metric of the first goal on test events; the first metric where it isn't among them."""
    test = winner["test"]
    metric = content.experiment.objective.first.metric
    name = metric if metric in test else next(iter(test), None)
    if name is None:
        return {}
    spread, seeds = test[name], winner["seeds"]
    value = f"{spread['mean']:.5f}" + (f" ± {spread['deviation']:.5f}" if seeds > 1 else "")
    return {f"winner, test {name}": _fact(value, f"trial {winner['proposal']:04d}, {seeds_text(seeds)}")}


def _fact(text: str, small: str) -> Any:
    return fragment("fact.html", text=text, small=small)


def banner(content: Content, now: datetime) -> str:
    """What a reader has to know first; empty for a search that has ended well."""
    ended, budget = len(content.rows), content.experiment.budget.trials
    waiting, written = len(content.proposals) - len(content.refused) - ended, f"{now:{TIME}}"
    run = shlex.quote(str(content.folder.path))
    if is_running(content.folder):
        left = f", {waiting:,} in training" if waiting > 0 else ""
        return f"The search still runs: at {written} {ended:,} of {budget:,} trials have ended{left}."
    if content.winner:
        return ""
    go_on = f"archioptrx search --resume {run} goes on with it"
    if ended and not content.best:
        return f"No trial has a score: all {ended:,} that have ended failed. The leaderboard says why."
    return f"The search has stopped before its end, after {ended:,} of {budget:,} trials; {go_on}."


def is_running(folder: RunFolder) -> bool:
    """Whether a process holds the run: asked by trying for a moment to share what it holds alone."""
    place = folder.path / "lock"
    if not place.exists():
        return False
    with open(place) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def footer(now: datetime) -> str:
    """When and by what the page was written."""
    return f"Written {now:{TIME}} by ArchiOpTrX {__version__}. This page needs nothing but itself."
