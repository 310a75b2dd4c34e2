"""The same events for all models, each in its own scales, and none that a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset
from archioptrx.data.hitgraph import HitGraph, content_digest
from archioptrx.data.options import OF, description
from archioptrx.data.options.building import Cuts
from archioptrx.data.sources import check_spec, load_dataset, with_path
from archioptrx.data.storage.graph_views import facts_of, taken
from archioptrx.models.events import events_for, own_splits
from archioptrx.models.model_folder import Provenance, TrainedModel
from archioptrx.report.comparison.models import Contestant
from archioptrx.report.comparison.units import events_of


@dataclass(frozen=True, eq=False)
class ModelEvents:
    """The events as one model sees them.

    Attributes
    ----------
    graphs
        In its scales.
    whole
        Whether the events are whole; see `events_for`.
    same
        Whether the graphs have the hits and edges of the first model's, in the same order.
    """

    graphs: Sequence[HitGraph]
    whole: bool
    same: bool


def views_of(
    contestants: Sequence[Contestant], host: Contestant, path: str | None
) -> tuple[list[ModelEvents], list[str]]:
    """The events for each model, and what should be said of them.

    Parameters
    ----------
    host
        Whose test events they are, where there is no path.

    Raises
    ------
    InputError
        There are none that all can read, or one was trained on some of them.
    """
    graphs, whole = events_for(host.model, path)
    notes: list[str] = []
    faults: list[str] = []
    views = []
    for one in contestants:
        try:
            notes += _unseen(one, host, graphs, path)
            views.append(
                ModelEvents(graphs, whole, same=True) if one is host else _view(one, host, graphs, whole, path)
            )
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return views, notes


def _unseen(one: Contestant, host: Contestant, graphs: Sequence[HitGraph], path: str | None) -> list[str]:
    """Refuse events that a model was trained on, or validated; notes where that can't be known."""
    mine, its = one.model.provenance, host.model.provenance
    if path is None and _same_split(mine, its):
        return []
    try:
        splits = own_splits(one.model)
    except InputError:
        return [f"{one.name}: its training events can't be read any more; whether it knows these events is unknown"]
    origin = _origin(mine.data) == _origin(its.data if path is None else with_path(its.data, path))
    known = [*splits.train, *splits.validation]
    digests = {content_digest(graph) for graph in known} - {None}
    names = set(events_of(known)) if origin else set()
    seen = [graph.event for graph in graphs if graph.event in names or content_digest(graph) in digests]
    seen = list(dict.fromkeys(seen))
    if seen:
        some = ", ".join(seen[:3]) + (", …" if len(seen) > 3 else "")
        whose = f"test events of {host.name}" if path is None else f"events in {path}"
        raise InputError(
            f"{one.name}: was trained on {len(seen)} of the {len(events_of(graphs))} {whose} ({some}); "
            "allowed: --data PATH of events that no model was trained on"
        )
    return []


def _same_split(mine: Provenance, its: Provenance) -> bool:
    """Whether two models were trained on the same events."""
    return (mine.fingerprint, dict(mine.split), mine.test) == (its.fingerprint, dict(its.split), its.test)


def _origin(data: Mapping[str, Any]) -> tuple[Any, ...]:
    """What data sets share in which events of one name are the same event, however their graphs are built."""
    if OF in data:
        return _origin(description(data[OF]))
    if data.get("source") == "trackml":
        return ("trackml",)  # events of the challenge have names of their own
    return (data.get("source"), data.get("path"), data.get("seed", 0))


