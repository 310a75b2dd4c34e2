"""Loops, schedule and pruning against the definition: every value unrolled to a term."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cached_property

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import TYPES, computation_graph, even_choices, walk_space

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.steps import BackEdge, Loop, Step

SEEDS = st.integers(0, 2**32 - 1)


class Terms:
    """What the values of a graph are, as hash-consed terms: equal numbers are equal computations.

    Parameters
    ----------
    graph
        Any computation graph.
    table
        Numbers of the terms known so far; graphs are compared by sharing one.
    names
        What stands for each step's operation; by default block, parameters, type and weights.
    """

    def __init__(self, graph: ComputationGraph, table: dict[object, int], names: list[object] | None = None) -> None:
        self.graph, self.table, self.count = graph, table, len(graph.sources)
        self.names = names or [
            (s.block, s.params, s.type, (s.weights or i) if s.signature.has_weights else "")
            for i, s in enumerate(graph.steps)
        ]
        self.known: dict[tuple[int, int], int] = {}

    def number(self, *term: object) -> int:
        return self.table.setdefault(term, len(self.table))

    def apply(self, index: int, inputs: list[int], turn: int | None) -> int:
        """One execution; `turn` is the pass where it stands in a loop."""
        step = self.graph.steps[index]
        own = turn if step.per_pass and turn is not None else None
        return self.number(self.names[index], own, *inputs)

    @cached_property
    def network(self) -> nx.DiGraph:
        """Values, each with an arrow to what is made from it and to the head that it is carried to."""
        network = nx.DiGraph()
        network.add_nodes_from(range(self.count + len(self.graph.steps)))
        network.add_edges_from((v, self.count + i) for i, s in enumerate(self.graph.steps) for v in s.inputs)
        network.add_edges_from((edge.carried, edge.head) for edge in self.graph.back_edges)
        return network

    @cached_property
    def component(self) -> dict[int, frozenset[int]]:
        """The loop of each value that is in one."""
        loops = [frozenset(c) for c in nx.strongly_connected_components(self.network) if len(c) > 1]
        return {value: members for members in loops for value in members}

    def iterations(self, members: frozenset[int]) -> int:
        return max(e.iterations for e in self.graph.back_edges if {e.carried, e.head} <= members)

    def last(self, value: int) -> int:
        """What stands outside of a value's loop sees."""
        members = self.component.get(value)
        return self.at(value, self.iterations(members) if members else 0)

    def at(self, value: int, turn: int) -> int:
        """Straight from the definition: a value in one pass of its loop."""
        if (value, turn) not in self.known:
            self.known[value, turn] = self._at(value, turn)
        return self.known[value, turn]

    def _at(self, value: int, turn: int) -> int:
        if value < self.count:
            return self.number("source", self.graph.sources[value])
        members = self.component.get(value, frozenset())
        carried = {e.head: e.carried for e in self.graph.back_edges if {e.carried, e.head} <= members}
        if value in carried and turn > 0:
            return self.at(carried[value], turn - 1)
        inputs = self.graph.steps[value - self.count].inputs
        inside = bool(members & set(inputs))
        arguments = [self.at(v, turn) if v in members else self.last(v) for v in inputs]
        return self.apply(value - self.count, arguments, turn if inside else None)

    def scheduled(self) -> list[int]:
        """The targets by running `graph.schedule`; a KeyError says that a step ran before what it needs."""
        now = {v: self.number("source", name) for v, name in enumerate(self.graph.sources)}

        def run(indices: tuple[int, ...], turn: int | None) -> None:
            for i in indices:
                now[i + self.count] = self.apply(i, [now[v] for v in self.graph.steps[i].inputs], turn)

        for item in self.graph.schedule:
            if not isinstance(item, Loop):
                run((item,), None)
                continue
            forward, back = ([i for i in part if i not in item.once] for part in (item.forward, item.back))
            run(item.forward, 0)
            for turn in range(item.iterations):
                run(item.back if turn == 0 else tuple(back), turn)
                now |= {head: now[carried] for head, carried in item.heads}
                run(tuple(forward), turn + 1)
        return [now[target] for target in self.graph.targets]

    def targets(self) -> list[int]:
        return [self.last(target) for target in self.graph.targets]


def unlike(graph: ComputationGraph) -> ComputationGraph:
    """The same graph where no two steps do the same, so that a term says by which steps it was made."""
    steps = [replace(s, params=(*s.params, ("mark", i)), per_pass=False) for i, s in enumerate(graph.steps)]
    return replace(graph, steps=tuple(steps))


def assert_schedule(graph: ComputationGraph) -> None:
    """Running the schedule gives what the definition says, and runs each step as often as it is said to."""
    terms = Terms(graph, {})
    assert terms.scheduled() == terms.targets(), graph
    items = [i for item in graph.schedule for i in ((item,) if isinstance(item, int) else item.forward + item.back)]
    assert sorted(items) == list(range(len(graph.steps)))
    loops = {frozenset(c) for c in terms.component.values()}
    heads = {e.head for e in graph.back_edges if terms.component.get(e.head, set()) >= {e.carried}}
    assert {head for loop in graph.loops for head, _ in loop.heads} == heads
    assert len(graph.loops) == len(loops)


