"""From many events to one data set: what every source that builds graphs of single events shares."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console
from rich.progress import track

from archioptrx.dataset import Dataset, Metadata
from archioptrx.errors import InputError
from archioptrx.hitgraph import HitGraph

MOST_FAULTS = 20


@dataclass(frozen=True)
class Job:
    """One event that is still to be built. Plain data, cheap to pickle.

    Attributes
    ----------
    name
        Of the event; names are unique in a data set.
    content
        What `make` needs: files, or a seed.
    key
        What the result depends on besides the source's options: paths, sizes and times of the files, say.
    """

    name: str
    content: Any
    key: str = ""


@dataclass(frozen=True)
class Made:
    """What became of an event.

    Attributes
    ----------
    graphs
        One, or one per sector.
    counts
        Numbers that are added over all events: `true_edges`, `kept_edges` …
    """

    graphs: tuple[HitGraph, ...]
    counts: Mapping[str, float] = field(default_factory=dict)


Make = Callable[[Job], Made]
"""A module's function, or a `partial` of one: it goes to other processes. Raises InputError for bad events."""


def stream(jobs: Sequence[Job], make: Make, metadata: Metadata, skip_bad: bool = False) -> Dataset:
    """Build all events, with a progress bar on stderr.

    Parameters
    ----------
    jobs, make
        The events in order, and what builds one.
    metadata
        Of the data set. Its source and options say, with the jobs' keys, what the graphs are.
    skip_bad
        Leave out events whose building raises InputError, and count them.

    Returns
    -------
    The data set; the sums of `Made.counts`, and the number of skipped events where there are any, are added to the
    metadata's options under `building` and `skipped`.

    Raises
    ------
    InputError
        Events are bad and aren't to be skipped, or no event is good: one line each.
    """
    console = Console(file=sys.stderr)
    quiet = not console.is_terminal
    graphs: list[HitGraph] = []
    faults: list[str] = []
    counts: Counter[str] = Counter()
    bad = 0
    for job in track(jobs, f"{metadata.source} events", console=console, transient=True, disable=quiet):
        try:
            made = make(job)
        except InputError as error:
            faults += error.faults
            bad += 1
            continue
        graphs += made.graphs
        counts.update(made.counts)
    if faults and not (skip_bad and graphs):
        raise InputError(*bounded(faults))
    found: dict[str, Any] = {"building": dict(counts)} if counts else {}
    found |= {"skipped": bad} if bad else {}
    return Dataset(tuple(graphs), replace(metadata, options={**metadata.options, **found}))


def bounded(faults: list[str]) -> list[str]:
    """Keep the first faults and say how many more there are."""
    more = len(faults) - MOST_FAULTS
    return faults if more <= 0 else [*faults[:MOST_FAULTS], f"and {more} more"]