def _view(one: Contestant, host: Contestant, graphs: Sequence[HitGraph], whole: bool, path: str | None) -> ModelEvents:
    """The host's graphs in a model's scales; where it needs graphs of another kind, those of the same events."""
    if fits := _fits(one.model, host.model):
        if fault := one.model.task.data_fault(graphs[0]):
            raise InputError(f"{one.name}: {fault}")
        return ModelEvents(
            Dataset(graphs, host.model.metadata).scaled_like(one.model.metadata).graphs, whole, same=True
        )
    own = _built(one, host, path)
    wanted = {name: rank for rank, name in enumerate(events_of(graphs))}
    names = [facts.event for facts in facts_of(own.graphs)]
    # In the host's order of events: resamples are paired by it.
    places = sorted((k for k, name in enumerate(names) if name in wanted), key=lambda k: wanted[names[k]])
    if not places:
        raise InputError(f"{one.name}: needs graphs of another kind than {host.name}, and none has the same events")
    if lacking := set(wanted) - set(events_of(taken(own.graphs, places))):
        raise InputError(
            f"{one.name}: {len(lacking)} of the {len(wanted)} events give it no graph: {sorted(lacking)[0]}"
        )
    return ModelEvents(taken(own.graphs, places), True, fits)


def _fits(model: TrainedModel, host: TrainedModel) -> bool:
    """Whether a model can see the host's graphs as they are: columns, sectors and cuts agree."""
    mine, its = model.metadata, host.metadata
    names = ("node_features", "edge_features", "triplet_features", "sectors", "embedding")
    if any(getattr(mine, name) != getattr(its, name) for name in names):
        return False
    built, given = _building(model.provenance.data), _building(host.provenance.data)
    return not built or not given or built == given


def _building(data: Mapping[str, Any]) -> dict[str, Any]:
    """How graphs are built; empty where the files hold them ready."""
    if OF in data:
        rest = {key: value for key, value in data.items() if key != OF}
        return {**rest, OF: _building(description(data[OF]))}
    faults: list[str] = []
    options = check_spec(data, "data", faults)
    if faults or not isinstance(options, Cuts):
        return {}
    return {field.name: getattr(options, field.name) for field in fields(Cuts) if field.name != "preset"}


def _built(one: Contestant, host: Contestant, path: str | None) -> Dataset:
    """The host's data, or those of a path, as the graphs that a model was trained on were built."""
    where = path or _path(host.model.provenance.data)
    mine = one.model.provenance.data
    if where is None and (mine.get("source") == host.model.provenance.data.get("source")):
        simulated = {key: value for key, value in host.model.provenance.data.items() if key not in Cuts.__annotations__}
        built = {key: value for key, value in mine.items() if key in Cuts.__annotations__}
        return load_dataset({**simulated, **built}, like=one.model.metadata)
    if where is None:
        raise InputError(
            f"{one.name}: reads other columns, sectors or cuts than the graphs of {host.name}; allowed: --data PATH"
        )
    return load_dataset(with_path(mine, where), like=one.model.metadata)


def _path(data: Mapping[str, Any]) -> str | None:
    return _path(description(data[OF])) if OF in data else data.get("path")


def row_order(mine: Sequence[HitGraph], other: Sequence[HitGraph]) -> NDArray[np.int64] | None:
    """Where each of my edges stands among those of other graphs of the same events; None: they have other edges.

    Edges are told by event and the hit ids of their ends; truth has to agree. Shapes: -> int64 [E] over all graphs.
    """
    events = {name: place for place, name in enumerate(events_of(mine))}
    if set(events) != set(events_of(other)):
        return None
    one, two = _keys(mine, events), _keys(other, events)
    if one.shape != two.shape:
        return None
    first, second = np.lexsort(one), np.lexsort(two)
    if not np.array_equal(one[:, first], two[:, second]):
        return None
    order = np.empty(len(first), dtype=np.int64)
    order[first] = second
    return order


def _keys(graphs: Sequence[HitGraph], events: Mapping[str, int]) -> NDArray[np.int64]:
    """Event, hits and truth of each edge. Shapes: -> [4, E]."""
    keys = []
    for graph in graphs:
        inner, outer = graph.hit_id[graph.edge_index].numpy()
        keys.append(np.stack([np.full(len(inner), events[graph.event]), inner, outer, graph.y.numpy() > 0.5]))
    return np.concatenate(keys, axis=1).astype(np.int64) if keys else np.zeros((4, 0), np.int64)
