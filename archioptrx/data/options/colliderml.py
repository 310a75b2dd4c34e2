"""Options of the source `colliderml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.data.options.base import HERE, option, read_files
from archioptrx.data.options.building import Cuts

FILES = (
    "*.parquet",
    "*_tracker_hits/*.parquet",
    "tracker_hits/*.parquet",
    "data/*_tracker_hits/*.parquet",
    "*/data/*_tracker_hits/*.parquet",
    "*/*/data/*_tracker_hits/*.parquet",
)
"""Names of files by which a path is known to be of this source."""


@dataclass(frozen=True)
class ColliderMLOptions(Cuts):
    """Events of ColliderML; see `archioptrx.data.sources.colliderml`. Cuts and sectors: see `Cuts`.

    Attributes
    ----------
    path
        A folder of Parquet files (in folders of their own too), or one file of the table `tracker_hits`.
    skip_bad
        Leave out events that break the contract (and count them) instead of refusing the whole data set.
    events
        Read the first so many events, by number, and no more; all where there are fewer. None: all.
    dataset
        Channel and pile-up, for example `ttbar_pu200`, where a folder has several. Empty: it has one.
    from_event, below_event
        Only events with a number from the first on, and below the second. The benchmark's own events are 90,000 to
        99,999. None: no limit.
    """

    source: ClassVar[str] = "colliderml"
    about: ClassVar[str] = "events of ColliderML: Parquet tables of hits and particles in the Open Data Detector"
    path: Path = option(HERE, "a folder of Parquet files, or one file of tracker_hits", str)
    skip_bad: bool = option(False, "leave out bad events and count them")
    events: int | None = option(None, "read the first so many events", int)
    dataset: str = option("", "channel and pile-up, such as ttbar_pu200, where the folder has several")
    from_event: int = option(0, "leave out events with smaller numbers")
    below_event: int | None = option(None, "leave out events from this number on", int)

    @classmethod
    def read(cls, fields: Fields) -> ColliderMLOptions:
        """Take and check the options."""
        return cls(
            **read_files(fields, "a folder of Parquet files of ColliderML"),
            dataset=fields.take("dataset", str, ""),
            from_event=fields.take("from_event", int, 0, minimum=0),
            below_event=fields.take("below_event", (int, type(None)), None, minimum=1),
            **Cuts.read_values(fields),
        )
