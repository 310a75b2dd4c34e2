"""Building of a data set from many events, for every source that builds graphs of single events.

Small data sets are built in this process and stay in memory. Those that take long are built by worker processes,
and those that take long or are large go to disk as they are built (`archioptrx.data.storage.stored`), where the next
call finds it again (`archioptrx.data.storage.cache`). The graphs are the same either way.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from archioptrx.core.errors import RAISED, InputError
from archioptrx.core.printing import printable, raw_stream
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.options import SOURCES
from archioptrx.data.own_graphs import guarded_graphs
from archioptrx.data.repairs import KEY, collected, say
from archioptrx.data.same_fields import Fields, difference, fault_of, fields_of
from archioptrx.data.storage import cache
from archioptrx.data.storage.graph_file import graph_bytes
from archioptrx.data.storage.stored import Store, StoredGraphs, Written, finished, recalled, write_graphs, write_index
from archioptrx.data.storage.workers import number_of_workers, spread

MOST_FAULTS = 20
MEMORY = "ARCHIOPTRX_MEMORY"
"""Environment variable: MiB of graphs of one data set that stay in memory. Default: 1,024."""
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    """One event that is still to be built. Plain data, cheap to pickle.

    Attributes
    ----------
    name
        Name of the event; names are unique in a data set.
    content
        Input of `make`: files, or a seed.
    key
        Text of all that the result depends on besides the source's options: paths, sizes and times of the files, a
        seed. Empty where that is unknown: then the data set isn't kept for the next call.
    """

    name: str
    content: Any
    key: str = ""


Make = Callable[[Job], BuiltEvent]
"""A module's function, or a `partial` of one: it goes to other processes. Raises InputError for bad events."""


@dataclass(frozen=True)
class StreamLimits:
    """Limits from which a data set leaves memory, and worker processes are worth their start.

    Attributes
    ----------
    memory
        Bytes of graphs that stay in memory at most.
    seconds
        Seconds of building beyond which a data set is kept on disk for the next call.
    rest
        Estimated seconds of remaining work from which worker processes are used: each takes some time to start.
    workers
        Processes; None: see `number_of_workers`.
    """

    memory: int = 2**30
    seconds: float = 5.0
    rest: float = 10.0
    workers: int | None = None

    @classmethod
    def usual(cls) -> StreamLimits:
        """The defaults, with the memory that the environment variable gives.

        Raises
        ------
        InputError
            The variable is no number.
        """
        text = os.environ.get(MEMORY, "")
        if text and not text.isdecimal():
            raise InputError(f"{MEMORY}: is {text!r}; allowed: a number of MiB, 0 or more")
        return cls(memory=int(text) * 2**20) if text else cls()

    def workers_for(self, seconds: float, jobs: int, done: int) -> int:
        """Processes for the rest of some jobs, of which so many took so long."""
        left = jobs - done
        if seconds / max(1, done) * left <= self.rest:
            return 1
        return max(1, min(left, self.workers or number_of_workers()))


@dataclass(frozen=True)
class JobOutcome:
    """Outcome of a job: graphs in memory or in files, or faults.

    `counts` are those of the source, `repairs` those of the guard of hit graphs, `fields` the names of the graphs'
    fields.
    """

    name: str = ""
    graphs: tuple[HitGraph, ...] = ()
    files: tuple[Written, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict)
    repairs: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    fields: Fields | None = None

    def like(self, first: JobOutcome | None) -> JobOutcome:
        """The same outcome; faults instead where its graphs have other fields than those of the first event."""
        if first is None or self.fields is None or first.fields is None:
            return self
        fault = difference(self.fields, first.fields, first.name)
        return self if fault is None else JobOutcome(self.name, faults=(f"{self.name}: {fault}",))


