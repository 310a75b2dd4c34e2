"""Finding ColliderML's Parquet files and the events in them.

A file is of the table that its folder or its name names; three layouts are known:

    data/ttbar_pu200_tracker_hits/train-*.parquet                               as published
    …/ttbar_pu200_tracker_hits/data/ttbar_pu200_tracker_hits/train-*.parquet    as its library downloads
    tracker_hits_000000-001000.parquet                                          as Acts writes
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from archioptrx.core.errors import InputError
from archioptrx.data.options.colliderml import ColliderMLOptions
from archioptrx.data.sources.files import files_in, stamp
from archioptrx.data.sources.parquet_rows import Row, event_numbers

HITS, PARTICLES = "tracker_hits", "particles"
ALLOWED = "a folder of ColliderML's Parquet files, with the table tracker_hits"
_FOLDER = re.compile(rf"(?P<dataset>.+)_(?P<table>{HITS}|{PARTICLES})")
_FILE = re.compile(rf"((?P<dataset>.+?)[._](truth\.|reco\.)?)?(?P<table>{HITS}|{PARTICLES})([._-].*)?\.parquet")


@dataclass(frozen=True)
class TableFile:
    """A file of one table.

    Attributes
    ----------
    path
        Path on disk.
    table
        `HITS` or `PARTICLES`.
    dataset
        Channel and pile-up, or empty where no name says it.
    folder
        Folder in which it was found, out of which no link may lead.
    """

    path: Path
    table: str
    dataset: str
    folder: Path


@dataclass(frozen=True)
class EventRows:
    """Rows of one event.

    Attributes
    ----------
    number
        Number of the event.
    hits
        Row of its hits.
    particles
        Row of its particles; None where the data set has no such table.
    faults
        Faults of the files, for which nothing of it is read.
    """

    number: int
    hits: Row | None
    particles: Row | None = None
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the event, or the file that is at fault."""
        return f"event{self.number:09d}" if self.number >= 0 else self.faults[0].partition(": ")[0]

    @property
    def key(self) -> str:
        """Text of rows, sizes and times of the files; it changes when their content does."""
        rows = [row for row in (self.hits, self.particles) if row is not None]
        return " ".join(f"{stamp(row.file)} {row.group} {row.number}" for row in rows) or " ".join(self.faults)


def table_of(file: Path, folder: Path) -> TableFile | None:
    """Table and data set of a file, by the name of its folder, else by its own; None: it is of another table.

    >>> table_of(Path("data/higgs_portal_pu10_particles/train-00000-of-00001.parquet"), Path("data")).dataset
    'higgs_portal_pu10'
    >>> table_of(Path("tracker_hits_000000-001000.parquet"), Path()).table
    'tracker_hits'
    """
    match = _FOLDER.fullmatch(file.parent.name) or _FILE.fullmatch(file.name)
    return TableFile(file, match["table"], match["dataset"] or "", folder) if match else None


def find_tables(options: ColliderMLOptions) -> dict[str, list[TableFile]]:
    """Files of each table, of one data set, sorted.

    Raises
    ------
    InputError
        There are no hits, or several data sets and none is chosen.
    """
    path = options.path
    place = path.expanduser().absolute()
    named = [table_of(file, place) for file in files_in(place, ("*.parquet",), ALLOWED)]
    tables = [file for file in named if file is not None]
    if place.is_file() and (not tables or tables[0].table != HITS):
        raise InputError(f"{path}: is no file of the table {HITS}; allowed: {ALLOWED}, or one of its files")
    if tables and not any(file.table == PARTICLES for file in tables):
        tables += {file.path: file for hits in tables for file in _beside(hits)}.values()
    known = sorted({file.dataset for file in tables if file.table == HITS})
    if not known:
        raise InputError(f"{path}: holds no table {HITS}; allowed: {ALLOWED}")
    if options.dataset and options.dataset not in known:
        raise InputError(f"{path}: holds no {options.dataset}; allowed: dataset {', '.join(filter(None, known))}")
    if len(known) > 1 and not options.dataset:
        raise InputError(f"{path}: holds {len(known)} data sets; allowed: dataset {', '.join(filter(None, known))}")
    chosen = options.dataset or known[0]
    return {
        table: sorted((f for f in tables if (f.table, f.dataset) == (table, chosen)), key=lambda file: file.path)
        for table in (HITS, PARTICLES)
    }


def _beside(hits: TableFile) -> Iterable[TableFile]:
    """Files of particles that belong to a file of hits, in each layout."""
    folder, other = hits.path.parent, f"{hits.dataset}_{PARTICLES}"
    places = [folder, folder.parent / other]
    if folder.parent.name == "data":
        places.append(folder.parent.parent.parent / other / "data" / other)
    for place in places:
        for file in sorted(place.glob("*.parquet")):
            table = table_of(file, place)
            if table is not None and (table.table, table.dataset) == (PARTICLES, hits.dataset):
                yield table


def find_events(options: ColliderMLOptions) -> list[EventRows]:
    """The events, by number; files that can't be read, and numbers that stand twice, come first as faults.

    Raises
    ------
    InputError
        See `find_tables`; or there is no event in the chosen range.
    """
    tables = find_tables(options)
    faults: list[str] = []
    rows = {table: _rows_of(tables[table], faults) for table in (HITS, PARTICLES)}
    below = options.below_event
    numbers = [n for n in sorted(rows[HITS]) if n >= options.from_event and (below is None or n < below)]
    if not numbers and not faults:
        limits = f" from {options.from_event} on" + (f" and below {below}" if below is not None else "")
        first, last = (min(rows[HITS]), max(rows[HITS])) if rows[HITS] else (0, -1)
        allowed = f"numbers in {first} … {last}" if rows[HITS] else "a table with rows"
        raise InputError(f"{options.path}: holds no event{limits}; allowed: {allowed}")
    events = [EventRows(-1, None, None, (fault,)) for fault in faults]
    for number in numbers[: options.events]:
        particles = rows[PARTICLES].get(number)
        lacks = bool(tables[PARTICLES]) and particles is None
        fault = f"{rows[HITS][number].file}: event {number}: has no row in the table {PARTICLES}; allowed: one"
        events.append(EventRows(number, rows[HITS][number], particles, (fault,) if lacks else ()))
    return events


def _rows_of(files: list[TableFile], faults: list[str]) -> dict[int, Row]:
    """Row of each event of a table; faults are added to the list."""
    rows: dict[int, Row] = {}
    for file in files:
        try:
            for number, row in event_numbers(file.path, file.folder):
                if number < 0:
                    raise InputError(f"{file.path}: event_id is {number}; allowed: 0 or more")
                if number in rows:
                    twin = rows[number].file
                    raise InputError(f"{file.path}: event {number} stands twice, also in {twin}; allowed: once")
                rows[number] = row
        except InputError as error:
            faults += error.faults
    return rows
