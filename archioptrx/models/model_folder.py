"""A trained model on disk: `best/` of a run, a folder that `train` wrote, or a trial whose weights a run keeps.

`architecture.yaml`, `weights.pt` (a state dict; `torch.load(weights_only=True)` reads it), `metadata.json` (meaning
and scale of the data's numbers, widths of the sources, task, where it comes from) and `metrics.json`; `modules/` with
the source of the user's own modules, where it needs some.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archioptrx.core.config import Fields, finish
from archioptrx.core.errors import InputError
from archioptrx.core.files import new_folder, plain, write_atomically
from archioptrx.core.own_modules import keep_modules
from archioptrx.core.plugins import read_imports
from archioptrx.core.reading import read_json, reading, shown
from archioptrx.data.dataset import Metadata
from archioptrx.data.description import DataDescription
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.networks.compile import compile_model, source_widths
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.experiment_sections import Split
from archioptrx.runs.run_folder import RunFolder, trial_of
from archioptrx.tasks import TaskDescription, describe_task, task_from
from archioptrx.tasks.task import Task
from archioptrx.training.trial import weights_digest

ALLOWED = "a file that `archioptrx train` or `search` wrote"
FILES = ("architecture.yaml", "weights.pt", "metadata.json", "metrics.json")


@dataclass(frozen=True)
class Provenance:
    """Origin of a model: its data, task and training.

    Attributes
    ----------
    data, split, test
        Description of the data set; shares and seed of the split; path of test events. By these `evaluate` finds the
        test events again.
    fingerprint
        Fingerprint of that data set.
    task
        Description of the task.
    training
        Fields of `Training`.
    imports
        Modules with the user's own parts.
    """

    data: DataDescription
    split: Mapping[str, Any]
    test: str | None
    fingerprint: str
    task: TaskDescription
    training: Mapping[str, Any]
    imports: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return content | {"data": self.data.to_dict(), "task": self.task.to_dict()}


def provenance_of(experiment: Experiment, fingerprint: str, training: Mapping[str, Any]) -> Provenance:
    """Provenance of a model of this experiment."""
    return Provenance(
        data=experiment.data,
        split=asdict(experiment.split),
        test=experiment.test,
        fingerprint=fingerprint,
        task=experiment.task,
        training=training,
        imports=experiment.imports,
    )


@dataclass(frozen=True)
class TrainedModel:
    """Content of a model folder, or of a kept trial.

    Attributes
    ----------
    architecture
        Graph and hyperparameters.
    model
        The network with its weights, in evaluation mode.
    metadata
        Scale and φ sectors that its inputs must have.
    metrics
        Content of `metrics.json`.
    """

    architecture: Architecture
    model: nn.Module
    task: Task
    metadata: Metadata
    provenance: Provenance
    metrics: Mapping[str, Any]


def save_model(
    folder: Path,
    architecture: Architecture,
    weights: bytes,
    metadata: Metadata,
    provenance: Provenance,
    metrics: Mapping[str, Any],
    replace: bool = False,
    files: Mapping[str, str] | None = None,
) -> None:
    """Write a model folder; it appears complete or not at all. `files`: texts of further files by name."""
    facts = {
        **metadata.to_dict(),
        "source_widths": source_widths(architecture.graph, metadata),
        **provenance.to_dict(),
    }
    with new_folder(folder, replace=replace) as fresh:
        architecture.save(fresh / "architecture.yaml")
        write_atomically(fresh / "weights.pt", weights)
        (fresh / "metadata.json").write_text(json.dumps(plain(facts), indent=2, ensure_ascii=False) + "\n")
        (fresh / "metrics.json").write_text(json.dumps(plain(metrics), indent=2) + "\n")
        keep_modules(fresh, provenance.imports)
        for name, text in (files or {}).items():
            (fresh / name).write_text(text, encoding="utf-8")


def model_folder(name: str | Path) -> Path:
    """Find a model: a folder that `train` wrote, or a run, which stands for its `best/`.

    Raises
    ------
    InputError
        There is no model there.
    """
    path = Path(name)
    if (path / "experiment.yaml").is_file():
        path = RunFolder(path).best
        if not path.is_dir():
            raise InputError(
                f"{name}: the search has no trained winner yet; allowed: archioptrx search --resume {name}, "
                f"or archioptrx train {name}"
            )
    missing = [file for file in FILES if not (path / file).is_file()]
    if missing:
        fault = "no such folder" if not path.exists() else f"holds no model: no {', no '.join(missing)}"
        raise InputError(f"{name}: {fault}; allowed: a folder that `archioptrx train` or `search` wrote")
    return path


def digest_of(file: Path) -> str:
    """Digest of a file of weights, as a trial's line has it. Raises InputError if it holds none."""
    return weights_digest(_state(file))


def weights_file(name: str | Path) -> Path:
    """File of the weights of a model that `load_model` reads. Raises InputError if there is none."""
    trial = trial_of(name)
    return model_folder(name) / "weights.pt" if trial is None else _weights_of_trial(*trial)


