"""Small hit graphs for tests."""

import numpy as np

from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.sources import load_dataset


def random_arrays(seed: int, hits: int = 12, edges: int = 30) -> dict[str, np.ndarray]:
    """Arrays of a graph whose edges stand in random order; pid 0 is noise."""
    random = np.random.default_rng(seed)
    x = np.stack([random.uniform(0.1, 1, hits), random.uniform(-1, 1, hits), random.uniform(-1, 1, hits)], axis=1)
    return {
        "x": x,
        "edge_index": random.integers(0, hits, (2, edges)),
        "y": random.integers(0, 2, edges),
        "pid": random.integers(0, 4, hits),
        "hit_id": random.permutation(hits) + 100,
        "pt": random.uniform(0.2, 6, hits),
    }


def random_graph(seed: int, event: str = "a", sector: int = 0, **sizes: int) -> HitGraph:
    """A complete graph of random arrays."""
    return make_graph(random_arrays(seed, **sizes), Metadata("test"), event, sector)


def random_dataset(events: int, sectors: int = 1) -> Dataset:
    """A data set of random graphs."""
    graphs = [random_graph(e * sectors + s, f"e{e:03d}", s) for e in range(events) for s in range(sectors)]
    return Dataset(tuple(graphs), Metadata("test", sectors=sectors))


def toy(events: int = 12, **options: float) -> Dataset:
    """A small toy data set."""
    return load_dataset({"source": "toy", "num_samples": events, **options})
