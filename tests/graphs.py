"""Small hit graphs for tests."""

import numpy as np

from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.sources import load_dataset


def random_arrays(seed: int, hits: int = 12, edges: int = 30) -> dict[str, np.ndarray]:
    """Arrays of a graph whose edges stand in random order, each pair once and outwards; pid 0 is noise.

    There are fewer edges where the hits don't have so many pairs.
    """
    random = np.random.default_rng(seed)
    x = np.stack([random.uniform(0.1, 1, hits), random.uniform(-1, 1, hits), random.uniform(-1, 1, hits)], axis=1)
    pairs = np.argsort(x[:, 0], kind="stable")[np.stack(np.triu_indices(hits, 1))]
    pairs = random.permutation(pairs, axis=1)[:, :edges]
    pid = random.integers(0, 4, hits)
    return {
        "x": x,
        "edge_index": pairs,
        "y": random.integers(0, 2, pairs.shape[1]) * (pid[pairs] > 0).any(axis=0),
        "pid": pid,
        "hit_id": random.permutation(hits) + 100,
        "pt": random.uniform(0.2, 6, hits),
    }


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
