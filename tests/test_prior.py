"""What a user expects before a search: the prior of hyperparameters and the weight of functions."""

from collections import Counter

import pytest
import yaml

from archioptrx.core.errors import InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.sampling.fixed_architecture import FixedSpace
from archioptrx.sampling.samplers import make_sampler
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

DRAWS = 300


def limits(**hyperparameters):
    walk = {"max_steps": 8, "max_walks": 1, "extra": [2]}
    return SearchSpace.from_dict({"name": "few", "hyperparameters": hyperparameters, "walk": walk})


def few(prior):
    return limits(hidden={"choice": [8, 16], "prior": prior}, depth=1, activation="relu")


def shares(draw, count=DRAWS):
    widths = Counter(draw(number).hyperparameters["hidden"] for number in range(count))
    return widths[16] / count


@pytest.mark.parametrize(("prior", "share"), [([1, 3], 0.75), ([1, 0], 0.0), ([], 0.5)])
def test_random_draws_follow_the_prior(prior, share):
    """300 draws: three standard deviations are 0.09 at most."""
    space = WalkSpace(FunctionGraph.load("interaction"), few(prior))
    sampler = make_sampler("random", space).inner
    assert shares(lambda number: sampler.draw(number, 0)) == pytest.approx(share, abs=0.09)
    fixed = FixedSpace(Architecture.load("interaction"), few(prior), frozenset())
    alone = make_sampler("random", fixed).inner
    assert shares(lambda number: alone.draw(number, 0)) == pytest.approx(share, abs=0.09)


@pytest.mark.parametrize("name", ["random", "evolution", "gp", "controller"])
def test_what_has_no_weight_is_never_drawn(name):
    """Mutations too: 40 proposals, each with a score."""
    options = {"initial": 4} if name in ("evolution", "gp") else {}
    space = WalkSpace(FunctionGraph.load("interaction"), few([1, 0]))
    sampler = make_sampler(name, space, dedup="hyperparameters", **options).inner
    for number in range(40):
        candidate = sampler.draw(number, 0)
        assert candidate.hyperparameters["hidden"] == 8
        sampler.observe(candidate, float(len(candidate.graph.steps)) + number / 100, 1)


@pytest.mark.parametrize("name", ["evolution", "gp", "controller", "optuna:TPESampler"])
def test_every_sampler_begins_with_the_prior(name):
    """Ten first candidates of each of 20 searches, of which none has a score."""
    space = WalkSpace(FunctionGraph.load("interaction"), few([1, 9]))
    samplers = [make_sampler(name, space, seed).inner for seed in range(20)]
    assert shares(lambda number: samplers[number % 20].draw(number // 20, 0), 200) == pytest.approx(0.9, abs=0.07)


def test_optuna_follows_the_weight_of_functions():
    pytest.importorskip("optuna", reason="needs the extra `optuna`")
    graph = yaml.safe_load(FunctionGraph.load("interaction").to_yaml())
    graph["functions"]["classify"]["weight"] = 0.01
    space = WalkSpace(FunctionGraph.from_dict(graph), limits(hidden=8, depth=1, activation="relu"))
    sampler = make_sampler("optuna:TPESampler", space).inner
    even = make_sampler("optuna:TPESampler", WalkSpace(FunctionGraph.load("interaction"), space.search_space)).inner

    def steps(proposer):
        return sum(len(proposer.draw(number, 0).graph.steps) for number in range(10))

    assert steps(sampler) > steps(even)


def test_a_range_has_a_prior_for_each_bin():
    space = limits(hidden={"range": [8, 32], "bins": 3, "prior": [0, 0, 1]})
    assert space.grid["hidden"].weights == (0.0, 0.0, 1.0)
    assert SearchSpace.from_dict(space.to_dict()) == space
    assert space.digest != limits(hidden={"range": [8, 32], "bins": 3}).digest


@pytest.mark.parametrize(
    "prior", [[1], [1, 2, 3], [1, -1], [0, 0], [1, "a"], [True, 1], [1, float("nan")], [1, float("inf")]]
)
def test_a_wrong_prior_is_refused(prior):
    with pytest.raises(InputError, match=r"hyperparameters\.hidden\.prior: is .*; allowed: 2 numbers from 0 on"):
        few(prior)
