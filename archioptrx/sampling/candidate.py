"""The candidate: an architecture with its hyperparameters and the decisions that led to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Trace

DROPPED = ("recurrences without weights", "branches that met their target", "loops over the limit of executed steps")
"""Names, in `Candidate.events`, of the reasons for which a further walk adds nothing."""


@dataclass(frozen=True)
class Candidate:
    """The result of a walk.

    Attributes
    ----------
    trace
        All decisions, in order.
    graph
        The pruned computation graph.
    hyperparameters
        Values, by name, of the hyperparameters that the graph or the training refers to.
    events
        Counts of `walks`, `reverse walks`, `recurrences`, `branches` and of each reason in `DROPPED`.
    """

    trace: Trace
    graph: ComputationGraph
    hyperparameters: Mapping[str, Any]
    events: Mapping[str, int] = field(default_factory=dict, compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the computation graph."""
        return self.graph.fingerprint

    @cached_property
    def key(self) -> str:
        """Identity of the architecture together with the values of its hyperparameters."""
        return self.fingerprint + "".join(f" {k}={v}" for k, v in sorted(self.hyperparameters.items()))
