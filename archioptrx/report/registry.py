"""Figures that the report shows for a task, by the task's name; without torch, for the list of all parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archioptrx.core.plugins import Registry

MODULE = "archioptrx.report.task_figures"
"""The bundled figures."""


@dataclass(frozen=True)
class TaskFigure:
    """A figure of a task's answers, before it is part of the page.

    Attributes
    ----------
    chart
        A `plotly.graph_objects.Figure`. Colours that fit the light and the dark theme of the page: `var(--c1)`,
        `var(--c2)`, `var(--ink)`.
    label
        Description for screen readers.
    height
        Height in pixels.
    """

    chart: Any
    label: str
    height: int = 400


Figures = Mapping[str, TaskFigure]
"""Figures by the headings above them."""
MakeFigures = Callable[[Any, Sequence[Any], Sequence[Any]], Figures]
"""`(task, outputs, graphs) -> figures`: one output of the model for each graph; graphs are batches of test events."""

FIGURES: Registry[MakeFigures] = Registry(
    "report figures", dict.fromkeys(("node_embedding", "node_regression", "track_count", "track_set"), MODULE)
)
"""Functions that make the figures of a task in the report, by the task's name; `classification` has more figures."""


def task_figures(task: str) -> Callable[[MakeFigures], MakeFigures]:
    """Register a function that makes the figures of a task, under the task's name."""
    return FIGURES.registering(task)
