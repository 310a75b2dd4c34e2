"""Hits of particles: the nodes of a graph, or the hits that the chains of a line graph are made of."""

from __future__ import annotations

import torch
from torch import Tensor

from archioptrx.data.hitgraph import HitGraph


def particles_of_hits(batch: HitGraph) -> tuple[Tensor, Tensor]:
    """Graph of each hit of a particle in a batch, and the particle's id: int64 [H], int64 [H]; noise is left out.

    A node of a line graph is a chain of hits: there all hits of the graph it was made of count, each once.
    """
    pid, owner = ("pid", "batch") if batch.get("chain_hit_pid") is None else ("chain_hit_pid", "chain_hit_batch")
    of_particle = batch[pid] != 0
    return _owner(batch, owner, batch[pid])[of_particle], batch[pid][of_particle]


def particles_with(batch: HitGraph, hits: int) -> tuple[Tensor, Tensor]:
    """Particles with at least so many hits: their graphs and ids, int64 [P] each, sorted by graph, then by id."""
    pairs, counts = torch.unique(torch.stack(particles_of_hits(batch)), dim=1, return_counts=True)
    graph, pid = pairs[:, counts >= hits]
    return graph, pid


def particle_rows(batch: HitGraph, graph: Tensor, pid: Tensor) -> Tensor:
    """Rows of the table `particles` in which particles stand. Shapes: graph and pid [P] -> int64 [P]."""
    ids = batch["particle_id"]
    table = torch.stack([_owner(batch, "particle_batch", ids), ids])
    _, place = torch.unique(torch.cat([table, torch.stack([graph, pid])], dim=1), dim=1, return_inverse=True)
    row = ids.new_zeros(int(place.max()) + 1 if len(place) else 0)
    row[place[: len(ids)]] = torch.arange(len(ids), device=ids.device)
    rows: Tensor = row[place[len(ids) :]]
    return rows


def _owner(batch: HitGraph, field: str, of: Tensor) -> Tensor:
    """Graph of each row of a table; a graph that is no batch is its own number 0."""
    owner = batch.get(field)
    return torch.zeros_like(of) if owner is None else owner
