"""The seam between what is sampled and who samples: decisions, their allowed options, traces.

A *space* is any program with choices, `space(choose) -> candidate`; the walk of a function graph is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from archioptrx.core.errors import InputError


class Point(NamedTuple):
    """Where a choice is made: its kind (`function`, `extra` …) and its place (a data node, say).

    The kind `hyperparameter` has a meaning for samplers: such a decision changes no architecture.
    """

    kind: str
    place: str


Choose = Callable[[Point, Sequence[str], Sequence[float]], int]
"""`choose(point, labels, prior weights) -> index`. Labels are stable and distinct; weights are 0 or more."""


class Decision(NamedTuple):
    """One choice that was made: the point, and the label of the option taken."""

    kind: str
    place: str
    label: str


@dataclass(frozen=True)
class Trace:
    """All decisions of one candidate, in order: its genotype.

    Labels instead of positions are stored, with digests of the function graph and search space that the trace was
    made in, so that it survives an added function and can say what has changed where it doesn't.
    """

    decisions: tuple[Decision, ...]
    function_graph: str = ""
    search_space: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` inverts it."""
        rows = [list(decision) for decision in self.decisions]
        return {"function_graph": self.function_graph, "search_space": self.search_space, "decisions": rows}

    @staticmethod
    def from_json(content: Mapping[str, Any], place: str = "trace") -> Trace:
        """Read plain data back; InputError where it is no trace."""
        rows = content.get("decisions") if isinstance(content, Mapping) else None
        if not isinstance(rows, list | tuple):
            raise InputError(f"{place}: has no decisions; allowed: a list of [kind, place, label]")
        for index, row in enumerate(rows):
            if not isinstance(row, list | tuple) or len(row) != 3 or not all(isinstance(part, str) for part in row):
                raise InputError(f"{place}: decisions[{index}]: is {row!r}; allowed: [kind, place, label]")
        digests = [str(content.get(key, "")) for key in ("function_graph", "search_space")]
        return Trace(tuple(Decision(*row) for row in rows), *digests)


Space = Callable[[Choose], Any]
"""What it gives must have `trace`, `fingerprint` (equal for equal architectures) and `key` (equal for equal ones with
equal hyperparameters); `archioptrx.sampling.candidate.Candidate` has."""
