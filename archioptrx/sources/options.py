"""What each source can be told. No torch here: an experiment file is checked without it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archioptrx.config import Fields


@dataclass(frozen=True)
class ToyOptions:
    """Tracks of a two-dimensional detector; see `archioptrx.sources.toy`.

    Attributes
    ----------
    num_samples
        Number of events.
    num_layers, height
        Number of equidistant layers, and radius of the outermost one. Unit of length: 100 mm.
    curve_min, curve_max
        Radius of curvature of the tracks, drawn uniformly between the two. Unit of length: 100 mm.
    event_size_min, event_size_max
        Number of tracks of an event, drawn uniformly, both included.
    max_angle
        Opening angle of the cone that the tracks start into, rad.
    seed
        The same seed gives the same data.
    """

    source: ClassVar[str] = "toy"
    num_samples: int = 1000
    num_layers: int = 10
    height: float = 10.0
    curve_min: float = 15.0
    curve_max: float = 50.0
    event_size_min: int = 4
    event_size_max: int = 12
    max_angle: float = 0.7 * math.pi
    seed: int = 0

    @classmethod
    def read(cls, fields: Fields) -> ToyOptions:
        """Take and check the options."""
        counts = {"num_samples": 1, "num_layers": 2, "event_size_min": 1, "event_size_max": 1, "seed": 0}
        values = {k: fields.take(k, int, getattr(cls, k), minimum=low) for k, low in counts.items()}
        for key in ("height", "curve_min", "curve_max", "max_angle"):
            values[key] = fields.take(key, float, getattr(cls, key), minimum=1e-6)
        options = cls(**values)
        for low, high in (("curve_min", "curve_max"), ("event_size_min", "event_size_max")):
            if getattr(options, low) > getattr(options, high):
                fields.fault(low, f"is {getattr(options, low)}; legal: {high} or less, {getattr(options, high)}")
        if not options.max_angle <= 2 * math.pi:
            fields.fault("max_angle", f"is {options.max_angle:g}; legal: 2π rad or less")
        second = 2 * options.height / options.num_layers
        if 2 * options.curve_min < second:
            fields.fault(
                "curve_min",
                f"is {options.curve_min:g}: no track that reaches two layers; legal: {second / 2:g} or more",
            )
        return options


@dataclass(frozen=True)
class HitgraphsOptions:
    """Files of HEP.TrkX; see `archioptrx.sources.hitgraphs`.

    Attributes
    ----------
    path
        One `.npz` file, or a folder of them.
    sectors
        Number of φ sectors that each event was divided into. None: from `metadata.json` where the folder has one, else
        inferred from the files; what was found is kept in the metadata.
    skip_bad
        Leave out files that break the contract (and count them) instead of refusing the whole data set.
    events
        Read the first so many events, by name, and no more; all where there are fewer. None: all.
    usual_sectors
        Number of φ sectors to expect where nothing else tells it: that of a model's training data. Not for files.
    """

    source: ClassVar[str] = "hitgraphs"
    path: Path
    sectors: int | None = None
    skip_bad: bool = False
    events: int | None = None
    usual_sectors: int | None = None

    @classmethod
    def read(cls, fields: Fields) -> HitgraphsOptions:
        """Take and check the options."""
        path = fields.take("path", str, "")
        if not path:
            fields.fault("path", "is missing; legal: a folder of .npz files or one of them, also as --data PATH")
        sectors = fields.take("sectors", (int, str), "auto", choices=["auto"], minimum=1)
        skip_bad = fields.take("skip_bad", bool, False)
        events = fields.take("events", (int, type(None)), None, minimum=1)
        return cls(Path(path or "."), None if sectors == "auto" else sectors, skip_bad, events)


Options = ToyOptions | HitgraphsOptions

SOURCES: dict[str, type[ToyOptions] | type[HitgraphsOptions]] = {
    "toy": ToyOptions,
    "hitgraphs": HitgraphsOptions,
}
"""Each source by name. The module of that name in this package has `load(options) -> Dataset`."""
