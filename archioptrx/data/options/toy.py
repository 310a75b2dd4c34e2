"""Options of the source `toy`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.data.options.base import edge_features_option, option, take_edge_features


@dataclass(frozen=True)
class ToyOptions:
    """Tracks of a two-dimensional detector; see `archioptrx.data.sources.toy`.

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
    edge_features
        Edge features instead of those that `Metadata` has, by their names in `data.doublets`. Empty: the usual ones.
    seed
        The same seed gives the same data.
    """

    source: ClassVar[str] = "toy"
    about: ClassVar[str] = "tracks of a two-dimensional detector, made here"
    num_samples: int = option(1000, "events")
    num_layers: int = option(10, "layers")
    height: float = option(10.0, "radius of the outermost layer, in 100 mm")
    curve_min: float = option(15.0, "smallest radius of curvature, in 100 mm")
    curve_max: float = option(50.0, "largest radius of curvature, in 100 mm")
    event_size_min: int = option(4, "fewest tracks of an event")
    event_size_max: int = option(12, "most tracks of an event")
    max_angle: float = option(0.7 * math.pi, "opening angle of the cone of tracks, rad")
    edge_features: tuple[str, ...] = edge_features_option()
    seed: int = option(0, "seed")

    @classmethod
    def read(cls, fields: Fields) -> ToyOptions:
        """Take and check the options."""
        counts = {"num_samples": 1, "num_layers": 2, "event_size_min": 1, "event_size_max": 1, "seed": 0}
        values = {k: fields.take(k, int, getattr(cls, k), minimum=low) for k, low in counts.items()}
        for key in ("height", "curve_min", "curve_max", "max_angle"):
            values[key] = fields.take(key, float, getattr(cls, key), minimum=1e-6)
        options = cls(**values, edge_features=take_edge_features(fields))
        for low, high in (("curve_min", "curve_max"), ("event_size_min", "event_size_max")):
            if getattr(options, low) > getattr(options, high):
                fields.fault(low, f"is {getattr(options, low)}; allowed: {high} or less, {getattr(options, high)}")
        if not options.max_angle <= 2 * math.pi:
            fields.fault("max_angle", f"is {options.max_angle:g}; allowed: 2π rad or less")
        second = 2 * options.height / options.num_layers
        if 2 * options.curve_min < second:
            fields.fault(
                "curve_min",
                f"is {options.curve_min:g}: no track that reaches two layers; allowed: {second / 2:g} or more",
            )
        return options
