"""Weisfeiler-Lehman features of computation graphs (Shervashidze et al. 2011; for architectures Ru et al. 2021).

Level 0 counts the steps by block, parameters and domain; level h + 1 counts them by their label of level h together
with those of the values that they read. So a label of level h holds the h steps before a value.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import HYPERPARAMETER, Trace
from archioptrx.graphs.signatures import SIGNATURES

DEPTH = 3
Features = tuple[Mapping[str, int], ...]
"""Counts of labels by level; the last level has the hyperparameters."""


def features(candidate: Any) -> Features:
    """Features of a candidate: of its computation graph, or of its decisions where it has none."""
    graph = getattr(candidate, "graph", None)
    levels = graph_features(graph) if isinstance(graph, ComputationGraph) else trace_features(candidate.trace)
    hyper = Counter(f"{d.place}={d.label}" for d in candidate.trace.decisions if d.kind == HYPERPARAMETER)
    return (*levels, hyper)


def trace_features(trace: Trace) -> Features:
    """Counts of runs of 1, 2 … decisions, without those of hyperparameters."""
    words = [" ".join(d) for d in trace.decisions if d.kind != HYPERPARAMETER]
    runs = [[", ".join(words[i : i + n + 1]) for i in range(len(words) - n)] for n in range(DEPTH + 1)]
    return tuple(Counter(level) for level in runs)


@lru_cache(maxsize=4096)
def graph_features(graph: ComputationGraph) -> Features:
    """Counts of labels at levels 0 to DEPTH. The value that is carried to a head counts as one of its inputs."""
    labels = _first(graph)
    levels: list[Mapping[str, int]] = [Counter(labels)]
    count = len(graph.sources)
    back = {edge.head: edge for edge in graph.back_edges}
    for _ in range(DEPTH):
        new = labels[:count]
        for value, step in enumerate(graph.steps, start=count):
            inputs = [labels[v] for v in step.inputs]
            inputs = sorted(inputs) if step.signature.commutative else inputs
            if value in back:
                inputs.append(f"{back[value].iterations} passes {labels[back[value].carried]}")
            new.append(_digest(f"{labels[value]}({', '.join(inputs)})"))
        labels = new
        levels.append(Counter(labels))
    return tuple(levels)


def _first(graph: ComputationGraph) -> list[str]:
    labels = [f"source {graph.type[name].field} {graph.type[name].domain}" for name in graph.sources]
    for step in graph.steps:
        params = step.signature.effective(step.params, tuple(graph.type_of(value).domain for value in step.inputs))
        labels.append(f"{graph.type[step.type].domain} {_operation(step.block, params)}")
    return labels


@lru_cache(maxsize=4096)
def _operation(block: str, params: tuple[tuple[str, Any], ...]) -> str:
    return f"{block} {SIGNATURES[block].relevant(dict(params))!r}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
