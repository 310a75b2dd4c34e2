"""The parts of a computation graph: types of values, steps, back edges and loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archioptrx.graphs.signatures import SIGNATURES, Signature, Width


@dataclass(frozen=True, slots=True)
class DataType:
    """What a value is: the name of its data node, its domain, its symbolic width, a source's data set field."""

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
        Name of the function node (free text: it is no part of the identity) and its building block.
    inputs
        Value numbers, in the order of the function's slots.
    type
        Data type of the result.
    params
        Sorted pairs; a literal or a Hyperparameter. A parameter that isn't there has its default.
    weights
        Name of the weights, "" for none; steps of the same name share them.
    per_pass
        In a loop each pass has weights of its own.
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
        """The type of the block."""
        return SIGNATURES[self.block]

    @property
    def all_params(self) -> dict[str, Any]:
        """Parameters completed with defaults."""
        return self.signature.complete(dict(self.params))


@dataclass(frozen=True, slots=True)
class BackEdge:
    """After each pass but the last, `head` becomes the value of `carried`; `iterations` times."""

    carried: int
    head: int
    iterations: int


@dataclass(frozen=True, slots=True)
class Loop:
    """A recurrence, ready to run: forward; then `iterations` times: back, heads := carried (all at once), forward.

    `heads` are (head, carried) pairs of values; `forward` and `back` are step numbers in order. Steps in `once` run
    in pass 0 only: they make the first value of a head from the loop itself (where loops overlap).
    """

    heads: tuple[tuple[int, int], ...]
    iterations: int
    forward: tuple[int, ...]
    back: tuple[int, ...]
    once: tuple[int, ...] = ()
