"""Report of a run: all sections for which the run has data.

Contract of a section file (`trials`, `scores`, `pareto`, ...): a function `section(content: Content) -> Section |
None` reads the content of a run folder and gives the section of the page, or None where the run has no data for it. To
add a section, write such a file and add its function to `SECTIONS`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from archioptrx.report import (
    architectures,
    best_model,
    costs,
    effects,
    functions,
    pareto,
    scores,
    trials,
    walks,
)
from archioptrx.report.content import Content
from archioptrx.report.page import page, write_page
from archioptrx.report.summary import banner, footer, head_facts, subtitle
from archioptrx.runs.run_folder import RunFolder

SECTIONS = (
    trials.section,
    scores.section,
    pareto.section,
    architectures.section,
    best_model.section,
    effects.section,
    functions.section,
    walks.section,
    costs.section,
)
"""Functions of all sections, in the order of the page."""


def write_report(folder: RunFolder, path: Path, top: int = 10) -> None:
    """Write the report of a run, ended or not.

    Parameters
    ----------
    top
        Number of the best trials that are shown in detail.

    Raises
    ------
    InputError
        The run is damaged, or the page can't be written.
    """
    content = Content.read(folder, top)
    sections = [section for make in SECTIONS if (section := make(content)) is not None]
    now = datetime.now().astimezone()
    name = folder.path.resolve().name
    write_page(path, page(name, subtitle(content), head_facts(content), sections, banner(content, now), footer(now)))
