"""`concat`, `add`, `mean` and `identity`: values of one domain joined row by row, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.graphs.signatures.domains import alike, same_width
from archioptrx.graphs.signatures.signature import Signature, keeps
from archioptrx.graphs.signatures.width import Width
from archioptrx.graphs.source.step import Expression, SourceStep
from archioptrx.graphs.source.text import Sum, call, joined, listed


def _sum_of_widths(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    return sum(widths[1:], widths[0])


def _passes_on(parameters: Mapping[str, Any]) -> bool:
    return True


def _concat_source(step: SourceStep) -> Expression:
    return Expression(joined(step.codes))


def _add_source(step: SourceStep) -> Expression:
    return Expression(Sum(step.codes))


def _mean_source(step: SourceStep) -> Expression:
    return Expression(call("torch.mean", call("torch.stack", listed(*step.codes)), "dim=0"))


BLOCKS = {"simple": (
    Signature(
        "concat", alike(1), _sum_of_widths, commutative=True, neutral=True, distinct=True, has_weights=False,
        passes_on=_passes_on, reads=keeps, source=_concat_source,
    ),
    Signature(
        "add", alike(2), same_width, commutative=True, symmetric=True, distinct=True, has_weights=False,
        source=_add_source,
    ),
    Signature(
        "mean", alike(2), same_width, commutative=True, symmetric=True, distinct=True, has_weights=False,
        source=_mean_source,
    ),
    Signature(
        "identity", alike(1, 1), same_width, neutral=True, has_weights=False,
        passes_on=_passes_on, reads=keeps, source=_concat_source,
    ),
)}  # fmt: skip
"""By the file of `archioptrx.networks.blocks` that implements them."""
