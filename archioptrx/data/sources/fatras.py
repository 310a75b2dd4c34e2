"""Events that Acts simulates (extra `acts`); `archioptrx.data.simulation.fatras` makes each.

The graphs are those that the source `acts` builds of the CSV files: Acts writes every event, and `acts` reads it. Event
k is the same however many there are. With `csv` the files are kept, in the form of Acts, or of TrackML, which doesn't
know the true steps along a track: `trackml` sorts the hits of a particle by distance.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from archioptrx.core.files import new_folder
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.event import Event
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.options import SOURCES, FatrasOptions
from archioptrx.data.simulation.fatras import pyacts_version, simulate
from archioptrx.data.sources.acts import ACTS_FILES, read_event
from archioptrx.data.sources.event_files import find_events
from archioptrx.data.sources.hitgraphs import check_empty
from archioptrx.data.sources.stream import Job, each, stream
from archioptrx.data.sources.trackml import write_event

WRITING = ("csv", "csv_format")
"""Options that don't change the graphs."""


@SOURCES.registering("fatras")
def load(options: FatrasOptions) -> Dataset:
    """Simulate the events and build their graphs, with a progress bar on stderr.

    Raises
    ------
    InputError
        pyacts isn't installed, or the folder for the CSV files already holds something.
    """
    version, written = pyacts_version(), None
    if options.csv is not None:
        write_csv(options, options.csv)
        written = options.csv if options.csv_format == "acts" else None
    settings = {key: value for key, value in asdict(options).items() if key not in WRITING and value not in (None, ())}
    metadata = building_metadata(options.source, options, settings)
    key = f"seed {options.seed}, pyacts {version}"
    jobs = [Job(event_name(number), (number, written), key) for number in range(options.events)]
    plain = replace(options, **{key: getattr(FatrasOptions, key) for key in WRITING})
    return stream(jobs, partial(make, options=plain, metadata=metadata), metadata)


def event_name(number: int) -> str:
    """Name of an event."""
    return f"event{number:09d}"


def make(job: Job, options: FatrasOptions, metadata: Metadata) -> BuiltEvent:
    """Simulate one event from its number, unless its files are there, and build its graphs."""
    number, written = job.content
    event, unlisted = simulated(options, number) if written is None else read(written, number)
    built = build(event, options, metadata)
    return replace(built, counts={**built.counts, "unlisted_hits": unlisted})


def simulated(options: FatrasOptions, number: int) -> tuple[Event, int]:
    """One event, and the number of its hits whose particle isn't listed."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(options, number, Path(folder))
        return read(Path(folder), number)


def read(folder: Path, number: int) -> tuple[Event, int]:
    """Read an event that was written to a folder."""
    (files,) = find_events(folder / f"{event_name(number)}-measurements.csv", ACTS_FILES)
    return read_event(files)


def write_csv(options: FatrasOptions, folder: Path) -> None:
    """Write all events as CSV, whatever the cuts are; in worker processes once it takes long. See `new_folder`.

    Raises
    ------
    InputError
        The folder already holds something.
    """
    check_empty(folder)
    with new_folder(folder) as fresh:
        write = partial(write_one, options=options, folder=fresh)
        for _ in each(write, write, range(options.events)):
            continue


def write_one(number: int, options: FatrasOptions, folder: Path) -> None:
    """Write one event as CSV."""
    if options.csv_format == "acts":
        simulate(options, number, folder)
    else:
        write_event(simulated(options, number)[0], folder)
