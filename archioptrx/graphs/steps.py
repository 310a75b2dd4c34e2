"""The parts of a computation graph: types of values, steps, back edges and loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archioptrx.graphs.signatures import SIGNATURES, Signature, Width


@dataclass(frozen=True, slots=True)
class DataType:
    """The type of a value.

    Attributes
    ----------
    name
        Name of its data node.
    domain
        `node`, `edge`, `triplet`, `graph` or `pooled`: a value has one row for each of these.
    width
        Symbolic number of channels.
    field
        Field of the data set that fills a source; None for all others.
    """

    name: str
    domain: str
    width: Width
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One application of a function.

    Attributes
    ----------
    function, block
        Name of the function node (any text; no part of the identity), and its building block.
    inputs
        Value numbers, in the order of the function's slots.
    type
        Data type of the result.
    params
        Sorted (name, value) pairs; a value is a literal or a Hyperparameter. All other parameters have their defaults.
    weights
        Name of the weights, "" for none; steps with the same name share them.
    per_pass
        True: each pass of a loop has weights of its own.
    """

    function: str
    block: str
    inputs: tuple[int, ...]
    type: str
    params: tuple[tuple[str, Any], ...] = ()
    weights: str = ""
    per_pass: bool = False

    @property
    def signature(self) -> Signature:
        """Signature of the block."""
        return SIGNATURES[self.block]

    @property
    def all_params(self) -> dict[str, Any]:
        """Parameters completed with defaults."""
        return self.signature.complete(dict(self.params))


@dataclass(frozen=True, slots=True)
class BackEdge:
    """An edge from a value back to an earlier one, which closes a loop.

    Attributes
    ----------
    carried, head
        Value numbers: after each pass but the last, `head` becomes the value of `carried`.
    iterations
        Number of times that this happens; the loop has one pass more.
    """

    carried: int
    head: int
    iterations: int


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop, ready to run: forward; then `iterations` times: back, heads := carried (all at once), forward.

    Attributes
    ----------
    heads
        (head, carried) pairs of value numbers.
    iterations
        Number of passes after the first.
    forward, back
        Step numbers in order: steps from which an output of the loop is reached without a back edge, and all others.
    once
        Steps that run in pass 0 only: they make the first value of a head from values of the loop itself, as where
        recurrences overlap.
    """

    heads: tuple[tuple[int, int], ...]
    iterations: int
    forward: tuple[int, ...]
    back: tuple[int, ...]
    once: tuple[int, ...] = ()
