"""Track finders for scores of triplets."""

from __future__ import annotations

import numpy as np

from archioptrx.tasks.options.tracks import TRIPLET_FINDERS
from archioptrx.tasks.tracks.finding import MIN_HITS, Floats, Ints, best_paths, numbered, starts


@TRIPLET_FINDERS.registering("walk_through")
def chains(
    triplet_index: Ints,
    scores: Floats,
    edge_index: Ints,
    hits: int,
    cut: float = 0.5,
    follow: float = 0.6,
    min_hits: int = MIN_HITS,
) -> Ints:
    """Join triplets that share a doublet to chains; a shared hit goes to the chain with the largest sum of scores.

    The same walk as `walk_through`, one rung higher: from doublet to doublet by triplets.

    Shapes: triplet_index [2, T] (inner and outer doublet), scores [T], edge_index [2, E] -> int64 [hits].
    """
    doublets = edge_index.shape[1]
    chains, worth = best_paths(triplet_index, scores, doublets, cut, follow, min_hits - 1)
    chains = numbered(chains, min_hits - 1)
    used = np.flatnonzero(chains >= 0)
    hit, chain, value = edge_index[:, used].ravel(), np.tile(chains[used], 2), np.tile(worth[used], 2)
    order = np.lexsort((chain, -value, hit))
    first = order[starts(hit[order])]
    labels = np.full(hits, -1, dtype=np.int64)
    labels[hit[first]] = chain[first]
    return numbered(labels, min_hits)
