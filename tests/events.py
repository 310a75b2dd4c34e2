"""Small events for tests: tracks of constant slope through the barrel, and noise."""

import numpy as np

from archioptrx.data.event import Event
from archioptrx.data.simulation.detector import BARREL, SURFACES


def barrel_event(seed=0, tracks=8, noise=6, double=0.2, name="event000000007", cells=True):
    """Tracks that bend by Δφ/Δr of up to 0.0012 rad/mm and begin within 250 mm of the middle; some hits twice."""
    random = np.random.default_rng(seed)
    layer, r, phi, z, pid = [], [], [], [], []
    slope = random.uniform(-1.2e-3, 1.2e-3, tracks)
    start = random.uniform(-np.pi, np.pi, tracks)
    z0 = random.uniform(-250, 250, tracks)
    rise = random.normal(0, 0.5, tracks)
    for k in range(tracks):
        for number in range(BARREL):
            copies = (random.random() > 0.1) + (random.random() < double)
            for copy in range(copies):
                radius = SURFACES[number].place + 2.5 * copy
                layer.append(number)
                r.append(radius)
                phi.append(start[k] + slope[k] * radius)
                z.append(z0[k] + rise[k] * radius)
                pid.append(10 + 3 * k)
    count = len(r)
    layer += random.integers(0, BARREL, noise).tolist()
    r = np.array(r + [SURFACES[k].place for k in layer[count:]])
    phi = np.concatenate([phi, random.uniform(-np.pi, np.pi, noise)])
    z = np.concatenate([z, random.uniform(-400, 400, noise)])
    pid = np.array(pid + [0] * noise, dtype=np.int64)
    order = random.permutation(len(r))
    ids = np.arange(tracks, dtype=np.int64) * 3 + 10
    pt = 0.3e-3 * 2 / (2 * np.maximum(np.abs(slope), 1e-5))
    layer = np.array(layer)[order]
    signal = random.integers(1, 5, len(r)).astype(float)
    return Event(
        name=name,
        hit_id=random.permutation(len(r)).astype(np.int64) + 100,
        pos=np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=1)[order],
        volume=np.array([s.volume for s in SURFACES])[layer],
        layer=np.array([s.layer for s in SURFACES])[layer],
        module=random.integers(1, 99, len(r)),
        pid=pid[order],
        weight=np.where(pid[order] > 0, random.random(len(r)), 0.0),
        particle_id=ids,
        momentum=np.stack([pt * np.cos(start), pt * np.sin(start), pt * rise], axis=1),
        vertex=np.stack([random.normal(0, 2, tracks), random.normal(0, 2, tracks), z0], axis=1),
        charge=np.sign(slope),
        cells=np.stack([signal, signal * 0.25], axis=1) if cells else None,
    )
