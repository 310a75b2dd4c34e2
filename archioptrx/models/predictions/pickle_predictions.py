"""Predictions for the notebook's samples: the same samples with scores and tracks, see `sources.pickle`."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from archioptrx.data.options import PickleOptions
from archioptrx.data.options.pickle import FILES
from archioptrx.data.sources.files import files_in
from archioptrx.data.sources.pickle import ALLOWED, samples_of
from archioptrx.data.sources.pickle_writing import to_sample
from archioptrx.models.predictions import PREDICTION_WRITERS
from archioptrx.models.predictions.prediction import Prediction


@PREDICTION_WRITERS.registering("pickle")
def write_predictions(predictions: Iterable[Prediction], options: PickleOptions, output: Path) -> None:
    """Write `samples.pickle`: one list of samples, hits in the order in which they came.

    `hits` gains `track` [N] (-1: none) and, for each output of hits, an array of its name; `graphs` gains `score`, for
    each hit the probabilities of its neighbours in `pred`. Outputs of a whole event stand under their name beside both.

    Raises
    ------
    InputError
        A file is no longer the one that was read.
    """
    sectors = max(sample.sectors for sample in samples_of(options, files_in(options.path, FILES, ALLOWED)))
    written = [sample_of(prediction, sectors) for prediction in predictions]
    with (output / "samples.pickle").open("xb") as stream:
        pickle.dump(written, stream, protocol=4)


def sample_of(prediction: Prediction, sectors: int) -> dict[str, Any]:
    """A sample of the notebook with the predictions."""
    sample = to_sample(prediction.graph, sectors)
    if prediction.tracks is not None:
        sample["hits"]["track"] = prediction.tracks.numpy()
    for name, values in prediction.outputs.items():
        (sample["hits"] if prediction.domains[name] == "node" else sample)[name] = values.numpy()
    if prediction.scores is not None:
        start, end = prediction.graph.edge_index.tolist()
        known = dict(zip(zip(start, end, strict=True), prediction.scores.tolist(), strict=True))
        known |= {(b, a): score for (a, b), score in known.items()}
        sample["graphs"]["score"] = [
            np.array([known[hit, int(other)] for other in others], dtype=np.float32)
            for hit, others in enumerate(sample["graphs"]["pred"])
        ]
    return sample
