"""Tracks of Acts on the events of a comparison: `acts:ckf` and `acts:truth`, beside those of networks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.data.built_set import READER
from archioptrx.data.dataset import Metadata
from archioptrx.data.description import DataDescription
from archioptrx.data.event import PARTICLE_COLUMNS, Event
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.options import OF, ActsOptions, FatrasOptions, Options
from archioptrx.data.repairs import collected
from archioptrx.data.simulation.acts_chain import FoundByActs, run_chain
from archioptrx.data.simulation.acts_fit import FIELD
from archioptrx.data.simulation.fatras import PACKAGE, pyacts_version, simulate
from archioptrx.data.sources.acts import ACTS_FILES, find, read_event
from archioptrx.data.sources.event_files import EventFiles, find_events
from archioptrx.data.sources.event_tables import read_table
from archioptrx.models.events import events_data
from archioptrx.models.model_folder import TrainedModel
from archioptrx.tasks.tracks.metrics import EventTracks

PREFIX = "acts:"
NAMES = (f"{PREFIX}ckf", f"{PREFIX}truth")
_HITS, _WEIGHT = (PARTICLE_COLUMNS.index(name) for name in ("hits", "weight"))
_KINEMATIC = [PARTICLE_COLUMNS.index(name) for name in ("pt", "η", "vr", "φ", "z0")]


@dataclass(frozen=True, eq=False)
class ActsEvent:
    """An event, and its measurements as Acts takes them.

    Attributes
    ----------
    event
        Hits and particles; a hit is a measurement, in the file's order.
    measurements
        Arrays for `run_chain`.
    """

    event: Event
    measurements: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class FurtherTracks:
    """Entry of a comparison that is no network: tracks of an algorithm on the same events.

    Attributes
    ----------
    name, place
        Name, and the program with its version.
    events
        Tracks of each event, in the order of the comparison.
    seconds
        Seconds of each stage for each event, on one thread.
    notes
        Remarks for the reader.
    """

    name: str
    place: str
    events: Sequence[EventTracks]
    seconds: Sequence[Mapping[str, float]]
    notes: tuple[str, ...] = ()


def check_names(names: Sequence[str]) -> list[str]:
    """Names of Acts' algorithms among those of models.

    Raises
    ------
    InputError
        There is no such algorithm, pyacts isn't installed, or no model stands before them.
    """
    chosen = [name for name in names if name.startswith(PREFIX)]
    for name in chosen:
        if name not in NAMES:
            raise InputError(f"{name}: no algorithm of Acts here; {did_you_mean(name, NAMES)}")
    if chosen and names[0] in chosen:
        raise InputError(f"{names[0]}: stands first; allowed: after a model, whose events it gets")
    if chosen:
        pyacts_version(chosen[0])
    return chosen


def check_whole(names: Sequence[str], host: str, whole: bool) -> None:
    """Refuse algorithms of Acts beside models that are judged on parts of events.

    Parameters
    ----------
    names
        Algorithms of Acts.
    host, whole
        Name of the model whose events they get, and whether these are whole, see `ModelEvents`.

    Raises
    ------
    InputError
        There are algorithms, and the events aren't whole.
    """
    if names and not whole:
        raise InputError(
            f"{names[0]}: takes whole events, and the test events of {host} are sectors of events; allowed: --data "
            "PATH, or a first model that was trained on three events or more, without split.by: sectors"
        )


def acts_events(
    model: TrainedModel, path: str | None, metadata: Metadata, graphs: Sequence[HitGraph]
) -> list[ActsEvent]:
    """The events of graphs, whole, as Acts wrote or simulates them.

    Parameters
    ----------
    model, path
        Model whose events they are, and their path; None: its test events.
    metadata, graphs
        Of the events.

    Raises
    ------
    InputError
        They aren't events of Acts, or no longer the same.
    """
    options = _options(events_data(model, path), metadata)
    names = list(dict.fromkeys(graph.event for graph in graphs))
    with _files(options, names) as files, collected():  # repairs were reported when the graphs were built
        read = [_read(files[name]) for name in names]
    for graph in graphs:
        _check_same(graph, read[names.index(graph.event)].event)
    return read


def field_of(model: TrainedModel, path: str | None, metadata: Metadata) -> float:
    """Magnetic field of the events, tesla."""
    options = _options(events_data(model, path), metadata)
    return options.field if isinstance(options, FatrasOptions) else FIELD


def _options(data: DataDescription, metadata: Metadata) -> ActsOptions | FatrasOptions:
    """Options of the source `acts` or `fatras` that the events are of; of graphs on disk those they were built by."""
    while data.inner is not None:
        data = data.inner
    options: Options | None = data.options
    source, built = _innermost(metadata)
    if data.source == READER and source == "fatras":
        options = DataDescription({"source": source, **_plain(built)}).options
    if isinstance(options, ActsOptions | FatrasOptions):
        return options
    if data.source == READER and source == "acts":
        raise InputError(
            "acts: needs measurements of Acts, and these are graphs that were built of them; "
            "allowed: --data PATH of the CSV files"
        )
    source = source if data.source == READER else data.source
    allowed = "--data PATH of CSV files of Acts, or a model that was trained on events of fatras or acts"
    raise InputError(f"acts: needs measurements of Acts, and these events are of {source}; allowed: {allowed}")


def _innermost(metadata: Metadata) -> tuple[str, Mapping[str, Any]]:
    """Source of the hits of some graphs, and its options."""
    source, options = metadata.source, metadata.options
    while isinstance(inner := options.get(OF), Mapping):
        source, options = inner["source"], inner["options"]
    return source, options


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a source, without what its building counted."""
    names = FatrasOptions.__dataclass_fields__
    return {name: value for name, value in options.items() if name in names}


