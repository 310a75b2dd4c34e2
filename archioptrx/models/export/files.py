"""Writing of an export as a Python file with its weights."""

from __future__ import annotations

import importlib.util
import io
import tempfile
from pathlib import Path
from types import ModuleType

import torch

from archioptrx.core.files import write_atomically, writing
from archioptrx.models.export import EXPORTERS
from archioptrx.models.export.check import difference, raw, tensors
from archioptrx.models.export.own_source import faults_of
from archioptrx.models.export.python import renamed, source
from archioptrx.models.export.trained import Take, about_file


@EXPORTERS.registering("python")
def export_python(take: Take, path: Path) -> str:
    """Write readable PyTorch and a file of weights."""
    error = write_python(take, path)
    return take.summary(f"{path} and {path.with_suffix('.pt').name}", error, take.program.needs)


def write_python(take: Take, path: Path) -> float:
    """Write the `.py` file and, beside it, its weights; the largest difference from the model.

    Raises
    ------
    TrialError
        The results of the file differ from those of the model: nothing is written.
    """
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / path.name
        with faults_of(take.program):
            network = written(take, fresh).load()
            error = difference(take, lambda hits, edges: tensors(raw(network)(torch.tensor(hits), torch.tensor(edges))))
        for name in (fresh.with_suffix(".pt"), fresh):
            write_atomically(path.parent / name.name, name.read_bytes())
    return error


def written(take: Take, path: Path) -> ModuleType:
    """Write code and weights to a path, and import the code."""
    text = source(take.program, about_file(take, path.stem))
    buffer = io.BytesIO()
    torch.save(renamed(take.trained.model.state_dict(), take.program.keys), buffer)
    with writing(path):
        path.write_text(text, encoding="utf-8")
        path.with_suffix(".pt").write_bytes(buffer.getvalue())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
