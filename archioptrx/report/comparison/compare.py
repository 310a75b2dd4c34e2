"""Comparison of models from Python, as in `archioptrx compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archioptrx.core.config import finish
from archioptrx.core.errors import InputError
from archioptrx.report.comparison.result import SEEDS, Comparison

if TYPE_CHECKING:
    from archioptrx.models.model_folder import TrainedModel
    from archioptrx.report.comparison.acts_tracks import FurtherTracks
    from archioptrx.report.comparison.events import ModelEvents
    from archioptrx.report.comparison.models import LoadedModel
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
    from archioptrx.models.working_point import chosen_cut
    from archioptrx.report.comparison.acts_tracks import check_names, check_whole
    from archioptrx.report.comparison.evaluation import check_tasks, compare_answers, model_answers
    from archioptrx.report.comparison.events import views_of
    from archioptrx.report.comparison.models import ArchitectureTraining, read_models, train_missing, trained_models

    every = [str(model) for model in models]
    of_acts = check_names(every)
    names = [name for name in every if name not in of_acts]
    path = None if data is None else str(data)
    judging = _judging(matching or ("acts" if of_acts else None), fraction, limits or {})
    models_read = read_models(names, of_acts)
    ready = trained_models(names, models_read)
    if ready and len(ready) < len(names):  # what is wrong with their events is found before anything is trained
        seen, _ = views_of(ready, ready[0], path)
        check_whole(of_acts, ready[0].name, seen[0].whole)
    trained = ready[0].place if ready else None
    schooling = ArchitectureTraining(path if trained is None else None, epochs, seed, output, seeds)
    contestants = train_missing(names, models_read, schooling)
    check_tasks(contestants)
    host = contestants[0] if trained is None else next(loaded for loaded in contestants if loaded.place == trained)
    views, notes = views_of(contestants, host, None if trained is None else path)
    place = contestants.index(host)
    check_whole(of_acts, host.name, views[place].whole)
    runs = [
        [model_answers(loaded, model, view, chosen_cut(model, cut, efficiency)) for model in loaded.trainings]
        for loaded, view in zip(contestants, views, strict=True)
    ]
    where = None if trained is None else path
    others, seconds = _algorithms(of_acts, contestants, views, host.model, where, views[place])
    origin = f"test events of {host.name}" if trained is None or path is None else f"events of {path}"
    return compare_answers(runs, origin, notes, resamples, seed or 0, judging, others, seconds)


def _judging(matching: str | None, fraction: float | None, limits: Mapping[str, float]) -> TrackJudging:
    """Definition and limits for tracks."""
    from archioptrx.report.comparison.track_judging import TrackJudging
    from archioptrx.tasks.tracks.definitions import Definition

    if fraction is not None and matching is None:
        raise InputError("--fraction: has no meaning alone; allowed: with --matching acts or acorn")
    return TrackJudging(None if matching is None else Definition.named(matching, fraction), limits)


def _algorithms(
    names: Sequence[str],
    contestants: Sequence[LoadedModel],
    views: Sequence[ModelEvents],
    host: TrainedModel,
    path: str | None,
    view: ModelEvents,
) -> tuple[list[FurtherTracks], list[list[float] | None]]:
    """Tracks of the named algorithms of Acts, and with them the time of each model for each event."""
    from archioptrx.report.comparison.acts_tracks import acts_events, field_of, found_by_acts
    from archioptrx.report.comparison.event_time import seconds_of_events

    if not names:
        return [], []
    events = acts_events(host, path, view.metadata, view.graphs)
    field = field_of(host, path, view.metadata)
    others = [found_by_acts(name, events, field) for name in names]
    hits = [event.event for event in events]
    return others, [
        seconds_of_events(loaded.model, own.graphs, hits) for loaded, own in zip(contestants, views, strict=True)
    ]


def _check(cut: float | None, efficiency: float | None, **least: tuple[int | None, int]) -> None:
    """Raise InputError for numbers out of range; `least`: whole numbers with their lower bounds."""
    faults = [
        f"--{name}: is {value:g}; allowed: between 0 and 1"
        for name, value in (("cut", cut), ("efficiency", efficiency))
        if value is not None and not 0 < value < 1
    ]
    if cut is not None and efficiency is not None:
        faults.append("--cut and --efficiency: both set the cut; allowed: one of them")
    faults += [
        f"--{name}: is {value}; allowed: {low} or more"
        for name, (value, low) in least.items()
        if value is not None and value < low
    ]
    finish(faults)
