"""Event graphs as acorn (gnn4itk) and gnn_tracking store them: one PyG `Data` object per file, `.pyg` or `.pt`.

`.pyg` may be packed (`.pyg.gz`). Learned stages of acorn leave batches of one event, as their `DataLoader` made them.

Two forms are known, and recognised by the content of a file.

*Named columns* (acorn): one tensor per feature, with or without the prefix that newer versions give it, here in
brackets. Of the hits [N]: `[hit_]r`, `[hit_]phi`, `[hit_]z` in mm and rad, or `[hit_]x` and `hit_y` instead of the
first two; `hit_id`, `hit_particle_id`. Of the true doublets [T]: `track_edges [2, T]`, `particle_id` or
`track_particle_id`, `pt` or `track_particle_pt`; a hit's particle and pT are those of its true doublets where there is
no column of hits, and noise where it has none. Of the edges [E]: `edge_index [2, E]`, the truth `y` or `edge_y`,
`weights` or `edge_weights`. Without truth, the edges that `track_edges` names in either direction are true; without
either none is known to be, which is good for predictions.

*A matrix* (gnn_tracking): `x [N, F]` with r, φ, z, … divided by 1000 mm, π, 1000 mm, and `particle_id`, `pt` [N],
`edge_index [2, E]`, `y [E]`. Its graphs have each edge in both directions: it is one edge here. It writes sectors of an
event, which overlap, to files of their own (`data21000_s3.pt`): they are graphs of one event here.

An edge goes from the hit nearer to the beam line to the other one (of equal hits: the one nearer to z = 0, then the
first). Edges keep the order of the file. A true edge is what the file says it is; gnn_tracking's joins any two
layers' hits of one particle that its cuts let through.

A stranger's pickle runs a stranger's code: no class or function of a file is used here, see `torch_pickle`.
Names: acorn.stages.data_reading and acorn.utils.loading_utils;
gnn_tracking.graph_construction.graph_builder.
"""

from __future__ import annotations

import gzip
import math
import re
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from archioptrx.core.errors import InputError, faults_at
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import SHARED, Dataset, Metadata, make_graph
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.identifiers import whole_numbers
from archioptrx.data.options import SOURCES, AcornOptions
from archioptrx.data.options.acorn import NAMES, PT_UNITS
from archioptrx.data.options.acorn_rules import AcornRules, read_rules
from archioptrx.data.options.building import CLUSTER_SCALES, CLUSTERS
from archioptrx.data.pairs import Edges, pair_keys, per_pair
from archioptrx.data.repairs import note
from archioptrx.data.sources.acorn_rules import edge_targets
from archioptrx.data.sources.files import files_in, stamp
from archioptrx.data.sources.pyg_files import ALLOWED, Array, Content, array, first, read_content
from archioptrx.data.sources.stream import Job, stream

__all__ = ["NAMES", "SectorFile", "event_files", "load", "write_predictions"]

PATTERNS = ("*.pyg", "*.pyg.gz", "*.pt")
TRUTH = ("edge_y", "y", "track_edges")
"""Names of columns, each of which gives the truth of edges."""
NODE_SCALE = (1000.0, math.pi, 1000.0)
NO_EDGES, NO_TRUTH = np.zeros((2, 0), np.int64), np.zeros(0, np.bool_)


@SOURCES.registering("acorn")
def load(options: AcornOptions) -> Dataset:
    """Read a file or a folder.

    Raises
    ------
    InputError
        Files are missing or break the contract: one line per fault.
    """
    files = event_files(options)
    further = [name.removeprefix("hit_") for name in options.columns]
    config = None if options.acorn_config is None else str(options.acorn_config)
    rules = None if options.acorn_config is None else read_rules(options.acorn_config)
    metadata = Metadata(
        "acorn",
        node_features=("r", "φ", "z", *further),
        node_scale=NODE_SCALE + tuple(scale_of(name) for name in further),
        options={**asdict(options), "path": str(options.path), "acorn_config": config},
    ).with_edge_features(options.edge_features)
    jobs = [
        Job(name, parts, " ".join([repr(rules), *(stamp(part.path) for part in parts.values())]))
        for name, parts in files.items()
    ]
    return stream(jobs, partial(make, options=options, metadata=metadata, rules=rules), metadata, options.skip_bad)


