"""Charged particles in a solenoid: exact helices from layer to layer, with multiple scattering in each.

The field B points along z. A particle of charge q and transverse momentum pT flies on a circle of radius

    ρ = pT / (0.299792458e-3 · |B|)        (mm, GeV, tesla)

in x-y, to the right of its direction for q·B > 0, and uniformly in z. Where it meets a cylinder or a plane is known in
closed form. Everything is computed from differences that don't cancel, so that a track of 50 GeV, whose ρ is 80 m, is
as exact as one of 0.1 GeV. There is no energy loss, no decay and no interaction; layers are infinitely thin.

A particle is followed as long as it flies away from the beam line: the first half turn of a looper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.simulation.detector_response import Detector

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CURVATURE = 0.299792458e-3
"""Transverse momentum in GeV of a particle of charge e per tesla and mm of its radius."""
PION = 0.13957
"""Mass in GeV of every particle, for its speed."""
GRAZING = 0.1
"""A layer counts as at most 1 / GRAZING times as thick as it is for a particle that crosses at a small angle."""


@dataclass(frozen=True)
class Crossings:
    """Points where particles cross layers, each particle's in the order of flight.

    Attributes
    ----------
    particle, layer : int64 [K]
        Row of the particle, and of the layer in the detector.
    pos : float64 [K, 3]
        x, y, z in mm.
    """

    particle: Ints
    layer: Ints
    pos: Floats


@dataclass(frozen=True)
class Helices:
    """Helices through given points.

    Attributes
    ----------
    pos : float64 [A, 3]
        x, y, z in mm.
    momentum : float64 [A, 3]
        Momentum in GeV.
    sense : float64 [A]
        Sign of charge times field: 1 turns clockwise as seen against the field.
    field
        Magnitude of the field in tesla.
    """

    pos: Floats
    momentum: Floats
    sense: Floats
    field: float

    @property
    def pt(self) -> Floats:
        """Transverse momentum [A], GeV."""
        return np.hypot(self.momentum[:, 0], self.momentum[:, 1])

    @property
    def radius(self) -> Floats:
        """ρ [A], mm."""
        return self.pt / (CURVATURE * self.field)

    @property
    def pitch(self) -> Floats:
        """Δz per radian of turning [A], mm."""
        return self.radius * self.momentum[:, 2] / self.pt

    @property
    def tangent(self) -> Floats:
        """Direction in x-y [A, 2]."""
        return self.momentum[:, :2] / self.pt[:, None]

    @property
    def normal(self) -> Floats:
        """Direction from the particle to the centre of its circle [A, 2]."""
        x, y = self.tangent.T
        return np.stack([self.sense * y, -self.sense * x], axis=1)

    @property
    def phase(self) -> Floats:
        """Angle turned since the point nearest to the beam line [A], rad in (-π, π]; the particle flies out if > 0."""
        point = self.pos[:, :2]
        out, aside = (point * self.tangent).sum(1), (point * self.normal).sum(1)
        return np.asarray(np.arctan2(out, self.radius + aside))

    @property
    def circle(self) -> tuple[Floats, Floats]:
        """δ² and 4 d ρ, each [A], in mm²: smallest distance δ from the beam line, and d that of the centre.

        The distance of a point on the circle is r² = δ² + 4 d ρ sin²(phase / 2).
        """
        point, radius = self.pos[:, :2], self.radius
        # d² = r0² + 2 ρ aside + ρ², aside being the part along the normal: δ = d - ρ as a quotient doesn't cancel.
        squared = (point**2).sum(1) + 2 * radius * (point * self.normal).sum(1)
        centre = np.sqrt(np.maximum(squared + radius**2, 0.0))
        return (squared / (centre + radius)) ** 2, 4 * centre * radius

    def phase_at(self, radii: Floats) -> Floats:
        """Phase where the particle leaves cylinders around the beam; NaN where it never does.

        Shapes: radii [B], mm -> [A, B], rad.
        """
        nearest, span = self.circle
        sine = (radii**2 - nearest[:, None]) / np.maximum(span, 1e-30)[:, None]
        allowed = (sine >= 0) & (sine <= 1)
        return np.where(allowed, 2 * np.arcsin(np.sqrt(np.where(allowed, sine, 0.0))), np.nan)

    def distance_at(self, phase: Floats) -> Floats:
        """Distance from the beam line. Shapes: phase [A, B], rad -> [A, B], mm."""
        nearest, span = self.circle
        return np.asarray(np.sqrt(nearest[:, None] + span[:, None] * np.sin(phase / 2) ** 2))

    def turned(self, angle: Floats) -> Helices:
        """The same helices further along. Shapes: angle [A], rad."""
        sine, cosine = np.sin(angle)[:, None], np.cos(angle)[:, None]
        aside = 2 * np.sin(angle / 2)[:, None] ** 2
        moved = self.radius[:, None] * (sine * self.tangent + aside * self.normal)
        pos = self.pos + np.column_stack([moved, self.pitch * angle])
        momentum = self.momentum.copy()
        momentum[:, :2] = self.pt[:, None] * (cosine * self.tangent + sine * self.normal)
        return Helices(pos, momentum, self.sense, self.field)

    def rows(self, chosen: NDArray[np.bool_]) -> Helices:
        """Helices of the chosen particles."""
        return Helices(self.pos[chosen], self.momentum[chosen], self.sense[chosen], self.field)


def propagate(
    start: Helices, detector: Detector, thickness: float = 0.0, random: np.random.Generator | None = None
) -> Crossings:
    """Follow particles through the layers.

    Parameters
    ----------
    start
        The particles where they are made.
    detector
        Layers of the detector.
    thickness
        Thickness of each layer in radiation lengths; 0: no scattering.
    random
        Draws the scattering angles; needed where there are any.

    Returns
    -------
    All crossings; memory is that of `start` times the number of layers.
    """
    at, row = start, np.arange(len(start.pos))
    last = np.full(len(row), -1)
    crossings: list[tuple[Ints, Ints, Floats]] = []
    while len(row):
        turn = turns(at, detector)
        turn[last >= 0, last[last >= 0]] = np.inf  # rounding could find the layer that it stands on once more
        last = turn.argmin(axis=1)
        angle = turn[np.arange(len(row)), last]
        met = np.isfinite(angle)
        row, last = row[met], last[met]
        at = at.rows(met).turned(angle[met])
        crossings.append((row, last, at.pos))
        if thickness > 0:
            assert random is not None, "scattering needs random numbers"
            at = scattered(at, detector.barrel[last], thickness, random)
        out = (at.pos[:, :2] * at.momentum[:, :2]).sum(1) > 0
        at, row, last = at.rows(out), row[out], last[out]
    # A particle's crossings lie in successive rounds: a stable sort keeps them in the order of flight.
    particle, layer, pos = (np.concatenate(column) for column in zip(*crossings, strict=True))
    order = np.argsort(particle, kind="stable")
    return Crossings(particle[order], layer[order], pos[order])


def turns(at: Helices, detector: Detector) -> Floats:
    """Angle to turn until each layer is met; infinite where it isn't met on the way out. Shapes: -> [A, L], rad."""
    phase, barrel = at.phase[:, None], detector.barrel
    z, pitch = at.pos[:, 2:], at.pitch[:, None]
    turn = np.empty((len(at.pos), len(barrel)))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        turn[:, barrel] = at.phase_at(detector.place[barrel]) - phase
        turn[:, ~barrel] = (detector.place[~barrel] - z) / pitch
    met = (turn > 0) & (turn + phase > 0) & (turn + phase < np.pi)
    turn[~met] = 0.0
    extent = np.empty_like(turn)
    extent[:, barrel] = z + pitch * turn[:, barrel]
    extent[:, ~barrel] = at.distance_at(phase + turn[:, ~barrel])
    turn[~(met & (extent >= detector.low) & (extent <= detector.high))] = np.inf
    return turn


