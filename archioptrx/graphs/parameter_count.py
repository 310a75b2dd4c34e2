"""The exact number of parameters of a network, without building it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.core.errors import GraphError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.shapes import TargetWidth, bound_parameters, shapes, weight_names
from archioptrx.graphs.signatures import Shape, Signature


def count_parameters(
    graph: ComputationGraph,
    hyperparameters: Mapping[str, Any],
    source_widths: Mapping[str, int],
    target_width: TargetWidth = 1,
) -> int | None:
    """Count the parameters that the compiled network would have.

    Returns
    -------
    int, or None where a step's block is known to torch alone (most classes of `pyg`, a user's block whose signature has
    no `count`).

    Raises
    ------
    GraphError
        The formula of a user's block fails.
    """
    bound = shapes(graph, hyperparameters, source_widths, target_width)
    counted: set[str] = set()
    total = 0
    for index, names in enumerate(weight_names(graph)):
        # Steps that share weights count once, passes with weights of their own each.
        fresh = [name for name in names if name not in counted]
        if not fresh or not graph.steps[index].signature.has_weights:
            continue
        counted.update(fresh)
        step, output = graph.steps[index], bound[index + len(graph.sources)]
        inputs = [bound[value] for value in step.inputs]
        count = block_parameters(step.signature, inputs, output, bound_parameters(step, hyperparameters))
        if count is None:
            return None
        total += len(fresh) * count
    return total


def block_parameters(
    signature: Signature, inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]
) -> int | None:
    """Number of parameters of one block; None where torch alone knows it.

    Raises
    ------
    GraphError
        The formula of a user's block fails.
    """
    count: int | None = signature.ask("count", inputs, output, parameters)
    if count is not None and (not isinstance(count, int) or count < 0):
        raise GraphError(f"block {signature.name}: its count is {count!r}; allowed: a whole number from 0, or None")
    return count
