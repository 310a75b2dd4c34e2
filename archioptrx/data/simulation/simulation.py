"""A simulated event: particles of a collider, their helices through TrackML's detector, hits and noise.

Collisions lie along the beam, and particles come from them with a falling spectrum of transverse momentum, uniform in
φ and η, of either charge. A share of them are secondaries: something neutral flew from the collision and became a
charged particle, whose direction differs from the neutral one's by about `OPENING`. Helices meet the layers
(`propagation`), scatter in them, and leave hits that are smeared along the layer, or none where the layer misses them.
Noise is added in proportion to what TrackML's events have in each layer. Nothing else is simulated: no energy loss, no
interactions, no overlapping modules, no merged hits, no beam pipe, no second half turn of a looper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.event import Event
from archioptrx.data.options import HelixOptions
from archioptrx.data.simulation.detector_response import Detector, trackml_detector
from archioptrx.data.simulation.propagation import Helices, propagate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OPENING = 0.1
"""Standard deviation in φ and in η of the direction of a secondary around that of the particle that it came from."""
FEWEST_HITS = 3
"""Least number of hits of a particle with weights: with fewer, it is no track in the TrackML challenge."""


@dataclass(frozen=True)
class SimulatedHits:
    """Hits of an event; `particle` [N] is a row, -1 for noise, `layer` [N] one of the detector, `pos` [N, 3] in mm."""

    particle: Ints
    layer: Ints
    pos: Floats


def simulate(options: HelixOptions, number: int) -> Event:
    """Simulate one event.

    Parameters
    ----------
    options
        Options of the source `helix`.
    number
        Number of the event. The event is the same however many events there are.
    """
    random = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(number,)))
    detector = trackml_detector(options.detector == "all")
    start = particles(options, random)
    hits = with_noise(particle_hits(options, start, detector, random), options.noise_share, detector, random)
    # By layer as in TrackML's files; the random order inside of one doesn't tell which hits are noise.
    shuffled = random.permutation(len(hits.layer))
    rank = np.argsort(np.lexsort((detector.layer, detector.volume)))  # of each layer by volume and number
    order = shuffled[np.argsort(rank[hits.layer[shuffled]], kind="stable")]
    layer, particle = hits.layer[order], hits.particle[order]
    return Event(
        name=f"event{number:09d}",
        hit_id=np.arange(1, len(order) + 1),
        pos=hits.pos[order],
        volume=detector.volume[layer],
        layer=detector.layer[layer],
        module=np.ones(len(order), np.int64),
        pid=particle + 1,
        weight=weights(particle, start.pt),
        particle_id=np.arange(1, len(start.pos) + 1),
        momentum=start.momentum,
        vertex=start.pos,
        charge=start.sense,
    )


def particles(options: HelixOptions, random: np.random.Generator) -> Helices:
    """Draw the particles of an event where they are made."""
    count = max(1, int(random.poisson(options.particles)))
    spread = (options.beam_spot, options.beam_spot, options.beam_length)
    collisions = random.normal(size=(options.vertices, 3)) * spread
    vertex = collisions[random.integers(options.vertices, size=count)]
    pt = spectrum(options, random.uniform(size=count))
    phi = random.uniform(-np.pi, np.pi, count)
    eta = random.uniform(-options.eta_high, options.eta_high, count)
    sense = random.choice([-1.0, 1.0], count)
    flown = random.exponential(options.flight, count) * (random.uniform(size=count) < options.displaced)
    phi_before, eta_before = phi + OPENING * random.normal(size=count), eta + OPENING * random.normal(size=count)
    ahead = np.stack([np.cos(phi_before), np.sin(phi_before), np.sinh(eta_before)], axis=1)
    momentum = pt[:, None] * np.stack([np.cos(phi), np.sin(phi), np.sinh(eta)], axis=1)
    return Helices(vertex + flown[:, None] * ahead, momentum, sense, options.field)


def spectrum(options: HelixOptions, level: Floats) -> Floats:
    """Transverse momentum in GeV at levels of its distribution; the inverse of what dN/dpT adds up to.

    Shapes: level [P] in [0, 1) -> [P].
    """
    power = 1 - options.pt_power
    first, last = options.pt_scale + options.pt_low, options.pt_scale + options.pt_high
    # A sum of two positive terms: nothing cancels at the far end of a steep spectrum.
    above = (1 - level) + level * (last / first) ** power
    pt = first * above ** (1 / power) - options.pt_scale
    return np.asarray(np.clip(pt, options.pt_low, options.pt_high))


def particle_hits(
    options: HelixOptions, start: Helices, detector: Detector, random: np.random.Generator
) -> SimulatedHits:
    """Hits of the particles: the crossings that are measured, smeared along the layer."""
    crossed = propagate(start, detector, options.thickness, random)
    measured = random.uniform(size=len(crossed.layer)) >= options.inefficiency
    particle, layer = crossed.particle[measured], crossed.layer[measured]
    errors = options.resolution * random.normal(size=(2, len(layer)))
    pos = smeared(crossed.pos[measured], detector, layer, errors[0] * detector.across[layer], errors[1])
    return SimulatedHits(particle, layer, pos)


def smeared(pos: Floats, detector: Detector, layer: Ints, across: Floats, along: Floats) -> Floats:
    """Move hits along their layers.

    Parameters
    ----------
    pos : [N, 3]
        x, y, z in mm.
    detector, layer
        Row of each hit's layer.
    across : [N]
        Deviation in r·φ, mm.
    along : [N]
        Deviation in z of a cylinder or in r of a ring, in units of the resolution there.
    """
    barrel, along = detector.barrel[layer], along * detector.along[layer]
    r = np.hypot(pos[:, 0], pos[:, 1])
    phi = np.arctan2(pos[:, 1], pos[:, 0]) + across / r
    r, z = np.where(barrel, r, r + along), np.where(barrel, pos[:, 2] + along, pos[:, 2])
    return np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=1)


def with_noise(hits: SimulatedHits, share: float, detector: Detector, random: np.random.Generator) -> SimulatedHits:
    """Add noise: uniform in φ, and in z of a cylinder or in r of a ring.

    Parameters
    ----------
    hits
        Hits of the particles.
    share
        Noise as a share of all hits, noise included.
    detector
        Its layers, with each one's share of the noise in `noise`.
    random
        Draws the noise.
    """
    count = round(share / (1 - share) * len(hits.layer))
    layer = random.choice(len(detector.place), count, p=detector.noise)
    phi = random.uniform(-np.pi, np.pi, count)
    along = random.uniform(detector.low[layer], detector.high[layer])
    barrel, place = detector.barrel[layer], detector.place[layer]
    r, z = np.where(barrel, place, along), np.where(barrel, along, place)
    pos = np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=1)
    return SimulatedHits(
        np.concatenate([hits.particle, np.full(count, -1)]),
        np.concatenate([hits.layer, layer]),
        np.concatenate([hits.pos, pos]),
    )


def weights(particle: Ints, pt: Floats) -> Floats:
    """Stand-in for the weights of the TrackML score: those of all hits add to 1.

    A particle with `FEWEST_HITS` or more shares its weight equally among its hits. It grows with pT as in the
    challenge, linearly from 0.2 at 0.5 GeV to 1 at 3 GeV and constant outside (trackml-library, `trackml/weights.py`).
    The challenge gives the first and the last hits of a track more; here all are alike.

    Shapes: particle [N] rows of pt [P] or -1 -> [N].
    """
    hits = np.bincount(particle[particle >= 0], minlength=len(pt))
    per_hit = np.interp(pt, [0.5, 3.0], [0.2, 1.0]) * (hits >= FEWEST_HITS) / np.maximum(hits, 1)
    weight = np.where(particle >= 0, per_hit[particle], 0.0)
    return np.asarray(weight / max(float(weight.sum()), 1e-30))
