"""Replacement of values in the document of an experiment, where a path may change its data source too.

Where a path is given, the modules under `imports` are imported first, for one may define the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.core.config import Fields
from archioptrx.core.overrides import apply
from archioptrx.core.plugins import read_imports
from archioptrx.data.options import SOURCES, has_option
from archioptrx.data.options.base import OF


def override(document: Any, overrides: Mapping[str, Any], place: str, options: Mapping[str, str] | None = None) -> Any:
    """A copy of a document with the values of dotted keys replaced; `data.path` may change the source too.

    Where the document's source makes its events, a path replaces it by the source that fits the names of the files.
    Where a source is built from another one (`of`), the path belongs to the innermost.

    Parameters
    ----------
    place, options
        See `parse_experiment`.

    >>> override({"data": {"source": "triplets", "of": {"source": "toy"}}}, {"data.path": "events"}, "file")
    {'data': {'source': 'triplets', 'of': {'path': 'events'}}}
    >>> override({"data": {"source": "pickle", "sectors": 4}}, {"data.path": "events"}, "file")
    {'data': {'source': 'pickle', 'sectors': 4, 'path': 'events'}}
    """
    if not isinstance(document, Mapping):
        return document
    changed = apply(document, overrides)
    if "data.path" not in overrides:
        return changed
    read_imports(Fields(changed, place, []), typed="imports" in (options or {}))
    section, data = "data", document.get("data") or {}
    while isinstance(data, Mapping) and (OF in data or has_option(data.get("source"), OF)):
        section, data = f"{section}.{OF}", data.get(OF)
    reads = isinstance(data, Mapping) and ("path" in data or _reads_files(data.get("source")))
    placed = {f"{section}.path" if key == "data.path" else key: value for key, value in overrides.items()}
    return apply(document if reads else apply(document, {section: {}}), placed)


def _reads_files(source: object) -> bool:
    """Whether a source has a path. True for an unknown one, which is a fault that is reported later."""
    return source is not None and (source not in SOURCES or has_option(source, "path"))
