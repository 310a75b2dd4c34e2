"""`aggregate`, `readout` and `broadcast`: rows summed up in groups, and the way back, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.graphs.signatures.domains import LADDER, Domains, off_ladder, same_width, wrong_number
from archioptrx.graphs.signatures.parameter import Parameter
from archioptrx.graphs.signatures.signature import Signature, keeps
from archioptrx.graphs.signatures.width import Width
from archioptrx.graphs.source.helpers import REDUCE
from archioptrx.graphs.source.step import Expression, SourceStep
from archioptrx.graphs.source.text import call, joined

SUMS = ("sum", "mean", "max")
NUMBER_OF_ROWS = {"node": "nodes", "edge": "start.shape[0]"}
"""The number of rows of a domain, as code."""


def _aggregate_accepts(domains: Domains, output: str) -> str | None:
    if fault := wrong_number(domains, 1, "values of the rung above") or off_ladder((*domains, output)):
        return fault
    if LADDER[domains[0]] != LADDER[output] + 1:
        return f"can't turn {domains[0]} values into {output} values; allowed: edge to node, triplet to edge"
    return None


def _readout_accepts(domains: Domains, output: str) -> str | None:
    if fault := wrong_number(domains, 1, "values of nodes, edges or triplets") or off_ladder(domains):
        return fault
    return None if output == "graph" else f"gives a graph value, not a {output} value"


def _broadcast_accepts(domains: Domains, output: str) -> str | None:
    if fault := wrong_number(domains, 1, "a graph value"):
        return fault
    if domains[0] != "graph":
        return f"takes a graph value, not a {domains[0]} value"
    return off_ladder((output,))


def _aggregate_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    return widths[0] * 2 if parameters["direction"] == "both" else widths[0]


def _passes_on(parameters: Mapping[str, Any]) -> bool:
    # A sum of W h + b over k rows is W (sum of h) + k b: sums and means may run first, a maximum may not.
    return parameters["reduce"] in ("sum", "mean")


def _aggregate_source(step: SourceStep) -> Expression:
    sides = {"in": ("end",), "out": ("start",), "both": ("end", "start")}[step.parameters["direction"]]
    function = REDUCE[step.parameters["reduce"]]
    return Expression(joined([call(function, *step.codes, side, "nodes") for side in sides]))


def _readout_source(step: SourceStep) -> Expression:
    group = call("torch.zeros_like", f"{step.codes[0]}[:, 0]", "dtype=torch.long")  # an export takes one graph
    return Expression(call(REDUCE[step.parameters["reduce"]], *step.codes, group, "1"))


def _broadcast_source(step: SourceStep) -> Expression:
    return Expression(f"{step.codes[0]}.expand({NUMBER_OF_ROWS[step.output.domain]}, -1)")


BLOCKS = {"simple": (
    Signature(
        "aggregate", _aggregate_accepts, _aggregate_width,
        (
            Parameter("reduce", (str,), "sum", (*SUMS, "std", "softmax")),
            Parameter("direction", (str,), "in", ("in", "out", "both")),
        ),
        has_weights=False, passes_messages=True, passes_on=_passes_on, reads=keeps, source=_aggregate_source,
    ),
    Signature(
        "readout", _readout_accepts, same_width, (Parameter("reduce", (str,), "mean", SUMS),),
        has_weights=False, passes_on=_passes_on, reads=keeps, source=_readout_source,
    ),
    Signature("broadcast", _broadcast_accepts, same_width, has_weights=False, reads=keeps, source=_broadcast_source),
)}  # fmt: skip
"""By the file of `archioptrx.networks.blocks` that implements them."""
