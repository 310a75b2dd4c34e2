"""One `.npz` file of HEP.TrkX as arrays: read within bounds, and its form checked before anything is made of it.

Rules of all hit graphs, of any file, are checked in `archioptrx.data.guard`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archioptrx.core.errors import reason_of
from archioptrx.data.hitgraph import CHAIN_HIT_FIELDS, TRIPLET_FIELDS
from archioptrx.data.sources.files import unpacked_fault

Arrays = dict[str, np.ndarray[Any, Any]]
EDGE_KEYS = ("Ri_rows", "Ri_cols", "Ro_rows", "Ro_cols")
HIT, EDGE, PARTICLE, PAIR, TRIPLET, CHAIN_HIT = ("X", "y", "particle_id", "y_loss", "triplets", "chain_hit_id")
OPTIONAL = {
    **dict.fromkeys(("pid", "hit_id", "pt", "pos", "hit_weight", "particle_index", "embedding", "chain"), HIT),
    **dict.fromkeys(("edge_weight", "edge_mask", "baseline", "baseline_logit"), EDGE),
    **dict.fromkeys(("particle_id", "particles"), PARTICLE),
    **dict.fromkeys(("y_loss", "loss_pairs"), PAIR),
    **dict.fromkeys(("triplets", *TRIPLET_FIELDS), TRIPLET),
    **dict.fromkeys(CHAIN_HIT_FIELDS, CHAIN_HIT),
}
"""Further arrays, and the array that each has as many rows as."""
MAY_BE_NAN = ("pid", "pt", "chain_hit_pid", "chain_hit_pt", "particles")
"""Arrays in which NaN may stand for noise; the guard of hit graphs looks at them."""
NO_TRUTH = "no truth"
"""Key that marks arrays whose `y` isn't the file's."""
KEPT_BYTES = 2**28
"""Arrays of this size together stay in memory between the two looks at the files; others are read twice."""
MOST_RATIO = 100
"""Times of its size to which a larger file may unpack; real ones reach 10."""
UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    KeyError,
    NotImplementedError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors that reading a damaged file may raise; a MemoryError where an array claims to be larger than the memory."""


def read_arrays(file: Path, widths: Mapping[str, int]) -> tuple[Arrays, list[str]]:
    """Read and check one file: its arrays, and its faults. Widths are those of the data set's fields."""
    if not file.is_file() or not file.stat().st_size:
        return {}, [f"is {'empty' if file.is_file() else 'no file'}; allowed: an .npz file of HEP.TrkX"]
    try:
        if not zipfile.is_zipfile(file):
            return {}, ["is cut short or no .npz file (a zip archive of arrays); allowed: an .npz file of HEP.TrkX"]
        if fault := unpacked_fault(file, MOST_RATIO, KEPT_BYTES):
            return {}, [fault]
        with np.load(file, allow_pickle=False) as content:
            missing = [key for key in ("X", *EDGE_KEYS) if key not in content.files]
            if missing:
                return {}, [
                    f"lacks {', '.join(missing)}; allowed: X, {', '.join(EDGE_KEYS)}, and y where the truth is known"
                ]
            arrays = {k: content[k] for k in ("X", *EDGE_KEYS, "y", *OPTIONAL) if k in content.files}
            if "y" not in arrays:  # no truth: no edge is known to be true
                arrays["y"] = np.zeros(np.size(arrays["Ri_rows"]), np.float32)
                arrays[NO_TRUTH] = np.zeros(0)
            if "embedding" not in widths:
                arrays.pop("embedding", None)
    except UNREADABLE as error:
        return {}, [f"can't be read ({reason_of(error, 80)}); allowed: an .npz file of HEP.TrkX"]
    return arrays, array_faults(arrays, widths) or edge_faults(arrays)


