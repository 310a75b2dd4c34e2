"""ColliderML's Parquet tables, written from events by the schema of its files."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

VOLUMES = {8: 17, 13: 24, 17: 29, 7: 16, 9: 18, 12: 23, 14: 25, 16: 28, 18: 30}
"""Volume of the Open Data Detector for each of the TrackML detector; barrel layers lie within 2 mm of each other."""
DETECTORS = {16: 0, 17: 1, 18: 2, 23: 3, 24: 4, 25: 5, 28: 6, 29: 7, 30: 8}
HITS = {
    "event_id": pa.uint32(),
    **dict.fromkeys(("x", "y", "z", "true_x", "true_y", "true_z", "time"), pa.list_(pa.float32())),
    "particle_id": pa.list_(pa.uint64()),
    "volume_id": pa.list_(pa.uint8()),
    "layer_id": pa.list_(pa.uint16()),
    "surface_id": pa.list_(pa.uint32()),
    "detector": pa.list_(pa.uint8()),
}
FLOATS = ("mass", "energy", "charge", "vx", "vy", "vz", "time", "px", "py", "pz", "perigee_d0", "perigee_z0")
PARTICLES = {
    "event_id": pa.uint32(),
    "particle_id": pa.list_(pa.uint64()),
    "pdg_id": pa.list_(pa.int64()),
    **dict.fromkeys(FLOATS, pa.list_(pa.float32())),
    "num_tracker_hits": pa.list_(pa.uint16()),
    "primary": pa.list_(pa.bool_()),
    "vertex_primary": pa.list_(pa.uint16()),
    "parent_id": pa.list_(pa.int64()),
}


def rows_of(event, number):
    """Rows of both tables for an event of the TrackML detector; particle n is n - 1 there, noise is missing."""
    volume = [VOLUMES[v] for v in event.volume.tolist()]
    places = dict(zip(("x", "y", "z"), event.pos.T.tolist(), strict=True))
    hits = {"event_id": number, **places, **{f"true_{name}": values for name, values in places.items()}}
    hits |= {"time": [0.0] * len(volume), "particle_id": [pid - 1 if pid else None for pid in event.pid.tolist()]}
    hits |= {"volume_id": volume, "layer_id": event.layer.tolist(), "surface_id": event.module.tolist()}
    hits |= {"detector": [DETECTORS[v] for v in volume]}
    count = len(event.particle_id)
    particles = {"event_id": number, **{name: [0.0] * count for name in FLOATS}}
    particles |= {"particle_id": (event.particle_id - 1).tolist(), "charge": event.charge.tolist()}
    particles |= dict(zip(("px", "py", "pz"), event.momentum.T.tolist(), strict=True))
    particles |= dict(zip(("vx", "vy", "vz"), event.vertex.T.tolist(), strict=True))
    own = [int((event.pid == pid).sum()) for pid in event.particle_id]
    particles |= {"pdg_id": [211] * count, "num_tracker_hits": own, "primary": [True] * count}
    particles |= {"vertex_primary": [1] * count, "parent_id": [-1] * count}
    return hits, particles


def table(rows, types):
    """Rows as a table of these types; columns that no row has are left out."""
    names = [name for name in types if any(name in row for row in rows)]
    return pa.table({name: pa.array([row.get(name) for row in rows], types[name]) for name in names})


def write_tables(folder, rows, dataset="ttbar_pu0", groups=2):
    """Write events (`rows_of` each) as published: `data/<dataset>_<table>/train-*.parquet`; the two files."""
    files = []
    for name, types, place in (("tracker_hits", HITS, 0), ("particles", PARTICLES, 1)):
        file = folder / "data" / f"{dataset}_{name}" / "train-00000-of-00001.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table([row[place] for row in rows], types), file, row_group_size=groups)
        files.append(file)
    return files


def benchmark(rows, particle):
    """ColliderML's rates by counting one hit after the other; `rows` are (event, hit, track), `particle` by hit."""
    tracks, totals, tracks_of = {}, {}, {}
    for key, pid in particle.items():
        totals[key[0], pid] = totals.get((key[0], pid), 0) + 1
    for event, hit, track in rows:
        pid = particle[event, hit]
        members = tracks.setdefault((event, track), {})
        members[pid] = members.get(pid, 0) + 1
        tracks_of.setdefault((event, pid), set()).add(track)
    right = fakes = 0
    for (event, _), members in tracks.items():
        pid = max(members, key=members.get)
        fakes += 2 * members[pid] < sum(members.values())
        if 2 * members[pid] >= sum(members.values()) and 2 * members[pid] >= totals[event, pid]:
            right += members[pid]
    duplicates = sum(len(of) > 1 for of in tracks_of.values())
    return right / len(rows), fakes / len(tracks), duplicates / len(tracks_of)


def numbers(values):
    """Whole numbers of a column of a submission."""
    return np.asarray(values.to_pylist(), dtype=np.int64)


def ending(file):
    """End the process, as pyarrow does with some damaged files."""
    os.abort()
