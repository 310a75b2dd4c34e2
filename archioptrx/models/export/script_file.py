"""Writing of an export as TorchScript: the readable code, traced. It runs without Python, and without this package.

Traced, not scripted: TorchScript takes each argument without a type for a tensor, and the code has one that is a number
(`size` of the sums). A trace has no fixed size here: shapes that the code reads are operations of the trace. Each file
is run on graphs of other sizes before it is written.
"""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archioptrx.core.files import write_atomically
from archioptrx.models.export import EXPORTERS
from archioptrx.models.export.check import EXAMPLE, difference, random_event, raw, tensors
from archioptrx.models.export.files import written
from archioptrx.models.export.onnx_file import refused
from archioptrx.models.export.own_source import faults_of
from archioptrx.models.export.trained import Take


@EXPORTERS.registering("torchscript")
def export_torchscript(take: Take, path: Path) -> str:
    """Write TorchScript, for torch in Python and C++."""
    with tempfile.TemporaryDirectory() as folder, faults_of(take.program):
        code = written(take, Path(folder) / "network.py").load()
        columns = len(take.trained.metadata.node_features)
        event = tuple(map(torch.tensor, random_event(np.random.default_rng(0), columns, *EXAMPLE)))
        methods = [name for name in ("forward", "logits", "outputs") if name in type(code).__dict__]
        with refused(take, "torchscript", Exception):
            content = traced(code, event, methods)
            network = raw(loaded(content))
            error = difference(take, lambda hits, edges: tensors(network(torch.tensor(hits), torch.tensor(edges))))
    write_atomically(path, content)
    return take.summary(str(path), error, take.program.needs)


def traced(network: nn.Module, event: tuple[Tensor, ...], methods: Sequence[str]) -> bytes:
    """A TorchScript file with these methods of a network, traced with one event."""
    buffer = io.BytesIO()
    with _quiet(), torch.no_grad():
        module = torch.jit.trace_module(network.eval(), dict.fromkeys(methods, event), check_trace=False)
        torch.jit.save(module, buffer)
    return buffer.getvalue()


def loaded(content: bytes) -> Any:
    """The network of a TorchScript file."""
    with _quiet():
        return torch.jit.load(io.BytesIO(content))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence remarks on TorchScript's future, and on numbers that a trace takes for constants: they are compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
