"""Time in which a model finds the tracks of an event: building of its graphs, network, tracks; on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Metadata
from archioptrx.data.description import DataDescription
from archioptrx.data.event import Event
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.hitgraph import HitGraph, batch_graphs
from archioptrx.data.options.building import Cuts
from archioptrx.models.model_folder import TrainedModel
from archioptrx.training.fit import predict


def seconds_of_events(model: TrainedModel, graphs: Sequence[HitGraph], events: Sequence[Event]) -> list[float] | None:
    """Seconds of the process for each event; None where graphs aren't built of hits alone (by a network, of edges).

    Reading files isn't counted, as it isn't for other algorithms. What a first pass prepares is done before.

    Parameters
    ----------
    model
        Model, whose data say how its graphs are built.
    graphs
        Graphs of the events in the model's scales.
    events
        The events, each with its graphs.
    """
    data = model.provenance.data.made_by(model.metadata)
    cuts = None if data.inner is not None else _cuts(data)
    if cuts is None:
        return None
    metadata = building_metadata(model.metadata.source, cuts, {})
    of_event = [[graph for graph in graphs if graph.event == event.name] for event in events]
    before, device = torch.get_num_threads(), next(model.model.parameters()).device
    torch.set_num_threads(1)
    try:
        model.model.cpu()
        _seconds(lambda: _find(model, events[0], of_event[0], cuts, metadata))
        return [
            _seconds(lambda event=event, own=own: _find(model, event, own, cuts, metadata))  # type: ignore[misc]
            for event, own in zip(events, of_event, strict=True)
        ]
    finally:
        torch.set_num_threads(before)
        model.model.to(device)


def _cuts(data: DataDescription) -> Cuts | None:
    """Cuts by which graphs are built; None: they are read as they are, or the description can't be checked here."""
    try:
        return data.options if isinstance(data.options, Cuts) else None
    except InputError:
        return None


def _find(model: TrainedModel, event: Event, graphs: Sequence[HitGraph], cuts: Cuts, metadata: Metadata) -> None:
    """All steps from hits to tracks."""
    build(event, cuts, metadata)
    for graph in graphs:
        output = predict(model.model, [batch_graphs([graph])])[0]
        model.task.tracks(output, graph)


def _seconds(act: Callable[[], None]) -> float:
    """Time of the process for a call: of work alone, not of waiting for a processor."""
    start = time.process_time()
    act()
    return time.process_time() - start
