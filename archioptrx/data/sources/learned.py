"""Graphs from a learned embedding: the stage before a graph network, for any source whose hits have particles.

A small network (`archioptrx.data.sources.embedding`) gives each hit a place in a space where hits of one particle lie
together. The *predicted* graph joins hits within a radius there, the *loss* graph has the missed true edges too, and
with `loss_radius` the pairs within that radius:

    edge_index, y        predicted edges, from the inner to the outer hit; true: the two follow each other on the way of
                         one particle out from the beam line (with `truth: all`: both are of one particle)
    embedding            the place of each hit
    loss_index, y_loss   predicted edges, pairs within `loss_radius`, missed true edges; 1 where both hits are of one
                         particle, noise is none

Hits, features, particles and signal stay those of the other source: true edges of particles that are no signal are
masked. Its edges and their weights are left aside: they are about other edges.

*No leak.* The network is fitted once, on events drawn by the seed: at most `train_events`, at most half of all. Their
names stay with the data (`Metadata.fitted_on`), and `Dataset.split` makes them training events whatever its own seed
says: no validation or test event was seen. (With fewer than three events the data are split by sector, and that can't
be: the split says so.) The weights stay with the data too, and with every model that is trained on them: `evaluate` and
`predict` embed new events as the training events were.

*Counts* are those of `archioptrx.data.graph_construction`, those of a signal too, and `particle_edges`: edges between
any two hits of one particle. Their share is what the embedding strives for; that of the true edges stays low, for of
n (n - 1) / 2 edges among n hits of a particle, n - 1 are true. They are those of whole events: where an event is
divided into sectors, an edge that stands in several of them counts once, and true edges that cross from one to another
are true and not kept.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from archioptrx.core.errors import InputError
from archioptrx.core.printing import raw_stream
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.hit_signal import hits_of_signal
from archioptrx.data.hitgraph import CHAIN_HIT_FIELDS, NODE_FIELDS, PARTICLE_FIELDS, HitGraph
from archioptrx.data.options import SOURCES, LearnedOptions
from archioptrx.data.pairs import pair_keys, undirected
from archioptrx.data.sectors import EventNodes
from archioptrx.data.signal import passed_on
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.embedding import (
    Embedding,
    fit,
    inputs_of,
    near_pairs,
    one_thread,
    pairs_of_particles,
    true_pairs,
)
from archioptrx.data.sources.stream import Job, stream
from archioptrx.data.storage.graph_views import digests_of, facts_of, taken

KEPT = (*(name for name in NODE_FIELDS if name != "embedding"), *PARTICLE_FIELDS, *CHAIN_HIT_FIELDS)
FITTED = "embedding"
"""Key of the network in the metadata's options."""


@dataclass(frozen=True, eq=False)
class EmbeddingPlan:
    """Rules by which graphs are made.

    Attributes
    ----------
    inner, metadata
        Metadata of the other source's graphs and of the new ones.
    embedding
        Network from which hits get their places.
    neighbours
        Most neighbours of a hit.
    truth, loss_radius
        Options as in `LearnedOptions`.
    """

    inner: Metadata
    metadata: Metadata
    embedding: Embedding
    neighbours: int
    truth: str
    loss_radius: float | None


@SOURCES.registering("learned")
def load(options: LearnedOptions) -> Dataset:
    """Read the other source, fit the embedding or take that of a model, and make the graphs; with progress on stderr.

    Raises
    ------
    InputError
        The other source is wrong or has no particles.
    """
    inner = load_dataset(options.of, "data.of", like=options.like)
    if inner.graphs[0].get("pid") is None:
        raise InputError("data.of: has no particle of each hit (pid); allowed: a source that knows them")
    if options.like is None:
        chosen = events_to_fit(inner.events, options)
        places = [place for place, facts in enumerate(facts_of(inner.graphs)) if facts.event in chosen]
        embedding = _fitted(list(taken(inner.graphs, places)), inner.metadata, options)
    else:
        chosen, embedding = (), _embedding_of(options.like)
    signal = passed_on(inner.metadata.options)
    settings = {f.name: getattr(options, f.name) for f in fields(options) if f.name not in ("of", "like")}
    metadata = replace(
        inner.metadata,
        source="learned",
        embedding=len(embedding.biases[-1]),
        fitted_on=chosen,
        options={**settings, **signal, "of": inner.metadata.to_dict(), FITTED: embedding.to_dict()},
    )
    plan = EmbeddingPlan(inner.metadata, metadata, embedding, options.neighbours, options.truth, options.loss_radius)
    return stream(jobs_of(inner.graphs), partial(make, plan=plan), metadata)


