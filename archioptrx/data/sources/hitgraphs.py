"""Hit graphs of HEP.TrkX: one `.npz` file per graph, also the form in which data sets are written.

Arrays: `X [N, F]` = r/1000 mm, φ/(π/sectors) from the middle of the φ sector, z/1000 mm; edge `Ri_cols[k]` ends in hit
`Ri_rows[k]`, edge `Ro_cols[k]` starts in hit `Ro_rows[k]`; `y [E]` the truth, where it is known; optionally `pid [N]`
and, in files that ArchiOpTrX wrote, further fields of `HitGraph` (`loss_pairs [L, 2]` is its `loss_index`,
`triplets [T, 2]` its `triplet_index` by the places of the edges in `y`). Edge features `Ra` are left aside: they are
computed at load, the same way for all data. Format: Farrell et al., arXiv:1810.06111 (heptrkx-gnn-tracking).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from archioptrx.core.errors import InputError, faults_at
from archioptrx.core.files import new_folder
from archioptrx.core.reading import parse_json, reading
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.built_set import METADATA
from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.guard import PARTICLE_OF
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.identifiers import particle_ids
from archioptrx.data.options import SOURCES, HitgraphsOptions
from archioptrx.data.repairs import note
from archioptrx.data.sources.files import files_in, stamp
from archioptrx.data.sources.hitgraph_arrays import (
    EDGE,
    KEPT_BYTES,
    NO_TRUTH,
    OPTIONAL,
    Arrays,
    edge_index_of,
    read_arrays,
)
from archioptrx.data.sources.stream import Job, bounded, cached, each, key_of, progress, stream

_NAME = re.compile(r"^(?P<event>.+)_g(?P<sector>\d+)$")


@dataclass(frozen=True)
class Scan:
    """Facts of a file, from which the data set's metadata follow.

    Attributes
    ----------
    faults
        Faults of it.
    arrays
        Content of the file, while there is memory for it.
    wraps
        True: an edge spans more than half of the range of φ.
    upper
        Share of the hits with z > 0.
    zero
        True: 0 is a particle in it, for a true edge joins two such hits.
    """

    faults: tuple[str, ...] = ()
    arrays: Arrays | None = None
    wraps: bool = False
    upper: float = 0.0
    zero: bool = False


@SOURCES.registering("hitgraphs")
def load(options: HitgraphsOptions) -> Dataset:
    """Read a file or a folder.

    Raises
    ------
    InputError
        Files are missing or break the contract: one line per file.
    """
    files = first_events(find_files(options.path), options.events)
    check_names(files)
    metadata = read_metadata(options.path if options.path.is_dir() else options.path.parent)
    widths = metadata.widths if metadata else {"x": 3}
    jobs = [Job(file.stem, file, stamp(file)) for file in files]
    key = key_of(jobs, options, metadata)
    if (known := cached(metadata.source if metadata else options.source, key)) is not None:
        return known
    scans = scan_all(files, widths)
    faults = [f"{file}: {fault}" for file, scan in scans.items() for fault in scan.faults]
    good = {file: scan for file, scan in scans.items() if not scan.faults}
    if faults and not (options.skip_bad and good):
        raise InputError(*bounded(faults))
    ours = metadata is not None
    metadata = complete(metadata, good, options, len(files) - len(good))
    from_zero = any(scan.zero for scan in good.values())
    jobs = [replace(job, content=(job.content, good[job.content].arrays)) for job in jobs if job.content in good]
    build = partial(make, widths=widths, from_zero=from_zero, directed=ours, metadata=metadata)
    return stream(jobs, build, metadata, options.skip_bad, key)


def complete(metadata: Metadata | None, good: Mapping[Path, Scan], options: HitgraphsOptions, skipped: int) -> Metadata:
    """Complete the metadata of the folder, or infer them where it has none, from all its files together."""
    facts: dict[str, Any] = {"skipped": skipped} if skipped else {}
    if metadata is None:
        sectors, how = (options.sectors, "given") if options.sectors else infer_sectors(good, options.usual_sectors)
        facts |= {"sectors": how}
        metadata = Metadata("hitgraphs", node_scale=(1000.0, math.pi / sectors, 1000.0), sectors=sectors)
    elif options.sectors and options.sectors != metadata.sectors:
        raise InputError(
            f"{options.path}: sectors is {options.sectors}; allowed: {metadata.sectors}, by its {METADATA}"
        )
    if any(scan.zero for scan in good.values()):
        facts["pid"] = "one added: 0 was a particle, and means noise here"
    metadata = replace(metadata, options={**metadata.options, **facts})
    return metadata.with_edge_features(options.edge_features)


def scan_all(files: Sequence[Path], widths: Mapping[str, int]) -> dict[Path, Scan]:
    """Look through all files once; arrays stay as long as they are few."""
    near, far = partial(scan, widths=widths), partial(scan_lightly, widths=widths)
    scans: dict[Path, Scan] = {}
    size = 0
    for file, result in zip(files, progress(each(near, far, files), len(files), "hitgraphs files"), strict=True):
        size += sum(array.nbytes for array in (result.arrays or {}).values())
        scans[file] = result if size <= KEPT_BYTES else replace(result, arrays=None)
    return scans


def scan(file: Path, widths: Mapping[str, int]) -> Scan:
    """Read and check one file."""
    # Never in threads: numpy parses the header of each array, and CPython 3.11 can't parse in two threads safely.
    arrays, faults = read_arrays(file, widths)
    if faults:
        return Scan(tuple(faults))
    start, end = edges = edge_index_of(arrays)
    phi = arrays["X"][:, 1].astype(np.float64)  # differences of unsigned numbers would not be negative
    wraps = bool((np.abs(phi[end] - phi[start]) > 1).any())
    upper = float(np.mean(arrays["X"][:, 2] > 0)) if len(arrays["X"]) else 0.0
    true = arrays["y"] > 0.5
    zero = "pid" in arrays and bool(((arrays["pid"][edges] == 0).all(axis=0) & true).any())
    return Scan((), arrays, wraps, upper, zero)


def scan_lightly(file: Path, widths: Mapping[str, int]) -> Scan:
    """The same, for a worker: arrays stay where they are."""
    return replace(scan(file, widths), arrays=None)


def make(job: Job, widths: Mapping[str, int], from_zero: bool, directed: bool, metadata: Metadata) -> BuiltEvent:
    """Make the graph of a file that was scanned.

    Parameters
    ----------
    from_zero
        0 is a particle in these files.
    directed
        ArchiOpTrX wrote the files: the first hit of an edge is the inner one.
    """
    file, arrays = job.content
    if arrays is None:
        arrays, faults = read_arrays(file, widths)
        if faults:  # it has changed in the meantime
            raise InputError(*(f"{file}: {fault}" for fault in faults))
    if from_zero and "pid" in arrays:
        with faults_at(str(file)):
            ids = {name: particle_ids(arrays[name], from_zero, name) for name in PARTICLE_OF if name in arrays}
        note(str(file), {"noise_ids": sum(marked for _, marked in ids.values())})
        arrays = {**arrays, **{name: numbers for name, (numbers, _) in ids.items()}}
    return BuiltEvent((to_graph(file, arrays, metadata, directed),), truth=NO_TRUTH not in arrays)


def find_files(path: Path) -> list[Path]:
    """Name the `.npz` files of a folder, sorted, or the one file."""
    return files_in(path, ("*.npz",), "HEP.TrkX graphs such as event000001000_g000.npz", deep=False)


def check_names(files: Sequence[Path]) -> None:
    """Refuse two files of one event and sector, such as `a_g0.npz` and `a_g000.npz`: their hits would be joined."""
    known: dict[tuple[str, int], Path] = {}
    for file in files:
        event, sector = name = name_of(file)
        if (earlier := known.setdefault(name, file)) is not file:
            raise InputError(
                f"{file}: is {event} sector {sector}, as is {earlier.name}; allowed: events and sectors of their own"
            )


def first_events(files: list[Path], number: int | None) -> list[Path]:
    """Keep the files of the first so many events.

    >>> [file.name for file in first_events([Path("e1_g0.npz"), Path("e1_g1.npz"), Path("e2_g0.npz")], 1)]
    ['e1_g0.npz', 'e1_g1.npz']
    """
    first_names = set(list(dict.fromkeys(name_of(file)[0] for file in files))[:number])
    return [file for file in files if name_of(file)[0] in first_names]


def read_metadata(folder: Path) -> Metadata | None:
    """Read `metadata.json` where a folder has one."""
    file = folder / METADATA
    if not file.is_file():
        return None
    with reading(str(file)):
        content = parse_json(file.read_bytes(), str(file))
        try:
            return Metadata.from_dict(content)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{file}: isn't a file of the command `data`: {error}") from error


def name_of(file: Path) -> tuple[str, int]:
    """Event and sector from a file's name: event000001000_g003 -> ("event000001000", 3).

    >>> name_of(Path("event000001000_g003.npz"))
    ('event000001000', 3)
    >>> name_of(Path("tracking1.npz"))
    ('tracking1', 0)
    """
    match = _NAME.match(file.stem)
    return (match["event"], int(match["sector"])) if match else (file.stem, 0)


def infer_sectors(good: Mapping[Path, Scan], usual: int | None = None) -> tuple[int, str]:
    """Guess the number of φ sectors: graphs per event, by two if the graphs also divide z into two halves.

    Edges whose Δφ spans more than half of the range wrap around, which only whole events have. Otherwise the number of
    a model's training data, where there is a model, comes before the guess.

    Raises
    ------
    InputError
        There is one graph an event and none wraps around: it may be a sector as well as a whole event.
    """
    if any(scan.wraps for scan in good.values()):
        return 1, "inferred: 1, edges wrap around in φ"
    if usual:
        return usual, "as in the model's training data"
    names = [name_of(file) for file in good]
    graphs = max(*Counter(event for event, _ in names).values(), *(sector + 1 for _, sector in names))
    if graphs == 1:
        raise InputError(
            f"{next(iter(good)).parent}: one graph an event doesn't give the number of sectors; "
            "allowed: give the number of φ sectors (1: whole events)"
        )
    halves = graphs % 2 == 0 and all(scan.upper < 0.02 or scan.upper > 0.98 for scan in good.values())
    how = f"inferred: {graphs} graphs an event" + ", each one half of z" * halves
    return graphs // (1 + halves), how


def to_graph(file: Path, arrays: Arrays, metadata: Metadata, directed: bool = False) -> HitGraph:
    """Make a hit graph of a file's arrays; `directed`: see `make`."""
    event, sector = name_of(file)
    content = {"x": arrays["X"], "edge_index": edge_index_of(arrays), "y": arrays["y"]}
    content |= {k: arrays[k] for k in OPTIONAL if k in arrays}
    if "loss_pairs" in content:
        content["loss_index"] = content.pop("loss_pairs").T
    if "triplets" in content:
        content["triplet_index"] = content.pop("triplets").T
    return make_graph(content, metadata, event, sector, directed, str(file))


