"""The data contract: one event, or one φ sector of it, as a graph of hits and candidate edges."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from archioptrx.data.event import PARTICLE_COLUMNS

NODE_FIELDS = ("x", "pid", "hit_id", "pos", "pt", "hit_weight", "particle_index", "embedding", "chain")
EDGE_FIELDS = ("edge_attr", "y", "edge_order", "edge_weight", "edge_mask", "baseline", "baseline_logit")
TRIPLET_FIELDS = (
    *("triplet_attr", "y_triplet", "triplet_weight", "triplet_mask"),
    *("triplet_baseline", "triplet_baseline_logit"),
)
BASELINES = ("baseline", "baseline_logit")
"""Answers of an earlier classifier to edges, as a probability or as a logit: one of them, or none."""
PARTICLE_FIELDS = ("particle_id", "particles")
PAIR_FIELDS = ("y_loss",)
CHAIN_HIT_FIELDS = ("chain_hit_id", "chain_hit_pid", "chain_hit_pt", "chain_hit_weight", "chain_hit_z", "chain_hit_r")
SECTOR_IDS = 2**32
"""Numbers that are reserved for the hits of one sector, where a source doesn't name hits."""
_PT = PARTICLE_COLUMNS.index("pt")


class HitGraph(Data):
    """Hits, candidate edges between them and the truth. Missing fields are None.

    Attributes
    ----------
    x : float32 [N, F]
        Scaled features of the hits; the first three are r, φ, z. Multiplied by the data set's `node_scale` they are
        mm, rad, mm. φ counts from the middle of the graph's φ sector.
    edge_index : int64 [2, E]
        Inner and outer hit of each edge, sorted by the outer one (the destination).
    edge_attr : float32 [E, 5]
        Δr, Δφ, Δz, Δφ/Δr and z0, divided by the data set's `edge_scale` (mm, rad, mm, rad/mm, mm).
    y : float32 [E]
        1 for an edge that joins consecutive hits of one particle, else 0.
    edge_order : int64 [E]
        Place that each edge had in the caller's order: `in_file_order` undoes the sorting.
    pid : int64 [N]
        Particle of each hit, 0 for noise. Unique inside an event only: compare `particles()` in a batch.
    hit_id : int64 [N]
        The source's name of each hit. Where it has none: its row in the file, plus `SECTOR_IDS` for each sector before,
        for hits of an event are joined by their names.
    pos : float32 [N, 3]
        x, y, z in mm, in the frame of the φ sector.
    pt : float32 [N]
        Transverse momentum of the hit's particle in GeV; 0 for noise, and where `particles` has NaN: `known_pt()` has
        NaN there.
    edge_weight : float32 [E]
        Weight of each edge in the loss.
    edge_mask : bool [E]
        Edges that count in loss and metrics; the others only carry messages.
    baseline : float32 [E]
        Probability that an earlier, simpler classifier gave each edge; for comparison only.
    baseline_logit : float32 [E]
        The same as a logit, in place of `baseline`, where a network gave it: probabilities near 1 would all be alike.
    hit_weight : float32 [N]
        Weight of each hit in the TrackML score, 0 for noise.
    chain : int64 [N, K]
        Hit ids of each node, inner to outer, where a node is a chain of hits, as in a line graph. K is 2 for
        doublets, 3 for triplets.
    chain_hit_id : int64 [H]
        Names of all hits of the graph that a line graph was made of, in its order: the table by which tracks of chains
        are scored. Also of hits that are in no chain; where nodes were taken away, the hits of the kept chains alone.
    chain_hit_pid, chain_hit_pt, chain_hit_weight : int64, float32, float32 [H]
        `pid`, `pt` and `hit_weight` of each hit of the table, as far as that graph had them.
    chain_hit_z, chain_hit_r : float32 [H]
        Place of each hit of the table in mm, by which events are recognised.
    particle_index : int64 [N]
        Row of each hit's particle in `particles`: pid is particle_id[particle_index].
    particle_id, particles : int64 [P], float32 [P, 8]
        All particles of the whole event (not only those with a hit in this graph), columns as
        `events.event.PARTICLE_COLUMNS` says; φ in the frame of the φ sector. Row 0 is noise, all zero.
        Momentum, vertex and charge are NaN, together, for a particle of which they aren't known.
    triplet_index : int64 [2, T]
        Pairs of edges that share a hit; it indexes edges as `edge_index` indexes hits.
    triplet_attr : float32 [T, K]
        Scaled features of the triplets.
    y_triplet : float32 [T]
        Truth of each triplet.
    triplet_weight, triplet_mask, triplet_baseline, triplet_baseline_logit : [T]
        Weight, mask and baseline of each triplet, as those of edges.
    embedding : float32 [N, K]
        Coordinates of each hit in a space where hits of one particle are meant to lie together, as a network before
        this one learned them; its distances have no unit.
    loss_index : int64 [2, L]
        Pairs of hits that the loss of an embedding compares, each pair once, in any order of the two and of the pairs.
    y_loss : float32 [L]
        1 for a pair of hits of one particle, else 0.
    event, sector : str, int
        Event and φ sector of the graph; a batch holds lists of them.
    own_units : bool
        True where lengths aren't in mm (`Metadata.own_units`), else missing; a batch holds a list.
    batch, ptr : int64 [N], int64 [graphs + 1]
        Graph of each hit, and place where the hits of each graph begin; in a batch only.
    particle_batch : int64 [P]
        Graph of each particle; in a batch only, where the graphs have particles.
    chain_hit_batch : int64 [H]
        Graph of each hit of the table; in a batch only, where the graphs have one.
    """

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if key == "triplet_index":
            return self.num_edges
        if key == "particle_index":
            return len(self["particles"])
        if key == "loss_index":
            return self.num_nodes
        return super().__inc__(key, value, *args, **kwargs)

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        return (
            1
            if key in ("edge_index", "triplet_index", "loss_index")
            else super().__cat_dim__(key, value, *args, **kwargs)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as numpy arrays: Ray's object store then holds plain buffers."""
        content = {k: v.cpu().numpy() if isinstance(v, Tensor) else v for k, v in self.to_dict().items()}
        return _restore, (content,)

    @property
    def num_graphs(self) -> int:
        """Graphs in this batch; 1 if it isn't one."""
        return 1 if self.get("ptr") is None else len(self.ptr) - 1

    def in_file_order(self, values: Tensor) -> Tensor:
        """Bring one row per edge back into the caller's order of edges.

        Shapes: values [E, …] -> [E, …].
        """
        restored = torch.empty_like(values)
        restored[self.edge_order.to(values.device)] = values
        return restored

    def particles(self) -> Tensor:
        """Number the particles 1 … n so that those of different events differ; 0 stays noise.

        Shapes: -> int64 [N].
        """
        if self.get("ptr") is None:
            return torch.unique(torch.cat([self.pid.new_zeros(1), self.pid]), return_inverse=True)[1][1:]
        names = {name: i for i, name in enumerate(sorted(set(self.event)))}
        event = torch.tensor([names[name] for name in self.event], device=self.pid.device)[self.batch]
        pairs = torch.stack([torch.where(self.pid == 0, -1, event), self.pid], dim=1)
        noise = pairs.new_tensor([[-1, 0]])
        return torch.unique(torch.cat([noise, pairs]), dim=0, return_inverse=True)[1][1:]

    def known_pt(self) -> Tensor:
        """Transverse momentum of each hit's particle: `pt`, and NaN where there is a particle and it isn't known.

        Shapes: -> float32 [N].
        """
        pt: Tensor = self.pt
        if self.get("particles") is None or self.get("particle_index") is None:
            return pt
        return pt.masked_fill(self["particles"][self.particle_index, _PT].isnan(), math.nan)


def _restore(content: Mapping[str, Any]) -> HitGraph:
    # Arrays from an object store are read-only and shared: a copy of them can't be damaged.
    return HitGraph(**{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in content.items()})


def sorted_graph(content: Mapping[str, Any], event: str, sector: int) -> HitGraph:
    """Build a graph from arrays in any order of edges; edges are sorted by destination, ties stay in order.

    Parameters
    ----------
    content
        Arrays under the names of the fields (numpy or torch); None is left out.
    event, sector
        Event and φ sector of the graph.
    """
    # In numpy: torch would wake its threads for each of these small operations.
    fields = {k: np.asarray(v) for k, v in content.items() if v is not None}
    order = np.argsort(fields["edge_index"][1], kind="stable")
    fields["edge_index"] = np.ascontiguousarray(fields["edge_index"][:, order])
    for key in EDGE_FIELDS:
        if key in fields:
            fields[key] = fields[key][order]
    fields.setdefault("edge_order", order)
    if "triplet_index" in fields:
        fields["triplet_index"] = np.argsort(order)[fields["triplet_index"]]
    fields.setdefault("hit_id", np.arange(len(fields["x"])) + int(sector) * SECTOR_IDS)
    return HitGraph(**{k: torch.tensor(v) for k, v in fields.items()}, event=event, sector=sector)


def batch_graphs(graphs: Sequence[HitGraph]) -> HitGraph:
    """Join graphs to one that has no edges between them, with `batch` and `ptr`.

    The same as torch_geometric's `Batch.from_data_list` for the fields of a hit graph, at a fraction of its cost,
    which was that of a whole training step on small graphs.
    """
    sizes = torch.tensor([0] + [len(g.x) for g in graphs])
    edges = torch.tensor([0] + [g.num_edges for g in graphs])
    nodes_before, edges_before = sizes.cumsum(0), edges.cumsum(0)
    joined: dict[str, Any] = {}
    before = {"edge_index": nodes_before.tolist(), "triplet_index": edges_before.tolist()}
    before["loss_index"] = before["edge_index"]
    if graphs[0].get("particles") is not None:
        counts = [g["particles"].shape[0] for g in graphs]
        before["particle_index"] = [0, *itertools.accumulate(counts)]
        joined["particle_batch"] = _owners(graphs, counts)
    if graphs[0].get("chain_hit_id") is not None:
        joined["chain_hit_batch"] = _owners(graphs, [len(g.chain_hit_id) for g in graphs])
    for key, first in graphs[0].to_dict().items():
        values = [g[key] for g in graphs]
        if not isinstance(first, Tensor):
            joined[key] = values
        elif key in before:
            joined[key] = torch.cat([v + n for v, n in zip(values, before[key], strict=False)], dim=first.dim() - 1)
        else:
            joined[key] = torch.cat(values)
    joined["batch"] = _owners(graphs, sizes[1:].tolist())
    joined["ptr"] = nodes_before.to(graphs[0].x.device)
    return HitGraph(**joined)


def _owners(graphs: Sequence[HitGraph], counts: Sequence[int]) -> Tensor:
    """Graph of each row, where each graph has so many rows: int64 [rows]."""
    return torch.repeat_interleave(torch.arange(len(graphs)), torch.tensor(counts)).to(graphs[0].x.device)


def graph_digest(graph: HitGraph) -> bytes:
    """SHA-256 of a graph's content, the same on any machine."""
    digest = hashlib.sha256(f"{graph.event} {graph.sector}".encode())
    for key, value in sorted(graph.to_dict().items()):
        if isinstance(value, Tensor):
            array = value.numpy()
            digest.update(f"{key} {array.shape} {array.dtype.str[1:]}".encode())
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
    return digest.digest()


def subgraph(graph: HitGraph, keep: Tensor) -> HitGraph:
    """Keep some hits, the edges and pairs between them, the triplets of those; only the table of particles is shared.

    Of the table of the hits of chains, those of the kept chains stay: a part of an event knows the hits it was given.

    Shapes: keep bool [N].
    """
    edges = keep[graph.edge_index].all(dim=0)
    content = {k: v for k, v in graph.to_dict().items() if not isinstance(v, Tensor)}
    content |= {k: graph[k] for k in PARTICLE_FIELDS if graph.get(k) is not None}
    content |= {k: graph[k][keep] for k in NODE_FIELDS if graph.get(k) is not None}
    content |= {k: graph[k][edges] for k in EDGE_FIELDS if graph.get(k) is not None}
    content["edge_index"] = _renumbered(keep)[graph.edge_index[:, edges]]
    content["edge_order"] = torch.argsort(torch.argsort(content["edge_order"]))
    if graph.get("triplet_index") is not None:
        triplets = edges[graph.triplet_index].all(dim=0)
        content["triplet_index"] = _renumbered(edges)[graph.triplet_index[:, triplets]]
        content |= {k: graph[k][triplets] for k in TRIPLET_FIELDS if graph.get(k) is not None}
    if graph.get("loss_index") is not None:
        pairs = keep[graph.loss_index].all(dim=0)
        content["loss_index"] = _renumbered(keep)[graph.loss_index[:, pairs]]
        content |= {k: graph[k][pairs] for k in PAIR_FIELDS if graph.get(k) is not None}
    if graph.get("chain_hit_id") is not None:
        given = torch.isin(graph.chain_hit_id, content["chain"])
        content |= {k: graph[k][given] for k in CHAIN_HIT_FIELDS if graph.get(k) is not None}
    return HitGraph(**content)


def _renumbered(keep: Tensor) -> Tensor:
    return keep.cumsum(0) - 1
