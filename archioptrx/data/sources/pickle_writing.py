"""Writing the samples of the notebook, the form that `archioptrx.data.sources.pickle` describes and reads."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.core.files import write_atomically, writing
from archioptrx.data.dataset import Dataset
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.pairs import Edges, pair_keys


def write(dataset: Dataset, file: Path) -> None:
    """Write the samples of a data set, so that plain `pickle.load` with numpy reads them, and this source too.

    Neighbours stand at both hits of an edge, as int64 arrays. `emb` is the graphs' `embedding`, or where they have none
    their scaled r, φ, z. `loss` is their `loss_index`, or `pred` and `true` where they have none. `true` is the true
    edges and the pairs of one particle that `loss` has beyond `pred`.

    Raises
    ------
    InputError
        The file exists, or the graphs have no particles.
    """
    if file.exists():
        raise InputError(f"{file}: exists already; allowed: a new file")
    if any(graph.get("pid") is None for graph in dataset.graphs):
        raise InputError("data: have no particle of each hit (pid); allowed: a source that knows them")
    samples = [to_sample(graph, dataset.metadata.sectors) for graph in dataset.graphs]
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, pickle.dumps(samples, protocol=4))


def to_sample(graph: HitGraph, sectors: int) -> dict[str, Any]:
    """One graph in the notebook's form."""
    hits = {"xyz": graph.pos, "emb": graph.x[:, :3] if graph.get("embedding") is None else graph.embedding}
    hits |= {"particle_id": graph.pid, "hit_id": graph.hit_id}
    if graph.get("pt") is not None:
        hits["pt"] = graph.pt
    count = len(graph.x)
    pred = graph.edge_index.numpy()
    true = pred[:, graph.y.numpy() > 0.5]
    loss = pred if graph.get("loss_index") is None else graph.loss_index.numpy()
    pid = graph.pid.numpy()[loss]
    missed = loss[:, (pid[0] == pid[1]) & (pid[0] != 0) & ~np.isin(pair_keys(loss, count), pair_keys(pred, count))]
    graphs = {"pred": pred, "loss": loss, "true": np.concatenate([true, missed], axis=1)}
    return {
        "event": graph.event,
        "sector": graph.sector,
        "sectors": sectors,
        "hits": {name: values.numpy() for name, values in hits.items()},
        "graphs": {name: neighbour_lists(pairs, count) for name, pairs in graphs.items()},
    }


def neighbour_lists(pairs: Edges, hits: int) -> list[NDArray[np.int64]]:
    """The neighbours of each hit, increasing.

    >>> [one.tolist() for one in neighbour_lists(np.array([[0, 2], [1, 1]]), 3)]
    [[1], [0, 2], [1]]
    >>> neighbour_lists(np.zeros((2, 0), dtype=np.int64), 0)
    []
    """
    both = np.concatenate([pairs, pairs[::-1]], axis=1)
    both = both[:, np.lexsort(both[::-1])]
    ends = np.searchsorted(both[0], np.arange(hits + 1))
    return [both[1, start:end].copy() for start, end in itertools.pairwise(ends)]
