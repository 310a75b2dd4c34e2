"""Identity of computation graphs: what keeps a fingerprint, what changes it, and graph isomorphism as an oracle."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from itertools import combinations, permutations

import networkx as nx
import processes
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from rewriting import FREE, SAME, any_order, away, mutations, renamed, shared_weights, shuffled, smaller_graphs, turned
from strategies import GRIDS, TYPES, computation_graph, even_choices, walk_space
from torch import Tensor
from torch_geometric.data import Data

from archioptrx.core.config import bundled_names
from archioptrx.graphs import fingerprint
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.nodes import DataNode, FunctionNode
from archioptrx.graphs.signatures import Hyperparameter, Width
from archioptrx.graphs.signatures.convolutions import CONVOLUTIONS, WEIGHT
from archioptrx.graphs.steps import BackEdge, DataType, Step
from archioptrx.networks.compile import compile_model
from archioptrx.sampling.partial_graph import PartialGraph
from archioptrx.sampling.search_space import SearchSpace, WalkLimits
from archioptrx.sampling.walk_tables import WalkTables

SEEDS = st.integers(0, 2**32 - 1)
BUNDLED = [FunctionGraph.load(name) for name in bundled_names("function_graphs")]
HIDDEN = Hyperparameter("hidden")
MIXING = FunctionGraph(
    "mixing",
    (DataNode("hits", "node", field="x"), DataNode("x", "node", HIDDEN),
     DataNode("score", "edge", "target")),
    (FunctionNode("encode", "mlp", ("hits",), "x"), FunctionNode("mix", "mlp", ("x", "x"), "x", weights="shared"),
     FunctionNode("edge_net", "mlp", ("x",), "score")),
    ("hits",), ("score",),
)  # fmt: skip
"""Steps of `mix` share their weights: `mix(a, b)` and `mix(b, a)` are two values."""

POOLED = FunctionGraph(
    "pooled",
    (DataNode("hits", "node", field="x"), DataNode("x", "node", HIDDEN, merge=("add",)),
     DataNode("coarse", "pooled", HIDDEN, merge=("add",)), DataNode("wide", "pooled"),
     DataNode("score", "edge", "target")),
    (FunctionNode("encode", "mlp", ("hits",), "x"), FunctionNode("best", "pool", ("x",), "coarse"),
     FunctionNode("soft", "pool", ("x",), "coarse", {"method": "diff", "clusters": 2}, weights="shared"),
     FunctionNode("sum", "add", ("coarse", "coarse"), "coarse"),
     FunctionNode("average", "mean", ("coarse", "coarse"), "coarse"),
     FunctionNode("mix", "mlp", ("coarse", "coarse"), "coarse", weights="shared"),
     FunctionNode("own", "mlp", ("coarse", "coarse"), "coarse"),
     FunctionNode("state", "gru", ("coarse", "coarse"), "coarse"),
     FunctionNode("join", "concat", ("coarse", "coarse"), "wide"), FunctionNode("narrow", "mlp", ("wide",), "coarse"),
     FunctionNode("unpool", "unpool", ("coarse",), "x"), FunctionNode("edge_net", "mlp", ("x",), "score")),
    ("hits",), ("score",),
)  # fmt: skip
"""Values of several poolings meet in every way."""


# The oracle: a labelled graph that is isomorphic to another one exactly where the architectures are the same.


def relevant(step: Step) -> dict[str, object]:
    """Parameters that have an effect."""
    parameters = step.all_params
    if step.block in ("mlp", "attention"):
        if parameters["layers"] == 1:
            del parameters["hidden"], parameters["activation"], parameters["dropout"]
        if parameters.get("activation", "none") == "none" == parameters["output_activation"]:
            del parameters["norm"]
    if step.block == "pyg" and CONVOLUTIONS[str(parameters["conv"])].edges != WEIGHT:
        parameters.pop("edge_activation", None)
    if step.block == "pool":
        used = {"topk": "ratio", "diff": "clusters"}.get(str(parameters["method"]), "")
        parameters = {key: value for key, value in parameters.items() if key in ("method", used)}
    return {key: float(v) if key == "dropout" and isinstance(v, int) else v for key, v in parameters.items()}


def encoded(graph: ComputationGraph) -> nx.DiGraph:
    """Steps, heads, groups of shared weights and their slots as nodes with labels; arrows for reading and sharing.

    Steps that are duplicates may be all that share weights: then they are one, and have them for themselves.
    """
    graph = graph.pruned()
    shared = shared_weights(graph)
    while True:
        network, members = encoded_with(graph, shared)
        if not (alone := {name for name in shared if len(members[name]) < 2}):
            return network
        shared -= alone


def encoded_with(graph: ComputationGraph, shared: set[str]) -> tuple[nx.DiGraph, dict[str, set[str]]]:
    """The same where these weights are shared; and the nodes of the steps of each set of weights."""
    count, network = len(graph.sources), nx.DiGraph()
    edges = {edge.head: edge for edge in graph.back_edges}
    known: dict[object, str] = {}
    places = smaller_graphs(graph)
    others = list(map(away, places))
    met = {place[0] for i, other in enumerate(others) if any(other) for row in places[i] for place in row if place}
    stands: dict[int, str] = {}  # the node that stands for a value where it is read
    members = defaultdict(set)

    def arrow(a: str, b: str, *arrow_kind: object) -> None:
        network.add_edge(a, b)
        network.edges[a, b]["kinds"] = tuple(sorted([*network.edges[a, b].get("kinds", ()), arrow_kind]))

    for value, name in enumerate(graph.sources):
        kind = graph.type[name]
        stands[value] = f"v{value}"
        network.add_node(stands[value], label=repr(("source", kind.field, kind.domain, str(kind.width))))
    for index, step in enumerate(graph.steps):
        value, kind = count + index, graph.type[step.type]
        inputs = [stands[v] for v in step.inputs]
        own = step.per_pass and step.block not in FREE and graph.passes[index] > 1
        label = repr((step.block, sorted(relevant(step).items(), key=repr), kind.domain, str(kind.width), own))
        weights = "" if step.block in FREE else step.weights or f"own {index}"
        node = f"v{value}"
        if step.block == "identity":
            node = inputs[0]
        else:
            unordered = any_order(graph, index, shared)
            pairs = list(zip(others[index], inputs, strict=True))
            key = (
                label,
                weights,
                unordered,
                *(sorted(pairs) if unordered else pairs),
                *([value] if value in met else []),
            )
            if known.setdefault(key, node) == node:
                network.add_node(node, label=label)
                for slot, (other, source) in enumerate(pairs):
                    if step.block == "mlp" and weights in shared:
                        port, place = f"{node} {slot}", f"slot {slot} of {weights}"
                        network.add_node(port, label="port")
                        network.add_node(place, label="slot")
                        arrow(source, port, "reads", other)
                        arrow(place, port, "is")
                        arrow(port, node, "reads")
                    else:
                        arrow(source, node, "reads", other, 0 if unordered else slot)
                members[weights].add(node)
            node = known[key]
        stands[value] = node
        if value in edges:
            stands[value] = f"head {value}"
            network.add_node(stands[value], label=repr(("head", kind.domain, str(kind.width))))
            arrow(node, stands[value], "first")
    for edge in graph.back_edges:
        head, still = stands[edge.head], stands[edge.carried] == stands[edge.head]
        if still and not any(edge.head - count in loop.once for loop in graph.loops):  # never changes: no head at all
            [first] = network.predecessors(head)
            for _, reader, kinds in list(network.out_edges(head, data="kinds")):
                for arrow_kind in kinds:
                    arrow(first, reader, *arrow_kind)
            network.remove_node(head)
            stands = {value: first if node == head else node for value, node in stands.items()}
        else:
            arrow(stands[edge.carried], head, "carried", edge.iterations)
    ends = [stands[target] for target in graph.targets]
    network = network.subgraph({*ends}.union(*(nx.ancestors(network, end) for end in ends))).copy()
    for position, end in enumerate(ends):
        network.nodes[end]["label"] += f" target {position}"
    for weights, nodes in members.items():
        if weights and len(shared := nodes & set(network)) > 1:
            network.add_node(f"weights {weights}", label="weights")
            for node in shared:
                network.add_edge(node, f"weights {weights}", kinds=(("shares",),))
    return network, members


def isomorphic(first: nx.DiGraph, second: nx.DiGraph) -> bool:
    return nx.is_isomorphic(first, second, lambda a, b: a["label"] == b["label"], lambda a, b: a["kinds"] == b["kinds"])


def sampled(rng: random.Random, only: FunctionGraph | None = None) -> ComputationGraph:
    """Half of them walks of function graphs, of which some share weights between steps; half any graphs.

    With `only`, walks of this function graph.
    """
    if only is not None:
        return walk_space(rng, only, room=12)(even_choices(rng)).graph
    if rng.random() < 0.5:
        return computation_graph(rng)
    function_graph = MIXING if rng.random() < 0.3 else rng.choice(BUNDLED)
    return walk_space(rng, function_graph, room=14)(even_choices(rng)).graph


def assert_same(rng: random.Random, only: FunctionGraph | None = None) -> None:
    graph = sampled(rng, only)
    # Pruning comes before contraction; where heads feed each other, the second may make an edge useless after all.
    allowed = SAME[:3] if any(len(loop.heads) > 1 for loop in graph.loops) else SAME
    for change in rng.sample(allowed, rng.randint(1, len(allowed))):
        changed = change(rng, graph)
        assert changed.fingerprint == graph.fingerprint, f"{change.__name__}\n{graph}\n\n{changed}"
        graph = changed


def assert_as_isomorphism(rng: random.Random, only: FunctionGraph | None = None) -> int:
    """A graph, its mutations and their mutations: equal fingerprints are isomorphism. Gives the number of pairs."""
    graph = sampled(rng, only)
    family = [graph, *mutations(rng, graph)]
    family += [next(mutations(rng, g)) for g in rng.sample(family, min(5, len(family)))]
    family += [rng.choice(SAME)(rng, g) for g in rng.sample(family, min(5, len(family)))]
    networks = [encoded(g) for g in family]
    pairs = [(0, i) for i in range(1, len(family))]
    pairs += rng.sample(list(combinations(range(1, len(family)), 2)), min(30, len(family) - 1))
    for i, j in pairs:
        equal = isomorphic(networks[i], networks[j])
        assert (family[i].fingerprint == family[j].fingerprint) == equal, f"{equal}\n{family[i]}\n\n{family[j]}"
    return len(pairs)


@given(SEEDS)
@example(158223125)  # two equal concat, of which the order of channels matters for one
def test_rewriting_keeps_the_fingerprint(seed: int) -> None:
    assert_same(random.Random(seed))


@pytest.mark.parametrize("seed", range(60))
def test_equal_fingerprints_are_isomorphism(seed: int) -> None:
    assert assert_as_isomorphism(random.Random(seed)) > 10


@pytest.mark.parametrize("seed", range(30))
def test_equal_fingerprints_are_isomorphism_where_poolings_meet(seed: int) -> None:
    assert_same(random.Random(seed), POOLED)
    assert_as_isomorphism(random.Random(seed), POOLED)


def network(*steps: tuple[str, tuple[int, ...]], back: tuple[BackEdge, ...] = (), **weights: str) -> ComputationGraph:
    """One source of nodes, value 0; step i gives value i + 1; the last is the target."""
    named_steps = [
        Step(f"f{i}", block, inputs, "x", (), "" if block in FREE else weights.get(f"w{i}", f"own{i}"))
        for i, (block, inputs) in enumerate(steps)
    ]
    return ComputationGraph(TYPES, ("hits",), tuple(named_steps), back, (len(steps),))


def rings(*sizes: int, block: str = "add") -> ComputationGraph:
    """Values in rings, neighbours summed, all averaged."""
    total, pairs, first = sum(sizes), list[tuple[int, int]](), 1
    for size in sizes:
        pairs += [(first + i, first + (i + 1) % size) for i in range(size)]
        first += size
    steps = [("mlp", (0,))] * total + [(block, pair) for pair in pairs]
    return network(*steps, ("mean", tuple(range(total + 1, 2 * total + 1))))


@pytest.mark.parametrize("block", ["add", "gru"])
@pytest.mark.parametrize(("first", "second"), [((6,), (3, 3)), ((8,), (5, 3)), ((7,), (4, 3)), ((4, 4), (5, 3))])
def test_rings_that_colours_alone_confuse(first: tuple[int, ...], second: tuple[int, ...], block: str) -> None:
    rng, (a, b) = random.Random(0), (rings(*sizes, block=block) for sizes in (first, second))
    assert a.fingerprint != b.fingerprint
    assert not isomorphic(encoded(a), encoded(b))
    for graph in (a, b):
        assert {shuffled(rng, turned(rng, graph)).fingerprint for _ in range(5)} == {graph.fingerprint}


def test_many_parallel_branches() -> None:
    # Every order of them is an automorphism: 20! leaves, of which few may be looked at.
    branches = [("mlp", (0,))] * 10 + [("norm", (i,)) for i in range(1, 11)]
    a = network(*branches, ("mean", tuple(range(11, 21))))
    b = network(*branches[:-1], ("norm", (1,)), ("mean", tuple(range(11, 21))))
    rng = random.Random(0)
    assert shuffled(rng, turned(rng, a)).fingerprint == a.fingerprint != b.fingerprint


def test_shared_weights_are_a_partition() -> None:
    def shared(*names: str) -> str:
        steps = [("mlp", (0,)), *[("mlp", (i,)) for i in range(1, 5)], ("mean", (2, 3, 4, 5))]
        return network(*steps, **{f"w{i + 1}": name for i, name in enumerate(names)}).fingerprint

    assert shared("a", "a", "b", "b") == shared("c", "c", "a", "a")
    assert len({shared(*names) for names in ("aabb", "abab", "abba", "aaab", "abcd", "aaaa")}) == 6


@pytest.mark.parametrize("block", ["mlp", "gru"])
def test_only_some_blocks_are_unordered(block: str) -> None:
    a, b = (network(("mlp", (0,)), ("norm", (1,)), (block, inputs)) for inputs in ((1, 2), (2, 1)))
    assert (a.fingerprint == b.fingerprint) == (block == "mlp")


def outputs(graph: ComputationGraph, orders: dict[str, tuple[int, ...]] | None = None) -> Tensor:
    """Output of a network of one source with the same weights each time; inputs of weights in another order."""
    model = compile_model(graph, {"hidden": 4, "activation": "tanh"}, {"hits": 4}).double()
    for name, weight in sorted(model.named_parameters()):
        generator = torch.Generator().manual_seed(sum(map(ord, name)))
        values = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        order = (orders or {}).get(name.split(".")[0])
        if order and name.endswith("layers.0.weight"):
            values = torch.cat([values.split(4, dim=1)[slot] for slot in order], dim=1)
        weight.data = values
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    result: Tensor = model(Data(x=x, edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]])))
    return result


P, Q, N = 2, 3, 4
"""Values of `meeting`: of a pooling, of another one, and one more on the smaller graph of the first."""


def meeting(block: str, inputs: tuple[int, ...], method: str = "diff") -> ComputationGraph:
    """Values of two poolings meet in a step."""
    types = (*TYPES, DataType("c", "pooled", Width.of("hidden")), DataType("wide", "pooled", Width.of("hidden") * 3))
    second = (("clusters", 2), ("method", method))
    steps = [
        Step("encode", "mlp", (0,), "x", (), "encode"), Step("p", "pool", (1,), "c", (), "best"),
        Step("q", "pool", (1,), "c", second, "second"), Step("n", "norm", (P,), "c", (), "norm"),
        Step("meet", block, inputs, "wide" if block == "concat" else "c", (), "mix" if block == "mlp" else ""),
    ]  # fmt: skip
    if block == "concat":
        steps.append(Step("narrow", "mlp", (5,), "c", (), "mix"))
    steps.append(Step("back", "unpool", (len(steps),), "x"))
    return ComputationGraph(types, ("hits",), tuple(steps), (), (len(steps),)).pruned()


@pytest.mark.parametrize("method", ["diff", "topk", "edge"])
@pytest.mark.parametrize("block", ["add", "mean", "mlp", "concat"])
def test_where_values_of_two_poolings_meet_the_pooling_of_the_first_counts(block: str, method: str) -> None:
    orders = list(permutations((P, Q, N)))
    graphs = [meeting(block, order, method) for order in orders]
    results = [outputs(g, {"mix": tuple(map((P, Q, N).index, o))}) for g, o in zip(graphs, orders, strict=True)]
    for (i, a), (j, b) in combinations(enumerate(graphs), 2):
        same = (orders[i][0] == Q) == (orders[j][0] == Q)
        assert (a.fingerprint == b.fingerprint) == same == torch.allclose(results[i], results[j], atol=1e-12)
        assert isomorphic(encoded(a), encoded(b)) == same


@pytest.mark.parametrize("block", ["add", "mean", "mlp"])
def test_on_one_smaller_graph_the_order_is_free(block: str) -> None:
    assert meeting(block, (P, N)).fingerprint == meeting(block, (N, P)).fingerprint


def test_poolings_that_can_be_exchanged_leave_the_order_free() -> None:
    a, b = (meeting("add", pair, "topk") for pair in ((P, Q), (Q, P)))
    assert a.fingerprint == b.fingerprint
    assert isomorphic(encoded(a), encoded(b))


def test_a_head_lies_on_another_smaller_graph_in_each_pass() -> None:
    """Where the carried value lies on the head's graph, the order is free; where it is of another pooling, it isn't."""

    def fingerprints_of(carried: tuple[int, ...], iterations: int = 2) -> list[str]:
        graph, found = meeting("add", (P, N)), []
        for inputs in ((2, 6), (6, 2)):
            head = Step("head", "norm", (2,), "c", (), "first")  # value 4, after two poolings
            second = Step("q", "pool", (1,), "c", (("clusters", 2), ("method", "diff")), "second")
            body = [Step("carried", "add", carried, "c"), Step("same", "norm", (4,), "c", (), "inner")]
            tail = [Step("meet", "add", inputs, "c"), Step("back", "unpool", (7,), "x")]
            steps = (*graph.steps[:2], second, head, *body, *tail)
            found.append(
                replace(graph, steps=steps, back_edges=(BackEdge(5, 4, iterations),), targets=(8,)).fingerprint
            )
        return found

    free, bound = fingerprints_of((4, 3)), fingerprints_of((3, 4))
    assert free[0] == free[1]
    assert bound[0] != bound[1]
    assert len(set(fingerprints_of((3, 4), iterations=10**9))) == 2


def test_equal_poolings_are_two_where_their_values_meet() -> None:
    def pooled_twice(*reads: int) -> ComputationGraph:
        """Two poolings with the same weights of the same hits, values 2 and 3; a sum of one and of a norm of one."""
        step = Step("p", "pool", (1,), "c", (("method", "edge"),), "shared")
        steps = [
            Step("encode", "mlp", (0,), "x", (), "encode"),
            step,
            step,
            Step("n", "norm", reads[:1], "c", (), "norm"),
        ]
        steps += [Step("meet", "add", (4, *reads[1:]), "c"), Step("back", "unpool", (5,), "x")]
        return replace(meeting("add", (P, N)), steps=tuple(steps), targets=(6,)).pruned()

    single, double, other = pooled_twice(2, 2), pooled_twice(2, 3), pooled_twice(3, 3)
    assert single.fingerprint == other.fingerprint != double.fingerprint
    assert not torch.allclose(outputs(single), outputs(double))
    assert not isomorphic(encoded(single), encoded(double))


def test_the_walk_keeps_both_orders_apart_where_poolings_meet() -> None:
    tables = WalkTables.of(POOLED, SearchSpace("small", GRIDS, WalkLimits()))
    f = {function.name: function for function in tables.functions}
    graph = PartialGraph(tables)
    x = graph.step(f["encode"], (0,), ())
    p, q = graph.step(f["best"], (x,), ()), graph.step(f["soft"], (x,), ())
    n = graph.step(f["sum"], (p, q), ())
    assert graph.step(f["sum"], (p, q), ()) == n != graph.step(f["sum"], (q, p), ())
    assert graph.step(f["sum"], (n, p), ()) == graph.step(f["sum"], (p, n), ())
    twin = graph.step(f["average"], (n, p), ())
    graph.add_loop(n, graph.step(f["sum"], (n, q), ()), [])
    assert graph.step(f["average"], (n, p), ()) == twin != graph.step(f["average"], (p, n), ())


ENCODERS = [("mlp", (0,)), ("mlp", (0,))]
CHAIN = [("mlp", (0,)), ("mlp", (1,))]
"""Two values that can't be exchanged."""


