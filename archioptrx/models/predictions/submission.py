"""Predictions for TrackML events: a submission to the challenge (Amrouche et al., arXiv:1904.06778).

Those for events of Acts are the same tables, in which `measurement_id` stands for each `hit_id`.

    submission.csv           event_id, hit_id, track_id: every hit of an event, in the file's order; tracks count from 1
                             in each event, 0 is none
    scores/EVENT.csv         inner_hit_id, outer_hit_id, score: each candidate edge and its probability
    triplets/EVENT.csv       inner_hit_id, middle_hit_id, outer_hit_id, score: each triplet and its probability
    outputs/EVENT-NAME.csv   other outputs for hits (hit_id first) or graphs (sector first)

A hit that the cuts removed before the network saw it is in no track. The tracks of all sectors of an event
are in one table.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from archioptrx.core.errors import InputError
from archioptrx.core.files import clean_name
from archioptrx.data.options import ActsOptions, TrackmlOptions
from archioptrx.data.sources.acts import ACTS_FILES
from archioptrx.data.sources.event_files import EventFile, find_events
from archioptrx.data.sources.event_tables import read_table
from archioptrx.models.predictions import PREDICTION_WRITERS
from archioptrx.models.predictions.prediction import Prediction
from archioptrx.tasks.task import as_columns
from archioptrx.tasks.tracks.finding import numbered
from archioptrx.tasks.tracks.scores import hit_labels

SUBMISSION = "submission.csv"


@PREDICTION_WRITERS.registering("trackml")
def write_predictions(predictions: Iterable[Prediction], options: TrackmlOptions, output: Path) -> None:
    """Write a submission to the challenge, and tables of all scores; see above.

    Raises
    ------
    InputError
        The events are no longer those that were read.
    """
    files = {event.name: event.hits(("hit_id",)) for event in find_events(options.path)}
    _write(predictions, files, options.path, output)


@PREDICTION_WRITERS.registering("acts")
def write_measurements(predictions: Iterable[Prediction], options: ActsOptions, output: Path) -> None:
    """Write the same tables for events of Acts, by the numbers of the measurements.

    Raises
    ------
    InputError
        The events are no longer those that were read.
    """
    events = find_events(options.path, ACTS_FILES)
    files = {event.name: event.parts["measurements"] for event in events if "measurements" in event.parts}
    _write(predictions, files, options.path, output, "measurement")


def _write(
    predictions: Iterable[Prediction], files: Mapping[str, EventFile], path: Path, output: Path, hit: str = "hit"
) -> None:
    """Write all tables, event by event; `files` name the hits of each event in the column `{hit}_id`."""
    for name, group in itertools.groupby(predictions, lambda prediction: str(prediction.graph.event)):
        if name not in files:
            raise InputError(f"{path}: no longer holds {name}; allowed: the events that were read")
        parts = list(group)
        if parts[0].tracks is not None:
            submit(name, files[name], parts, output / SUBMISSION, hit)
        write_scores(name, parts, output / "scores", hit)
        write_triplets(name, parts, output / "triplets", hit)
        write_outputs(name, parts, output / "outputs", hit)


def submit(name: str, hits: EventFile, parts: list[Prediction], file: Path, hit: str = "hit") -> None:
    """Append the lines of one event."""
    hit_ids, labels = hit_labels(
        [part.graph for part in parts], [part.tracks for part in parts if part.tracks is not None]
    )
    every = read_table(hits, (f"{hit}_id",))[f"{hit}_id"]
    order = np.argsort(every)
    track = np.zeros(len(every), dtype=np.int64)
    track[order[np.searchsorted(every, hit_ids, sorter=order)]] = numbered(labels) + 1
    table = pd.DataFrame({"event_id": int(name.removeprefix("event")), f"{hit}_id": every, "track_id": track})
    table.to_csv(file, mode="a", header=not file.exists(), index=False)


def write_scores(name: str, parts: list[Prediction], folder: Path, hit: str = "hit") -> None:
    """Write the probabilities of an event's edges, where the network scores edges of hits."""
    tables = []
    for part in parts:
        if part.scores is not None and part.graph.get("chain") is None:
            inner, outer = part.graph.in_file_order(part.graph.hit_id[part.graph.edge_index].T).T.numpy()
            score = part.graph.in_file_order(part.scores).numpy()
            tables.append(pd.DataFrame({f"inner_{hit}_id": inner, f"outer_{hit}_id": outer, "score": score}))
    write_tables(tables, folder / f"{name}.csv")


def write_triplets(name: str, parts: list[Prediction], folder: Path, hit: str = "hit") -> None:
    """Write the probabilities of an event's triplets."""
    tables = []
    for part in parts:
        if part.triplet_scores is not None:
            ends = part.graph.hit_id[part.graph.edge_index].numpy()
            inner, outer = part.graph.triplet_index.numpy()
            places = {"inner": ends[0, inner], "middle": ends[1, inner], "outer": ends[1, outer]}
            hits = {f"{place}_{hit}_id": ids for place, ids in places.items()}
            tables.append(pd.DataFrame({**hits, "score": part.triplet_scores.numpy()}))
    write_tables(tables, folder / f"{name}.csv")


def write_outputs(name: str, parts: list[Prediction], folder: Path, hit: str = "hit") -> None:
    """Write the outputs of other targets, for hits or graphs."""
    for target in parts[0].outputs:
        tables = []
        for part in parts:
            values = as_columns(part.outputs[target]).numpy()
            of_hits = part.domains[target] == "node"
            table = pd.DataFrame(values, columns=[f"{target}_{column}" for column in range(values.shape[1])])
            first = part.graph.hit_id.numpy() if of_hits else part.graph.sector
            table.insert(0, f"{hit}_id" if of_hits else "sector", first)
            tables.append(table)
        write_tables(tables, folder / f"{name}-{clean_name(target)}.csv")


def write_tables(tables: Sequence[pd.DataFrame], file: Path) -> None:
    """Write tables one after the other as CSV; without any there is no file."""
    if tables:
        file.parent.mkdir(exist_ok=True)
        pd.concat(tables).to_csv(file, index=False, float_format="%.6g")
