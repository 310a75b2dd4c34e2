"""Events of ColliderML: Parquet tables of tracker hits and of particles, one row an event, one list for each column.

Lengths are mm, momenta GeV, charges e. A hit's name is its place in its event's lists, from 0. Particles count from 0
in the files; here all their ids are one larger, since 0 is noise. Each hit of a particle weighs 1, as in the
benchmark. Columns, and the rule without them:

    tracker_hits   x, y, z, volume_id    always there
                   particle_id           without it all hits count as noise: good for predictions. A missing number is
                                         noise. Either all files have the column or none
                   layer_id, surface_id  layer: needed for the TrackML detector alone, in which Acts writes such
                                         tables too; in the Open Data Detector the place of a hit says its layer
    particles      particle_id, px, py, pz, vx, vy, vz, charge; the whole table may be missing: then these are NaN, and
                   nothing may ask for pT. Particles of hits that aren't listed have NaN (`unlisted_hits`): for the
                   benchmark they are particles too

Sources: the schema and the loader of ColliderML (github.com/OpenDataDetector/ColliderML, June 2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError, faults_at
from archioptrx.data.bounds import FARTHEST
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.event import Event
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.identifiers import LARGEST, whole_numbers
from archioptrx.data.options import SOURCES, ColliderMLOptions
from archioptrx.data.simulation.detector import TRACKML, DetectorLayers
from archioptrx.data.simulation.open_data_detector import OPEN_DATA, layers_at
from archioptrx.data.sources.colliderml_files import HITS, EventRows, find_events, find_tables
from archioptrx.data.sources.parquet_rows import Lists, column_names, read_row
from archioptrx.data.sources.stream import Job, stream
from archioptrx.data.sources.trackml import MOST_GEV

OF_HITS = ("x", "y", "z", "volume_id")
OF_PARTICLES = ("particle_id", "px", "py", "pz", "vx", "vy", "vz", "charge")
PARTICLE = "particle_id"
Array = NDArray[Any]


@SOURCES.registering("colliderml")
def load(options: ColliderMLOptions) -> Dataset:
    """Read the events and build their graphs, with a progress bar on stderr.

    Raises
    ------
    InputError
        Files are missing or break the contract, or some have the particles of hits and others not.
    """
    events = find_events(options)
    truth = "truth" in parts_of(options)
    settings = {k: v for k, v in asdict(options).items() if k not in ("path", "skip_bad") and v not in (None, (), "")}
    metadata = building_metadata(options.source, options, settings)
    jobs = [Job(event.name, event, event.key) for event in events]
    return stream(jobs, partial(make, options=options, metadata=metadata, truth=truth), metadata, options.skip_bad)


def parts_of(options: ColliderMLOptions) -> set[str]:
    """Facts that are known of the events: `truth`, `particles`."""
    tables = find_tables(options)
    known = {"particles"} if tables["particles"] else set()
    for file in tables[HITS]:
        try:
            known |= {"truth"} if PARTICLE in column_names(file.path, file.folder) else set()
        except InputError:  # reading its events says so
            continue
    return known


def make(job: Job, options: ColliderMLOptions, metadata: Metadata, truth: bool) -> BuiltEvent:
    """Read one event and build its graphs; `truth` says whether any file knows the particles of hits."""
    rows: EventRows = job.content
    if rows.faults:
        raise InputError(*rows.faults)
    event, detector, unlisted = read_event(rows, truth)
    lacking = {"truth": not truth, "particles": rows.particles is None, "cells": True}
    for part, allowed in options.without.items():
        if lacking[part] and allowed:
            raise InputError(f"{event.name}: has no {part}; allowed: {allowed}")
    built = build(event, options, metadata, detector)
    return replace(built, counts={**built.counts, "unlisted_hits": unlisted})


def read_event(rows: EventRows, truth: bool) -> tuple[Event, DetectorLayers, int]:
    """Read and check one event: the event, its detector, and the number of hits whose particle isn't listed.

    Raises
    ------
    InputError
        A table breaks the contract; file and event are named.
    """
    assert rows.hits is not None
    needed = (*OF_HITS, PARTICLE) if truth else OF_HITS
    hits = read_row(rows.hits, rows.number, needed, ("layer_id", "surface_id"))
    particles = None if rows.particles is None else read_row(rows.particles, rows.number, OF_PARTICLES)
    with faults_at(hits.place):
        _bounded(hits, ("x", "y", "z"), FARTHEST, "mm", "hit")
        pos, volume, count = hits.stack("x", "y", "z"), _whole(hits, "volume_id"), len(hits)
        detector, layer = _layers(hits, volume, pos)
        pid = _particle_of_hits(hits) if truth else np.zeros(count, np.int64)
    table, unlisted = _table(particles, pid)
    if 2 * unlisted > (pid != 0).sum():
        of = particles.place if particles is not None else ""
        raise InputError(f"{of}: lacks the particles of {unlisted:,} hits, more than half; allowed: the event's own")
    event = Event(
        name=rows.name,
        hit_id=np.arange(count, dtype=np.int64),
        pos=pos,
        volume=volume,
        layer=layer,
        module=_whole(hits, "surface_id") if "surface_id" in hits.columns else np.zeros(count, np.int64),
        pid=pid,
        weight=(pid != 0).astype(np.float64),
        **table,
    )
    return event, detector, unlisted


def _whole(table: Lists, name: str) -> Array:
    """A column of whole numbers, none of which is missing."""
    _complete(table, name, "row")
    return whole_numbers(table.columns[name], name, "row")


def _complete(table: Lists, name: str, row: str) -> None:
    if name in table.missing:
        raise InputError(f"{name} is missing at {row} {int(np.argmax(table.missing[name]))}; allowed: a number")


def _bounded(table: Lists, names: Sequence[str], limit: float, unit: str, row: str) -> None:
    """Refuse missing numbers, and those beyond a limit."""
    for name in names:
        _complete(table, name, row)
        values = table.columns[name].astype(np.float64)
        wrong = ~(np.abs(values) <= limit)  # NaN is wrong too
        if wrong.any():
            place = int(np.argmax(wrong))
            raise InputError(f"{name} is {values[place]:g} at {row} {place}; allowed: {-limit:g} … {limit:g} {unit}")


def _particle_of_hits(hits: Lists) -> Array:
    """Particle of each hit, counted from 1; 0 is noise."""
    missing = hits.missing.get(PARTICLE)
    values = hits.columns[PARTICLE]
    if values.dtype.kind == "f" and missing is None:
        missing = np.isnan(values)
    return _counted_from_one(whole_numbers(values, PARTICLE, missing=missing), missing)


def _counted_from_one(ids: Array, missing: NDArray[np.bool_] | None = None) -> Array:
    """Ids of files as those of graphs. Shapes: [rows] -> [rows]."""
    present = np.ones(len(ids), np.bool_) if missing is None else ~missing
    wrong = present & ((ids < 0) | (ids == LARGEST))
    if wrong.any():
        place = int(np.argmax(wrong))
        raise InputError(f"{PARTICLE} is {ids[place]} at row {place}; allowed: 0 … {LARGEST - 1}, or none for noise")
    return np.where(present, ids + 1, 0)


def _layers(hits: Lists, volume: Array, pos: Array) -> tuple[DetectorLayers, Array]:
    """Detector of the hits by their volumes, and the number of the layer of each."""
    if np.isin(volume, OPEN_DATA.volumes).all():
        layer = layers_at(volume, pos)
        if (layer < 0).any():
            row = int(np.argmax(layer < 0))
            r, z = float(np.hypot(*pos[row, :2])), float(pos[row, 2])
            raise InputError(
                f"hit {row} of volume {volume[row]} lies at r = {r:g}, z = {z:g} mm, where no layer is; "
                f"allowed: the layers of the {OPEN_DATA.name} detector"
            )
        return OPEN_DATA, layer
    if np.isin(volume, TRACKML.volumes).all() and "layer_id" in hits.columns:
        return TRACKML, _whole(hits, "layer_id")
    wrong = int(np.argmin(np.isin(volume, OPEN_DATA.volumes)))
    volumes = " ".join(map(str, OPEN_DATA.volumes))
    raise InputError(
        f"volume_id is {volume[wrong]} at hit {wrong}; allowed: {volumes}, of the {OPEN_DATA.name} detector, "
        f"or with layer_id those of the {TRACKML.name} detector"
    )


def _table(particles: Lists | None, pid: Array) -> tuple[dict[str, Array], int]:
    """The particles as `Event` has them, by increasing id; those of hits that aren't listed have NaN."""
    of_hits = np.unique(pid[pid != 0])
    listed, momentum, vertex, charge = np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)
    if particles is not None:
        with faults_at(particles.place):
            _bounded(particles, ("px", "py", "pz"), MOST_GEV, "GeV", "particle")
            _bounded(particles, ("vx", "vy", "vz"), FARTHEST, "mm", "particle")
            _bounded(particles, ("charge",), FARTHEST, "e", "particle")
            listed = _counted_from_one(_whole(particles, PARTICLE))
            names, often = np.unique(listed, return_counts=True)
            if (often > 1).any():
                raise InputError(f"{PARTICLE} {names[often > 1][0] - 1} stands twice; allowed: each once")
        momentum, vertex = particles.stack("px", "py", "pz"), particles.stack("vx", "vy", "vz")
        charge = particles.columns["charge"].astype(np.float64)
    others = of_hits[~np.isin(of_hits, listed)]
    blank = np.full((len(others), 3), np.nan)
    ids = np.concatenate([listed, others])
    order = np.argsort(ids)
    table = {
        "particle_id": ids[order],
        "momentum": np.concatenate([momentum, blank])[order],
        "vertex": np.concatenate([vertex, blank])[order],
        "charge": np.concatenate([charge, blank[:, 0]])[order],
    }
    return table, 0 if particles is None else int(np.isin(pid, others).sum())
