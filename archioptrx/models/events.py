"""The events that belong to a trained model: those that it was trained, validated and tested on, or any others."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, Metadata, Splits
from archioptrx.data.description import DataDescription
from archioptrx.data.hitgraph import HitGraph
from archioptrx.models.model_folder import TrainedModel


def load_splits(data: DataDescription, split: Mapping[str, Any], test: str | None) -> tuple[Metadata, Splits, str]:
    """Read and divide data; also their fingerprint.

    Raises
    ------
    InputError
        The data are wrong, or too few to be divided.
    """
    dataset = data.load()
    fingerprint = dataset.fingerprint
    last: float | Dataset = split["test"]
    if test is not None:
        last = data.at(test, "test").load(like=dataset.metadata)
        fingerprint += f"+{last.fingerprint}"
    return dataset.metadata, dataset.split(split["validation"], last, split["seed"]), fingerprint


def events_for(model: TrainedModel, path: str | None) -> tuple[Sequence[HitGraph], bool]:
    """All events of a path, in the model's scales; without one the test events that the model never saw.

    Also whether the events are whole, or sectors of events whose others the model was trained on. A line on stderr says
    where events have no truth.

    Raises
    ------
    InputError
        The data are missing, wrong, of another kind, or no longer those of the training.
    """
    provenance = model.provenance
    if path is not None:
        graphs = provenance.data.at(str(Path(path).expanduser())).load(like=model.metadata).graphs
        if fault := model.task.data_fault(graphs[0]):
            raise InputError(f"--data: {fault}")
        if fault := model.task.truth_fault(graphs):
            what = fault.partition(";")[0]
            print(f"{path}: {what}: loss, accuracy and purity say nothing about the model", file=sys.stderr)
        return graphs, True
    splits = own_splits(model)
    return splits.test, splits.whole_test


def own_splits(model: TrainedModel) -> Splits:
    """The events that the model was trained, validated and tested on.

    Raises
    ------
    InputError
        They are gone or no longer the same.
    """
    provenance = model.provenance
    _, splits, fingerprint = load_splits(provenance.data, provenance.split, provenance.test)
    if fingerprint != provenance.fingerprint:
        raise InputError("data: have changed since the training; allowed: --data PATH")
    return splits
