"""The exact number of parameters of a network, without building it. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.shapes import TargetWidth, bound_parameters, copies, shapes, weight_names

Shape = tuple[str, int]
Count = Callable[[Sequence[Shape], Shape, Mapping[str, Any]], int | None]


def _layers(first: int, output: int, parameters: Mapping[str, Any]) -> int:
    """Linear layers from `first` to `output` channels, two numbers per channel for each norm."""
    number: int = parameters["layers"]
    widths: list[int] = [first] + [parameters.get("hidden", 0)] * (number - 1) + [output]
    total = sum(a * b + b for a, b in pairwise(widths))
    if parameters.get("norm", "none") == "none":
        return total
    activations = [parameters.get("activation", "none")] * (number - 1) + [parameters["output_activation"]]
    return total + sum(2 * w for w, kind in zip(widths[1:], activations, strict=True) if kind != "none")


def _mlp(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    first = sum(copies(domain, output[0]) * width for domain, width in inputs)
    return _layers(first, output[1], parameters)


def _attention(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    parts = 2 if parameters.get("direction") == "together" else 3
    return _layers(parts * inputs[0][1], output[1], parameters)


def _gru(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    state = output[1]
    return 3 * state * (inputs[0][1] + state) + 6 * state


def _norm(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    return (3 if parameters["kind"] == "graph" else 2) * output[1]


def _pool(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    width = output[1]
    counts = {"topk": width, "edge": 2 * width + 1, "diff": (width + 1) * parameters.get("clusters", 0)}
    return int(counts[parameters["method"]])


def _pyg(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int | None:
    """Two matrices, for the node and for its neighbours, and one bias: known of these two, with their own arguments."""
    known = parameters["conv"] in ("GraphConv", "SAGEConv") and not parameters["arguments"]
    return 2 * inputs[0][1] * output[1] + output[1] if known else None


COUNTS: dict[str, Count] = {
    "mlp": _mlp,
    "attention": _attention,
    "gru": _gru,
    "norm": _norm,
    "pool": _pool,
    "pyg": _pyg,
}


def count_parameters(
    graph: ComputationGraph,
    hyperparameters: Mapping[str, Any],
    source_widths: Mapping[str, int],
    target_width: TargetWidth = 1,
) -> int | None:
    """Count the parameters that the compiled network would have.

    A user's block can add its formula to `COUNTS`: (input shapes, output shape, parameters) -> number, where a
    shape is (domain, width).

    Returns
    -------
    int, or None where a step's block is known to torch alone (most classes of `pyg`, a user's block without a formula).
    """
    bound = shapes(graph, hyperparameters, source_widths, target_width)
    seen: set[str] = set()
    total = 0
    for index, (step, names) in enumerate(zip(graph.steps, weight_names(graph), strict=True)):
        fresh = [name for name in names if name not in seen]
        if not fresh or not step.signature.has_weights:
            continue
        if step.block not in COUNTS:
            return None
        seen.update(fresh)
        inputs = [bound[value] for value in step.inputs]
        output = bound[len(graph.sources) + index]
        count = COUNTS[step.block](inputs, output, bound_parameters(step, hyperparameters))
        if count is None:
            return None
        total += len(fresh) * count
    return total
