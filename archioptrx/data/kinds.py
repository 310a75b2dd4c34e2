"""Kind of data: the making of graphs (source, cuts, φ sectors, pT …), as far as it stands in their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.data.dataset import SHARED, Metadata
from archioptrx.data.options import OF, SOURCES, options_of
from archioptrx.data.options.building import Cuts
from archioptrx.data.repairs import KEY

RECORDS = frozenset({
    *("path", "model", "events", "num_samples", "train_events", "seed", "csv"),  # which events
    *("from_event", "below_event", "acorn_config"),  # which events, and where acorn's rules stand
    *("building", "skipped", "pid", "sectors", "embedding", "skip_bad", KEY, SHARED),  # what was found or repaired
    "preset",  # its cuts are there themselves
})  # fmt: skip
"""Options of a source that don't affect the kind of its graphs."""
BARE = "hitgraphs"
"""Source of files without metadata: their origin is unknown."""
BUILT_AS = {"fatras": "acts"}
"""Sources that make events and have another one build their graphs, and that one: both make the same graphs."""
SOURCE = "source"
UNLIMITED = {"eta_max": None}
"""Cuts that stand in no metadata where they don't act."""


def kind_of_data(metadata: Metadata) -> dict[str, Any]:
    """Values that tell one kind of data from another, by name; `of.NAME`: those of the data that these are made of."""
    return _kind(metadata.to_dict())


def _kind(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Kind of data by their metadata as plain data, in which those of the inner data stand."""
    options = metadata.get("options", {})
    kind = {SOURCE: metadata.get("source"), "φ sectors": metadata.get("sectors")}
    kind["units"] = "own" if metadata.get("own_units") else "mm, rad"
    kind = {name: value for name, value in kind.items() if value not in (None, BARE)}
    kind |= UNLIMITED if _builds(kind.get(SOURCE)) else {}
    for name, value in options.items():
        if name not in RECORDS and name != OF:
            kind[name] = list(value) if isinstance(value, tuple) else value
    inner = options.get(OF)
    return kind | ({_inside(name): value for name, value in _kind(inner).items()} if isinstance(inner, Mapping) else {})


def _builds(source: Any) -> bool:
    """Whether a source builds graphs of events by `Cuts`."""
    return source in SOURCES and issubclass(options_of(str(source)), Cuts)


def _inside(name: str) -> str:
    """Name of a value of the inner data."""
    return f"{OF}.{name}"


def other_kind(training: Metadata, data: Metadata, name: str = "training") -> str:
    """Values of some data that differ from those of a training, or what else has a name; empty where none is known to.

    >>> barrel = Metadata("helix", options={"slope_max": 0.0006, "events": 3})
    >>> other_kind(barrel, Metadata("helix", sectors=4, options={"slope_max": 0.001, "events": 9}))
    'φ sectors 4 (training: 1), slope_max 0.001 (training: 0.0006)'
    """
    expected, actual = kind_of_data(training), kind_of_data(data)
    known = {key: (actual[key], expected[key]) for key in expected if key in actual}
    pairs = {key: pair for key, pair in known.items() if _differ(key, *pair)}
    # Sectors, units and signal are those of the inner data: they are named once.
    taken_over = {_inside(key) for key, pair in pairs.items() if pairs.get(_inside(key)) == pair}
    differences = [
        f"{key} {_text(actual_value)} ({name}: {_text(expected_value)})"
        for key, (actual_value, expected_value) in pairs.items()
        if key not in taken_over
    ]
    return ", ".join(differences)


def _differ(key: str, actual: Any, expected: Any) -> bool:
    """Whether two values of one name make different graphs."""
    if key.rpartition(".")[2] == SOURCE:
        actual, expected = BUILT_AS.get(actual, actual), BUILT_AS.get(expected, expected)
    return bool(actual != expected)


def _text(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
