"""Domains of values, and the rules of domains and widths that several building blocks have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.graphs.signatures.width import Width

LADDER = {"node": 0, "edge": 1, "triplet": 2}  # each rung's index points at the rung below
POOLED = "pooled"  # the nodes of a smaller graph, a graph of its own
DOMAINS = ("node", "edge", "triplet", "graph", POOLED)

Domains = tuple[str, ...]
Accepts = Callable[[Domains, str], str | None]
"""`(input domains, output domain) -> fault or None`."""


class Shape(NamedTuple):
    """The shape of a value: the domain of its rows and its number of channels."""

    domain: str
    width: int


class Kind(NamedTuple):
    """A value before its widths are numbers: the domain of its rows and its symbolic number of channels."""

    domain: str
    width: Width


def copies(source: str, output: str) -> int:
    """Number of parts of a value that is lifted from one domain to another: 2 for each rung of the ladder.

    >>> copies("node", "edge"), copies("node", "triplet"), copies("graph", "edge"), copies("pooled", "pooled")
    (2, 4, 1, 1)
    """
    return 1 if source in ("graph", POOLED) else int(2 ** (LADDER[output] - LADDER[source]))


def off_ladder(domains: Domains) -> str | None:
    """Fault of domains that have no rung, such as values of whole graphs."""
    off = [domain for domain in domains if domain not in LADDER]
    return f"takes no {off[0]} value; {did_you_mean(off[0], LADDER)}" if off else None


def wrong_number(domains: Domains, number: int, names: str) -> str | None:
    """Fault of another number of inputs than that of the names."""
    if len(domains) == number:
        return None
    return f"takes {number} input{'s' * (number > 1)} ({names}), not {len(domains)}"


def alike(least: int, most: int = 99) -> Accepts:
    """The rule of a block with so many inputs, all of the output's domain."""

    def accepts(domains: Domains, output: str) -> str | None:
        if not least <= len(domains) <= most:
            number = f"{least}" if least == most else f"{least} or more"
            return f"takes {number} input{'s' * (most > 1)}, not {len(domains)}"
        if {*domains, output} != {output}:
            return f"needs inputs and output of one domain, not {', '.join(domains)} to {output}"
        return None

    return accepts


def any_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> None:
    """The width rule of a block that can give any width: the output's data node declares it."""


def same_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    """The width rule of a block with inputs and output of one width."""
    for width in widths[1:]:
        if width != widths[0]:
            raise InputError(f"inputs of width {widths[0]} and {width} don't agree; allowed: equal widths")
    return widths[0]