def write(dataset: Dataset, folder: Path) -> None:
    """Write a data set: one file per graph and `metadata.json`, so that it is read again without options.

    The folder appears when it is whole: a part of it, without `metadata.json`, would be read with other scales.

    Raises
    ------
    InputError
        The folder already holds something, or two graphs have one name.
    """
    check_empty(folder)
    names = Counter((g.event, g.sector) for g in dataset.graphs)
    twice = [f"{event} sector {sector}" for (event, sector), count in names.items() if count > 1]
    if twice:
        raise InputError(f"{folder}: two graphs are called {twice[0]}; allowed: names of their own")
    text = json.dumps(dataset.metadata.to_dict(), indent=1, ensure_ascii=False)
    with new_folder(folder) as fresh:
        for graph in dataset.graphs:
            np.savez_compressed(fresh / f"{graph.event}_g{graph.sector:03d}.npz", **to_arrays(graph))
        (fresh / METADATA).write_text(text + "\n", encoding="utf-8")


def check_empty(folder: Path) -> None:
    """Refuse a folder that already holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: already holds something; allowed: a new or empty folder")


def to_arrays(graph: HitGraph) -> dict[str, Any]:
    """Turn a hit graph into the arrays of its file, edges in the caller's order."""
    start, end = graph.in_file_order(graph.edge_index.T).T.numpy()
    edge = np.arange(graph.num_edges)
    arrays = {"X": graph.x.numpy(), "Ri_rows": end, "Ri_cols": edge, "Ro_rows": start, "Ro_cols": edge}
    arrays["y"] = graph.in_file_order(graph.y).numpy()
    for key, like in OPTIONAL.items():
        if graph.get(key) is not None:
            arrays[key] = (graph.in_file_order(graph[key]) if like == EDGE else graph[key]).numpy()
    if graph.get("loss_index") is not None:
        arrays["loss_pairs"] = graph.loss_index.T.numpy()
    if graph.get("triplet_index") is not None:
        arrays["triplets"] = graph.edge_order[graph.triplet_index].T.numpy()
    return arrays
