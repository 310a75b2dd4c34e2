"""Models of a comparison: trained ones as they are, and architectures that are trained first."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archioptrx.core.config import ARCHITECTURES, bundled_names, finish
from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.core.files import check_writable, next_folder, refuse_used
from archioptrx.graphs.architecture import Architecture
from archioptrx.models.model_folder import TrainedModel, load_model
from archioptrx.report.comparison.result import SEEDS
from archioptrx.runs.experiment import Experiment, parse_experiment
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.run import Events, check_fit, load_events
from archioptrx.search.single import SingleTraining, train, usual
from archioptrx.search.space import SpaceEnds, load_architecture
from archioptrx.training.trial import task_of

Trainings = tuple[TrainedModel, ...]
"""Trainings of one architecture with different seeds; most models have one."""


@dataclass(frozen=True)
class LoadedModel:
    """A model with weights.

    Attributes
    ----------
    name
        Short name, different from all others.
    place
        Path: the given one, or the folder into which it has been trained.
    model
        Architecture, weights, metadata and provenance.
    trained
        True: it was trained for this comparison.
    repeats
        Models of the same architecture, trained on the same events with other seeds. With them the comparison is about
        the architecture, without them about these weights.
    """

    name: str
    place: str
    model: TrainedModel
    trained: bool = False
    repeats: tuple[TrainedModel, ...] = ()

    @property
    def trainings(self) -> Trainings:
        """The model and its repeats."""
        return (self.model, *self.repeats)


@dataclass(frozen=True)
class ArchitectureTraining:
    """Settings for the training of architectures without weights.

    Attributes
    ----------
    data
        Path of events; None: those of the first model, or toy events.
    epochs, seed
        Epochs and seed; None: those of the first model, or the defaults.
    output
        Folder of the model folders; None: `models`, each with a number.
    seeds
        Trainings of each architecture, with successive seeds from the first one on.
    """

    data: str | None = None
    epochs: int | None = None
    seed: int | None = None
    output: Path | None = None
    seeds: int = SEEDS


def read_models(names: Sequence[str], others: Sequence[str] = ()) -> list[Trainings | Architecture]:
    """Read the models, and the architectures that have no weights yet; `others` are no models, but stand beside them.

    Raises
    ------
    InputError
        There are fewer than two, one is named twice, or one can't be read; one line for each fault.
    """
    given = len(names) + len(others)
    faults = [] if given > 1 else [f"compare: {given} given; allowed: at least two models or architectures"]
    twice = [*_twice(names), *(name for place, name in enumerate(others) if name in others[:place])]
    faults += [f"{name}: stands twice; allowed: each once" for name in twice]
    models: list[Trainings | Architecture] = []
    for name in names:
        try:
            models.append(_read(name))
        except InputError as error:
            faults += error.faults
    finish(list(dict.fromkeys(faults)))
    return models


def _twice(names: Sequence[str]) -> list[str]:
    """Names that repeat an earlier model: a run and its `best/` are the same, and so are RUN/7 and RUN/0007."""
    paths: set[Path] = set()
    twice = []
    for name in names:
        path = Path(name).resolve()
        if path.name.isdecimal() and not path.exists():
            path = path.with_name(str(int(path.name)))
        path = path.parent if path.name == "best" and (path.parent / "experiment.yaml").is_file() else path
        if path in paths:
            twice.append(name)
        paths.add(path)
    return twice


def _read(name: str) -> Trainings | Architecture:
    path = Path(name)
    of_run = path.name.isdecimal() and (path.parent / "experiment.yaml").is_file()
    if path.is_dir() and (folders := sorted(path.glob("seed-*/architecture.yaml"))):
        return _trainings(name, [load_model(folder.parent) for folder in folders])
    if path.is_dir() or of_run:
        return (load_model(name),)
    if path.is_file() or name.removesuffix(".yaml") in bundled_names(ARCHITECTURES):
        return load_architecture(name)
    suggestion = did_you_mean(name, bundled_names(ARCHITECTURES))
    raise InputError(f"{name}: no such run, model or architecture; {suggestion}, or a path")


def _trainings(name: str, models: Sequence[TrainedModel]) -> Trainings:
    """Trainings in one folder. Raises InputError unless they have one architecture, and were trained alike."""
    first = models[0]
    for model in models[1:]:
        alike = _but_seed(model) == _but_seed(first)
        if not alike or model.architecture.graph.fingerprint != first.architecture.graph.fingerprint:
            raise InputError(f"{name}: holds models that differ in more than the seed; allowed: name each of them")
    return tuple(models)


def _but_seed(model: TrainedModel) -> dict[str, Any]:
    content = model.provenance.to_dict()
    return content | {"training": {key: value for key, value in content["training"].items() if key != "seed"}}


def short_names(names: Sequence[str]) -> list[str]:
    """Last part of each path, or as many parts as are needed to make the names distinct.

    >>> short_names(["runs/first", "runs/second/best", "interaction"])
    ['first', 'second', 'interaction']
    >>> short_names(["a/first", "b/first", "runs/first/3"])
    ['a/first', 'b/first', 'first/3']
    >>> short_names(["interaction", "interaction.yaml"])
    ['interaction', 'interaction.yaml']
    """
    parts = [_parts(name) for name in names]
    length = [2 if path_parts[-1].isdecimal() and len(path_parts) > 1 else 1 for path_parts in parts]
    while True:
        short = ["/".join(path_parts[-size:]) for path_parts, size in zip(parts, length, strict=True)]
        again = [k for k, label in enumerate(short) if short.count(label) > 1 and length[k] < len(parts[k])]
        if not again:  # names that differ in their ending alone stay as they were given
            return [label if short.count(label) == 1 else name for label, name in zip(short, names, strict=True)]
        length = [size + (k in again) for k, size in enumerate(length)]


def _parts(name: str) -> list[str]:
    path = Path(name)
    parts = list((path.with_suffix("") if path.suffix in (".yaml", ".yml") else path).parts)
    return parts[:-1] if len(parts) > 1 and parts[-1] == "best" else parts


def trained_models(names: Sequence[str], models: Sequence[Trainings | Architecture]) -> list[LoadedModel]:
    """Entries of the models that have weights."""
    labelled = zip(names, short_names(names), models, strict=True)
    return [_entry(name, label, model) for name, label, model in labelled if isinstance(model, tuple)]


def _entry(name: str, label: str, trainings: Trainings) -> LoadedModel:
    return LoadedModel(label, name, trainings[0], repeats=trainings[1:])


def train_missing(
    names: Sequence[str], models: Sequence[Trainings | Architecture], schooling: ArchitectureTraining
) -> list[LoadedModel]:
    """Complete all models with weights: architectures are trained like the first model, each into a folder of its own.

    With several seeds that folder has a model folder `seed-N` for each.

    Raises
    ------
    InputError
        An architecture doesn't suit the data, or a folder is in use.
    """
    short = short_names(names)
    host = next((k for k, model in enumerate(models) if isinstance(model, tuple)), None)
    events: Events | None = None
    contestants: list[LoadedModel] = []
    if any(isinstance(model, Architecture) for model in models):
        experiment, seed, how = _experiment(names, models, host, schooling)
        events = load_events(experiment)
        _check(short, models, experiment, events)
    for name, label, model in zip(names, short, models, strict=True):
        if isinstance(model, tuple):
            contestants.append(_entry(name, label, model))
            continue
        assert events is not None
        folder = _folder(label, schooling.output)
        check_writable(folder)
        like = how if host is None else f"trained like {short[host]}, {how}"
        print(f"{label}: has no weights; {like}; kept in {folder}", file=sys.stderr)
        first, *repeats = (
            _train(model, label.replace("/", "-"), experiment, number, events, place)
            for number, place in _places(folder, seed, schooling.seeds)
        )
        contestants.append(LoadedModel(label, str(folder), first, trained=True, repeats=tuple(repeats)))
    return contestants


def _places(folder: Path, seed: int, seeds: int) -> list[tuple[int, Path]]:
    """Seed and model folder of each training."""
    if seeds == 1:
        return [(seed, folder)]
    width = len(str(seed + seeds - 1))  # so that names have the order of the seeds
    return [(number, folder / f"seed-{number:0{width}}") for number in range(seed, seed + seeds)]


def _train(
    model: Architecture, name: str, experiment: Experiment, seed: int, events: Events, place: Path
) -> TrainedModel:
    train(SingleTraining(model, name, experiment, seed), events, place)
    return load_model(place)


def _check(
    names: Sequence[str], models: Sequence[Trainings | Architecture], experiment: Experiment, events: Events
) -> None:
    """Check all architectures before the first is trained. Raises InputError where one doesn't suit the data."""
    task = task_of(experiment.task.options, experiment.objective)
    faults: list[str] = []
    for name, model in zip(names, models, strict=True):
        if isinstance(model, Architecture):
            try:
                check_fit(task, SpaceEnds.of_network(model.graph, name), events.data)
            except InputError as error:
                faults += error.faults
    finish(faults)


