"""Options of the source `hitgraphs`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.data.options.base import HERE, edge_features_option, option, read_files, take_edge_features


@dataclass(frozen=True)
class HitgraphsOptions:
    """Files of HEP.TrkX; see `archioptrx.data.sources.hitgraphs`.

    Attributes
    ----------
    path
        One `.npz` file, or a folder of them.
    sectors
        Number of φ sectors that each event was divided into. None: from `metadata.json` where the folder has one, else
        inferred from the files; the number is kept in the metadata.
    skip_bad
        Leave out files that break the contract (and count them) instead of refusing the whole data set.
    events
        Read the first so many events, by name, and no more; all where there are fewer. None: all.
    edge_features
        Edge features instead of those that `Metadata` has, by their names in `data.doublets`. Empty: the usual ones.
    usual_sectors
        Number of φ sectors where it stands nowhere else: that of a model's training data. No key of experiment files.
    """

    source: ClassVar[str] = "hitgraphs"
    about: ClassVar[str] = "hit graphs in the .npz files of HEP.TrkX"
    path: Path = option(HERE, "a .npz file or a folder of them", str)
    sectors: int | None = option(None, "φ sectors of an event (default: inferred)", int)
    skip_bad: bool = option(False, "leave out bad files and count them")
    events: int | None = option(None, "read the first so many events", int)
    edge_features: tuple[str, ...] = edge_features_option()
    usual_sectors: int | None = None

    @classmethod
    def read(cls, fields: Fields) -> HitgraphsOptions:
        """Take and check the options."""
        given = read_files(fields, "a folder of .npz files or one of them")
        sectors = fields.take("sectors", (int, str), "auto", choices=["auto"], minimum=1)
        features = take_edge_features(fields)
        return cls(**given, sectors=None if sectors == "auto" else sectors, edge_features=features)
