"""Numbers of doublets and triplets of an event, for the metadata of a data set of triplets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archioptrx.data.sectors import EventNodes
from archioptrx.data.triplets import Bools, Doublets, Ints, adjacent


def counts(doublets: Sequence[Doublets], triplets: Sequence[Ints]) -> dict[str, float]:
    """Numbers of doublets and triplets of an event, all and true ones, before and after a cut.

    Parameters
    ----------
    doublets
        Doublets of each graph of the event.
    triplets : int64 [2, T] for each graph
        Inner and outer doublet of its triplets, among those that take part.

    Returns
    -------
    Each doublet and triplet counts once, in however many graphs it is. Two true doublets of one particle that share a
    hit are a true triplet, also where no graph has both.
    """
    nodes = EventNodes.of([of_graph.graph for of_graph in doublets])
    size = len(nodes.first)
    ends = [number[d.graph.edge_index.numpy()] for number, d in zip(nodes.numbers, doublets, strict=True)]
    inner, outer = np.concatenate(ends, axis=1)
    keys, doublet = np.unique(inner * size + outer, return_inverse=True)
    taking_part = np.concatenate([d.taking_part for d in doublets])
    true = _any(doublet, np.concatenate([d.graph.y.numpy() > 0.5 for d in doublets]), len(keys))
    kept = _any(doublet, taking_part, len(keys))
    true_triplets = _true_triplets(keys, true, nodes, doublets)
    kept_triplets = np.unique(_triplet_keys(_in_event(doublets, triplets, doublet[taking_part]), len(keys)))
    return {
        "doublets": len(keys),
        "true_doublets": int(true.sum()),
        "kept_doublets": int(kept.sum()),
        "kept_true_doublets": int((kept & true).sum()),
        "true_triplets": len(true_triplets),
        "kept_triplets": len(kept_triplets),
        "kept_true_triplets": int(np.isin(kept_triplets, true_triplets).sum()),
    }


def _any(doublet: Ints, holds: Bools, count: int) -> Bools:
    """Doublets of the event for which something holds in one of the graphs. Shapes: [E], [E] -> [count]."""
    result = np.zeros(count, dtype=bool)
    result[doublet[holds]] = True
    return result


def _in_event(doublets: Sequence[Doublets], triplets: Sequence[Ints], doublet: Ints) -> Ints:
    """Both doublets of all triplets, as numbers in the event. `doublet`: those of all that take part [K] -> [2, T]."""
    before = np.cumsum([0, *(d.taking_part.sum() for d in doublets)])
    places = np.concatenate([of_graph + start for of_graph, start in zip(triplets, before, strict=False)], axis=1)
    numbers: Ints = doublet[places]
    return numbers


def _true_triplets(keys: Ints, true: Bools, nodes: EventNodes, doublets: Sequence[Doublets]) -> Ints:
    """Keys of all true triplets of the event, whether a cut keeps them or not."""
    size = len(nodes.first)
    ends = np.stack(np.divmod(keys[true], max(1, size)))
    pairs = adjacent(ends, size)
    if doublets[0].graph.get("pid") is not None:
        # The particle of a true doublet is that of its inner hit.
        pid = nodes.of_first([d.graph.pid.numpy() for d in doublets])[ends[0]]
        pairs = pairs[:, pid[pairs[0]] == pid[pairs[1]]]
    return _triplet_keys(np.flatnonzero(true)[pairs], len(keys))


def _triplet_keys(pairs: Ints, count: int) -> Ints:
    """One number for each pair of doublets, of which the event has `count`. Shapes: [2, T] -> [T]."""
    keys: Ints = pairs[0] * count + pairs[1]
    return keys