def array_faults(arrays: Arrays, widths: Mapping[str, int]) -> list[str]:
    """Check kinds, shapes and values of the arrays one by one."""
    faults = [
        f"{k} holds {v.dtype}; allowed: numbers"
        for k, v in arrays.items()
        if v.dtype.kind not in ("fiu" if k == "X" else "fiub")  # a truth may be yes or no, a coordinate not
    ]
    faults += [
        f"{k} holds {v.dtype}; allowed: whole numbers"
        for k, v in arrays.items()
        if k[0] == "R" and v.dtype.kind in "fb"
    ]
    edges = arrays["y"]
    tables = {"X": (widths["x"], "hits"), "embedding": (widths.get("embedding"), "hits"), "loss_pairs": (2, "pairs")}
    tables |= {"triplets": (2, "triplets"), "triplet_attr": (widths.get("triplet_attr"), "triplets")}
    for key, (width, rows) in tables.items():
        if key in arrays and (arrays[key].ndim != 2 or arrays[key].shape[1] != width):
            faults.append(f"{key} has the shape {list(arrays[key].shape)}; allowed: [{rows}, {width}]")
    faults += [
        f"{k} has the shape {list(arrays[k].shape)}; allowed: [{edges.size}], one number per edge of y"
        for k in (*EDGE_KEYS, "y")
        if arrays[k].shape != (edges.size,)
    ]
    for key, like in OPTIONAL.items():
        if key in arrays and like not in arrays:
            faults.append(f"{key} stands without {like}; allowed: both or neither")
        elif key in arrays and (count := _rows(arrays[key])) != (needed := _rows(arrays[like])):
            faults.append(f"{key} has {count} rows; allowed: as many as {like}, {needed}")
    if faults:
        return faults
    faults += [
        f"{k} holds {int((~np.isfinite(v)).sum())} NaN or infinite numbers; allowed: finite ones"
        for k, v in arrays.items()
        if v.dtype.kind == "f" and k not in MAY_BE_NAN and not np.isfinite(v).all()
    ]
    if not faults and not np.isin(edges, (0, 1)).all():
        faults.append(f"y holds {edges[~np.isin(edges, (0, 1))][0]:g}; allowed: 0 and 1")
    return faults


def _rows(array: np.ndarray[Any, Any]) -> int:
    """Rows of an array; a single number is one."""
    return len(np.atleast_1d(array))


def edge_faults(arrays: Arrays) -> list[str]:
    """Check that every edge has one start and one end, both among the hits."""
    hits, edges = len(arrays["X"]), len(arrays["y"])
    faults = []
    for key in ("Ri_rows", "Ro_rows", *({"loss_pairs"} & set(arrays))):
        outside = (arrays[key] < 0) | (arrays[key] >= hits)
        if outside.any():
            allowed = f"0 … {hits - 1}" if hits else "none"
            faults.append(f"{key} points outside the {hits} hits ({arrays[key][outside][0]}); allowed: {allowed}")
    outside = (arrays["triplets"] < 0) | (arrays["triplets"] >= edges) if "triplets" in arrays else np.zeros(0, bool)
    if outside.any():
        wrong = arrays["triplets"][outside][0]
        faults.append(f"triplets points outside the {edges} edges ({wrong}); allowed: 0 … {edges - 1}")
    for key in ("Ri_cols", "Ro_cols"):
        if not np.array_equal(np.sort(arrays[key]), np.arange(edges)):
            faults.append(f"{key} doesn't name every edge once; allowed: each of 0 … {edges - 1} once")
    return faults


def edge_index_of(arrays: Arrays) -> np.ndarray[Any, Any]:
    """Start and end of each edge, in the order of the file. Shapes: -> [2, E]."""
    edge_index = np.empty((2, len(arrays["Ro_cols"])), dtype=np.int64)
    edge_index[0, arrays["Ro_cols"]] = arrays["Ro_rows"]
    edge_index[1, arrays["Ri_cols"]] = arrays["Ri_rows"]
    return edge_index
