"""Replacement of values in the document of an experiment, where a path may change its data source too.

Where a path is given, the modules under `imports` are imported first, for one may define the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.core.config import Fields
from archioptrx.core.overrides import apply
from archioptrx.core.plugins import read_imports
from archioptrx.data.built_set import BuiltSet, as_built, levels, placed
from archioptrx.data.options import SOURCES, has_option
from archioptrx.data.options.base import OF


def override(document: Any, overrides: Mapping[str, Any], place: str, options: Mapping[str, str] | None = None) -> Any:
    """A copy of a document with the values of dotted keys replaced; `data.path` may change the source too.

    Where the document's source makes its events, a path replaces it by the source that fits the names of the files.
    Where a source is built from another one (`of`), the path belongs to the innermost, except for graphs that were
    built as those of the document.

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
    moved = {f"{section}.path" if key == "data.path" else key: value for key, value in overrides.items()}
    changed = apply(document if reads else apply(document, {section: {}}), moved)
    return _with_built(changed, section, overrides["data.path"])


def _with_built(document: dict[str, Any], section: str, path: object) -> dict[str, Any]:
    """The document, in which graphs that were built as its own are named as such.

    Parameters
    ----------
    section
        Section of the innermost source, where the path stands.
    """
    data = document.get("data")
    if not isinstance(data, Mapping) or OF not in data or not isinstance(path, str):
        return document
    described, built = placed(apply(document, {f"{section}.path": None})["data"], path), BuiltSet.at(path)
    if described is None or built is None:
        return document
    # Where the sources are those of the record, options of building that differ are named.
    named = apply(document, {f"{section}.source": built.levels[-1].source})
    replaced = len(levels(as_built(named["data"])[0])) == len(levels(described))
    return named if replaced else {**document, "data": described}


def _reads_files(source: object) -> bool:
    """Whether a source has a path. True for an unknown one, which is a fault that is reported later."""
    return source is not None and (source not in SOURCES or has_option(source, "path"))
