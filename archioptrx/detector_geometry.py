"""TrackML's detector, simplified: barrel layers are cylinders around the beam, endcap disks are rings across it.

The numbers are those of the TrackML challenge. Radii and z positions are means over the modules of `detectors.csv`,
rounded to 1 mm; its modules overlap like tiles, up to 2.5 mm (pixels) and 5.5 mm (strips) beside the mean. Extents
are those of the hits of one high-pile-up event. Resolutions are half the distance between the 16 % and the 84 %
quantile of measured minus true position in one event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PIXEL_BARREL = (32.0, 72.0, 116.0, 172.0)
SHORT_BARREL = (260.0, 360.0, 500.0, 660.0)
LONG_BARREL = (820.0, 1020.0)
PIXEL_DISKS = (600.0, 700.0, 820.0, 960.0, 1100.0, 1300.0, 1500.0)
SHORT_DISKS = (1219.0, 1499.0, 1799.0, 2149.0, 2549.0, 2949.0)
LONG_DISKS = (1220.0, 1500.0, 1800.0, 2150.0, 2550.0, 2950.0)
DISK_NOISE = 45.0
"""Noise of a disk, as the radius in mm of a barrel layer with as many noise hits: in TrackML events the noise of a
barrel layer grows with its radius, and that of disks is about the same in all."""


@dataclass(frozen=True)
class Detector:
    """Layers, L in all.

    Attributes
    ----------
    volume, layer : int64 [L]
        TrackML's numbers: volume 8, 13, 17 barrels of pixels, short strips and long strips; 7 and 9, 12 and 14, 16 and
        18 their disks at negative and positive z; layers 2, 4, 6 … from the inside or from small to large z.
    barrel : bool [L]
        A cylinder, or else a ring.
    place : float64 [L]
        Radius of a cylinder, z of a ring, mm.
    low, high : float64 [L]
        Extent in z of a cylinder, in r of a ring, mm.
    across, along : float64 [L]
        Resolution in r·φ; in z of a cylinder, in r of a ring, mm.
    noise : float64 [L]
        Share of all noise hits.
    """

    volume: Ints
    layer: Ints
    barrel: NDArray[np.bool_]
    place: Floats
    low: Floats
    high: Floats
    across: Floats
    along: Floats
    noise: Floats


def trackml_detector(endcaps: bool = True) -> Detector:
    """The whole detector of the challenge, 10 barrel layers and 38 disks, or its barrel alone."""
    parts = [
        _part(8, True, PIXEL_BARREL, (-491, 491), (0.0045, 0.004)),
        _part(13, True, SHORT_BARREL, (-1083, 1083), (0.016, 0.29)),
        _part(17, True, LONG_BARREL, (-1079, 1079), (0.027, 3.5)),
    ]
    if endcaps:
        for first, places, radii, resolution in (
            (7, PIXEL_DISKS, (30, 176), (0.016, 0.009)),
            (12, SHORT_DISKS, (240, 697), (0.021, 0.35)),
            (16, LONG_DISKS, (755, 1018), (0.11, 3.2)),
        ):
            parts.append(_part(first, False, tuple(-z for z in reversed(places)), radii, resolution))
            parts.append(_part(first + 2, False, places, radii, resolution))
    volume, layer, barrel, place, low, high, across, along = map(np.concatenate, zip(*parts, strict=True))
    noise = np.where(barrel, place, DISK_NOISE)
    return Detector(
        volume.astype(np.int64), layer.astype(np.int64), barrel, place, low, high, across, along, noise / noise.sum()
    )


def _part(
    volume: int,
    barrel: bool,
    places: tuple[float, ...],
    extent: tuple[float, float],
    resolution: tuple[float, float],
) -> tuple[NDArray[np.generic], ...]:
    """Columns of one volume, its layers numbered 2, 4, 6 …"""
    ones = np.ones(len(places))
    numbers = 2 * np.arange(1, len(places) + 1)
    columns = (extent[0] * ones, extent[1] * ones, resolution[0] * ones, resolution[1] * ones)
    return volume * ones, numbers, ones * barrel > 0, np.asarray(places), *columns
