"""Which networks leave their last linear layer to those who read the result. No torch.

`W₂(W₁h + b₁) = (W₂W₁)h + W₂b₁`: a linear layer behind another one takes both matrices at once, and a sum over edges
runs before the layer. That is exact, and cheaper or dearer by the widths and the numbers of rows: it is counted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.shapes import Shapes, bound_parameters, copies
from archioptrx.graphs.steps import Step

ROWS = {
    "graph": 0.01,
    "pooled": 0.5,
    "node": 1.0,
    "edge": 3.5,
    "triplet": 12.0,
}  # typical of hit graphs, relative to nodes


def pending_steps(graph: ComputationGraph, shapes: Shapes, hyperparameters: Mapping[str, Any]) -> frozenset[int]:
    """The steps whose last linear layer is better left pending."""
    bound = [bound_parameters(step, hyperparameters) for step in graph.steps]
    return frozenset(i for i in range(len(graph.steps)) if _pays(graph, shapes, bound, i))


def _pays(graph: ComputationGraph, shapes: Shapes, bound: list[dict[str, Any]], index: int) -> bool:
    parameters, value = bound[index], index + len(graph.sources)
    plain = graph.steps[index].block in ("mlp", "attention") and parameters["output_activation"] == "none"
    if not plain or parameters["layers"] < 2:
        return False
    domain, width = shapes[value]
    hidden: int = parameters["hidden"]
    outputs, products = _readers(graph, shapes, bound, value)
    at_once = ROWS[domain] * hidden * width + products * width
    later = products * hidden + sum(ROWS[d] for d in outputs) * hidden * width
    return later < at_once


def _readers(
    graph: ComputationGraph, shapes: Shapes, bound: list[dict[str, Any]], value: int
) -> tuple[list[str], float]:
    """Who reads a value, through loops, joins and sums.

    Returns
    -------
    list of str
        Domains of the values that have to be multiplied out, one entry each.
    float
        Products per channel in the linear layers that read it.
    """
    carried = {edge.carried: edge.head for edge in graph.back_edges}
    stack, seen, outputs, products = [value], set[int](), list[str](), 0.0
    while stack:
        here = stack.pop()
        if here in seen:
            continue
        seen.add(here)
        must = here in graph.targets
        if here in carried:
            stack.append(carried[here])
        for index, step in enumerate(graph.steps):
            result = index + len(graph.sources)
            for slot in [slot for slot, read in enumerate(step.inputs) if read == here]:
                if passes_on(step, bound[index]):
                    stack.append(result)
                elif multiplies(step, slot, shapes):
                    products += _products(step, shapes, bound[index], result, shapes[here][0])
                else:
                    must = True
        outputs += [shapes[here][0]] * must
    return outputs, products


def passes_on(step: Step, parameters: Mapping[str, Any]) -> bool:
    """Whether a step hands on a pending layer instead of multiplying it out."""
    sums: bool = step.block in ("aggregate", "readout") and parameters["reduce"] in ("sum", "mean")
    return sums or step.block in ("concat", "identity")


def multiplies(step: Step, slot: int, shapes: Shapes) -> bool:
    """Whether a step begins with a linear layer on this input."""
    if step.block == "attention":
        return slot == 0 and shapes[step.inputs[1]][1] == 1
    return step.block == "mlp"


def _products(step: Step, shapes: Shapes, parameters: Mapping[str, Any], result: int, domain: str) -> float:
    output, width = shapes[result]
    first: int = width if parameters["layers"] == 1 else parameters["hidden"]
    parts = 3 if step.block == "attention" else copies(domain, output)
    return ROWS[domain] * parts * first
