"""Comparison of models from Python, as in `archioptrx compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archioptrx.core.config import finish
from archioptrx.report.comparison.result import SEEDS, Comparison
from archioptrx.tasks.options.judging import cut_faults, fraction_faults

if TYPE_CHECKING:
    from archioptrx.report.comparison.acts_tracks import FurtherTracks
    from archioptrx.report.comparison.entries import Seconds
    from archioptrx.report.comparison.events import ModelEvents
    from archioptrx.report.comparison.models import ArchitectureTraining, LoadedModel
    from archioptrx.report.comparison.track_judging import TrackJudging


def compare_models(
    models: Sequence[str | Path],
    data: str | Path | None = None,
    cut: float | None = None,
    efficiency: float | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    seeds: int = SEEDS,
    output: Path | None = None,
    resamples: int | None = None,
    matching: str | None = None,
    fraction: float | None = None,
    limits: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare trained models, and architectures that are trained first.

    Parameters
    ----------
    models
        Runs, RUN/ID, model folders; names or files of architectures; after them `acts:ckf`, `acts:truth`. Differences
        are from the first.
    data
        Path of events that no model was trained on; None: the test events of the first trained model. Where no model is
        trained yet: path of the events for training and test; None: toy events.
    cut
        Probability that accepts; None: 0.5.
    efficiency
        Efficiency in place of a cut: each model gets the cut that has it on its validation events.
    epochs, seed, output
        Settings for the training of architectures; None: as the first model was trained, into `models/NAME-n`.
    seeds
        Trainings of each architecture, with the seeds `seed`, `seed` + 1 …; its metrics are means over them.
    resamples
        Number of resamples of the bootstrap.
    matching, fraction
        Definition of figures of tracks beside the usual metrics, see `Definition.named`; None: none, or that of Acts
        where an algorithm of Acts is compared.
    limits
        Limits of particles and tracks, fields of `Selection`, in place of those of the signal and of the definition.

    Raises
    ------
    InputError
        One line for every fault.
    """
    _check(cut, efficiency, epochs=(epochs, 1), seed=(seed, 0), seeds=(seeds, 1), resamples=(resamples, 100))
    # torch is imported from here on.
    from archioptrx.report.comparison.models import ArchitectureTraining

    names, path = [str(model) for model in models], None if data is None else str(data)
    of_acts = _of_acts(names)
    judging = _judging(matching or ("acts" if of_acts else None), fraction, limits or {})
    training = ArchitectureTraining(None, epochs, seed, output, seeds)
    participants = _participants([name for name in names if name not in of_acts], of_acts, path, training)
    return _compared(participants, judging, cut, efficiency, resamples, seed or 0)


@dataclass(frozen=True, eq=False)
class _Participants:
    """Models of a comparison and the events for them.

    Attributes
    ----------
    models, views
        Models with weights, and the events as the input of each.
    host, path
        Model whose events they are, and their path; None: its test events.
    of_acts
        Names of the algorithms of Acts beside the models.
    notes
        Remarks for the reader.
    """

    models: Sequence[LoadedModel]
    views: Sequence[ModelEvents]
    host: LoadedModel
    path: str | None
    of_acts: Sequence[str]
    notes: Sequence[str]


def _of_acts(names: Sequence[str]) -> list[str]:
    """Names of the algorithms of Acts; see `check_names`."""
    from archioptrx.report.comparison.acts_tracks import check_names

    return check_names(names)


def _participants(
    names: Sequence[str], of_acts: Sequence[str], path: str | None, training: ArchitectureTraining
) -> _Participants:
    """Read the models, train the architectures, and read the events; `training`: its data are decided here."""
    from archioptrx.report.comparison.acts_tracks import check_whole
    from archioptrx.report.comparison.answers import check_tasks
    from archioptrx.report.comparison.events import views_of
    from archioptrx.report.comparison.models import read_models, train_missing, trained_models

    models_read = read_models(names, of_acts)
    ready = trained_models(names, models_read)
    if ready and len(ready) < len(names):  # what is wrong with their events is found before anything is trained
        seen, _ = views_of(ready, ready[0], path)
        check_whole(of_acts, ready[0].name, seen[0].whole)
    if not ready:  # the path is that of the events for training, and its test events are compared
        training, path = replace(training, data=path), None
    models = train_missing(names, models_read, training)
    check_tasks(models)
    host = next(loaded for loaded in models if loaded.place == ready[0].place) if ready else models[0]
    views, notes = views_of(models, host, path)
    check_whole(of_acts, host.name, views[models.index(host)].whole)
    return _Participants(models, views, host, path, of_acts, notes)


def _compared(
    participants: _Participants,
    judging: TrackJudging,
    cut: float | None,
    efficiency: float | None,
    resamples: int | None,
    seed: int,
) -> Comparison:
    """Run all models, and the algorithms beside them, on the events, and compare their answers."""
    from archioptrx.models.working_point import chosen_cut
    from archioptrx.report.comparison.answers import model_answers
    from archioptrx.report.comparison.evaluation import compare_answers

    groups = [
        [model_answers(loaded, model, view, chosen_cut(model, cut, efficiency)) for model in loaded.trainings]
        for loaded, view in zip(participants.models, participants.views, strict=True)
    ]
    others, seconds = _algorithms(participants)
    path, notes = participants.path, participants.notes
    origin = f"test events of {participants.host.name}" if path is None else f"events of {path}"
    return compare_answers(groups, origin, notes, resamples, seed, judging, others, seconds)


def _judging(matching: str | None, fraction: float | None, limits: Mapping[str, float]) -> TrackJudging:
    """Definition and limits for tracks."""
    from archioptrx.report.comparison.track_judging import TrackJudging
    from archioptrx.tasks.tracks.definitions import Definition

    finish(fraction_faults(fraction, matching))
    return TrackJudging(None if matching is None else Definition.named(matching, fraction), limits)


def _algorithms(participants: _Participants) -> tuple[list[FurtherTracks], list[Seconds | None]]:
    """Tracks of the algorithms of Acts, and with them the time of each model for each event."""
    from archioptrx.report.comparison.acts_tracks import acts_events, field_of, found_by_acts
    from archioptrx.report.comparison.event_time import seconds_of_events

    if not participants.of_acts:
        return [], []
    model, path = participants.host.model, participants.path
    view = participants.views[participants.models.index(participants.host)]
    events = acts_events(model, path, view.metadata, view.graphs)
    field = field_of(model, path, view.metadata)
    others = [found_by_acts(name, events, field) for name in participants.of_acts]
    hits = [event.event for event in events]
    pairs = zip(participants.models, participants.views, strict=True)
    return others, [seconds_of_events(loaded.model, own.graphs, hits) for loaded, own in pairs]


def _check(cut: float | None, efficiency: float | None, **least: tuple[int | None, int]) -> None:
    """Raise InputError for numbers out of range; `least`: whole numbers with their lower bounds."""
    faults = cut_faults(cut, efficiency)
    faults += [
        f"--{name}: is {value}; allowed: {low} or more"
        for name, (value, low) in least.items()
        if value is not None and value < low
    ]
    finish(faults)
