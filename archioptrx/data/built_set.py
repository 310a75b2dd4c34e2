"""Folders that `archioptrx data … --output` wrote, and the descriptions of data that name one. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.core.reading import parse_json, reading
from archioptrx.data.options import OF, SOURCES, description

METADATA = "metadata.json"
"""File that such a folder has beside its graphs."""
READER = "hitgraphs"
"""Source that reads these folders, whatever they were made from."""
READING = ("path", "events", "skip_bad")
"""Options of reading; all others are of building, and done."""


@dataclass(frozen=True)
class BuiltSet:
    """Record of the data that a folder was made from.

    Attributes
    ----------
    source
        Source that made them.
    options
        Its options, and notes.
    """

    source: str
    options: Mapping[str, Any]

    @classmethod
    def at(cls, path: object) -> BuiltSet | None:
        """The record of a folder; None: the path is no such folder.

        Raises
        ------
        InputError
            The record is damaged.
        """
        file = Path(str(path)).expanduser() / METADATA
        if not isinstance(path, str) or not file.is_file() or next(file.parent.glob("*.npz"), None) is None:
            return None
        with reading(str(file)):
            content = parse_json(file.read_bytes(), str(file))
        source, options = (content.get(key) for key in ("source", "options")) if isinstance(content, dict) else (0, 0)
        if not isinstance(source, str) or not isinstance(options, dict):
            raise InputError(f"{file}: isn't a file of the command `data`; allowed: source and options")
        return cls(source, options)


def as_built(content: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A description in which a folder of built graphs is read as it is, and a note for each option with another value.

    The folder takes the place of the source that it was made from, `of` included, and of any source that reads other
    files at the same path.

    Raises
    ------
    InputError
        The folder's record is damaged, or names a source that isn't known.
    """
    innermost = content
    while isinstance(inner := _inner(innermost), Mapping):
        innermost = inner
    try:
        built = BuiltSet.at(innermost.get("path"))
    except InputError:
        # The reader of such folders says more. A user's source may have a file of this name that means something else.
        if innermost.get("source", READER) in (READER, *SOURCES.own()):
            return dict(content), ()
        raise
    if built is None:
        return dict(content), ()
    return _replaced(content, built, innermost)


def _inner(content: Mapping[str, Any]) -> Any:
    return description(content[OF]) if OF in content else None


def _replaced(
    content: Mapping[str, Any], built: BuiltSet, innermost: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    inner = _inner(content)
    if isinstance(inner, Mapping) and content.get("source") != built.source:
        changed, notes = _replaced(inner, built, innermost)
        return {**content, OF: changed}, notes
    if content.get("source", READER) == READER:
        return dict(content), ()
    if built.source not in SOURCES:
        file = Path(str(innermost["path"])).expanduser() / METADATA
        raise InputError(f"{file}: source is {built.source!r:.60}; {did_you_mean(built.source, SOURCES)}")
    reading = {key: innermost[key] for key in READING if key in innermost}
    asked = {key: value for key, value in content.items() if key not in (*READING, "source", OF)}
    notes = tuple(
        f"{innermost['path']}: was built with {key} {built.options[key]}, so that {key} {value} has no effect"
        for key, value in asked.items()
        if key in built.options and built.options[key] != value
    )
    return {"source": READER, **reading}, notes
