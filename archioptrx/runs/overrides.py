"""Replacing of values in the document of an experiment, where a path may change its data source too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.core.overrides import apply
from archioptrx.data.options import reads_files
from archioptrx.data.options.base import OF


def override(document: Any, overrides: Mapping[str, Any]) -> Any:
    """A copy of a document with the values of dotted keys replaced; `data.path` may change the source too.

    Where the document's source makes its events, a path means files instead, of the source that their names tell.
    Where a source is built from another one (`of`), the path belongs to the innermost.

    >>> override({"data": {"source": "triplets", "of": {"source": "toy"}}}, {"data.path": "events"})
    {'data': {'source': 'triplets', 'of': {'path': 'events'}}}
    """
    if not isinstance(document, Mapping):
        return document
    if "data.path" not in overrides:
        return apply(document, overrides)
    place, data = "data", document.get("data") or {}
    while isinstance(data, Mapping) and isinstance(data.get(OF), Mapping):
        place, data = f"{place}.{OF}", data[OF]
    reads = isinstance(data, Mapping) and ("path" in data or reads_files(data.get("source")))
    placed = {f"{place}.path" if key == "data.path" else key: value for key, value in overrides.items()}
    return apply(document if reads else apply(document, {place: {}}), placed)
