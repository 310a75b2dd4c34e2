"""Blocks without weights: joining, adding, summing up neighbours, reading out and broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce as fold
from operator import add

from torch import Tensor, nn

from archioptrx.graphs.signatures import SIGNATURES, Shape
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.segments import REDUCE, Segments, take, total
from archioptrx.networks.blocks.value import ForwardPass, Piece, Value


@block(SIGNATURES["concat"])
class Concat(nn.Module):
    """`concat`: the inputs side by side. Handed on in pieces; nothing is copied."""

    def __init__(self, inputs: Sequence[Shape], output: Shape) -> None:
        super().__init__()

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Value:
        """Join the values."""
        return Value(piece for value in values for piece in value.pieces)


@block(SIGNATURES["identity"])
class Identity(Concat):
    """`identity`: the input itself."""


@block(SIGNATURES["add"])
class Add(nn.Module):
    """`add`: the sum of the inputs."""

    def __init__(self, inputs: Sequence[Shape], output: Shape) -> None:
        super().__init__()

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Add the values: [R, w]."""
        return fold(add, [value.tensor() for value in values])


@block(SIGNATURES["mean"])
class Mean(Add):
    """`mean`: the average of the inputs."""

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Average the values: [R, w]."""
        return super().forward(values, run) / len(values)


def reduced(value: Value, reduce: str, segments: Segments) -> list[Piece]:
    """Reduce the rows of each group, piece by piece. A sum or mean runs before a pending linear layer."""
    if reduce not in ("sum", "mean"):
        return [Piece(REDUCE[reduce](value.tensor(), segments))]
    pieces = []
    for piece in value.pieces:
        counts = segments.count(piece.rows)
        if piece.counts is not None:
            counts = total(piece.counts.unsqueeze(1), segments).squeeze(1)
        if reduce == "mean":
            counts = counts / segments.count(piece.rows).clamp(min=1)
        rows = REDUCE[reduce](piece.rows, segments)
        pieces.append(Piece(rows) if piece.weight is None else piece.reduced(rows, counts))
    return pieces


@block(SIGNATURES["aggregate"])
class Aggregate(nn.Module):
    """`aggregate`: for each row the sum (mean, …) over the rows of the rung above that end or start in it.

    Parameters
    ----------
    reduce
        sum, mean, max, std (population) or softmax (weighted by the softmax of the values themselves).
    direction
        in: upper rows that end here; out: that start here; both: [in, out].
    """

    def __init__(self, inputs: Sequence[Shape], output: Shape, reduce: str = "sum", direction: str = "in") -> None:
        super().__init__()
        self.domain = inputs[0].domain
        self.reduce = reduce
        self.direction = direction

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Value:
        """Reduce: rows of the rung above -> rows of this rung."""
        ends = run.topology.ends(self.domain)
        sides = {"in": (ends.end,), "out": (ends.start,), "both": (ends.end, ends.start)}[self.direction]
        return Value(piece for side in sides for piece in reduced(values[0], self.reduce, side))


@block(SIGNATURES["readout"])
class Readout(nn.Module):
    """`readout`: one row per graph, the sum, mean or max over the graph's rows."""

    def __init__(self, inputs: Sequence[Shape], output: Shape, reduce: str = "mean") -> None:
        super().__init__()
        self.domain = inputs[0].domain
        self.reduce = reduce

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Value:
        """Reduce: [R, w] -> [graphs, w]."""
        return Value(reduced(values[0], self.reduce, run.topology.batch(self.domain)))


@block(SIGNATURES["broadcast"])
class Broadcast(nn.Module):
    """`broadcast`: each row gets its graph's value."""

    def __init__(self, inputs: Sequence[Shape], output: Shape) -> None:
        super().__init__()
        self.domain = output.domain

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Spread: [graphs, w] -> [R, w]."""
        return take(values[0].tensor(), run.topology.batch(self.domain))
