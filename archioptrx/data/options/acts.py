"""Options of the source `acts`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.data.options.base import HERE, option, read_files
from archioptrx.data.options.building import Cuts

FILES = ("event*-measurement*.csv*", "*/event*-measurements.csv*")
"""Names of files by which a path is known to be of this source."""


@dataclass(frozen=True)
class ActsOptions(Cuts):
    """Events in the CSV files of Acts; see `archioptrx.data.sources.acts`. Cuts and sectors: see `Cuts`.

    Attributes
    ----------
    path
        A folder of event files (in folders of their own too), a .zip of them, or any file of one event.
    skip_bad
        Leave out events that break the contract (and count them) instead of refusing the whole data set.
    events
        Read the first so many events, by name, and no more; all where there are fewer. None: all.
    """

    source: ClassVar[str] = "acts"
    about: ClassVar[str] = "events of Acts in its GenericDetector: CSV files of measurements, sim hits, particles"
    path: Path = option(HERE, "a folder or .zip of event files, or a file of one event", str)
    skip_bad: bool = option(False, "leave out bad events and count them")
    events: int | None = option(None, "read the first so many events", int)

    @classmethod
    def read(cls, fields: Fields) -> ActsOptions:
        """Take and check the options."""
        files = read_files(fields, "a folder or .zip of event*-measurements.csv files")
        return cls(**files, **Cuts.read_values(fields))
