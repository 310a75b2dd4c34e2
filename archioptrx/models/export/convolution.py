"""`pyg` in an export: the class of torch_geometric.nn itself, made and called as a person would."""

from __future__ import annotations

import inspect
from itertools import takewhile

from archioptrx.models.export.code import Call, call, literal
from archioptrx.networks.blocks.pyg import Convolution

WIDTHS = ("in_channels", "out_channels", "channels")
"""What stands first in most classes, and is then given without its name."""


def made(block: Convolution) -> Call:
    """What makes the convolution.

    >>> from archioptrx.networks.blocks import Shape
    >>> block = Convolution([Shape("node", 3)], Shape("node", 4), "GATConv", {"heads": 2})
    >>> made(block)
    Call(head='GATConv', args=('3', '2', 'heads=2'), brackets='()')
    """
    given = block.arguments
    order = list(inspect.signature(type(block.conv).__init__).parameters)[1:]
    first = list(takewhile(lambda name: name in WIDTHS and name in given, order))
    named = (f"{name}={literal(value)}" for name, value in given.items() if name not in first)
    return call(block.name, *(literal(given[name]) for name in first), *named)


def arguments(block: Convolution, names: tuple[str, ...], edge_index: str) -> tuple[str, ...]:
    """What the convolution is called with.

    Parameters
    ----------
    names
        Of the values: nodes, and edge features where it takes them.
    edge_index
        Of the edges that join the nodes.
    """
    x, *edges = names
    column = "[:, 0]" if block.keyword == "edge_weight" else ""
    return (x, edge_index, *(f"{block.keyword}={name}{column}" for name in edges))
