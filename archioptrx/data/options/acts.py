"""Options of the source `acts`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.data.options.base import HERE, option, read_files
from archioptrx.data.options.building import Cuts

FILES = ("event*-measurement*.csv*", "*/event*-measurements.csv*", "event*-particles_*.csv*")
"""Names of files by which a path is known to be of this source."""
_HITS = "event*-hits.csv"
"""Names of simulated hits, which those of TrackML's hits are too."""


def holds_hits_of_acts(path: Path) -> bool:
    """Whether a file of hits, or the first one of a folder, is one of Acts: modules are named, hits aren't."""
    files = sorted(path.glob(_HITS)) if path.is_dir() else [path] if path.match(_HITS) else []
    try:
        with files[0].open(encoding="utf-8", errors="replace") as file:
            columns = {column.strip() for column in file.readline().split(",")}
    except (IndexError, OSError):
        return False
    return "geometry_id" in columns and "hit_id" not in columns


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
