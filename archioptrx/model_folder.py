"""A trained model on disk: `best/` of a run, and what `train` writes.

`architecture.yaml`, `weights.pt` (a state dict; `torch.load(weights_only=True)` reads it), `metadata.json` (meaning
and scale of the data's numbers, widths of the sources, task, where it comes from) and `metrics.json`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archioptrx.architecture import Architecture
from archioptrx.compile import compile_model
from archioptrx.config import Fields, finish
from archioptrx.dataset import Metadata
from archioptrx.errors import InputError
from archioptrx.experiment import import_modules
from archioptrx.run_folder import RunFolder, new_folder, plain, write_atomically
from archioptrx.tasks import make_task
from archioptrx.tasks.task import Task
from archioptrx.trial import source_widths

FILES = ("architecture.yaml", "weights.pt", "metadata.json", "metrics.json")


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from.

    Attributes
    ----------
    data, split, test
        What `load_dataset` was told; shares and seed of the split; path of test events. So `evaluate` finds the test
        events again.
    fingerprint
        Of that data set.
    task
        Plain description of the task.
    training
        Fields of `Training`.
    """

    data: Mapping[str, Any]
    split: Mapping[str, Any]
    test: str | None
    fingerprint: str
    task: Mapping[str, Any]
    training: Mapping[str, Any]
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainedModel:
    """A model folder, read.

    Attributes
    ----------
    architecture
        Graph and hyperparameters.
    model
        With its weights, in evaluation mode.
    metadata
        Scale and φ sectors that its inputs must have.
    metrics
        What `metrics.json` holds.
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
) -> None:
    """Write a model folder; it appears complete or not at all."""
    about = {
        **metadata.to_dict(),
        "source_widths": source_widths(architecture.graph, metadata),
        **{name: getattr(provenance, name) for name in Provenance.__dataclass_fields__},
    }
    with new_folder(folder, replace=replace) as fresh:
        architecture.save(fresh / "architecture.yaml")
        write_atomically(fresh / "weights.pt", weights)
        (fresh / "metadata.json").write_text(json.dumps(plain(about), indent=2, ensure_ascii=False) + "\n")
        (fresh / "metrics.json").write_text(json.dumps(plain(metrics), indent=2) + "\n")


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
                f"{name}: the search has no trained winner yet; legal: archioptrx search --resume {name}, "
                f"or archioptrx train {name}"
            )
    missing = [one for one in FILES if not (path / one).is_file()]
    if missing:
        what = "no such folder" if not path.exists() else f"holds no model: {', '.join(missing)} is missing"
        raise InputError(f"{name}: {what}; legal: a folder that `archioptrx train` or `search` wrote")
    return path


def load_model(name: str | Path) -> TrainedModel:
    """Read a model folder, or the best of a run.

    Raises
    ------
    InputError
        There is none, or a file of it is damaged.
    """
    folder = model_folder(name)
    about = _json(folder / "metadata.json")
    faults: list[str] = []
    fields = Fields(about, str(folder / "metadata.json"), faults)
    names = Metadata.__dataclass_fields__, Provenance.__dataclass_fields__
    parts = [{key: fields.take(key, object) for key in group} for group in names]
    finish(faults)
    metadata = Metadata.from_dict(parts[0])
    provenance = Provenance(**{**parts[1], "imports": tuple(parts[1]["imports"])})
    import_modules(provenance.imports)
    task = make_task(provenance.task)
    architecture = Architecture.load(folder / "architecture.yaml")
    model = compile_model(
        architecture.graph,
        architecture.hyperparameters,
        source_widths(architecture.graph, metadata),
        task.target_width,
    )
    try:
        state = torch.load(io.BytesIO((folder / "weights.pt").read_bytes()), weights_only=True, map_location="cpu")
        model.load_state_dict(state)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder / 'weights.pt'}: doesn't fit the architecture: {reason}") from error
    return TrainedModel(architecture, model.eval(), task, metadata, provenance, _json(folder / "metrics.json"))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is no mapping; legal: what `archioptrx train` wrote")
    return content
