"""Tracks from a network's outputs, joined by event, and their scores.

Tracks are found graph by graph; an event's graphs are joined by hit id. A track that crosses from one sector to another
is therefore found in two parts, or not at all. Where sectors overlap, a hit is in two graphs and belongs to the longer
of the two tracks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from archioptrx.data.event import PARTICLE_COLUMNS
from archioptrx.data.hit_signal import lacking
from archioptrx.data.hitgraph import CHAIN_HIT_FIELDS, PARTICLE_FIELDS, HitGraph
from archioptrx.data.signal import Signal
from archioptrx.tasks.several import parts_of
from archioptrx.tasks.task import Task
from archioptrx.tasks.tracks.finding import apart
from archioptrx.tasks.tracks.metrics import EventTracks, Floats, Ints, Selection, track_metrics

_HITS, _WEIGHT = (PARTICLE_COLUMNS.index(name) for name in ("hits", "weight"))
_KINEMATIC = [PARTICLE_COLUMNS.index(name) for name in ("pt", "η", "vr", "φ", "z0")]

_OF_HIT = dict(zip(CHAIN_HIT_FIELDS, ("hit_id", "pid", "pt", "hit_weight", "z", "r"), strict=True))
"""Fields of the table of a line graph's hits, under the names that they have for the nodes of a plain graph."""


def track_scores(
    task: Task,
    outputs: Sequence[Any],
    graphs: Sequence[HitGraph],
    selection: Selection | None = None,
    bins: bool = False,
    whole: bool = True,
) -> dict[str, Any]:
    """Find the tracks and score them.

    Parameters
    ----------
    outputs, graphs
        One output per graph or batch, as for `Task.metrics`.
    selection, bins
        See `track_metrics`.
    whole
        See `event_tracks`.

    Returns
    -------
    Result of `track_metrics`. Empty where the task makes no tracks, or the data lack the particles of hits.
    """
    events = events_of_task(task, outputs, graphs, whole)
    return track_metrics(events, selection, bins, task.name) if events else {}


def events_of_task(
    task: Task, outputs: Sequence[Any], graphs: Sequence[HitGraph], whole: bool = True
) -> list[EventTracks]:
    """The tracks that a task makes; none where it makes no tracks, or the data don't say whose a hit is."""
    labels = labels_of_task(task, outputs, graphs)
    return event_tracks(graphs, labels, whole) if labels else []


def labels_of_task(task: Task, outputs: Sequence[Any], graphs: Sequence[HitGraph]) -> list[Tensor]:
    """Track of each hit of each graph that a task makes; none where `events_of_task` has none."""
    if not len(graphs) or graphs[0].get("pid") is None:
        return []
    labels = [task.tracks(output, graph) for output, graph in zip(outputs, graphs, strict=True)]
    labelled = [graph_labels for graph_labels in labels if graph_labels is not None]
    return labelled if len(labelled) == len(labels) else []


def track_numbers(
    task: Task,
    outputs: Sequence[Any],
    graphs: Sequence[HitGraph],
    selection: Selection | None = None,
    whole: bool = True,
) -> dict[str, Any]:
    """The numbers of `track_scores`, without its lists and tables."""
    scores = track_scores(task, outputs, graphs, selection, whole=whole)
    return {name: value for name, value in scores.items() if not isinstance(value, list | dict)}


def signal_selection(graphs: Sequence[HitGraph], options: Mapping[str, Any]) -> Selection:
    """The signal by which the tracks of events are judged; all particles where `lacking_signal` names a quantity.

    Parameters
    ----------
    graphs, options
        The events, and the options of their own data set.
    """
    return Selection.of_signal({} if lacking_signal(graphs, options) else options)


def lacking_signal(graphs: Sequence[HitGraph], options: Mapping[str, Any]) -> str:
    """Names of the quantities that the signal limits and the events lack; empty where they lack none."""
    return lacking(graphs[0], Signal.of_options(options)) if len(graphs) else ""


def makes_tracks(task: Task) -> bool:
    """Whether one of a task's targets may make tracks."""
    return any(type(part).tracks is not Task.tracks for part in parts_of(task))