def highland(momentum: Floats, depth: Floats) -> Floats:
    """Width of the scattering angle in each of two planes, for a pion.

    θ0 = 13.6 MeV / (β c p) · √(x/X0) · (1 + 0.038 ln(x / (X0 β²))), eq. 34.16 of "Passage of particles through matter"
    (Particle Data Group, Review of Particle Physics 2022). It holds for x/X0 above 0.001; below the bracket is not
    let below 0.

    Parameters
    ----------
    momentum : [A]
        Momentum in GeV.
    depth : [A]
        Matter x/X0 on the way, in radiation lengths.

    Returns
    -------
    [A], rad.
    """
    speed = momentum / np.hypot(momentum, PION)
    bracket = 1 + 0.038 * np.log(depth / speed**2)
    return 0.0136 / (speed * momentum) * np.sqrt(depth) * np.maximum(bracket, 0.0)


def scattered(at: Helices, barrel: NDArray[np.bool_], thickness: float, random: np.random.Generator) -> Helices:
    """Give each particle a new direction, as after a layer; its momentum stays as large as it was.

    Parameters
    ----------
    at
        The particles, on their layers.
    barrel : bool [A]
        True: the layer is a cylinder; False: a ring.
    thickness
        Thickness of the layer in radiation lengths.
    random
        Draws the two angles of each particle.
    """
    size = np.linalg.norm(at.momentum, axis=1)
    along = at.momentum / size[:, None]
    radial = (at.pos[:, :2] * along[:, :2]).sum(1) / np.hypot(at.pos[:, 0], at.pos[:, 1])
    cosine = np.abs(np.where(barrel, radial, along[:, 2]))
    width = highland(size, thickness / np.maximum(cosine, GRAZING))
    first_normal = np.column_stack([-at.tangent[:, 1], at.tangent[:, 0], np.zeros(len(size))])
    second_normal = np.cross(along, first_normal)
    angles = random.normal(size=(2, len(size))) * width
    angle = np.hypot(*angles)
    aside = (angles[0, :, None] * first_normal + angles[1, :, None] * second_normal) / np.maximum(angle, 1e-30)[:, None]
    direction = np.cos(angle)[:, None] * along + np.sin(angle)[:, None] * aside
    return Helices(at.pos, direction * size[:, None], at.sense, at.field)
