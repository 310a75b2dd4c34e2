"""The events that belong to a trained model: those that it was trained, validated and tested on, or any others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from archioptrx.core.errors import InputError
from archioptrx.data.copies import repetition
from archioptrx.data.dataset import EVENTS, Dataset, Metadata, Splits
from archioptrx.data.description import DataDescription
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.kinds import other_kind
from archioptrx.models.model_folder import TrainedModel
from archioptrx.tasks.binary import BinaryClassification
from archioptrx.tasks.several import parts_of
from archioptrx.tasks.task import Task, no_particles
from archioptrx.tasks.tracks.scores import lacking_signal, makes_tracks


def load_splits(data: DataDescription, split: Mapping[str, Any], test: str | None) -> tuple[Metadata, Splits, str]:
    """Read and divide data, and give their fingerprint.

    Raises
    ------
    InputError
        The data are wrong, or too few to be divided.
    """
    dataset = data.load()
    fingerprint = dataset.fingerprint
    last: float | Dataset = split["test"]
    if test is not None:
        last = data.other(test, dataset.metadata, "test").load(like=dataset.metadata)
        fingerprint += f"+{last.fingerprint}"
        warn_of_kind(f"test: {test}", dataset.metadata, last.metadata)
    by = split.get("by", EVENTS)  # older folders don't have it
    return dataset.metadata, dataset.split(split["validation"], last, split["seed"], by), fingerprint


def on_stderr(text: str) -> None:
    """Show a warning."""
    print(text, file=sys.stderr)


def warn_of_kind(place: str, training: Metadata, data: Metadata, warn: Callable[[str], None] = on_stderr) -> None:
    """Warn where data are of another kind than those of a training; `place` names them."""
    if differences := other_kind(training, data):
        warn(f"{place}: is of another kind than the training data: {differences}")


class ModelData(NamedTuple):
    """Events for a model.

    Attributes
    ----------
    graphs
        In the model's scales.
    whole
        Whether the events are whole, or sectors of events whose others the model was trained on.
    metadata
        Metadata of the events themselves: their signal may be another than that of the training.
    """

    graphs: Sequence[HitGraph]
    whole: bool
    metadata: Metadata


def events_for(model: TrainedModel, path: str | None, warn: Callable[[str], None] = on_stderr) -> ModelData:
    """All events of a path; without one the test events that the model never saw.

    `warn` gets a line where events have no truth, lack what their signal needs, are of another kind than those of the
    training, stand there twice, or are too few.

    Raises
    ------
    InputError
        The data are missing, wrong, of another kind, or no longer those of the training.
    """
    provenance = model.provenance
    if path is not None:
        data = provenance.data.other(str(Path(path).expanduser()), model.metadata)
        dataset = data.load(like=model.metadata)
        warn_of_kind(path, model.metadata, dataset.metadata, warn)
        graphs = dataset.graphs
        if fault := model.task.data_fault(graphs[0]):
            raise InputError(f"--data: {fault}")
        asked = no_fit(model.task, dataset.metadata)
        for text in (*remarks(model.task, graphs, dataset.metadata), repetition(graphs), asked):
            if text:
                warn(f"{path}: {text}")
        return ModelData(graphs, True, dataset.metadata)
    splits = own_splits(model)
    for text in cautions(model.task, replace(splits, validation=()), model.metadata):
        warn(text)
    return ModelData(splits.test, splits.whole_test, splits.test_metadata or model.metadata)


def events_data(model: TrainedModel, path: str | None) -> DataDescription:
    """Description of the events that `events_for` gives."""
    provenance = model.provenance
    if path is not None:
        return provenance.data.other(str(Path(path).expanduser()), model.metadata)
    test = provenance.test
    return provenance.data if test is None else provenance.data.other(test, model.metadata, "test")


def cautions(task: Task, splits: Splits, metadata: Metadata) -> list[str]:
    """Warnings of scores that mean less than they seem to: by the split, and by validation and test events."""
    parts = (("validation", splits.validation, metadata), ("test", splits.test, splits.test_metadata or metadata))
    of_split = [f"split: {splits.caution}"] if splits.caution else []
    of_split += [f"data: {text}"] if (text := no_fit(task, metadata)) else []
    return of_split + [f"{name} events: {text}" for name, part, of in parts for text in remarks(task, part, of)]


def no_fit(task: Task, metadata: Metadata) -> str:
    """Warning where a fit of tracks is asked for that needs lengths in mm; empty where it is made."""
    scoring = [part for part in parts_of(task) if isinstance(part, BinaryClassification)]
    asked = metadata.own_units and any(part.finding.chi2_max for part in scoring)
    return "lengths are in units of their own: chi2_max has no effect, for the fit needs mm" if asked else ""


def remarks(task: Task, graphs: Sequence[HitGraph], metadata: Metadata) -> list[str]:
    """Reasons why some scores of these events have no meaning, or another one: no truth, a signal that isn't known."""
    texts = []
    tracks = makes_tracks(task) and len(graphs) and graphs[0].get("pid") is not None
    if len(graphs) and (fault := task.truth_fault(graphs)):
        lack = fault.partition(";")[0]
        blind = tracks and no_particles(graphs)
        names = "loss, accuracy, purity and rates of tracks" if blind else "loss, accuracy and purity"
        texts.append(f"{lack}: {names} have no meaning for the model")
    if tracks and (lack := lacking_signal(graphs, metadata.options)):
        texts.append(f"lack what the signal needs of particles ({lack}): tracks are judged by all particles")
    return texts


def own_splits(model: TrainedModel) -> Splits:
    """The events that the model was trained, validated and tested on.

    Raises
    ------
    InputError
        The events are gone or no longer the same.
    """
    provenance = model.provenance
    _, splits, fingerprint = load_splits(provenance.data, provenance.split, provenance.test)
    if fingerprint != provenance.fingerprint:
        raise InputError("data: have changed since the training; allowed: --data PATH")
    return splits
