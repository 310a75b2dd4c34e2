"""A track finder, an exporter and a logger of your own.

    archioptrx parts --imports custom_parts
    archioptrx search quickstart --set imports=[custom_parts] --set task.tracks=greedy --track lines --output run
    archioptrx evaluate run
    archioptrx export run --format weights --output weights.npz

each in the folder of this file, or where it is installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.models.export import exporter
from archioptrx.models.export.trained import Take
from archioptrx.runs.loggers import logger
from archioptrx.tasks.options.tracks import track_finder
from archioptrx.tasks.tracks.finding import numbered

Ints = NDArray[np.int64]


@track_finder("greedy", cut=0.5, branches=1)
def greedy(
    edge_index: Ints, scores: NDArray[np.float64], hits: int, cut: float, min_hits: int, branches: float
) -> Ints:
    """Join hits by the best edges first, at most so many to and from each."""
    into, out, label = np.zeros(hits, int), np.zeros(hits, int), np.arange(hits)
    for edge in np.argsort(-scores, kind="stable"):
        inner, outer = edge_index[:, edge]
        if scores[edge] >= cut and out[inner] < branches and into[outer] < branches:
            out[inner], into[outer] = out[inner] + 1, into[outer] + 1
            label[label == label[outer]] = label[inner]
    return numbered(label, min_hits)


@exporter("weights", suffix=".npz")
def write_weights(export: Take, path: Path) -> str:
    """All weights as arrays of numpy."""
    state = export.trained.model.state_dict()
    np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})
    return f"{len(state)} arrays written to {path}"


@logger("lines")
class Lines:
    """One line of JSON for each epoch of all trainings."""

    def __init__(self, root: Path) -> None:
        self.file = root / "lines.jsonl"

    def started(self, trial: str, config: Mapping[str, Any], architecture: str) -> None:
        """A training begins."""

    def epoch(self, trial: str, epoch: int, numbers: Mapping[str, float]) -> None:
        """An epoch of it has ended."""
        with self.file.open("a") as stream:
            stream.write(json.dumps({"trial": trial, "epoch": epoch, **numbers}) + "\n")

    def ended(self, trial: str, status: str, summary: Mapping[str, Any]) -> None:
        """A training has ended."""

    def close(self) -> None:
        """The search has ended."""
