"""Values between the steps, as pieces that are put together only where a block needs one tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archioptrx.blocks.matmul import linear
from archioptrx.blocks.topology import Topology

if TYPE_CHECKING:
    from archioptrx.blocks.pooling import Pooling


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """What one value looks like: the domain of its rows and its number of channels."""

    domain: str
    width: int


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Some channels of a value: `rows @ weight.T + counts · bias`, multiplied out as late as possible.

    The last linear layer of a network is left pending like this when all that follows is linear too: a sum over
    edges then runs first, or the next network's first layer takes both matrices at once.

    Attributes
    ----------
    rows : Tensor [R, h]
    weight : Tensor [w, h] or None
        None: the channels are `rows` themselves.
    bias : Tensor [w] or None
    counts : Tensor [R] or None
        How often each row has summed up the bias; None: once.
    """

    rows: Tensor
    weight: Tensor | None = None
    bias: Tensor | None = None
    counts: Tensor | None = None

    @property
    def width(self) -> int:
        """The number of channels."""
        return (self.rows if self.weight is None else self.weight.T).shape[1]

    def tensor(self) -> Tensor:
        """The channels multiplied out: [R, w]."""
        if self.weight is None:
            return self.rows
        if self.counts is None or self.bias is None:
            return linear(self.rows, self.weight, self.bias)
        return linear(self.rows, self.weight).addr(self.counts, self.bias)

    def reduced(self, rows: Tensor, counts: Tensor) -> Piece:
        """The same pending layer on rows that were summed (or averaged), each of `counts` terms."""
        return Piece(rows, self.weight, self.bias, counts if self.bias is not None else None)


class Value:
    """What a step made: pieces side by side.

    Attributes
    ----------
    pieces
        Their channels, in order, are the value's.
    pooling
        What made the rows of a value of domain `pooled`; None for all others.
    """

    __slots__ = ("_tensor", "pieces", "pooling")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(pieces)
        self._tensor: Tensor | None = None
        self.pooling: Pooling | None = None

    @staticmethod
    def of(rows: Tensor) -> Value:
        """A value that is one plain tensor [R, w]."""
        return Value((Piece(rows),))

    def tensor(self) -> Tensor:
        """The value as one tensor [R, w]. Multiplied out and joined once."""
        if self._tensor is None:
            parts = [piece.tensor() for piece in self.pieces]
            self._tensor = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return self._tensor


@dataclass
class Run:
    """What the blocks share during one forward pass.

    Attributes
    ----------
    topology
        The structure of the batch.
    constants
        `id` of the pieces that don't change between the passes of the loop that runs now.
    """

    topology: Topology
    constants: frozenset[int] = frozenset()
    _kept: dict[Any, Tensor] = field(default_factory=dict)
    _hoisted: dict[Any, Tensor] = field(default_factory=dict)

    def enter(self, constants: Iterable[int]) -> None:
        """Begin a loop in which these pieces stay the same."""
        self.constants = frozenset(constants)
        self._hoisted = {}

    def leave(self) -> None:
        """End the loop."""
        self.enter(())

    def hoist(self, piece: Piece, key: Any, make: Callable[[], Tensor]) -> Tensor:
        """Make what depends on a piece and on weights (`key`) only: once for a constant piece."""
        if id(piece) not in self.constants:
            return make()
        if (key, id(piece)) not in self._hoisted:
            self._hoisted[key, id(piece)] = make()
        return self._hoisted[key, id(piece)]

    def keep(self, key: Any, make: Callable[[], Tensor]) -> Tensor:
        """Make what depends on weights only: once in a forward pass."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]