def scale_of(name: str) -> float:
    """Divisor of a further feature of the hits.

    >>> scale_of("cluster_z_2"), scale_of("eta")
    (1000.0, 1.0)
    """
    return CLUSTER_SCALES[CLUSTERS[name]] if name in CLUSTERS else 1.0


class SectorFile(NamedTuple):
    """A file that holds an event or a sector of it, and its name without the ending, folders before it if needed."""

    path: Path
    name: str


def event_files(options: AcornOptions) -> dict[str, dict[int, SectorFile]]:
    """The files of each event by sector, by name; a whole event is sector 0.

    Where two files of an event have one name, the folders inside the path are part of the event's.
    """
    files = files_in(options.path, PATTERNS, ALLOWED)
    names = {file: event_and_sector(file, options.names) for file in files}
    often = Counter(names.values())
    ambiguous = {event for (event, _), count in often.items() if count > 1}
    named: dict[str, dict[int, SectorFile]] = {}
    for file, (event, sector) in names.items():
        folders = file.relative_to(options.path).parts[:-1] if event in ambiguous else ()
        if (name := "_".join((*folders, event))) not in named and len(named) == options.events:
            break
        parts = named.setdefault(name, {})
        if sector in parts:
            raise InputError(f"{file}: is called {name}, as is {parts[sector].path}; allowed: names of their own")
        parts[sector] = SectorFile(file, "_".join((*folders, bare_name(file))))
    return {name: dict(sorted(parts.items())) for name, parts in named.items()}


def bare_name(file: Path) -> str:
    """Name of a file without its endings.

    >>> bare_name(Path("trainset/event7.pyg.gz")), bare_name(Path("a.b.pt"))
    ('event7', 'a.b')
    """
    return Path(file.stem).stem if file.suffix == ".gz" else file.stem


def event_and_sector(file: Path, names: str) -> tuple[str, int]:
    """Event and sector by the name of a file; one that doesn't fit the pattern is a whole event.

    Raises
    ------
    InputError
        The part of the name that the pattern takes for the sector is no number.

    >>> event_and_sector(Path("data21000_s3.pt"), NAMES), event_and_sector(Path("event7.pyg"), NAMES)
    (('data21000', 3), ('event7', 0))
    """
    match = re.fullmatch(names, bare_name(file))
    if match is None:
        return bare_name(file), 0
    event, sector = match["event"], match["sector"]
    if not event or not (sector or "").isdecimal() or len(sector) > 9:
        raise InputError(f"{file}: sector is {sector!r} and event {event!r}; allowed: names that the pattern divides")
    return event, int(sector)


def make(job: Job, options: AcornOptions, metadata: Metadata, rules: AcornRules | None = None) -> BuiltEvent:
    """Read the files of one event; a hit that is in several sectors has one name in all of them."""
    files: dict[int, SectorFile] = job.content
    parts, truth = [], True
    for file, _ in files.values():
        content = read_content(file, options.path)
        truth &= any(name in content for name in TRUTH)
        with faults_at(str(file)):
            parts.append(arrays_of(content, options, rules))
    shared = name_shared_hits(parts) if len(parts) > 1 else 0
    graphs = [
        make_graph(arrays, metadata, job.name, sector, place=str(file.path))
        for arrays, (sector, file) in zip(parts, files.items(), strict=True)
    ]
    return BuiltEvent(tuple(graphs), {SHARED: shared} if shared else {}, truth)


