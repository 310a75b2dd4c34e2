"""The Open Data Detector, in which ColliderML's events are simulated: its layers, and the layer of each hit.

Radii and z of the layers are those of its description (OpenDataDetector, `xml/`, 2025), the numbers of the volumes
those that Acts gives them. Layers are recognised by the place of a hit: the numbering of layers depends on the version
of Acts, the places don't.
"""

from __future__ import annotations

import numpy as np

from archioptrx.data.simulation.detector import Floats, Ints, detector_of

OPEN_DATA = detector_of(
    "Open Data",
    (
        (17, 510.0, (34.0, 70.0, 116.0, 172.0)),
        (24, 1140.0, (260.0, 360.0, 500.0, 660.0)),
        (29, 1140.0, (820.0, 1020.0)),
    ),
    (
        (16, 18, 40.0, 178.0, (620.0, 720.0, 840.0, 980.0, 1120.0, 1320.0, 1520.0)),
        (23, 25, 235.0, 705.0, (1300.0, 1550.0, 1850.0, 2200.0, 2550.0, 2950.0)),
        (28, 30, 735.0, 1070.0, (1300.0, 1600.0, 1900.0, 2250.0, 2600.0, 3000.0)),
    ),
)
"""Pixels (16 to 18), short strips (23 to 25), long strips (28 to 30)."""
BARREL_DEPTH, DISK_DEPTH = 30.0, 60.0
"""Farthest that a hit lies from the radius or the z of its layer, mm: modules are tilted, long strips are double."""


def layers_at(volume: Ints, pos: Floats) -> Ints:
    """Number of the layer that each hit lies on; -1 where its volume has none there.

    Shapes: volume [N], pos [N, 3] in mm -> [N].
    """
    r, z = np.hypot(pos[:, 0], pos[:, 1]), pos[:, 2]
    layer = np.full(len(volume), -1, dtype=np.int64)
    for number in OPEN_DATA.volumes:
        surfaces = [surface for surface in OPEN_DATA.surfaces if surface.volume == number]
        inside = np.flatnonzero(volume == number)
        across, depth = (r, BARREL_DEPTH) if surfaces[0].barrel else (z, DISK_DEPTH)
        away = np.abs(across[inside, None] - np.array([surface.place for surface in surfaces]))
        names = np.array([surface.layer for surface in surfaces])
        layer[inside] = np.where(away.min(axis=1) <= depth, names[away.argmin(axis=1)], -1)
    return layer
