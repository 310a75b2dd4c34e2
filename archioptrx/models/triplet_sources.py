"""The sources `line_graph` and `triplets`: another source's doublets, scored by a trained model, and their triplets.

They stand here and not among the other sources because they run models, which are trained on sources.

A model has to be used on events of its own kind. Where the data it was trained on are described as those under `of`,
and both experiments have the same split (shares and seed), the events are divided in the same way, for the names of
events alone decide: test events of the triplets are then events that the doublet classifier hasn't seen either. Events
without any triplet stay in the data set, so that this holds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from archioptrx.core.errors import InputError, faults_at
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.options import SOURCES, LineGraphOptions, TripletsOptions
from archioptrx.data.signal import KEYS as SIGNAL
from archioptrx.data.sources import load_dataset, resolved
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
    inner = load_dataset(options.of, "data.of", like=None if trained is None else trained.metadata)
    if trained is not None:
        warn_of_kind(f"data.model: {options.model}: data.of", trained.metadata, inner.metadata)
    scored = trained is not None or inner.graphs[0].get("baseline") is not None
    make = line_metadata if isinstance(options, LineGraphOptions) else triplet_metadata
    # Triplets of edges that are masked are masked: tracks are judged by the same signal.
    signal = {key: inner.metadata.options[key] for key in SIGNAL if key in inner.metadata.options}
    options_known: dict[str, Any] = {**signal, "of": inner.metadata.to_dict(), "cut": options.cut if scored else None}
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
    score, logits = scores(graph, plan)
    return Doublets(graph, plan.inner, _taking_part(graph.num_edges, score, logits, plan.options), score)


def scores(graph: HitGraph, plan: TripletPlan) -> tuple[Floats | None, Floats]:
    """Probability and logit of each edge, by the model, else as the data bring them along; None where there is neither.

    The logits of a model are its outputs, not made of probabilities, near 1 of which all would be alike.
    """
    if plan.model is not None:
        answers = predict(doublet_model(*plan.model).model, [graph])[0]
        return answers.sigmoid().numpy().astype(np.float64), answers.numpy().astype(np.float64)
    baseline = graph.get("baseline")
    if baseline is None:
        return None, np.zeros(0)
    score = baseline.numpy().astype(np.float64)
    with np.errstate(divide="ignore"):  # the logits of 0 and 1 are infinite
        return score, np.log(score) - np.log1p(-score)


def _taking_part(edges: int, score: Floats | None, logits: Floats, options: TripletsOptions) -> Bools:
    """Find the doublets that make triplets. Shapes: -> bool [E]."""
    if score is None:
        return np.ones(edges, dtype=bool)
    return np.asarray(score >= options.cut if options.cut_logit is None else logits >= options.cut_logit)


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
