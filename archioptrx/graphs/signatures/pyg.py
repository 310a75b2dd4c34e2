"""`pyg`: convolutions of torch_geometric.nn. As plain torch the class itself, made and called as by hand."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from archioptrx.graphs.signatures.domains import Domains, Shape, any_width
from archioptrx.graphs.signatures.parameter import Parameter
from archioptrx.graphs.signatures.signature import Signature
from archioptrx.graphs.source.step import LayerSource, SourceStep
from archioptrx.graphs.source.text import Call, call, literal

WIDTHS = ("in_channels", "out_channels", "channels")
"""Arguments that come first in most classes, and are then written without their names."""


def _accepts(domains: Domains, output: str) -> str | None:
    allowed = (("node",), ("node", "edge"))
    if domains in allowed and output == "node":
        return None
    return f"can't take {' and '.join(domains)} to {output}; allowed: node to node, node and edge to node"


def _count(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int | None:
    """Weights of GraphConv and SAGEConv with default arguments, two matrices and a bias; None for all other classes."""
    known = parameters["conv"] in ("GraphConv", "SAGEConv") and not parameters["arguments"]
    return 2 * inputs[0].width * output.width + output.width if known else None


def _constructor_call(module: Any) -> Call:
    """The call that makes the convolution of a trained block, `archioptrx.networks.blocks.pyg.Convolution`."""
    arguments = module.arguments
    order = list(inspect.signature(type(module.conv).__init__).parameters)[1:]
    first = list(takewhile(lambda name: name in WIDTHS and name in arguments, order))
    named = (f"{name}={literal(value)}" for name, value in arguments.items() if name not in first)
    return call(module.name, *(literal(arguments[name]) for name in first), *named)


def _source(step: SourceStep) -> LayerSource:
    x, *edges = step.codes
    module = step.module
    column = "[:, 0]" if module.keyword == "edge_weight" else ""
    arguments = (x, step.edge_index, *(f"{module.keyword}={name}{column}" for name in edges))
    return LayerSource(
        _constructor_call(module), arguments, {"conv.": ""}, convolutions=(module.name,), doubtful=module.name
    )


BLOCKS = {"pyg": (
    Signature(
        "pyg", _accepts, any_width, (Parameter("conv", (str,), "GCNConv"), Parameter("arguments", (dict,), {})),
        passes_messages=True, count=_count, source=_source,
    ),
)}  # fmt: skip
"""By the file of `archioptrx.networks.blocks` that implements them."""
