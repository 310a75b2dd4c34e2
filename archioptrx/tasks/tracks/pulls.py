"""Pulls and resolutions of fitted tracks: parameters at the beam line beside those of the true particle.

    residual     fitted - true; of φ the shorter way around
    pull         residual / standard deviation that the fit gives. Mean and width (standard deviation) of those within
                 ±5, the range of Acts' own histograms (`ResPlotTool`); `outside` is the share of the others
    resolution   half of the interval that holds the middle 68.27 % of the residuals, whatever their tails are: σ of
                 a normal distribution. `bias` is their median

d0, z0, φ, θ and q/p are those of Acts' perigee at the origin: at the point of the track next to the z axis, with the
position d0 (-sin φ, cos φ). True ones are those of the helix through the particle's vertex, with its momentum there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNITS = {"d0": ("µm", 1e3), "z0": ("µm", 1e3), "phi": ("mrad", 1e3), "theta": ("mrad", 1e3), "qop": ("%", 1e2)}
"""Unit of each parameter's resolution, and its size in mm, rad, or in q/p itself."""
CURVATURE = 0.299792458e-3
"""Curvature of a track of charge 1, 1/mm, times pT in GeV, for a field of 1 tesla."""
RANGE = 5.0
"""Largest pull that counts for mean and width."""
MIDDLE = math.erf(1 / math.sqrt(2))
"""Share of a normal distribution within one σ."""


@dataclass(frozen=True, eq=False)
class Residuals:
    """Fitted tracks of particles beside the truth.

    Attributes
    ----------
    particle : int64 [T]
        Particle of each track; those of different events differ.
    residual : float64 [T, 5]
        Residuals of the parameters in the units of `UNITS`; of q/p, in percent of the true value.
    pull : float64 [T, 5]
        Pulls; NaN where the fit gives no variance.
    """

    particle: Ints
    residual: Floats
    pull: Floats

    def of(self, particles: Ints) -> Residuals:
        """Those of the tracks of some particles."""
        inside = np.isin(self.particle, particles)
        return Residuals(self.particle[inside], self.residual[inside], self.pull[inside])


def true_parameters(momentum: Floats, vertex: Floats, charge: Floats, tesla: float) -> Floats:
    """Parameters of particles at the beam line: d0, z0, φ, θ, q/p, in mm, rad, 1/GeV.

    Parameters
    ----------
    momentum, vertex : [P, 3]
        Momentum in GeV at the vertex, and its place in mm.
    charge : [P]
        Charge in units of e.
    tesla
        Field along z.

    >>> beside = true_parameters(np.array([[1.0, 0, 1]]), np.array([[0, 0.5, 3]]), np.array([1.0]), 2.0)
    >>> beside.round(6).tolist()
    [[0.5, 3.0, 0.0, 0.785398, 0.707107]]
    """
    pt, total = np.hypot(momentum[:, 0], momentum[:, 1]), np.linalg.norm(momentum, axis=1)
    at_vertex = np.arctan2(momentum[:, 1], momentum[:, 0])
    turn = -charge * CURVATURE * tesla / pt  # of φ with each mm of the arc; a positive particle turns clockwise
    straight = turn == 0
    bent = np.where(straight, 1.0, turn)
    # The track nearest to the axis is at right angles to the line from the axis to the centre of the circle.
    centre = vertex[:, :2] + np.stack([-np.sin(at_vertex), np.cos(at_vertex)], axis=1) / bent[:, None]
    side = np.where(bent > 0, 1.0, -1.0)
    phi = np.where(straight, at_vertex, np.arctan2(-side * centre[:, 0], side * centre[:, 1]))
    along, across = np.stack([np.cos(phi), np.sin(phi)]), np.stack([-np.sin(phi), np.cos(phi)])
    arc = np.where(straight, -(along * vertex[:, :2].T).sum(axis=0), shorter_way(phi - at_vertex) / bent)
    d0 = np.where(straight, (across * vertex[:, :2].T).sum(axis=0), (across * centre.T).sum(axis=0) - 1 / bent)
    theta = np.arctan2(pt, momentum[:, 2])
    return np.stack([d0, vertex[:, 2] + arc / np.tan(theta), phi, theta, charge / total], axis=1)


def shorter_way(angle: Floats) -> Floats:
    """The same angle from -π to π."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def residuals_of(particle: Ints, fitted: Floats, variances: Floats, true: Floats) -> Residuals:
    """Residuals and pulls of tracks; all but `particle` have the shape [T, 5]."""
    difference = fitted - true
    difference[:, 2] = shorter_way(difference[:, 2])
    size = np.array([size for _, size in UNITS.values()])
    shown = difference * size
    shown[:, 4] /= np.abs(true[:, 4])
    spread = np.sqrt(np.where(variances > 0, variances, np.nan))
    return Residuals(particle, shown, difference / spread)


def joined_residuals(parts: list[Residuals]) -> Residuals:
    """Those of several events."""
    names = ("particle", "residual", "pull")
    particle, residual, pull = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return Residuals(particle, residual, pull)


def summary(residuals: Residuals) -> dict[str, dict[str, Any]]:
    """Numbers of each parameter, see above; None where no track has one.

    Errors of mean and width are those of a normal distribution.
    """
    rows = {}
    for place, (name, (unit, _)) in enumerate(UNITS.items()):
        pull, residual = residuals.pull[:, place], residuals.residual[:, place]
        known = pull[np.isfinite(pull)]
        inside = known[np.abs(known) <= RANGE]
        count, width = len(inside), float(inside.std()) if len(inside) else None
        low, middle, high = (
            np.quantile(residual, [0.5 - MIDDLE / 2, 0.5, 0.5 + MIDDLE / 2]) if len(residual) else [None] * 3
        )
        rows[name] = {
            "pull_mean": float(inside.mean()) if count else None,
            "pull_mean_error": None if width is None else width / math.sqrt(count),
            "pull_width": width,
            "pull_width_error": None if width is None else width / math.sqrt(2 * count),
            "outside": (len(known) - count) / len(known) if len(known) else None,
            "resolution": None if low is None else float(high - low) / 2,
            "bias": None if middle is None else float(middle),
            "unit": unit,
        }
    return rows