def stream(
    jobs: Sequence[Job],
    make: Make,
    metadata: Metadata,
    skip_bad: bool = False,
    key: str | None = None,
    limits: StreamLimits | None = None,
) -> Dataset:
    """Build all events, or find them in the cache; with a progress bar on stderr.

    Parameters
    ----------
    jobs, make
        The events in order, and the function that builds one.
    metadata
        Metadata of the data set. Its source and options say, with the jobs' keys, what the graphs are.
    skip_bad
        Leave out events whose building raises InputError, and count them.
    key
        Name of the content where the cache was searched already, see `cached`. None: it is searched here.
    limits
        Sizes and times above which the data set goes to disk; None: usual ones.

    Returns
    -------
    The data set; the sums of `BuiltEvent.counts`, the number of skipped events and what the guard repaired, where there
    are any, are added to the metadata's options under `building`, `skipped` and `repaired`. One line on stderr says
    what was repaired.

    Raises
    ------
    InputError
        Events are bad and aren't to be skipped, or no event is good: one line each.
    """
    limits, keep = limits or StreamLimits.usual(), all(job.key for job in jobs)
    if key is None:
        key = key_of(jobs, make, metadata, skip_bad)
        if keep and (known := cached(metadata.source, key)) is not None:
            return known
    start = time.monotonic()
    with _Draft(metadata.source, key, keep) as draft:
        own = metadata if metadata.source in SOURCES.own() else None
        outcomes = _outcomes(jobs, partial(_built, make=make, own=own), draft, limits)
        try:
            for outcome in progress(outcomes, len(jobs), f"{metadata.source} events"):
                draft.add(outcome)
        finally:
            outcomes.close()  # ends the workers, also after Ctrl-C
        if draft.faults and not (skip_bad and draft.graphs_so_far):
            raise InputError(*bounded(draft.faults))
        if keep and cache.root() and time.monotonic() - start > limits.seconds:
            draft.leave_memory()
        say(metadata.source, draft.repairs)
        return draft.dataset(with_counts(metadata, draft.counts, draft.bad, draft.repairs))


def key_of(jobs: Sequence[Job], *parts: object) -> str:
    """Name of the content that these jobs will have; the other parts name all else that it depends on."""
    return cache.key_of([(job.name, job.key) for job in jobs], *parts)


def cached(source: str, key: str) -> Dataset | None:
    """A data set of the cache, and a line on stderr that says so; None where there is none."""
    store = recalled(source, key)
    if store is None:
        return None
    print(
        f"{source}: from the cache, {store.folder} ({cache.size_text(store.size)}; {cache.FOLDER}=off: not used)",
        file=sys.stderr,
    )
    metadata = Metadata.from_dict(store.about["metadata"])
    say(source, metadata.options.get(KEY, {}))
    return Dataset(StoredGraphs(store), metadata)


def with_counts(
    metadata: Metadata, counts: Mapping[str, float], bad: int, repairs: Mapping[str, int] | None = None
) -> Metadata:
    """Add the counts to the options, with numbers as JSON has them: the same in a data set built and in one read."""
    facts: dict[str, Any] = {"building": dict(counts)} if counts else {}
    facts |= {"skipped": bad + metadata.options.get("skipped", 0)} if bad else {}
    facts |= {KEY: dict(repairs)} if repairs else {}
    return replace(metadata, options=json.loads(json.dumps({**metadata.options, **facts}, default=_plain)))


def _plain(value: Any) -> Any:
    """A number of numpy as Python's; anything else that JSON lacks as text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def progress(items: Iterable[Item], number: int, label: str) -> Iterator[Item]:
    """Show a bar on stderr, where that is a terminal; the label may come from a file."""
    console = Console(file=raw_stream(sys.stderr))
    quiet = not console.is_terminal
    return iter(track(items, escape(printable(label)), number, console=console, transient=True, disable=quiet))


def each(near: Callable[[Item], Result], far: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Apply a function to each item in order: here, and in worker processes once it takes long.

    Parameters
    ----------
    near, far
        The function for this process, and the one for workers, whose result may leave out large data.
    """
    start, limits = time.monotonic(), StreamLimits()
    for done, item in enumerate(items, 1):
        yield near(item)
        workers = limits.workers_for(time.monotonic() - start, len(items), done)
        if workers > 1:
            yield from spread(far, items[done:], workers)
            return


def bounded(faults: list[str]) -> list[str]:
    """Keep the first faults and say how many more there are."""
    more = len(faults) - MOST_FAULTS
    return faults if more <= 0 else [*faults[:MOST_FAULTS], f"and {more} more"]


