"""The head of a run's report: subject, progress and results of the search."""

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
"""Format of a time, with its zone: the page may be read in another zone than the search ran in."""


def subtitle(content: Content) -> str:
    """Line with the searched space, the sampler, the scheduler, data, task and objective."""
    experiment = content.experiment
    searched = experiment.architecture or experiment.function_graph
    parts = [f"{searched}", f"sampler {experiment.sampler['name']}", f"scheduler {experiment.scheduler.name}"]
    data = experiment.data.to_dict()
    parts.append(f"data {data['source']}" + (f" ({data['path']})" if data.get("path") else ""))
    return " · ".join([*parts, f"task {experiment.task.name}", f"objective {experiment.objective}"])


def head_facts(content: Content) -> dict[str, Any]:
    """Key figures for the head of the page, by name: a text, and a smaller one below it."""
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
        figures["wall time"] = _fact(duration_text(wall), f"{duration_text(trained)} of training in total")
    data = content.environment["data"]
    figures["data"] = _fact(content.experiment.data.source, data["split"])
    started = content.environment["started"]
    figures["started"] = _fact(started[:10], f"{started[11:16]} UTC{started[19:]}")
    return figures


def _winner(content: Content, winner: Mapping[str, Any]) -> dict[str, Any]:
    """Winner's metric of the first goal on test events; the first metric where it has none of that name."""
    test = winner["test"]
    metric = content.experiment.objective.first.metric
    name = metric if metric in test else next(iter(test), None)
    if name is None:
        return {}
    spread, seeds, failed = test[name], winner["seeds"], winner.get("failed_seeds", 0)
    value = f"{spread['mean']:.5f}" + (f" ± {spread['deviation']:.5f}" if seeds > 1 else "")
    return {f"winner, test {name}": _fact(value, f"trial {winner['proposal']:04d}, {seeds_text(seeds, failed)}")}


def _fact(text: str, small: str) -> Any:
    return fragment("fact.html", text=text, small=small)


def banner(content: Content, now: datetime) -> str:
    """Message above all sections: the search is running, or was interrupted; empty for a completed search."""
    ended, budget = len(content.rows), content.experiment.budget.trials
    waiting, written = len(content.proposals) - len(content.refused) - ended, f"{now:{TIME}}"
    run = shlex.quote(str(content.folder.path))
    if is_running(content.folder):
        left = f", {waiting:,} in training" if waiting > 0 else ""
        return f"The search is still running. State at {written}: {ended:,} of {budget:,} trials have ended{left}."
    if content.winner:
        return ""
    resume = f"continue it with: archioptrx search --resume {run}"
    if ended and not content.best:
        return f"No trial has a score: all {ended:,} that have ended failed. The leaderboard shows the errors."
    return f"The search was interrupted after {ended:,} of {budget:,} trials; {resume}"


def is_running(folder: RunFolder) -> bool:
    """Whether a process writes to the run folder: it holds an exclusive lock, so that a shared one fails."""
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
    """Line with time of the page and version of the program."""
    return (
        f"Written {now:{TIME}} by ArchiOpTrX {__version__}. This page needs no other files and no network connection."
    )
