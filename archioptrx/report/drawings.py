"""Drawings of architectures: each is in the page once, and scripts copy it to the places that show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from archioptrx.graphs.drawing.network import source_widths, svg_of
from archioptrx.report.content import Content

if TYPE_CHECKING:
    from markupsafe import Markup


def network_drawing(content: Content, row: Mapping[str, Any]) -> Markup:
    """Drawing of a trial's network as one `<svg>`, with the widths of its training where they are known."""
    from markupsafe import Markup

    graph, values = content.graph(row["proposal"]), row["hyperparameters"]
    return Markup(
        svg_of(graph, source_widths(graph, content.environment["data"].get("widths", {})), values, legend=False)
    )


def numbered_trials(content: Content, rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    """Trials with their indices in `content.rows`, by which scripts identify them."""
    place = {row["proposal"]: i for i, row in enumerate(content.rows)}
    return [(place[row["proposal"]], row) for row in rows]
