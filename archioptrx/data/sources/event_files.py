"""Finding the CSV files of events, and reading them without trusting them: no link out, no zip bomb."""

from __future__ import annotations

import gzip
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from archioptrx.core.errors import InputError, reason_of
from archioptrx.data.sources.files import stamp

_CHUNK = 1 << 20
USUAL_BYTES = 16 << 20
"""Bytes to which a file may always unpack."""
MOST_RATIO = 50
"""Times of its packed size to which a larger file may unpack; CSV of digits reaches 3 to 10."""
MOST_BYTES = 2 << 30
"""Bytes to which a file may unpack at most; the largest files of the challenge have 30 MB."""


class _Stream(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class FileNames:
    """Names of the files of a format: `eventNNNNNNNNN-PART.csv`, or `.csv.gz`, `.csv.zip`.

    Attributes
    ----------
    parts
        Parts that an event may have.
    needed
        Parts of which an event has one at least; the first stands in messages.
    """

    parts: tuple[str, ...]
    needed: tuple[str, ...]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"^(?P<event>event\d+)-(?P<part>{'|'.join(self.parts)})\.csv(\.gz|\.zip)?$")

    def match(self, name: str) -> re.Match[str] | None:
        """Match of a file's name, with the groups `event` and `part`; None: it is no such file."""
        return self._pattern.match(name)

    @property
    def example(self) -> str:
        """Names that are allowed, in a message."""
        return f"e.g. event000001000-{self.needed[0]}.csv, or .csv.gz, .csv.zip"


TRACKML_FILES = FileNames(("hits", "cells", "particles", "truth"), needed=("hits", "truth"))
PACKED = "a .csv, .csv.gz or .csv.zip file that is whole"


@dataclass(frozen=True)
class EventFile:
    """One file of an event, which may lie in a .zip.

    Attributes
    ----------
    path
        Path on disk.
    member
        Name inside the .zip; None where the file isn't in one.
    fault
        Reason why it may not be read.
    """

    path: Path
    member: str | None = None
    fault: str = ""

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    @property
    def name(self) -> str:
        """File name without folders."""
        return Path(self.member or self.path.name).name

    def read(self) -> bytes:
        """Unpack the content.

        Raises
        ------
        InputError
            It can't be read, leads out of its folder, is cut short, or is larger than the limits above.
        """
        if self.fault:
            raise InputError(f"{self}: {self.fault}")
        try:
            return self._unpacked()
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise InputError(f"{self}: can't be read ({reason_of(error, 80)}); allowed: {PACKED}") from error

    def _unpacked(self) -> bytes:
        if not self.path.is_file():
            raise InputError(f"{self}: is no file; allowed: {PACKED}")
        size = self.path.stat().st_size
        if self.member is None and self.path.suffix == ".gz":
            with gzip.open(self.path) as stream:
                return self._bounded(stream, size)
        if self.member is None and self.path.suffix != ".zip":
            if size > MOST_BYTES:
                raise InputError(f"{self}: holds {size:,} bytes; allowed: {MOST_BYTES:,} or less")
            return self.path.read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            member = self.member or _only_member(self, archive)
            with archive.open(member) as stream:
                packed = archive.getinfo(member).compress_size
                if not member.endswith(".gz"):
                    return self._bounded(stream, packed)
                with gzip.open(stream) as inside:
                    return self._bounded(inside, packed)

    def _bounded(self, stream: _Stream, packed: int) -> bytes:
        most = min(MOST_BYTES, max(USUAL_BYTES, MOST_RATIO * packed))
        content = bytearray()
        while chunk := stream.read(_CHUNK):
            content += chunk
            if len(content) > most:
                raise InputError(
                    f"{self}: unpacks from {packed:,} to more than {most:,} bytes, as a zip bomb does; "
                    f"allowed: at most {MOST_RATIO} times its size"
                )
        return bytes(content)


@dataclass(frozen=True)
class EventFiles:
    """The files of one event.

    Attributes
    ----------
    name
        Name of the event, e.g. `event000001000`.
    parts
        File of each part that the event has, such as `hits`, `cells`, `particles`, `truth`.
    faults
        Fault of the set of files.
    """

    name: str
    parts: Mapping[str, EventFile] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def hits(self, names: Sequence[str]) -> EventFile:
        """The file with these columns of the hits: `-hits.csv`, in acorn's feature store `-truth.csv`.

        Raises
        ------
        InputError
            There is none.
        """
        if "hits" in self.parts:
            return self.parts["hits"]
        columns = self.parts["truth"].read().partition(b"\n")[0].decode("utf-8", "replace")
        if set(names) <= {name.strip().strip('"') for name in columns.split(",")}:
            return self.parts["truth"]
        first = next(iter(self.parts.values()))
        raise InputError(f"{first}: {self.name}-hits.csv is missing beside it; allowed: hits with it")

    @property
    def key(self) -> str:
        """Text of paths, sizes and times of the files; it changes when their content does."""
        stamps = sorted({f"{stamp(file.path)}\n" for file in self.parts.values()})
        return "".join(stamps) + " ".join(str(file.member) for _, file in sorted(self.parts.items()))


