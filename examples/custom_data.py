"""A data source of your own: events of a straw tube tracker, one .csv file each with columns layer, x, y, particle.

    python custom_data.py events                      # makes a few such files; yours are there already
    archioptrx data straws events --imports custom_data --plot events.png
    archioptrx search quickstart --set imports=[custom_data] --set "data={source: straws, path: events}" --output run
    archioptrx predict run --data events --output tracks

each in the folder of this file, or where it is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from archioptrx.core.config import Fields
from archioptrx.core.errors import InputError
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.options import HERE, PlainOptions, option
from archioptrx.data.sources import source
from archioptrx.data.sources.stream import Job, stream
from archioptrx.models.predictions import prediction_writer
from archioptrx.models.predictions.prediction import Prediction

COLUMNS = "layer,x,y,particle"  # x and y in mm; particle 0: noise


@dataclass(frozen=True)
class StrawOptions(PlainOptions):
    """Options of the source: keys of `data` in an experiment, flags of `archioptrx data straws`."""

    source = "straws"
    about = "hits of a straw tube tracker, one .csv an event"
    path: Path = option(HERE, "a folder of .csv files")
    window: float = option(0.2, "largest |Δφ| of an edge, rad")

    @classmethod
    def read(cls, fields: Fields) -> StrawOptions:
        """Take the options, checked by their types, and check a rule of your own."""
        options = super().read(fields)
        if options.window <= 0:
            fields.fault("window", f"is {options.window:g}; allowed: above 0")
        return options


@source(StrawOptions, files=("*.csv",))
def load(options: StrawOptions) -> Dataset:
    """Read all events; a progress bar, worker processes and faults of all files at once come from `stream`."""
    files = sorted(options.path.glob("*.csv"))
    if not files:
        raise InputError(f"{options.path}: holds no .csv file; allowed: a folder of events")
    metadata = Metadata("straws", node_scale=(1000.0, np.pi, 1000.0), options=asdict(options))
    make = partial(event, window=options.window, metadata=metadata)
    return stream([Job(file.stem, file) for file in files], make, metadata)


def event(job: Job, window: float, metadata: Metadata) -> BuiltEvent:
    """Read one event: candidate edges join hits of adjacent layers, true ones those of one particle."""
    try:
        layer, x, y, particle = np.loadtxt(job.content, delimiter=",", skiprows=1, ndmin=2).T
    except ValueError as error:
        raise InputError(f"{job.content}: {error}; allowed: columns {COLUMNS}") from error
    phi = np.arctan2(y, x)
    inner, outer = np.nonzero(layer[:, None] + 1 == layer[None, :])
    near = np.abs(np.remainder(phi[outer] - phi[inner] + np.pi, 2 * np.pi) - np.pi) < window
    inner, outer = inner[near], outer[near]
    arrays: dict[str, Any] = {
        "x": np.stack([np.hypot(x, y), phi, 0 * x], axis=1) / metadata.node_scale,  # r, φ, z; this tracker has no z
        "edge_index": np.stack([inner, outer]),
        "y": (particle[inner] == particle[outer]) & (particle[inner] > 0),
        "pid": particle,
    }
    return BuiltEvent((make_graph(arrays, metadata, job.name, 0),))


@prediction_writer("straws")
def write_predictions(predictions: Iterable[Prediction], options: StrawOptions, output: Path) -> None:
    """Write each event's file again with a column of tracks, -1 for none."""
    for prediction in predictions:
        rows = np.loadtxt(options.path / f"{prediction.graph.event}.csv", delimiter=",", skiprows=1, ndmin=2)
        if prediction.tracks is not None:
            rows = np.column_stack([rows, prediction.tracks.numpy()])
        np.savetxt(output / f"{prediction.graph.event}.csv", rows, "%.6g", ",", header=f"{COLUMNS},track", comments="")


def write_events(folder: Path, events: int = 20) -> None:
    """Make events for a first try: ten tracks each, ten layers."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(events):
        random = np.random.default_rng(number)
        start, curve = random.uniform(-np.pi, np.pi, 10), random.uniform(-3e-4, 3e-4, 10)
        particle, layer = np.divmod(np.arange(100), 10)
        r = 100.0 * (layer + 1)
        phi = start[particle] + r * curve[particle]
        rows = np.stack([layer, r * np.cos(phi), r * np.sin(phi), particle + 1], axis=1)
        np.savetxt(folder / f"event{number:03d}.csv", rows, "%.6g", ",", header=COLUMNS, comments="")


if __name__ == "__main__":
    write_events(Path(sys.argv[1]))
