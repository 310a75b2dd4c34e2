"""Predictions for the files of acorn and gnn_tracking: the same files with scores and labels, see `sources.acorn`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from archioptrx.core.errors import InputError
from archioptrx.data.options import AcornOptions
from archioptrx.data.sources import acorn
from archioptrx.models.predictions import PREDICTION_WRITERS
from archioptrx.models.predictions.prediction import Prediction


@PREDICTION_WRITERS.registering("acorn")
def write_predictions(predictions: Iterable[Prediction], options: AcornOptions, output: Path) -> None:
    """Write each file again with scores and labels, under its own name.

    Raises
    ------
    InputError
        A file is no longer the one that was read, or the network gives neither scores of edges nor tracks.
    """
    files = acorn.event_files(options)
    for result in predictions:
        if result.scores is None and result.tracks is None:
            raise InputError(
                "predict: acorn's files hold scores of edges and tracks; allowed: a model that gives these"
            )
        file, name = files[result.graph.event][result.graph.sector]
        acorn.write_predictions(file, output / f"{name}{file.suffix}", result.graph, result.scores, result.tracks)
