"""What a walk gives: an architecture with its hyperparameters and the decisions that led to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Trace

DROPPED = ("recurrences without weights", "branches that met their target", "loops over the limit of executed steps")
"""Why a further walk may leave nothing behind."""


@dataclass(frozen=True)
class Candidate:
    """What a walk gives.

    Attributes
    ----------
    trace
        Its decisions.
    graph
        The pruned computation graph.
    hyperparameters
        Values of all that the graph refers to, and of all that only training knows.
    events
        What happened on the way: counts of `walks, reverse walks, recurrences, branches` and of what was dropped.
    """

    trace: Trace
    graph: ComputationGraph
    hyperparameters: Mapping[str, Any]
    events: Mapping[str, int] = field(default_factory=dict, compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """Of the architecture."""
        return self.graph.fingerprint

    @cached_property
    def key(self) -> str:
        """Of the architecture with its hyperparameters, as gridded."""
        return self.fingerprint + "".join(f" {k}={v}" for k, v in sorted(self.hyperparameters.items()))
