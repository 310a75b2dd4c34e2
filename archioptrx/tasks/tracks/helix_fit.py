"""Fit of a helix to all hits of each track, its χ², and the cut on it.

In a frame whose x axis leads from the first to the last hit of a track, a circle is y = a + b·x + c·(x² + y²): linear
in a, b and c, also for straight tracks. Then z = d + e·s, with s the arc length. Both are least squares, for all tracks
at once. The error of a hit is `Resolution` and, in quadrature, what multiple scattering leaves after such a fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archioptrx.tasks.tracks.helix import SCATTERING, STRAIGHT, Floats, Helix, Ints, Resolution, Tracks

LEFT = 0.1
"""Deviation of hits from the fit by multiple scattering, as a share of the angle of a layer times the length: measured
in tracks of the source `helix`, with 2 % of a radiation length in each layer."""
LONGEST = 50
"""Hits of a track beyond which it isn't repaired: it is no particle's, and each hit would need a fit of all."""
NEAR_BEAM = 3.0
"""Largest distance of the circle of a track of three hits from the beam line, mm."""
UNKNOWNS = 5
"""Parameters of a helix; each hit gives two numbers."""


@dataclass(frozen=True, eq=False)
class HelixFit:
    """Fits to some tracks.

    Attributes
    ----------
    chi2 : [T]
        χ² per degree of freedom of each track; 0 where it has none.
    outlying : [M]
        χ² of each hit in its place along the track, divided by the share of it that the fit can't take up.
    circle, line : [T, 3], [T, 2]
        a, b, c and d, e, see above.
    middle, axis : [T, 3], [T]
        Origin of the frame, mm, and azimuth of its x axis.
    """

    chi2: Floats
    outlying: Floats
    circle: Floats
    line: Floats
    middle: Floats
    axis: Floats


@dataclass(frozen=True, eq=False)
class Perigees:
    """Helices at their points nearest to the beam line, one of each track.

    Attributes
    ----------
    radius : [T]
        Radius of the circle in the x-y plane, mm.
    azimuth, cot : [T]
        Azimuth of the direction outwards, rad in [-π, π), and its slope of z against the arc length: sinh η.
    z0 : [T]
        z of the point, mm.
    """

    radius: Floats
    azimuth: Floats
    cot: Floats
    z0: Floats

    @classmethod
    def of(cls, fit: HelixFit) -> Perigees:
        """Follow each helix inwards to the beam line."""
        constant, slope, bend = fit.circle.T
        least = 0.5 / STRAIGHT
        bend = np.where(np.abs(bend) < least, np.where(bend < 0, -least, least), bend)
        circle = np.stack([constant, slope, bend], axis=1)
        centre = np.stack([-slope, np.ones(len(bend))], axis=1) / (2 * bend)[:, None]
        radius = 1 / np.abs(_curvature(circle))
        cosine, sine = np.cos(fit.axis), np.sin(fit.axis)
        beam = -np.stack([fit.middle[:, 0] * cosine + fit.middle[:, 1] * sine,
                          fit.middle[:, 1] * cosine - fit.middle[:, 0] * sine], axis=1)  # fmt: skip
        away = beam - centre
        nearest = centre + away * (radius / np.maximum(np.hypot(*away.T), 1e-9))[:, None]
        arc = _arc(nearest[:, 0], nearest[:, 1], circle)
        turned = fit.axis + np.arctan(_start(circle)[1]) + _curvature(circle) * arc
        azimuth = (turned + np.pi) % (2 * np.pi) - np.pi
        return cls(radius, azimuth, fit.line[:, 1], fit.middle[:, 2] + fit.line[:, 0] + fit.line[:, 1] * arc)


def fit_tracks(tracks: Tracks, resolution: Resolution) -> HelixFit:
    """Fit a helix to each track."""
    count, track, pos = len(tracks), tracks.track, tracks.pos[tracks.hit]
    chord = tracks.pos[tracks.outer] - tracks.pos[tracks.inner]
    middle = np.stack([np.bincount(track, pos[:, k], count) / tracks.size for k in range(3)], axis=1)
    x, y = _turned(pos - middle[track], chord[track])
    length = np.linalg.norm(chord, axis=1)[track]
    ones = np.ones(len(x))
    errors = resolution.across(pos)
    # The first fit gives the curvature, and that the scattering: hits alike, or one wrong pixel hit bends all.
    circle = _least_squares(track, count, [ones, x, x**2 + y**2], y, ones)[0]
    scattered = LEFT * SCATTERING * np.abs(_curvature(circle))[track] * length
    errors = np.hypot(errors, scattered)
    circle, across, share = _least_squares(track, count, [ones, x, x**2 + y**2], y, errors)
    arc = _arc(x, y, circle[track])
    rise = np.abs(chord[:, 2]) / np.maximum(np.hypot(chord[:, 0], chord[:, 1]), 1e-9)
    # A change of the polar angle moves z by the length over its squared sine.
    scattered *= 1.5 * (1 + rise[track] ** 2) ** 0.25
    errors = np.hypot(np.hypot(resolution.along(pos), rise[track] * resolution.across(pos)), scattered)
    line, along, share_along = _least_squares(track, count, [ones, arc], pos[:, 2] - middle[track, 2], errors)
    freedom = np.maximum(2 * tracks.size - UNKNOWNS, 1)
    chi2 = np.bincount(track, across**2 + along**2, count) / freedom
    outlying = across**2 / np.maximum(1 - share, 0.05) + along**2 / np.maximum(1 - share_along, 0.05)
    return HelixFit(chi2, outlying, circle, line, middle, np.arctan2(chord[:, 1], chord[:, 0]))


def with_good_fit(labels: Ints, pos: Floats, resolution: Resolution, chi2_max: float, min_hits: int) -> Ints:
    """Keep the tracks whose χ² per degree of freedom is at most so large; before, take their worst hits away.

    A track above the limit, of up to `LONGEST` hits, loses its most outlying hit, and is fitted again, until it is
    below, or has half of its hits, or `min_hits`. Three hits have one degree of freedom, which nearly any hits fulfil:
    their circle has to come near to the beam line.

    Shapes: labels [N], pos [N, 3] -> [N].
    """
    labels, rest = labels.copy(), labels
    first = Tracks.of(labels, pos)
    least = np.zeros(int(labels.max(initial=-1)) + 1, dtype=np.int64)
    least[first.name] = np.maximum(min_hits, -(-first.size // 2))
    while True:
        tracks = Tracks.of(rest, pos)
        fit = fit_tracks(tracks, resolution)
        bad = fit.chi2 > chi2_max
        longer = bad & (tracks.size <= LONGEST) & (tracks.size > least[tracks.name])
        bent = (tracks.size <= 3) & (_from_beam(tracks) > NEAR_BEAM)
        labels[tracks.hit[((bad | bent) & ~longer)[tracks.track]]] = -1
        if not longer.any():
            return labels
        order = np.lexsort((-fit.outlying, tracks.track))
        labels[tracks.hit[order[tracks.first]][longer]] = -1
        # Only these tracks are fitted again.
        rest = np.full_like(labels, -1)
        again = tracks.hit[longer[tracks.track]]
        rest[again] = labels[again]


def _from_beam(tracks: Tracks) -> Floats:
    """Distance from the beam line of the circle through three hits of each track, mm. Shapes: -> [T]."""
    knots = np.stack([tracks.inner, tracks.hit[tracks.first + tracks.size // 2], tracks.outer], axis=1)
    circle = Helix(tracks.pos[knots])
    return np.asarray(np.abs(np.hypot(*circle.centre.T) - circle.radius))


def _turned(pos: Floats, axis: Floats) -> tuple[Floats, Floats]:
    """x and y in a frame whose x axis lies along a direction. Shapes: [M, 3], [M, 3] -> [M], [M]."""
    length = np.maximum(np.hypot(axis[:, 0], axis[:, 1]), 1e-9)
    cosine, sine = axis[:, 0] / length, axis[:, 1] / length
    return pos[:, 0] * cosine + pos[:, 1] * sine, pos[:, 1] * cosine - pos[:, 0] * sine


def _curvature(circle: Floats) -> Floats:
    """Signed curvature of circles a + b·x + c·(x² + y²) - y = 0. Shapes: [K, 3] -> [K], 1/mm."""
    constant, slope, bend = circle.T
    return np.asarray(2 * bend / np.sqrt(np.maximum(1 + slope**2 - 4 * constant * bend, 1e-9)))


def _arc(x: Floats, y: Floats, circle: Floats) -> Floats:
    """Arc length from x = 0 on, along circles a + b·x + c·(x² + y²) - y = 0. Shapes: [M], [M], [M, 3] -> [M]."""
    start, steep = _start(circle)
    norm = np.hypot(1, steep)
    along, aside = (x + steep * (y - start)) / norm, (y - start - steep * x) / norm
    curvature = _curvature(circle)
    safe = np.where(np.abs(curvature) < 1e-9, 1e-9, curvature)
    return np.asarray(np.arctan2(safe * along, 1 - safe * aside) / safe)


def _start(circle: Floats) -> tuple[Floats, Floats]:
    """y and slope of circles a + b·x + c·(x² + y²) - y = 0 at x = 0. Shapes: [K, 3] -> [K], [K]."""
    constant, slope, bend = circle.T
    start = 2 * constant / (1 + np.sqrt(np.maximum(1 - 4 * constant * bend, 0)))
    return start, slope / np.maximum(1 - 2 * bend * start, 1e-3)


def _least_squares(
    track: Ints, count: int, columns: list[Floats], values: Floats, errors: Floats
) -> tuple[Floats, Floats, Floats]:
    """Weighted linear fit of each track.

    Returns
    -------
    Coefficients [T, columns]; of each row its deviation in units of its error, and its share of the fit (leverage).
    """
    # Columns in units of their largest value make matrices that can be inverted.
    sizes = [np.zeros(count) for _ in columns]
    for size, column in zip(sizes, columns, strict=True):
        np.maximum.at(size, track, np.abs(column))
    scale = np.maximum(np.stack(sizes, axis=1), 1e-12)
    rows = np.stack(columns, axis=1) / scale[track] / errors[:, None]
    goal = values / errors
    width = len(columns)
    matrix, right = np.zeros((count, width, width)), np.zeros((count, width))
    for i in range(width):
        right[:, i] = np.bincount(track, rows[:, i] * goal, count)
        for j in range(width):
            matrix[:, i, j] = np.bincount(track, rows[:, i] * rows[:, j], count)
    trace = np.trace(matrix, axis1=1, axis2=2)[:, None, None] if count else np.zeros((0, 1, 1))
    inverse = np.linalg.pinv(matrix + 1e-13 * trace * np.eye(width), hermitian=True, rcond=1e-14)
    fitted = np.einsum("tij,tj->ti", inverse, right)
    deviation = goal - (rows * fitted[track]).sum(axis=1)
    share = np.einsum("mi,mij,mj->m", rows, inverse[track], rows)
    return fitted / scale, deviation, share