def jobs_of(graphs: Sequence[HitGraph]) -> list[Job]:
    """One job for each event, with its graphs alone: shared content would go to the workers with every job."""
    places: dict[str, list[int]] = {}
    for place, facts in enumerate(facts_of(graphs)):
        places.setdefault(facts.event, []).append(place)
    digests = [digest.hex() for digest in digests_of(graphs)]
    return [Job(name, taken(graphs, of), " ".join(digests[k] for k in of)) for name, of in places.items()]


def _embedding_of(like: Metadata) -> Embedding:
    if FITTED not in like.options:
        raise InputError(
            "data: the model wasn't trained on graphs of a learned embedding; allowed: the data as they are"
        )
    return Embedding.from_dict(like.options[FITTED])


def events_to_fit(events: Sequence[str], options: LearnedOptions) -> tuple[str, ...]:
    """Draw the events that the embedding is fitted on, sorted."""
    count = max(1, min(options.train_events, len(events) // 2))
    return tuple(sorted(np.random.default_rng(options.seed).choice(np.array(events), count, replace=False).tolist()))


def _fitted(graphs: Sequence[HitGraph], metadata: Metadata, options: LearnedOptions) -> Embedding:
    if not any(true_pairs(graph, metadata).shape[1] for graph in graphs):
        raise InputError("data.of: no particle has two hits in the events to fit; allowed: events with tracks")
    console = Console(file=raw_stream(sys.stderr))
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("embedding", total=options.epochs)
        return fit(graphs, metadata, options, lambda epoch: progress.update(task, completed=epoch))


def make(job: Job, plan: EmbeddingPlan) -> BuiltEvent:
    """Make the graphs of one event, sector by sector."""
    graphs = tuple(learned_graph(graph, plan) for graph in job.content)
    return BuiltEvent(graphs, counts(graphs, plan))


def learned_graph(graph: HitGraph, plan: EmbeddingPlan) -> HitGraph:
    """Make one graph of another one."""
    with one_thread():
        places = plan.embedding(inputs_of(graph, plan.inner)).numpy()
    nodes = graph.x[:, :3].double().numpy() * plan.inner.node_scale[:3]
    near = near_pairs(places, plan.embedding.radius, plan.neighbours)
    edges = undirected(near, nodes[:, 0], nodes[:, 2]).edge_index
    truth, count, pid = true_pairs(graph, plan.inner, plan.truth), len(nodes), graph.pid.numpy()
    compared = (
        [edges, truth]
        if plan.loss_radius is None
        else [edges, near_pairs(places, plan.loss_radius, plan.neighbours), truth]
    )
    # Of equal pairs the first counts: the predicted edges lead.
    pairs = undirected(np.concatenate(compared, axis=1), nodes[:, 0], nodes[:, 2]).edge_index
    content: dict[str, Any] = {name: graph[name].numpy() for name in KEPT if graph.get(name) is not None}
    content |= {
        "edge_index": edges,
        "y": np.isin(pair_keys(edges, count), pair_keys(truth, count)),
        "embedding": places,
        "loss_index": pairs,
        "y_loss": (pid[pairs[0]] == pid[pairs[1]]) & (pid[pairs[0]] != 0),
    }
    if (signal := hits_of_signal(graph, plan.metadata.options)) is not None:
        content["edge_mask"] = ~content["y"] | signal[edges[1]]
    return make_graph(content, plan.metadata, graph.event, graph.sector)


def counts(graphs: Sequence[HitGraph], plan: EmbeddingPlan) -> dict[str, int]:
    """Counts of an event, each edge once; see the head of this file."""
    nodes = EventNodes.of(graphs)
    pid = nodes.of_first([graph.pid.numpy() for graph in graphs])
    r = nodes.of_first([graph.x[:, 0].double().numpy() for graph in graphs]) * plan.metadata.node_scale[0]
    z = nodes.of_first([graph.pos[:, 2].double().numpy() for graph in graphs])
    pairs = pairs_of_particles(pid, r, z, plan.truth)
    truth = pair_keys(pairs, len(pid))
    edges = [of_graph[graph.edge_index.numpy()] for of_graph, graph in zip(nodes.numbers, graphs, strict=True)]
    keys = np.unique(pair_keys(np.concatenate(edges, axis=1), len(pid)))
    inner, outer = np.divmod(keys, max(1, len(pid)))
    signals = [hits_of_signal(graph, plan.metadata.options) for graph in graphs]
    known = [of_graph for of_graph in signals if of_graph is not None]
    of_signal = {}
    if len(known) == len(graphs):
        signal = nodes.of_first(known)
        of_signal["signal_edges"] = int(signal[pairs[1]].sum())
        of_signal["kept_signal_edges"] = int((np.isin(keys, truth) & signal[outer]).sum())
    return of_signal | {
        "true_edges": len(truth),
        "kept_edges": int(np.isin(keys, truth).sum()),
        "edges": len(keys),
        "particle_edges": int(((pid[inner] == pid[outer]) & (pid[inner] != 0)).sum()),
    }
