"""Particle of each measurement of Acts, and its place along the particle's track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.identifiers import NOISE
from archioptrx.data.repairs import note
from archioptrx.data.sources.acts_numbers import particle_names
from archioptrx.data.sources.event_files import EventFiles
from archioptrx.data.sources.event_tables import PARTICLE, PARTICLE_PARTS, Table, read_table

MAP = "measurement-simhit-map"
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class MeasurementTruth:
    """Truth of the measurements of an event.

    Attributes
    ----------
    pid : int64 [N]
        Particle of each measurement, 0: none.
    order : int64 [N] or None
        Step of that particle's track at which it was measured. None: the files don't know the steps.
    shared
        Number of measurements of several particles.
    """

    pid: Array
    order: Array | None
    shared: int


def read_truth(files: EventFiles, measurements: Table) -> MeasurementTruth:
    """Read the map from measurements to simulated hits, and the hits; without both all measurements are noise.

    Raises
    ------
    InputError
        A file breaks the contract, or is of another event: its hits lie on other modules than their measurements.
    """
    count = len(measurements)
    if MAP not in files.parts:
        return MeasurementTruth(np.zeros(count, np.int64), None, 0)
    links = read_table(files.parts[MAP], ("measurement_id", "hit_id"))
    row = links.rows_in(measurements, "measurement_id", "measurements")
    hits = read_table(files.parts["hits"], ("geometry_id",), (*PARTICLE_PARTS, PARTICLE, "index"))
    hit = links["hit_id"]
    allowed = f"below {len(hits)}, a row of {hits.file.name} from 0"
    links.refuse((hit < 0) | (hit >= len(hits)), "hit_id", f", unknown; allowed: {allowed}")
    _same_event(links, hits["geometry_id"][hit], measurements["geometry_id"][row])
    step = hits.columns.get("index")
    if step is not None and (step < 0).any():  # Acts' mark for a step that isn't known
        step = None
    if PARTICLE in hits.columns and (marked := int((hits[PARTICLE] == NOISE).sum())):
        note(str(hits.file), {"noise_ids": marked})
    return chosen_particles(row, hit, particle_names(hits), step, count)


def _same_event(links: Table, of_hits: Array, of_measurements: Array) -> None:
    """Refuse a map whose two ends lie on different modules: one of the files is of another event."""
    if (of_hits != of_measurements).any():
        number = int(np.argmax(of_hits != of_measurements))
        raise links.fault(
            number,
            f"measurement {links['measurement_id'][number]} is on module {of_measurements[number]}, and its hit "
            f"{links['hit_id'][number]} on module {of_hits[number]}; allowed: measurements, map and hits of one event",
        )


def chosen_particles(row: Array, hit: Array, particle: Array, step: Array | None, count: int) -> MeasurementTruth:
    """Choose one particle for each measurement: the one with most of its hits; of several, the one with the first hit.

    Parameters
    ----------
    row, hit : [L]
        Measurement and hit of each link, by their rows.
    particle, step : [H]
        Particle of each hit, 0: none, and its step along that particle's track.
    count
        Number of measurements.
    """
    pid, order = np.zeros(count, np.int64), None if step is None else np.zeros(count, np.int64)
    row, hit = np.unique(np.stack([row, hit])[:, particle[hit] != 0], axis=1)
    if not len(row):
        return MeasurementTruth(pid, order, 0)
    # A group is the hits of one particle in one measurement; inside of it hits increase.
    by_group = np.lexsort((hit, particle[hit], row))
    row, hit = row[by_group], hit[by_group]
    owner = particle[hit]
    begins = np.flatnonzero(np.concatenate([[True], (row[1:] != row[:-1]) | (owner[1:] != owner[:-1])]))
    sizes = np.diff(np.append(begins, len(row)))
    best = begins[np.lexsort((hit[begins], -sizes, row[begins]))]
    measured, first = np.unique(row[best], return_index=True)
    pid[measured] = owner[best[first]]
    if step is not None and order is not None:
        lowest = np.zeros(len(row), np.int64)
        lowest[begins] = np.minimum.reduceat(step[hit], begins)
        order[measured] = lowest[best[first]]
    shared = int((np.bincount(row[begins]) > 1).sum())
    return MeasurementTruth(pid, order, shared)
