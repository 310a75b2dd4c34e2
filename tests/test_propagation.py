"""Helices meet the layers where geometry says, each of them, in order; scattering has Highland's width."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archioptrx.data.simulation.detector_response import Detector, trackml_detector
from archioptrx.data.simulation.propagation import (
    CURVATURE,
    GRAZING,
    Crossings,
    Helices,
    highland,
    propagate,
    scattered,
)

DETECTOR = trackml_detector()
FIELD = 2.0


def helices(seed: int = 0, count: int = 300, low: float = 0.1, high: float = 50.0) -> Helices:
    """Particles from near the beam, pT from low to high."""
    random = np.random.default_rng(seed)
    pt, phi = low * (high / low) ** random.uniform(size=count), random.uniform(-np.pi, np.pi, count)
    eta = random.uniform(-3, 3, count)
    momentum = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
    vertex = random.normal(size=(count, 3)) * (2.0, 2.0, 50.0)
    return Helices(vertex, momentum, random.choice([-1.0, 1.0], count), FIELD)


def centre_and_radius(start: Helices, row: int) -> tuple[np.ndarray, float]:
    """Of the circle of a particle: the force q v × B points to its right for q B > 0."""
    px, py, _ = start.momentum[row]
    radius = np.hypot(px, py) / (0.299792458e-3 * start.field)
    right = np.array([py, -px]) / np.hypot(px, py)
    return start.pos[row, :2] + start.sense[row] * radius * right, radius


def tracks(crossed: Crossings) -> dict[int, np.ndarray]:
    """Rows of the crossings by particle."""
    return {int(p): np.flatnonzero(crossed.particle == p) for p in np.unique(crossed.particle)}


def test_hits_lie_on_the_helix_and_on_their_layers() -> None:
    start = helices()
    crossed = propagate(start, DETECTOR)
    assert len(tracks(crossed)) > 250
    for particle, rows in tracks(crossed).items():
        centre, radius = centre_and_radius(start, particle)
        pos = np.vstack([start.pos[particle], crossed.pos[rows]])
        spokes = pos[:, :2] - centre
        assert np.allclose(np.hypot(*spokes.T), radius, rtol=1e-12, atol=1e-9)
        # From one point to the next it turns clockwise for positive charge, and moves by pz / pT of the arc.
        cross = spokes[:-1, 0] * spokes[1:, 1] - spokes[:-1, 1] * spokes[1:, 0]
        turned = -start.sense[particle] * np.arctan2(cross, (spokes[:-1] * spokes[1:]).sum(1))
        px, py, pz = start.momentum[particle]
        assert (turned > 0).all()
        assert np.allclose(np.diff(pos[:, 2]), radius * turned * pz / np.hypot(px, py), rtol=1e-9, atol=1e-6)
    r, z = np.hypot(*crossed.pos[:, :2].T), crossed.pos[:, 2]
    barrel = DETECTOR.barrel[crossed.layer]
    place, along = np.where(barrel, r, z), np.where(barrel, z, r)
    assert np.allclose(place, DETECTOR.place[crossed.layer], rtol=0, atol=1e-9)
    assert ((along >= DETECTOR.low[crossed.layer]) & (along <= DETECTOR.high[crossed.layer])).all()
    assert (~barrel).sum() > 500 < barrel.sum()


def test_the_circle_through_three_hits_has_the_transverse_momentum() -> None:
    start = helices(1)
    crossed = propagate(start, DETECTOR)
    tried = 0
    for particle, rows in tracks(crossed).items():
        if len(rows) < 3:
            continue
        a, b, c = crossed.pos[[rows[0], rows[len(rows) // 2], rows[-1]], :2]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        sides = [np.hypot(*(q - p)) for p, q in ((a, b), (b, c), (c, a))]
        pt = CURVATURE * FIELD * np.prod(sides) / (2 * abs(area))
        assert pt == pytest.approx(start.pt[particle], rel=1e-6)
        tried += 1
    assert tried > 200


def layers_by_steps(start: Helices) -> list[int]:
    """The layers that one particle meets on its way out, found by walking along it in small steps."""
    centre, radius = centre_and_radius(start, 0)
    angle = np.arange(0, 2 * np.pi, min(1e-3, 0.5 / radius))
    first = np.arctan2(*(start.pos[0, :2] - centre)[::-1])
    at = first - start.sense[0] * angle
    x, y = centre[0] + radius * np.cos(at), centre[1] + radius * np.sin(at)
    r, z = np.hypot(x, y), start.pos[0, 2] + angle * radius * start.momentum[0, 2] / start.pt[0]
    grows = np.diff(r) > 0
    outwards = int(np.argmax(grows))
    turning = outwards + int(np.argmin(grows[outwards:]))
    crossings = []
    for layer in range(len(DETECTOR.place)):
        axis, along = (r, z) if DETECTOR.barrel[layer] else (z, r)
        for k in np.flatnonzero(np.diff(np.sign(axis - DETECTOR.place[layer])) != 0):
            if outwards <= k < turning and DETECTOR.low[layer] <= along[k] <= DETECTOR.high[layer]:
                crossings.append((k, layer))
    return [layer for _, layer in sorted(crossings)]


def near_an_edge(start: Helices) -> bool:
    """Whether a particle passes so near to the end of a layer, or to its own turning points, that steps can't tell."""
    wide, narrow = (
        Detector(**{**DETECTOR.__dict__, "low": DETECTOR.low - d, "high": DETECTOR.high + d}) for d in (1.0, -1.0)
    )
    centre, radius = centre_and_radius(start, 0)
    phase = start.phase[0]
    barrel, ends = DETECTOR.place[DETECTOR.barrel], DETECTOR.place[~DETECTOR.barrel]
    turning_r = np.hypot(*centre) + radius * np.array([[-1], [1]])
    turning_z = start.pos[0, 2] + start.pitch[0] * (np.array([[0], [np.pi]]) - phase)
    same = np.array_equal(propagate(start, wide).layer, propagate(start, narrow).layer)
    near = (np.abs(np.abs(turning_r) - barrel) < 1).any() or (np.abs(turning_z - ends) < 2).any()
    return not same or bool(near)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.1, 20), st.floats(-3.1, 3.1), st.floats(-3, 3), st.sampled_from([-1.0, 1.0]), st.floats(-150, 150),
    st.floats(1, 100), st.floats(-3.1, 3.1),
)  # fmt: skip
# So flat a particle that its way to a disk overflows.
@example(1.0, 0.0, 5e-324, -1.0, 0.0, 1.0, 0.0)
# It crosses the disk at 600 mm on its way in, which doesn't count.
@example(1.0, 3.1, 0.6, 1.0, 590.0, 100.0, 3.1)
def test_every_layer_is_met_that_walking_along_the_helix_finds(pt, phi, eta, sense, z0, away, turn) -> None:
    momentum = np.array([[pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)]])
    vertex = np.array([[away * np.cos(phi + turn), away * np.sin(phi + turn), z0]])
    start = Helices(vertex, momentum, np.array([sense]), FIELD)
    if near_an_edge(start):
        return
    assert propagate(start, DETECTOR).layer.tolist() == layers_by_steps(start)


