"""Helices through the hits of tracks: hits in their order, circles through three of them, and how well hits agree.

The magnetic field is along z, so that a track is a circle in the x-y plane, and z grows linearly with the arc length.
All functions work on many tracks at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RADII = (200.0, 700.0)
"""Radii between pixels, short strips and long strips in TrackML's detector, mm."""
ACROSS = (0.012, 0.03, 0.5)
ALONG = (0.12, 0.9, 6.0)
"""Usual distance of a hit from the helix through hits nearby, across in x-y and along z, in mm, in these three:
measured in TrackML's event 1 and in events of Acts' Fatras."""
SCATTERING = 3.2
"""Radius of a track times the angle by which a layer scatters it, mm: Highland's formula for 2 % of a radiation length
in 2 T. Angle and curvature are both proportional to 1 / pT, so that no momentum is needed."""
MOST_NEAR = 20
"""Hits of one track in one place; beyond so many, as in a component of a whole event, none farther is looked for."""
STRAIGHT = 1e7
"""Largest radius of a circle, mm. A straight track of 1 m is off by 0.01 mm; beyond, angles lose their digits."""


@dataclass(frozen=True)
class Resolution:
    """Expected distances of hits from a helix.

    Attributes
    ----------
    scale
        Multiple of those of TrackML's detector, see `ACROSS` and `ALONG`.
    """

    scale: float = 1.0

    def across(self, pos: Floats) -> Floats:
        """Distance in the x-y plane, mm. Shapes: [N, 3] -> [N]."""
        return self.scale * np.asarray(ACROSS)[_zone(pos)]

    def along(self, pos: Floats) -> Floats:
        """Distance in z, mm. Shapes: [N, 3] -> [N]."""
        return self.scale * np.asarray(ALONG)[_zone(pos)]


def _zone(pos: Floats) -> Ints:
    return np.asarray(np.searchsorted(RADII, np.hypot(pos[:, 0], pos[:, 1]), side="right"))


@dataclass(frozen=True, eq=False)
class Tracks:
    """Hits of the tracks of one graph, track by track, each from the origin outwards.

    Attributes
    ----------
    pos : [N, 3]
        x, y, z of all hits of the graph, mm.
    labels : int64 [N]
        Track of each hit, -1 for none.
    hit : int64 [M]
        Hits in tracks, in order.
    first, size : int64 [T]
        Place of the first hit of each track in `hit`, and number of its hits.
    """

    pos: Floats
    labels: Ints
    hit: Ints
    first: Ints
    size: Ints

    @classmethod
    def of(cls, labels: Ints, pos: Floats) -> Tracks:
        """Sort the hits. Shapes: labels [N], pos [N, 3]."""
        used = np.flatnonzero(labels >= 0)
        hit = used[np.lexsort((np.linalg.norm(pos[used], axis=1), labels[used]))]
        first = np.flatnonzero(np.diff(labels[hit], prepend=-1))
        return cls(pos, labels, hit, first, np.diff(np.append(first, len(hit))))

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def name(self) -> Ints:
        """Label of each track. Shapes: -> [T]."""
        return self.labels[self.hit[self.first]]

    @cached_property
    def track(self) -> Ints:
        """Number of the track of each place. Shapes: -> [M]."""
        return np.repeat(np.arange(len(self)), self.size)

    @cached_property
    def of_hit(self) -> Ints:
        """Number of the track of each hit of the graph, -1 for none. Shapes: -> [N]."""
        number = np.full(len(self.labels), -1, dtype=np.int64)
        number[self.hit] = self.track
        return number

    @property
    def inner(self) -> Ints:
        """First hit of each track. Shapes: -> [T]."""
        return self.hit[self.first]

    @property
    def outer(self) -> Ints:
        """Last hit of each track. Shapes: -> [T]."""
        return self.hit[np.asarray(self.first + self.size - 1)]

    def next_place(self, place: Ints, step: int, apart: float) -> Ints:
        """Nearest place along the track that is `apart` mm or more away; -1 where there is none.

        Hits in the overlap of two modules are so near to each other that they give no direction.

        Parameters
        ----------
        place : [K]
            Places in `hit`; -1 stays -1.
        step
            1 outwards, -1 inwards.
        """
        result, own = np.full(len(place), -1), self.track[np.maximum(place, 0)]
        here, at = np.flatnonzero(place >= 0), place.copy()
        for _ in range(MOST_NEAR):
            if not len(here):
                break
            at[here] += step
            inside = (at[here] >= 0) & (at[here] < len(self.hit))
            here = here[inside]
            here = here[self.track[at[here]] == own[here]]
            far = self._distance(at[here], place[here]) >= apart
            result[here[far]] = at[here[far]]
            here = here[~far]
        return result

    def _distance(self, one: Ints, other: Ints) -> Floats:
        return np.asarray(np.linalg.norm(self.pos[self.hit[one]] - self.pos[self.hit[other]], axis=1))


