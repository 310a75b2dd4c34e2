"""Simulated events: spectra, shares and errors are those asked for; every event has numbers of its own."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archioptrx.data.event import Event
from archioptrx.data.options import HelixOptions
from archioptrx.data.simulation.detector import SURFACES, layer_numbers
from archioptrx.data.simulation.detector_response import trackml_detector
from archioptrx.data.simulation.propagation import propagate
from archioptrx.data.simulation.simulation import (
    FEWEST_HITS,
    SimulatedHits,
    particles,
    simulate,
    spectrum,
    weights,
    with_noise,
)

PLAIN = HelixOptions(particles=300, resolution=0.0, thickness=0.0, inefficiency=0.0, noise_share=0.0)


def same(first: Event, second: Event) -> bool:
    values = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(Event)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in values)


def test_an_event_depends_on_its_number_and_the_seed_alone() -> None:
    options = HelixOptions(particles=50, seed=4)
    assert same(simulate(options, 7), simulate(replace(options, events=3), 7))
    assert len({simulate(options, number).pos.tobytes() for number in range(8)}) == 8
    other = simulate(replace(options, seed=5), 7)
    assert other.name == "event000000007" and not np.array_equal(other.pos, simulate(options, 7).pos)


def test_without_errors_the_hits_are_the_crossings() -> None:
    event = simulate(PLAIN, 0)
    random = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(0,)))
    crossed = propagate(particles(PLAIN, random), trackml_detector())
    assert event.pid.min() == 1
    z_first = [np.lexsort((pos[:, 2], pid)) for pos, pid in ((event.pos, event.pid), (crossed.pos, crossed.particle))]
    assert np.array_equal(event.pid[z_first[0]], crossed.particle[z_first[1]] + 1)
    assert np.allclose(event.pos[z_first[0]], crossed.pos[z_first[1]], rtol=0, atol=1e-9)


def test_hits_are_in_layers_of_the_detector_and_sorted_by_them() -> None:
    event = simulate(HelixOptions(particles=300), 0)
    number = layer_numbers(event.volume, event.layer)
    assert set(number) == set(range(len(SURFACES)))
    r = np.hypot(event.pos[:, 0], event.pos[:, 1])
    for place, surface in enumerate(SURFACES):
        at = (r if surface.barrel else event.pos[:, 2])[number == place]
        assert np.allclose(at, surface.place, rtol=0, atol=1e-9)
    assert np.array_equal(np.lexsort((event.layer, event.volume)), np.arange(len(number)))
    assert np.array_equal(event.hit_id, np.arange(1, len(number) + 1))
    # Inside a layer noise stands anywhere: its mean rank is the middle.
    rank = np.concatenate(
        [np.arange(n) / n for n in np.unique(1000 * event.volume + event.layer, return_counts=True)[1]]
    )
    noise = event.pid == 0
    assert abs(rank[noise].mean() - rank[~noise].mean()) < 5 * np.sqrt(1 / 12 / noise.sum())


def test_a_barrel_alone_has_no_endcaps() -> None:
    event = simulate(replace(PLAIN, detector="barrel"), 0)
    assert set(event.volume) == {8, 13, 17}


@pytest.mark.parametrize("share", [0.0, 0.15, 0.4])
def test_noise_has_its_share_of_the_hits(share: float) -> None:
    event = simulate(HelixOptions(particles=500, noise_share=share), 1)
    assert (event.pid == 0).mean() == pytest.approx(share, abs=1 / len(event.pid))


def test_noise_is_spread_over_the_layers_as_the_detector_says() -> None:
    detector = trackml_detector()
    none = SimulatedHits(np.zeros(10_000, np.int64), np.zeros(10_000, np.int64), np.zeros((10_000, 3)))
    noise = with_noise(none, 0.75, detector, np.random.default_rng(0))
    counts = np.bincount(noise.layer[10_000:], minlength=len(detector.place))
    assert counts.sum() == 30_000
    assert (np.abs(counts - 30_000 * detector.noise) < 5 * np.sqrt(30_000 * detector.noise)).all()
    barrel = detector.noise[detector.barrel]
    assert np.allclose(barrel / detector.place[detector.barrel], barrel[0] / detector.place[0])


def test_layers_miss_the_share_of_particles_that_they_are_told_to() -> None:
    options = replace(PLAIN, particles=2000)
    crossed = len(simulate(options, 0).pid)
    detected = len(simulate(replace(options, inefficiency=0.2), 0).pid)
    # Binomial: five standard deviations.
    assert abs(detected - 0.8 * crossed) < 5 * np.sqrt(0.2 * 0.8 * crossed)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_hits_are_smeared_by_the_resolution_of_their_layer(factor: float) -> None:
    options = replace(PLAIN, particles=2000)
    true, smeared = simulate(options, 0), simulate(replace(options, resolution=factor), 0)
    # The same numbers are drawn in the same order, so that the same hits are in the same rows.
    assert np.array_equal(true.pid, smeared.pid)
    r, phi = np.hypot(*true.pos[:, :2].T), np.arctan2(true.pos[:, 1], true.pos[:, 0])
    across = r * (np.arctan2(smeared.pos[:, 1], smeared.pos[:, 0]) - phi)
    across -= 2 * np.pi * r * np.round(across / (2 * np.pi * r))
    for volume, expected, along in ((8, 0.0045, 0.004), (17, 0.027, 3.5), (12, 0.021, 0.35)):
        chosen = true.volume == volume
        measured = smeared.pos[:, 2] - true.pos[:, 2] if volume != 12 else np.hypot(*smeared.pos[:, :2].T) - r
        spread = [np.std(across[chosen]), np.std(measured[chosen])]
        # Five times the error 1 / √(2 n) of a standard deviation of n numbers.
        assert spread == pytest.approx([factor * expected, factor * along], rel=5 / np.sqrt(2 * chosen.sum()))


@settings(max_examples=50)
@given(st.floats(0.05, 2), st.floats(3, 100), st.floats(0.1, 5), st.floats(1.5, 10))
def test_the_spectrum_falls_as_it_should(low: float, high: float, scale: float, power: float) -> None:
    options = HelixOptions(pt_low=low, pt_high=high, pt_scale=scale, pt_power=power)
    level = np.linspace(0, 1, 101)
    pt = spectrum(options, level)
    assert pt[[0, -1]] == pytest.approx([low, high])
    # The share below each pT, by numerical integration of (1 + pT / scale)^-power.
    edges = np.geomspace(low, high, 20_001)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.concatenate([[0], np.cumsum((1 + middle / scale) ** -power * np.diff(edges))])
    assert np.allclose(np.interp(pt, edges, below / below[-1]), level, atol=1e-3)


def test_from_100_mev_on_the_spectrum_has_the_quantiles_of_trackml() -> None:
    # Quantiles of pT in GeV of the 12,263 particles of the challenge's event 1000.
    quantiles = {0.05: 0.122, 0.25: 0.217, 0.5: 0.360, 0.75: 0.626, 0.95: 1.53, 0.99: 2.97}
    pt = spectrum(HelixOptions(pt_low=0.1), np.array(list(quantiles)))
    assert pt == pytest.approx(list(quantiles.values()), rel=0.15)


def test_particles_come_from_collisions_but_for_the_displaced_ones() -> None:
    options = HelixOptions(particles=20_000, vertices=40, displaced=0.3, flight=20.0)
    start = particles(options, np.random.default_rng(0))
    far = np.hypot(*start.pos[:, :2].T)
    assert 5 * np.sqrt(20_000) > abs(len(far) - 20_000) > 0
    away = far > 0.2
    # A distance is above 0.2 mm with probability exp(-0.2 / 20).
    assert away.mean() == pytest.approx(0.3 * np.exp(-0.01), abs=5 * np.sqrt(0.21 / 20_000))
    assert far[away].mean() == pytest.approx(20.0, rel=0.1)
    prompt = particles(replace(options, displaced=0.0), np.random.default_rng(0))
    assert len(np.unique(prompt.pos, axis=0)) == 40
    assert [np.std(prompt.pos[:, 0]), np.std(prompt.pos[:, 2])] == pytest.approx([0.015, 50.0], rel=5 / np.sqrt(80))
    eta = np.arcsinh(start.momentum[:, 2] / start.pt)
    assert np.abs(eta).max() <= 3 and np.abs(eta).max() > 2.99
    assert abs(start.sense.mean()) < 5 / np.sqrt(20_000)
    flies_out = (start.pos[away, :2] * start.momentum[away, :2]).sum(1) / far[away] / start.pt[away]
    assert np.mean(flies_out) > 0.98


def test_weights_add_to_one_and_fall_on_tracks() -> None:
    event = simulate(HelixOptions(particles=400, inefficiency=0.6), 0)
    hits = np.bincount(event.pid, minlength=len(event.particle_id) + 1)
    assert event.weight.sum() == pytest.approx(1.0)
    assert (event.weight[event.pid == 0] == 0).all()
    short = hits[event.pid] < FEWEST_HITS
    assert short[event.pid > 0].any() and (event.weight[short] == 0).all()
    assert (event.weight[~short & (event.pid > 0)] > 0).all()
    given_weights = weights(np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, -1]), np.array([0.1, 5.0, 1.0]))
    assert given_weights * 1.2 == pytest.approx([0.2 / 3] * 3 + [1.0 / 4] * 4 + [0.0] * 3)


def test_a_tiny_event_may_have_no_hits() -> None:
    none = weights(np.array([-1, -1]), np.array([1.0]))
    assert none.tolist() == [0.0, 0.0]
    sparse = HelixOptions(particles=1, inefficiency=0.99, eta_high=0.5)
    events = [simulate(sparse, number) for number in range(20)]
    assert min(len(event.hit_id) for event in events) == 0
