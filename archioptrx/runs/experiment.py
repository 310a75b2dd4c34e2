"""The experiment file: all settings of one search, as frozen data. Torch- and ray-free.

The modules under `imports` are imported first, so that every other key may name parts of the user's own. Every key but
`name` may be left out. The *resolved* form (`Experiment.to_dict`) has all of them and is what a run folder keeps;
reading it again gives an equal experiment.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from archioptrx.core.config import Fields, bundled, finish, read_yaml
from archioptrx.core.plugins import named_modules, read_imports
from archioptrx.core.reading import reading
from archioptrx.data.description import DataDescription
from archioptrx.runs.experiment_sections import (
    Budget,
    Constraints,
    Keep,
    Resources,
    Retrain,
    Scheduler,
    ScreenSettings,
    Split,
    read_trackers,
)
from archioptrx.runs.overrides import override
from archioptrx.tasks.options import EdgeOptions, ObjectiveMetrics, TaskDescription, objective_metrics, read_task
from archioptrx.training.objective import Objective
from archioptrx.training.settings import Training

DEFAULT_SAMPLER = "gp"
"""Default sampler: the best on NAS-Bench-Graph with 200 evaluations, see docs/samplers.md."""


@dataclass(frozen=True)
class Experiment:
    """One search, resolved.

    Attributes
    ----------
    name
        Name of the experiment and, with a number, of the run folder.
    imports
        Modules with parts of the user's own: blocks, sources, tasks, metrics, samplers …
    data, test
        Source of the events and its options; path of test events, None: they are split off from `data`.
    task
        Target of the learning, and its options.
    architecture
        Bundled name or path of one architecture whose hyperparameters are searched; the function graph isn't read
        then. None: architectures are searched.
    function_graph, search_space
        Bundled names or paths of the two.
    sampler
        Name and options of the sampler.
    training
        Settings of the training of every candidate; a hyperparameter of a field's name overrides it per candidate. Its
        seed comes from `seed` and the proposal's number, its threads from `resources` unless they are given.
    references
        Architectures (bundled name or path) that are trials 0 … k.
    earlier_runs
        Run folders whose trials are prior knowledge of the sampler.
    keep
        Number of the best trials that leave their weights in the run folder.
    track
        Loggers, for other programs such as TensorBoard.
    dedup
        `architecture`: no fingerprint is trained twice; `hyperparameters`: none with the same hyperparameters.
    seed
        Seed of the sampler and, with the number of a proposal, of its training.
    """

    name: str
    imports: tuple[str, ...]
    data: DataDescription
    test: str | None
    split: Split
    task: TaskDescription
    architecture: str | None
    function_graph: str
    search_space: str
    sampler: Mapping[str, Any]
    screen: ScreenSettings
    scheduler: Scheduler
    budget: Budget
    training: Training
    objective: Objective
    constraints: Constraints
    references: tuple[str, ...]
    earlier_runs: tuple[str, ...]
    retrain: Retrain
    resources: Resources
    keep: Keep
    track: tuple[str, ...]
    dedup: str
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for YAML."""
        own: dict[str, Any] = {"data": self.data.to_dict(), "task": self.task.to_dict()}
        own |= {"objective": self.objective.to_plain(), "keep": self.keep.to_plain()}
        content = {field.name: own.get(field.name, _plain(getattr(self, field.name))) for field in fields(self)}
        del content["training"]["seed"]
        return copy.deepcopy(content)


def load_experiment(
    name: str | Path, overrides: Mapping[str, Any] | None = None, options: Mapping[str, str] | None = None
) -> Experiment:
    """Read an experiment file by bundled name or path.

    Parameters
    ----------
    overrides
        Dotted keys and the values that replace the file's.
    options
        Names that replace the place in the file in messages on overridden keys, such as `--trials`.

    Raises
    ------
    InputError
        One line for every fault.
    """
    path = bundled("experiments", name)
    return parse_experiment(read_yaml(path), str(path), options, overrides)


