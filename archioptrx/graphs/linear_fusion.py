"""Networks that leave their last linear layer to the readers of the result. No torch.

`W₂(W₁h + b₁) = (W₂W₁)h + W₂b₁`: a linear layer behind another one multiplies by their product, and a sum over edges
runs before the layer. That is exact, and cheaper or dearer by the widths and the numbers of rows: it is counted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.shapes import Shapes, bound_parameters

ROWS = {
    "graph": 0.01,
    "pooled": 0.5,
    "node": 1.0,
    "edge": 3.5,
    "triplet": 12.0,
}  # typical of hit graphs, relative to nodes


def pending_steps(graph: ComputationGraph, shapes: Shapes, hyperparameters: Mapping[str, Any]) -> frozenset[int]:
    """Steps whose last linear layer is cheaper left pending."""
    parameters = [bound_parameters(step, hyperparameters) for step in graph.steps]
    return frozenset(i for i in range(len(graph.steps)) if _pays(graph, shapes, parameters, i))


def _pays(graph: ComputationGraph, shapes: Shapes, parameters: list[dict[str, Any]], index: int) -> bool:
    """Whether leaving a step's last layer (hidden -> width) pending takes fewer products than running it at once.

    Both ways are counted up to the first matrix of the readers. At once: the layer on each row, then the readers'
    matrices on `width` channels. Later: the readers' matrices on `hidden` channels, since each is multiplied by the
    pending one first (a product of two small matrices, not counted), and the layer itself on the rows of each value
    that must be multiplied out. A reader that sums up edges first makes these rows fewer.
    """
    hidden: int | None = graph.steps[index].signature.ask("leaves", parameters[index])
    if not hidden:
        return False
    value = index + len(graph.sources)
    domain, width = shapes[value]
    outputs, products = _readers(graph, shapes, parameters, value)
    at_once = ROWS[domain] * hidden * width + products * width
    later = products * hidden + sum(ROWS[d] for d in outputs) * hidden * width
    return later < at_once


def _readers(
    graph: ComputationGraph, shapes: Shapes, parameters: list[dict[str, Any]], value: int
) -> tuple[list[str], float]:
    """Steps that read a value, through loops, joins and sums.

    Returns
    -------
    list of str
        Domains of the values that have to be multiplied out, one entry each.
    float
        Products per channel in the linear layers that read it.
    """
    carried = {edge.carried: edge.head for edge in graph.back_edges}
    stack, visited, outputs, products = [value], set[int](), list[str](), 0.0
    # Invariant: every value on the stack holds the pending layer as one of its pieces. A value is visited once, so a
    # layer that goes round a loop ends.
    while stack:
        here = stack.pop()
        if here in visited:
            continue
        visited.add(here)
        must = here in graph.targets
        if here in carried:  # the head of the next pass is this very value
            stack.append(carried[here])
        for index, step in enumerate(graph.steps):
            if here not in step.inputs:
                continue
            signature, result = step.signature, index + len(graph.sources)
            if signature.ask("passes_on", parameters[index]):
                stack.append(result)
                continue
            inputs = [shapes[read] for read in step.inputs]
            for slot in [slot for slot, read in enumerate(step.inputs) if read == here]:
                columns = signature.ask("multiplies", slot, inputs, shapes[result], parameters[index]) or 0
                products += ROWS[shapes[here].domain] * columns
                must = must or not columns
        # Multiplied out once, however many readers need it: a value keeps its tensor.
        outputs += [shapes[here].domain] * must
    return outputs, products
