"""Samples of the notebook that the project comes from: a pickled list with one dict per event, or φ sector of one.

    [{"hits": {"xyz": float [N, 3] in mm,           from the beam line's middle
               "emb": float [N, K],                 coordinates that a network learned; may be missing
               "particle_id": int [N],              0: noise
               …},                                  "hit_id" and "pt" (GeV) are taken too, others are left aside
      "graphs": {"pred": neighbours,                predicted graph: the candidate edges
                 "loss": neighbours,                what the loss of an embedding compares: pred and missed true edges
                 "true": neighbours},               consecutive hits of one particle, or any two of them
      …}, …]

*Neighbours* are a list with one list or array of hit numbers per hit. An edge may stand at one of its hits or at both;
it is one edge from the hit nearer to the beam line to the other, and edges come in the order of their inner, then
outer hits. An edge is true (`y`) if it is in `true`. A pair of `loss` is wanted together (`y_loss`) if both hits are of
one particle, at any places of its track: an embedding that is clustered afterwards has to bring all of them
together, and the hinge loss of the notebook is one on pairs of one particle. A `true` of consecutive hits holds fewer
pairs, and would push the others apart.

Samples that ArchiOpTrX wrote have `event`, `sector` and `sectors` (φ sectors of an event) besides; others are numbered.
What decides what a sample is, these three and `emb`, stands in all samples or in none.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError, faults_at
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.identifiers import particle_ids
from archioptrx.data.options import SOURCES, PickleOptions
from archioptrx.data.options.pickle import FILES
from archioptrx.data.pairs import Edges, pair_keys, undirected
from archioptrx.data.same_fields import difference
from archioptrx.data.sources import safe_pickle
from archioptrx.data.sources.files import file_fault, files_in, stamp
from archioptrx.data.sources.safe_pickle import filled
from archioptrx.data.sources.stream import Job, stream

ALLOWED = "a pickled list of samples {hits: {xyz, particle_id, …}, graphs: {pred, loss, true}}"
LARGEST = 4 * 2**30
"""Bytes of a file; it is read at once."""
SHARED = 4
"""Neighbours that a file may describe, per byte. An honest one needs a byte or more for each, but graphs may share."""
MOST_SECTORS = 10_000
GRAPHS = ("pred", "loss", "true")
NAMING = ("event", "sector", "sectors")
EMBEDDING = "hits.emb"
_NAME = re.compile(r"[\w.+-]+")


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample of a file.

    Attributes
    ----------
    place
        File and number, the start of messages.
    content
        Content as it was unpickled.
    name, sector, sectors
        Event, φ sector, and number of sectors of an event.
    most
        Neighbours that it may have.
    faults
        Faults that make it unreadable.
    """

    place: str
    content: Any
    name: str
    sector: int = 0
    sectors: int = 1
    most: int = 0
    faults: tuple[str, ...] = ()


@SOURCES.registering("pickle")
def load(options: PickleOptions) -> Dataset:
    """Read a file or a folder.

    Raises
    ------
    InputError
        A file holds something else, or a sample breaks the contract: one line each. Nothing of a file is run.
    """
    files = files_in(options.path, FILES, ALLOWED)
    samples = samples_of(options, files)
    good = [sample for sample in samples if not sample.faults]
    sectors = {sample.sectors for sample in good}
    if len(sectors) > 1:
        raise InputError(
            f"{options.path}: samples have {sorted(sectors)} sectors an event; allowed: one number for all"
        )
    metadata = Metadata(
        "pickle",
        node_scale=(1000.0, math.pi / max(sectors, default=1), 1000.0),
        sectors=max(sectors, default=1),
        embedding=embedding_width(good[0]) if good else 0,
        options={**asdict(options), "path": str(options.path)},
    ).with_edge_features(options.edge_features)
    stamps = hashlib.sha256("\n".join(map(stamp, files)).encode()).hexdigest()
    jobs = [Job(sample.name, sample, f"{stamps} {sample.place}") for sample in samples]
    return stream(jobs, partial(make, metadata=metadata), metadata, options.skip_bad)


def samples_of(options: PickleOptions, files: Sequence[Path]) -> list[Sample]:
    """Read the samples of some files, as many as wanted."""
    samples: list[Sample] = []
    for file in files:
        if options.events is None or len(samples) < options.events:
            samples += read_samples(file, options.path)
    return without_twins(alike(samples[: options.events]))


