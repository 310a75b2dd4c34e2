"""Test events for all models, each in its own scales; none that a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.copies import known_events
from archioptrx.data.dataset import EVENTS, Dataset, Metadata
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.kinds import other_kind
from archioptrx.data.options import OF, description
from archioptrx.data.options.building import Cuts
from archioptrx.data.sources import check_spec, load_dataset, with_path
from archioptrx.data.storage.graph_views import facts_of, taken
from archioptrx.models.events import ModelData, events_for, own_splits, warn_of_kind
from archioptrx.models.model_folder import Provenance, TrainedModel
from archioptrx.report.comparison.models import LoadedModel
from archioptrx.report.comparison.units import events_of


@dataclass(frozen=True, eq=False)
class ModelEvents:
    """Events as the input of one model.

    Attributes
    ----------
    graphs
        Graphs in the scales of this model.
    whole
        True: the events are whole; see `events_for`.
    metadata
        Metadata of the events, whose signal says which particles count.
    same
        True: the graphs have the hits and edges of the first model's graphs, in the same order.
    """

    graphs: Sequence[HitGraph]
    whole: bool
    metadata: Metadata
    same: bool


def views_of(
    contestants: Sequence[LoadedModel], host: LoadedModel, path: str | None
) -> tuple[list[ModelEvents], list[str]]:
    """Events for each model, and notes for the reader.

    Parameters
    ----------
    host
        Model whose test events are used where there is no path.

    Raises
    ------
    InputError
        There are no events that all models can read, or a model was trained on some of them.
    """
    notes: list[str] = []
    data = events_for(host.model, path, notes.append)
    faults: list[str] = []
    views = []
    for loaded in contestants:
        try:
            notes += _unseen(loaded, host, data.graphs, path)
            if _fits(loaded.model, host.model):  # others get graphs of their own kind
                warn_of_kind(
                    f"{loaded.name}: training data of {host.name}",
                    loaded.model.metadata,
                    host.model.metadata,
                    notes.append,
                )
            view = ModelEvents(*data, same=True) if loaded is host else _view(loaded, host, data, path)
            if differences := other_kind(data.metadata, view.metadata, host.name):
                notes.append(f"{loaded.name}: its graphs are of another kind than those of {host.name}: {differences}")
            views.append(view)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return views, notes


def _unseen(loaded: LoadedModel, host: LoadedModel, graphs: Sequence[HitGraph], path: str | None) -> list[str]:
    """Raise InputError for events that a model was trained or validated on; notes where that is unknown."""
    provenance, host_provenance = loaded.model.provenance, host.model.provenance
    if path is None and _same_split(provenance, host_provenance):
        return []
    try:
        splits = own_splits(loaded.model)
    except InputError:
        return [f"{loaded.name}: its training events can no longer be read; it may have been trained on these events"]
    host_data = host_provenance.data if path is None else host_provenance.data.at(path)
    origin = _origin(provenance.data.content) == _origin(host_data.content)
    used = [*splits.train, *splits.validation]
    names = {*known_events(graphs, used), *(events_of(used) if origin else ())}
    if trained_on := [name for name in events_of(graphs) if name in names]:
        examples = ", ".join(trained_on[:3]) + (", …" if len(trained_on) > 3 else "")
        whose = f"test events of {host.name}" if path is None else f"events in {path}"
        raise InputError(
            f"{loaded.name}: was trained on {len(trained_on)} of the {len(events_of(graphs))} {whose} ({examples}); "
            "allowed: --data PATH of events that no model was trained on"
        )
    return []


def _same_split(first: Provenance, second: Provenance) -> bool:
    """Whether two models were trained on the same events."""
    splits = ({"by": EVENTS, **provenance.split} for provenance in (first, second))  # older folders don't have `by`
    return (first.fingerprint, next(splits), first.test) == (second.fingerprint, next(splits), second.test)


def _origin(data: Mapping[str, Any]) -> tuple[Any, ...]:
    """Key of a data set: where two agree, events of one name are the same event, however their graphs are built."""
    if OF in data:
        return _origin(description(data[OF]))
    if data.get("source") == "trackml":
        return ("trackml",)  # events of the challenge have names of their own
    return (data.get("source"), data.get("path"), data.get("seed", 0))


def _view(loaded: LoadedModel, host: LoadedModel, data: ModelData, path: str | None) -> ModelEvents:
    """Graphs of the host in a model's scales, or graphs of the same events where it needs another kind."""
    graphs = data.graphs
    if fits := _fits(loaded.model, host.model):
        if fault := loaded.model.task.data_fault(graphs[0]):
            raise InputError(f"{loaded.name}: {fault}")
        scaled = Dataset(graphs, host.model.metadata).scaled_like(loaded.model.metadata).graphs
        return ModelEvents(scaled, data.whole, data.metadata, same=True)
    if not data.whole:  # the model's graphs would be of whole events, with other particles
        raise InputError(
            f"{loaded.name}: needs other graphs than {host.name}, whose test events are sectors of events; "
            "allowed: --data PATH"
        )
    own = _built(loaded, host, path)
    event_rank = {name: rank for rank, name in enumerate(events_of(graphs))}
    names = [facts.event for facts in facts_of(own.graphs)]
    # In the host's order of events: resamples are paired by it.
    places = sorted((k for k, name in enumerate(names) if name in event_rank), key=lambda k: event_rank[names[k]])
    if not places:
        raise InputError(
            f"{loaded.name}: needs other graphs than {host.name}, without data of the same events; allowed: --data PATH"
        )
    if lacking := set(event_rank) - set(events_of(taken(own.graphs, places))):
        raise InputError(
            f"{loaded.name}: {len(lacking)} of the {len(event_rank)} events give no graph for it, "
            f"e.g. {sorted(lacking)[0]}"
        )
    return ModelEvents(taken(own.graphs, places), True, own.metadata, fits)


