"""Write an export, and check it against the trained model before anybody gets it."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archioptrx.errors import InputError, TrialError
from archioptrx.exports.python import renamed, source
from archioptrx.exports.trained import Take, about_file
from archioptrx.inference import transform
from archioptrx.run_folder import write_atomically

SIZES = ((60, 300), (7, 40), (1, 0))
"""Hits and edges of the random graphs on which an export is compared with its model."""
TOLERANCE = 1e-5
OPSET = 18
"""The first one in which all reductions of scatter exist, so that repeated indices add up."""
Arrays = NDArray[Any]


def write_python(take: Take, path: Path) -> float:
    """Write the `.py` file and, beside it, its weights; the largest difference from the model.

    Raises
    ------
    TrialError
        The file doesn't give what the model gives: nothing is written.
    """
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / path.name
        module = written(take, fresh)
        network = module.load()
        found = difference(take, lambda hits, edges: _tuple(inner(network)(torch.tensor(hits), torch.tensor(edges))))
        for name in (fresh.with_suffix(".pt"), fresh):
            write_atomically(path.parent / name.name, name.read_bytes())
    return found


def written(take: Take, path: Path) -> ModuleType:
    """Write code and weights to a place of their own, and import the code."""
    path.write_text(source(take.program, about_file(take, path.stem)), encoding="utf-8")
    buffer = io.BytesIO()
    torch.save(renamed(take.trained.model.state_dict(), take.program.keys), buffer)
    path.with_suffix(".pt").write_bytes(buffer.getvalue())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inner(network: Any) -> Callable[..., Any]:
    """What an exported network gives before any sigmoid."""
    return getattr(network, "logits", None) or getattr(network, "outputs", None) or network


def write_onnx(take: Take, path: Path) -> float:
    """Write the `.onnx` file; the largest difference from the model in onnxruntime.

    Raises
    ------
    InputError
        onnx, onnxscript or onnxruntime isn't installed.
    TrialError
        The file doesn't give what the model gives: nothing is written.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch.onnx needs it
    except ImportError as error:
        raise InputError(f'--format onnx: {error}; legal: pip install "archioptrx[onnx]"') from error
    names = onnx_outputs(take)
    with tempfile.TemporaryDirectory() as folder:
        network = _Both(written(take, Path(folder) / "network.py").load(), take).eval()
        proto = _exported(network, take, names)
    onnx.helper.set_model_props(proto, {key: _text(value) for key, value in take.facts.items()})
    content = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    raw = [name for name in names if f"{name}_logit" not in names]

    def run(hits: Arrays, edges: Arrays) -> tuple[Tensor, ...]:
        found = session.run(raw, {"hits": hits, "edge_index": edges})
        return tuple(torch.as_tensor(one) for one in found)

    found = difference(take, run)
    write_atomically(path, content)
    return found


def onnx_outputs(take: Take) -> list[str]:
    """Names of the outputs: each target, and beside a probability its logit."""
    outputs = take.program.outputs
    return [name for one in outputs for name in (one.name, f"{one.name}_logit")[: 1 + one.probability]]


class _Both(nn.Module):
    """Each output, and beside a probability its logit."""

    def __init__(self, network: nn.Module, take: Take) -> None:
        super().__init__()
        self.network = network
        self.probable = [output.probability for output in take.program.outputs]

    def forward(self, hits: Tensor, edge_index: Tensor) -> tuple[Tensor, ...]:
        found: list[Tensor] = []
        for one, probable in zip(_tuple(inner(self.network)(hits, edge_index)), self.probable, strict=True):
            found += [one.sigmoid(), one] if probable else [one]
        return tuple(found)


def _exported(network: nn.Module, take: Take, names: list[str]) -> Any:
    """The model as an ONNX message. Hits are double: Δφ is a small difference of two angles."""
    hits, edges = random_event(np.random.default_rng(0), len(take.trained.metadata.node_features), 12, 30)
    sizes = {"hits": {0: torch.export.Dim("hits")}, "edge_index": {1: torch.export.Dim("edges")}}
    with _quiet():
        made = torch.onnx.export(
            network,
            (torch.tensor(hits), torch.tensor(edges)),
            dynamo=True,
            opset_version=OPSET,
            input_names=["hits", "edge_index"],
            output_names=names,
            dynamic_shapes=sizes,
            verbose=False,
        )
    assert made is not None
    return made.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter says of its own parts: deprecations, and operators of torchvision, which lacks."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(level)


def difference(take: Take, export: Callable[[Arrays, Arrays], tuple[Tensor, ...]]) -> float:
    """The largest difference between an export and its model on random graphs.

    Raises
    ------
    TrialError
        It is above 1e-5 of the largest value.
    """
    random = np.random.default_rng(0)
    found: list[float] = []
    for hits, edges in SIZES:
        event = random_event(random, len(take.trained.metadata.node_features), hits, edges)
        with torch.no_grad():
            expected = _tuple(take.trained.model(transform(*event, take.trained.metadata)))
            given = export(*event)
        for one, other in zip(given, expected, strict=True):
            if one.shape != other.shape:
                raise TrialError(f"export: gives {list(one.shape)}, the model {list(other.shape)}")
            if other.numel():
                found.append(float((one - other).abs().max()) / max(1.0, float(other.abs().max())))
    wrong = [one for one in found if not one <= TOLERANCE]  # NaN is wrong too
    if wrong:
        raise TrialError(
            f"export: differs from the model by {wrong[0]:.1e}, more than {TOLERANCE:g}; nothing is written"
        )
    return max(found)


def random_event(random: np.random.Generator, columns: int, hits: int, edges: int) -> tuple[Arrays, Arrays]:
    """Hits all over a barrel, in mm, rad, mm; half of the edges meet in one of them. Shapes: [N, columns], [2, E]."""
    low = np.array([30.0, -np.pi, -800.0, *[0.0] * (columns - 3)])
    high = np.array([1000.0, np.pi, 800.0, *[1.0] * (columns - 3)])
    index = random.integers(0, hits, (2, edges))
    index[1, ::2] = 0
    return random.uniform(low, high, (hits, columns)), index


def _tuple(output: Any) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
