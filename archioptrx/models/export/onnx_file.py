"""Writing of an export as an ONNX file: torch's exporter on the readable code."""

from __future__ import annotations

import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archioptrx.core.errors import InputError
from archioptrx.core.files import write_atomically
from archioptrx.graphs.source.helpers import FLAT
from archioptrx.models.export import EXPORTERS
from archioptrx.models.export.check import EXAMPLE, Arrays, difference, random_event, raw, tensors
from archioptrx.models.export.files import written
from archioptrx.models.export.onnx_graph import make_faster
from archioptrx.models.export.own_source import faults_of
from archioptrx.models.export.trained import Take

OPSET = 18
"""First version of the operators with all reductions of scatter, so that repeated indices add up."""
SIZES: Mapping[str, Mapping[int, str]] = {"hits": {0: "hits"}, "edge_index": {1: "edges"}}
"""Inputs, and their sizes that change from event to event."""


@EXPORTERS.registering("onnx")
def export_onnx(take: Take, path: Path) -> str:
    """Write ONNX, for onnxruntime in any language."""
    return take.summary(str(path), write_onnx(take, path))


def write_onnx(take: Take, path: Path) -> float:
    """Write the `.onnx` file; the largest difference from the model in onnxruntime.

    Raises
    ------
    InputError
        onnx, onnxscript or onnxruntime isn't installed; torch's exporter or onnxruntime can't do a convolution of
        torch_geometric or a pooling.
    TrialError
        The results of the file differ from those of the model: nothing is written.
    """
    names = onnx_outputs(take)
    content = onnx_content(take, lambda code: Both(code, take), _example(take), SIZES, names)
    run = runner(take, content, [name for name in names if f"{name}_logit" not in names])
    largest_error = difference(take, lambda hits, edges: run(hits, edges))
    write_atomically(path, content)
    return largest_error


def onnx_content(
    take: Take,
    network_of: Callable[[nn.Module], nn.Module],
    event: Sequence[Tensor],
    sizes: Mapping[str, Mapping[int, str]],
    outputs: Sequence[str],
    kind: str = "onnx",
) -> bytes:
    """An ONNX file of an export's code, not yet compared with the model.

    Parameters
    ----------
    network_of
        Makes the network that is written of the exported one.
    event
        Inputs of an example.
    sizes
        Names of the inputs, and of the sizes in them that change from event to event, by their place.
    outputs
        Names of the outputs.
    kind
        Name of the format, for messages.

    Raises
    ------
    InputError
        A package is missing, or torch's exporter can't write a step of the network.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401 - what is written is run by it
        import onnxscript  # noqa: F401 - torch.onnx needs it
    except ImportError as error:
        raise InputError(f'--format {kind}: {error}; allowed: pip install "archioptrx[onnx]"') from error
    with tempfile.TemporaryDirectory() as folder:
        with faults_of(take.program):
            code = written(take.with_helpers(FLAT), Path(folder) / "network.py").load()
            with torch.no_grad():  # what is wrong with a user's code is clearer in Python than from torch's exporter
                raw(code)(*event)
            network = network_of(code).eval()
        with refused(take, kind, torch.onnx.OnnxExporterError):
            proto = _exported(network, tuple(event), sizes, outputs)
    make_faster(proto)
    onnx.helper.set_model_props(proto, {key: _text(value) for key, value in take.facts.items()})
    content: bytes = proto.SerializeToString()
    return content


def runner(take: Take, content: bytes, outputs: Sequence[str], kind: str = "onnx") -> Callable[..., tuple[Tensor, ...]]:
    """Make a function that runs a file in onnxruntime: inputs in order to outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, too
    with refused(take, kind, Exception):  # onnxruntime's have no common class of their own
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]

    def run(*inputs: Arrays) -> tuple[Tensor, ...]:
        with refused(take, kind, Exception):
            results = session.run(outputs, dict(zip(names, inputs, strict=True)))
        return tuple(torch.as_tensor(result) for result in results)

    return run


def _example(take: Take) -> tuple[Tensor, ...]:
    event = random_event(np.random.default_rng(0), len(take.trained.metadata.node_features), *EXAMPLE)
    return tuple(map(torch.tensor, event))


def onnx_outputs(take: Take) -> list[str]:
    """Names of the outputs: each target, and beside a probability its logit."""
    outputs = take.program.outputs
    return [name for output in outputs for name in (output.name, f"{output.name}_logit")[: 1 + output.probability]]


class Both(nn.Module):
    """Each output, and beside a probability its logit."""

    def __init__(self, network: nn.Module, take: Take) -> None:
        super().__init__()
        self.network = network
        self.probable = [output.probability for output in take.program.outputs]

    def forward(self, hits: Tensor, edge_index: Tensor) -> tuple[Tensor, ...]:
        outputs: list[Tensor] = []
        for output, probable in zip(tensors(raw(self.network)(hits, edge_index)), self.probable, strict=True):
            outputs += [output.sigmoid(), output] if probable else [output]
        return tuple(outputs)


def _exported(
    network: nn.Module, event: tuple[Tensor, ...], sizes: Mapping[str, Mapping[int, str]], outputs: Sequence[str]
) -> Any:
    """The model as an ONNX message. Hits are double: Δφ is a small difference of two angles."""
    names = {name for places in sizes.values() for name in places.values()}
    known = {name: torch.export.Dim(name) for name in sorted(names)}
    shapes = tuple({place: known[name] for place, name in places.items()} for places in sizes.values())
    with quiet():
        program = torch.onnx.export(
            network,
            event,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(sizes),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    return with_exact_numbers(program.model_proto, numbers_of(network, event))


class _Numbers(TorchFunctionMode):
    """Mode that notes the plain numbers in operations with tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: set[float] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.noted.update(argument for argument in args if isinstance(argument, float))
        return func(*args, **(kwargs or {}))


def numbers_of(network: nn.Module, event: tuple[Tensor, ...]) -> set[float]:
    """The plain numbers that a network computes with: 2π, scales …"""
    numbers = _Numbers()
    with torch.no_grad(), numbers:
        network(*event)
    return numbers.noted


def with_exact_numbers(proto: Any, numbers: set[float]) -> Any:
    """Restore the digits of the numbers of double operators: torch's exporter rounds them to single precision.

    Rounded so, 2π made Δφ of edges across ±π wrong by 2e-7 rad: 4e-5 of the largest logit on whole TrackML events.
    """
    from onnx import TensorProto, numpy_helper

    for constant in proto.graph.initializer:
        if constant.data_type == TensorProto.DOUBLE and not constant.dims:
            value = float(numpy_helper.to_array(constant))
            exact = [number for number in numbers if np.float32(number) == value]
            if exact:
                constant.CopyFrom(numpy_helper.from_array(np.array(exact[0]), constant.name))
    return proto


@contextmanager
def refused(take: Take, kind: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn such errors into one line where the network has steps that may be their cause."""
    try:
        yield
    except errors as error:
        if not take.program.doubtful:
            raise
        steps = ", or ".join(take.program.doubtful)
        raise InputError(f"--format {kind}: can't hold {steps}; allowed: --format python") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence remarks of torch's exporter on itself: deprecations, missing torchvision, code where it fails."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", "# The axis name", UserWarning)  # that two inputs have a size in common
            yield
    finally:
        log.setLevel(level)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
