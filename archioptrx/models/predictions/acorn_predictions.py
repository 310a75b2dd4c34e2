"""Predictions for the files of acorn and gnn_tracking: the same files with scores and labels, see `sources.acorn`.

    trainset/event1.pyg            the file with `edge_scores` or `scores`, both `labels` and `hit_track_labels` (-1: no
                                   track), and `time_taken`, seconds of the network and of finding tracks
    trainset_tracks/event1.txt     of acorn's events: a line for each track with the ids of its hits, as its track
                                   building writes them; tracks/ where the files aren't in a set's folder

Files keep their folders, names and endings.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from archioptrx.core.errors import InputError
from archioptrx.data.options import AcornOptions
from archioptrx.data.sources import acorn
from archioptrx.models.predictions import PREDICTION_WRITERS
from archioptrx.models.predictions.prediction import Prediction
from archioptrx.tasks.tracks.scores import hit_labels

SETS = ("trainset", "valset", "testset")
"""Folders of acorn."""


@PREDICTION_WRITERS.registering("acorn")
def write_predictions(predictions: Iterable[Prediction], options: AcornOptions, output: Path) -> None:
    """Write each file again with scores and labels, and the tracks of acorn's events.

    Raises
    ------
    InputError
        A file is no longer the one that was read, or the network gives neither scores of edges nor tracks.
    """
    files = acorn.event_files(options)
    root = options.path if options.path.is_dir() else options.path.parent
    for event, group in itertools.groupby(predictions, lambda prediction: str(prediction.graph.event)):
        parts = list(group)
        named = False
        for result in parts:
            if result.scores is None and result.tracks is None:
                allowed = "allowed: a model that gives these"
                raise InputError(f"predict: acorn's files hold scores of edges and tracks; {allowed}")
            file = files[event][result.graph.sector].path
            target = output / file.relative_to(root)
            named |= acorn.write_predictions(file, target, result.graph, result.scores, result.tracks, result.seconds)
        if named and parts[0].tracks is not None:
            file = files[event][parts[0].graph.sector].path
            folder = f"{file.parent.name}_tracks" if file.parent.name in SETS else "tracks"
            write_tracks(parts, output / folder / f"{acorn.bare_name(file)}.txt")


def write_tracks(parts: list[Prediction], file: Path) -> None:
    """Write the ids of each track's hits, a line a track."""
    hits, labels = hit_labels([part.graph for part in parts], [p.tracks for p in parts if p.tracks is not None])
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    tracks = np.split(hits[order], np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        raise InputError(f"{file}: two events have this name; allowed: names of their own")
    file.write_text("\n".join(" ".join(map(str, track.tolist())) for track in tracks), encoding="utf-8")
