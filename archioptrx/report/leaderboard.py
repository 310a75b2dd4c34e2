"""The leaderboard: a table of all trials that can be sorted."""

from __future__ import annotations

from archioptrx.report.content import Content
from archioptrx.report.page import Section, table
from archioptrx.search.text import columns


def section(content: Content) -> Section | None:
    """The best trials in a table."""
    if not content.rows:
        return None
    rows = content.rows[: content.top]
    graphs = {row["proposal"]: content.graph(row["proposal"]) for row in rows}
    shown = columns(content.experiment.objective, graphs)
    cells = [[column.cell(row) for column in shown] for row in rows]
    body = table("leaderboard-table", [column.head for column in shown], cells)
    return Section("leaderboard", "Leaderboard", body, "All ended trials, best first. Click a heading to sort.")
