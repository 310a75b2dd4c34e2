"""Events of Acts: CSV files `eventNNNNNNNNN-{measurements,measurement-simhit-map,hits …}.csv`, plain, .gz or .zip.

A hit of a graph is a *measurement*; its name is `measurement_id`. Units are mm and GeV. The detector is Acts'
GenericDetector, which is that of TrackML: the same volumes and layers. Content of each file, and the rule without it:

    measurements             always there, in two dimensions. Files without `global_x` … (older ones) get their
                             positions from `detectors.csv` beside them
    measurement-simhit-map   simulated hits of each measurement; a measurement without any is noise. Where several
                             particles made one, see `acts_truth.chosen_particles`; `shared_measurements` counts them
    hits                     particle of each simulated hit, and `index`, the true step along its track, by which the
                             particle's measurements are sorted. Without `index`, or where one is negative, they are
                             sorted by distance as those of `trackml`
    particles_simulated      momentum, vertex, charge; else `particles_initial`, else `particles`. Without any of them
                             as `trackml` without its particles; hits of a particle that isn't listed are noise
    cells                    number of channels and summed signal of each measurement, if it has a row

Map and hits come together, and are there for all events or for none: then all measurements count as noise, good for
predictions. Every measurement of a particle weighs 1. Files that `archioptrx.data.sources.acts_numbers` can't name are
refused. Acts' Parquet tables have the columns of ColliderML, and are read by the source `colliderml`.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.bounds import FARTHEST
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.event import Event
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.options import SOURCES, ActsOptions
from archioptrx.data.repairs import note
from archioptrx.data.simulation.detector import SURFACES, TRACKML, layer_numbers
from archioptrx.data.sources.acts_numbers import module_of, particle_names
from archioptrx.data.sources.acts_truth import MAP, read_truth
from archioptrx.data.sources.event_files import (
    EventFile,
    EventFiles,
    FileNames,
    check_facts,
    find_events,
    known_of,
    link_fault,
)
from archioptrx.data.sources.event_tables import PARTICLE, PARTICLE_PARTS, Table, read_table
from archioptrx.data.sources.files import other_source, stamp
from archioptrx.data.sources.stream import Job, stream
from archioptrx.data.sources.trackml import OF_PARTICLES, blank_particles, check_particles, listed_only

PARTICLES = ("particles_simulated", "particles_initial", "particles")
"""Files of particles, the first one that is there is read."""
FACTS = {"truth": (MAP,), "particles": PARTICLES}
ACTS_FILES = FileNames(("measurements", MAP, "hits", *PARTICLES, "cells"), needed=("measurements",))
MEASURED = ("measurement_id", "geometry_id", "local0", "local1", "var_local0", "var_local1")
PLACE = ("global_x", "global_y", "global_z")
MODULE = ("geometry_id", "cx", "cy", "cz", "rot_xu", "rot_yu", "rot_zu", "rot_xv", "rot_yv", "rot_zv")
"""Columns of detectors.csv: centre of a module, and its first and second local axis."""
NEAR = 20.0
"""A measurement lies so near to the place of its layer, mm; its modules are flat, and up to 6 mm from it."""
Array = NDArray[Any]


@SOURCES.registering("acts")
def load(options: ActsOptions) -> Dataset:
    """Read the events and build their graphs, with a progress bar on stderr.

    Raises
    ------
    InputError
        Files are missing or break the contract, or some events have truth or particles and others not.
    """
    events = find(options)
    known = known_of(events, FACTS)
    settings = {k: v for k, v in asdict(options).items() if k not in ("path", "skip_bad")}
    metadata = building_metadata(options.source, options, {k: v for k, v in settings.items() if v not in (None, ())})
    jobs = [Job(event.name, event, key_of(event)) for event in events]
    return stream(jobs, partial(make, options=options, metadata=metadata, known=known), metadata, options.skip_bad)


def find(options: ActsOptions) -> list[EventFiles]:
    """Find the events, by name.

    Raises
    ------
    InputError
        There are none; files of another source are named.
    """
    hint = other_source(options.path, options.source)
    try:
        events = find_events(options.path, ACTS_FILES)
    except InputError as error:
        raise InputError(*(fault + hint for fault in error.faults)) from error
    if hint and not any("measurements" in event.parts for event in events):
        raise InputError(f"{options.path}: holds no event*-measurements.csv; allowed: events of Acts{hint}")
    return [with_truth_faults(event) for event in events[: options.events]]


def parts_of(options: ActsOptions) -> set[str]:
    """Facts that are known of the events: `truth`, `particles`."""
    return set(known_of(find_events(options.path, ACTS_FILES), FACTS))


def with_truth_faults(event: EventFiles) -> EventFiles:
    """The event, with a fault where map or hits are missing and the other files need them."""
    parts = event.parts
    alone = not set(parts) - {"measurements", "cells"}
    if event.faults or alone or {MAP, "hits"} <= set(parts):
        return event
    lacks = next(part for part in (MAP, "hits") if part not in parts)
    first = parts["measurements"]
    allowed = "measurements, map and hits, or measurements alone (for predictions)"
    return replace(event, faults=(f"{first}: {event.name}-{lacks}.csv is missing beside it; allowed: {allowed}",))


def key_of(event: EventFiles) -> str:
    """Text that changes when a file of the event does."""
    detectors = detectors_of(event)
    return event.key + ("" if detectors is None else f"\n{stamp(detectors.path)}")


def detectors_of(event: EventFiles) -> EventFile | None:
    """The file of all modules beside the measurements; None: there is none."""
    file = event.parts.get("measurements", next(iter(event.parts.values())))
    path = file.path.parent / "detectors.csv"
    return EventFile(path, None, link_fault(path, path.parent.resolve())) if path.is_file() else None


def make(job: Job, options: ActsOptions, metadata: Metadata, known: frozenset[str]) -> BuiltEvent:
    """Read one event and build its graphs; `known`: what any event of the data set has, see `known_of`."""
    files: EventFiles = job.content
    check_facts(files, FACTS, known)
    event, unlisted = read_event(files)
    known |= {"cells"} if event.cells is not None else set()
    for part, allowed in options.without.items():
        if part not in known and allowed:
            raise InputError(f"{event.name}: has no {part}; allowed: {allowed}")
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
    measurements = read_table(files.parts["measurements"], MEASURED, PLACE)
    measurements.unique("measurement_id", "the measurements of one event, each once")
    _two_dimensions(measurements)
    volume, layer, module = module_of(measurements["geometry_id"])
    pos = _places(measurements, files)
    _in_the_detector(measurements, volume, layer, pos)
    truth = read_truth(files, measurements)
    note(str(measurements.file), {"shared_measurements": truth.shared})
    particles = _particles(files, truth.pid)
    pid, unlisted = listed_only(truth.pid, particles)
    order = np.argsort(particles[PARTICLE])
    event = Event(
        name=files.name,
        hit_id=measurements["measurement_id"],
        pos=pos,
        volume=volume,
        layer=layer,
        module=module,
        pid=pid,
        weight=(pid != 0).astype(np.float64),
        particle_id=particles[PARTICLE][order],
        momentum=particles.stack("px", "py", "pz")[order],
        vertex=particles.stack("vx", "vy", "vz")[order],
        charge=particles["q"][order].astype(np.float64),
        cells=_cells(files, measurements),
        order=truth.order,
    )
    return event, unlisted


def _two_dimensions(measurements: Table) -> None:
    """Refuse measurements of one local coordinate: Acts writes the variance 0 for what isn't measured."""
    variances = measurements.stack("var_local0", "var_local1")
    single = (variances == 0).sum(axis=1) == 1  # both are 0 where positions are exact
    if single.any():
        row = int(np.argmax(single))
        name = f"var_local{int(np.argmin(variances[row]))}"
        raise measurements.fault(
            row,
            f"measurement {measurements['measurement_id'][row]} has one dimension ({name} is 0); "
            "allowed: measurements of both local coordinates",
        )