def _fits(model: TrainedModel, host: TrainedModel) -> bool:
    """Whether a model can use the host's graphs: columns, sectors and cuts agree."""
    metadata, host_metadata = model.metadata, host.metadata
    names = ("node_features", "edge_features", "triplet_features", "sectors", "embedding")
    if any(getattr(metadata, name) != getattr(host_metadata, name) for name in names):
        return False
    built, host_built = _building(model.provenance.data.content), _building(host.provenance.data.content)
    return not built or not host_built or built == host_built


def _building(data: Mapping[str, Any]) -> dict[str, Any]:
    """Options by which graphs are built; empty where the files hold finished graphs."""
    if OF in data:
        building_options = {key: value for key, value in data.items() if key != OF}
        return {**building_options, OF: _building(description(data[OF]))}
    faults: list[str] = []
    options = check_spec(data, "data", faults)
    if faults or not isinstance(options, Cuts):
        return {}
    return {field.name: getattr(options, field.name) for field in fields(Cuts) if field.name != "preset"}


def _built(loaded: LoadedModel, host: LoadedModel, path: str | None) -> Dataset:
    """Data of the host, or of a path, with graphs built as for the training of a model."""
    host_data, own_data = host.model.provenance.data.content, loaded.model.provenance.data.content
    where = path or _path(host_data)
    if where is None and own_data.get("source") == host_data.get("source"):
        simulated = {key: value for key, value in host_data.items() if key not in Cuts.__annotations__}
        built = {key: value for key, value in own_data.items() if key in Cuts.__annotations__}
        return load_dataset({**simulated, **built}, like=loaded.model.metadata)
    if where is None:
        raise InputError(
            f"{loaded.name}: reads other columns, sectors or cuts than the graphs of {host.name}; allowed: --data PATH"
        )
    return load_dataset(with_path(own_data, where), like=loaded.model.metadata)


def _path(data: Mapping[str, Any]) -> str | None:
    return _path(description(data[OF])) if OF in data else data.get("path")


def row_order(first: Sequence[HitGraph], second: Sequence[HitGraph]) -> NDArray[np.int64] | None:
    """Place of each edge of the first graphs among the edges of the second ones; None: the edges are different.

    An edge is identified by its event and the hit ids of its ends; truth has to agree. Shapes: -> int64 [E] over all
    graphs.
    """
    events = {name: place for place, name in enumerate(events_of(first))}
    if set(events) != set(events_of(second)):
        return None
    first_keys, second_keys = _keys(first, events), _keys(second, events)
    if first_keys.shape != second_keys.shape:
        return None
    # Sorting both by their keys pairs the k-th of one list with the k-th of the other.
    first_order, second_order = np.lexsort(first_keys), np.lexsort(second_keys)
    if not np.array_equal(first_keys[:, first_order], second_keys[:, second_order]):
        return None
    order = np.empty(len(first_order), dtype=np.int64)
    order[first_order] = second_order
    return order


def _keys(graphs: Sequence[HitGraph], events: Mapping[str, int]) -> NDArray[np.int64]:
    """Event, hits and truth of each edge. Shapes: -> [4, E]."""
    keys = []
    for graph in graphs:
        inner, outer = graph.hit_id[graph.edge_index].numpy()
        keys.append(np.stack([np.full(len(inner), events[graph.event]), inner, outer, graph.y.numpy() > 0.5]))
    return np.concatenate(keys, axis=1).astype(np.int64) if keys else np.zeros((4, 0), np.int64)
