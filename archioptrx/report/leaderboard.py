"""Section with the leaderboard: a table of all trials to sort and filter, which opens each architecture."""

from __future__ import annotations

from archioptrx.report.content import Content
from archioptrx.report.page import Section, fragment, packed
from archioptrx.report.trials import SCRIPTS, trial_data


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