def known_of(events: Iterable[EventFiles], facts: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Facts that at least one event has.

    Parameters
    ----------
    facts
        Parts by fact, one of which an event has that knows it: `{"truth": ("truth",)}`.
    """
    parts = {part for event in events for part in event.parts}
    return frozenset(fact for fact, files in facts.items() if parts & set(files))


def check_facts(event: EventFiles, facts: Mapping[str, Sequence[str]], known: Iterable[str]) -> None:
    """Raise InputError if an event lacks a fact that others of the data set have: it would count as unknown.

    Parameters
    ----------
    facts, known
        See `known_of`.
    """
    for fact in sorted(known):
        if event.faults or set(facts[fact]) & set(event.parts):
            continue
        file = next(iter(event.parts.values()))
        lacks = f"{file}: {event.name}-{facts[fact][0]}.csv is missing, and other events have it"
        raise InputError(f"{lacks}; allowed: {fact} for all events, or for none")


def find_events(path: Path, names: FileNames = TRACKML_FILES) -> list[EventFiles]:
    """Find the events of a folder, of a .zip, or the one event that a file belongs to; by name.

    Raises
    ------
    InputError
        There are none, or a folder is a link that leads out.
    """
    if path.is_dir():
        files = list(_in_folder(path, names))
    elif path.is_file() and (match := names.match(path.name)):
        files = [file for file in _beside(path, names) if file.name.startswith(match["event"] + "-")]
    elif path.is_file() and path.suffix == ".zip":
        files = list(_in_archive(path, names))
    elif path.is_file():
        raise InputError(f"{path}: is no file of an event; allowed: {names.example}, or a .zip or a folder of them")
    else:
        what = f"a folder or .zip of event*-{names.needed[0]}.csv files"
        raise InputError(f"{path}: no such file or folder; allowed: {what}")
    events = _by_event(files, names)
    if not events:
        raise InputError(f"{path}: holds no event; allowed: files called {names.example}")
    return events


def _by_event(files: list[EventFile], names: FileNames) -> list[EventFiles]:
    sorted_files: dict[str, dict[str, EventFile]] = {}
    faults: dict[str, list[str]] = {}
    for file in sorted(files, key=str):
        match = names.match(file.name)
        assert match is not None
        parts = sorted_files.setdefault(match["event"], {})
        twin = parts.setdefault(match["part"], file)
        if twin is not file:
            faults.setdefault(match["event"], []).append(
                f"{file}: is there twice, also as {twin}; allowed: one of the two"
            )
    for event, parts in sorted_files.items():
        if not set(names.needed) & set(parts):
            first = next(iter(parts.values()))
            faults.setdefault(event, []).append(
                f"{first}: {event}-{names.needed[0]}.csv is missing beside it; allowed: {names.needed[0]} with it"
            )
    return [EventFiles(name, parts, tuple(faults.get(name, ()))) for name, parts in sorted(sorted_files.items())]


def _in_folder(folder: Path, names: FileNames) -> Iterator[EventFile]:
    """Event files of a folder and of all in it, archives too. Nothing that links lead out to is opened."""
    root = folder.resolve()
    for place, folders, files in os.walk(folder):
        for name in sorted(folders):
            inside = Path(place, name)
            if inside.is_symlink() and not inside.resolve().is_relative_to(root):
                raise InputError(f"{inside}: {link_fault(inside, root)}")
        for name in sorted(files):
            path = Path(place, name)
            if not (names.match(name) or (path.suffix == ".zip" and "event" in name)):
                continue
            fault = link_fault(path, root)
            if names.match(name):
                yield EventFile(path, None, fault)
            elif fault:
                raise InputError(f"{path}: {fault}")
            else:
                yield from _in_archive(path, names)


def link_fault(path: Path, root: Path) -> str:
    """Fault of a path that is a link; "": none."""
    if not path.resolve().is_relative_to(root):
        return "is a link out of its folder; allowed: files inside of it"
    return "" if path.exists() else "is a link to nothing; allowed: a file"


def _beside(path: Path, names: FileNames) -> Iterator[EventFile]:
    """The event files in the folder of one of them."""
    root = path.parent.resolve()
    for neighbour in sorted(path.parent.iterdir()):
        if names.match(neighbour.name):
            yield EventFile(neighbour, None, link_fault(neighbour, root))


def _in_archive(path: Path, names: FileNames) -> Iterator[EventFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: can't be read ({error}); allowed: a .zip of event files") from error
    for name in members:
        match = names.match(Path(name).name)
        if match and not name.endswith((".zip", "/")) and "__MACOSX" not in name:
            yield EventFile(path, name)


def _only_member(file: EventFile, archive: zipfile.ZipFile) -> str:
    names = [name for name in archive.namelist() if name.endswith(".csv")]
    if len(names) != 1:
        raise InputError(f"{file}: holds {len(names)} .csv files; allowed: one")
    return names[0]
