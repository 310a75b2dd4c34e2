"""Options of the source `pickle`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.data.options.base import HERE, edge_features_option, option, read_files, take_edge_features

FILES = ("*.pickle", "*.pkl")
"""Names of files by which a path is known to be of this source."""


@dataclass(frozen=True)
class PickleOptions:
    """Samples of the notebook, in a pickle; see `archioptrx.data.sources.pickle`.

    Attributes
    ----------
    path
        A `.pickle` or `.pkl` file, or a folder of them.
    skip_bad
        Leave out samples that break the contract (and count them) instead of refusing the whole data set.
    events
        Take the first so many samples of all files, by name of the file, and no more. None: all.
    edge_features
        Edge features instead of those that `Metadata` has, by their names in `data.doublets`. Empty: the usual ones.
    """

    source: ClassVar[str] = "pickle"
    about: ClassVar[str] = "samples of the notebook in a pickle: hits, and graphs as neighbour lists"
    path: Path = option(HERE, "a .pickle or .pkl file, or a folder of them", str)
    skip_bad: bool = option(False, "leave out bad samples and count them")
    events: int | None = option(None, "take the first so many samples", int)
    edge_features: tuple[str, ...] = edge_features_option()

    @classmethod
    def read(cls, fields: Fields) -> PickleOptions:
        """Take and check the options."""
        return cls(**read_files(fields, "a .pickle file or a folder of them"), edge_features=take_edge_features(fields))
