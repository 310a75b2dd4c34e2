"""Structure of a batch of graphs for the blocks: numbers of rows, end points, and the graph of each row."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from archioptrx.core.errors import InputError
from archioptrx.networks.blocks.ends import EdgeEnds
from archioptrx.networks.blocks.segments import Segments

BELOW = {"edge": "node", "triplet": "edge"}
INDEX = {"edge": "edge_index", "triplet": "triplet_index"}


class Topology:
    """The structure of one batch, worked out when a block first asks for it and kept for the forward pass.

    Nothing is assumed of the order of the edges: where they stand sorted by destination (as the project's sources
    write them), the sort is skipped and memory is read in order. Every result has the caller's order.

    Parameters
    ----------
    data : torch_geometric.data.Data or Batch
        Data with `x` or `num_nodes`; `edge_index [2, E]` and `triplet_index [2, T]` int64 as far as the blocks need
        them; `batch [N]` for several graphs.

    Raises
    ------
    InputError
        An index is missing, has a wrong shape or type, or points outside.
    """

    def __init__(self, data: Any) -> None:
        self.data = data

    @cached_property
    def nodes(self) -> int:
        """The number of nodes of the batch."""
        count = self.data.num_nodes
        if count is None:
            raise InputError("data: the number of nodes is unknown; allowed: with x or num_nodes")
        return int(count)

    @cached_property
    def graphs(self) -> int:
        """The number of graphs of the batch."""
        pointers = getattr(self.data, "ptr", None)
        if pointers is not None:
            return len(pointers) - 1
        batch = getattr(self.data, "batch", None)
        return 1 if batch is None or not batch.numel() else int(batch.max()) + 1

    @cached_property
    def device(self) -> torch.device:
        """Device of the batch."""
        for name in ("edge_index", "x", "batch"):
            tensor = getattr(self.data, name, None)
            if isinstance(tensor, Tensor):
                return tensor.device
        return torch.device("cpu")

    @cached_property
    def edges(self) -> EdgeEnds:
        """The end points of the edges among the nodes."""
        return self._ends("edge", self.nodes)

    @cached_property
    def triplets(self) -> EdgeEnds:
        """The end points of the triplets among the edges."""
        return self._ends("triplet", self.edges.index.shape[1])

    def ends(self, domain: str) -> EdgeEnds:
        """The end points of a domain's rows on the rung below ("edge" or "triplet")."""
        return self.edges if domain == "edge" else self.triplets

    def rows(self, domain: str) -> int:
        """The number of rows of a domain."""
        if domain in ("node", "graph"):
            return self.nodes if domain == "node" else self.graphs
        return int(self.ends(domain).index.shape[1])

    @cached_property
    def _batch(self) -> dict[str, Segments]:
        batch = getattr(self.data, "batch", None)
        if batch is None:
            batch = torch.zeros(self.nodes, dtype=torch.int64, device=self.device)
        if batch.numel() != self.nodes:
            raise InputError(f"data.batch: {batch.numel()} entries for {self.nodes} nodes")
        return {"node": Segments(batch, self.graphs)}

    def batch(self, domain: str) -> Segments:
        """The graph of each row of a domain: an edge belongs to the graph of the node that it starts in."""
        known = self._batch
        if domain not in known:
            start = self.ends(domain).start.index
            known[domain] = Segments(self.batch(BELOW[domain]).index[start], self.graphs)
        return known[domain]

    def _ends(self, domain: str, size: int) -> EdgeEnds:
        name = INDEX[domain]
        index = getattr(self.data, name, None)
        if not isinstance(index, Tensor):
            raise InputError(
                f"data.{name}: is missing; allowed: [2, number] torch.int64, for values of domain {domain}"
            )
        if index.dim() != 2 or index.shape[0] != 2 or index.dtype != torch.int64:
            raise InputError(f"data.{name}: {list(index.shape)} {index.dtype}; allowed: [2, number] torch.int64")
        if index.numel():
            low, high = (int(bound) for bound in index.aminmax())
            if low < 0 or high >= size:
                wrong = low if low < 0 else high
                raise InputError(f"data.{name}: index {wrong} is out of range; allowed: 0 … {size - 1}")
        return EdgeEnds(index, size)
