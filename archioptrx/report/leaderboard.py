"""The leaderboard: a table of all trials, which sorts, filters and leads to each architecture."""

from __future__ import annotations

from archioptrx.report.content import Content
from archioptrx.report.page import Section, fragment, packed
from archioptrx.report.trials import SCRIPTS, trial_data


def section(content: Content) -> Section:
    """The table, or that there is none yet."""
    if not content.rows:
        return Section("leaderboard", "Leaderboard", fragment("empty.html", text="No trial has ended yet."))
    statuses = [row["status"] for row in content.rows]
    tallies = {name: statuses.count(name) for name in ("finished", "pruned", "failed") if name in statuses}
    body = fragment("leaderboard.html", data=packed("trials", trial_data(content)), tallies=tallies)
    description = (
        "All ended trials, best first. A heading sorts by its column; a row opens the trial. "
        "Scores are of validation events."
    )
    return Section("leaderboard", "Leaderboard", body, description, (*SCRIPTS, "leaderboard.js"))
