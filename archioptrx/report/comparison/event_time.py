"""Time in which a model finds the tracks of an event, stage by stage, on one thread.

graph building   graphs from the hits of the event
network          forward pass
track building   scores to tracks, without the two below
completion       hits that geometry adds to tracks
helix fit        cut on its quality, where the task asks for it (`chi2_max`)
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Metadata
from archioptrx.data.description import DataDescription
from archioptrx.data.event import Event
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.hitgraph import HitGraph, batch_graphs
from archioptrx.data.options.building import Cuts
from archioptrx.models.model_folder import TrainedModel
from archioptrx.tasks.tracks.stages import measured_stages
from archioptrx.training.fit import predict

BUILDING, NETWORK, TRACKS = "graph building", "network", "track building"


def seconds_of_events(
    model: TrainedModel, graphs: Sequence[HitGraph], events: Sequence[Event]
) -> list[dict[str, float]] | None:
    """Seconds of the process for each stage of each event.

    None where graphs aren't built of hits alone (by a network, of edges).

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
        _find(model, events[0], of_event[0], cuts, metadata)
        return [_find(model, event, own, cuts, metadata) for event, own in zip(events, of_event, strict=True)]
    finally:
        torch.set_num_threads(before)
        model.model.to(device)


def _cuts(data: DataDescription) -> Cuts | None:
    """Cuts by which graphs are built; None: they are read as they are, or the description can't be checked here."""
    try:
        return data.options if isinstance(data.options, Cuts) else None
    except InputError:
        return None


def _find(
    model: TrainedModel, event: Event, graphs: Sequence[HitGraph], cuts: Cuts, metadata: Metadata
) -> dict[str, float]:
    """All steps from hits to tracks: time of the process for each, of work alone, not of waiting for a processor."""
    begin = time.process_time()
    build(event, cuts, metadata)
    ends = [time.process_time()]
    outputs = [predict(model.model, [batch_graphs([graph])])[0] for graph in graphs]
    ends.append(time.process_time())
    with measured_stages() as later:
        for output, graph in zip(outputs, graphs, strict=True):
            model.task.tracks(output, graph)
    ends.append(time.process_time())
    building, network, tracks = (end - start for start, end in zip([begin, *ends], ends, strict=False))
    return {BUILDING: building, NETWORK: network, TRACKS: tracks - sum(later.values()), **later}
