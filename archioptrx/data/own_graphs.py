"""Graphs of a user's own source: they need not come from `make_graph`, and keep the same rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, Metadata, completed, is_guarded, scaled_edge_features
from archioptrx.data.guard import Arrays, guarded
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.repairs import collected, note, say
from archioptrx.data.same_fields import fault_of
from archioptrx.data.storage.graph_views import Graphs, facts_of

EDGE_REPAIRS = ("joined_edges", "own_edges", "turned_edges")
"""Repairs after which features of edges are computed anew."""


def checked(source: str, dataset: Dataset) -> Dataset:
    """The data set of a user's source with guarded graphs.

    Raises
    ------
    InputError
        Graphs break the contract, or have no names of their own; one line for each fault.
    """
    place, names = f"data source {source}", Counter((facts.event, facts.sector) for facts in facts_of(dataset.graphs))
    if not names:
        raise InputError(f"{place}: gave no graph; allowed: one or more")
    (event, sector), often = names.most_common(1)[0]
    if often > 1:
        raise InputError(f"{place}: {often} graphs are called {event} sector {sector}; allowed: names of their own")
    if isinstance(dataset.graphs, Graphs):  # built by `stream`, which has guarded them
        return dataset
    with collected() as repairs:
        graphs = guarded_graphs(dataset.graphs, dataset.metadata, place)
    say(source, repairs)
    if (fault := fault_of(graphs)) is not None:
        raise InputError(f"{place}: {fault}")
    return Dataset(graphs, dataset.metadata)


def guarded_graphs(graphs: Sequence[HitGraph], metadata: Metadata, place: str) -> tuple[HitGraph, ...]:
    """The same graphs, where those that `make_graph` didn't make are guarded; repairs are noted.

    Parameters
    ----------
    place
        Start of messages, before event and sector.

    Raises
    ------
    InputError
        Graphs break the contract; one line for each fault.
    """
    kept: list[HitGraph] = []
    for graph in graphs:
        if is_guarded(graph):
            kept.append(graph)
            continue
        try:
            kept.append(_guarded(graph, metadata))
        except InputError as error:
            where = f"{place}: {graph.get('event')} sector {graph.get('sector')}"
            raise InputError(*(f"{where}: {fault}" for fault in error.faults)) from error
    return tuple(kept)


def _guarded(graph: HitGraph, metadata: Metadata) -> HitGraph:
    """A complete graph of another's guarded arrays; its features of edges stay where its edges do."""
    arrays: Arrays = {name: value for name, value in graph.to_dict().items() if isinstance(value, Tensor)}
    content, repairs = guarded(arrays, metadata.node_scale, metadata.sectors, False, metadata.own_units)
    note(graph.event, repairs)
    content["x"] = np.ascontiguousarray(content["x"], dtype=np.float32)
    nodes = content["x"].astype(np.float64) * np.asarray(metadata.node_scale)
    width = len(metadata.edge_features)
    if "edge_attr" not in content or any(repairs.get(name) for name in EDGE_REPAIRS):
        try:
            content["edge_attr"] = scaled_edge_features(content, nodes, metadata)
        except ValueError as error:  # features of the source's own
            raise InputError(f"{error}; edges that stand once, outwards, keep the edge_attr that they have") from error
    elif content["edge_attr"].shape[1] != width:
        raise InputError(
            f"edge_attr has {content['edge_attr'].shape[1]} columns; allowed: {width}, as edge_features says"
        )
    return completed(content, nodes, graph.event, graph.sector, metadata.own_units)
