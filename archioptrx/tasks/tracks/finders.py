"""Use of the track finder that the options of a task name, and checks of its result."""

from __future__ import annotations

from typing import Any

import numpy as np

from archioptrx.core.errors import InputError
from archioptrx.tasks.options.tracks import TRACK_FINDERS, TRIPLET_FINDERS, TrackOptions
from archioptrx.tasks.tracks.finding import Floats, Ints


def find_tracks(edge_index: Ints, scores: Floats, hits: int, options: TrackOptions, min_hits: int) -> Ints:
    """Find tracks in one graph or batch. Shapes: edge_index [2, E], scores [E] -> int64 [hits], -1 for no track.

    Raises
    ------
    InputError
        A user's own track finder raised an error, or gave something else than a whole number for each hit.
    """
    find = TRACK_FINDERS.get(options.method)
    with TRACK_FINDERS.guarded(options.method):
        labels = find(edge_index, scores, hits, cut=options.cut, min_hits=min_hits, **dict(options.further))
    return _checked(labels, hits, options.method)


def find_tracks_by_triplets(
    triplet_index: Ints, scores: Floats, edge_index: Ints, hits: int, options: TrackOptions
) -> Ints:
    """Find tracks from scores of triplets. Shapes: triplet_index [2, T], scores [T], edge_index [2, E] -> int64 [hits].

    A finder with a form for triplets is called with them. Any other gets the doublets of the triplets, each with the
    largest score of its triplets.

    Raises
    ------
    InputError
        See `find_tracks`.
    """
    if options.method in TRIPLET_FINDERS:
        find, further = TRIPLET_FINDERS.get(options.method), dict(options.further)
        with TRIPLET_FINDERS.guarded(options.method):
            labels = find(
                triplet_index, scores, edge_index, hits, cut=options.cut, min_hits=options.min_hits, **further
            )
        return _checked(labels, hits, options.method)
    best = np.full(edge_index.shape[1], -np.inf)
    np.maximum.at(best, triplet_index.ravel(), np.tile(scores, 2))  # both doublets of each triplet
    known = np.isfinite(best)
    return find_tracks(edge_index[:, known], best[known], hits, options, options.min_hits)


def _checked(labels: Any, hits: int, name: str) -> Ints:
    """Check that a result is one label for each hit."""
    array = np.asarray(labels)
    if array.shape != (hits,) or array.dtype.kind not in "iu":
        form = f"{array.dtype} {list(array.shape)}" if array.dtype.kind != "O" else type(labels).__name__
        raise InputError(f"track finder {name}: gave {form}; allowed: whole numbers [{hits}], -1 for a hit of no track")
    return array.astype(np.int64)
