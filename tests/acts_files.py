"""Acts' CSV files, written from events in the columns of its writers."""

import numpy as np
import pandas as pd

from archioptrx.data.sources.acts_numbers import WIDTHS

PARTS = tuple(WIDTHS)
KEY = "\x06"
"""Both local coordinates are measured: Acts writes the number as one raw byte."""


def named(pid):
    """The five columns of particles' names, for small numbers: the particle is the third of them."""
    blank = np.zeros(len(pid), np.int64)
    return {part: pid if part.endswith("part") and "sub" not in part else blank for part in PARTS}


def geometry_ids(event):
    """Identifiers of modules; every hit has one of its own."""
    return event.volume << 56 | event.layer << 36 | np.arange(1, len(event.pid) + 1) << 8


def steps(event):
    """Place of each hit by distance along the track of its particle."""
    row = np.searchsorted(event.particle_id, event.pid).clip(0, len(event.particle_id) - 1)
    distance = np.linalg.norm(event.pos - event.vertex[row], axis=1)
    return np.argsort(np.argsort(distance, kind="stable"))


def acts_tables(event, first=0):
    """Tables of an event by the names of their files; noise has a measurement and no hit. Ids count from `first`."""
    count, of_particle = len(event.pid), np.flatnonzero(event.pid)
    ids, modules = np.arange(first, first + count), geometry_ids(event)
    blank = np.zeros(count)
    places = dict(zip(("global_x", "global_y", "global_z"), event.pos.T, strict=True))
    measurements = {"measurement_id": ids, "geometry_id": modules, "local_key": [KEY] * count}
    measurements |= {"local0": blank + 0.5, "local1": blank - 0.25, "phi": 0, "theta": 0, "time": 0}
    measurements |= {"var_local0": blank + 2e-4, "var_local1": blank + 0.1, **places}
    truth = dict(zip(("tx", "ty", "tz"), event.pos[of_particle].T, strict=True))
    hits = {**named(event.pid[of_particle]), "geometry_id": modules[of_particle], **truth}
    momenta = dict(zip(("px", "py", "pz"), event.momentum.T, strict=True))
    origins = dict(zip(("vx", "vy", "vz"), event.vertex.T, strict=True))
    particles = {**named(event.particle_id), "particle_type": 211, **origins, **momenta, "m": 0.14, "q": event.charge}
    return {
        "measurements": measurements,
        "measurement-simhit-map": {"measurement_id": ids[of_particle], "hit_id": np.arange(len(of_particle))},
        "hits": {**hits, "index": steps(event)[of_particle]},
        "particles_simulated": {**particles, "q": event.charge.astype(int)},
    }


def modules_of(event):
    """Rows of detectors.csv, whose modules lie in the xy plane, turned by 90 degrees, around the hits."""
    # The first local axis is y, the second one -x; the hits have the local coordinates 0.5 and -0.25.
    centres = event.pos - 0.5 * np.array([0.0, 1.0, 0.0]) - 0.25 * np.array([1.0, 0.0, 0.0])
    axes = {"rot_xu": 0, "rot_yu": 1, "rot_zu": 0, "rot_xv": -1, "rot_yv": 0, "rot_zv": 0}
    return {"geometry_id": geometry_ids(event), **dict(zip(("cx", "cy", "cz"), centres.T, strict=True)), **axes}


def write_acts(event, folder, **changes):
    """Write the files of an event; `changes` are functions of a table by the name of the file, `_` for `-`."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, table in acts_tables(event).items():
        frame = pd.DataFrame(table)
        frame = changes.get(part.replace("-", "_"), lambda same: same)(frame)
        if frame is not None:
            frame.to_csv(folder / f"{event.name}-{part}.csv", index=False)
