"""pT, |η|, φ and z0 of tracks themselves: fakes have no particle whose quantities they could have.

Acts shows fakes and duplicates against the fitted parameters of a track (`FakePlotTool` and `DuplicationPlotTool`, as
`PatternRecognitionPerformanceCollector` fills them). Here they are those of `helix_fit`, for the tracks of Acts too:
the same estimate for all. A helix needs three hits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from archioptrx.data.dataset import Metadata
from archioptrx.data.options import OF
from archioptrx.tasks.tracks.helix import Resolution, Tracks
from archioptrx.tasks.tracks.helix_fit import Perigees, fit_tracks
from archioptrx.tasks.tracks.metrics import EventTracks, Floats, Ints, binned_value

USUAL_FIELD = 2.0
"""Field of data that don't name theirs, tesla: those of TrackML, of Acts' examples and of ColliderML."""
GEV = 0.299792458e-3
"""Transverse momentum of a particle of charge 1 whose circle has a radius of 1 mm in a field of 1 T, GeV."""
LEAST = 3
"""Least number of hits of a helix."""


@dataclass(frozen=True)
class Frame:
    """What the quantities of tracks and particles depend on beside them.

    Attributes
    ----------
    field
        Magnetic field along the beam, tesla. None: lengths are in units of their own, so that there is no pT.
    turned
        True: azimuths count from the middle of a sector, so that those of an event have no common φ.
    """

    field: float | None = USUAL_FIELD
    turned: bool = False

    @classmethod
    def of(cls, metadata: Metadata) -> Frame:
        """The frame of a data set.

        >>> Frame.of(Metadata("helix", options={"field": 1.5}, sectors=8))
        Frame(field=1.5, turned=True)
        """
        field = None if metadata.own_units else _field(metadata.options)
        return cls(field, metadata.sectors > 1)

    def known(self, name: str) -> bool:
        """Whether a quantity has a meaning in this frame."""
        return not (self.turned and name == "phi")


def _field(options: Mapping[str, Any]) -> float:
    """Field in the options of a source, or of the one that it is made of."""
    field, inner = options.get("field"), options.get(OF)
    if isinstance(field, int | float):
        return float(field)
    within = inner.get("options") if isinstance(inner, Mapping) else None
    return _field(within) if isinstance(within, Mapping) else USUAL_FIELD


@dataclass(frozen=True, eq=False)
class OwnQuantities:
    """Quantities of the tracks of an event.

    Attributes
    ----------
    track : int64 [T]
        Label of each track, increasing.
    values
        By the names of `metrics.BINS`, float64 [T] each: NaN where a track has too few hits. Empty: the hits have no
        known places. z is that of the point nearest to the beam line.
    """

    track: Ints
    values: Mapping[str, Floats]

    @classmethod
    def of(cls, event: EventTracks, frame: Frame) -> OwnQuantities:
        """Fit a helix to each track."""
        if event.pos is None:
            return cls(np.unique(event.labels[event.labels >= 0]), {})
        tracks = Tracks.of(event.labels, event.pos)
        nearest = Perigees.of(fit_tracks(tracks, Resolution()))
        values = {"eta": np.arcsinh(nearest.cot), "phi": nearest.azimuth, "z": nearest.z0}
        if frame.field is not None:
            values = {"pt": GEV * frame.field * nearest.radius, **values}
        few = tracks.size < LEAST
        shown = {name: np.where(few, np.nan, binned_value(name, of_name)) for name, of_name in values.items()}
        return cls(tracks.name, {name: of_name for name, of_name in shown.items() if frame.known(name)})

    def at(self, track: Ints, name: str) -> Floats:
        """A quantity of some of the tracks. Shapes: labels int64 [K] -> [K]."""
        return self.values[name][np.searchsorted(self.track, track)]
