"""Predictions for ColliderML's events: a submission to its benchmarks `tracking` and `tracking_small`.

    submission.parquet       event_id, hit_id, track_id, n_params: every hit of an event, in the order of its lists; -1
                             is no track, as in the benchmark's own baseline. n_params are all trained numbers
    scores, triplets, outputs   as for TrackML events, see `submission`

The benchmark divides by the weight of the hits that are *in* a submission: without its hits of no track it would score
higher, with nothing found better. All hits are in it here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from archioptrx.core.errors import InputError
from archioptrx.data.options import ColliderMLOptions
from archioptrx.data.sources.colliderml_files import EventRows, find_events
from archioptrx.data.sources.parquet_rows import read_row
from archioptrx.models.predictions import PREDICTION_WRITERS
from archioptrx.models.predictions.prediction import Prediction
from archioptrx.models.predictions.submission import write_outputs, write_scores, write_triplets
from archioptrx.tasks.tracks.finding import numbered
from archioptrx.tasks.tracks.scores import hit_labels

SUBMISSION = "submission.parquet"
SCHEMA = pa.schema([(name, pa.int64()) for name in ("event_id", "hit_id", "track_id", "n_params")])


@PREDICTION_WRITERS.registering("colliderml")
def write_predictions(predictions: Iterable[Prediction], options: ColliderMLOptions, output: Path) -> None:
    """Write a submission, event by event, and tables of all scores; see above.

    Raises
    ------
    InputError
        The events are no longer those that were read.
    """
    events = {event.name: event for event in find_events(options)}
    writer: pq.ParquetWriter | None = None
    try:
        for name, group in itertools.groupby(predictions, lambda prediction: str(prediction.graph.event)):
            if name not in events or events[name].hits is None:
                raise InputError(f"{options.path}: no longer holds {name}; allowed: the events that were read")
            parts = list(group)
            if parts[0].tracks is not None:
                writer = writer or pq.ParquetWriter(output / SUBMISSION, SCHEMA)
                writer.write_table(tracks_of(events[name], parts))
            write_scores(name, parts, output / "scores")
            write_triplets(name, parts, output / "triplets")
            write_outputs(name, parts, output / "outputs")
    finally:
        if writer is not None:
            writer.close()


def tracks_of(event: EventRows, parts: list[Prediction]) -> pa.Table:
    """Rows of one event in a submission.

    Raises
    ------
    InputError
        The event has fewer hits than those that were read.
    """
    assert event.hits is not None
    hit_ids, labels = hit_labels(
        [part.graph for part in parts], [part.tracks for part in parts if part.tracks is not None]
    )
    count = len(read_row(event.hits, event.number, ("x",)))
    if len(hit_ids) and hit_ids.max() >= count:
        raise InputError(f"{event.hits.file}: event {event.number} has changed; allowed: the events that were read")
    track = np.full(count, -1, dtype=np.int64)
    track[hit_ids] = numbered(labels)
    columns = np.full(count, event.number), np.arange(count), track, np.full(count, parts[0].parameters)
    return pa.table([pa.array(column, pa.int64()) for column in columns], schema=SCHEMA)
