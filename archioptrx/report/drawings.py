"""Drawings of architectures, to stand in the page once each; a script copies them where they are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from archioptrx.computation_graph import ComputationGraph
from archioptrx.graph_drawing import svg_of
from archioptrx.report.content import Content

if TYPE_CHECKING:
    from markupsafe import Markup


def drawing(content: Content, row: Mapping[str, Any]) -> Markup:
    """The network of a trial as one `<svg>`, with the widths that it was trained with as far as they are known."""
    from markupsafe import Markup

    graph, values = content.graph(row["proposal"]), row["hyperparameters"]
    return Markup(svg_of(graph, known_widths(content, graph), values, legend=False))


def known_widths(content: Content, graph: ComputationGraph) -> dict[str, int]:
    """Channels of sources by name, and of targets, in the data of the run; a run of before doesn't tell them."""
    widths: dict[str, int] = content.environment["data"].get("widths", {})
    sources = {kind.name: widths[str(kind.field)] for kind in graph.types if kind.field in widths}
    return sources | {name: width for name, width in widths.items() if name.split(".")[0] == "target"}


def places(content: Content, rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    """Trials with their places in `content.rows`, by which scripts know them."""
    place = {row["proposal"]: i for i, row in enumerate(content.rows)}
    return [(place[row["proposal"]], row) for row in rows]