def without(graph: ComputationGraph, edges: list[BackEdge]) -> ComputationGraph:
    """Less some back edges; the others go round as often as before."""
    terms = Terms(graph, {})
    remaining = [
        replace(e, iterations=terms.iterations(terms.component[e.head]))
        for e in graph.back_edges
        if e not in edges and e.head in terms.component
    ]
    return replace(graph, back_edges=tuple(remaining))


def useless(graph: ComputationGraph) -> list[BackEdge]:
    """Back edges whose removal, one at a time, changes no target."""
    table: dict[object, int] = {}
    before = Terms(graph, table).targets()
    return [e for e in graph.back_edges if Terms(without(graph, [e]), table).targets() == before]


def assert_pruned(graph: ComputationGraph) -> None:
    """Pruning keeps what the targets are, and leaves nothing that doesn't lead to one."""
    graph = unlike(graph)
    pruned, table = graph.pruned(), dict[object, int]()
    assert Terms(pruned, table).targets() == Terms(graph, table).targets(), f"{graph}\n\n{pruned}"
    assert pruned.pruned() is pruned
    network = Terms(pruned, table).network
    leads = set(pruned.targets).union(*(nx.ancestors(network, target) for target in pruned.targets))
    assert leads >= set(range(len(pruned.sources), len(network)))
    # Two may be useless each and of use together: they hold two loops in step. Then both stay.
    if spare := useless(pruned):
        changed = Terms(without(pruned, spare), table).targets()
        assert len(spare) > 1 and changed != Terms(pruned, table).targets(), f"{pruned}\n{spare}"


@given(SEEDS)
def test_the_schedule_runs_what_the_definition_says(seed: int) -> None:
    assert_schedule(computation_graph(random.Random(seed)))


@given(SEEDS)
def test_pruning_keeps_the_targets_and_removes_the_rest(seed: int) -> None:
    assert_pruned(computation_graph(random.Random(seed)))


@given(SEEDS)
def test_the_loops_of_long_walks_do_too(seed: int) -> None:
    rng = random.Random(seed)
    space = walk_space(rng, FunctionGraph.load("tracking"), room=30)
    graph = space(even_choices(rng)).graph
    assert_schedule(graph)
    assert_pruned(graph)


def chain(back: list[tuple[int, int, int]], *inputs: tuple[int, ...], target: int | None = None) -> ComputationGraph:
    """Steps with weights, value 0 being the source: step i gives value i + 1."""
    steps = [Step(f"f{i}", "mlp", values, "x", (), f"w{i}") for i, values in enumerate(inputs)]
    edges = tuple(BackEdge(*edge) for edge in back)
    return ComputationGraph(TYPES, ("hits",), tuple(steps), edges, (target or len(steps),))


CASES = {
    "an edge that is seen in the last pass": (chain([(3, 1, 1), (4, 2, 1)], (0,), (0,), (1, 2), (3,), target=3), 2),
    "an edge that only holds a loop together stays": (
        # With one iteration nothing of what 4 carries to 2 is seen; but without it, 3 -> 1 would be no loop.
        chain([(3, 1, 1), (4, 2, 1)], (0,), (0,), (2,), (1,), target=4),
        2,
    ),
    "heads that only exchange their values": (chain([(1, 2, 3), (2, 1, 3)], (0,), (0,), (2,)), 2),
    "a head made inside its loop": (chain([(3, 1, 2), (4, 2, 2)], (0,), (1,), (2,), (1, 3)), 2),
    "edges of which each is useless and all are not": (
        # One alone may go; without all of them, 2 would never become 3.
        chain([(3, 2, 1), (2, 1, 1), (2, 3, 1)], (0,), (0,), (1,), target=2),
        3,
    ),
    "a loop that nothing reads": (chain([(2, 1, 2)], (0,), (1,), (0,)), 0),
    "a back edge that closes no loop": (chain([(2, 1, 2)], (0,), (0,), (1, 2)), 0),
    "loops one after the other": (chain([(2, 1, 2), (4, 3, 5)], (0,), (1,), (2,), (3,)), 2),
    "loops side by side": (chain([(3, 1, 2), (4, 2, 5)], (0,), (0,), (1,), (2,), (3, 4)), 2),
    "a loop across another": (chain([(3, 1, 2), (4, 2, 5)], (0,), (1,), (1, 2), (3,)), 2),
    "a head that another head replaces": (chain([(3, 1, 2), (4, 2, 5)], (0,), (1,), (2,), (3,)), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    graph, edges = CASES[name]
    assert_schedule(graph)
    assert_pruned(graph)
    assert len(graph.pruned().back_edges) == edges


def test_a_pruned_edge_leaves_its_iterations_behind() -> None:
    # What 6 carries to 4 would be seen after four passes more: 4 -> 5, carried to 3, to 2, to 1. There are three.
    graph = chain([(2, 1, 1), (3, 2, 1), (5, 3, 1), (6, 4, 3)], (0,), (0,), (0,), (0,), (1, 4), (1,), target=1)
    assert_pruned(graph)
    assert [(e.head, e.iterations) for e in graph.pruned().back_edges] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.long
def test_many_graphs() -> None:
    for seed in range(10_000):
        rng = random.Random(seed)
        graph = computation_graph(rng, steps=rng.randint(3, 12), edges=5)
        assert_schedule(graph)
        assert_pruned(graph)