def test_loopers_end_at_their_turning_point() -> None:
    start = helices(2, low=0.05, high=0.2)
    crossed = propagate(start, DETECTOR)
    for particle, rows in tracks(crossed).items():
        r = np.hypot(*crossed.pos[rows, :2].T)
        centre, radius = centre_and_radius(start, particle)
        assert (np.diff(r) > 0).all()
        assert r[-1] <= np.hypot(*centre) + radius + 1e-9


def test_the_width_of_scattering_is_that_of_highland() -> None:
    # 1 GeV pion, 2 % of a radiation length: β = 0.99040; 13.6 MeV / β p · √0.02 · (1 + 0.038 ln(0.02 / β²)).
    assert highland(np.array([1.0]), np.array([0.02]))[0] == pytest.approx(1.6547e-3, rel=1e-3)
    assert highland(np.array([1.0]), np.array([1e-30]))[0] == 0.0
    count = 40_000
    pos, momentum = np.tile([32.0, 0.0, 10.0], (count, 1)), np.tile([0.6, 0.0, 0.8], (count, 1))
    barrel = np.ones(count, np.bool_)
    start = Helices(pos, momentum, np.ones(count), FIELD)
    after = scattered(start, barrel, 0.02, np.random.default_rng(0))
    assert np.allclose(np.linalg.norm(after.momentum, axis=1), 1.0)
    # It crosses the cylinder at sin θ = 0.6, on a longer way.
    width = highland(np.array([1.0]), np.array([0.02 / 0.6]))[0]
    in_phi = after.momentum[:, 1]
    in_theta = after.momentum @ np.array([-0.8, 0.0, 0.6])
    # The standard deviation of n normal numbers is known to 1 / √(2 n) = 0.35 %: five times that.
    assert [np.std(in_phi), np.std(in_theta)] == pytest.approx([width, width], rel=0.018)
    assert abs(np.mean(in_phi)) < 5 * width / np.sqrt(count)
    assert abs(np.corrcoef(in_phi, in_theta)[0, 1]) < 5 / np.sqrt(count)
    disk = scattered(start, ~barrel, 0.02, np.random.default_rng(0))
    assert np.std(disk.momentum[:, 1]) == pytest.approx(highland(np.ones(1), np.array([0.02 / 0.8]))[0], rel=0.018)
    flat = Helices(pos, np.tile([0.0, 1.0, 0.0], (count, 1)), np.ones(count), FIELD)
    grazing = scattered(flat, barrel, 0.02, np.random.default_rng(0))
    assert np.std(grazing.momentum[:, 2]) == pytest.approx(
        highland(np.ones(1), np.array([0.02 / GRAZING]))[0], rel=0.018
    )


def test_particles_that_scatter_back_are_not_followed() -> None:
    start = helices(4, low=0.05, high=0.3)
    crossed = propagate(start, DETECTOR, 1.0, np.random.default_rng(0))
    for rows in tracks(crossed).values():
        barrel = DETECTOR.barrel[crossed.layer[rows]]
        assert len(np.unique(crossed.layer[rows])) == len(rows)
        assert (np.diff(np.hypot(*crossed.pos[rows, :2].T)[barrel]) > 0).all()
    assert len(crossed.layer) > 1000


def test_scattering_bends_tracks_after_the_first_layer_only() -> None:
    start = helices(3, count=2000, low=0.5)
    plain, bent = propagate(start, DETECTOR), propagate(start, DETECTOR, 0.02, np.random.default_rng(0))
    first = [np.unique(hits.particle, return_index=True)[1] for hits in (plain, bent)]
    assert np.array_equal(plain.pos[first[0]], bent.pos[first[1]])
    assert len(plain.layer) > 2 * len(first[0])
    paths = {(p, layer): pos for p, layer, pos in zip(plain.particle, plain.layer, plain.pos, strict=True)}
    moved = [
        np.linalg.norm(pos - paths[p, layer])
        for p, layer, pos in zip(bent.particle, bent.layer, bent.pos, strict=True)
        if (p, layer) in paths
    ]
    assert np.median(moved) > 0.01
