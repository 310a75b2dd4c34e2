"""Use of the track finder that the options of a task name, checks of its result, and what geometry adds to it.

Where the places of the hits are known, tracks whose fit is bad are taken apart (`chi2_max`, in several passes), and
tracks are completed (`complete`), graph by graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from archioptrx.core.errors import InputError
from archioptrx.tasks.options.tracks import TRACK_FINDERS, TRIPLET_FINDERS, TrackOptions
from archioptrx.tasks.tracks.completion import complete
from archioptrx.tasks.tracks.finding import Bools, Floats, Ints
from archioptrx.tasks.tracks.helix import Resolution
from archioptrx.tasks.tracks.helix_fit import with_good_fit
from archioptrx.tasks.tracks.stages import COMPLETION, FIT, stage

FIRST_CUTS = (0.5, 0.3)
"""Cuts on the scores in the passes before that with the cut of the options."""


@dataclass(frozen=True, eq=False)
class Places:
    """Places of the hits of one graph, or of a batch.

    Attributes
    ----------
    pos : float64 [N, 3]
        x, y, z, mm.
    ends : int64 [graphs + 1]
        Where the hits of each graph begin, and N.
    """

    pos: Floats
    ends: Ints

    def each(self, labels: Ints, change: Callable[[Ints, Floats], Ints]) -> Ints:
        """Change the labels graph by graph. Shapes: labels [N] -> [N]."""
        parts = [slice(first, last) for first, last in zip(self.ends, self.ends[1:], strict=False)]
        return np.concatenate([np.zeros(0, np.int64), *(change(labels[part], self.pos[part]) for part in parts)])


def find_tracks(
    edge_index: Ints, scores: Floats, hits: int, options: TrackOptions, min_hits: int, places: Places | None = None
) -> Ints:
    """Find tracks in one graph or batch. Shapes: edge_index [2, E], scores [E] -> int64 [hits], -1 for no track.

    Parameters
    ----------
    places
        Places of the hits. None: unknown, so that nothing is added to what the track finder finds.

    Raises
    ------
    InputError
        A user's own track finder raised an error, or gave something else than a whole number for each hit.
    """
    find = TRACK_FINDERS.get(options.method)

    def search(cut: float, free: Bools) -> Ints:
        kept = free[edge_index[0]] & free[edge_index[1]]
        with TRACK_FINDERS.guarded(options.method):
            labels = find(edge_index[:, kept], scores[kept], hits, cut=cut, min_hits=min_hits, **dict(options.further))
        return _checked(labels, hits, options.method)

    return _refined(search, hits, options, places)


def find_tracks_by_triplets(
    triplet_index: Ints,
    scores: Floats,
    edge_index: Ints,
    hits: int,
    options: TrackOptions,
    places: Places | None = None,
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

        def search(cut: float, free: Bools) -> Ints:
            of_free = free[edge_index[0]] & free[edge_index[1]]
            kept = of_free[triplet_index[0]] & of_free[triplet_index[1]]
            with TRIPLET_FINDERS.guarded(options.method):
                labels = find(
                    triplet_index[:, kept],
                    scores[kept],
                    edge_index,
                    hits,
                    cut=cut,
                    min_hits=options.min_hits,
                    **further,
                )
            return _checked(labels, hits, options.method)

        return _refined(search, hits, options, places)
    best = np.full(edge_index.shape[1], -np.inf)
    np.maximum.at(best, triplet_index.ravel(), np.tile(scores, 2))  # both doublets of each triplet
    known = np.isfinite(best)
    return find_tracks(edge_index[:, known], best[known], hits, options, options.min_hits, places)


def _refined(search: Callable[[float, Bools], Ints], hits: int, options: TrackOptions, places: Places | None) -> Ints:
    """Search tracks, in one pass or several, and complete them.

    Parameters
    ----------
    search
        Finds tracks from a cut on the scores, among the hits that are free.
    """
    if places is None or not (options.chi2_max or options.complete):
        return search(options.cut, np.ones(hits, dtype=np.bool_))
    resolution = Resolution(options.resolution)

    def good(labels: Ints, pos: Floats) -> Ints:
        return with_good_fit(labels, pos, resolution, options.chi2_max, options.min_hits)

    if options.chi2_max:
        labels = np.full(hits, -1, dtype=np.int64)
        # The best tracks are found first: their hits confuse no later pass, which looks at worse scores.
        for cut in (*(cut for cut in FIRST_CUTS if cut > options.cut), options.cut):
            free: Bools = np.less(labels, 0)
            new = search(cut, free)
            labels = np.where(free & (new >= 0), new + int(labels.max(initial=-1)) + 1, labels)
            with stage(FIT):
                labels = places.each(labels, good)
    else:
        labels = search(options.cut, np.ones(hits, dtype=np.bool_))
    if options.complete:
        with stage(COMPLETION):
            labels = places.each(labels, lambda own, pos: complete(own, pos, resolution))
    return labels


def _checked(labels: Any, hits: int, name: str) -> Ints:
    """Check that a result is one label for each hit."""
    array = np.asarray(labels)
    if array.shape != (hits,) or array.dtype.kind not in "iu":
        form = f"{array.dtype} {list(array.shape)}" if array.dtype.kind != "O" else type(labels).__name__
        raise InputError(f"track finder {name}: gave {form}; allowed: whole numbers [{hits}], -1 for a hit of no track")
    return array.astype(np.int64)
