"""The report of a run: all sections that it has something to show for."""

from __future__ import annotations

from pathlib import Path

from archioptrx.report import costs, effects, functions, leaderboard, walks
from archioptrx.report.content import Content
from archioptrx.report.page import Section, page, write_page
from archioptrx.run_folder import RunFolder

SECTIONS = (
    leaderboard.section,
    effects.section,
    functions.section,
    walks.section,
    costs.section,
)
"""In the order of the page; each gives None where a run has nothing of the kind."""


def write_report(folder: RunFolder, path: Path, top: int = 10) -> None:
    """Write the report of a run, ended or not.

    Parameters
    ----------
    top
        How many of the best trials are shown in detail.

    Raises
    ------
    InputError
        The run is damaged, or the page can't be written.
    """
    content = Content.read(folder, top)
    sections = [found for make in SECTIONS if (found := make(content)) is not None]
    write_page(path, page(folder.path.resolve().name, subtitle(content), facts(content), sections))


def subtitle(content: Content) -> str:
    """What was searched, by what, on which data."""
    experiment = content.experiment
    what = experiment.architecture or experiment.function_graph
    return f"{what} · sampler {experiment.sampler['name']} · data {experiment.data['source']}"


def facts(content: Content) -> dict[str, str]:
    """Short figures for the head of the page."""
    budget, ended = content.experiment.budget.trials, len(content.rows)
    return {"trials ended": f"{ended:,} of {budget:,}", "not ended": f"{len(content.proposals) - ended:,}"}


__all__ = ["Section", "write_report"]
