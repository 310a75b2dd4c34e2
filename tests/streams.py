"""Events that tests build with `stream`, here and in worker processes: functions of a module, for they are pickled."""

import os
import signal
import sys
from functools import partial

from graphs import random_graph

from archioptrx.core.errors import InputError
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.sources.stream import Job, StreamLimits, stream

LOG = "EVENTS_LOG"
ON_DISK = StreamLimits(memory=0, seconds=-1)
IN_WORKERS = StreamLimits(rest=-1, seconds=-1, workers=2)
"""Everything after the first event is built in two worker processes."""


def jobs(number: int, key: str = "k") -> list[Job]:
    """Events whose content is their seed."""
    return [Job(f"e{seed:03d}", seed, f"{key} {seed}" if key else "") for seed in range(number)]


def make(job: Job, edges: int = 60, sectors: int = 2) -> BuiltEvent:
    """Random graphs, one for each sector; adds a line to the file `$EVENTS_LOG`, so that tests know what was built."""
    if LOG in os.environ:
        with open(os.environ[LOG], "a") as file:
            file.write(f"{job.name} {os.getpid()}\n")
    seeds = [sectors * job.content + sector for sector in range(sectors)]
    graphs = [random_graph(seed, job.name, sector, hits=edges // 2, edges=edges) for sector, seed in enumerate(seeds)]
    return BuiltEvent(tuple(graphs), {"edges": edges * sectors})


def make_some(job: Job) -> BuiltEvent:
    """Every third event is bad, with two faults."""
    if job.content % 3 == 1:
        raise InputError(f"{job.name}: is bad", f"{job.name}: is worse")
    return make(job)


def make_wrongly(job: Job) -> BuiltEvent:
    """Our own fault in the third event."""
    return make(Job(job.name, [job.content, 1, "two"][job.content]))


def make_and_wait(job: Job, started: str) -> BuiltEvent:
    """All but the first event tell their process, in a file and on stderr, and then wait for ever."""
    if job.content:
        with open(started, "a") as file:
            file.write(f"{os.getpid()}\n")
        print("waits", file=sys.stderr, flush=True)
        signal.pause()
    return make(job)


def dataset(number: int = 5, limits: StreamLimits | None = None, key: str = "k", **options: object) -> Dataset:
    """A data set of random events; `options` are those of `make`."""
    built = partial(make, **options)  # type: ignore[arg-type]
    return stream(jobs(number, key), built, Metadata("test", sectors=2, options={"a": (1, 2)}), limits=limits)
