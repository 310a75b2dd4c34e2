"""Simulated events of a three-dimensional detector, for users without data, and for tests.

`events.simulation` makes each event, `events.graph_building` the graphs of it, with the cuts and the targets of the
source `trackml`; event k is the same however many there are. With `csv` the events are written as TrackML CSV too;
`trackml` reads the same graphs from it.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path

from archioptrx.core.files import new_folder
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.options import SOURCES, HelixOptions
from archioptrx.data.simulation.simulation import simulate
from archioptrx.data.sources.hitgraphs import check_empty
from archioptrx.data.sources.stream import Job, stream
from archioptrx.data.sources.trackml import write_event


@SOURCES.registering("helix")
def load(options: HelixOptions) -> Dataset:
    """Simulate the events and build their graphs, with a progress bar on stderr.

    Raises
    ------
    InputError
        No edge passes the cuts in any event, or the folder for the CSV files already holds something.
    """
    if options.csv is not None:
        write_csv(options, options.csv)
    settings = {key: value for key, value in asdict(options).items() if key != "csv" and value not in (None, ())}
    metadata = building_metadata(options.source, options, settings)
    jobs = [Job(f"event{number:09d}", number, f"seed {options.seed}") for number in range(options.events)]
    return stream(jobs, partial(make, options=options, metadata=metadata), metadata, skip_bad=True)


def make(job: Job, options: HelixOptions, metadata: Metadata) -> BuiltEvent:
    """Simulate one event from its number, and build its graphs."""
    return build(simulate(options, job.content), options, metadata)


def write_csv(options: HelixOptions, folder: Path) -> None:
    """Write all events as TrackML CSV, whatever the cuts are; one is in memory at a time. See `new_folder`.

    Raises
    ------
    InputError
        The folder already holds something.
    """
    check_empty(folder)
    with new_folder(folder) as fresh:
        for number in range(options.events):
            write_event(simulate(options, number), fresh)