def event_tracks(graphs: Sequence[HitGraph], labels: Sequence[Tensor], whole: bool = True) -> list[EventTracks]:
    """Bring the tracks of each event's graphs together, beside the truth.

    Parameters
    ----------
    graphs, labels
        Graphs or batches with `pid`, and the track of each hit, -1 for none. In a line graph a node is a chain of
        hits, and its label that of all of them: a hit of several goes with the longest track. Particles, weights and
        the hits of no chain come from its table of hits (`chain_hit_id` …). Without one, only the hits of chains
        count, and each is noise unless one of its true chains says otherwise.
    whole
        True: the graphs hold their events whole (whatever was cut away from them), so that `particles` gives the number
        of hits of a particle. If not, as where an event is divided into training and test sectors, or where there is no
        such table, particles have the hits that are given.

    Returns
    -------
    One for each event, in the order of their first graphs. Without `hit_weight` each hit of a particle weighs 1.
    """
    return [_event(name, parts, whole) for name, parts in _by_event(graphs, labels).items()]


def _by_event(graphs: Sequence[HitGraph], labels: Sequence[Tensor]) -> dict[str, list[_Part]]:
    """Graphs of each event, by its name."""
    events: dict[str, list[_Part]] = {}
    for graph, graph_labels in zip(graphs, labels, strict=True):
        for part in _parts(graph, graph_labels.cpu().numpy()):
            events.setdefault(part.event, []).append(part)
    return events


def hit_labels(graphs: Sequence[HitGraph], labels: Sequence[Tensor]) -> tuple[Ints, Ints]:
    """Track of each hit that is in a graph of an event, with or without truth.

    Shapes: labels [N] of each graph -> hit ids, each once, and their tracks, -1 for none, both int64 [hits].
    """
    parts = [part for of_event in _by_event(graphs, labels).values() for part in of_event]
    return _labels_of(parts)


def labels_of_events(graphs: Sequence[HitGraph], labels: Sequence[Tensor]) -> dict[str, tuple[Ints, Ints]]:
    """Hit ids of each event and their tracks, as `hit_labels` gives them, by the event's name."""
    return {name: _labels_of(parts) for name, parts in _by_event(graphs, labels).items()}


def _labels_of(parts: Sequence[_Part]) -> tuple[Ints, Ints]:
    joined, ids = apart([part.labels for part in parts]), np.concatenate([part.hit_id for part in parts])
    rows = _once(ids, np.zeros(len(ids)), joined)
    return ids[rows], joined[rows]


@dataclass(frozen=True, eq=False)
class _Part:
    """Hits of one graph.

    Attributes
    ----------
    hit_id, z : [N]
        Together they name a hit: where ids are only rows of a sector's file, z (in mm) tells hits apart.
    weight, pt : [N] or None
        Weight and pt of each hit; None where the graph lacks them.
    pos : [N, 3] or None
        Place of each hit, mm; None where the graph lacks them, as a line graph does.
    table : int64 [P], float64 [P, 8], or None
        Ids of the particles, and their rows.
    """

    event: str
    hit_id: Ints
    z: Floats
    labels: Ints
    pid: Ints
    weight: Floats | None
    pt: Floats | None
    pos: Floats | None
    table: tuple[Ints, Floats] | None


def _parts(graph: HitGraph, labels: Ints) -> Iterator[_Part]:
    """The graphs of a batch, or the one."""
    single = graph.get("ptr") is None
    ends = [0, len(graph.x)] if single else graph.ptr.tolist()
    nodes = _arrays(graph, ("hit_id", "pid", "pt", "hit_weight", "chain", "pos")) | {"labels": labels}
    particles, chain_hits = _arrays(graph, PARTICLE_FIELDS), _arrays(graph, CHAIN_HIT_FIELDS)
    for number in range(len(ends) - 1):
        mine = {key: values[ends[number] : ends[number + 1]] for key, values in nodes.items()}
        if "pos" in mine:
            mine["z"] = mine["pos"][:, 2]
        if "chain" in mine:
            mine = _hits_of_chains(mine, _of_graph(chain_hits, graph, "chain_hit_batch", number))
        table = _of_graph(particles, graph, "particle_batch", number)
        yield _Part(
            event=graph.event if single else graph.event[number],
            hit_id=mine["hit_id"],
            z=mine["z"] if "z" in mine else np.zeros(len(mine["hit_id"])),
            labels=mine["labels"],
            pid=mine.get("pid", np.zeros(len(mine["labels"]), dtype=np.int64)),
            weight=mine["hit_weight"].astype(np.float64) if "hit_weight" in mine else None,
            pt=mine["pt"].astype(np.float64) if "pt" in mine else None,
            pos=mine["pos"].astype(np.float64) if "pos" in mine else None,
            table=(table["particle_id"], table["particles"].astype(np.float64)) if len(table) == 2 else None,
        )


def _arrays(graph: HitGraph, fields: Sequence[str]) -> dict[str, Any]:
    """The fields that a graph has, as arrays."""
    return {key: graph[key].cpu().numpy() for key in fields if graph.get(key) is not None}


