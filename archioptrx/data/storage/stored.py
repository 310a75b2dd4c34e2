"""Data sets on disk: a folder of files of graphs, and an index of what is in them.

Its graphs are read when they are asked for, so a data set may be larger than memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from archioptrx.core.errors import InputError
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.storage import cache
from archioptrx.data.storage.graph_file import GraphFile, GraphWriter, StoredGraph
from archioptrx.data.storage.graph_views import Facts, Graphs

MAPPED = 8
"""Files of one data set that are mapped at a time, apart from those whose graphs are in use."""
FILE_SIZE = 64 * 2**20
"""Bytes after which `write_graphs` begins another file."""


class DamagedError(Exception):
    """A folder differs from the one that was written: it has to be made again."""


class Written(NamedTuple):
    """A file of graphs: its name, its size in bytes, and where each graph lies."""

    name: str
    size: int
    entries: tuple[StoredGraph, ...]


class Store:
    """A finished folder.

    Parameters
    ----------
    folder
        Path of the folder.
    temporary
        True: remove it with the last object of this process that uses it, at the end of the process at the latest.

    Attributes
    ----------
    about
        Content that was written beside the graphs.
    size
        Bytes of the graphs.
    temporary
        True: the folder is removed, as with the parameter.

    Raises
    ------
    DamagedError
        A file is missing or has another size, or the index isn't as it was written.
    """

    def __init__(self, folder: Path, temporary: bool = False) -> None:
        self.folder = folder
        index = _read_index(folder)
        files = [Written(name, size, tuple(StoredGraph(*row) for row in rows)) for name, size, rows in index["files"]]
        for file in files:
            path = folder / file.name
            if not path.is_file() or path.stat().st_size != file.size:
                raise DamagedError(f"{path} is missing or cut short")
        self.about: dict[str, Any] = index["about"]
        self.size = sum(file.size for file in files)
        self._files = files
        self._entries = [(number, entry) for number, file in enumerate(files) for entry in file.entries]
        self._checked = bytearray(len(self._entries))
        self._mapped: OrderedDict[int, GraphFile] = OrderedDict()
        self.temporary = temporary
        if temporary:
            weakref.finalize(self, _remove, folder, os.getpid())

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, number: int) -> StoredGraph:
        """Look a graph up."""
        return self._entries[number][1]

    def read(self, number: int) -> HitGraph:
        """Map a graph. Its bytes are compared with their check sum the first time.

        Raises
        ------
        InputError
            The bytes differ, or the file is gone.
        """
        which, entry = self._entries[number]
        path = self.folder / self._files[which].name
        try:
            file = self._mapped.get(which) or GraphFile(path, self._files[which].size)
        except (RuntimeError, OSError) as error:  # torch raises the first
            reason = "it is gone" if not path.exists() else str(error).splitlines()[0]
            raise InputError(f"{path}: can't be read any more ({reason}); allowed: start again") from error
        self._mapped[which] = file
        self._mapped.move_to_end(which)
        if len(self._mapped) > MAPPED:
            self._mapped.popitem(last=False)
        if not self._checked[number]:
            if not file.whole(entry):
                (self.folder / cache.INDEX).unlink(missing_ok=True)
                raise InputError(
                    f"{path}: is damaged at {entry.event} sector {entry.sector}; "
                    "allowed: start again, it will be made anew"
                )
            self._checked[number] = 1
        return file.read(entry)


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not at the end of a process that was forked off
        shutil.rmtree(folder, ignore_errors=True)


@lru_cache(maxsize=16)
def opened(folder: Path) -> Store:
    """A store that was named by another process; one for all views of this one.

    Raises
    ------
    InputError
        It isn't there, for example since this process runs on another machine.
    """
    try:
        return Store(folder)
    except (DamagedError, OSError) as error:
        raise InputError(
            f"{folder}: can't be read here ({error}); allowed: a cache that all machines share ({cache.FOLDER}=DIR)"
        ) from error


class StoredGraphs(Graphs):
    """Graphs of a store. Pickled as the name of its folder: the process that reads it maps the same files."""

    def __init__(self, store: Store, places: Sequence[int] | np.ndarray[Any, Any] | None = None) -> None:
        self.store = store
        self._places = np.arange(len(store)) if places is None else np.asarray(places, dtype=np.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.store.folder, self._places)

    def __len__(self) -> int:
        return len(self._places)

    def graph(self, place: int) -> HitGraph:
        """Map one graph."""
        return self.store.read(int(self._places[place]))

    def take(self, places: Sequence[int]) -> StoredGraphs:
        """View those at some places."""
        return StoredGraphs(self.store, self._places[np.asarray(places, dtype=np.int64)])

    @property
    def size(self) -> int:
        """Bytes of the graphs' files."""
        entries = (self.store.entry(int(place)) for place in self._places)
        return sum(entry.end - entry.start for entry in entries)

    def facts(self, place: int) -> Facts:
        """Look a graph up in the index."""
        entry = self.store.entry(int(self._places[place]))
        return Facts(entry.event, entry.sector, entry.hits, entry.edges)

    def digest(self, place: int) -> bytes:
        """Look up a graph's digest in the index."""
        return bytes.fromhex(self.store.entry(int(self._places[place])).digest)