@contextmanager
def _files(options: ActsOptions | FatrasOptions, names: Sequence[str]) -> Iterator[dict[str, EventFiles]]:
    """Files of the named events, simulated again where they aren't kept."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if isinstance(options, FatrasOptions):
            for event in names:
                simulate(options, int(event.removeprefix("event")), folder)
            found = find_events(folder, ACTS_FILES)
        else:
            found = find(options)
        files = {event.name: event for event in found}
        if lacking := [event for event in names if event not in files]:
            raise InputError(f"{lacking[0]}: its files are gone; allowed: --data PATH of CSV files of Acts")
        yield files


def _read(files: EventFiles) -> ActsEvent:
    """Read an event with its measurements."""
    event, _ = read_event(files)
    names = ("geometry_id", "local0", "local1", "var_local0", "var_local1")
    table = read_table(files.parts["measurements"], names)
    particle = np.searchsorted(event.particle_id, event.pid)
    step = np.hypot(event.r, event.pos[:, 2]) if event.order is None else event.order
    along = np.lexsort((step, particle))
    along = along[event.pid[along] != 0]
    arrays = {
        "geometry_id": table["geometry_id"],
        "local": table.stack("local0", "local1").astype(np.float64),
        "variance": table.stack("var_local0", "var_local1").astype(np.float64),
        "hit": along,
        "track": particle[along],
    }
    return ActsEvent(event, arrays)


def _check_same(graph: HitGraph, event: Event) -> None:
    """Refuse events of the same name with other hits, as of files that have changed or of another version of Acts."""
    if graph.get("pid") is None or graph.get("chain") is not None:
        return
    hits, order = graph.hit_id.numpy(), np.argsort(event.hit_id)  # rows of a file may stand in any order
    row = order[np.minimum(np.searchsorted(event.hit_id, hits, sorter=order), len(order) - 1)]
    known = np.array_equal(event.hit_id[row], hits)
    if not known or not np.array_equal(event.pid[row], graph.pid.numpy()):
        raise InputError(
            f"{event.name}: its measurements aren't those of its graph; allowed: events that haven't changed"
        )


def found_by_acts(name: str, events: Sequence[ActsEvent], field: float) -> FurtherTracks:
    """Tracks of one of Acts' algorithms on events.

    Raises
    ------
    InputError
        Acts ends with an error.
    """
    found = run_chain(name.removeprefix(PREFIX), field, [event.measurements for event in events])
    tracks, shared = zip(
        *(_tracks(event.event, of_event) for event, of_event in zip(events, found, strict=True)), strict=True
    )
    notes = [f"{name}: finds tracks of all hits of an event, also of those that the cuts of graphs remove"]
    if total := sum(shared):
        notes.append(f"{name}: {total:,} hits are of several of its tracks; they count for the longest")
    seconds = [of_event.seconds for of_event in found]
    return FurtherTracks(name, f"{PACKAGE} {version(PACKAGE)}", tracks, seconds, tuple(notes))


def _tracks(event: Event, found: FoundByActs) -> tuple[EventTracks, int]:
    """Labels of all hits beside the truth, and the number of hits that several tracks have."""
    labels = np.full(len(event.hit_id), -1, dtype=np.int64)
    size = np.bincount(found.track)
    order = np.lexsort((-found.track, size[found.track]))  # later ones replace earlier ones
    labels[found.hit[order]] = found.track[order]
    shared = int((np.unique(found.hit, return_counts=True)[1] > 1).sum())
    return replace(true_hits(event), labels=labels), shared


def true_hits(event: Event) -> EventTracks:
    """The truth of all hits of an event, of which none is in a track."""
    fields = event.particle_fields()
    particle, table = fields["particle_index"] - 1, fields["particles"][1:]
    labels = np.full(len(event.hit_id), -1, dtype=np.int64)
    hits = table[:, _HITS].round().astype(np.int64)
    pt, eta, vr, phi, z = table[:, _KINEMATIC].T
    of_hits = (event.name, labels, particle, event.weight)
    return EventTracks(*of_hits, hits, table[:, _WEIGHT], pt, eta, vr, phi=phi, z=z, pos=event.pos)