def _places(measurements: Table, files: EventFiles) -> Array:
    """Global position of each measurement, from its columns, or else by the modules of detectors.csv.

    Shapes: -> float64 [N, 3], mm.
    """
    lacks = [name for name in PLACE if name not in measurements.columns]
    if not lacks:
        measurements.bounded(PLACE, FARTHEST, "mm")
        return measurements.stack(*PLACE)
    detectors = detectors_of(files)
    if detectors is None:
        allowed = "these columns, or detectors.csv beside the file"
        raise InputError(f"{measurements.file}: line 1: lacks {', '.join(lacks)}; allowed: {allowed}")
    modules = read_table(detectors, MODULE)
    modules.bounded(MODULE[1:], FARTHEST, "mm")
    measurements.bounded(("local0", "local1"), FARTHEST, "mm")
    row = measurements.rows_in(modules, "geometry_id", "modules")
    first, second = measurements.stack("local0", "local1").T[..., None]
    columns = [modules.stack(*MODULE[k : k + 3])[row] for k in (1, 4, 7)]
    return np.asarray(columns[0] + first * columns[1] + second * columns[2])


def _in_the_detector(measurements: Table, volume: Array, layer: Array, pos: Array) -> None:
    """Refuse measurements that don't lie on a layer of the GenericDetector: they are of another one."""
    number = layer_numbers(volume, layer)
    barrel, place = (np.array([getattr(surface, name) for surface in SURFACES])[number] for name in ("barrel", "place"))
    at = np.where(barrel, np.hypot(pos[:, 0], pos[:, 1]), pos[:, 2])
    wrong = (number < 0) | (np.abs(at - place) > NEAR)
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    where = f"measurement {measurements['measurement_id'][row]} is in volume {volume[row]}, layer {layer[row]}"
    allowed = f"Acts' GenericDetector, volumes {' '.join(map(str, TRACKML.volumes))}"
    if number[row] >= 0:
        axis = "r" if barrel[row] else "z"
        where += f" at {axis} = {at[row]:g} mm"
        allowed += f"; there this layer has {axis} = {place[row]:g} mm"
    raise measurements.fault(row, f"{where}; allowed: {allowed}")


def _particles(files: EventFiles, pid: Array) -> Table:
    """The table of particles with their names in one column; without a file all that have hits, with NaN."""
    part = next((part for part in PARTICLES if part in files.parts), None)
    if part is None:
        return blank_particles(files, pid)
    table = read_table(files.parts[part], OF_PARTICLES, (*PARTICLE_PARTS, PARTICLE))
    names = particle_names(table)
    return check_particles(Table(table.file, {**table.columns, PARTICLE: names}))


def _cells(files: EventFiles, measurements: Table) -> Array | None:
    """Number of channels and their summed signal, of each measurement; None: none has any. Shapes: -> [N, 2]."""
    if "cells" not in files.parts:
        return None
    cells = read_table(files.parts["cells"], ("measurement_id", "value"))
    if not len(cells):  # Acts writes the file without rows where it doesn't cluster
        return None
    row = cells.rows_in(measurements, "measurement_id", "measurements")
    columns = [np.bincount(row, weights, len(measurements)) for weights in (None, cells["value"])]
    return np.stack(columns, axis=1).astype(np.float64)