def mixes(*pairs: tuple[int, int], own: bool = False) -> ComputationGraph:
    """Values 1 and 2 mixed in these orders by shared weights, and added up."""
    steps = [*ENCODERS, *(("mlp", pair) for pair in pairs), ("add", tuple(range(3, 3 + len(pairs))))]
    return network(*steps, **({} if own else {f"w{2 + i}": "mix" for i in range(len(pairs))}))


def test_steps_that_share_weights_have_one_order_of_inputs_in_common() -> None:
    both, turned_around, twice = mixes((1, 2), (2, 1)), mixes((2, 1), (1, 2)), mixes((1, 2), (1, 2))
    assert both.fingerprint == turned_around.fingerprint != twice.fingerprint
    torch.testing.assert_close(outputs(both), outputs(turned_around, {"mix": (1, 0)}))
    assert not torch.allclose(outputs(both), outputs(twice))
    assert not isomorphic(encoded(both), encoded(twice))
    assert mixes((1, 2), (2, 1), own=True).fingerprint == mixes((1, 2), (1, 2), own=True).fingerprint


def test_duplicates_have_their_weights_for_themselves() -> None:
    single = network(*ENCODERS, ("mlp", (1, 2)), ("norm", (3,)))
    for pair in ((1, 2), (2, 1)):
        twice = network(*ENCODERS, ("mlp", pair), ("mlp", pair), ("norm", (4,)), w2="mix", w3="mix")
        assert twice.fingerprint == single.fingerprint


