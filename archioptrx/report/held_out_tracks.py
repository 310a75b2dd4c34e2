"""Efficiency, fakes and duplicates of the best model's tracks on held-out events, beside the ceiling of the graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from archioptrx.report.held_out import HeldOut
from archioptrx.report.page import figure
from archioptrx.report.rate_figures import rate_chart
from archioptrx.report.track_plot import USUAL
from archioptrx.tasks.tracks.binned import in_bins, technical_outcome
from archioptrx.tasks.tracks.definitions import DEFINITIONS, Definition
from archioptrx.tasks.tracks.figures import limits_text
from archioptrx.tasks.tracks.metrics import EventTracks, Selection
from archioptrx.tasks.tracks.own_quantities import Frame
from archioptrx.tasks.tracks.rates import Bins, drawn_rates
from archioptrx.tasks.tracks.scores import events_of_task, signal_selection

HITS_COUNT = "colliderml"
"""Definition that counts hits, and so has no bins."""


def definition_of(metrics: Iterable[str]) -> Definition | None:
    """Definition by which tracks are shown: that of the first metric that has a project's name; None: the usual one.

    >>> definition_of(["auc", "acts_efficiency"]), definition_of(["track_efficiency"])
    (Definition(name='acts', style='double', fraction=0.5), None)
    """
    projects = [project for project in DEFINITIONS if project != HITS_COUNT]
    names = (project for metric in metrics for project in projects if metric.startswith(f"{project}_"))
    return next((Definition.named(name) for name in names), None)


def track_figures(held: HeldOut, definition: Definition | None) -> tuple[str, dict[str, Markup]]:
    """Description of the rates, and their figures by heading; none where there are no tracks or particles."""
    if held.events is None:
        return "", {}
    task, whole = held.model.task, held.events.whole
    tracks = events_of_task(task, held.outputs, held.batches, whole)
    if not tracks:
        return "", {}
    perfect = events_of_task(task, [task.perfect(graph) for graph in held.batches], held.batches, whole)
    selection = signal_selection(held.graphs, held.events.metadata.options)
    title = USUAL
    if definition is not None:
        selection = definition.limits(selection, tracks)
        title = f"as {definition.label} ({limits_text(definition, selection)})"
    frame = Frame.of(held.events.metadata)
    curves = {
        name: _bins(events, selection, definition, frame) for name, events in (("model", tracks), ("ceiling", perfect))
    }
    return f"{title[:1].upper()}{title[1:]}. Bars are 95 % intervals of Clopper and Pearson.", _charts(curves)


def _bins(
    events: Sequence[EventTracks], selection: Selection, definition: Definition | None, frame: Frame
) -> dict[str, Any]:
    """Rates of tracks in bins."""
    count = technical_outcome if definition is None else definition.outcome
    return in_bins(events, [count(event, selection) for event in events], frame)


def _charts(curves: Mapping[str, Bins]) -> dict[str, Markup]:
    charts = {}
    for rate, quantities in drawn_rates(curves.values()):
        chart, views = rate_chart(curves, rate, quantities)
        label = f"{rate.title} of the tracks, and of a perfect network's, in bins of {', '.join(quantities)}"
        heading = f"{rate.title} of tracks".capitalize()
        charts[heading] = figure(f"tracks-{rate.name.replace('_', '-')}", chart, label, 360, views)
    return charts
