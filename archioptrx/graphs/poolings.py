"""Smaller graphs on which pooled values lie, and the steps where values of different ones meet.

A step works on the smaller graph of its first pooled input, and its result lies there too
(`archioptrx.networks.blocks.apply`). So where values of several meet, the first input isn't like the others, whatever
the block makes of their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from archioptrx.graphs.signatures import POOLED, SIGNATURES
from archioptrx.graphs.steps import DataType, Loop, Step


class ScheduledGraph(Protocol):
    """The parts of a computation graph that say on which smaller graph a value lies."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources' types."""

    @property
    def type(self) -> Mapping[str, DataType]:
        """Data types by name."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps in order."""

    @property
    def schedule(self) -> tuple[int | Loop, ...]:
        """Step numbers and loops, in order of execution."""


@dataclass(frozen=True, slots=True)
class Meetings:
    """Steps where values of several smaller graphs meet.

    Attributes
    ----------
    away
        For each such step, by its number: whether each input lies, in any pass, on another smaller graph than the one
        that the step works on. False for values that lie on none.
    pools
        Steps that make a smaller graph of those that meet.
    """

    away: Mapping[int, tuple[bool, ...]]
    pools: frozenset[int]


NONE = Meetings({}, frozenset())


def meetings(graph: ScheduledGraph) -> Meetings:
    """Find the steps where values of several smaller graphs meet."""
    pooled = {name for name, kind in graph.type.items() if kind.domain == POOLED}
    if not pooled:
        return NONE
    execution = _Execution(graph, pooled)
    for item in graph.schedule:
        if isinstance(item, int):
            execution.run([item])
        else:
            execution.loop(item)
    return Meetings({index: tuple(away) for index, away in execution.away.items()}, frozenset(execution.pools))


class _Execution:
    """The passes of a network, with the number of a smaller graph for each pooled value.

    A pooling in a loop makes another smaller graph in each pass, and a head may lie on another one in each. So the
    schedule is gone through as the network runs.

    Attributes
    ----------
    lies_on
        Number of the smaller graph of each pooled value now.
    maker
        Step that made each smaller graph, by the number of the graph.
    away, pools
        Fields of the result, as far as the schedule was gone through.
    """

    def __init__(self, graph: ScheduledGraph, pooled: set[str]) -> None:
        self._steps, self._count, self._pooled = graph.steps, len(graph.sources), pooled
        self.lies_on: dict[int, int] = {}
        self.maker: list[int] = []
        self.away: dict[int, list[bool]] = {}
        self.pools: set[int] = set()

    def run(self, steps: Iterable[int], done: Sequence[int] = ()) -> None:
        """Run steps, except those in `done`."""
        for index in steps:
            if index not in done:
                self._step(index)

    def _step(self, index: int) -> None:
        step, value = self._steps[index], self._count + index
        if SIGNATURES[step.block].changes_nodes:
            if step.type in self._pooled:
                self.lies_on[value] = len(self.maker)
                self.maker.append(index)
            return
        places = [self.lies_on.get(source) for source in step.inputs]
        here = next((place for place in places if place is not None), None)
        if here is None:
            return
        if {*places} - {None, here}:
            away = self.away.setdefault(index, [False] * len(places))
            for slot, place in enumerate(places):
                away[slot] |= place not in (None, here)
            self.pools.update(self.maker[place] for place in places if place is not None)
        if step.type in self._pooled:
            self.lies_on[value] = here

    def loop(self, loop: Loop) -> None:
        """Run a loop in the order of `archioptrx.networks.compile`, without passes that repeat earlier ones.

        All that happens from one pass to the next follows from the smaller graphs of the heads (`_state`). Where they
        are as they were `period` passes before, every further `period` passes are the same again.
        """
        before, known = len(self.maker), dict[tuple[int, ...], int]()
        self.run(loop.forward)
        turn = 0
        while turn < loop.iterations:
            self.run(loop.back, loop.once if turn else ())
            # All heads together: a carried value may itself be a head, whose old value is meant.
            self.lies_on.update({h: self.lies_on[value] for h, value in loop.heads if value in self.lies_on})
            self.run(loop.forward, loop.once)
            turn += 1
            state = self._state(loop, before)
            if state in known:
                period = turn - known[state]
                turn += (loop.iterations - turn) // period * period
            known[state] = turn

    def _state(self, loop: Loop, before: int) -> tuple[int, ...]:
        """Numbers of the heads' smaller graphs; those made in the loop are numbered anew, in the order of the heads."""
        new: dict[int, int] = {}
        places = [self.lies_on.get(head, -1) for head, _ in loop.heads]
        return tuple([place if place < before else before + new.setdefault(place, len(new)) for place in places])
