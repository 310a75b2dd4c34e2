"""Values between the steps, as pieces that are put together only where a block needs one tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from archioptrx.networks.blocks.matmul import linear
from archioptrx.networks.blocks.segments import Segments, total
from archioptrx.networks.blocks.topology import Topology


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Some channels of a value: `rows @ weight.T + counts · bias`, multiplied out as late as possible.

    The last linear layer of a network is left pending like this when all that follows is linear too: a sum over
    edges then runs first, or the next network's first layer multiplies by the product of both matrices.

    Attributes
    ----------
    rows : Tensor [R, h]
    weight : Tensor [w, h] or None
        None: the channels are `rows` themselves.
    bias : Tensor [w] or None
    counts : Tensor [R] or None
        Number of times that each row has summed up the bias; None: once.
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
    """Output of a step: pieces side by side.

    Attributes
    ----------
    pieces
        Pieces whose channels, in order, are the value's.
    pooling
        Pooling that made the rows of a value of domain `pooled`; None for all others.
    """

    __slots__ = ("_tensor", "pieces", "pooling")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(pieces)
        self._tensor: Tensor | None = None
        self.pooling: Pooling | None = None

    @property
    def width(self) -> int:
        """The number of channels."""
        return sum(piece.width for piece in self.pieces)

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
class ForwardPass:
    """State that the blocks share during one forward pass.

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
        """Make a tensor that depends only on a piece and on weights (`key`); once a loop for a constant piece."""
        if id(piece) not in self.constants:
            return make()
        if (key, id(piece)) not in self._hoisted:
            self._hoisted[key, id(piece)] = make()
        return self._hoisted[key, id(piece)]

    def keep(self, key: Any, make: Callable[[], Tensor]) -> Tensor:
        """Make a tensor that depends only on weights, once in a forward pass."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


@dataclass(frozen=True, eq=False)
class PooledGraph:
    """The fields of a batch that `Topology` reads, for a pooled graph. Rows of a graph stand in any order."""

    num_nodes: int
    edge_index: Tensor
    batch: Tensor
    ptr: Tensor


class Pooling:
    """One pooling of the hits of a batch: a sparse matrix, and the graph that it makes.

    Attributes
    ----------
    rows, columns : int64 [K]
        Pooled row and hit of each entry.
    shares : Tensor [K]
        Values of the entries. A hit goes to at most one pooled row, or (DiffPool) to all clusters of its graph by
        shares.
    run : ForwardPass
        State that blocks share on the pooled graph.
    """

    def __init__(
        self, rows: Tensor, columns: Tensor, shares: Tensor, edge_index: Tensor, batch: Tensor, topology: Topology
    ) -> None:
        size = batch.numel()
        self.rows, self.columns, self.shares = Segments(rows, size), Segments(columns, topology.nodes), shares
        # Only the length of `ptr` is read: pooled rows needn't stand graph by graph.
        ptr = torch.zeros(topology.graphs + 1, dtype=torch.int64, device=batch.device)
        self.run = ForwardPass(Topology(PooledGraph(size, edge_index, batch, ptr)))

    def down(self, x: Tensor) -> Tensor:
        """Add up the hits of each pooled row, by their shares: [N, w] -> [P, w]."""
        return total(x.index_select(0, self.columns.index) * self.shares.unsqueeze(1), self.rows)

    def up(self, x: Tensor) -> Tensor:
        """Give each hit the values of its pooled rows, by its shares; zero for one left out: [P, w] -> [N, w]."""
        return total(x.index_select(0, self.rows.index) * self.shares.unsqueeze(1), self.columns)

    def aligned(self, value: Value) -> Value:
        """Bring a value of another pooling, for example one of an earlier pass, to this one by way of the hits."""
        if value.pooling is None or value.pooling is self:
            return value
        return Value.of(self.down(value.pooling.up(value.tensor())))
