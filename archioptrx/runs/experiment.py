"""The experiment file: everything that one search is told, as frozen data. Torch- and ray-free.

Every key but `name` may be left out. The *resolved* form (`Experiment.to_dict`) has all of them and is what a run
folder keeps; reading it again gives an equal experiment.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archioptrx.core.config import Fields, bundled, finish, read_yaml
from archioptrx.core.errors import InputError
from archioptrx.core.overrides import override
from archioptrx.core.plugins import import_modules
from archioptrx.data.sources import check_spec, resolved
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
from archioptrx.tasks import check_task
from archioptrx.tasks.options import TaskOptions
from archioptrx.training.objective import Objective
from archioptrx.training.settings import Training

DEFAULT_SAMPLER = "gp"
"""The best on NAS-Bench-Graph with 200 evaluations, see docs/samplers.md."""


@dataclass(frozen=True)
class Experiment:
    """One search, resolved.

    Attributes
    ----------
    name
        Names the run folder.
    imports
        Modules with the user's own blocks, samplers and sources; those of sources are imported while the file is read.
    data, test
        Source of the events (`source`, `path`, options of the source); path of test events, None: split from data.
    task
        What is learnt, and its options.
    architecture
        Bundled name or path of one architecture whose hyperparameters are searched; the function graph isn't read
        then. None: architectures are searched.
    function_graph, search_space
        Bundled name or path.
    sampler
        Its name and options.
    training
        How every candidate is trained; a hyperparameter of a field's name overrides it per candidate. Its seed comes
        from `seed` and the proposal's number, its threads from `resources` unless they are given.
    references
        Architectures (bundled name or path) that are trials 0 … k.
    keep
        How many of the best trials leave their weights in the run folder.
    track
        Other programs that get the numbers too, `tensorboard` say.
    dedup
        `architecture`: no fingerprint is trained twice; `hyperparameters`: none with the same hyperparameters.
    seed
        Of the sampler and, with the number of a proposal, of its training.
    """

    name: str
    imports: tuple[str, ...]
    data: Mapping[str, Any]
    test: str | None
    split: Split
    task: Mapping[str, Any]
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
    retrain: Retrain
    resources: Resources
    keep: Keep
    track: tuple[str, ...]
    dedup: str
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for YAML."""
        content: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        del content["training"]["seed"]
        content["objective"], content["keep"] = self.objective.to_plain(), self.keep.to_plain()
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
        What a fault in an overridden key is called instead of its place in the file, `--trials` say.

    Raises
    ------
    InputError
        One line for every fault.
    """
    path = bundled("experiments", name)
    return parse_experiment(override(read_yaml(path), overrides or {}), str(path), options)


def parse_experiment(document: object, place: str, options: Mapping[str, str] | None = None) -> Experiment:
    """Check a document and fill in what it leaves out.

    Parameters
    ----------
    place, options
        The file; what a fault in an overridden key is called instead of its place there, `--trials` say.

    Raises
    ------
    InputError
        One line for every fault.
    """
    faults: list[str] = []
    top = Fields(document, place, faults)
    architecture = top.take("architecture", (str, type(None)), None)
    task, about = _task(top)
    imports = _texts(top, "imports")
    experiment = Experiment(
        name=_name(top),
        imports=imports,
        data=_data(top, imports),
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
        objective=Objective.read(top, about.shares if about else (), about.losses if about else ()),
        constraints=Constraints.read(top.inside("constraints", {})),
        references=_texts(top, "references"),
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
    finish([_renamed(fault, place, options or {}) for fault in faults])
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
    found = top.take(key, list, [])
    for index, one in enumerate(found):
        if not isinstance(one, str):
            top.fault(f"{key}[{index}]", f"is {one!r}; allowed: a text")
    return tuple(str(one) for one in found)


def _data(top: Fields, imports: Sequence[str]) -> dict[str, Any]:
    """A path is made absolute, for a run is resumed from any folder."""
    content = dict(top.inside("data", {}).content)
    faults: list[str] = []
    check_spec(content, top.at("data"), faults)
    by_files = "path" in content and "source" not in content
    if imports and (faults or by_files):  # one of the modules may bring the source
        try:
            import_modules(imports)
        except InputError as error:
            faults = list(error.faults)  # what else is wrong may come of that
        else:
            faults = []
            check_spec(content, top.at("data"), faults)
    top.faults += faults
    return resolved(content)


def _task(top: Fields) -> tuple[dict[str, Any], TaskOptions | None]:
    """Its description, and what that says: which metrics an objective can name."""
    told = top.content.get("task")
    named = {"name": top.take("task", str)} if isinstance(told, str) else top.inside("task", {}).content
    content = {"name": "edge_classification", **named}
    return content, check_task(content, top.at("task"), top.faults)


def _sampler(top: Fields) -> dict[str, Any]:
    if isinstance(top.content.get("sampler"), str):
        return {"name": top.take("sampler", str)}
    inside = top.inside("sampler", {})
    return {"name": inside.take("name", str, DEFAULT_SAMPLER), **inside.content}


def _dedup(top: Fields, architecture: str | None) -> str:
    usual = "hyperparameters" if architecture else "architecture"
    found: str = top.take("dedup", str, usual, choices=("architecture", "hyperparameters"))
    if architecture and found == "architecture":
        top.fault("dedup", "is 'architecture', but only one is searched; allowed: hyperparameters")
    return found


def _training(top: Fields) -> Training:
    content = top.inside("training", {}).content
    if "seed" in content:
        top.fault("training.seed", "is not for this file; allowed: the key seed, from which every trial gets its own")
        content = {key: value for key, value in content.items() if key != "seed"}
    return Training.read(content, top.at("training"), top.faults)


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).expanduser().resolve())
