"""Folders that `archioptrx data … --output` wrote, and the descriptions of data that name one. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.core.reading import parse_json, reading
from archioptrx.data.options import OF, SOURCES, description, options_of

METADATA = "metadata.json"
"""File that such a folder has beside its graphs."""
READER = "hitgraphs"
"""Source that reads these folders, whatever they were made from."""
MODEL = "model"
"""Option of a source that runs a model: its folder."""
COLUMNS = ("edge_features",)
"""Options that stand beside the others in the record."""
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
        built = cls._read(content)
        if built is None:
            raise InputError(f"{file}: isn't a file of the command `data`; allowed: source and options")
        return built

    @classmethod
    def _read(cls, content: object) -> BuiltSet | None:
        """The record in a data set's metadata as plain data."""
        if not isinstance(content, Mapping):
            return None
        source, options = content.get("source"), content.get("options")
        if not isinstance(source, str) or not isinstance(options, Mapping):
            return None
        return cls(source, {key: content[key] for key in COLUMNS if key in content} | dict(options))

    @property
    def levels(self) -> list[BuiltSet]:
        """This record, and those of the data that these were made of: from the outside to the inside."""
        inner = self._read(self.options.get(OF))
        return [self, *(inner.levels if inner is not None else [])]


def as_built(content: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A description in which a folder of built graphs is read as it is, and a note for each option with another value.

    A folder that is named without a source, or with that of hit graphs, is data as they are, also under `of`. Where
    another source is named at its path, the folder takes the place of all sources that it was made by, `of` included,
    if these are those of the description; else of the innermost source alone, which reads other files.

    Raises
    ------
    InputError
        The folder's record is damaged, or names a source that isn't known.
    """
    described = levels(content)
    innermost = described[-1]
    try:
        built = BuiltSet.at(innermost.get("path"))
    except InputError:
        # The reader of such folders says more. A user's source may have a file of this name that means something else.
        if innermost.get("source", READER) in (READER, *SOURCES.own()):
            return dict(content), ()
        raise
    if built is None or innermost.get("source", READER) == READER:
        return dict(content), ()
    _check_known(built, innermost["path"])
    made = built.levels
    names = [level.get("source") for level in described]
    same = names[-len(made) :] == [level.source for level in made]
    replaced = len(made) if same else 1
    folder = {"source": READER, **{key: innermost[key] for key in READING if key in innermost}}
    return _around(described[:-replaced], folder), tuple(_without_effect(described[-replaced:], made))


def placed(content: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """A description with a folder of built graphs in place of the sources that such graphs are made by.

    So events for an experiment or a model, which are given by one path, may be raw events or graphs that were built at
    any level of it: as many sources are replaced as the folder was made by, or all where these are fewer.

    Parameters
    ----------
    content
        Description of an experiment's or a model's own data.
    path
        Path of other data.

    Returns
    -------
    The description, or None: the path is no such folder, or it was made by other sources. It then takes the place of
    the innermost source.
    """
    described = levels(content)
    names = [level.get("source") for level in described]
    try:
        built = BuiltSet.at(path)
        own = BuiltSet.at(described[-1].get("path")) if names[-1] in (None, READER) else None
    except InputError:
        return None
    if built is None:
        return None
    made = [level.source for level in built.levels]
    # A folder of built graphs at the innermost place stands for the sources that it was made by.
    every = names[:-1] + ([level.source for level in own.levels] if own else names[-1:])
    kept = max(0, len(every) - len(made))
    outer = every[kept:-1]
    if not outer or kept >= len(described) or outer != made[: len(outer)]:
        return None
    return _around(described[:kept], {"source": READER, "path": path})


def levels(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The description, and those under `of`: from the outside to the inside."""
    inner = description(content[OF]) if OF in content else None
    return [content, *(levels(inner) if isinstance(inner, Mapping) else [])]


def _around(outer: Sequence[Mapping[str, Any]], innermost: dict[str, Any]) -> dict[str, Any]:
    """Description of sources that are made of one another: from the outside to the inside."""
    whole = innermost
    for level in reversed(outer):
        whole = {**level, OF: whole}
    return whole


def _check_known(built: BuiltSet, path: str) -> None:
    if built.source not in SOURCES:
        file = Path(path).expanduser() / METADATA
        raise InputError(f"{file}: source is {built.source!r:.60}; {did_you_mean(built.source, SOURCES)}")


def _without_effect(asked: Sequence[Mapping[str, Any]], made: Sequence[BuiltSet]) -> list[str]:
    """A note for each option that the graphs were built without, from the outside to the inside."""
    path, notes = asked[-1]["path"], []
    if len(made) > len(asked):
        chain = " of ".join(level.source for level in made)
        notes.append(f"{path}: was built by {chain}, so that source {asked[-1]['source']} has no effect")
    for level, built in zip(asked, made[-len(asked) :], strict=True):
        for key, value in level.items():
            if key not in (*READING, "source", OF) and (text := _instead(key, value, built)):
                notes.append(f"{path}: {text}, so that {key} {value} has no effect")
    return notes


def _instead(key: str, value: Any, built: BuiltSet) -> str:
    """The value of an option by which graphs were built; empty where it is the one that is asked for."""
    recorded = built.options.get(key)
    if key == MODEL:  # the record has its weights, not its folder
        return "" if value is None else "was built " + ("without a model" if recorded is None else "with a model")
    if recorded is None:
        return "" if _plain(value) == _plain(_usual(key, built.source)) else "is built already"
    return "" if _plain(value) == _plain(recorded) else f"was built with {key} {recorded}"


def _usual(key: str, source: str) -> Any:
    """Default of a source's option; None where it has none."""
    known = fields(options_of(source)) if source in SOURCES else ()  # type: ignore[arg-type]
    return next((item.default for item in known if item.name == key), None)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