def name_shared_hits(parts: list[dict[str, Any]]) -> int:
    """Give hits of overlapping sectors one id, by their place where the files don't name them; say how many there are.

    Two hits of one sector stay two, even at one place.
    """
    sizes = [len(part["x"]) for part in parts]
    if any(part["hit_id"] is None for part in parts):
        places = np.concatenate([part["x"][:, :3] for part in parts]).astype(np.float32)
        _, place = np.unique(places, axis=0, return_inverse=True)
        keys = np.concatenate([_with_repeats(copies) for copies in np.split(place.ravel(), np.cumsum(sizes)[:-1])])
        _, ids = np.unique(keys, axis=0, return_inverse=True)
        for part, own in zip(parts, np.split(ids.ravel(), np.cumsum(sizes)[:-1]), strict=True):
            part["hit_id"] = own
    return sum(sizes) - len(np.unique(np.concatenate([part["hit_id"] for part in parts])))


def _with_repeats(place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each number, with the number of its earlier occurrences. Shapes: [N] -> [N, 2]."""
    order = np.argsort(place, kind="stable")
    ordered = place[order]
    repeat = np.empty(len(place), dtype=np.int64)
    repeat[order] = np.arange(len(place)) - np.searchsorted(ordered, ordered)
    return np.stack([place, repeat], axis=1)


def arrays_of(content: Content, options: AcornOptions, rules: AcornRules | None = None) -> dict[str, Any]:
    """Make a graph's arrays of a file's, whose form is checked on the way; edges stay as the file has them.

    Raises
    ------
    InputError
        Something is missing or doesn't fit.
    """
    nodes, kind = coordinates(content, options)
    count = len(nodes)
    names = [name.removeprefix("hit_") for name in options.columns]
    further = [
        feature(content, name, count) / scale_of(bare) for name, bare in zip(options.columns, names, strict=True)
    ]
    for name, values in zip(("r", "φ", "z", *options.columns), (*nodes.T, *further), strict=True):
        _finite(values, name, "hit")
    edges, truth = (NO_EDGES, NO_TRUTH) if options.without_edges else _edges(content, count)
    arrays = {
        "x": np.stack([*(nodes / NODE_SCALE).T, *further], axis=1),
        "edge_index": edges,
        "y": truth,
        "hit_id": _hit_ids(content, count),
        **_particles(content, count, kind, PT_UNITS[options.pt_unit]),
    }
    if options.weights and not options.without_edges:
        name, weights = first(content, "edge_weights", "weights")
        weights = _column(weights, name, edges.shape[1], "edge")
        _finite(weights, name, "edge", minimum=0)
        arrays["edge_weight"] = weights
    if rules is not None:
        arrays |= edge_targets(content, edges, truth, count, rules)
    return arrays


def coordinates(content: Content, options: AcornOptions) -> tuple[NDArray[np.float64], str]:
    """r, φ, z of the hits in mm, rad, mm [N, 3], and the form of the file: `matrix` or `columns`."""
    matrix = array(content, "x")
    if matrix is not None and matrix.ndim == 2:
        if matrix.shape[1] < 3:
            raise InputError(f"x has the shape {list(matrix.shape)}; allowed: [hits, 3 or more]")
        return matrix[:, :3].astype(np.float64) * (options.scales or NODE_SCALE), "matrix"
    columns: dict[str, Array | None] = {name: first(content, f"hit_{name}", name)[1] for name in ("r", "phi", "z")}
    # A plain `y` is the truth of the edges, in every version.
    x, y = first(content, "hit_x", "x")[1], array(content, "hit_y")
    if x is not None and y is not None and x.shape == y.shape:
        computed = {"r": np.hypot(x, y), "phi": np.arctan2(y, x)}
        columns |= {name: values for name, values in computed.items() if columns[name] is None}
    missing = [name for name in ("r", "phi", "z") if columns[name] is None]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}; allowed: hit_r, hit_phi, hit_z, or a matrix x [hits, features]")
    z = columns["z"]
    assert z is not None
    if z.ndim != 1:
        raise InputError(f"z has the shape {list(z.shape)}; allowed: [hits]")
    parts = [_column(columns[name], name, len(z), "hit").astype(np.float64) for name in ("r", "phi", "z")]
    return np.stack(parts, axis=1) * (options.scales or (1.0, 1.0, 1.0)), "columns"


def feature(content: Content, name: str, hits: int) -> NDArray[np.float64]:
    """A further feature [N], by the name of its column or its number in the matrix."""
    matrix = array(content, "x")
    if matrix is not None and matrix.ndim == 2 and name.startswith("x") and name[1:].isdigit():
        if int(name[1:]) >= matrix.shape[1]:
            raise InputError(f"x has {matrix.shape[1]} columns, no {name}; allowed: x0 … x{matrix.shape[1] - 1}")
        return matrix[:, int(name[1:])].astype(np.float64)
    values = first(content, f"hit_{name.removeprefix('hit_')}", name)[1]
    return _column(values, name, hits, "hit").astype(np.float64)


def _column(values: Array | None, name: str, rows: int, kind: str) -> Array:
    if values is None:
        raise InputError(f"lacks {name}; allowed: one number per {kind}")
    if values.ndim != 1 or len(values) != rows:
        raise InputError(f"{name} has the shape {list(values.shape)}; allowed: [{rows}], one number per {kind}")
    return values


def _finite(values: Array, name: str, kind: str, minimum: float = -math.inf) -> None:
    wrong = np.flatnonzero(~np.isfinite(values) | (values < minimum))
    if len(wrong):
        allowed = "finite numbers" if minimum == -math.inf else "finite numbers of 0 or more"
        raise InputError(f"{name} is {values[wrong[0]]:g} at {kind} {wrong[0]}; allowed: {allowed}")


def _pairs(content: Content, name: str, hits: int) -> Edges | None:
    """Pairs of hits [2, n]."""
    pairs = array(content, name)
    if pairs is None:
        return None
    if pairs.ndim != 2 or len(pairs) != 2 or pairs.dtype.kind not in "iu":
        raise InputError(f"{name} is {pairs.dtype} {list(pairs.shape)}; allowed: whole numbers [2, edges]")
    wrong = np.flatnonzero(((pairs < 0) | (pairs >= hits)).any(axis=0))
    if len(wrong):
        raise InputError(f"{name} points outside the {hits} hits at edge {wrong[0]}; allowed: 0 … {hits - 1}")
    return pairs.astype(np.int64)


def _edges(content: Content, hits: int) -> tuple[Edges, NDArray[np.bool_]]:
    """Edges [2, E] and their truth [E], in the file's order."""
    edges, tracks = _pairs(content, "edge_index", hits), _pairs(content, "track_edges", hits)
    if edges is None:
        allowed = "whole numbers [2, edges], or without_edges for a feature store"
        raise InputError(f"lacks edge_index; allowed: {allowed}")
    name, truth = first(content, "edge_y", "y")
    if truth is None and tracks is None:  # no edge is known to be true
        return edges, np.zeros(edges.shape[1], np.bool_)
    if truth is None:
        assert tracks is not None
        return edges, np.isin(pair_keys(edges, hits), pair_keys(tracks, hits))
    truth = _column(truth, name, edges.shape[1], "edge")
    wrong = np.flatnonzero(~np.isin(truth, (0, 1)))
    if len(wrong):
        raise InputError(f"{name} is {truth[wrong[0]]} at edge {wrong[0]}; allowed: 0 and 1")
    return edges, truth.astype(np.bool_)


def _hit_ids(content: Content, hits: int) -> Array | None:
    """Names of the hits [N]; None: their numbers."""
    ids = array(content, "hit_id")
    if ids is None:
        return None
    ids = whole_numbers(_column(ids, "hit_id", hits, "hit"), "hit_id")
    names, rows, often = np.unique(ids, return_index=True, return_counts=True)
    if (often > 1).any():
        worst = int(np.argmax(often > 1))
        raise InputError(
            f"hit_id {names[worst]} stands {often[worst]} times, first at hit {rows[worst]}; allowed: once"
        )
    return ids


def _particles(content: Content, hits: int, kind: str, unit: float) -> dict[str, Array]:
    """`pid` and `pt` of the hits [N], as far as the file has them. pt comes in units of `unit` GeV."""
    columns, owners = {}, None
    names = {"pid": ("hit_particle_id", "track_particle_id", "particle_id"), "pt": ("track_particle_pt", "pt")}
    tracks = None if kind == "matrix" else _pairs(content, "track_edges", hits)
    for field, candidates in names.items():
        name, values = first(content, *candidates)
        if values is None:
            continue
        if tracks is not None and not name.startswith("hit_"):
            of_track = _column(values, name, tracks.shape[1], "track edge")
            values = np.zeros(hits, of_track.dtype)
            owners = _owners(tracks, of_track) if owners is None else owners
            values[owners[0]] = of_track[owners[1]]
        values = _column(values, name, hits, "hit")
        columns[field] = values * unit if field == "pt" else values
    return columns


def _owners(tracks: Edges, ids: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hits of the true doublets, and the doublet by which each gets its particle.

    Of several particles a hit has the one with the smallest id, whatever the order of the doublets, and is counted.
    """
    number = np.tile(np.arange(tracks.shape[1]), 2)
    order = np.lexsort((ids[number], ~(ids[number] > 0), tracks.ravel()))  # noise, also NaN, comes last
    hit, number = tracks.ravel()[order], number[order]
    new = np.diff(hit, prepend=-1) > 0
    of = ids[number]
    further = ~new[1:] & (of[1:] > 0) & (of[1:] != of[:-1])
    note("track_edges", {"shared_particles": len(np.unique(hit[1:][further]))})
    return hit[new], number[new]


def write_predictions(
    file: Path,
    target: Path,
    graph: HitGraph,
    scores: torch.Tensor | None,
    tracks: torch.Tensor | None,
    seconds: float | None = None,
) -> bool:
    """Write an event's file again with the scores and tracks of a network, under the names of acorn.

    Parameters
    ----------
    file
        File from which the graph was read; its content is kept as it is.
    target
        A new file.
    graph
        The graph, as `load` made it.
    scores : float [E] or None
        Probability of each edge, in the graph's order. The file gets one per edge of its own, in its own order: both
        directions of an edge have its score, an edge from a hit to itself has 0. `edge_scores` or, where the file has
        names without prefix, `scores`.
    tracks : int64 [N] or None
        Track of each hit, -1 for none. `hit_track_labels` and `labels`: acorn's versions read one or the other.
    seconds
        Time that the event took, `time_taken`; None: unknown.

    Returns
    -------
    Whether it is an event of acorn, whose features have names.

    Raises
    ------
    InputError
        The target exists, or the file is no longer the one that was read.
    """
    if target.exists():
        raise InputError(f"{target}: exists already; allowed: a new file")
    content = read_content(file, file)
    prefixed = bool({"hit_r", "hit_x", "hit_z"} & set(content))
    edges, hits = _pairs(content, "edge_index", len(graph.x)), len(graph.x)
    if scores is not None and edges is not None:
        with faults_at(str(file)):
            values = per_pair(edges, graph.edge_index.numpy(), scores.detach().numpy(), hits)
        content["edge_scores" if prefixed else "scores"] = torch.tensor(values, dtype=torch.float32)
    named = not (isinstance(matrix := content.get("x"), torch.Tensor) and matrix.ndim == 2)
    if tracks is not None:
        names = ("labels", "hit_track_labels") if named else ("labels",)
        content |= dict.fromkeys(names, tracks.to(torch.int64))
    if seconds is not None and named:
        content["time_taken"] = seconds
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(target, "wb") if target.suffix == ".gz" else target.open("wb") as stream:
        torch.save(Data.from_dict(content), cast(IO[bytes], stream))
    return named