class Helix:
    """Helices through three hits each.

    Parameters
    ----------
    knots : [K, 3, 3]
        x, y, z of three hits of each helix in mm, along the track in either direction. z is linear between the outer
        two.

    Attributes
    ----------
    knots
        See above.
    centre, radius : [K, 2], [K]
        Centre and radius of the circle in the x-y plane, mm.
    cot : [K]
        Slope of z against the arc length, from the first knot to the last.
    """

    def __init__(self, knots: Floats) -> None:
        self.knots = knots
        one, two = (knots[:, k, :2] - knots[:, 0, :2] for k in (1, 2))
        cross = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
        lengths = np.hypot(*one.T) * np.hypot(*two.T) * np.hypot(*(two - one).T)
        # Three points have the radius lengths / (2 cross).
        least = np.maximum(lengths / (2 * STRAIGHT), 1e-12)
        cross = np.where(np.abs(cross) < least, np.where(cross < 0, -least, least), cross)
        squares = (one**2).sum(axis=1), (two**2).sum(axis=1)
        offset = np.stack(
            [two[:, 1] * squares[0] - one[:, 1] * squares[1], one[:, 0] * squares[1] - two[:, 0] * squares[0]], axis=1
        )
        offset /= 2 * cross[:, None]
        # Hits of one place in x-y give no circle: any finite one, from which all others are far.
        self.centre, self.radius = knots[:, 0, :2] + offset, np.maximum(np.hypot(*offset.T), 1.0)
        self._begin = self._angle(knots[:, 0])
        self._turn = np.where(_wrapped(self._angle(knots[:, 2]) - self._begin) < 0, -1.0, 1.0)
        length = np.maximum(self.arc(knots[:, 2]), 1e-6)
        self.cot: Floats = (knots[:, 2, 2] - knots[:, 0, 2]) / length

    def only(self, rows: Ints) -> Helix:
        """Some of the helices, also repeatedly. Shapes: rows [L]."""
        return Helix(self.knots[rows])

    def arc(self, pos: Floats) -> Floats:
        """Signed arc length in the x-y plane from the first knot on, mm. Shapes: [K, 3] -> [K]."""
        return np.asarray(self._turn * self.radius * _wrapped(self._angle(pos) - self._begin))

    def deviation(self, pos: Floats, anchor: Floats) -> tuple[Floats, Floats]:
        """Distance of a point from each helix: in the x-y plane, and in z if the helix passes the anchor.

        Shapes: pos, anchor [K, 3] -> [K], [K], mm.
        """
        across = np.abs(np.hypot(*(pos[:, :2] - self.centre).T) - self.radius)
        expected = anchor[:, 2] + self.cot * (self.arc(pos) - self.arc(anchor))
        return across, np.abs(pos[:, 2] - expected)

    def beyond(self, distances: Floats) -> Floats:
        """Points beyond the last knot, by their path length from there. Shapes: [D] -> [K, D, 3], mm."""
        step = distances[None] / np.sqrt(1 + self.cot**2)[:, None]
        angle = self._angle(self.knots[:, 2])[:, None] + (self._turn / self.radius)[:, None] * step
        x, y = (self.centre[:, k, None] + self.radius[:, None] * f(angle) for k, f in ((0, np.cos), (1, np.sin)))
        return np.stack([x, y, self.knots[:, 2, 2, None] + self.cot[:, None] * step], axis=2)

    def _angle(self, pos: Floats) -> Floats:
        return np.asarray(np.arctan2(pos[:, 1] - self.centre[:, 1], pos[:, 0] - self.centre[:, 0]))


def _wrapped(angle: Floats) -> Floats:
    return angle - 2 * math.pi * np.round(angle / (2 * math.pi))
