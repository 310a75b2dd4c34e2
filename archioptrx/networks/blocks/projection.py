"""The first linear layer of a network: each part of its input is multiplied in its own domain, then gathered.

A linear layer and gathering commute: `W (x[src]) = (W x)[src]`. A product runs therefore over the N rows of a node
value, not over its E copies on edges. The result is that of `nn.Linear` on the concatenation, up to rounding, and the
weight has the same shape and columns; `Slot` says which columns belong to which input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from archioptrx.core.errors import GraphError
from archioptrx.graphs.signatures import LADDER, Shape
from archioptrx.graphs.signatures.domains import copies
from archioptrx.networks.blocks.ends import flow, lift
from archioptrx.networks.blocks.matmul import linear
from archioptrx.networks.blocks.segments import take, total
from archioptrx.networks.blocks.value import ForwardPass, Piece, Value


@dataclass(frozen=True, slots=True)
class Slot:
    """Place of an input in the concatenation that is never built: domain, width, first column, number of copies."""

    domain: str
    width: int
    start: int
    copies: int

    def columns(self, offset: int) -> tuple[int, ...]:
        """First column of each copy of the channels that begin at `offset` of the input.

        In the order in which `lift` wants the blocks: the outer half is the lower rung's end point. A node stands in
        a triplet as [start of first edge, end of first, start of second, end of second]; lifting to edges first
        needs both starts before both ends.
        """
        order = (0, 2, 1, 3) if self.copies == 4 else range(self.copies)
        return tuple(self.start + copy * self.width + offset for copy in order)


def slots(inputs: Sequence[Shape], output: str) -> tuple[Slot, ...]:
    """Lay the lifted inputs side by side: an input from the rung below stands there as [at start, at end]."""
    laid, start = [], 0
    for shape in inputs:
        slot = Slot(shape.domain, shape.width, start, copies(shape.domain, output))
        laid.append(slot)
        start += slot.copies * slot.width
    return tuple(laid)


class Blocked(nn.Linear):
    """A linear layer whose weight is applied block by block. Starts from `nn.Linear`'s distribution on the whole."""

    def multiplied(self, piece: Piece, columns: tuple[int, ...], bias: Tensor | None, run: ForwardPass) -> Tensor:
        """Multiply a piece by the blocks of the weight at these columns: [R, blocks · out].

        A bias is added to the first block. A piece that a loop doesn't change is multiplied once for all its passes.
        """
        key = (id(self), columns, bias is None)
        return run.hoist(piece, key, lambda: self._multiply(piece, columns, bias, run))

    def _multiply(self, piece: Piece, columns: tuple[int, ...], bias: Tensor | None, run: ForwardPass) -> Tensor:
        weight = run.keep((id(self), columns, piece.width), lambda: self._blocks(columns, piece.width))
        if bias is not None and len(columns) > 1:
            bias = torch.cat([bias, bias.new_zeros(bias.numel() * (len(columns) - 1))])
        pending = piece.weight
        if pending is None:
            return linear(piece.rows, weight, bias)
        # The piece is P h + counts · b (`Piece`): W (P h + counts · b) = (W P) h + counts · (W b).
        joined = run.keep((id(self), columns, id(pending)), lambda: weight @ pending)
        if piece.bias is None:
            return linear(piece.rows, joined, bias)
        shift = weight @ piece.bias
        if piece.counts is None:
            return linear(piece.rows, joined, shift if bias is None else shift + bias)
        return linear(piece.rows, joined, bias).addr(piece.counts, shift)

    def _blocks(self, columns: tuple[int, ...], width: int) -> Tensor:
        """The blocks of the weight at these columns, one below the other: [blocks · out, width]."""
        blocks = [self.weight.narrow(1, column, width) for column in columns]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks)