@pytest.mark.parametrize(
    ("reader", "free"),
    [
        ([("mlp", (3,))], True),
        ([("norm", (3,)), ("mlp", (4,))], True),
        ([("gru", (3, 1))], True),
        ([("gru", (1, 3))], False),
        ([("concat", (2, 1)), ("add", (3, 4)), ("mlp", (5,))], False),
        ([("concat", (1, 2)), ("mean", (3, 4)), ("norm", (5,)), ("mlp", (6,))], False),
        ([], False),
    ],
)
def test_joined_channels_have_an_order_where_something_meets_it(reader, free: bool) -> None:
    a, b = (network(*CHAIN, ("concat", pair), *reader) for pair in ((1, 2), (2, 1)))
    assert (a.fingerprint == b.fingerprint) == free == isomorphic(encoded(a), encoded(b))


def test_a_loop_that_carries_joined_channels_has_their_order() -> None:
    steps = [*CHAIN, ("mlp", (1, 2)), ("concat", (1, 3)), ("mlp", (4,))]
    a, b = (network(*steps[:3], ("concat", pair), steps[4], back=(BackEdge(4, 3, 2),)) for pair in ((1, 3), (3, 1)))
    assert a.fingerprint != b.fingerprint


def test_interchangeable_steps_cost_a_polynomial_number_of_refinements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders with a norm each behind them, so that they are no mere copies: n² / 2 leaves' paths, not n³ / 6."""
    refinements = 0

    def counted(reduced: fingerprint._Reduced, colours: list[int]) -> list[int]:
        nonlocal refinements
        refinements += 1
        return refine(reduced, colours)

    refine = fingerprint._refine
    monkeypatch.setattr(fingerprint, "_refine", counted)
    for number in (8, 16, 32):
        branches = [("mlp", (0,))] * number + [("norm", (i,)) for i in range(1, number + 1)]
        refinements = 0
        assert network(*branches, ("mean", tuple(range(number + 1, 2 * number + 1)))).fingerprint
        assert refinements <= number * (number + 3) / 2


