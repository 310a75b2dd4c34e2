"""Two end points per row: edges on nodes, triplets on edges. The fused gathers of the fast form."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from archioptrx.networks.blocks.matmul import blocks
from archioptrx.networks.blocks.segments import Segments, bags


class EdgeEnds:
    """The end points of M upper rows (for example edges) among `size` lower rows (nodes).

    Attributes
    ----------
    index : Tensor [2, M] int64
        Row 0: start of each upper row; row 1: its end.
    size : int
        The number of lower rows.
    start, end : Segments
        Upper rows, grouped by the lower row in which they start or end.
    """

    def __init__(self, index: Tensor, size: int) -> None:
        self.index = index
        self.size = size
        self.start = Segments(index[0].contiguous(), size)
        self.end = Segments(index[1].contiguous(), size)

    @cached_property
    def slots(self) -> Tensor:
        """Rows of a table [size, 2, D] seen as [2 · size, D]: `2 · start, 2 · end + 1` by turns. Tensor [2 · M]."""
        return torch.stack([2 * self.start.index, 2 * self.end.index + 1], dim=1).flatten()

    @cached_property
    def opposed(self) -> Tensor:
        """The lower row across from each of `slots`: `end, start` by turns. Tensor [2 · M]."""
        return torch.stack([self.end.index, self.start.index], dim=1).flatten()

    @cached_property
    def slot_offsets(self) -> Tensor:
        """Bags of two slots each: Tensor [M + 1]."""
        return torch.arange(0, 2 * self.index.shape[1] + 1, 2, device=self.index.device)

    @cached_property
    def incident(self) -> tuple[Tensor, Tensor]:
        """The upper rows that read each slot, slot by slot: rows [2 · M] and offsets [2 · size + 1].

        Slot 2i is read by the rows that start in i, slot 2i + 1 by those that end there. Both groupings are known
        (`Segments.order`), so they are merged by arithmetic, without another sort.
        """
        start, end = self.start, self.end
        rows = torch.empty_like(self.slots)
        place = torch.arange(self.index.shape[1], device=rows.device)
        # The k-th row of `start.order` starts in i. Before it in the merged list: k rows that start in i or lower, and
        # all rows that end below i, end.offsets[i]. For `end.order` also the rows that start in i itself come before:
        # start.offsets[i + 1].
        rows[place + end.offsets[start.index[start.order]]] = start.order
        rows[place + start.offsets[end.index[end.order] + 1]] = end.order
        counts = torch.stack([start.counts, end.counts], dim=1).flatten()
        return rows, torch.cat([counts.new_zeros(1), counts.cumsum(0)])

    @cached_property
    def opposite(self) -> Tensor:
        """The lower row at the other end of each entry of `incident`: Tensor [2 · M]."""
        rows, offsets = self.incident
        # 0 where the entry's own slot is a start, 1 where it is an end: the other end is row 1 - flag of the index.
        at_start = torch.arange(2, device=rows.device).repeat(self.size)
        flag = torch.repeat_interleave(at_start, offsets.diff(), output_size=rows.numel())
        return self.index[1 - flag, rows]

    @cached_property
    def neighbours(self) -> tuple[Tensor, Tensor, Tensor]:
        """Flows in and out of each lower row: slots [2 · M], upper rows [2 · M], offsets [size + 1].

        The flow into i along j -> i is slot 0 of j, the flow against i -> j is slot 1 of j.
        """
        rows, offsets = self.incident
        flag = torch.repeat_interleave(
            torch.arange(2, device=rows.device).repeat(self.size), offsets.diff(), output_size=rows.numel()
        )
        return 2 * self.opposite + 1 - flag, rows, offsets[::2].contiguous()


class _Lift(torch.autograd.Function):
    """`table[start, 0] + table[end, 1] (+ base)`."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, base: Tensor | None, ends: EdgeEnds) -> Tensor:
        ctx.ends = ends
        # Row i of the table becomes rows 2i (offered to starts) and 2i + 1 (to ends); an upper row adds one of each.
        out = bags(table.view(2 * ends.size, table.shape[1] // 2), ends.slots, ends.slot_offsets)
        return out if base is None else out.add_(base)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        # The transpose of the forward sum: each slot adds up the gradients of the upper rows that read it.
        table = None
        if ctx.needs_input_grad[0]:
            table = bags(grad, *ctx.ends.incident).view(ctx.ends.size, 2 * grad.shape[1])
        return table, grad if ctx.needs_input_grad[1] else None, None


def lift(table: Tensor, base: Tensor | None, ends: EdgeEnds) -> Tensor:
    """Give every upper row the sum of the contributions of its two end points.

    Parameters
    ----------
    table : Tensor [size, 2 · D]
        Contribution of a lower row to the upper rows that start in it (first half) and that end in it (second half).
    base : Tensor [M, D] or None
        Rows that are added to the result.

    Returns
    -------
    Tensor [M, D]
    """
    lifted: Tensor = _Lift.apply(table.contiguous(), base, ends)
    return lifted


def _products(table: Tensor, grad: Tensor, ends: EdgeEnds) -> Tensor:
    """`table[start, 0] · grad[end] + table[end, 1] · grad[start]` for each upper row: Tensor [M].

    In blocks of rows that stay in the cache: the gathered rows together take more room than all else.
    """
    rows, width = table.view(2 * ends.size, table.shape[1] // 2), grad.shape[1]
    out = table.new_empty(ends.index.shape[1])
    for part in blocks(len(out)):
        sides = slice(2 * part.start, 2 * part.stop)
        offered = rows.index_select(0, ends.slots[sides]).view(-1, 1, 2 * width)
        gradients = grad.index_select(0, ends.opposed[sides]).view(-1, 2 * width, 1)
        out[part] = torch.bmm(offered, gradients).view(-1)
    return out


class _Flow(torch.autograd.Function):
    """The weighted sum of the neighbours' contributions along incoming and against outgoing upper rows."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, weights: Tensor, ends: EdgeEnds) -> Tensor:
        ctx.ends = ends
        ctx.save_for_backward(table, weights)
        slots, rows, offsets = ends.neighbours
        return bags(table.view(2 * ends.size, table.shape[1] // 2), slots, offsets, weights.index_select(0, rows))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        ends, (table, weights) = ctx.ends, ctx.saved_tensors
        grad_table = grad_weights = None
        if ctx.needs_input_grad[0]:
            rows, offsets = ends.incident
            grad_table = bags(grad, ends.opposite, offsets, weights.index_select(0, rows)).view_as(table)
        if ctx.needs_input_grad[1]:
            grad_weights = _products(table, grad, ends)
        return grad_table, grad_weights, None


def flow(table: Tensor, weights: Tensor, ends: EdgeEnds) -> Tensor:
    """Sum over the neighbours of each lower row, weighted by the upper rows between them.

    Parameters
    ----------
    table : Tensor [size, 2 · D]
        Contribution of a lower row along the upper rows that start in it (first half) and against those that end in it.
    weights : Tensor [M]
        Factor of each upper row.

    Returns
    -------
    Tensor [size, D]
        Row i: Σ over j -> i of w · table[j, first half] + Σ over i -> j of w · table[j, second half].
    """
    sums: Tensor = _Flow.apply(table.contiguous(), weights, ends)
    return sums