class Projection(Blocked):
    """A linear layer on lifted and concatenated inputs that never builds the concatenation.

    `W [x_src, x_dst, e] = (x W_s)[src] + (x W_d)[dst] + e W_e`: the matrix products run over the rows of each input,
    N nodes instead of E edges.

    Parameters
    ----------
    inputs
        Shapes of the inputs, in order.
    output
        Domain of the result, and its width.
    """

    def __init__(self, inputs: Sequence[Shape], output: Shape) -> None:
        laid = slots(inputs, output.domain)
        super().__init__(laid[-1].start + laid[-1].copies * laid[-1].width, output.width)
        self.slots = laid
        self.domain = output.domain

    # A block takes values, torch.nn.Linear one tensor.
    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:  # type: ignore[override]
        """Project: values -> [rows of the output's domain, out]."""
        tables: dict[str, Tensor] = {}
        bias: Tensor | None = self.bias
        # From the bottom of the ladder, so that the bias is added where the fewest rows are.
        pairs = sorted(zip(self.slots, values, strict=True), key=lambda pair: LADDER.get(pair[0].domain, -1))
        for slot, value in pairs:
            for piece, offset in spread(value):
                table = self.multiplied(piece, slot.columns(offset), bias, run)
                tables[slot.domain] = tables[slot.domain] + table if slot.domain in tables else table
                bias = None  # in the first table, and so in every row of the sum exactly once
        return self._gathered(tables, run)

    def _gathered(self, tables: dict[str, Tensor], run: ForwardPass) -> Tensor:
        """Bring the tables of all domains to the output's, rung by rung from below.

        At each rung `table` is the sum of all inputs so far, with a block for each copy that is still to be lifted:
        nodes have 4 blocks for triplets, edges 2, triplets 1.
        """
        if self.domain == "graph":
            return tables["graph"]
        table: Tensor | None = None
        for domain in (rung for rung in LADDER if LADDER[rung] <= LADDER[self.domain]):
            offered = tables.get(domain)
            table = offered if table is None else lift(table, offered, run.topology.ends(domain))
        if "graph" in tables:
            shared = take(tables["graph"], run.topology.batch(self.domain))
            table = shared if table is None else table + shared
        assert table is not None  # a network has at least one input
        return table


class Neighbourhood(Blocked):
    """The first linear layer of `attention`, on `[in, out, own]`, or `[in + out, own]`, without building it.

    Parameters
    ----------
    inputs
        Shapes of the values and of the logits.
    output
        Domain of the result, and its width.
    direction
        `both`, or `together`: the incoming and the outgoing sum are added.
    """

    def __init__(self, inputs: Sequence[Shape], output: Shape, direction: str = "both") -> None:
        values, logits = inputs
        if logits.width not in (1, values.width):
            raise GraphError(
                f"attention: logits of width {logits.width} don't fit values of width {values.width}; "
                f"allowed: 1, {values.width}"
            )
        self_at = values.width if direction == "together" else 2 * values.width
        super().__init__(self_at + values.width, output.width)
        # First columns of what flows in, of what flows out and of the value itself.
        self.columns = 0, self_at - values.width, self_at
        self.above = logits.domain
        self.scalar = logits.width == 1

    # A block takes values, torch.nn.Linear one tensor.
    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:  # type: ignore[override]
        """Weigh the neighbours and project: [R, out]."""
        weights = values[1].tensor().sigmoid()
        form = self._scalar if self.scalar else self._by_channel
        return form(values[0], weights, run)

    def _scalar(self, value: Value, weights: Tensor, run: ForwardPass) -> Tensor:
        """One weight per edge: both sums run over rows that are multiplied already, in one pass."""
        neighbours: list[Tensor] = []
        itself_products: list[Tensor] = []
        for piece, offset in spread(value):
            received, sent, itself = (column + offset for column in self.columns)
            neighbours.append(self.multiplied(piece, (received, sent), None, run))
            bias = None if itself_products else self.bias
            itself_products.append(self.multiplied(piece, (itself,), bias, run))
        flows = flow(reduce(add, neighbours), weights.flatten(), run.topology.ends(self.above))
        return flows + reduce(add, itself_products)

    def _by_channel(self, value: Value, weights: Tensor, run: ForwardPass) -> Tensor:
        x, ends = value.tensor(), run.topology.ends(self.above)
        received = total(weights * take(x, ends.start), ends.end)
        sent = total(weights * take(x, ends.end), ends.start)
        w_in, w_out, w_own = (self.weight.narrow(1, column, x.shape[1]) for column in self.columns)
        return linear(received, w_in) + linear(sent, w_out) + linear(x, w_own, self.bias)


def spread(value: Value) -> Iterator[tuple[Piece, int]]:
    """The pieces of a value, each with the channel at which it begins."""
    offset = 0
    for piece in value.pieces:
        yield piece, offset
        offset += piece.width
