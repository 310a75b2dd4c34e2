"""One event before any graph is built of it: hits, and the particles that made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PARTICLE_COLUMNS = ("pt", "φ", "η", "z0", "vr", "charge", "hits", "weight")
"""Columns of `HitGraph.particles`: transverse momentum in GeV, azimuth of the momentum in rad, pseudorapidity, z of the
production vertex in mm, its distance from the beam line in mm, charge in units of e, number of hits and sum of their
weights in the whole event. The first six are NaN for a particle whose momentum and vertex aren't known."""
UNKNOWABLE = ("pt", "φ", "η", "z0", "vr", "charge")
"""Columns that are known of a particle, or NaN: all of them together."""
PRIMARY = 2.0
"""Primary particles are made within this distance of the beam line, mm."""


@dataclass(frozen=True, eq=False)
class Event:
    """Hits [N] and particles [P] of one event.

    Attributes
    ----------
    name
        Name, for example `event000001000`.
    hit_id : int64 [N]
        The file's name of each hit, unique.
    pos : float64 [N, 3]
        x, y, z in mm.
    volume, layer, module : int64 [N]
        Place in the detector, in TrackML's numbers.
    pid : int64 [N]
        Particle of each hit, 0 for noise; every other one is in `particle_id`.
    weight : float64 [N]
        Weight of each hit in the TrackML score, 0 for noise.
    cells : float64 [N, 2] or None
        Number of channels that saw the hit, and the sum of their signals. None: the event has no cells.
    particle_id : int64 [P]
        Names of the particles, increasing, without 0.
    momentum : float64 [P, 3]
        Momentum of each particle at its vertex, GeV. Momentum, vertex and charge of a particle are NaN together, where
        they aren't known.
    vertex : float64 [P, 3]
        Origin of each particle, mm.
    charge : float64 [P]
        Charge of each particle in units of e.
    order : int64 [N] or None
        Place of each hit among those of its particle: the true steps along the track. None: unknown, and hits are
        sorted by their distance from the vertex.
    """

    name: str
    hit_id: Ints
    pos: Floats
    volume: Ints
    layer: Ints
    module: Ints
    pid: Ints
    weight: Floats
    particle_id: Ints
    momentum: Floats
    vertex: Floats
    charge: Floats
    cells: Floats | None = None
    order: Ints | None = None

    @property
    def r(self) -> Floats:
        """Distance from the beam line [N], mm."""
        return np.hypot(self.pos[:, 0], self.pos[:, 1])

    @property
    def phi(self) -> Floats:
        """Azimuth [N], rad in (-π, π]."""
        return np.arctan2(self.pos[:, 1], self.pos[:, 0])

    @property
    def pt(self) -> Floats:
        """Transverse momentum of each particle [P], GeV."""
        return np.hypot(self.momentum[:, 0], self.momentum[:, 1])

    def particle_fields(self) -> dict[str, Any]:
        """The particles as a hit graph keeps them; its row 0 stands for noise.

        Returns
        -------
        `particle_id` [P + 1], 0 first; `particles` [P + 1, 8], columns as `PARTICLE_COLUMNS` says, row 0 all zero;
        `particle_index` [N], row of each hit's particle.
        """
        count = len(self.particle_id) + 1
        ids = np.concatenate([[0], self.particle_id])
        of = np.searchsorted(ids, self.pid)
        columns = [
            self.pt,
            np.arctan2(self.momentum[:, 1], self.momentum[:, 0]),
            np.arcsinh(self.momentum[:, 2] / np.maximum(self.pt, 1e-9)),
            self.vertex[:, 2],
            np.hypot(self.vertex[:, 0], self.vertex[:, 1]),
            self.charge,
            np.bincount(of, minlength=count)[1:],
            np.bincount(of, self.weight, minlength=count)[1:],
        ]
        table = np.zeros((count, len(PARTICLE_COLUMNS)))
        table[1:] = np.stack(columns, axis=1)
        return {"particle_id": ids, "particles": table, "particle_index": of}
