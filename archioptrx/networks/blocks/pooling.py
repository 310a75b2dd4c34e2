"""The building blocks `pool` and `unpool`: a smaller graph, a graph of its own, and the way back to the hits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.utils import coalesce

from archioptrx.graphs.signatures import SIGNATURES, Shape
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.topology import Topology
from archioptrx.networks.blocks.value import ForwardPass, Pooling, Value


@block(SIGNATURES["pool"])
class Pool(nn.Module):
    """`pool`: hits to the nodes of a smaller graph.

    Parameters
    ----------
    method
        topk: the best hits by a learned score (Gao and Ji, "Graph U-Nets", 2019; `TopKPooling` of torch_geometric);
        edge: pairs of hits contracted along their best edges (Diehl, "Edge Contraction Pooling", 2019; `EdgePooling`);
        diff: clusters by a learned soft assignment (Ying et al., "Hierarchical Graph Representation Learning with
        Differentiable Pooling", 2018), without its auxiliary losses. As `dense_diff_pool`, but without matrices of
        hits × hits; the edges of the pooled graph join all clusters between which an edge runs, and have no weights.
    ratio
        Share of the hits that `topk` keeps, in each graph.
    clusters
        Clusters per graph of `diff`.
    """

    def __init__(
        self, inputs: Sequence[Shape], output: Shape, method: str = "topk", ratio: float = 0.5, clusters: int = 16
    ) -> None:
        super().__init__()
        from torch_geometric.nn.pool import EdgePooling, TopKPooling  # here, because it takes seconds

        self.method, self.clusters = method, clusters
        width = inputs[0].width
        makers: dict[str, Any] = {
            "topk": lambda: TopKPooling(width, ratio=ratio),
            "edge": lambda: EdgePooling(width),
            "diff": lambda: nn.Linear(width, clusters),
        }
        self.layer = makers[method]()

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Value:
        """Pool: [N, w] -> [P, w]."""
        x, topology = values[0].tensor(), run.topology
        result, pooling = getattr(self, f"_{self.method}")(
            x, topology.edges.index, topology.batch("node").index, topology
        )
        pooled = Value.of(result)
        pooled.pooling = pooling
        return pooled

    def _topk(self, x: Tensor, edges: Tensor, batch: Tensor, topology: Topology) -> tuple[Tensor, Pooling]:
        kept_x, kept_edges, _, kept_batch, kept, _ = self.layer(x, edges, batch=batch)
        rows = torch.arange(kept.numel(), device=x.device)
        return kept_x, Pooling(rows, kept, x.new_ones(kept.numel()), kept_edges, kept_batch, topology)

    def _edge(self, x: Tensor, edges: Tensor, batch: Tensor, topology: Topology) -> tuple[Tensor, Pooling]:
        merged, new_edges, new_batch, info = self.layer(x, edges, batch)
        hits = torch.arange(x.shape[0], device=x.device)
        return merged, Pooling(info.cluster, hits, x.new_ones(x.shape[0]), new_edges, new_batch, topology)

    def _diff(self, x: Tensor, edges: Tensor, batch: Tensor, topology: Topology) -> tuple[Tensor, Pooling]:
        shares = self.layer(x).softmax(dim=1)
        count = self.clusters
        cluster = torch.arange(count, device=x.device)
        rows = (batch.unsqueeze(1) * count + cluster).flatten()
        hits = torch.arange(x.shape[0], device=x.device).repeat_interleave(count)
        linked = torch.unique(batch[edges[0]]) if edges.numel() else batch[:0]
        pairs = torch.cartesian_prod(cluster, cluster).T
        new_edges = (linked.view(-1, 1, 1) * count + pairs).transpose(0, 1).reshape(2, -1)
        new_batch = torch.arange(topology.graphs, device=x.device).repeat_interleave(count)
        pooling = Pooling(rows, hits, shares.flatten(), coalesce(new_edges), new_batch, topology)
        return pooling.down(x), pooling


@block(SIGNATURES["unpool"])
class Unpool(nn.Module):
    """`unpool`: each hit gets the value of its pooled row, zero where it has none; with `diff` a mixture by its shares.

    A shortcut from before the pooling, joined by `concat` or `add`, gives the hits back what pooling took.
    """

    def __init__(self, inputs: Sequence[Shape], output: Shape) -> None:
        super().__init__()

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Unpool: [P, w] -> [N, w]."""
        pooling = values[0].pooling
        assert pooling is not None  # the signature takes pooled values only
        return pooling.up(values[0].tensor())
