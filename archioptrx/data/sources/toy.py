"""Toy data: tracks of a two-dimensional detector, made in seconds and read by the same networks as real data.

The detector is `num_layers` concentric circles, equidistant, the outermost at radius `height`. The unit of length is
100 mm, so that the defaults are a barrel of 1 m radius whose tracks have 0.9 to 3 GeV in a field of 2 T. Each track is
an arc of a circle through the origin. It starts in a direction uniform in ±max_angle / 2 around φ = 0; its radius of
curvature R is uniform in [curve_min, curve_max], its sense of rotation random. It meets the layer of radius r at

    φ = φ0 ± asin(r / 2R)

and makes a hit there; a layer beyond 2R it never reaches, and has no hit of it. Candidate edges join hits of adjacent
layers whose |Δφ| is at most `WINDOW` times the largest that a track can have: of two such edges geometry alone can't
tell the true one, the rest of the track can. Tracks of one event cross and share windows, so messages have to help.

Everything lies at z = 0: of the edge features Δz and z0 are 0, Δr is the distance of the layers, and Δφ and the slope
Δφ/Δr differ between edges. `pt` is 0.3 · 2 T · R. Particles have φ0 as their azimuth, the charge -1 where φ grows with
r (as in a field along z) and a hit's weight is 1 over all hits of the event.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.event import PARTICLE_COLUMNS
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.options import SOURCES, ToyOptions
from archioptrx.data.sources.stream import Job, stream

UNIT = 100.0
"""Unit of length of the options in mm."""
FIELD = 2.0
"""Magnetic field in tesla."""
WINDOW = 4.0
"""Width of the window for candidate edges, in units of the largest |Δφ| of a track."""
Arrays = dict[str, np.ndarray[Any, Any]]


@SOURCES.registering("toy")
def load(options: ToyOptions) -> Dataset:
    """Make the events, with a progress bar on stderr."""
    metadata = Metadata(
        "toy",
        node_scale=(UNIT * options.height, math.pi, UNIT * options.height),
        options=asdict(options),
    ).with_edge_features(options.edge_features)
    seeds = np.random.SeedSequence(options.seed).spawn(options.num_samples)
    jobs = [Job(f"toy{i:06d}", (i, seed), f"{options.seed} {i}") for i, seed in enumerate(seeds)]
    return stream(jobs, partial(make, options=options, metadata=metadata), metadata)


def make(job: Job, options: ToyOptions, metadata: Metadata) -> BuiltEvent:
    """Make one event from its number and seed."""
    number, seed = job.content
    return BuiltEvent((toy_event(options, metadata, np.random.default_rng(seed), number),))


def toy_event(options: ToyOptions, metadata: Metadata, random: np.random.Generator, number: int) -> HitGraph:
    """Make one event: its hits, candidate edges and truth."""
    hits = toy_hits(options, random)
    edges = candidate_edges(hits["layer"], hits["phi"], options.num_layers, WINDOW * largest_step(options))
    pid = hits["pid"]
    content = {
        "x": np.stack([hits["r"] / options.height, hits["phi"] / math.pi, np.zeros(len(pid))], axis=1),
        "edge_index": edges,
        "y": pid[edges[0]] == pid[edges[1]],
        "pid": pid,
        "pt": 0.3e-3 * FIELD * UNIT * hits["radius"],
        "hit_weight": np.full(len(pid), 1 / max(1, len(pid))),
        **particle_fields(hits),
    }
    return make_graph(content, metadata, f"toy{number:06d}", 0, directed=True)


def particle_fields(hits: Arrays) -> Arrays:
    """The particles that made hits, as a hit graph keeps them; see `archioptrx.data.event.PARTICLE_COLUMNS`."""
    ids, first, index, counts = np.unique(hits["pid"], return_index=True, return_inverse=True, return_counts=True)
    table = np.zeros((len(ids) + 1, len(PARTICLE_COLUMNS)))
    known = {
        "pt": 0.3e-3 * FIELD * UNIT * hits["radius"][first],
        "φ": hits["start"][first],
        "charge": -hits["sense"][first],
        "hits": counts,
        "weight": counts / len(index),
    }
    for name, values in known.items():
        table[1:, PARTICLE_COLUMNS.index(name)] = values
    return {"particle_id": np.append(0, ids), "particles": table, "particle_index": index + 1}


def toy_hits(options: ToyOptions, random: np.random.Generator) -> Arrays:
    """Draw the tracks of an event and intersect them with the layers; hits in random order.

    Returns
    -------
    Arrays [N]: `layer` 0 …, `r` and `radius` (of curvature) in units of 100 mm, `phi` and `start` (of the track) in
    rad, `sense` ±1, `pid` 1 ….
    """
    tracks = int(random.integers(options.event_size_min, options.event_size_max, endpoint=True))
    start = random.uniform(-0.5, 0.5, tracks) * options.max_angle
    curve = random.uniform(options.curve_min, options.curve_max, tracks)
    sense = random.choice([-1.0, 1.0], tracks)
    layers = (np.arange(options.num_layers) + 1) * options.height / options.num_layers
    sine = layers[None, :] / (2 * curve[:, None])
    particle, layer = np.nonzero(sine <= 1)
    phi = start[particle] + sense[particle] * np.arcsin(sine[particle, layer])
    order = random.permutation(len(phi))
    particle, layer, phi = particle[order], layer[order], np.remainder(phi[order] + math.pi, 2 * math.pi) - math.pi
    hits = {"layer": layer, "r": layers[layer], "phi": phi, "pid": particle + 1}
    return hits | {"radius": curve[particle], "start": start[particle], "sense": sense[particle]}


def largest_step(options: ToyOptions) -> float:
    """Largest |Δφ| between adjacent layers that a track can have, rad."""
    layers = (np.arange(options.num_layers) + 1) * options.height / options.num_layers
    angles = np.arcsin(np.minimum(1.0, layers / (2 * options.curve_min)))
    return float(np.diff(angles).max())


def candidate_edges(
    layer: np.ndarray[Any, Any], phi: np.ndarray[Any, Any], num_layers: int, window: float
) -> np.ndarray[Any, Any]:
    """Pairs of hits of adjacent layers with |Δφ| within a window. Shapes: layer [N], phi [N] -> [2, E]."""
    inner, outer = np.nonzero(layer[:, None] + 1 == layer[None, :])
    step = phi[outer] - phi[inner]
    step -= 2 * math.pi * np.round(step / (2 * math.pi))
    near = np.abs(step) <= window
    return np.stack([inner[near], outer[near]])
