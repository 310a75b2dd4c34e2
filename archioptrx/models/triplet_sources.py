"""The sources `line_graph` and `triplets`: another source's doublets, scored by a trained model, and their triplets.

They stand here and not among the other sources because they run models, which are trained on sources.

A model has to be used on events of its own kind. Where the data it was trained on are described as those under `of`,
and both experiments have the same split (shares and seed), the events are divided in the same way, for the names of
events alone decide: test events of the triplets are then events that the doublet classifier hasn't seen either. Events
without any triplet stay in the data set, so that this holds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from archioptrx.core.errors import InputError, faults_at
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.hitgraph import BASELINES, HitGraph
from archioptrx.data.options import OF, SOURCES, LineGraphOptions, TripletsOptions
from archioptrx.data.signal import passed_on
from archioptrx.data.sources import load_dataset, resolved
from archioptrx.data.sources.learned import FITTED
from archioptrx.data.sources.stream import Job, stream
from archioptrx.data.storage.graph_views import digests_of, facts_of, taken
from archioptrx.data.triplet_counts import counts
from archioptrx.data.triplets import (
    Doublets,
    Floats,
    line_graph,
    line_metadata,
    triplet_metadata,
    with_triplets,
)
from archioptrx.models.events import warn_of_kind
from archioptrx.models.model_folder import TrainedModel, load_model, weights_file
from archioptrx.tasks.classification_metrics import Bools, Cut
from archioptrx.tasks.comparison import Baseline
from archioptrx.training.fit import predict


@dataclass(frozen=True)
class TripletPlan:
    """Rules by which triplets are made of an event.

    Attributes
    ----------
    options
        Options as the user gave them.
    inner, metadata
        Metadata of the other source's graphs and of the new ones.
    model
        Folder of the doublet classifier and digest of its weights, or None.
    """

    options: TripletsOptions
    inner: Metadata
    metadata: Metadata
    model: tuple[str, str] | None


@SOURCES.registering("line_graph")
@SOURCES.registering("triplets")
def load(options: TripletsOptions) -> Dataset:
    """Read the other source and make the triplets, with a progress bar on stderr.

    Raises
    ------
    InputError
        The other source or the model is wrong, the two don't fit, or there are too many triplets.
    """
    model = None if options.model is None else (options.model, digest_of(options.model))
    trained = None if model is None else doublet_model(*model)
    like = _learned_of(options.like) if trained is None else trained.metadata
    inner = load_dataset(options.of, "data.of", like=like)
    if trained is not None:
        warn_of_kind(f"data.model: {options.model}: data.of", trained.metadata, inner.metadata)
    scored = trained is not None or any(inner.graphs[0].get(name) is not None for name in BASELINES)
    make = line_metadata if isinstance(options, LineGraphOptions) else triplet_metadata
    # Triplets of edges that are masked are masked: tracks are judged by the same signal.
    options_known: dict[str, Any] = {
        **passed_on(inner.metadata.options),
        "of": inner.metadata.to_dict(),
        "cut": options.cut if scored else None,
    }
    if options.cut_logit is not None and scored:
        options_known |= {"cut": float(Cut(options.cut_logit)), "cut_logit": options.cut_logit}
    if trained is not None:
        options_known["model"] = {
            "weights": model[1] if model else "",
            "same_data": trained.provenance.data.to_dict() == resolved(options.of),
        }
    metadata = replace(make(inner.metadata, scored), options=options_known)
    plan = TripletPlan(options, inner.metadata, metadata, model)
    places: dict[str, list[int]] = {}
    for place, facts in enumerate(facts_of(inner.graphs)):
        places.setdefault(facts.event, []).append(place)
    digests = [digest.hex() for digest in digests_of(inner.graphs)]
    jobs = [Job(name, taken(inner.graphs, of), " ".join(digests[k] for k in of)) for name, of in places.items()]
    return stream(jobs, partial(make_event, plan=plan), metadata)


def _learned_of(like: Metadata | None) -> Metadata | None:
    """Metadata of the source inside, where that is learned at any level: its embedding is that of the training."""
    inner = None if like is None else like.options.get(OF)
    if inner is None:
        return None
    metadata = Metadata.from_dict(inner)
    return metadata if FITTED in metadata.options or _learned_of(metadata) is not None else None


def make_event(job: Job, plan: TripletPlan) -> BuiltEvent:
    """Make the graphs of one event, sector by sector."""
    line = isinstance(plan.options, LineGraphOptions)
    doublets = [doublets_of(graph, plan) for graph in job.content]
    graphs = []
    for of_graph in doublets:
        with faults_at(f"{of_graph.graph.event} sector {of_graph.graph.sector}"):
            graphs.append((line_graph if line else with_triplets)(of_graph, plan.metadata, plan.options.most))
    index = "edge_index" if line else "triplet_index"
    return BuiltEvent(tuple(graphs), counts(doublets, [graph[index].numpy() for graph in graphs]))


def doublets_of(graph: HitGraph, plan: TripletPlan) -> Doublets:
    """The edges of a graph with their scores, and those that reach the cut."""
    baseline = baseline_of(graph, plan)
    return Doublets(graph, plan.inner, _taking_part(graph.num_edges, baseline, plan.options), baseline)


def baseline_of(graph: HitGraph, plan: TripletPlan) -> dict[str, Floats]:
    """Answers to all edges, under their name in graphs: by the model, else as the data bring them along, else none.

    Those of a model are its outputs, logits: near a probability of 1 all would be alike.
    """
    if plan.model is not None:
        return {"baseline_logit": predict(doublet_model(*plan.model).model, [graph])[0].numpy().astype(np.float64)}
    return {name: graph[name].numpy().astype(np.float64) for name in BASELINES if graph.get(name) is not None}


def _taking_part(edges: int, baseline: Mapping[str, Floats], options: TripletsOptions) -> Bools:
    """Find the doublets that make triplets. Shapes: -> bool [E]."""
    for name, scores in baseline.items():
        return Baseline(scores, name == "baseline_logit").accepted(cut_of(options))
    return np.ones(edges, dtype=bool)


def cut_of(options: TripletsOptions) -> float:
    """Cut from which doublets take part; at 0 all do, at 1 only those of a probability that is exactly 1."""
    if options.cut_logit is not None:
        return Cut(options.cut_logit)
    return options.cut if 0 < options.cut < 1 else Cut(math.inf if options.cut else -math.inf)


def digest_of(folder: str) -> str:
    """SHA-256 of a model's weights: the same folder may be written again."""
    return hashlib.sha256(weights_file(folder).read_bytes()).hexdigest()


@lru_cache(maxsize=2)
def doublet_model(folder: str, digest: str) -> TrainedModel:
    """Read a classifier of edges, once in each process.

    Raises
    ------
    InputError
        There is none, or it classifies something else.
    """
    trained = load_model(folder)
    if trained.task.domain != "edge" or trained.task.target_width != 1:
        raise InputError(f"data.model: {folder}: was trained for {trained.task.name}; allowed: edge_classification")
    return trained
