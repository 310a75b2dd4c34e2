"""Weights that a child starts from: which of the parent's, and that they are really those."""

import random
from collections import Counter
from dataclasses import replace

import pytest
import torch
from graphs import random_graph
from hypothesis import given
from hypothesis import strategies as st
from strategies import computation_graph

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.matching import matching, names_of
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import BackEdge, DataType, Step
from archioptrx.networks.compile import Model, compile_model
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace
from archioptrx.training.trial import weights_of
from archioptrx.training.weight_inheritance import inherit

TRACKING = WalkSpace(FunctionGraph.load("tracking"), SearchSpace.load("small"))
SEEDS = st.integers(0, 10**6)


def drawn(seed: int) -> Candidate:
    """A random architecture of `tracking`."""
    candidate: Candidate = TRACKING(random_choices(seed))
    return candidate


def names(graph: ComputationGraph) -> set[str]:
    """Of all weights."""
    return {name for step in names_of(graph) for name in step}


def shuffled(graph: ComputationGraph, rng: random.Random) -> ComputationGraph:
    """The same graph with steps in another allowed order and other names of weights."""
    count = len(graph.sources)
    order: list[int] = []
    while len(order) < len(graph.steps):
        known = {*range(count), *(i + count for i in order)}
        ready = [i for i, s in enumerate(graph.steps) if i not in order and known.issuperset(s.inputs)]
        order.append(rng.choice(ready))
    new = {**{v: v for v in range(count)}, **{step + count: i + count for i, step in enumerate(order)}}
    old = sorted({step.weights for step in graph.steps} - {""})
    called = {name: f"w{i}" for i, name in enumerate(rng.sample(old, len(old)))}
    steps = [graph.steps[i] for i in order]
    return ComputationGraph(
        graph.types,
        graph.sources,
        tuple(replace(s, inputs=tuple(new[v] for v in s.inputs), weights=called.get(s.weights, "")) for s in steps),
        tuple(BackEdge(new[e.carried], new[e.head], e.iterations) for e in graph.back_edges),
        tuple(new[t] for t in graph.targets),
    )


def built(graph: ComputationGraph, seed: int, hidden: int = 6) -> Model:
    """A network with random weights, in evaluation."""
    torch.manual_seed(seed)
    values = {"hidden": hidden, "depth": 2, "activation": "tanh"}
    return compile_model(graph, values, {"hits": 3, "doublet": 5}).eval()


@given(SEEDS)
def test_a_graph_agrees_with_itself_by_name(seed):
    graph = drawn(seed).graph
    assert matching(graph, graph) == {name: name for name in names(graph)}


@given(SEEDS)
def test_of_any_two_graphs_no_two_weights_start_from_the_same(seed):
    child, parent = drawn(seed).graph, drawn(seed + 1).graph
    found = matching(child, parent)
    assert set(found) <= names(child) and set(found.values()) <= names(parent)
    assert len(set(found.values())) == len(found)
    mine, its = functions(child), functions(parent)
    assert all(mine[one] == its[other] for one, other in found.items())
    left = Counter(mine[n] for n in set(mine) - set(found)), Counter(its[n] for n in set(its) - set(found.values()))
    assert not left[0] & left[1], "two weights of one function are left over"


def functions(graph: ComputationGraph) -> dict[str, str]:
    """Function of each name of weights."""
    return {n: step.function for step, ns in zip(graph.steps, names_of(graph), strict=True) for n in ns}


@given(SEEDS)
def test_the_same_graph_in_another_order_computes_the_same_with_what_it_inherits(seed):
    rng = random.Random(seed)
    graph = computation_graph(rng, steps=10)
    graph = replace(graph, steps=tuple(replace(step, function=step.block) for step in graph.steps)).pruned()
    other = shuffled(graph, rng)
    parent, child = built(graph, 1), built(other, 2)
    told = inherit(child, graph, weights_of(parent))
    assert set(matching(other, graph)) == names(other)
    assert told.tensors == len(child.state_dict())
    assert told.share == (1.0 if list(child.parameters()) else 0.0)
    data = random_graph(seed)
    for mine, its in zip(outputs(child, data), outputs(parent, data), strict=True):
        torch.testing.assert_close(mine, its)


def outputs(model: Model, data: object) -> tuple[torch.Tensor, ...]:
    """The targets of a model."""
    result = model(data)
    return result if isinstance(result, tuple) else (result,)


