"""Predictions for the `.npz` files of HEP.TrkX: the same files with further arrays.

`score [E]` in the order of the file's edges, both directions of an edge alike, 0 for an edge from a hit to itself;
`triplet_score [T]` in the order of `triplets`; `track [N]` (-1: none, numbers are the file's own); and further
outputs of the network under `output_NAME`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from archioptrx.core.errors import InputError, faults_at
from archioptrx.data.built_set import METADATA
from archioptrx.data.options import HitgraphsOptions
from archioptrx.data.pairs import per_pair
from archioptrx.data.sources.hitgraph_arrays import edge_index_of
from archioptrx.data.sources.hitgraphs import find_files, name_of
from archioptrx.models.predictions import PREDICTION_WRITERS
from archioptrx.models.predictions.prediction import Prediction


@PREDICTION_WRITERS.registering("hitgraphs")
def write_predictions(predictions: Iterable[Prediction], options: HitgraphsOptions, output: Path) -> None:
    """Write each graph's file again with the predictions.

    Raises
    ------
    InputError
        A file is no longer the one that was read.
    """
    files = {name_of(file): file for file in find_files(options.path)}
    for prediction in predictions:
        graph = prediction.graph
        file = files[graph.event, graph.sector]
        with np.load(file, allow_pickle=False) as content:
            arrays = {key: content[key] for key in content.files}
        if len(arrays["X"]) != len(graph.x):
            raise InputError(f"{file}: is no longer the file that was read; allowed: the same file")
        if prediction.scores is not None:
            with faults_at(str(file)):
                pairs, edges = edge_index_of(arrays), graph.edge_index.numpy()
                arrays["score"] = per_pair(pairs, edges, prediction.scores.numpy(), len(graph.x))
        if prediction.triplet_scores is not None:
            arrays["triplet_score"] = prediction.triplet_scores.numpy()
        if prediction.tracks is not None:
            arrays["track"] = prediction.tracks.numpy()
        arrays |= {f"output_{name}": values.numpy() for name, values in prediction.outputs.items()}
        np.savez_compressed(output / file.name, **arrays)
    metadata = (options.path if options.path.is_dir() else options.path.parent) / METADATA
    if metadata.is_file():
        shutil.copyfile(metadata, output / METADATA)
