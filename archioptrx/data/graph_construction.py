"""Graph construction: selection of hits, candidate edges, truth, sectors. For every source that has events.

What is true: the hits of a particle, sorted by their distance from its vertex (or, where the event knows them, by the
true steps along its track), are joined one after the other. The list is made after low pT, noise and other layers are
removed (a barrel graph joins a particle's barrel hits) and before all other cuts, and both directions of a pair count.
Two hits that follow each other in *one* layer, where modules overlap, are no edge between layers: `overlap_pairs`
counts them, `Cuts.overlaps` says what becomes of such hits.

Counts of each event, added up over a data set:

    true_edges       all true edges, as above
    kept_edges       those that are in a graph: kept_edges / true_edges is the building's efficiency
    edges            all edges of the graphs: kept_edges / edges is the building's purity
    crossing_edges   true edges that pass all cuts and are lost because they cross from one sector to another
    signal_edges, kept_signal_edges     the same of the signal alone, where the target definition names one
    overlap_pairs    see above
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.data.doublets import wrapped
from archioptrx.data.edge_search import candidate_edges, expanded
from archioptrx.data.event import PARTICLE_COLUMNS, PRIMARY, Event
from archioptrx.data.options.building import CLUSTER_SCALES, CLUSTERS, Cuts
from archioptrx.data.signal import Signal
from archioptrx.data.simulation.detector import TRACKML, DetectorLayers, layer_numbers, layer_pairs

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WIDEST_ETA = 5.0
"""Sectors in η divide ± this where no cut says less."""
FEATURE_SCALES = {
    **{"eta": ("η", 2.0), "cells": ("cells", 10.0), "charge": ("charge", 1.0)},
    **{name: (name, CLUSTER_SCALES[kind]) for name, kind in CLUSTERS.items()},
}
"""Name and scale of the hit features beside r, φ and z."""
NODES = ("r", "phi", "z")
_PT, _PHI, _VR, _HITS = (PARTICLE_COLUMNS.index(name) for name in ("pt", "φ", "vr", "hits"))


def building_metadata(source: str, cuts: Cuts, options: Mapping[str, Any]) -> Metadata:
    """Metadata of graphs that `build` makes.

    Parameters
    ----------
    source
        Name of the source.
    cuts
        Cuts, which fix the φ sectors and the hit features.
    options
        Options of the source, to be kept in the metadata.
    """
    names, scales = zip(*(FEATURE_SCALES[name] for name in cuts.features), strict=True) if cuts.features else ((), ())
    return Metadata(
        source,
        node_features=("r", "φ", "z", *names),
        node_scale=(1000.0, math.pi / cuts.phi_sectors, 1000.0, *scales),
        sectors=cuts.phi_sectors,
        options=dict(options),
    ).with_edge_features(cuts.edge_features)


@dataclass(frozen=True)
class _Hits:
    """Hits of an event that graphs are built of.

    Attributes
    ----------
    index : [N]
        Row of each in the event.
    layer : [N]
        Place in the detector's `surfaces`.
    nodes : [N, 3]
        r, φ, z in mm, rad, mm.
    particle : [N]
        Row in the table of particles, 0 for noise.
    distance : [N]
        Distance from the vertex of its particle, mm; or the number of the step, where the event has these.
    """

    index: Ints
    layer: Ints
    nodes: Floats
    particle: Ints
    distance: Floats

    def only(self, keep: Bools) -> _Hits:
        """Some of the hits. Shapes: keep [N]."""
        return _Hits(*(getattr(self, field.name)[keep] for field in fields(self)))


def build(event: Event, cuts: Cuts, metadata: Metadata, detector: DetectorLayers = TRACKML) -> BuiltEvent:
    """Build the graphs of one event: one, or one of each sector that has hits.

    Sectors are numbered φ first: number in φ times `eta_sectors` plus number in η. The event's volumes and layers are
    those of the `detector`.

    Raises
    ------
    InputError
        The event lacks what the cuts need, or a hit is in a layer that the detector doesn't have.
    """
    table = event.particle_fields()
    pairs = layer_pairs(cuts.layers, cuts.skip_layers, detector)
    hits = _selected(event, table, cuts, detector)
    truth, overlaps = true_pairs(hits.particle, hits.layer, hits.distance, cuts.overlaps == "every")
    sector = _sectors(hits.nodes, cuts)
    edges = candidate_edges(hits.nodes, np.where(sector < 0, -1, hits.layer), pairs, cuts.slope_max, cuts.z0_max)
    y = _among(edges, truth, len(sector))
    inside = sector[edges[0]] == sector[edges[1]]
    counts = {
        "true_edges": truth.shape[1],
        "kept_edges": int(y[inside].sum()),
        "edges": int(inside.sum()),
        "crossing_edges": int(y[~inside].sum()),
        "overlap_pairs": overlaps,
    }
    edges, y = edges[:, inside], y[inside]
    per_edge: dict[str, Any] = {"y": y}
    if cuts.targets:
        signal_rule = Signal(cuts.signal_pt, cuts.signal_hits, PRIMARY if cuts.signal_primary else math.inf)
        signal = signal_rule.of(*table["particles"][:, [_PT, _HITS, _VR]].T)[hits.particle]
        per_edge["edge_mask"] = ~y | signal[edges[1]]
        counts |= {"signal_edges": int(signal[truth[1]].sum()), "kept_signal_edges": int((y & signal[edges[1]]).sum())}
    if cuts.weights:
        per_edge["edge_weight"] = _weights(hits.particle, edges, y, cuts)
    per_hit = _per_hit(event, table, hits, cuts)
    graphs = []
    # A sector without an edge is still one: its hits are of no track, and its particles are lost.
    for number in _numbers_of(sector):
        keep, within = sector == number, sector[edges[0]] == number
        content = {k: v[keep] for k, v in per_hit.items()} | {k: v[within] for k, v in per_edge.items()}
        content["edge_index"] = (np.cumsum(keep) - 1)[edges[:, within]]
        middle = -math.pi + (number // cuts.eta_sectors + 0.5) * 2 * math.pi / cuts.phi_sectors
        content |= _turned(content["x"], table, middle, metadata)
        graphs.append(make_graph(content, metadata, event.name, number, directed=True))
    return BuiltEvent(tuple(graphs), counts)


def _selected(event: Event, table: Mapping[str, Any], cuts: Cuts, detector: DetectorLayers) -> _Hits:
    """Hits of the chosen layers, without those of low pT, noise and overlaps where the cuts exclude these."""
    layer = layer_numbers(event.volume, event.layer, detector)
    if (layer < 0).any():
        row = int(np.argmax(layer < 0))
        raise InputError(
            f"{event.name}: hit {event.hit_id[row]} is in volume {event.volume[row]}, layer {event.layer[row]}; "
            f"allowed: the layers of the {detector.name} detector, volumes {' '.join(map(str, detector.volumes))}"
        )
    row = table["particle_index"]
    # Where the vertex isn't known, hits are joined by their distance from the origin.
    vertex = np.nan_to_num(np.vstack([np.zeros(3), event.vertex]))[row]
    nodes = np.stack([event.r, event.phi, event.pos[:, 2]], axis=1)
    distance = np.linalg.norm(event.pos - vertex, axis=1) if event.order is None else event.order.astype(np.float64)
    hits = _Hits(np.arange(len(layer)), layer, nodes, row, distance)
    low = (row > 0) & ~Signal(cuts.pt_min).of(*table["particles"][:, [_PT, _HITS, _VR]].T)[row]
    keep = np.isin(layer, np.unique(layer_pairs(cuts.layers, cuts.skip_layers, detector))) & ~low
    if cuts.noise == "drop":
        keep &= row > 0
    hits = hits.only(keep)
    return hits.only(_firsts(hits)) if cuts.overlaps == "drop" else hits


def _firsts(hits: _Hits) -> Bools:
    """The hits that are the first of their particle in their layer, and noise. Shapes: -> [N]."""
    order = np.lexsort((hits.distance, hits.layer, hits.particle))
    particle, layer = hits.particle[order], hits.layer[order]
    again = np.zeros(len(order), dtype=np.bool_)
    again[1:] = (particle[1:] == particle[:-1]) & (layer[1:] == layer[:-1]) & (particle[1:] > 0)
    first = np.empty_like(again)
    first[order] = ~again
    return first


def true_pairs(particle: Ints, layer: Ints, distance: Floats, every: bool = False) -> tuple[Ints, int]:
    """Join the hits of each particle by distance along the track.

    Parameters
    ----------
    particle, layer, distance : [N]
        Particle, layer and distance of each hit; particle 0 is noise.
    every
        Hits that follow each other in one layer are joined to *all* that follow in the next one, and not only the last
        of them to the first (acorn calls it layerwise truth).

    Returns
    -------
    int64 [2, T], and the number of consecutive pairs that lie in one layer: these are not among them.
    """
    order = np.lexsort((distance, particle))
    order = order[particle[order] > 0]
    owner, place = particle[order], layer[order]
    follows = owner[1:] == owner[:-1]
    moves = follows & (place[1:] != place[:-1])
    overlaps = int((follows & ~moves).sum())
    if not every:
        return np.stack([order[:-1][moves], order[1:][moves]]), overlaps
    # A visit is a run of consecutive hits of one particle in one layer; every hit of a visit is joined to every hit of
    # the particle's next visit.
    begins = np.flatnonzero(np.concatenate([[len(owner) > 0], ~follows | moves]))
    sizes = np.diff(np.append(begins, len(owner)))
    onward = np.flatnonzero(owner[begins[:-1]] == owner[begins[1:]])
    _, inner = expanded(begins[onward], sizes[onward])
    next_visit = np.repeat(onward + 1, sizes[onward])
    row, outer = expanded(begins[next_visit], sizes[next_visit])
    return np.stack([order[inner[row]], order[outer]]), overlaps


def _among(edges: Ints, truth: Ints, hits: int) -> Bools:
    """Mark the edges that are true, in either direction. Shapes: edges [2, E], truth [2, T] -> [E]."""
    ours, theirs = (pairs.min(axis=0) * hits + pairs.max(axis=0) for pairs in (edges, truth))
    return np.isin(ours, theirs)


def _sectors(nodes: Floats, cuts: Cuts) -> Ints:
    """Sector of each hit, -1 beyond the cut on η. Shapes: nodes [N, 3] -> [N]."""
    eta = np.arcsinh(nodes[:, 2] / np.maximum(nodes[:, 0], 1e-6))
    widest = WIDEST_ETA if cuts.eta_max is None else cuts.eta_max
    in_phi = np.floor((nodes[:, 1] / math.pi + 1) / 2 * cuts.phi_sectors).astype(np.int64)
    in_eta = np.floor((eta / widest + 1) / 2 * cuts.eta_sectors).astype(np.int64)
    number = in_phi.clip(0, cuts.phi_sectors - 1) * cuts.eta_sectors + in_eta.clip(0, cuts.eta_sectors - 1)
    return number if cuts.eta_max is None else np.where(np.abs(eta) <= cuts.eta_max, number, -1)


def _numbers_of(sector: Ints) -> list[int]:
    """Sectors that become graphs: those with hits, or the first one where none has. Shapes: sector [N]."""
    numbers: list[int] = np.unique(sector[sector >= 0]).tolist()
    return numbers or [0]


def _weights(particle: Ints, edges: Ints, y: Bools, cuts: Cuts) -> Floats:
    """Weight of each edge by its class. Shapes: particle [N], edges [2, E], y [E] -> [E]."""
    same_particle = (particle[edges[0]] == particle[edges[1]]) & (particle[edges[0]] > 0)
    return np.where(y, cuts.weight_true, np.where(same_particle, cuts.weight_same, cuts.weight_false))


def _per_hit(event: Event, table: Mapping[str, Any], hits: _Hits, cuts: Cuts) -> dict[str, Any]:
    """Fields of all hits [N, …]; those of `x` are not scaled, and φ is the detector's."""
    features = [_feature(name, event, hits)[:, None] for name in cuts.features]
    return {
        "x": np.concatenate([hits.nodes, *features], axis=1),
        "hit_id": event.hit_id[hits.index],
        "pid": event.pid[hits.index],
        "pt": np.nan_to_num(table["particles"][hits.particle, _PT]),
        "hit_weight": event.weight[hits.index],
        "particle_index": hits.particle,
    }


def _turned(x: Floats, table: Mapping[str, Any], middle: float, metadata: Metadata) -> dict[str, Any]:
    """Scaled hit features and the table of particles in the frame of a sector: φ counts from its middle."""
    x, particles = x.copy(), table["particles"].copy()
    x[:, 1] = wrapped(x[:, 1] - middle, 2 * math.pi)
    particles[1:, _PHI] = wrapped(particles[1:, _PHI] - middle, 2 * math.pi)
    scaled = x / np.asarray(metadata.node_scale)
    return {"x": scaled, "particles": particles, "particle_id": table["particle_id"]}


def _feature(name: str, event: Event, hits: _Hits) -> Floats:
    """A hit feature beside r, φ, z, not scaled. Shapes: -> [N]."""
    name = CLUSTERS.get(name, name)
    if name in NODES:
        return hits.nodes[:, NODES.index(name)]
    if name == "eta":
        return np.arcsinh(hits.nodes[:, 2] / np.maximum(hits.nodes[:, 0], 1e-6))
    if event.cells is None:
        raise InputError(f"{event.name}: has no cells; allowed: features without {name}")
    column: Floats = event.cells[hits.index, ("cells", "charge").index(name)]
    return column