def _folder(label: str, output: Path | None) -> Path:
    name = label.replace("/", "-")
    if output is None:
        return next_folder(name, Path("models"))
    refuse_used(output / name)
    return output / name


def _experiment(
    names: Sequence[str],
    models: Sequence[Trainings | Architecture],
    host: int | None,
    schooling: ArchitectureTraining,
) -> tuple[Experiment, int, str]:
    """Experiment by which architectures are trained, the seed, and a text with both."""
    settings: dict[str, Any] = {"training.epochs": schooling.epochs}
    content: Mapping[str, Any]
    if host is None:
        settings["data.path"] = schooling.data
        content, seed, options = usual(), schooling.seed or 0, {"data.path": "--data", "training.epochs": "--epochs"}
    else:
        trainings = models[host]
        assert isinstance(trainings, tuple)
        model = trainings[0]
        content, options = _of_model(model, Path(names[host])), {"training.epochs": "--epochs"}
        seed = int(model.provenance.training["seed"]) if schooling.seed is None else schooling.seed
    overrides = {key: value for key, value in settings.items() if value is not None}
    experiment = parse_experiment(content, "compare", options, overrides)
    source = experiment.data.source if host is None else "on the same events"
    where = f"trained on {source} events" if host is None else source
    last = seed + schooling.seeds - 1
    which = f"seed {seed}" if last == seed else f"seeds {seed} to {last}"
    return experiment, seed, f"{where}, {experiment.training.epochs} epochs, {which}"


def _of_model(model: TrainedModel, path: Path) -> Mapping[str, Any]:
    """Experiment that trains as a model was trained; for a run with its objective, which chooses the best epoch."""
    provenance = model.provenance
    content: dict[str, Any] = {
        "name": "compare",
        "imports": list(provenance.imports),
        "data": provenance.data.to_dict(),
        "split": dict(provenance.split),
        "test": provenance.test,
        "task": provenance.task.to_dict(),
        "training": {key: value for key, value in provenance.training.items() if key != "seed"},
    }
    run = next((folder for folder in (path, path.parent) if (folder / "experiment.yaml").is_file()), None)
    return content if run is None else {**content, "objective": RunFolder(run).experiment().objective.to_plain()}