def test_the_order_of_back_edges_is_none() -> None:
    edges = (BackEdge(5, 1, 2), BackEdge(5, 2, 2), BackEdge(1, 3, 2))
    steps = [("mlp", (0,))] * 3 + [("mlp", (1, 2)), ("gru", (4, 3))]
    assert len({network(*steps, back=(edges[i], edges[j], edges[3 - i - j])).fingerprint
                for i in range(3) for j in range(3) if i != j}) == 1  # fmt: skip


def test_a_loop_has_weights_per_pass_only_where_it_has_passes() -> None:
    def per_pass_fingerprint(graph: ComputationGraph, index: int) -> str:
        step = replace(graph.steps[index], per_pass=True)
        return replace(graph, steps=(*graph.steps[:index], step, *graph.steps[index + 1 :])).fingerprint

    graph = network(("mlp", (0,)), ("mlp", (1,)), ("mlp", (2,)), back=(BackEdge(2, 1, 1),))
    assert [per_pass_fingerprint(graph, index) == graph.fingerprint for index in range(3)] == [True, False, True]


def test_equal_numbers_and_mappings_that_compare_equal() -> None:
    def fingerprint_of(block: str, **params: object) -> str:
        graph = network((block, (0,)))
        return replace(graph, steps=(replace(graph.steps[0], params=tuple(params.items())),)).fingerprint

    assert fingerprint_of("mlp", dropout=0) == fingerprint_of("mlp", dropout=0.0) == fingerprint_of("mlp")
    assert fingerprint_of("pyg", arguments=(("heads", 1),)) != fingerprint_of("pyg", arguments=(("heads", True),))


