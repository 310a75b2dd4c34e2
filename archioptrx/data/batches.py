"""Cutting and joining of graphs for training: steps of about equal numbers of edges."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import torch

from archioptrx.data.hitgraph import HitGraph, batch_graphs, subgraph
from archioptrx.data.storage import cache
from archioptrx.data.storage.graph_views import Graphs, Joined, changed, digests_of, facts_of
from archioptrx.data.storage.stored import remade


def batched(graphs: Sequence[HitGraph], size: int) -> Sequence[HitGraph]:
    """Join graphs, in order, to batches of a size; those on disk when the batch is asked for."""
    if isinstance(graphs, Graphs):
        return Joined(graphs, size)
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


def cut(graphs: Sequence[HitGraph], edges: int) -> Sequence[HitGraph]:
    """Cut all graphs with `pieces_of`. Pieces of graphs on disk are stored there too, for later calls.

    Cutting a piece when a step wants it would read the whole graph for each of its pieces.
    """
    if not isinstance(graphs, Graphs):
        return [piece for graph in graphs for piece in pieces_of(graph, edges)]
    if all(round(facts.edges / edges) < 2 for facts in facts_of(graphs)):
        return graphs
    pieces = (piece for graph in graphs for piece in pieces_of(graph, edges))
    return remade(pieces, "pieces", cache.key_of(digests_of(graphs), edges))


def graphs_for(graphs: Sequence[HitGraph], edges: int) -> int:
    """Number of graphs that have about so many edges together."""
    total = sum(facts.edges for facts in facts_of(graphs))
    return max(1, min(len(graphs), round(edges * len(graphs) / total))) if total else 1


def on_device(graphs: Sequence[HitGraph], device: torch.device) -> Sequence[HitGraph]:
    """Copy graphs to a device; those that are there stay as they are, those on disk come when they are asked for."""
    if isinstance(graphs, Graphs) and device.type == "cpu":
        return graphs
    return changed(graphs, partial(_moved, device=device))


def _moved(graph: HitGraph, device: torch.device) -> HitGraph:
    return graph if graph.x.device == device else copy.copy(graph).to(device)
