"""What sampling keeps, leaves out or loads late equals what is worked out anew, checked, or loaded at once."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import even_choices, function_graph, walk_space

import archioptrx.sampling.samplers
from archioptrx.core.config import bundled_names
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.loops import components
from archioptrx.sampling.partial_graph import PartialGraph
from archioptrx.sampling.samplers.base import seed_of
from archioptrx.sampling.walk import WalkSpace

SEEDS = st.integers(0, 2**32 - 1)
NUMBERS = st.integers(0, 2**100)


def assert_kept(space: WalkSpace, rng: random.Random) -> None:
    """The graph of a walk is one that its checks and its pruning leave as it is, with the same attributes."""
    graph = space(even_choices(rng)).graph
    anew = replace(graph)  # checked, with nothing kept
    assert anew.pruned() is anew
    assert [o.text for o in graph.operations] == [o.text for o in anew.operations]
    assert (graph.symbols, str(graph), graph.fingerprint) == (anew.symbols, str(anew), anew.fingerprint)
    sent = pickle.loads(pickle.dumps(graph))
    assert (sent, sent.fingerprint) == (graph, graph.fingerprint)
    assert sent.operations[0].text == graph.operations[0].text


@given(SEEDS)
def test_graphs_of_random_function_graphs_are_sound_and_pruned(seed: int) -> None:
    rng = random.Random(seed)
    space = walk_space(rng, function_graph(rng, rng.randint(1, 6)), room=20)
    for _ in range(5):
        assert_kept(space, rng)


@pytest.mark.parametrize("name", bundled_names("function_graphs"))
def test_graphs_of_bundled_function_graphs_are_sound_and_pruned(name: str) -> None:
    rng = random.Random(0)
    space = walk_space(rng, FunctionGraph.load(name), room=30)
    for _ in range(15):
        assert_kept(space, rng)


@given(SEEDS)
def test_costs_after_a_step_are_those_of_all_values(seed: int) -> None:
    rng = random.Random(seed)
    space = walk_space(rng, function_graph(rng, rng.randint(1, 6)))
    graph = PartialGraph(space.tables)
    graph.open_all()
    for _ in range(8):
        of_type = [[v for v in graph.existing() if graph.type[v] == name] for name in range(len(space.tables.names))]
        possible = [f for f in space.tables.functions if all(of_type[name] for name in f.inputs)]
        graph.plan()
        f = rng.choice(possible)
        chosen = tuple((key, values[0]) for key, _, values in f.choices)
        graph.step(f, tuple(rng.choice(of_type[name]) for name in f.inputs), chosen)
        assert graph.plan() is graph.plan_of(graph.everything)


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=2), min_size=1, max_size=9), st.data())
def test_loops_are_the_components_with_a_circle(inputs: list[list[int]], data: st.DataObject) -> None:
    """Two values of one loop lead to each other, by steps and back edges; by closure over all arrows."""
    steps = [tuple(value % (1 + index) for value in values) for index, values in enumerate(inputs)]
    total = 1 + len(steps)
    numbers = st.integers(1, total - 1)
    edges = [(c, h, 1) for c, h in data.draw(st.lists(st.tuples(numbers, numbers), max_size=4)) if c != h]
    leads = np.eye(total, dtype=bool)
    for index, values in enumerate(steps):
        leads[list(values), 1 + index] = True
    for carried, head, _ in edges:
        leads[carried, head] = True
    for _ in range(total):
        leads = leads @ leads
    both = leads & leads.T
    expected = {sum(1 << int(v) for v in np.flatnonzero(row)) for row in both if row.sum() > 1}
    assert set(components(1, steps, edges).loops) == expected


@given(NUMBERS, st.lists(NUMBERS, max_size=4))
def test_seeds_are_those_of_numpy(seed: int, numbers: list[int]) -> None:
    words = np.random.SeedSequence(seed, spawn_key=tuple(numbers)).generate_state(4)
    assert seed_of(seed, *numbers) == int.from_bytes(words.tobytes(), "little")


def test_a_seed_is_not_negative() -> None:
    with pytest.raises(ValueError, match="-1"):
        seed_of(0, 3, -1)


def test_every_name_of_the_samplers_is_found_when_it_is_asked_for() -> None:
    for name in archioptrx.sampling.samplers.__all__:
        assert getattr(archioptrx.sampling.samplers, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        archioptrx.sampling.samplers.nothing  # noqa: B018


def test_sample_loads_no_large_library() -> None:
    code = (
        "import sys; from archioptrx.commands.sample import main; main(['tracking', '--count', '1']);"
        "print({'numpy', 'networkx', 'torch', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.splitlines()[-1]) == (0, "", "set()")
