"""Predictions for Acts: its proto tracks, beside the measurements, and a program that fits them with pyacts alone.

EVENT-measurements.csv   the measurements, as they were read
EVENT-prototracks.csv    trackId, measurementId, x, y, z, as Acts' CsvProtoTrackWriter writes: a row for each
                         measurement of a track, by its measurement_id; tracks count from 0, and their measurements
                         stand by distance from the origin
fit.py                   the fit, see `archioptrx.data.simulation.acts_fit`
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from archioptrx.core.errors import InputError
from archioptrx.data.options import ActsOptions
from archioptrx.data.simulation import acts_fit
from archioptrx.data.sources.acts import ACTS_FILES, read_event
from archioptrx.data.sources.event_files import EventFiles, find_events
from archioptrx.models.predictions.prediction import Prediction
from archioptrx.tasks.tracks.finding import numbered
from archioptrx.tasks.tracks.scores import hit_labels

PROGRAM = "fit.py"


def write_proto_tracks(predictions: Iterable[Prediction], options: ActsOptions, output: Path) -> None:
    """Write the files above.

    Raises
    ------
    InputError
        The events are no longer those that were read, or the network makes no tracks.
    """
    files = {event.name: event for event in find_events(options.path, ACTS_FILES)}
    for name, group in itertools.groupby(predictions, lambda prediction: str(prediction.graph.event)):
        if name not in files:
            raise InputError(f"{options.path}: no longer holds {name}; allowed: the events that were read")
        write_event(files[name], list(group), output)
    (output / PROGRAM).write_text(inspect.getsource(acts_fit), encoding="utf-8")


def write_event(files: EventFiles, parts: list[Prediction], output: Path) -> None:
    """Write measurements and proto tracks of one event."""
    found = [part.tracks for part in parts if part.tracks is not None]
    if len(found) < len(parts):
        raise InputError("--format: acts needs tracks, and this model makes none; allowed: without --format")
    hit_id, label = hit_labels([part.graph for part in parts], found)
    hit_id, label = hit_id[label >= 0], label[label >= 0]
    event, _ = read_event(files)
    order = np.argsort(event.hit_id)
    row = order[np.searchsorted(event.hit_id, hit_id, sorter=order)]
    along = np.lexsort((np.linalg.norm(event.pos[row], axis=1), label))
    place = event.pos[row[along]].T
    columns = {"trackId": numbered(label)[along], "measurementId": hit_id[along]}
    table = pd.DataFrame(columns | dict(zip("xyz", place, strict=True)))
    table.to_csv(output / f"{files.name}-prototracks.csv", index=False, float_format="%.9g")
    (output / f"{files.name}-measurements.csv").write_bytes(files.parts["measurements"].read())
