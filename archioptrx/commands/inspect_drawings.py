"""The architectures that `archioptrx inspect --draw` draws: the best ones of a run, or the one asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.drawing.network import draw_architecture, source_widths
from archioptrx.runs.run_folder import RunFolder

DRAWN = 3
"""Architectures that are drawn where no number is given."""


def best_of(rows: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The trials to draw: the first so many that have a score."""
    return [row for row in rows if row["score"] is not None][:count]


def draw_trials(
    folder: RunFolder,
    rows: Sequence[Mapping[str, Any]],
    graphs: Mapping[int, ComputationGraph],
    metric: str,
    place: Path,
) -> list[Path]:
    """Draw the architectures of trials, as `trial-0007.svg` and `.png`; the paths.

    Raises
    ------
    InputError
        The place is a file, or can't be written.
    """
    paths, widths = [], folder.environment().get("data", {}).get("widths", {})  # older runs don't tell
    for row in rows:
        graph, values = graphs[row["proposal"]], row["hyperparameters"]
        result = (row["metrics"] or {}).get(metric)
        title = f"{folder.path.resolve().name}, trial {row['id']}"
        title += f": {metric} {result:.4f}" if isinstance(result, float) else f": {row['status']}"
        paths += draw_architecture(graph, place, f"trial-{row['id']}", source_widths(graph, widths), values, title)
    return paths
