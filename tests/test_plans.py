"""Plans are never too cheap, and leave out nothing that a walk could reach: both by looking at everything."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest
from strategies import GRIDS, function_graph, walk_space

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.nodes import DataNode, FunctionNode
from archioptrx.graphs.signatures import Choice, Hyperparameter
from archioptrx.graphs.steps import Step
from archioptrx.sampling.samplers import enumerate_space
from archioptrx.sampling.search_space import SearchSpace, WalkLimits
from archioptrx.sampling.walk import WalkSpace

HIDDEN = Hyperparameter("hidden")
Params = tuple[tuple[str, object], ...]
Taken = tuple[FunctionNode, tuple[int, ...], Params]


def assert_sound(seed: int, most: int) -> int:
    """However a walk goes on, it ends: every path of decisions of a small space. Gives their number."""
    rng = random.Random(seed)
    space = walk_space(rng, function_graph(rng, rng.randint(1, 4)), room=3)
    limits = replace(space.search_space.walk, max_walks=rng.randint(1, 3), extra=(2, 1), iterations=(1,))
    space = WalkSpace(space.function_graph, replace(space.search_space, walk=limits))
    fixed = ("hyperparameter",)
    paths = 0
    for candidate, _ in islice(enumerate_space(space, fixed=fixed), most):  # a dead end raises
        assert len(candidate.graph.steps) <= limits.max_steps
        paths += 1
    return paths


@pytest.mark.parametrize("seed", range(40))
def test_every_path_of_decisions_ends(seed: int) -> None:
    assert assert_sound(seed, 150)


def allowed(graph: FunctionGraph, most: int) -> set[str]:
    """Fingerprints of all graphs without loops up to some steps: each step of any function on any values so far."""
    fingerprints = set[str]()
    space = WalkSpace(graph, SearchSpace("any", GRIDS, WalkLimits(max_steps=most)))
    sources = list(graph.sources)

    def grow(kinds: list[str], steps: list[Taken]) -> None:
        if steps and kinds[-1] == graph.targets[0]:
            graph_steps = [_step(f, inputs, params, i) for i, (f, inputs, params) in enumerate(steps)]
            whole = ComputationGraph(space.tables.types, tuple(sources), tuple(graph_steps), (), (len(kinds) - 1,))
            if len(whole.pruned().steps) == len(steps):
                fingerprints.add(whole.fingerprint)
        if len(steps) == most:
            return
        for f in graph.functions:
            slots = [[v for v, kind in enumerate(kinds) if kind == name] for name in f.inputs]
            for inputs, params in itertools.product(itertools.product(*slots), _params(f)):
                if _allowed(f, inputs, params, steps, len(sources)):
                    grow([*kinds, f.output], [*steps, (f, inputs, params)])

    grow(sources, [])
    return fingerprints


def _params(f: FunctionNode) -> list[Params]:
    options = [[(k, o) for o in (v.options if isinstance(v, Choice) else (v,))] for k, v in f.params]
    return [tuple(sorted(chosen)) for chosen in itertools.product(*options)]


def _step(f: FunctionNode, inputs: tuple[int, ...], params: Params, index: int) -> Step:
    weights = "" if not f.signature.has_weights else f.name if f.weights == "shared" else f"{f.name}.{index}"
    return Step(f.name, f.block, inputs, f.output, params, weights, f.per_pass)


def _allowed(f: FunctionNode, inputs: tuple[int, ...], params: Params, steps: list[Taken], count: int) -> bool:
    """Rule 5 of the walk: no twins."""
    if f.signature.distinct and len(set(inputs)) < len(inputs):
        return False
    if f.signature.idempotent and inputs[0] >= count and steps[inputs[0] - count][0].signature.idempotent:
        return False

    def key(g: FunctionNode, values: tuple[int, ...], chosen: Params) -> object:
        return g.name, chosen, tuple(sorted(values)) if g.signature.symmetric else values

    own = f.signature.has_weights and f.weights == "own"
    return own or all(key(f, inputs, params) != key(*step) for step in steps)


RESIDUAL = FunctionGraph(
    "residual",
    (
        DataNode("hits", "node", field="x"),
        DataNode("x", "node", HIDDEN),
        DataNode("y", "node", HIDDEN),
        DataNode("score", "edge", "target"),
    ),
    (
        FunctionNode("encode", "mlp", ("hits",), "x"),
        FunctionNode("residual", "add", ("x", "x"), "x"),
        FunctionNode("normalise", "norm", ("x",), "x"),
        FunctionNode("turn", "mlp", ("x",), "y", weights="shared"),
        FunctionNode("pair", "mean", ("y", "y"), "x"),
        FunctionNode("classify", "mlp", ("x",), "score", (("layers", Choice((1, 2))),)),
    ),
    ("hits",),
    ("score",),
)


@pytest.mark.parametrize(
    ("graph", "most"),
    [(RESIDUAL, 3), (RESIDUAL, 4), (RESIDUAL, 5), (RESIDUAL, 6), ("attention", 7), ("interaction", 5), ("tracking", 4)],
)
def test_one_walk_reaches_all_that_is_legal(graph: FunctionGraph | str, most: int) -> None:
    graph = FunctionGraph.load(graph) if isinstance(graph, str) else graph
    space = WalkSpace(graph, SearchSpace("any", GRIDS, WalkLimits(max_steps=most, max_walks=1, extra=(most,))))
    walked = Counter(c.fingerprint for c, _ in enumerate_space(space, fixed=("hyperparameter",)))
    assert set(walked) == allowed(graph, most)


@pytest.mark.long
def test_every_path_of_many_small_spaces_ends() -> None:
    assert sum(assert_sound(seed, 1000) for seed in range(1000, 2000)) > 10_000
