"""Blocks without weights: one expression each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.models.export.code import Code, Sum, call, listed
from archioptrx.models.export.helpers import REDUCE

ROWS_OF = {"node": "nodes", "edge": "start.shape[0]"}


def joined(names: Sequence[Code]) -> Code:
    """Side by side."""
    return names[0] if len(names) == 1 else call("torch.cat", listed(*names), "dim=1")


def added(names: Sequence[str]) -> Code:
    """`add`."""
    return Sum(tuple(names))


def averaged(names: Sequence[str]) -> Code:
    """`mean`."""
    return call("torch.mean", call("torch.stack", listed(*names)), "dim=0")


def gathered(name: str, params: Mapping[str, Any]) -> Code:
    """`aggregate`, edges to nodes."""
    sides = {"in": ("end",), "out": ("start",), "both": ("end", "start")}[params["direction"]]
    return joined([call(REDUCE[params["reduce"]], name, side, "nodes") for side in sides])


def read_out(name: str, params: Mapping[str, Any]) -> Code:
    """`readout`: all rows to one."""
    group = call("torch.zeros_like", f"{name}[:, 0]", "dtype=torch.long")
    return call(REDUCE[params["reduce"]], name, group, "1")


def spread(name: str, domain: str) -> Code:
    """`broadcast`."""
    return f"{name}.expand({ROWS_OF[domain]}, -1)"
