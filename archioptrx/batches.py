"""How graphs are cut and joined for training: steps of about equal numbers of edges."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from archioptrx.hitgraph import HitGraph, batch_graphs, subgraph


def batched(graphs: Sequence[HitGraph], size: int) -> list[HitGraph]:
    """Join graphs, in order, to batches of a size."""
    return [batch_graphs(graphs[i : i + size]) for i in range(0, len(graphs), size)]


def pieces_of(graph: HitGraph, edges: int) -> list[HitGraph]:
    """Cut a graph into φ sectors of about so many edges, without those that cross; features stay as they are."""
    parts = round(graph.num_edges / edges)
    if parts < 2 or graph.get("pos") is None:
        return [graph]
    phi = torch.atan2(graph.pos[:, 1], graph.pos[:, 0])
    low, high = float(phi.min()), float(phi.max())
    place = ((phi - low) / max(high - low, 1e-9) * parts).long().clamp(max=parts - 1)
    pieces = [subgraph(graph, place == k) for k in range(parts)]
    return [piece for piece in pieces if piece.num_edges] or [graph]


def graphs_for(graphs: Sequence[HitGraph], edges: int) -> int:
    """Number of graphs that have about so many edges together."""
    total = sum(g.num_edges for g in graphs)
    return max(1, min(len(graphs), round(edges * len(graphs) / total))) if total else 1


def on_device(graphs: Sequence[HitGraph], device: torch.device) -> Sequence[HitGraph]:
    """Copy graphs to a device; those that are there stay as they are."""
    return [g if g.x.device == device else copy.copy(g).to(device) for g in graphs]
