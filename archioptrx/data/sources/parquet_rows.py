"""Rows of Parquet files whose row is an event and whose columns are lists: read one by one, never a file as a whole.

A file of a stranger is checked before it is decoded: a row group may not claim more numbers than the file can hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archioptrx.core.errors import InputError, reason_of
from archioptrx.data.sources.files import file_fault, stamp
from archioptrx.data.storage.workers import Ended, OwnProcess

Array = NDArray[Any]

LARGEST = 64 * 2**30
"""Most bytes of a file."""
USUAL_NUMBERS = 1 << 24
"""Numbers that a column of a row group may hold in any file; more than that, one for each byte of the file. Coordinates
don't repeat, so that a file of real hits has three bytes or more for each."""
EVENT = "event_id"
BROKEN = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, MemoryError, OverflowError)
"""Exceptions that pyarrow raises about damaged files."""


class Row(NamedTuple):
    """Place of a row: file, row group, and number inside of the group."""

    file: Path
    group: int
    number: int


def event_numbers(file: Path, folder: Path) -> list[tuple[int, Row]]:
    """Number of the event of each row, without reading anything else.

    Raises
    ------
    InputError
        The file can't be read, leads out of its folder, claims more than it can hold, or has no column of numbers of
        events.
    """
    if (fault := file_fault(file, folder, LARGEST)) is not None:
        raise InputError(f"{file}: {fault}")
    # pyarrow 26.0.1 ends the process where it is asked for a column's claims in some damaged footers.
    try:
        return _FOOTERS.call(_event_numbers, file)
    except Ended as error:
        raise InputError(f"{file}: ends the process that reads it ({error}); allowed: tables of ColliderML") from error


_FOOTERS = OwnProcess()


def _event_numbers(file: Path) -> list[tuple[int, Row]]:
    try:
        parquet = pq.ParquetFile(file)
        groups = [parquet.metadata.row_group(number) for number in range(parquet.num_row_groups)]
        claimed = max((g.column(k).num_values for g in groups for k in range(g.num_columns)), default=0)
    except BROKEN as error:
        raise _damaged(file, error) from error
    if claimed > max(USUAL_NUMBERS, file.stat().st_size):
        raise InputError(
            f"{file}: claims {claimed:,} numbers in {file.stat().st_size:,} bytes, as a bomb does; "
            f"allowed: one for each byte, or {USUAL_NUMBERS:,}"
        )
    if EVENT not in parquet.schema_arrow.names or not pa.types.is_integer(parquet.schema_arrow.field(EVENT).type):
        raise InputError(f"{file}: has no column {EVENT} of whole numbers; allowed: tables of ColliderML")
    found = []
    try:
        for group in range(parquet.num_row_groups):
            numbers = parquet.read_row_group(group, [EVENT], use_threads=False).column(0).combine_chunks()
            if numbers.null_count:
                raise InputError(f"{file}: {EVENT} is missing in a row; allowed: a number for each event")
            found += [(number, Row(file, group, place)) for place, number in enumerate(numbers.to_pylist())]
    except BROKEN as error:
        raise _damaged(file, error) from error
    return found


def column_names(file: Path, folder: Path) -> tuple[str, ...]:
    """Names of a file's columns.

    Raises
    ------
    InputError
        The file can't be read, or leads out of its folder.
    """
    if (fault := file_fault(file, folder, LARGEST)) is not None:
        raise InputError(f"{file}: {fault}")
    try:
        return tuple(pq.ParquetFile(file).schema_arrow.names)
    except BROKEN as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> InputError:
    return InputError(f"{file}: can't be read as Parquet ({reason_of(error, 100)}); allowed: tables of ColliderML")


class _Group:
    """Rows of a row group in order: the reader goes on from the last row that was asked for."""

    def __init__(self, file: Path, group: int, columns: Sequence[str]) -> None:
        self._file, self._group = pq.ParquetFile(file), group
        self.columns = [name for name in columns if name in self._file.schema_arrow.names]
        self._restart()

    def _restart(self) -> None:
        self._next = 0
        self._batches: Iterator[pa.RecordBatch] = self._file.iter_batches(
            batch_size=1, row_groups=[self._group], columns=self.columns, use_threads=False
        )

    def row(self, number: int) -> pa.RecordBatch:
        """The row as a table of one row."""
        if number < self._next:
            self._restart()
        while True:
            batch = next(self._batches)
            self._next += batch.num_rows
            if number < self._next:
                return batch.slice(batch.num_rows - (self._next - number), 1)


@lru_cache(maxsize=4)
def _group_of(file: Path, content: str, group: int, columns: tuple[str, ...]) -> _Group:
    """The reader of a row group, kept for the next row; `content` changes with the file."""
    return _Group(file, group, columns)


class Lists(NamedTuple):
    """Columns of one event: lists of one length as arrays.

    Attributes
    ----------
    place
        File and event, the start of messages.
    columns
        Numbers by name, [rows] each; where a number is missing stands 0.
    missing
        Marks of missing numbers by name, of the columns that have any.
    """

    place: str
    columns: dict[str, Array]
    missing: dict[str, NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def stack(self, *names: str) -> Array:
        """Columns side by side. Shapes: -> float64 [rows, names]."""
        return np.stack([self.columns[name] for name in names], axis=1).astype(np.float64)


def read_row(row: Row, event: int, needed: Sequence[str], further: Sequence[str] = ()) -> Lists:
    """Read some columns of an event.

    Parameters
    ----------
    row, event
        Place and number of the event.
    needed, further
        Columns that have to be there, and those that may be missing.

    Raises
    ------
    InputError
        Columns are missing, hold no lists of numbers, or differ in length; or the file is damaged.
    """
    place = f"{row.file}: event {event}"
    try:
        group = _group_of(row.file, stamp(row.file), row.group, (*needed, *further))
        if lacking := [name for name in needed if name not in group.columns]:
            raise InputError(f"{row.file}: lacks {', '.join(lacking)}; allowed: the columns {', '.join(needed)}")
        batch = group.row(row.number)
        read = {name: _numbers(f"{place}: {name}", batch.column(name)) for name in group.columns}
    except (*BROKEN, StopIteration) as error:
        raise _damaged(row.file, error) from error
    lengths = {name: len(values) for name, (values, _) in read.items()}
    if len(set(lengths.values())) > 1:
        texts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"{place}: its columns have different lengths ({texts}); allowed: lists of one length")
    missing = {name: marks for name, (_, marks) in read.items() if marks is not None}
    return Lists(place, {name: values for name, (values, _) in read.items()}, missing)


def _numbers(place: str, column: pa.Array) -> tuple[Array, NDArray[np.bool_] | None]:
    """The list of a column of one row as an array, and marks of missing numbers, if there are any."""
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise InputError(f"{place} holds {kind!s:.60}; allowed: a list of numbers for each event")
    known = pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean
    if not any(is_kind(kind.value_type) for is_kind in known):
        raise InputError(f"{place} holds lists of {kind.value_type!s:.60}; allowed: lists of numbers")
    if column.null_count:
        raise InputError(f"{place} is missing; allowed: a list of numbers, which may be empty")
    values = column.flatten()
    if not values.null_count:
        return values.to_numpy(zero_copy_only=False), None
    if pa.types.is_floating(kind.value_type):
        return values.to_numpy(zero_copy_only=False), values.is_null().to_numpy(zero_copy_only=False)
    return (
        values.fill_null(False if pa.types.is_boolean(kind.value_type) else 0).to_numpy(zero_copy_only=False),
        values.is_null().to_numpy(zero_copy_only=False),
    )
