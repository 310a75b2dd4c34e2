"""Kind of data: the making of graphs (source, cuts, φ sectors, pT …), as far as it stands in their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.data.dataset import SHARED, Metadata
from archioptrx.data.options import OF
from archioptrx.data.repairs import KEY

RECORDS = frozenset({
    *("path", "model", "events", "num_samples", "train_events", "seed", "csv"),  # which events
    *("building", "skipped", "pid", "sectors", "embedding", "skip_bad", KEY, SHARED),  # what was found or repaired
    "preset",  # its cuts are there themselves
})  # fmt: skip
"""Options of a source that don't affect the kind of its graphs."""
BARE = "hitgraphs"
"""Source of files without metadata: their origin is unknown."""


def kind_of_data(metadata: Metadata) -> dict[str, Any]:
    """Values that tell one kind of data from another, by name."""
    source = {} if metadata.source == BARE else {"source": metadata.source}
    units = "own" if metadata.own_units else "mm, rad"
    return {**source, "φ sectors": metadata.sectors, "units": units, **_options(metadata.options)}


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without those of `RECORDS`, those of another source inside included."""
    kind: dict[str, Any] = {}
    for name, value in options.items():
        if name == OF and isinstance(value, Mapping):
            kind |= {f"{OF}.{inner}": inner_value for inner, inner_value in _options(value.get("options", {})).items()}
        elif name not in RECORDS and name != OF:
            kind[name] = list(value) if isinstance(value, tuple) else value
    return kind


def other_kind(training: Metadata, data: Metadata, name: str = "training") -> str:
    """Values of some data that differ from those of a training, or what else has a name; empty where none is known to.

    >>> barrel = Metadata("helix", options={"slope_max": 0.0006, "events": 3})
    >>> other_kind(barrel, Metadata("helix", sectors=4, options={"slope_max": 0.001, "events": 9}))
    'φ sectors 4 (training: 1), slope_max 0.001 (training: 0.0006)'
    """
    expected, actual = kind_of_data(training), kind_of_data(data)
    differences = [
        f"{key} {_text(actual[key])} ({name}: {_text(expected[key])})"
        for key in expected
        if key in actual and actual[key] != expected[key]
    ]
    return ", ".join(differences)


def _text(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