def _reopened(folder: Path, places: np.ndarray[Any, Any]) -> StoredGraphs:
    return StoredGraphs(opened(folder), places)


def write_graphs(folder: Path, name: str, graphs: Iterable[HitGraph], size: int = FILE_SIZE) -> list[Written]:
    """Write graphs to files of about a size, `NAME.graphs`, `NAME-1.graphs` …; no graph, no file.

    Raises
    ------
    InputError
        The folder can't be written, for example since the disk is full.
    """
    written: list[Written] = []
    remaining = iter(graphs)
    while True:
        path = folder / (f"{name}-{len(written)}.graphs" if written else f"{name}.graphs")
        entries: list[StoredGraph] = []
        try:
            with GraphWriter(path) as file:
                for graph in remaining:
                    entries.append(file.add(graph))
                    if file.size >= size:
                        break
        except OSError as error:
            raise InputError(
                f"{folder}: can't be written ({error.strerror}); allowed: {cache.FOLDER}=DIR, a folder with more room"
            ) from error
        if not entries:
            return written
        written.append(Written(path.name, file.size, tuple(entries)))


def write_index(folder: Path, files: Sequence[Written], facts: Mapping[str, Any]) -> None:
    """Write the index of a folder; a folder without it isn't finished."""
    content = {"files": [(f.name, f.size, f.entries) for f in files], "about": dict(facts)}
    text = json.dumps(content, ensure_ascii=False)
    check = hashlib.sha256(text.encode()).hexdigest()
    (folder / cache.INDEX).write_text(f"{check}\n{text}\n", encoding="utf-8")


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        check, _, text = (folder / cache.INDEX).read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedError(f"{folder / cache.INDEX} can't be read") from error
    if hashlib.sha256(text.rstrip("\n").encode()).hexdigest() != check:
        raise DamagedError(f"{folder / cache.INDEX} isn't as it was written")
    content: dict[str, Any] = json.loads(text)
    return content


def recalled(source: str, key: str) -> Store | None:
    """A data set of the cache, if it is there and whole."""
    folder = cache.place(source, key)
    if folder is None or not folder.is_dir():
        return None
    try:
        store = Store(folder)
    except DamagedError:
        return None  # it is made again, and replaced
    cache.touch(folder)
    return store


def finished(folder: Path, source: str, key: str, keep: bool) -> Store:
    """Move a complete folder to its place, and open it.

    Parameters
    ----------
    keep
        True: in the cache, where there is one.
    """
    target = cache.place(source, key) if keep else None
    if target is None:
        return Store(folder, temporary=True)
    try:
        folder.rename(target)
    except OSError:  # something has the name
        if (store := recalled(source, key)) is not None:  # another process was faster
            shutil.rmtree(folder, ignore_errors=True)
            return store
        cache.replace(folder, target)
    return Store(target)


def remade(graphs: Iterable[HitGraph], source: str, key: str) -> StoredGraphs:
    """Graphs that were made of stored ones, stored in turn; found again where they were made before."""
    with cache.locked(source, key):
        store = recalled(source, key)
        if store is None:
            folder = cache.draft(source, key, keep=True)
            try:
                write_index(folder, write_graphs(folder, "graphs", graphs), {})
                store = finished(folder, source, key, keep=True)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    return StoredGraphs(store)
