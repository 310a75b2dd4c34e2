"""Bounds of the coordinates of hits, which no detector reaches: numbers beyond are in other units than the contract's.

r        0 … 100 m
φ        -π … π, or within the φ sector, counted from its middle
z        -100 … 100 m
and a graph's farthest hit is 5 mm or more from the origin
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FARTHEST = 1e5
"""Coordinates beyond it, in mm, are refused: no detector is so large, and squares of larger ones lose digits."""
NEAREST = 5.0
"""The farthest hit of a graph lies at least so far from the origin, mm: beam pipes have a radius of 20 mm and more."""
ROUNDING = 1e-3
"""Share of the range of φ by which rounding to float32, or to the digits of a file, may go beyond it."""


def coordinate_fault(nodes: Floats, scale: tuple[float, ...], sectors: int) -> str | None:
    """Fault in the places of hits, with its likely cause; None: there is none.

    Parameters
    ----------
    nodes : [N, 3 or more]
        r, φ, z in mm, rad, mm.
    scale
        Factor by which the numbers were multiplied.
    sectors
        φ sectors of an event.
    """
    if not len(nodes):
        return None
    r, phi, z = nodes[:, :3].T
    if (fault := _negative(r)) is not None:
        return fault
    for name, values, unit in (("r", r, scale[0]), ("z", z, scale[2])):
        row = int(np.abs(values).argmax())
        if abs(values[row]) > FARTHEST:
            cause = f"; were they in mm before they were multiplied by {unit:g}?" if unit >= 10 else ""
            low = 0.0 if name == "r" else -FARTHEST
            return f"{name} is {values[row]:g} mm at hit {row}; allowed: {low:g} … {FARTHEST:g} mm{cause}"
    limit = math.pi / sectors
    if (np.abs(phi) > limit * (1 + ROUNDING)).any():
        row = int(np.abs(phi).argmax())
        range_ = "-π … π" if sectors == 1 else f"-π/{sectors} … π/{sectors}, from the middle of the φ sector"
        return f"φ is {phi[row]:g} rad at hit {row}; allowed: {range_}{_cause(phi, scale[1], limit)}"
    far = float(np.maximum(r, np.abs(z)).max())
    if far < NEAREST:
        return f"the farthest hit has r and |z| up to {far:g} mm; allowed: {NEAREST:g} mm or more; is it in metres?"
    return None


def _negative(r: Floats) -> str | None:
    """Fault where r is a number below 0."""
    if not (r < 0).any():
        return None
    row = int(np.argmax(r < 0))
    return f"r is {r[row]:g} mm at hit {row}; allowed: 0 or more; is it x, or a radius with a sign?"


def _cause(phi: Floats, scale: float, limit: float) -> str:
    """A likely reason for angles beyond their range."""
    slack = 1 + ROUNDING
    raw = float(np.abs(phi).max()) / scale
    if phi.min() >= -limit * ROUNDING and phi.max() <= 2 * limit * slack:
        return "; does it count from 0?"
    if scale != 1 and raw <= math.pi * slack:
        return f"; was it in rad before it was multiplied by {scale:g}?"
    if raw <= 360 * slack:
        return "; is it in degrees?"
    return ""