def _of_graph(table: dict[str, Any], batch: HitGraph, owner: str, number: int) -> dict[str, Any]:
    """Rows of a table that belong to one graph of a batch; all of them where the batch is one graph.

    Parameters
    ----------
    owner
        Field with the graph of each row.
    """
    if not table or batch.get("ptr") is None:
        return table
    mine = batch[owner].cpu().numpy() == number
    return {key: values[mine] for key, values in table.items()}


def _hits_of_chains(nodes: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """Fields of the hits of a line graph: label of the longest track, and what the table says of the hits.

    Parameters
    ----------
    nodes
        Fields of the nodes of one graph.
    table
        Its `CHAIN_HIT_FIELDS`. Where it is empty, particle and pT of a hit are those of its true chains.
    """
    of_chains = _hits_of_true_chains(nodes)
    if not table:
        return of_chains
    order = np.argsort(table["chain_hit_id"])
    row = order[np.searchsorted(table["chain_hit_id"], of_chains["hit_id"], sorter=order)]
    labels = np.full(len(order), -1, dtype=np.int64)
    labels[row] = of_chains["labels"]
    return {_OF_HIT[key]: values for key, values in table.items()} | {"labels": labels}


def _hits_of_true_chains(nodes: dict[str, Any]) -> dict[str, Any]:
    """Fields of the hits of chains, each once: label of the longest track, particle and pT of the true chains."""
    chain = nodes["chain"]
    names, place = np.unique(chain, return_inverse=True)
    hit, node = place.ravel(), np.repeat(np.arange(len(chain)), chain.shape[1])
    labels = nodes["labels"]
    size = np.where(labels < 0, 0, np.bincount(labels[labels >= 0], minlength=labels.max(initial=-1) + 2)[labels])
    longest = np.lexsort((labels[node], -size[node], hit))
    first = longest[np.flatnonzero(np.diff(hit[longest], prepend=-1))]
    hits_of = {"hit_id": names, "labels": labels[node[first]], "pid": np.zeros(len(names), dtype=np.int64)}
    true = nodes["pid"][node] != 0 if "pid" in nodes else np.zeros(len(node), dtype=np.bool_)
    for key in ("pid", "pt"):
        if key in nodes:
            hits_of[key] = np.zeros(len(names), dtype=nodes[key].dtype)
            hits_of[key][hit[true]] = nodes[key][node[true]]
    return hits_of


def _event(name: str, parts: list[_Part], whole: bool) -> EventTracks:
    """Join the graphs of one event."""
    labels = apart([part.labels for part in parts])
    rows = _once(np.concatenate([part.hit_id for part in parts]), np.concatenate([part.z for part in parts]), labels)

    def column(key: str) -> Floats | None:
        values = [getattr(part, key) for part in parts]
        return None if any(column is None for column in values) else np.concatenate(values)[rows]

    pid, table = np.concatenate([part.pid for part in parts])[rows], parts[0].table
    ids = np.unique(pid[pid != 0]) if table is None else table[0][1:]
    particle = np.where(pid == 0, -1, np.searchsorted(ids, pid))
    own, real = particle[particle >= 0], particle >= 0
    weighed, pt = column("weight"), column("pt")
    weight = np.where(real, 1.0 if weighed is None else weighed, 0.0)
    hits = np.bincount(own, minlength=len(ids)).astype(np.int64)
    weights = np.bincount(own, weight[real], len(ids)).astype(np.float64)
    quantities = np.full((len(_KINEMATIC), len(ids)), np.nan)
    numbers_of_hits = None
    if table is not None:
        quantities = table[1][1:, _KINEMATIC].T
        numbers_of_hits = table[1][1:, _HITS].round().astype(np.int64)
        if whole:
            hits = numbers_of_hits
            weights = hits.astype(np.float64) if weighed is None else table[1][1:, _WEIGHT]
    elif pt is not None:
        quantities[0, own] = pt[real]
    pt_of, eta, vr, phi, z = quantities
    of_hits = (name, labels[rows], particle, weight)
    return EventTracks(*of_hits, hits, weights, pt_of, eta, vr, numbers_of_hits, phi, z, column("pos"))


def _once(hit_id: Ints, z: Floats, labels: Ints) -> Ints:
    """Row of each hit, in order; of a hit that stands twice the row with the longer track."""
    size = np.append(np.bincount(labels[labels >= 0], minlength=labels.max(initial=-1) + 1), 0)[labels]
    order = np.lexsort((-size, z, hit_id))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(hit_id[order]) != 0) | (np.diff(z[order]) != 0)
    return np.sort(order[new])
