"""Comparison of the answers of all models, and of the tracks of other algorithms beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from archioptrx.data.dataset import Dataset
from archioptrx.report.comparison.acts_tracks import FurtherTracks
from archioptrx.report.comparison.answers import (
    ModelAnswers,
    device_of_models,
    different_losses,
    order_of_rows,
    strangers,
)
from archioptrx.report.comparison.bootstrap import Replicates
from archioptrx.report.comparison.decisions import Pair, compare_decisions, marked
from archioptrx.report.comparison.entries import Seconds, entries_of_models, entry_of_algorithm, marked_entries
from archioptrx.report.comparison.pictures import Curves, Display, curves_of, display_of
from archioptrx.report.comparison.resampled import DrawnUnits, resampled_metrics, scales_of
from archioptrx.report.comparison.result import ComparedModel, Comparison
from archioptrx.report.comparison.statistics import rows_of
from archioptrx.report.comparison.track_judging import TrackJudging, time_replicates, track_replicates
from archioptrx.report.comparison.units import EVENTS, events_of, scored_graphs
from archioptrx.tasks.tracks.figures import limits_text
from archioptrx.tasks.tracks.own_quantities import Frame


def compare_answers(
    groups: Sequence[Sequence[ModelAnswers]],
    origin: str,
    notes: Sequence[str],
    number: int | None,
    seed: int,
    judging: TrackJudging,
    others: Sequence[FurtherTracks] = (),
    seconds: Sequence[Seconds | None] = (),
) -> Comparison:
    """Compare the outputs of all models.

    Parameters
    ----------
    groups
        Answers of the trainings of each entry. Decisions, curves and costs are those of the first one.
    origin, notes
        Texts for the reader; see `Comparison`.
    number, seed
        Number of resamples, see `resampled_metrics`, and their seed.
    judging
        Definition and limits for tracks.
    others
        Tracks of algorithms that are no networks.
    seconds
        Time of each entry for each event; empty: it isn't measured.
    """
    runs = [group[0] for group in groups]
    first, apart = runs[0], different_losses(runs)
    drawn, replicates = resampled_metrics(groups, number, seed, judging)
    seconds = seconds or [None] * len(groups)
    for values, of_model in zip(replicates, seconds, strict=True):
        values |= {} if of_model is None else time_replicates(of_model, drawn.of_events)
    replicates = [{name: values[name] for name in values if name not in apart} for values in replicates]
    bins = [_bins(group, judging) for group in groups]
    models = entries_of_models(runs, replicates, bins, seconds)
    further = [_entry(other, first, replicates[0], judging, drawn) for other in others]
    entries = marked_entries([*models, *further])
    rows = first.decided[2] if first.rows else None
    return Comparison(
        entries=entries,
        events=len(events_of(first.view.graphs)),
        graphs=len(first.view.graphs),
        rows=None if rows is None else int(rows.sum()),
        origin=origin,
        what=first.rows[0].rows.plural if first.rows else "",
        unit=drawn.units.kind,
        units=max(
            (n.units for entry in entries for n in entry.metrics.values() if n.units), default=drawn.units.number
        ),
        resamples=drawn.number if drawn.units.number else 0,
        pairs=_pairs(runs),
        device=device_of_models().type,
        notes=(*notes, *_notes(runs, entries, drawn, apart, others)),
        judging=_judging_text(judging, first),
        curves=_curves(runs),
        display=_display(runs),
    )


def _bins(group: Sequence[ModelAnswers], judging: TrackJudging) -> dict[str, Any]:
    """Rates of the tracks of an entry in bins, means over its trainings; empty where no definition is chosen."""
    first = group[0]
    if judging.definition is None or not first.tracks:
        return {}
    events = [event for run in group for event in run.tracks]
    return judging.in_bins(events, first.signal, Frame.of(first.view.metadata), len(group))


def _entry(
    other: FurtherTracks,
    first: ModelAnswers,
    replicates: dict[str, Replicates],
    judging: TrackJudging,
    drawn: DrawnUnits,
) -> ComparedModel:
    """Entry of an algorithm beside the first model, whose metrics are given; its events are whole."""
    task = first.model.task.name
    own = track_replicates(other.events, first.signal, judging, task, drawn.of_events, scales_of(first))
    own |= time_replicates(other.seconds, drawn.of_events)
    frame = replace(Frame.of(first.view.metadata), turned=False)
    return entry_of_algorithm(other, own, replicates, judging.in_bins(other.events, first.signal, frame), task)


def _notes(
    runs: Sequence[ModelAnswers],
    entries: Sequence[ComparedModel],
    drawn: DrawnUnits,
    apart: Sequence[str],
    others: Sequence[FurtherTracks],
) -> list[str]:
    """Remarks on intervals, on what can't be compared, and on the algorithms."""
    first, units = runs[0], drawn.units
    notes = [] if units.number else ["there are too few events for intervals"]
    if units.kind not in ("", EVENTS) and any(name.startswith("track") for name in entries[0].metrics):
        few = len({facts.event for facts in scored_graphs(first.view.graphs, rows_of(first.model.task))})
        notes.append(f"tracks are those of whole events: {few} are too few for intervals")
    notes += [
        f"{run.contestant.name}: has graphs of its own, so its edges can't be compared one by one"
        for run in strangers(runs)
    ]
    if apart:
        notes.append(f"the models were trained with different options of the task, so {', '.join(apart)} says nothing")
    notes += [note for other in others for note in other.notes]
    several = [entry.name for entry in entries if entry.seeds > 1]
    return notes + [f"{name}: decisions, curves and costs are those of its first training" for name in several]


def _judging_text(judging: TrackJudging, first: ModelAnswers) -> str:
    """Definition and limits in words, as in `evaluate`."""
    if judging.definition is None:
        return ""
    return f"{judging.definition.label}: {limits_text(judging.definition, judging.within(first.signal, first.tracks))}"


def _pairs(runs: Sequence[ModelAnswers]) -> tuple[Pair, ...]:
    """Decisions of each two models with the same rows, in the order of the rows of the first model."""
    if not runs[0].rows:
        return ()
    accepted, truth, counted = runs[0].decided
    alike = [(runs[0].contestant.name, accepted[counted])]
    for run in runs[1:]:
        if (order := order_of_rows(run, runs[0])) is not None:
            alike.append((run.contestant.name, run.decided[0][order][counted]))
    return marked(
        [
            compare_decisions(name, second, accepted_first, accepted_second, truth[counted])
            for name, accepted_first in alike
            for second, accepted_second in alike
            if name != second
        ]
    )


def _curves(runs: Sequence[ModelAnswers]) -> dict[str, Curves]:
    curves = {}
    for run in runs:
        if run.rows:
            _, truth, counted = run.decided
            logits = np.concatenate([values.double().numpy() for values in run.rows[1]])
            curves[run.contestant.name] = curves_of(logits[counted], truth[counted], run.cut)
    return curves


def _display(runs: Sequence[ModelAnswers]) -> Display | None:
    """Event in which the first two models with the same edges differ most; None where it can't be drawn."""
    first = runs[0]
    if not first.rows or first.rows[0].rows.domain != "edge":
        return None
    partner = next((run for run in runs[1:] if order_of_rows(run, first) is not None), None)
    if partner is None:
        return None
    accepted, truth, counted = first.decided
    order = order_of_rows(partner, first)
    return display_of(
        Dataset(first.view.graphs, first.contestant.model.metadata),
        accepted == truth,
        partner.decided[0][order] == truth,
        counted,
        (first.contestant.name, partner.contestant.name),
    )
