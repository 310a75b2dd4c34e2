"""The Gaussian process: features, mathematics, and what it proposes."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces import Words

from archioptrx.core.errors import InputError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import BackEdge, DataType, Step
from archioptrx.sampling.samplers import GaussianProcessSampler, make_sampler
from archioptrx.sampling.samplers.features import DEPTH, features, graph_features
from archioptrx.sampling.samplers.gaussian_process import Posterior, cosines, fit, kernel, levels_of, posterior
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.ranking import quantiles

WORDS = Words(alphabet="abcdefgh")
HIDDEN = Width.of("hidden")
TYPES = (DataType("hits", "node", Width.of("hits"), "x"), DataType("x", "node", HIDDEN))


def chain(*rows, back=(), target=None):
    """A graph of steps (block, inputs); value 0 is the source."""
    steps = tuple(Step(block, block, inputs, "x") for block, inputs in rows)
    return ComputationGraph(TYPES, ("hits",), steps, tuple(back), (target or len(steps),))


def points(count, first=0):
    return levels_of([features(WORDS(random_choices(first + i))) for i in range(count)])


def test_features_count_what_made_each_value():
    one = chain(("mlp", (0,)), ("mlp", (1,)), ("add", (1, 2)))
    other = chain(("mlp", (0,)), ("mlp", (1,)), ("add", (2, 1)))
    assert graph_features(one) == graph_features(other)
    counts = graph_features(one)
    assert len(counts) == DEPTH + 1
    assert [sum(level.values()) for level in counts] == [4] * (DEPTH + 1)
    assert sorted(counts[0].values()) == [1, 1, 2]
    # One step back, an mlp of the source and an mlp of an mlp differ.
    assert sorted(counts[1].values()) == [1, 1, 1, 1]


def test_features_tell_the_order_of_inputs_where_it_matters():
    rows = [("mlp", (0,)), ("mlp", (1,))]
    assert graph_features(chain(*rows, ("gru", (1, 2)))) != graph_features(chain(*rows, ("gru", (2, 1))))


def test_features_see_loops_and_their_iterations():
    rows = [("mlp", (0,)), ("mlp", (1,))]
    plain = chain(*rows)
    looped = [chain(*rows, back=[BackEdge(2, 1, n)]) for n in (1, 2)]
    assert len({str(graph_features(graph)) for graph in (plain, *looped)}) == 3


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_architectures_that_differ_have_other_features(tracking, seed):
    one, other = (tracking(random_choices(s)) for s in (seed, seed + 1))
    assert features(one)[:-1] == features(tracking(random_choices(seed)))[:-1]
    # Level 3 sees less than the whole graph: equal features of other graphs are possible, not likely.
    assert one.fingerprint == other.fingerprint or features(one) != features(other)


def test_hyperparameters_are_the_last_level():
    word = WORDS(random_choices(0))
    assert features(word)[-1] == Counter({f"size={word.size}": 1})


def test_cosines_are_those_of_the_whole_vectors_with_and_without_columns():
    rows = [features(WORDS(random_choices(seed))) for seed in range(12)]
    whole, known = levels_of(rows), levels_of(rows[:8])
    new = levels_of(rows[8:], known)
    for all_of_them, across in zip(cosines(whole, whole), cosines(new, known), strict=True):
        np.testing.assert_allclose(all_of_them[8:, :8], across, atol=1e-12)
        np.testing.assert_allclose(np.diag(all_of_them), 1)


def log_posterior(parts, targets, theta):
    noisy = kernel(parts, theta) + math.exp(theta[-1]) * np.eye(len(targets))
    prior = ((theta - np.array([-1.5] * len(parts) + [-2.0])) / np.array([1.5] * len(parts) + [1.0])) ** 2
    return -(targets @ np.linalg.solve(noisy, targets) + np.linalg.slogdet(noisy)[1] + prior.sum()) / 2


def test_the_fit_climbs_to_a_maximum_of_the_posterior():
    known = points(30)
    parts = cosines(known, known)
    weights = np.random.default_rng(0).standard_normal(known[0].counts.shape[1])
    targets = known[0].counts @ weights / known[0].norms
    targets = (targets - targets.mean()) / targets.std()
    start = np.array([-1.5] * len(parts) + [-2.0])
    found = fit(parts, targets)
    top = log_posterior(parts, targets, found)
    assert top > log_posterior(parts, targets, start) + 1
    for axis in range(len(found)):
        for step in (-0.5, 0.5):
            assert log_posterior(parts, targets, found + step * np.eye(len(found))[axis]) < top + 0.05


def test_the_posterior_agrees_with_the_textbook():
    rows = [features(WORDS(random_choices(seed))) for seed in range(14)]
    both = levels_of(rows)
    targets = np.linspace(-1, 1, 10)
    theta = np.array([-1.0] * len(both) + [-3.0])
    whole = kernel(cosines(both, both), theta)
    solved = np.linalg.solve(whole[:10, :10] + math.exp(-3) * np.eye(10), whole[:10, 10:])
    known = levels_of(rows[:10])
    found = posterior(known, targets, levels_of(rows[10:], known), theta)
    np.testing.assert_allclose(found.mean, solved.T @ targets, atol=1e-9)
    exact = whole[10:, 10:] - whole[10:, :10] @ solved
    np.testing.assert_allclose(np.diag(found.covariance), np.diag(exact), atol=1e-9)


def test_samples_and_expected_improvement_follow_the_posterior():
    wanted = Posterior(np.array([0.0, 0.5]), np.array([[1.0, 0.3], [0.3, 0.5]]))
    random = np.random.default_rng(0)
    drawn = np.array([wanted.sample(random) for _ in range(20_000)])
    # Standard errors are below 0.01.
    np.testing.assert_allclose(drawn.mean(0), wanted.mean, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), wanted.covariance, atol=0.05)
    gain = np.maximum(drawn - 0.8, 0).mean(0)
    np.testing.assert_allclose(wanted.expected_improvement(0.8), gain, atol=0.03)


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 4)), st.integers(1, 3)), min_size=2, max_size=30))
def test_targets_depend_on_ranks_alone(rows):
    stretched = [(None if score is None else math.exp(score), epochs) for score, epochs in rows]
    assert quantiles(stretched) == quantiles(rows)
    for one, value in zip(rows, quantiles(rows), strict=True):
        assert all(other == value for row, other in zip(rows, quantiles(rows), strict=True) if row == one)


def value(word):
    return word.letters.count("a") + 0.1 * len(word.letters)


@pytest.mark.parametrize("acquisition", ["thompson", "expected_improvement"])
def test_it_finds_far_better_words_than_random_search(acquisition):
    best = {}
    for name, options in (("random", {}), ("gp", {"pool": 60, "acquisition": acquisition})):
        sampler, best[name] = make_sampler(name, WORDS, 1, **options), 0.0
        for _ in range(60):
            word = sampler.propose()
            best[name] = max(best[name], value(word))
            sampler.observe(word, value(word), 1)
    assert best["gp"] > best["random"] + 1


def test_proposals_in_flight_differ():
    sampler = GaussianProcessSampler(WORDS, 3, initial=2, pool=40)
    for seed in range(20):
        word = WORDS(random_choices(seed))
        sampler.observe(word, value(word), 1)
    drawn = [sampler.draw(number, 0).letters for number in range(2, 18)]
    assert len(set(drawn)) > 8
    again = [sampler.draw(5, attempt).letters for attempt in (2, 0, 1)]
    assert again[1] == drawn[3]
    assert len(set(again)) == 3


def test_it_searches_networks(tracking):
    sampler = make_sampler("gp", tracking, 0, initial=3, pool=8)
    found = []
    for _ in range(6):
        found.append(sampler.propose())
        sampler.observe(found[-1], float(len(found[-1].graph.steps)), 1)
    assert len({candidate.fingerprint for candidate in found}) == len(sampler.inner.memory.observations) == 6


def test_a_reference_of_another_space_is_left_out():
    sampler = GaussianProcessSampler(WORDS, 0)
    word = WORDS(random_choices(0))
    sampler.observe(replace(word, trace=replace(word.trace, decisions=())), 0.9, 1)
    assert sampler.memory.observations == []


def test_options_are_checked():
    with pytest.raises(InputError, match=r"sampler\.acquisition: is 'ei'; allowed: expected_improvement, thompson"):
        make_sampler("gp", WORDS, acquisition="ei")
    with pytest.raises(InputError, match=r"sampler\.pool: is 3; allowed: a whole number from 4"):
        make_sampler("gp", WORDS, pool=3)
