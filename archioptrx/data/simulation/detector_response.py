"""Response of the layers of TrackML's detector, as columns for the simulation: place, resolution, noise.

Layers are those of `detector`: cylinders and flat rings where the real modules overlap like tiles. Resolutions were
measured in one event of the challenge: half the distance between the 16 % and the 84 % quantile of measured minus true
position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.simulation.detector import SURFACES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESOLUTION = {
    8: (0.0045, 0.004),
    13: (0.016, 0.29),
    17: (0.027, 3.5),
    **dict.fromkeys((7, 9), (0.016, 0.009)),
    **dict.fromkeys((12, 14), (0.021, 0.35)),
    **dict.fromkeys((16, 18), (0.11, 3.2)),
}
"""Resolution of each volume: in r·φ, and in z of a barrel or in r of an endcap, mm (pixels, short, long strips)."""
DISK_NOISE = 45.0
"""Noise of a disk, as the radius in mm of a barrel layer with as many noise hits: in TrackML's events the noise of a
barrel layer grows with its radius, and that of disks is about the same in all."""


@dataclass(frozen=True)
class Detector:
    """Layers, L in all.

    Attributes
    ----------
    volume, layer : int64 [L]
        TrackML's numbers.
    barrel : bool [L]
        True for a cylinder, False for a ring.
    place : float64 [L]
        Radius of a cylinder, z of a ring, mm.
    low, high : float64 [L]
        Extent in z of a cylinder, in r of a ring, mm.
    across, along : float64 [L]
        Resolution in r·φ, and in z of a cylinder or r of a ring, mm.
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
    layers = [surface for surface in SURFACES if endcaps or surface.barrel]
    barrel = np.array([surface.barrel for surface in layers])
    place = np.array([surface.place for surface in layers])
    across, along = np.array([RESOLUTION[surface.volume] for surface in layers]).T
    noise = np.where(barrel, place, DISK_NOISE)
    return Detector(
        volume=np.array([surface.volume for surface in layers]),
        layer=np.array([surface.layer for surface in layers]),
        barrel=barrel,
        place=place,
        low=np.array([surface.low for surface in layers]),
        high=np.array([surface.high for surface in layers]),
        across=across,
        along=along,
        noise=noise / noise.sum(),
    )