@given(SEEDS)
def test_one_more_step_leaves_the_others_their_weights(seed):
    """A norm between any value and those who read it."""
    rng = random.Random(seed)
    graph = drawn(seed).graph
    count = len(graph.sources)
    at = rng.choice(range(count, count + len(graph.steps)))
    new = [v if v <= at else v + 1 for v in range(len(graph.values))]
    steps = [replace(s, inputs=tuple(at + 1 if v == at else new[v] for v in s.inputs)) for s in graph.steps]
    made = graph.steps[at - count]
    steps.insert(at - count + 1, Step("extra", "norm", (at,), made.type, (), "extra"))
    edges = tuple(BackEdge(new[e.carried], new[e.head], e.iterations) for e in graph.back_edges)
    targets = tuple(at + 1 if t == at else new[t] for t in graph.targets)
    child = ComputationGraph(graph.types, graph.sources, tuple(steps), edges, targets)
    for found in (matching(child, graph), matching(graph, child)):
        assert set(found) == set(found.values()) == names(graph)
        # Only twins may stand in for each other.
        made = makings(graph)
        assert all(made[one] == made[other] for one, other in found.items() if one != other)


def makings(graph: ComputationGraph) -> dict[str, object]:
    """How what each weights give is made from the sources, step by step."""
    values: list[object] = list(graph.sources)
    for step in graph.steps:
        values.append((step.function, tuple(values[v] for v in step.inputs)))
    return {step.weights: value for step, value in zip(graph.steps, values[len(graph.sources) :], strict=True)}


X = DataType("x", "node", Width.of("hidden"))
HITS = DataType("hits", "node", Width.of("hits"), "x")
PARAMS = (("layers", 1),)


def mlps(*steps: tuple[str, tuple[int, ...]], loop: BackEdge | None = None, per_pass: bool = False) -> ComputationGraph:
    """A graph of the hits (value 0) and mlps, whose weights are called by function and number; `add` adds."""
    made = tuple(
        Step("add", "add", inputs, "x")
        if function == "add"
        else Step(function, "mlp", inputs, "x", PARAMS, f"{function}.{i}", per_pass)
        for i, (function, inputs) in enumerate(steps)
    )
    return ComputationGraph((HITS, X), ("hits",), made, (loop,) if loop else (), (len(steps),))


def test_a_step_in_the_middle_is_told_by_what_leads_to_it_or_by_what_follows():
    parent = mlps(("f", (0,)), ("f", (1,)), ("f", (2,)))
    child = mlps(("f", (0,)), ("g", (1,)), ("f", (2,)))
    # The last f of the child is the last of the parent, though it is the second of its function.
    assert matching(child, parent) == {"f.0": "f.0", "f.2": "f.2"}


def test_branches_that_look_alike_are_not_mixed_up():
    parent = mlps(("f", (0,)), ("f", (0,)), ("g", (1,)), ("g", (2,)), ("add", (3, 4)))
    child = mlps(("f", (0,)), ("f", (0,)), ("g", (2,)), ("g", (1,)), ("add", (3, 4)))
    found = matching(child, parent)
    assert found == {"f.0": "f.0", "g.3": "g.2", "f.1": "f.1", "g.2": "g.3"}


def test_of_two_alike_the_one_in_a_loop_is_that_in_a_loop():
    steps = (("f", (0,)), ("f", (0,)), ("g", (1,)), ("g", (2,)), ("add", (3, 4)))
    first, second = mlps(*steps, loop=BackEdge(3, 1, 2)), mlps(*steps, loop=BackEdge(4, 2, 2))
    assert matching(first, second) == {"f.0": "f.1", "f.1": "f.0", "g.2": "g.3", "g.3": "g.2"}


def test_the_rest_goes_by_function_in_order_and_what_has_no_like_starts_fresh():
    parent = mlps(("f", (0,)), ("g", (1,)), ("g", (2,)))
    child = mlps(("h", (0,)), ("g", (0, 1)), ("g", (0, 2)), ("g", (3,)), ("k", (4,)))
    assert matching(child, parent) == {"g.1": "g.1", "g.2": "g.2"}


def test_passes_are_paired_one_by_one():
    steps = (("f", (0,)), ("g", (1,)))
    two, four = (mlps(*steps, loop=BackEdge(2, 1, n), per_pass=True) for n in (1, 3))
    assert [len(n) for n in names_of(four)] == [1, 4]
    assert matching(two, four) == matching(four, two) == {"f.0": "f.0", "g.1.0": "g.1.0", "g.1.1": "g.1.1"}
    assert matching(mlps(*steps), four) == {"f.0": "f.0", "g.1": "g.1.0"}


def test_only_equal_shapes_are_copied():
    graph = drawn(3).graph
    small, large = built(graph, 1, hidden=6), built(graph, 2, hidden=8)
    before = {key: value.clone() for key, value in large.state_dict().items()}
    told = inherit(large, graph, weights_of(small))
    same = {key for key, value in small.state_dict().items() if value.shape == before[key].shape}
    assert same and told.tensors == len(same) < len(before)
    for key, value in large.state_dict().items():
        assert torch.equal(value, small.state_dict()[key] if key in same else before[key])
    sizes = {key: value.numel() for key, value in large.named_parameters()}
    assert told.share == pytest.approx(sum(sizes[key] for key in same) / sum(sizes.values()))