def test_widths_count_and_names_of_types_do_not() -> None:
    graph = network(("mlp", (0,)))
    wide = replace(graph, types=(TYPES[0], DataType("x", "node", Width.of("hidden") * 2)))
    assert wide.fingerprint != graph.fingerprint
    assert renamed(random.Random(0), graph).fingerprint == graph.fingerprint


GOLDEN = {
    "one step": network(("mlp", (0,))),
    "a loop": network(("mlp", (0,)), ("mlp", (1,)), back=(BackEdge(2, 1, 3),)),
    "six in a ring": rings(6),
}


def fingerprints() -> list[str]:
    walks = [sampled(random.Random(seed)).fingerprint for seed in range(40)]
    return [graph.fingerprint for graph in GOLDEN.values()] + walks


def test_equal_in_another_process() -> None:
    assert processes.python("import test_fingerprint as t; print(*t.fingerprints())").split() == fingerprints()


def test_golden_fingerprints() -> None:
    # They stand in the run folders of searches: a change here makes those searches repeat themselves.
    assert {name: graph.fingerprint for name, graph in GOLDEN.items()} == {
        "one step": "177cb8af84eff27553a31031ce318b68",
        "a loop": "d99a6ed7f16ede47496a1438023afb25",
        "six in a ring": "b50347868102b8613f07db17311c9177",
    }


