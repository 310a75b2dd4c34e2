"""Changes by the guard of hit graphs in a source's arrays: counted, and reported once for a data set."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

TEXTS = {
    "joined_edges": "edges stood twice or in both directions and are one each",
    "one_sided_truth": "of these were true in one direction only and are true",
    "turned_edges": "edges led inwards and were turned",
    "own_edges": "edges from a hit to itself were left out",
    "joined_pairs": "pairs of the loss stood twice and are one each",
    "noise_ids": "hits of particle -1 or NaN are noise (0)",
    "shared_measurements": "measurements of several particles count for the one with most of their hits",
    "shared_particles": "hits of several particles count for the one with the smallest id",
}
"""Meaning of each count, printed after its number."""
KEY = "repaired"
"""Key of the counts in the metadata's options."""
_collected: ContextVar[Counter[str] | None] = ContextVar("collected repairs", default=None)


@contextlib.contextmanager
def collected() -> Iterator[Counter[str]]:
    """Context that collects the repairs of graphs made inside; outside of it each repair is a warning."""
    counts: Counter[str] = Counter()
    token = _collected.set(counts)
    try:
        yield counts
    finally:
        _collected.reset(token)


def note(place: str, counts: Mapping[str, int]) -> None:
    """Add repairs of one graph to the collected ones, or warn of them outside of `collected`."""
    repaired = {name: count for name, count in counts.items() if count}
    if not repaired:
        return
    counter = _collected.get()
    if counter is None:
        warnings.warn(f"{place}: {as_text(repaired)}", stacklevel=4)
    else:
        counter.update(repaired)


def as_text(counts: Mapping[str, int]) -> str:
    """The counts in words, in the order of `TEXTS`."""
    return "; ".join(f"{counts[name]:,} {text}" for name, text in TEXTS.items() if counts.get(name))


def say(source: str, counts: Mapping[str, int]) -> None:
    """Print one line on stderr about a data set whose graphs were repaired."""
    if counts:
        print(f"{source}: {as_text(counts)}", file=sys.stderr)