def read_samples(file: Path, folder: Path) -> list[Sample]:
    """Read one file; the content of the samples is checked later, one by one.

    A file that is no list of dicts, or asks for something that needs running, is one sample with this fault.
    """
    fault = file_fault(file, folder, LARGEST)
    if fault:
        return [Sample(str(file), None, file.stem, faults=(f"{fault}; allowed: {ALLOWED}",))]
    content = file.read_bytes()
    try:
        samples = safe_pickle.load(content)
    except InputError as error:
        return [Sample(str(file), None, file.stem, faults=error.faults)]
    if not isinstance(samples, list | tuple) or not samples:
        held = "an empty list" if isinstance(samples, list | tuple) else type(samples).__name__
        return [Sample(str(file), None, file.stem, faults=(f"holds {held}; allowed: {ALLOWED}",))]
    return [_sample(file, number, sample, SHARED * len(content)) for number, sample in enumerate(samples)]


def alike(samples: Sequence[Sample]) -> list[Sample]:
    """The same samples, where one is a fault that has other keys of `NAMING`, or `emb`, than the first good one."""
    first = next((sample for sample in samples if not sample.faults), None)
    checked = []
    for sample in samples:
        if first is not None and not sample.faults:
            fault = difference(_shared_keys(sample), _shared_keys(first), first.place)
            sample = sample if fault is None else replace(sample, content=None, faults=(fault,))
        checked.append(sample)
    return checked


def _shared_keys(sample: Sample) -> frozenset[str]:
    """Keys of `NAMING` that a sample has, and `EMBEDDING`."""
    content = sample.content if isinstance(sample.content, dict) else {}
    hits = content.get("hits")
    keys = {name for name in NAMING if name in content}
    return frozenset(keys | ({EMBEDDING} if isinstance(hits, dict) and "emb" in hits else set()))


def without_twins(samples: Sequence[Sample]) -> list[Sample]:
    """Samples, in which one with the name and sector of an earlier one is a fault: it holds other hits."""
    first: dict[tuple[str, int], Sample] = {}
    checked = []
    for sample in samples:
        earlier = first.setdefault((sample.name, sample.sector), sample)
        if earlier is not sample and not sample.faults:
            twin = f"is {sample.name} sector {sample.sector}, as is {earlier.place}; allowed: events of different names"
            sample = replace(sample, content=None, faults=(twin,))
        checked.append(sample)
    return checked


def _sample(file: Path, number: int, content: Any, most: int) -> Sample:
    place, usual = f"{file}: sample {number}", f"{file.stem}_{number:05d}"
    keys = content if isinstance(content, dict) else {}
    name, sector, sectors = keys.get("event", usual), keys.get("sector", 0), keys.get("sectors", 1)
    faults: list[str] = []
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        faults.append(f"event is {name!r:.60}; allowed: letters, digits, _ . + -")
    numbers = all(isinstance(number, int) and not isinstance(number, bool) for number in (sector, sectors))
    if not (numbers and sector >= 0 and 1 <= sectors <= MOST_SECTORS):
        faults.append(f"sector {sector!r:.20} of {sectors!r:.20}; allowed: 0 or more, of 1 … {MOST_SECTORS:,}")
    if not faults and "sector" in keys and not {"event", "sectors"} <= keys.keys():
        missing = " and ".join(sorted({"event", "sectors"} - keys.keys()))
        faults.append(f"has sector without {missing}; allowed: event, sector and sectors, or no sector")
    if faults:
        return Sample(place, None, usual, faults=tuple(faults))
    return Sample(place, content, name, sector, sectors, most)


def embedding_width(sample: Sample) -> int:
    """Columns of `emb`; 0 where there is none, or something else."""
    hits = sample.content.get("hits") if isinstance(sample.content, dict) else None
    values = filled(hits.get("emb")) if isinstance(hits, dict) else None
    return values.shape[1] if isinstance(values, np.ndarray) and values.ndim == 2 else 0


def make(job: Job, metadata: Metadata) -> BuiltEvent:
    """Make the graph of one sample."""
    sample: Sample = job.content
    with faults_at(sample.place):
        if sample.faults:
            raise InputError(*sample.faults)
        arrays = arrays_of(sample, metadata)
    return BuiltEvent((make_graph(arrays, metadata, sample.name, sample.sector, place=sample.place),))


