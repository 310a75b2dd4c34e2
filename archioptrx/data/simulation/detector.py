"""Layers of a detector, and the pairs of them that a track meets one after the other; those of the TrackML challenge.

TrackML: 48 layers in nine volumes, named as in the files: the pixel detector (8 barrel, 7 and 9 endcaps), the short
strips (13; 12, 14) and the long strips (17; 16, 18). Amrouche et al., arXiv:1904.06778; the numbers are those of its
`detectors.csv` and of the hits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """Layer of the detector: a cylinder around the beam, or a disk across it.

    Attributes
    ----------
    volume, layer
        The numbers of the detector's files.
    barrel
        Cylinder or disk.
    place
        Radius of the cylinder, z of the disk; mm.
    low, high
        Beginning and end: in z (cylinder) or in r (disk); mm.
    """

    volume: int
    layer: int
    barrel: bool
    place: float
    low: float
    high: float


@dataclass(frozen=True)
class DetectorLayers:
    """All layers of a detector.

    Attributes
    ----------
    name
        Name in messages.
    surfaces
        The layers; the barrel comes first, from the inside to the outside.
    """

    name: str
    surfaces: tuple[Surface, ...]

    @property
    def barrel(self) -> int:
        """Number of barrel layers."""
        return sum(surface.barrel for surface in self.surfaces)

    @property
    def volumes(self) -> tuple[int, ...]:
        """Numbers of the volumes, sorted."""
        return tuple(sorted({surface.volume for surface in self.surfaces}))


Barrels = tuple[tuple[int, float, tuple[float, ...]], ...]
"""Volume, half of its length, radii of its layers 2, 4, …; mm."""
Endcaps = tuple[tuple[int, int, float, float, tuple[float, ...]], ...]
"""Volumes at negative and positive z, inner and outer radius, |z| of the disks; layers count up along z. mm."""


def detector_of(name: str, barrels: Barrels, endcaps: Endcaps) -> DetectorLayers:
    """Layers of a detector whose layers have even numbers, from the inside to the outside or along z."""
    cylinders = [
        Surface(volume, 2 * k + 2, True, radius, -half, half)
        for volume, half, radii in barrels
        for k, radius in enumerate(radii)
    ]
    disks = []
    for negative, positive, low, high, places in endcaps:
        for k, z in enumerate(places):
            disks.append(Surface(negative, 2 * (len(places) - k), False, -z, low, high))
            disks.append(Surface(positive, 2 * k + 2, False, z, low, high))
    return DetectorLayers(name, tuple(cylinders + disks))


TRACKML = detector_of(
    "TrackML",
    (
        (8, 491.0, (32.0, 72.0, 116.0, 172.0)),
        (13, 1083.0, (260.0, 360.0, 500.0, 660.0)),
        (17, 1083.0, (820.0, 1020.0)),
    ),
    (
        (7, 9, 30.0, 176.0, (600.0, 700.0, 820.0, 960.0, 1100.0, 1300.0, 1500.0)),
        (12, 14, 240.0, 702.0, (1220.0, 1500.0, 1800.0, 2150.0, 2550.0, 2950.0)),
        (16, 18, 755.0, 1020.0, (1220.0, 1500.0, 1800.0, 2150.0, 2550.0, 2950.0)),
    ),
)
"""The detector of the TrackML challenge."""
SURFACES = TRACKML.surfaces
BARREL = TRACKML.barrel
"""Number of its barrel layers: 10."""
LINES_Z0 = 200.0
"""Largest |z0| of the straight lines that give the order of the layers, mm."""
LINES_ETA = 4.5
"""Pseudorapidity of those lines, on both sides."""


def layer_numbers(volume: Ints, layer: Ints, detector: DetectorLayers = TRACKML) -> Ints:
    """Place of each hit's layer in `surfaces`; -1 for one that the detector doesn't have. Shapes: [N], [N] -> [N]."""
    table = np.full((32, 32), -1, dtype=np.int64)
    for number, surface in enumerate(detector.surfaces):
        table[surface.volume, surface.layer] = number
    known = (volume >= 0) & (volume < 32) & (layer >= 0) & (layer < 32)
    return np.where(known, table[np.where(known, volume, 0), np.where(known, layer, 0)], -1)


@cache
def layer_pairs(layers: str, skip: int = 0, detector: DetectorLayers = TRACKML) -> tuple[tuple[int, int], ...]:
    """Pairs of layers (inner, outer) between which edges are looked for.

    Barrel: neighbours, and with `skip` those that have up to so many layers between them. Barrel and endcaps: layers
    that a straight line from the beam (|z0| ≤ 200 mm, |η| ≤ 4.5) meets one after the other, or with up to `skip`
    between. In the TrackML detector that gives 114 pairs, and 98.9 % of the consecutive hits of the challenge's event 1
    lie in them (where they lie in two layers); with one layer missed, 189 pairs and 99.7 %.

    Parameters
    ----------
    layers
        `barrel` or `all`.
    skip
        Number of layers that a track may miss on the way.
    detector
        The detector.

    Returns
    -------
    Places in `surfaces`, sorted.
    """
    met: Ints = np.arange(detector.barrel)[None] if layers == "barrel" else _layers_on_lines(detector.surfaces)
    pairs: set[tuple[int, int]] = set()
    for step in range(1, skip + 2):
        both = np.stack([met[:, :-step].ravel(), met[:, step:].ravel()])
        pairs.update(map(tuple, np.unique(both[:, (both >= 0).all(axis=0)], axis=1).T.tolist()))
    return tuple(sorted(pairs))


def _layers_on_lines(surfaces: tuple[Surface, ...]) -> Ints:
    """Layers that straight lines from the beam line meet, in order, then -1. Shapes: -> [lines, layers]."""
    z0, eta = np.meshgrid(np.linspace(-LINES_Z0, LINES_Z0, 21), np.linspace(-LINES_ETA, LINES_ETA, 1801))
    z0, rise = z0.reshape(-1, 1), np.sinh(eta).reshape(-1, 1)
    place, low, high = (np.array([getattr(s, name) for s in surfaces]) for name in ("place", "low", "high"))
    barrel = np.array([s.barrel for s in surfaces])
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(barrel, place, (place - z0) / rise)
    along = np.where(barrel, z0 + place * rise, r)
    met = (along >= low) & (along <= high)
    order = np.argsort(np.where(met, r, np.inf), axis=1, kind="stable")
    return np.where(np.take_along_axis(met, order, axis=1), order, -1)
