"""Small hit graphs for tests."""

import numpy as np
import torch

from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.hitgraph import (
    CHAIN_HIT_FIELDS,
    EDGE_FIELDS,
    NODE_FIELDS,
    PAIR_FIELDS,
    PARTICLE_FIELDS,
    TRIPLET_FIELDS,
    HitGraph,
)
from archioptrx.data.sources import load_dataset


def random_arrays(seed: int, hits: int = 12, edges: int = 30) -> dict[str, np.ndarray]:
    """Arrays of a graph whose edges stand in random order, each pair once and outwards; pid 0 is noise.

    There are fewer edges where the hits don't have so many pairs.
    """
    random = np.random.default_rng(seed)
    x = np.stack([random.uniform(0.1, 1, hits), random.uniform(-1, 1, hits), random.uniform(-1, 1, hits)], axis=1)
    pairs = np.argsort(x[:, 0], kind="stable")[random_pairs(random, hits, edges)]
    pid = random.integers(0, 4, hits)
    return {
        "x": x,
        "edge_index": pairs,
        "y": random.integers(0, 2, pairs.shape[1]) * (pid[pairs] > 0).any(axis=0),
        "pid": pid,
        "hit_id": random.permutation(hits) + 100,
        "pt": random.uniform(0.2, 6, hits),
    }


def random_pairs(random: np.random.Generator, size: int, count: int) -> np.ndarray:
    """Different pairs (i, j) of numbers below `size`, i < j: int64 [2, P], P = `count` or as many as there are.

    Pairs have numbers, k = j (j - 1) / 2 + i, so that a few of very many are drawn without a list of all.
    """
    total = size * (size - 1) // 2
    k = random.choice(total, min(count, total), replace=False) if total else np.zeros(0, np.int64)
    j = ((1 + np.sqrt(1 + 8 * k)) // 2).astype(np.int64)
    return np.stack([k - j * (j - 1) // 2, j])


def random_graph(seed: int, event: str = "a", sector: int = 0, sectors: int = 1, **sizes: int) -> HitGraph:
    """A complete graph of random arrays."""
    return make_graph(random_arrays(seed, **sizes), metadata_of(sectors), event, sector)


def metadata_of(sectors: int = 1) -> Metadata:
    """What the numbers of random arrays mean."""
    return Metadata("test", node_scale=(1000.0, np.pi / sectors, 1000.0), sectors=sectors)


def random_dataset(events: int, sectors: int = 1) -> Dataset:
    """A data set of random graphs."""
    graphs = [random_graph(e * sectors + s, f"e{e:03d}", s, sectors) for e in range(events) for s in range(sectors)]
    return Dataset(tuple(graphs), metadata_of(sectors))


def toy(events: int = 12, **options: float) -> Dataset:
    """A small toy data set."""
    return load_dataset({"source": "toy", "num_samples": events, **options})


def graph_faults(graph: HitGraph) -> list[str]:
    """Say what breaks the contract: shapes, edges outside the hits, order, numbers that aren't finite."""
    faults = []
    hits, edges = len(graph.x), graph.num_edges
    triplets = 0 if graph.get("triplet_index") is None else graph.triplet_index.shape[1]
    particles = 0 if graph.get("particles") is None else graph["particles"].shape[0]
    pairs = 0 if graph.get("loss_index") is None else graph.loss_index.shape[1]
    chain_hits = 0 if graph.get("chain_hit_id") is None else len(graph.chain_hit_id)
    kinds = (
        ("hit", NODE_FIELDS, hits),
        ("edge", EDGE_FIELDS, edges),
        ("triplet", TRIPLET_FIELDS, triplets),
        ("particle", PARTICLE_FIELDS, particles),
        ("pair of the loss", PAIR_FIELDS, pairs),
        ("hit of the chains", CHAIN_HIT_FIELDS, chain_hits),
    )
    for kind, fields, rows in kinds:
        for key in fields:
            value = graph.get(key)
            if value is not None and len(value) != rows:
                faults.append(f"{key} has {len(value)} rows; allowed: one per {kind}, {rows}")
            if key == "particles" and value is not None:  # momentum, vertex and charge may be unknown, together
                value = torch.where(value[:, :6].isnan().all(1, keepdim=True), 0, value)
            if value is not None and value.is_floating_point() and not torch.isfinite(value).all():
                faults.append(f"{key} holds NaN or infinite numbers; allowed: finite ones")
    if edges and not (int(graph.edge_index.min()) >= 0 and int(graph.edge_index.max()) < hits):
        faults.append(f"edge_index points outside the {hits} hits; allowed: 0 … {hits - 1}")
    elif edges and bool((graph.edge_index[1].diff() < 0).any()):
        faults.append("edge_index isn't sorted by destination; sorted_graph does it")
    if pairs and not (int(graph.loss_index.min()) >= 0 and int(graph.loss_index.max()) < hits):
        faults.append(f"loss_index points outside the {hits} hits; allowed: 0 … {hits - 1}")
    return faults
