"""Identity of computation graphs: what keeps a fingerprint, what changes it, and graph isomorphism as an oracle."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from itertools import combinations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rewriting import FREE, SAME, UNORDERED, mutations, renamed, shuffled, turned
from strategies import TYPES, computation_graph, even_choices, walk_space

from archioptrx.core.config import bundled_names
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import BackEdge, DataType, Step

SEEDS = st.integers(0, 2**32 - 1)
BUNDLED = [FunctionGraph.load(name) for name in bundled_names("function_graphs")]


# The oracle: a labelled graph that is isomorphic to another one exactly where the architectures are the same.


def relevant(step: Step) -> dict[str, object]:
    """Parameters that have an effect."""
    given = step.all_params
    if step.block in ("mlp", "attention"):
        if given["layers"] == 1:
            del given["hidden"], given["activation"], given["dropout"]
        if given.get("activation", "none") == "none" == given["output_activation"]:
            del given["norm"]
    if step.block == "pool":
        used = {"topk": "ratio", "diff": "clusters"}.get(str(given["method"]), "")
        given = {key: value for key, value in given.items() if key in ("method", used)}
    return {key: float(v) if key == "dropout" and isinstance(v, int) else v for key, v in given.items()}


def encoded(graph: ComputationGraph) -> nx.DiGraph:
    """Steps, heads and groups of shared weights as nodes with labels; what is read, carried and shared as arrows."""
    graph = graph.pruned()
    count, network = len(graph.sources), nx.DiGraph()
    edges = {edge.head: edge for edge in graph.back_edges}
    known: dict[object, str] = {}
    stands: dict[int, str] = {}  # the node that stands for a value where it is read
    members = defaultdict(set)

    def arrow(a: str, b: str, *what: object) -> None:
        network.add_edge(a, b)
        network.edges[a, b]["kinds"] = tuple(sorted([*network.edges[a, b].get("kinds", ()), what]))

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
            key = (label, weights, *(sorted(inputs) if step.block in UNORDERED else inputs))
            if known.setdefault(key, node) == node:
                network.add_node(node, label=label)
                for slot, source in enumerate(inputs):
                    arrow(source, node, "reads", 0 if step.block in UNORDERED else slot)
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
                for what in kinds:
                    arrow(first, reader, *what)
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
    return network


def isomorphic(one: nx.DiGraph, other: nx.DiGraph) -> bool:
    return nx.is_isomorphic(one, other, lambda a, b: a["label"] == b["label"], lambda a, b: a["kinds"] == b["kinds"])


def sampled(rng: random.Random) -> ComputationGraph:
    """Half of them walks of the bundled function graphs, half any graphs."""
    if rng.random() < 0.5:
        return computation_graph(rng)
    return walk_space(rng, rng.choice(BUNDLED), room=14)(even_choices(rng)).graph


def assert_same(rng: random.Random) -> None:
    graph = sampled(rng)
    # Pruning comes before contraction; where heads feed each other, the second may make an edge useless after all.
    allowed = SAME[:3] if any(len(loop.heads) > 1 for loop in graph.loops) else SAME
    for change in rng.sample(allowed, rng.randint(1, len(allowed))):
        changed = change(rng, graph)
        assert changed.fingerprint == graph.fingerprint, f"{change.__name__}\n{graph}\n\n{changed}"
        graph = changed


def assert_as_isomorphism(rng: random.Random) -> int:
    """A graph, its mutations and their mutations: equal fingerprints are isomorphism. Gives the number of pairs."""
    graph = sampled(rng)
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
def test_rewriting_keeps_the_fingerprint(seed: int) -> None:
    assert_same(random.Random(seed))


@pytest.mark.parametrize("seed", range(60))
def test_equal_fingerprints_are_isomorphism(seed: int) -> None:
    assert assert_as_isomorphism(random.Random(seed)) > 10


def network(*steps: tuple[str, tuple[int, ...]], back: tuple[BackEdge, ...] = (), **weights: str) -> ComputationGraph:
    """One source of nodes, value 0; step i gives value i + 1; the last is the target."""
    made = [
        Step(f"f{i}", block, inputs, "x", (), "" if block in FREE else weights.get(f"w{i}", f"own{i}"))
        for i, (block, inputs) in enumerate(steps)
    ]
    return ComputationGraph(TYPES, ("hits",), tuple(made), back, (len(steps),))


def rings(*sizes: int, block: str = "add") -> ComputationGraph:
    """Values in rings, neighbours summed, all averaged."""
    total, pairs, first = sum(sizes), list[tuple[int, int]](), 1
    for size in sizes:
        pairs += [(first + i, first + (i + 1) % size) for i in range(size)]
        first += size
    steps = [("mlp", (0,))] * total + [(block, pair) for pair in pairs]
    return network(*steps, ("mean", tuple(range(total + 1, 2 * total + 1))))


@pytest.mark.parametrize("block", ["add", "gru"])
@pytest.mark.parametrize(("one", "other"), [((6,), (3, 3)), ((8,), (5, 3)), ((7,), (4, 3)), ((4, 4), (5, 3))])
def test_rings_that_colours_alone_confuse(one: tuple[int, ...], other: tuple[int, ...], block: str) -> None:
    rng, (a, b) = random.Random(0), (rings(*sizes, block=block) for sizes in (one, other))
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


def test_the_order_of_back_edges_is_none() -> None:
    edges = (BackEdge(5, 1, 2), BackEdge(5, 2, 2), BackEdge(1, 3, 2))
    steps = [("mlp", (0,))] * 3 + [("mlp", (1, 2)), ("gru", (4, 3))]
    assert len({network(*steps, back=(edges[i], edges[j], edges[3 - i - j])).fingerprint
                for i in range(3) for j in range(3) if i != j}) == 1  # fmt: skip


def test_a_loop_has_weights_per_pass_only_where_it_has_passes() -> None:
    def one(graph: ComputationGraph, index: int) -> str:
        step = replace(graph.steps[index], per_pass=True)
        return replace(graph, steps=(*graph.steps[:index], step, *graph.steps[index + 1 :])).fingerprint

    graph = network(("mlp", (0,)), ("mlp", (1,)), ("mlp", (2,)), back=(BackEdge(2, 1, 1),))
    assert [one(graph, index) == graph.fingerprint for index in range(3)] == [True, False, True]


def test_equal_numbers_and_mappings_that_compare_equal() -> None:
    def made(block: str, **params: object) -> str:
        graph = network((block, (0,)))
        return replace(graph, steps=(replace(graph.steps[0], params=tuple(params.items())),)).fingerprint

    assert made("mlp", dropout=0) == made("mlp", dropout=0.0) == made("mlp")
    assert made("pyg", arguments=(("heads", 1),)) != made("pyg", arguments=(("heads", True),))


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


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_equal_in_another_process(hash_seed: str) -> None:
    code = "import test_fingerprint as t; print(*t.fingerprints())"
    path = os.pathsep.join(p for p in (os.path.dirname(__file__), *sys.path) if p)
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.split() == fingerprints()


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