def load_model(name: str | Path) -> TrainedModel:
    """Read a model folder, the best of a run, or a trial (RUN/ID) whose weights are kept.

    Raises
    ------
    InputError
        There is none, or a file of it is damaged.
    """
    if trial := trial_of(name):
        with reading(str(name)):
            return trained_trial(*trial)
    folder = model_folder(name)
    with reading(str(folder)):
        return _read_model(folder)


def _read_model(folder: Path) -> TrainedModel:
    facts = read_json(folder / "metadata.json")
    faults: list[str] = []
    place = str(folder / "metadata.json")
    fields = Fields(facts, place, faults)
    imports = read_imports(fields)
    metadata = {key: fields.take(key, object) for key in Metadata.__dataclass_fields__ if key != "own_units"}
    metadata["own_units"] = fields.take("own_units", bool, False)  # older models lack it
    data, task = fields.take("data", dict), fields.take("task", dict)
    split = asdict(Split.read(fields.inside("split")))
    test, fingerprint = fields.take("test", (str, type(None))), fields.take("fingerprint", str)
    training = fields.take("training", dict)
    for section, key in ((data, "data.source"), (task, "task.name")):
        if section is not None and not isinstance(named := section.get(key.partition(".")[2]), str):
            fields.fault(key, f"is {shown(named)}; allowed: a name")
    finish(faults)
    provenance = Provenance(
        DataDescription(data), split, test, fingerprint, describe_task(task, f"{place}: task"), training, imports
    )
    architecture = Architecture.load(folder / "architecture.yaml")
    metrics = read_json(folder / "metrics.json")
    return _with_weights(folder / "weights.pt", architecture, Metadata.from_dict(metadata), provenance, metrics)


def trained_trial(folder: RunFolder, number: int) -> TrainedModel:
    """A trial of a search, which may still run, with the weights of its best epoch.

    Raises
    ------
    InputError
        There is no such trial, its weights aren't kept, or a file is damaged.
    """
    file = _weights_of_trial(folder, number)
    line = folder.proposal(number)
    row = next(row for row in folder.ended() if row["proposal"] == number)
    facts = folder.environment()["data"]
    if "metadata" not in facts or "training" not in row:
        raise InputError(
            f"{folder.path}: was written by an older version; allowed: archioptrx train {folder.path}/{number}"
        )
    experiment = folder.experiment()
    architecture = Architecture(ComputationGraph.from_dict(line["graph"]), line["hyperparameters"])
    provenance = provenance_of(experiment, facts["fingerprint"], row["training"])
    metrics = {
        "proposal": number,
        "repeat": None,
        "seeds": 1,
        "seed": row["seed"],
        "validation": {"mean": row["score"], "deviation": 0.0},
        "test": {},
        "bins": {},
    }
    return _with_weights(file, architecture, Metadata.from_dict(facts["metadata"]), provenance, metrics)


def _weights_of_trial(folder: RunFolder, number: int) -> Path:
    """File of the weights of a trial that has ended."""
    folder.proposal(number)  # raises where there is no such trial
    file = folder.weights(number)
    with_weights = sorted({row["proposal"] for row in folder.trials.read()} & set(folder.kept()))
    if number not in with_weights:
        place, known = (
            f"{folder.path}/{number:04d}",
            ", ".join(f"{trial:04d}" for trial in with_weights) or "of no trial",
        )
        raise InputError(
            f"{place}: its weights are not kept (kept: {known}); allowed: archioptrx train {place} makes them again"
        )
    return file


def _with_weights(
    file: Path, architecture: Architecture, metadata: Metadata, provenance: Provenance, metrics: Mapping[str, Any]
) -> TrainedModel:
    """Compile the network and read its weights. The modules of `provenance` have been imported."""
    task = task_from(provenance.task.options)
    model = compile_model(
        architecture.graph,
        architecture.hyperparameters,
        source_widths(architecture.graph, metadata),
        task.target_width,
    )
    _load_weights(model, _state(file), file)
    return TrainedModel(architecture, model.eval(), task, metadata, provenance, metrics)


def _state(file: Path) -> Mapping[str, torch.Tensor]:
    """Weights of a file by name. Raises InputError if it holds none, or anything else."""
    try:
        state = torch.load(io.BytesIO(file.read_bytes()), weights_only=True, map_location="cpu")
        if not all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()):
            raise TypeError
    except OSError as error:
        raise InputError(f"{file}: can't be read: {(error.strerror or str(error)).lower()}") from error
    except Exception as error:  # whatever is wrong; torch's text advises to switch its check off
        raise InputError(f"{file}: holds no weights, or more than weights; allowed: {ALLOWED}") from error
    return dict(state)


def _load_weights(model: nn.Module, state: Mapping[str, torch.Tensor], file: Path) -> None:
    """Put weights into a model. Raises InputError if they are not those of its architecture."""
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    for name in sorted({*shapes, *state}):
        shape = list(state[name].shape) if name in state else "missing"
        if shape != shapes.get(name):
            expected = shapes.get(name, "no such weights")
            raise InputError(f"{file}: doesn't fit the architecture: {name[:100]}: is {shape}; allowed: {expected}")
    try:
        model.load_state_dict(state)
    except Exception as error:  # numbers of a kind that torch can't turn into the model's
        raise InputError(f"{file}: doesn't fit the architecture; allowed: {ALLOWED}") from error
