"""Decisions, their allowed options, and traces: the interface between spaces and samplers.

A *space* is any program with choices, `space(choose) -> candidate`, such as the walk of a function graph. A *sampler*
supplies `choose`, the function that answers each decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from archioptrx.core.errors import InputError


class Point(NamedTuple):
    """Point of a choice.

    Attributes
    ----------
    kind
        Kind of the choice: `function`, `extra` … The kind `hyperparameter` has a meaning for samplers: such a decision
        changes no architecture.
    place
        Place where it is chosen, for example at which data node.
    """

    kind: str
    place: str


HYPERPARAMETER = "hyperparameter"
"""Kind of the decisions that change no architecture."""

Choose = Callable[[Point, Sequence[str], Sequence[float]], int]
"""`choose(point, labels, prior weights) -> index`. Labels are stable and distinct; weights are 0 or more."""


class Decision(NamedTuple):
    """One decision: kind and place of its point, and the label of the option taken."""

    kind: str
    place: str
    label: str


@dataclass(frozen=True)
class Trace:
    """All decisions of one candidate, in order: its genotype.

    Labels are stored, not positions, so that a trace stays valid when a function is added.

    Attributes
    ----------
    decisions
        Decisions in the order in which they were taken.
    function_graph, search_space
        Digests of the two that the trace comes from, to see whether they have changed; "" where unknown.
    """

    decisions: tuple[Decision, ...]
    function_graph: str = ""
    search_space: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` inverts it."""
        rows = list(map(list, self.decisions))
        return {"function_graph": self.function_graph, "search_space": self.search_space, "decisions": rows}

    @staticmethod
    def from_json(content: Mapping[str, Any], place: str = "trace") -> Trace:
        """Read plain data; `place` begins each line of an error.

        Raises
        ------
        InputError
            The data is no trace.
        """
        rows = content.get("decisions") if isinstance(content, Mapping) else None
        if not isinstance(rows, list | tuple):
            raise InputError(f"{place}: has no decisions; allowed: a list of [kind, place, label]")
        for index, row in enumerate(rows):
            if not isinstance(row, list | tuple) or len(row) != 3 or not all(isinstance(part, str) for part in row):
                raise InputError(f"{place}: decisions[{index}]: is {row!r}; allowed: [kind, place, label]")
        digests = [str(content.get(key, "")) for key in ("function_graph", "search_space")]
        return Trace(tuple(Decision(*row) for row in rows), *digests)


Space = Callable[[Choose], Any]
"""A program with choices. Its result, the candidate, has the attributes `trace`, `fingerprint` (equal for equal
architectures) and `key` (equal for equal architectures with equal hyperparameters), as
`archioptrx.sampling.candidate.Candidate` has."""
