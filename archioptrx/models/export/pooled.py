"""`pool` and `unpool` in an export: the smaller graph of each pooled value, as a variable of the code.

A model carries the smaller graph of a value with the value. Code has a variable for each pooling; a value made from
pooled ones lives on the graph of the first of them. A value that a loop carries back may live on another graph than
the first value: such a head has a variable of its own, which the loop carries too.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import POOLED
from archioptrx.graphs.source.step import Assign
from archioptrx.graphs.source.text import Call, Names
from archioptrx.models.export.program import Statement

WISH = "pooling"
"""The name of the first variable."""


@dataclass(frozen=True)
class Poolings:
    """The variables that hold smaller graphs.

    Attributes
    ----------
    of
        Variable of each pooled value.
    heads
        Variable of the first value, for each head of a loop with a variable of its own.
    """

    of: Mapping[int, str]
    heads: Mapping[int, str]

    @staticmethod
    def plan(graph: ComputationGraph, live: set[int], taken: Iterable[str]) -> Poolings:
        """Find a variable for each pooled value that a target depends on."""
        carried = dict(pair for loop in graph.loops for pair in loop.heads)
        makers = _makers(graph, live, frozenset())
        # A head shares the variable of its first value. Where the value carried back lies on another smaller graph, the
        # head needs a variable of its own, which may change what later heads inherit: until nothing changes.
        while changed := {v for v in makers if v in carried and makers[carried[v]] != makers[v]} - set(makers.values()):
            known = {v for v in makers if makers[v] == v}
            makers = _makers(graph, live, frozenset(known | changed))
        names = Names(taken)
        variable = {v: names.new(WISH) for v in sorted(set(makers.values()))}
        first = {v: _inherited(graph, v, makers) for v in variable}
        heads = {v: variable[maker] for v, maker in first.items() if maker is not None}
        return Poolings({v: variable[maker] for v, maker in makers.items()}, heads)

    def inputs(self, values: Sequence[int], names: Sequence[str]) -> list[str]:
        """The inputs of a step, all on the smaller graph of the first pooled one."""
        target = next((self.of[v] for v in values if v in self.of), "")
        return [
            f"aligned({name}, {self.of[v]}, {target})" if self.of.get(v, target) != target else name
            for v, name in zip(values, names, strict=True)
        ]

    def carried(self, heads: Iterable[tuple[int, int]]) -> list[tuple[str, str]]:
        """The variables that a loop has to change with its heads: each head, and the value that it becomes."""
        pairs = [(self.of[a], self.of[b]) for a, b in heads if a in self.of]
        return [pair for pair in pairs if pair[0] != pair[1]]

    def started(self, value: int) -> list[Assign]:
        """Assignment of the first value of a head's own variable, where it has one."""
        return [Assign(self.of[value], self.heads[value])] if value in self.heads else []


def _makers(graph: ComputationGraph, live: set[int], own: frozenset[int]) -> dict[int, int]:
    """The value whose variable each pooled value shares: that of a pooling or of one of `own`."""
    makers: dict[int, int] = {}
    for value in range(len(graph.sources), len(graph.values)):
        if value in live and graph.type_of(value).domain == POOLED:
            inherited = _inherited(graph, value, makers)
            makers[value] = value if inherited is None or value in own else inherited
    return makers


def _inherited(graph: ComputationGraph, value: int, makers: Mapping[int, int]) -> int | None:
    """The maker that a value has from its first pooled input; None for a pooling."""
    inputs = graph.steps[value - len(graph.sources)].inputs
    return next((makers[v] for v in inputs if v in makers), None)


def unnamed(body: Iterable[Statement], used: Container[str]) -> tuple[Statement, ...]:
    """The statements with `_` for smaller graphs that nothing reads."""
    statements: list[Statement] = []
    for item in body:
        if not isinstance(item, Assign):
            statements.append(replace(item, body=unnamed(item.body, used)))
        elif ", " in item.target and isinstance(item.code, Call) and item.target.split(", ")[1] not in used:
            statements.append(replace(item, target=f"{item.target.split(', ')[0]}, _"))
        else:
            statements.append(item)
    return tuple(statements)