class _Draft:
    """A data set that is being built: graphs in memory, until they leave it for a folder, and what is known of all."""

    def __init__(self, source: str, key: str, keep: bool) -> None:
        self.source, self.key, self.keep = source, key, keep
        self.graphs: list[HitGraph] = []
        self.files: list[Written] = []
        self.bytes, self.graphs_so_far, self.bad = 0, 0, 0
        self.counts, self.repairs = Counter[str](), Counter[str]()
        self.faults: list[str] = []
        self._first: JobOutcome | None = None
        self.folder: Path | None = None
        self.store: Store | None = None

    def __enter__(self) -> _Draft:
        return self

    def __exit__(self, *error: object) -> None:
        """Remove a folder that isn't finished."""
        if self.folder is not None and self.store is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, outcome: JobOutcome) -> None:
        """Take what came of a job, or a fault where its graphs have other fields than those of the first."""
        outcome = outcome.like(self._first)
        if self._first is None and outcome.fields is not None:
            self._first = outcome
        self.counts.update(outcome.counts)
        self.repairs.update(outcome.repairs)
        self.faults += outcome.faults
        self.bad += bool(outcome.faults)
        self.graphs += outcome.graphs
        self.files += outcome.files
        self.bytes += sum(map(graph_bytes, outcome.graphs)) + sum(file.size for file in outcome.files)
        self.graphs_so_far += len(outcome.graphs) + sum(len(file.entries) for file in outcome.files)

    def leave_memory(self) -> Path:
        """Write the graphs in memory to the folder, and give its path."""
        if self.folder is None:
            self.folder = cache.draft(self.source, self.key, self.keep)
            self.files += write_graphs(self.folder, "first", self.graphs)
            self.graphs.clear()
        return self.folder

    def dataset(self, metadata: Metadata) -> Dataset:
        """The finished data set."""
        if self.folder is None:
            return Dataset(tuple(self.graphs), metadata)
        write_index(self.folder, self.files, {"metadata": metadata.to_dict()})
        self.store = finished(self.folder, self.source, self.key, self.keep)
        if not self.store.temporary:
            size = cache.size_text(self.store.size)
            print(f"{self.source}: kept in the cache, {self.store.folder} ({size})", file=sys.stderr)
        return Dataset(StoredGraphs(self.store), metadata)


def _outcomes(
    jobs: Sequence[Job], built: Callable[[Job], JobOutcome], draft: _Draft, limits: StreamLimits
) -> Generator[JobOutcome, None, None]:
    """Build events here and in memory; once they are too large or take too long, on disk and in worker processes."""
    start, done = time.monotonic(), 0
    for job in jobs:
        yield built(job)
        done += 1
        if draft.bytes > limits.memory or limits.workers_for(time.monotonic() - start, len(jobs), done) > 1:
            break
    if done == len(jobs):
        return
    workers = limits.workers_for(time.monotonic() - start, len(jobs), done)
    build = partial(_written, folder=draft.leave_memory(), built=built)
    yield from spread(build, enumerate(jobs[done:], done), workers)


def _built(job: Job, make: Make, own: Metadata | None) -> JobOutcome:
    """Build an event; `own`: metadata of a user's source, whose graphs need not come from `make_graph`."""
    try:
        with collected() as repairs:
            built = make(job)
            if own is not None:
                built = replace(built, graphs=guarded_graphs(built.graphs, own, f"data source {own.source}"))
        fault = fault_of(built.graphs)
        if fault is not None:
            raise InputError(fault)
    except InputError as error:
        return JobOutcome(job.name, faults=error.faults)
    except RAISED as error:  # a user's source may raise anything
        error.add_note(f"event {job.name}")
        raise
    fields = fields_of(built.graphs[0], built.truth) if built.graphs else None
    return JobOutcome(job.name, built.graphs, counts=built.counts, repairs=repairs, fields=fields)


def _written(item: tuple[int, Job], folder: Path, built: Callable[[Job], JobOutcome]) -> JobOutcome:
    """Build an event in a worker; its graphs go to a file, and only what the index says of them comes back."""
    number, job = item
    outcome = built(job)
    return replace(outcome, graphs=(), files=tuple(write_graphs(folder, f"{number:07d}", outcome.graphs)))
