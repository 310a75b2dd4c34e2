"""What every walk keeps to, on the bundled function graphs and on random ones."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import even_choices, function_graph, walk_space

from archioptrx.core.config import bundled_names
from archioptrx.core.errors import InputError, ReplayError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Choose, Point, Trace
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.nodes import DataNode, FunctionNode
from archioptrx.graphs.signatures import SIGNATURES, Choice
from archioptrx.graphs.steps import Step
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.samplers import RandomSampler, enumerate_space, replay
from archioptrx.sampling.search_space import Grid, SearchSpace, WalkLimits
from archioptrx.sampling.walk import WalkSpace

SEEDS = st.integers(0, 2**32 - 1)
BUNDLED = bundled_names("function_graphs")


def checked(choose: Choose) -> Choose:
    """The same answers, after a look at the options."""

    def answer(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        assert labels, f"dead end at {point}"
        assert len(set(labels)) == len(labels) == len(weights), (point, labels, weights)
        assert min(weights) >= 0
        return choose(point, labels, weights)

    return answer


def flow(graph: ComputationGraph) -> nx.DiGraph:
    """Values with arrows to what is made from them; back edges left out."""
    network = nx.DiGraph()
    network.add_nodes_from(range(len(graph.sources) + len(graph.steps)))
    network.add_edges_from((v, len(graph.sources) + i) for i, s in enumerate(graph.steps) for v in s.inputs)
    return network


def maker(graph: ComputationGraph, value: int) -> Step | None:
    """The step that makes a value; None of a source."""
    return graph.steps[value - len(graph.sources)] if value >= len(graph.sources) else None


def assert_limits(space: WalkSpace, candidate: Candidate) -> None:
    limits, graph = space.search_space.walk, candidate.graph
    assert len(graph.steps) <= limits.max_steps
    assert candidate.events["walks"] <= max(limits.max_walks, len(space.tables.targets))
    assert graph.executed <= limits.max_executed or not graph.loops
    assert {edge.iterations for edge in graph.back_edges} <= set(limits.iterations)


def assert_useful(space: WalkSpace, graph: ComputationGraph) -> None:
    """Right types, nothing unused, the targets in their order."""
    graph.check_types()
    assert graph.pruned() is graph
    assert tuple(graph.type_of(target).name for target in graph.targets) == space.function_graph.targets
    for index, step in enumerate(graph.steps):
        function = space.function_graph.function.get(step.function)
        if function is None:
            assert step.function in space.function_graph.node[step.type].merge, graph
            continue
        assert (step.block, step.type) == (function.block, function.output)
        assert tuple(graph.type_of(v).name for v in step.inputs) == function.inputs, (index, graph)


def assert_no_twins(space: WalkSpace, candidate: Candidate) -> None:
    graph = candidate.graph
    heads = {edge.head for edge in graph.back_edges}
    # A head may stand beside a step like that of its first value. Where a branch joins loops, it may turn out that
    # nothing of what one edge carries is seen; that edge is pruned, and the two are left as twins.
    recurrences = candidate.events["recurrences"] + candidate.events["recurrences without weights"]
    walked = sum(d.kind == "walk" and d.label == "recurrence" for d in candidate.trace.decisions)
    excused = walked > recurrences and not candidate.events["loops over the limit of executed steps"]
    seen = set()
    for index, step in enumerate(graph.steps):
        signature = SIGNATURES[step.block]
        if signature.distinct:
            assert len(set(step.inputs)) == len(step.inputs), graph
        before = maker(graph, step.inputs[0])
        if signature.idempotent:
            assert before is None or not SIGNATURES[before.block].idempotent, graph
        function = space.function_graph.function.get(step.function)
        alike = signature.has_weights and (function is None or function.weights == "own")
        if index + len(graph.sources) not in heads and not alike and not excused:
            inputs = sorted(step.inputs) if signature.symmetric else step.inputs
            key = (step.function, step.params, *inputs)
            assert key not in seen, graph
            seen.add(key)


def assert_loops(candidate: Candidate) -> None:
    """Each recurrence is a loop of its own, or a branch joined them; its target precedes its source; it learns."""
    graph, count = candidate.graph, len(candidate.graph.sources)
    forward, both = flow(graph), flow(graph)
    both.add_edges_from((edge.carried, edge.head) for edge in graph.back_edges)
    components = [c for c in nx.strongly_connected_components(both) if len(c) > 1]
    for edge in graph.back_edges:
        assert nx.has_path(forward, edge.head, edge.carried)
    for members in components:
        inner = [edge for edge in graph.back_edges if edge.head in members]
        assert len({edge.iterations for edge in inner}) == 1
        assert len(inner) == 1 or candidate.events["branches"], graph
        inside = [i for i, s in enumerate(graph.steps) if i + count in members and members & set(s.inputs)]
        assert any(graph.steps[i].signature.has_weights for i in inside), graph
    assert sum(len(c) for c in components) == len(set().union(*components))
    assert len(graph.loops) == len(components)


def assert_hyperparameters(space: WalkSpace, candidate: Candidate) -> None:
    known = set(space.function_graph.hyperparameters)
    training = {grid.name for grid in space.search_space.hyperparameters} - known
    assert set(candidate.hyperparameters) == candidate.graph.symbols | training
    for name, value in candidate.hyperparameters.items():
        assert value in space.search_space.grid[name].values


def assert_replays(space: WalkSpace, candidate: Candidate) -> None:
    again = replay(space, Trace.from_json(candidate.trace.to_json()))
    assert again == candidate
    assert ComputationGraph.from_dict(candidate.graph.to_dict()).fingerprint == candidate.fingerprint


def assert_candidate(space: WalkSpace, candidate: Candidate) -> None:
    """All that a walk keeps to."""
    assert_limits(space, candidate)
    assert_useful(space, candidate.graph)
    assert_no_twins(space, candidate)
    assert_loops(candidate)
    assert_hyperparameters(space, candidate)
    assert_replays(space, candidate)


def random_space(seed: int) -> tuple[random.Random, WalkSpace]:
    rng = random.Random(seed)
    return rng, walk_space(rng, function_graph(rng, rng.randint(1, 6)))


@given(SEEDS)
@example(25748089)  # a target of nodes, sources of edges alone
def test_walks_of_random_function_graphs(seed: int) -> None:
    rng, space = random_space(seed)
    for _ in range(5):
        assert_candidate(space, space(checked(even_choices(rng))))


@pytest.mark.parametrize("name", BUNDLED)
@settings(max_examples=30)  # of each; the `long` test below takes 5,000
@given(seed=SEEDS)
def test_walks_of_bundled_function_graphs(name: str, seed: int) -> None:
    rng = random.Random(seed)
    space = walk_space(rng, FunctionGraph.load(name), room=30)
    assert_candidate(space, space(checked(even_choices(rng))))


@given(SEEDS)
def test_a_recurrence_adds_one_back_edge_and_a_branch_one_merge(seed: int) -> None:
    rng = random.Random(seed)
    graph = FunctionGraph.load(rng.choice(BUNDLED)) if rng.random() < 0.7 else function_graph(rng)
    space = walk_space(rng, graph).search_space
    steps = max(24, space.walk.max_steps)  # few random function graphs need more than 24 for their shortest walks
    limits = WalkLimits(max_steps=steps, extra=(6, 4), max_walks=len(graph.targets) + 1, max_executed=10**6)
    longer = WalkSpace(graph, replace(space, walk=limits))
    shorter = WalkSpace(graph, replace(space, walk=replace(limits, max_walks=len(graph.targets))))
    even, kind = even_choices(rng), rng.choice(("recurrence", "branch"))
    first: list[int] = []

    def go_on(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        if point.kind == "another":
            return labels.index("go on")
        if point.kind == "walk":
            return labels.index(kind) if kind in labels else 0
        answer = even(point, labels, weights)
        first.append(answer)
        return answer

    after, answers = longer(go_on), iter(first)
    before = shorter(lambda point, labels, weights: 0 if point.kind == "hyperparameter" else next(answers))
    assert after.events["branches"] + after.events["recurrences"] <= 1
    assert undone(after.graph, bool(after.events["branches"])).fingerprint == before.fingerprint


def undone(graph: ComputationGraph, branched: bool) -> ComputationGraph:
    """Before its only further walk: without back edges, consumers of the merge reading its target again."""
    if not branched:
        return replace(graph, back_edges=()).pruned()
    count = len(graph.sources)
    for value in range(count, count + len(graph.steps)):
        step = graph.steps[value - count]
        if len(step.inputs) == 2 and step.function in ("add", "concat") and step.weights in ("", "merge.0"):
            target = step.inputs[0]
            old = [replace(s, inputs=tuple(target if v == value else v for v in s.inputs)) for s in graph.steps]
            ends = tuple(target if v == value else v for v in graph.targets)
            # What the branch made of the target may stand twice now: its old twin read the merge.
            return replace(graph, steps=tuple(old), targets=ends).pruned()
    raise AssertionError(graph)


@given(SEEDS)
def test_a_trace_survives_a_function_that_shortens_nothing(seed: int) -> None:
    rng, space = random_space(seed)
    graph = space.function_graph
    copied = rng.choice(graph.functions)
    more = WalkSpace(graph.with_functions(replace(copied, name="another_one")), space.search_space)
    candidate = space(even_choices(rng))
    assert replay(more, candidate.trace).graph == candidate.graph


@given(SEEDS)
def test_replay_names_the_first_entry_that_is_not_legal(seed: int) -> None:
    rng, space = random_space(seed)
    trace = space(even_choices(rng)).trace
    place = rng.randrange(len(trace.decisions))
    entry = trace.decisions[place]
    wrong = (
        (entry._replace(label="nowhere"), f"decision {place} ({entry.kind} at {entry.place}): 'nowhere' is no longer"),
        (entry._replace(kind="guess"), f"decision {place}: is guess at {entry.place}, but the walk asks for"),
    )
    for decision, message in wrong:
        decisions = (*trace.decisions[:place], decision, *trace.decisions[place + 1 :])
        with pytest.raises(ReplayError) as caught:
            replay(space, replace(trace, decisions=decisions))
        assert message in str(caught.value)
    with pytest.raises(ReplayError, match=f"ends after {place} decisions; {entry.kind} at"):
        replay(space, replace(trace, decisions=trace.decisions[:place]))
    with pytest.raises(ReplayError, match=f"decision {len(trace.decisions)} .* is left over"):
        replay(space, replace(trace, decisions=(*trace.decisions, entry)))


def small(*functions: FunctionNode, targets: tuple[str, ...] = ("out",), **limits: object) -> WalkSpace:
    """Node values only: hits, a, b, c, d, out."""
    used = {name for f in functions for name in (*f.inputs, f.output)}
    data = [DataNode("hits", "node", field="x"), *(DataNode(n, "node", 4) for n in ("a", "b", "c", "d", "out"))]
    graph = FunctionGraph("small", tuple(n for n in data if n.name in used), functions, ("hits",), targets)
    return WalkSpace(graph, SearchSpace("small", (Grid("hidden", (8,)),), WalkLimits(**limits)))


def distinct(space: WalkSpace) -> list[Candidate]:
    """One candidate of each architecture."""
    return list({c.fingerprint: c for c, _ in enumerate_space(space)}.values())


def test_no_dead_end_where_a_renewed_input_is_not_the_first() -> None:
    # The second b is new only if its a is; what the walk makes for the c before it mustn't take the steps for that.
    space = small(
        FunctionNode("make_a", "mlp", ("hits",), "a"),
        FunctionNode("make_d", "mlp", ("hits",), "d"),
        FunctionNode("spend", "mlp", ("d",), "d"),
        FunctionNode("make_c", "mlp", ("d",), "c", weights="shared"),
        FunctionNode("turn", "mlp", ("c", "a"), "b", weights="shared"),
        FunctionNode("sum", "add", ("b", "b"), "out"),
        max_steps=9, max_walks=1, extra=(2,),
    )  # fmt: skip
    candidates = distinct(space)
    assert candidates
    assert all(len(set(step.inputs)) == len(step.inputs) for c in candidates for step in c.graph.steps)


def test_a_target_that_is_the_first_data_node_has_menus_of_its_own() -> None:
    # Menus of walks and of reverse walks were kept under one key where the target's number reads as a truth value.
    data = (DataNode("out", "node", 4), DataNode("hits", "node", field="x"), DataNode("a", "node", 4))
    functions = (
        FunctionNode("encode", "mlp", ("hits",), "a"),
        FunctionNode("update", "mlp", ("a", "a"), "a"),
        FunctionNode("end", "mlp", ("a",), "out"),
    )
    graph = FunctionGraph("small", data, functions, ("hits",), ("out",))
    limits = WalkLimits(max_steps=6, max_walks=1, extra=(4,))
    space = WalkSpace(graph, SearchSpace("small", (Grid("hidden", (8,)),), limits))
    for candidate, _ in enumerate_space(space):
        assert_useful(space, candidate.graph)


def test_no_two_values_have_one_name() -> None:
    data = [DataNode("x0", "node", field="x"), *(DataNode(n, "node", 4) for n in ("x", "x1"))]
    functions = (
        FunctionNode("start", "mlp", ("x0",), "x"),
        FunctionNode("more", "mlp", ("x",), "x"),
        FunctionNode("turn", "mlp", ("x", "x1"), "x"),
        FunctionNode("end", "mlp", ("x",), "x1"),
    )
    graph = FunctionGraph("names", tuple(data), functions, ("x0",), ("x1",))
    limits = WalkLimits(max_steps=20, max_walks=3, extra=(12, 3), recurrence=1)
    space = WalkSpace(graph, SearchSpace("small", (Grid("hidden", (8,)),), limits))
    for seed in range(30):
        assert_candidate(space, space(checked(even_choices(random.Random(seed)))))


def test_a_choice_has_each_value_once() -> None:
    with pytest.raises(InputError, match=r"end\.params\.layers\.choice: has 1, 2, 1; allowed: each value once"):
        small(FunctionNode("end", "mlp", ("hits",), "out", (("layers", Choice((1, 2, 1))),)))


def test_a_loop_over_the_limit_takes_along_what_only_it_made_different() -> None:
    # A head differs from its first value, so another step like that one may follow; without the loop they are twins.
    space = small(
        FunctionNode("encode", "mlp", ("hits",), "a", weights="shared"),
        FunctionNode("update", "mlp", ("a",), "a"),
        FunctionNode("end", "mlp", ("a",), "out"),
        max_steps=7, max_walks=3, extra=(1, 1), iterations=(3,), max_executed=8,
    )  # fmt: skip
    dropped = 0
    for candidate, _ in enumerate_space(space):
        assert_candidate(space, candidate)
        dropped += candidate.events["loops over the limit of executed steps"]
    assert dropped


def test_recurrences_do_not_join_loops_through_back_edges() -> None:
    # A loop that reads another through its head's back edge only is closed to what the other's target precedes, too.
    space = small(
        FunctionNode("enc", "mlp", ("hits",), "a"),
        FunctionNode("mix", "mlp", ("a", "b"), "b"),
        FunctionNode("back", "mlp", ("a", "b"), "a"),
        FunctionNode("start", "mlp", ("hits",), "b"),
        FunctionNode("end", "mlp", ("b",), "out"),
        max_steps=14, max_walks=4, extra=(2, 1), iterations=(1,), max_executed=99,
    )  # fmt: skip
    answers = {"another": "go on", "walk": "recurrence", "shortcut": "no step"}
    for seed in range(150):
        even = even_choices(random.Random(seed))

        def loops_only(point: Point, labels: Sequence[str], weights: Sequence[float], even: Choose = even) -> int:
            answer = answers.get(point.kind)
            return labels.index(answer) if answer in labels else even(point, labels, weights)

        assert_loops(space(loops_only))


@pytest.mark.parametrize(("latest", "ratio"), [(0.0, 1.0), (0.6, 0.4), (1.0, 0.0)])
def test_later_values_are_likelier_to_be_read(latest: float, ratio: float) -> None:
    """Each value has the weight of the next one times 1 - latest."""
    limits = SearchSpace.load("small")
    limits = replace(limits, walk=replace(limits.walk, latest=latest))
    seen: list[Sequence[float]] = []
    for seed in range(30):
        even = even_choices(random.Random(seed))

        def watched(point: Point, labels: Sequence[str], weights: Sequence[float], even: Choose = even) -> int:
            if point.kind == "value":
                seen.append(weights)
            return even(point, labels, weights)

        WalkSpace(FunctionGraph.load("tracking"), limits)(watched)
    assert max(map(len, seen)) > 3
    for weights in seen:
        assert weights[-1] == 1.0
        pairs = [(weight, later) for weight, later in itertools.pairwise(weights) if later]
        assert [weight / later for weight, later in pairs] == pytest.approx([ratio] * len(pairs))


def test_long_loops_are_likelier() -> None:
    seen = []
    for seed in range(30):
        even = even_choices(random.Random(seed))

        def watched(point: Point, labels: Sequence[str], weights: Sequence[float], even: Choose = even) -> int:
            if point.kind == "iterations":
                seen.append((labels, weights))
            return even(point, labels, weights)

        WalkSpace(FunctionGraph.load("tracking"), SearchSpace.load("small"))(watched)
    assert max(len(labels) for labels, _ in seen) == 5
    assert all(list(weights) == [float(label) for label in labels] for labels, weights in seen)


@pytest.mark.parametrize("seed", [0, 1])
def test_distribution_of_the_default(seed: int) -> None:
    sampler = RandomSampler(WalkSpace(FunctionGraph.load("tracking"), SearchSpace.load("full")), seed)
    candidates = [sampler.draw(number, 0) for number in range(1000)]
    assert len({c.fingerprint for c in candidates}) >= 600
    assert sum(len(c.graph.steps) for c in candidates) >= 6 * 1000
    counts = Counter(event for c in candidates for event, number in c.events.items() if number)
    for event in ("reverse walks", "recurrences", "branches"):
        assert counts[event] >= 200, event


@pytest.mark.long
def test_many_function_graphs() -> None:
    for seed in range(1000, 11_000):
        rng, space = random_space(seed)
        assert_candidate(space, space(checked(even_choices(rng))))


@pytest.mark.long
@pytest.mark.parametrize("name", BUNDLED)
def test_many_walks_of_bundled_function_graphs(name: str) -> None:
    for seed in range(5_000):
        rng = random.Random(seed)
        space = walk_space(rng, FunctionGraph.load(name), room=30)
        assert_candidate(space, space(checked(even_choices(rng))))