@pytest.mark.long
def test_many_families() -> None:
    pairs = 0
    for seed in range(1000, 2500):
        assert_same(random.Random(seed))
        pairs += assert_as_isomorphism(random.Random(seed))
    assert pairs > 50_000


@pytest.mark.long
def test_many_families_where_poolings_meet() -> None:
    pairs = 0
    for seed in range(1000, 1500):
        assert_same(random.Random(seed), POOLED)
        pairs += assert_as_isomorphism(random.Random(seed), POOLED)
    assert pairs > 10_000


@pytest.mark.long
def test_samples_of_steps_that_share_weights() -> None:
    """Equal fingerprints hold isomorphic networks only, and different ones none."""
    classes: dict[str, list[nx.DiGraph]] = {}
    for seed in range(4000):
        rng = random.Random(seed)
        graph = walk_space(rng, MIXING, room=10)(even_choices(rng)).graph
        classes.setdefault(graph.fingerprint, []).append(encoded(graph))
    assert len(classes) >= 109
    for members in classes.values():
        assert all(isomorphic(members[0], other) for other in members[1:])
    firsts = [members[0] for members in classes.values()]
    by_size = defaultdict(list)
    for first in firsts:
        by_size[len(first), first.number_of_edges()].append(first)
    for alike in by_size.values():
        assert not any(isomorphic(a, b) for a, b in combinations(alike, 2))
