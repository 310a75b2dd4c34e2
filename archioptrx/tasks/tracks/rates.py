"""Rates of tracks that are shown in bins, and the rows of these bins. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OF_TRACKS = "of_tracks"
"""Key of the rates in bins of the tracks' own quantities."""


Bins = Mapping[str, Any]
"""Rows of bins by quantity, see `binned.in_bins`."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Rate:
    """A rate that is shown in bins.

    Attributes
    ----------
    name, title
        Its key in rows of bins, and its name for readers.
    of_tracks
        True: of tracks, by their own quantities. False: of particles, by their true ones.
    low, high, count
        Keys of the ends of its interval, and of the number of tracks or particles.
    """

    name: str
    title: str
    of_tracks: bool
    low: str
    high: str
    count: str

    def title_of(self, quantity: str) -> str:
        """Title of an axis: a quantity, and of what.

        >>> RATES[0].title_of("pt"), RATES[1].title_of("eta"), RATES[0].title_of("z")
        ('pT of the particle [GeV]', '|η| of the track', 'z of the vertex [mm]')
        """
        name, space, unit = TITLES[quantity].partition(" ")
        owner = "track at the beam line" if quantity == "z" else "track"
        return f"{name} of the {owner if self.of_tracks else 'vertex' if quantity == 'z' else 'particle'}{space}{unit}"

    def span(self, curves: Iterable[Mapping[str, Any]]) -> tuple[float, float]:
        """Range of an axis that shows the intervals of some curves, of bins that hold `ENOUGH` tracks or particles."""
        tables = [self.rows(bins, name) for bins in curves for name in TITLES]
        rows = [row for table in tables for row in table if row[self.count] >= ENOUGH * self._total(table)]
        least, most = (
            min((row[self.low] for row in rows), default=0.0),
            max((row[self.high] for row in rows), default=1.0),
        )
        least, most = (0.0, most) if self.of_tracks else (least, 1.0)
        room = 0.04 * (most - least or 1)
        return least - room, most + room

    def _total(self, rows: Sequence[Row]) -> int:
        return sum(row[self.count] for row in rows)

    def text(self, row: Mapping[str, Any] | None) -> str:
        """The rate of a row with its interval.

        >>> EFFICIENCY.text({"efficiency": 0.98, "low": 0.951, "high": 0.9934}), EFFICIENCY.text(None)
        ('0.980 0.951…0.993', '–')
        """
        if row is None or row[self.name] is None:
            return "–"
        return f"{row[self.name]:.3f} {row[self.low]:.3f}…{row[self.high]:.3f}"

    def rows(self, bins: Mapping[str, Any], quantity: str) -> Sequence[Mapping[str, Any]]:
        """Rows of a result of `in_bins` that have this rate; none where it isn't known."""
        table = bins.get(OF_TRACKS, {}) if self.of_tracks else bins
        return [row for row in table.get(quantity, ()) if self.name in row]


EFFICIENCY = Rate("efficiency", "efficiency", False, "low", "high", "particles")
RATES = (
    EFFICIENCY,
    Rate("fake_rate", "fake rate", True, "fake_low", "fake_high", "tracks"),
    Rate("duplicate_rate", "duplicate rate", True, "duplicate_low", "duplicate_high", "tracks"),
)
TITLES = {"pt": "pT [GeV]", "eta": "|η|", "phi": "φ [rad]", "z": "z [mm]"}
"""Titles of the quantities of `BINS`."""
ENOUGH = 0.02
"""Least share of a curve's tracks or particles in a bin that has a say in the range of an axis: the interval of few
tracks fills any axis."""


def drawn_rates(curves: Iterable[Bins]) -> list[tuple[Rate, list[str]]]:
    """The rates that some curves have, and the quantities that each is known against."""
    given = list(curves)
    known = [(rate, [name for name in TITLES if any(rate.rows(bins, name) for bins in given)]) for rate in RATES]
    return [(rate, names) for rate, names in known if names]


def bin_ends(tables: Iterable[Sequence[Mapping[str, Any]]]) -> list[float]:
    """Ends of all bins of some curves, in order."""
    return sorted({end for rows in tables for row in rows for end in (low_end(row), _high(row))})


def bin_rows(tables: Iterable[Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """A row of each bin of some curves, in order."""
    rows = {low_end(row): row for rows in tables for row in rows}
    return [rows[low] for low in sorted(rows)]


def low_end(row: Row) -> float:
    """Lower end of a bin."""
    return -math.inf if row["from"] is None else float(row["from"])


def _high(row: Mapping[str, Any]) -> float:
    return math.inf if row["to"] is None else float(row["to"])


def range_text(row: Mapping[str, Any]) -> str:
    """Ends of a bin as text.

    >>> range_text({"from": 5.0, "to": None}), range_text({"from": None, "to": -100.0})
    ('5 … ∞', '-∞ … -100')
    """
    low, high = ("∞" if end is None else f"{end:.3g}" for end in (row["from"], row["to"]))
    return f"{'-' if row['from'] is None else ''}{low} … {high}"