def parse_experiment(
    document: object,
    place: str,
    options: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Experiment:
    """Check a document and fill in defaults.

    Parameters
    ----------
    place
        Place of the document in messages.
    options, overrides
        See `load_experiment`.

    Raises
    ------
    InputError
        One line for every fault.
    """
    with reading(place):
        return _parsed(override(document, overrides or {}, place, options), place, options or {})


def _parsed(document: object, place: str, options: Mapping[str, str]) -> Experiment:
    faults: list[str] = []
    top = Fields(document, place, faults)
    imports = read_imports(top, typed="imports" in options)
    imports = tuple(dict.fromkeys((*imports, *named_modules())))
    architecture = top.take("architecture", (str, type(None)), None)
    task, metrics = _task(top)
    experiment = Experiment(
        name=_name(top),
        imports=imports,
        data=_data(top),
        test=_absolute(top.take("test", (str, type(None)), None)),
        split=Split.read(top.inside("split", {})),
        task=task,
        architecture=architecture,
        function_graph=top.take("function_graph", str, "tracking"),
        search_space=top.take("search_space", str, "hyperparameters" if architecture else "small"),
        sampler=_sampler(top),
        screen=ScreenSettings.read(top.inside("screen", {})),
        scheduler=Scheduler.read(top.inside("scheduler", {})),
        budget=Budget.read(top.inside("budget", {})),
        training=_training(top),
        objective=Objective.read(top, metrics),
        constraints=Constraints.read(top.inside("constraints", {})),
        references=tuple(_absolute_file(name) for name in _texts(top, "references")),
        earlier_runs=tuple(str(_absolute(run)) for run in _texts(top, "earlier_runs")),
        retrain=Retrain.read(top.inside("retrain", {})),
        resources=Resources.read(top.inside("resources", {})),
        keep=Keep.read(top.inside("keep", {})),
        track=read_trackers(top),
        dedup=_dedup(top, architecture),
        seed=top.take("seed", int, 0, minimum=0),
    )
    if top.take("vary", object, None) is not None:
        top.fault("vary", "makes it a study of several searches; allowed here: one search")
    top.rest()
    finish([_renamed(fault, place, options) for fault in faults])
    return experiment


def _renamed(fault: str, place: str, options: Mapping[str, str]) -> str:
    for dotted, option in options.items():
        rest = fault.removeprefix(f"{place}: {dotted}")
        if rest != fault and rest[0] in ":.[":
            return f"{option}{rest}"
    return fault


def _name(top: Fields) -> str:
    name = top.take("name", str)
    if name is not None and not re.fullmatch(r"[\w.-]+", name):
        top.fault("name", f"is {name!r}; allowed: letters, digits, '_', '-' and '.', for it names a folder")
    return str(name)


def _texts(top: Fields, key: str) -> tuple[str, ...]:
    texts = top.take(key, list, [])
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            top.fault(f"{key}[{index}]", f"is {text!r}; allowed: a text")
    return tuple(map(str, texts))


def _data(top: Fields) -> DataDescription:
    content = dict(top.inside("data", {}).content)
    return DataDescription.read(content, top.at("data"), top.faults)


def _task(top: Fields) -> tuple[TaskDescription, ObjectiveMetrics]:
    """The task's description, and the metrics that an objective can name; no metrics for an unknown task."""
    written = top.content.get("task")
    named = {"name": top.take("task", str)} if isinstance(written, str) else top.inside("task", {}).content
    content = {"name": "edge_classification", **named}
    options = read_task(content, top.at("task"), top.faults)
    if options is None:
        return TaskDescription(content, EdgeOptions()), ObjectiveMetrics()  # the fault ends the reading
    return TaskDescription(content, options), objective_metrics(options)


def _sampler(top: Fields) -> dict[str, Any]:
    if isinstance(top.content.get("sampler"), str):
        return {"name": top.take("sampler", str)}
    inside = top.inside("sampler", {})
    return {"name": inside.take("name", str, DEFAULT_SAMPLER), **inside.content}


def _dedup(top: Fields, architecture: str | None) -> str:
    usual = "hyperparameters" if architecture else "architecture"
    dedup: str = top.take("dedup", str, usual, choices=("architecture", "hyperparameters"))
    if architecture and dedup == "architecture":
        top.fault("dedup", "is 'architecture', but only one is searched; allowed: hyperparameters")
    return dedup


def _training(top: Fields) -> Training:
    content = top.inside("training", {}).content
    if "seed" in content:
        top.fault("training.seed", "is not for this file; allowed: the key seed, from which every trial gets its own")
        content = {key: value for key, value in content.items() if key != "seed"}
    return Training.read(content, top.at("training"), top.faults)


def _plain(value: Any) -> Any:
    """A section as plain data."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return list(value) if isinstance(value, tuple) else value


def _absolute_file(name: str) -> str:
    """A path of something that is there, made absolute; other names are those of bundled files."""
    return str(_absolute(name)) if Path(name).expanduser().exists() else name


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).expanduser().resolve())