def arrays_of(sample: Sample, metadata: Metadata) -> dict[str, Any]:
    """Check a sample and make a graph's arrays of it.

    Raises
    ------
    InputError
        Something is missing or doesn't fit; the hit is named.
    """
    hits, graphs = (_inside(sample.content, name) for name in ("hits", "graphs"))
    xyz = _table(hits, "xyz", None, 3)
    count = len(xyz)
    # NaN may stand for noise.
    pid, _ = particle_ids(_numbers(hits, "particle_id", count, finite=False), name="hits.particle_id")
    arrays: dict[str, Any] = {"pos": xyz, "pid": _numbers(hits, "particle_id", count, finite=False)}
    arrays |= {name: _numbers(hits, name, count, name != "pt") for name in ("hit_id", "pt") if name in hits}
    if metadata.embedding:
        arrays["embedding"] = _table(hits, "emb", count, metadata.embedding)
    r, z = np.hypot(xyz[:, 0], xyz[:, 1]), xyz[:, 2]
    nodes = np.stack([r, np.arctan2(xyz[:, 1], xyz[:, 0]), z], axis=1)
    pairs = {}
    for name in GRAPHS:
        edge_index = undirected(neighbours(graphs, name, count, sample.most), r, z).edge_index
        pairs[name] = edge_index[:, np.lexsort(edge_index[::-1])]
    inner, outer = pid[pairs["loss"]]
    return arrays | {
        "x": nodes / metadata.node_scale,
        "edge_index": pairs["pred"],
        "y": np.isin(pair_keys(pairs["pred"], count), pair_keys(pairs["true"], count)),
        "loss_index": pairs["loss"],
        "y_loss": (inner == outer) & (inner != 0),
    }


def _inside(content: Any, name: str) -> dict[str, Any]:
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, dict):
        raise InputError(f"lacks {name}, or it is no dict; allowed: {ALLOWED}")
    return value


def _values(hits: dict[str, Any], name: str, finite: bool = True) -> NDArray[Any]:
    """An array of numbers, which have to be finite unless `finite` is False."""
    if name not in hits:
        raise InputError(f"lacks hits.{name}; allowed: {ALLOWED}")
    values = filled(hits[name])
    if isinstance(values, list):
        values = np.array([filled(value) for value in values]) if _plain(values) else None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iufb":
        raise InputError(f"hits.{name} is {type(filled(hits[name])).__name__}; allowed: a numpy array of numbers")
    wrong = np.argwhere(~np.isfinite(values))
    if finite and len(wrong):
        raise InputError(f"hits.{name} is {values[tuple(wrong[0])]} at hit {wrong[0][0]}; allowed: finite numbers")
    return values


def _plain(values: list[Any]) -> bool:
    return all(isinstance(value, int | float | np.number) for value in map(filled, values))


def _table(hits: dict[str, Any], name: str, rows: int | None, columns: int) -> NDArray[np.float64]:
    values = _values(hits, name)
    if values.ndim != 2 or values.shape[1] != columns or (rows is not None and len(values) != rows):
        expected_rows = "hits" if rows is None else rows
        raise InputError(f"hits.{name} has the shape {list(values.shape)}; allowed: [{expected_rows}, {columns}]")
    return values.astype(np.float64)


def _numbers(hits: dict[str, Any], name: str, rows: int, finite: bool = True) -> NDArray[Any]:
    values = _values(hits, name, finite)
    if values.shape != (rows,):
        raise InputError(f"hits.{name} has the shape {list(values.shape)}; allowed: [{rows}], one number per hit")
    return values


def neighbours(graphs: dict[str, Any], name: str, hits: int, most: int) -> Edges:
    """Pairs of hits [2, n] of a list of neighbours.

    Raises
    ------
    InputError
        It isn't one list per hit, names hits that there aren't, or more of them than its file can hold.
    """
    lists = filled(graphs.get(name))
    if isinstance(lists, np.ndarray) and lists.ndim == 2:
        lists = list(lists)
    if not isinstance(lists, list | tuple) or len(lists) != hits:
        content = f"{len(lists)} lists" if isinstance(lists, list | tuple) else type(lists).__name__
        raise InputError(f"graphs.{name} is {content}; allowed: one list of neighbours for each of the {hits} hits")
    lists_of_hits: list[NDArray[np.int64]] = []
    total = 0
    for hit, near in enumerate(map(filled, lists)):
        total += len(near) if isinstance(near, list | tuple | np.ndarray) else 0
        if total > most:
            raise InputError(f"graphs.{name} has more neighbours than a file of this size can hold; allowed: {most:,}")
        values = np.asarray(near) if isinstance(near, np.ndarray) or _whole(near) else None
        if values is None or values.ndim != 1 or values.dtype.kind not in "iu" * bool(values.size) + "iuf":
            raise InputError(f"graphs.{name} at hit {hit} is no list of whole numbers; allowed: numbers of other hits")
        if values.size and not (values.min() >= 0 and values.max() < hits):
            wrong = values[(values < 0) | (values >= hits)][0]
            raise InputError(f"graphs.{name} at hit {hit} names hit {wrong}; allowed: 0 … {hits - 1}")
        lists_of_hits.append(values.astype(np.int64))
    counts = [len(near) for near in lists_of_hits]
    return np.stack([np.repeat(np.arange(hits), counts), np.concatenate([np.zeros(0, np.int64), *lists_of_hits])])


def _whole(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(k, int | np.integer) for k in value)
