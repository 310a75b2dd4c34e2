"""Events of the TrackML challenge: `eventNNNNNNNNN-{hits,cells,particles,truth}.csv`, plain, .gz or .zip.

Amrouche et al., arXiv:1904.06778. Units: mm, GeV, e. `detectors.csv` may lie beside them and isn't needed. Content of
each file, and the rule without it:

    hits        always there; in acorn's feature store the file of the truth has their columns, and takes its place
    truth       particle and weight of each hit. Without it all hits count as noise and no edge is true: good for
                predictions. Either all events of a data set have truth or none
    particles   momentum at the vertex, vertex, charge. Without it they are NaN, and nothing may ask for pT. Hits of a
                particle that isn't in it count as noise (`unlisted_hits`), as the challenge does with short tracks
    cells       number of channels and summed signal of each hit; 0 for a hit without
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.bounds import FARTHEST
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.event import Event
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.identifiers import NOISE
from archioptrx.data.options import SOURCES, TrackmlOptions
from archioptrx.data.repairs import note
from archioptrx.data.sources.event_files import EventFiles, check_facts, find_events, known_of
from archioptrx.data.sources.event_tables import PARTICLE, Table, column_names, read_table
from archioptrx.data.sources.files import source_hint
from archioptrx.data.sources.stream import Job, stream

HITS = ("hit_id", "x", "y", "z", "volume_id", "layer_id", "module_id")
TRUTH = ("hit_id", "particle_id", "weight")
FACTS = {"truth": ("truth",), "particles": ("particles",)}
OF_PARTICLES = ("vx", "vy", "vz", "px", "py", "pz", "q")
PARTICLES = (PARTICLE, *OF_PARTICLES)
CELLS = ("hit_id", "value")
MOST_GEV = 1e5
"""Momenta beyond this are refused: no beam has so much, and squares of larger numbers lose digits."""
Array = NDArray[Any]


@SOURCES.registering("trackml")
def load(options: TrackmlOptions) -> Dataset:
    """Read the events and build their graphs, with a progress bar on stderr.

    Raises
    ------
    InputError
        Files are missing or break the contract, or some events have truth or particles and others not.
    """
    events = find_events(options.path)[: options.events]
    refuse_acts(events[0], options.path)
    known = known_of(events, FACTS)
    settings = {k: v for k, v in asdict(options).items() if k not in ("path", "skip_bad")}
    metadata = building_metadata(options.source, options, {k: v for k, v in settings.items() if v not in (None, ())})
    jobs = [Job(event.name, event, event.key) for event in events]
    return stream(jobs, partial(make, options=options, metadata=metadata, known=known), metadata, options.skip_bad)


def refuse_acts(event: EventFiles, path: Path) -> None:
    """Name the source of events whose hits are those of Acts: of the same file names, with other columns.

    Raises
    ------
    InputError
        They are.
    """
    if "hits" in event.parts and not event.faults:
        columns = column_names(event.parts["hits"])
        if "geometry_id" in columns and not {"hit_id", "x"} & columns:
            hint = source_hint("acts", path)
            raise InputError(f"{event.parts['hits']}: holds simulated hits of Acts; allowed: events of TrackML{hint}")


def make(job: Job, options: TrackmlOptions, metadata: Metadata, known: frozenset[str]) -> BuiltEvent:
    """Read one event and build its graphs; `known`: what any event of the data set has, see `known_of`."""
    check_facts(job.content, FACTS, known)
    event, unlisted = read_event(job.content)
    for part, allowed in options.without.items():
        if part not in job.content.parts and allowed:
            raise InputError(f"{event.name}: has no {part}.csv; allowed: {allowed}")
    built = build(event, options, metadata)
    return replace(built, counts={**built.counts, "unlisted_hits": unlisted})


def read_event(files: EventFiles) -> tuple[Event, int]:
    """Read and check the files of one event: the event, and the number of its hits whose particle isn't listed.

    Raises
    ------
    InputError
        A file breaks the contract; it and the line are named.
    """
    if files.faults:
        raise InputError(*files.faults)
    hits = read_table(files.hits(HITS), HITS)
    hit_id = hits["hit_id"]
    hits.unique("hit_id")
    hits.bounded(("x", "y", "z"), FARTHEST, "mm")
    pid, weight = _truth(files, hits)
    particles = _particles(files, pid)
    order = np.argsort(particles["particle_id"])
    pid, unlisted = listed_only(pid, particles)
    event = Event(
        name=files.name,
        hit_id=hit_id,
        pos=hits.stack("x", "y", "z"),
        volume=hits["volume_id"],
        layer=hits["layer_id"],
        module=hits["module_id"],
        pid=pid,
        weight=np.where(pid == 0, 0.0, weight),
        particle_id=particles["particle_id"][order],
        momentum=particles.stack("px", "py", "pz")[order],
        vertex=particles.stack("vx", "vy", "vz")[order],
        charge=particles["q"][order].astype(np.float64),
        cells=_cells(files, hits),
    )
    return event, unlisted


def listed_only(pid: Array, particles: Table) -> tuple[Array, int]:
    """Particle of each hit, 0 for one that isn't listed, and the number of hits that lost theirs. Shapes: [N] -> [N].

    Raises
    ------
    InputError
        More than half of the hits would lose it: the particles are those of another event.
    """
    listed = np.isin(pid, particles[PARTICLE])
    unlisted = int((~listed & (pid != 0)).sum())
    if 2 * unlisted > (pid != 0).sum():
        raise InputError(
            f"{particles.file}: lacks the particles of {unlisted:,} hits, more than half; allowed: the event's own"
        )
    return np.where(listed, pid, 0), unlisted


def _truth(files: EventFiles, hits: Table) -> tuple[Array, Array]:
    """Particle and weight of each hit."""
    pid, weight = np.zeros(len(hits), dtype=np.int64), np.zeros(len(hits))
    if "truth" not in files.parts:
        return pid, weight
    truth = read_table(files.parts["truth"], TRUTH)
    truth.unique("hit_id")
    rows = truth.rows_in(hits, "hit_id")
    known = np.zeros(len(hits), dtype=np.bool_)
    known[rows] = True
    hits.refuse(~known, "hit_id", f", not in {truth.file.name}; allowed: truth for each hit")
    pid[rows], weight[rows] = truth["particle_id"], truth["weight"]
    truth.refuse(truth["weight"] < 0, "weight", "; allowed: 0 or more")
    allowed = "; allowed: 0 (noise; -1 and none are taken as it) or more"
    truth.refuse(truth["particle_id"] < NOISE, "particle_id", allowed)
    note(str(truth.file), {"noise_ids": int((pid == NOISE).sum())})
    return np.where(pid == NOISE, 0, pid), weight


def _particles(files: EventFiles, pid: Array) -> Table:
    """The table of particles; without a file all that have hits, with NaN."""
    if "particles" in files.parts:
        return check_particles(read_table(files.parts["particles"], PARTICLES))
    return blank_particles(files, pid)


def check_particles(table: Table) -> Table:
    """The table of particles without the one of noise, after its checks."""
    table.unique(PARTICLE)
    table.refuse(table[PARTICLE] < 0, PARTICLE, "; allowed: 0 or more")
    table.bounded(("vx", "vy", "vz"), FARTHEST, "mm")
    table.bounded(("px", "py", "pz"), MOST_GEV, "GeV")
    real = table[PARTICLE] != 0
    return Table(table.file, {name: column[real] for name, column in table.columns.items()})


def blank_particles(files: EventFiles, pid: Array) -> Table:
    """Table of all particles that have hits, with NaN: for events without a file of them."""
    ids = np.unique(pid[pid != 0])
    blank = {name: np.full(len(ids), np.nan) for name in PARTICLES}
    return Table(next(iter(files.parts.values())), blank | {"particle_id": ids})


def _cells(files: EventFiles, hits: Table) -> Array | None:
    """Number of cells and their summed signal, of each hit. Shapes: -> [N, 2]."""
    if "cells" not in files.parts:
        return None
    cells = read_table(files.parts["cells"], CELLS)
    rows = cells.rows_in(hits, "hit_id")
    return np.stack([np.bincount(rows, weights, len(hits)) for weights in (None, cells["value"])], axis=1).astype(float)


def write_event(event: Event, folder: Path) -> None:
    """Write an event as the challenge does; `read_event` brings back the same.

    True positions are those of the hits, true momenta those at the vertex. The cells of a hit share its signal equally.

    Raises
    ------
    InputError
        The momentum of a particle isn't known; the file has no form for that.
    """
    if np.isnan(event.momentum).any():
        raise InputError(f"{event.name}: the momentum of a particle isn't known; allowed: events that know all of them")
    folder.mkdir(parents=True, exist_ok=True)
    row = event.particle_fields()["particle_index"]
    momentum = np.vstack([np.zeros(3), event.momentum])[row]
    tables = {
        "hits": dict(zip(HITS, (event.hit_id, *event.pos.T, event.volume, event.layer, event.module), strict=True))
    }
    tables["truth"] = {
        "hit_id": event.hit_id,
        "particle_id": event.pid,
        **dict(zip(("tx", "ty", "tz", "tpx", "tpy", "tpz"), (*event.pos.T, *momentum.T), strict=True)),
        "weight": event.weight,
    }
    columns = (event.particle_id, *event.vertex.T, *event.momentum.T, event.charge.astype(np.int64))
    tables["particles"] = dict(zip(PARTICLES, columns, strict=True))
    tables["particles"]["nhits"] = np.bincount(row, minlength=len(event.particle_id) + 1)[1:]
    if event.cells is not None:
        count = event.cells[:, 0].astype(np.int64)
        share = np.repeat(event.cells[:, 1] / np.maximum(count, 1), count)
        blank = np.zeros(len(share), dtype=np.int64)
        tables["cells"] = {"hit_id": np.repeat(event.hit_id, count), "ch0": blank, "ch1": blank, "value": share}
    for part, content in tables.items():
        pd.DataFrame(content).to_csv(folder / f"{event.name}-{part}.csv", index=False)
