"""Tables of an event's CSV files: columns that have to be there, numbers that are finite, ids that are whole."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from archioptrx.core.errors import InputError, reason_of
from archioptrx.data.identifiers import NOISE
from archioptrx.data.sources.event_files import EventFile

Array = NDArray[Any]

PARTICLE_PARTS = tuple(f"particle_id_{part}" for part in ("pv", "sv", "part", "gen", "subpart"))
"""Columns that name a particle in Acts, see `archioptrx.data.sources.acts_numbers`."""
OF_ACTS = ("measurement_id", "geometry_id", "index", *PARTICLE_PARTS)
WHOLE = ("hit_id", "particle_id", "volume_id", "layer_id", "module_id", "q", *OF_ACTS)
"""Columns of whole numbers."""
PARTICLE = "particle_id"
"""The column in which a missing number stands for noise, as -1 does; see `archioptrx.data.identifiers`."""
_PANDAS = tuple(int(part) for part in pd.__version__.split(".")[:2])
_EXACT: dict[str, Any] = {} if _PANDAS >= (3, 1) else {"float_precision": "round_trip"}
"""Option that reads numbers exactly as written: from 3.1 on pandas does so anyway, and warns of the option."""


@dataclass(frozen=True, eq=False)
class Table:
    """Checked columns of a file.

    Attributes
    ----------
    file
        File that they come from; its name stands in messages.
    columns
        float64 or int64 [rows], by name.
    """

    file: EventFile
    columns: dict[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def stack(self, *names: str) -> Array:
        """Columns side by side. Shapes: -> float64 [rows, names]."""
        return np.stack([self.columns[name] for name in names], axis=1).astype(np.float64)

    def fault(self, row: int, text: str) -> InputError:
        """An error about a row (from 0), by its line in the file."""
        return InputError(f"{self.file}: line {row + 2}: {text}")

    def refuse(self, wrong: Array, name: str, rest: str) -> None:
        """Raise about the first row where `wrong` holds, with the value of one column.

        Raises
        ------
        InputError
            There is such a row.
        """
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self.fault(row, f"{name} is {self.columns[name][row]}{rest}")

    def bounded(self, names: Sequence[str], limit: float, unit: str) -> None:
        """Refuse numbers beyond a limit."""
        for name in names:
            self.refuse(np.abs(self[name]) > limit, name, f"; allowed: {-limit:g} … {limit:g} {unit}")

    def unique(self, name: str, allowed: str = "each once") -> None:
        """Refuse an id that stands twice."""
        values = self[name]
        _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
        again = first[inverse] != np.arange(len(values))
        if again.any():
            row = int(np.argmax(again))
            earlier = int(first[inverse[row]]) + 2
            raise self.fault(row, f"{name} {values[row]} is there twice, also in line {earlier}; allowed: {allowed}")

    def rows_in(self, other: Table, name: str, what: str = "hits") -> Array:
        """Row in another table of each row of this one, by an id of both; an unknown one is refused.

        Shapes: -> [rows].
        """
        unknown = f", unknown; allowed: {what} of {other.file.name}"
        if not len(other):
            self.refuse(np.ones(len(self), np.bool_), name, unknown)
            return np.zeros(0, np.int64)
        order = np.argsort(other[name])
        place = np.searchsorted(other[name], self[name], sorter=order)
        rows: Array = order[place.clip(0, len(order) - 1)]
        self.refuse(other[name][rows] != self[name], name, unknown)
        return rows


def read_table(file: EventFile, names: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """Read some columns of a file, and those of the optional ones that it has; the others are left aside.

    Raises
    ------
    InputError
        The file can't be read, lacks columns, or holds something else than finite (ids: whole) numbers.
    """
    content = file.read()
    if not content.strip():
        raise InputError(f"{file}: is empty; allowed: a line with {', '.join(names)}, and rows")
    frame = _parsed(file, content)
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError(f"{file}: line 1: lacks {', '.join(missing)}; allowed: the columns {', '.join(names)}")
    read = [*names, *(name for name in optional if name in frame.columns)]
    return Table(file, {name: _column(file, name, frame[name]) for name in read})


def column_names(file: EventFile) -> set[str]:
    """Names in the first line of a file; none where it can't be read."""
    try:
        line = file.read().partition(b"\n")[0].decode("utf-8", "replace")
    except InputError:  # reading its event says so
        return set()
    return {name.strip().strip('"') for name in line.split(",")}


def _parsed(file: EventFile, content: bytes) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        # Columns of mixed types become objects, which are refused with their row below.
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        try:
            return pd.read_csv(io.BytesIO(content), skip_blank_lines=False, index_col=False, **_EXACT)
        except (ValueError, pd.errors.ParserWarning, OverflowError) as error:
            raise InputError(f"{file}: is no table ({reason_of(error)}); allowed: CSV with a line of names") from error


def _column(file: EventFile, name: str, values: pd.Series) -> Array:
    """One column as int64 or float64; the first bad row is named."""
    allowed = "a whole number" if name in WHOLE else "a finite number"
    numbers = values.to_numpy() if len(values) else np.zeros(0)
    if numbers.dtype.kind not in "iuf":
        numbers = pd.to_numeric(values.astype(str), errors="coerce").to_numpy()
    if name == PARTICLE and numbers.dtype.kind == "f":
        numbers = np.where(values.isna(), NOISE, numbers)
    bad = ~np.isfinite(numbers)
    if name in WHOLE:
        bad |= np.abs(numbers) >= 2.0**63 if numbers.dtype.kind != "i" else False
        # From 2^53 on a number that came through floating point is no longer the one that was written.
        bad |= (numbers != np.round(numbers)) | (np.abs(numbers) >= 2.0**53) if numbers.dtype.kind == "f" else False
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"{file}: line {row + 2}: {name} is {values.iloc[row]!s:.40}; allowed: {allowed}")
    column: Array = numbers.astype(np.int64 if name in WHOLE else np.float64)
    return column
