"""The Gaussian process: features, mathematics, and what it proposes."""

import copy
import json
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
from archioptrx.graphs.decisions import Trace
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import BackEdge, DataType, Step
from archioptrx.sampling.samplers import GaussianProcessSampler, make_sampler
from archioptrx.sampling.samplers.features import DEPTH, features, graph_features
from archioptrx.sampling.samplers.gaussian_process import (
    Posterior,
    Regression,
    cosines,
    cosines_among,
    fit,
    inverted,
    joined,
    kernel,
    levels_of,
    point_of,
)
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.ranking import quantiles, window

WORDS = Words(alphabet="abcdefgh")
HIDDEN = Width.of("hidden")
TYPES = (DataType("hits", "node", Width.of("hits"), "x"), DataType("x", "node", HIDDEN))


def chain(*rows, back=(), target=None):
    """A graph of steps (block, inputs); value 0 is the source."""
    steps = tuple(Step(block, block, inputs, "x") for block, inputs in rows)
    return ComputationGraph(TYPES, ("hits",), steps, tuple(back), (target or len(steps),))


def points(count, first=0):
    return [point_of(features(WORDS(random_choices(first + i)))) for i in range(count)]


def textbook_cosine(first, second):
    """Cosine of two counts of labels."""
    lengths = [math.sqrt(sum(n * n for n in counts.values())) for counts in (first, second)]
    if not any(lengths):
        return 1.0
    return sum(n * second.get(label, 0) for label, n in first.items()) / (math.prod(lengths) or 1)


def test_features_count_what_made_each_value():
    first = chain(("mlp", (0,)), ("mlp", (1,)), ("add", (1, 2)))
    second = chain(("mlp", (0,)), ("mlp", (1,)), ("add", (2, 1)))
    assert graph_features(first) == graph_features(second)
    counts = graph_features(first)
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
    first, second = (tracking(random_choices(s)) for s in (seed, seed + 1))
    assert features(first)[:-1] == features(tracking(random_choices(seed)))[:-1]
    # Level 3 sees less than the whole graph: equal features of other graphs are possible, not likely.
    assert first.fingerprint == second.fingerprint or features(first) != features(second)


def test_hyperparameters_are_the_last_level():
    word = WORDS(random_choices(0))
    assert features(word)[-1] == Counter({f"size={word.size}": 1})


def test_cosines_are_those_of_the_counts():
    rows = [*(features(WORDS(random_choices(seed))) for seed in range(12)), (Counter(),) * (DEPTH + 2)]
    points = levels_of([point_of(row) for row in rows])
    expected = [[[textbook_cosine(row[h], other[h]) for other in rows] for row in rows] for h in range(DEPTH + 2)]
    np.testing.assert_allclose(cosines_among(points), expected, atol=1e-12)
    few = levels_of([point_of(row) for row in rows[8:]])
    np.testing.assert_allclose(cosines(few, points), np.array(expected)[:, 8:], atol=1e-12)
    both = joined(levels_of([point_of(row) for row in rows[:8]]), few)
    np.testing.assert_array_equal(cosines(both, both), cosines(points, points))


def log_posterior(parts, targets, theta):
    noisy = kernel(parts, theta) + math.exp(theta[-1]) * np.eye(len(targets))
    prior = ((theta - np.array([-1.5] * len(parts) + [-2.0])) / np.array([1.5] * len(parts) + [1.0])) ** 2
    return -(targets @ np.linalg.solve(noisy, targets) + np.linalg.slogdet(noisy)[1] + prior.sum()) / 2


def test_the_fit_climbs_to_a_maximum_of_the_posterior():
    parts = cosines_among(levels_of(points(30)))
    targets = np.linalg.cholesky(parts[0] + 1e-6 * np.eye(30)) @ np.random.default_rng(0).standard_normal(30)
    targets = (targets - targets.mean()) / targets.std()
    start = np.array([-1.5] * len(parts) + [-2.0])
    theta = fit(parts, targets)
    top = log_posterior(parts, targets, theta)
    assert top > log_posterior(parts, targets, start) + 1
    for axis in range(len(theta)):
        for step in (-0.5, 0.5):
            assert log_posterior(parts, targets, theta + step * np.eye(len(theta))[axis]) < top + 0.05


def test_the_posterior_agrees_with_the_textbook():
    both = cosines_among(levels_of(points(14)))
    targets = np.linspace(-1, 1, 10)
    theta = np.array([-1.0] * len(both) + [-3.0])
    whole = kernel(both, theta)
    solved = np.linalg.solve(whole[:10, :10] + math.exp(-3) * np.eye(10), whole[:10, 10:])
    posterior = Regression(points(10), theta).posterior(targets, points(4, first=10))
    np.testing.assert_allclose(posterior.mean, solved.T @ targets, atol=1e-9)
    np.testing.assert_allclose(posterior.covariance, whole[10:, 10:] - whole[10:, :10] @ solved, atol=1e-9)


def test_points_that_are_added_one_by_one_give_the_same_posterior():
    theta = np.array([-1.0, -0.5, -1.5, -1.0, -2.0, -3.0])
    whole, grown = Regression(points(90), theta), Regression(points(40), theta)
    for point in points(50, first=40):
        grown.append(point)
    np.testing.assert_allclose(grown.inverse, whole.inverse, atol=1e-9)
    targets, new = np.linspace(-1, 1, 90), points(20, first=90)
    stepwise, at_once = (regression.posterior(targets, new) for regression in (grown, whole))
    np.testing.assert_allclose(stepwise.mean, at_once.mean, atol=1e-9)
    np.testing.assert_allclose(stepwise.covariance, at_once.covariance, atol=1e-9)


@pytest.mark.parametrize("size", [1, 64, 65, 200])
def test_a_triangular_matrix_is_inverted_by_halves(size):
    noise = np.random.default_rng(size).standard_normal((size, size))
    lower = np.linalg.cholesky(noise @ noise.T / size + np.eye(size))
    np.testing.assert_allclose(inverted(lower) @ lower, np.eye(size), atol=1e-12)
    np.testing.assert_array_equal(inverted(lower), np.tril(inverted(lower)))


def test_kept_rows_of_the_kernel_are_those_made_anew():
    """Bit for bit: a search that was resumed makes all of them anew, and must go on the same."""
    theta = np.array([-1.0, -0.5, -1.5, -1.0, -2.0, -3.0])
    regression, new = Regression(points(30), theta, [1] * 10 + [0] * 20, 0.6), points(12, first=60)
    regression.across(new[:8])
    for point in points(3, first=30):
        regression.append(point)
    pool = [new[9], *new[2:6], new[10], new[11], new[7]]
    kept = regression.across(pool)
    anew = Regression(points(33), theta, [1] * 10 + [0] * 23, 0.6).across(pool)
    assert kept.shape == (8, 33)
    np.testing.assert_array_equal(kept, anew)
    np.testing.assert_array_equal(regression.across(pool[::-1]), kept[::-1])


def test_a_window_has_the_best_and_the_latest():
    scores = [(score, 1) for score in (0.5, 0.9, 0.1, 0.8, None, 0.2, 0.3, 0.7)]
    assert window(scores, 8) == list(range(8))
    assert window(scores, 4) == [1, 3, 6, 7]
    assert window(scores, 5) == [1, 3, 5, 6, 7]


def test_samples_and_expected_improvement_follow_the_posterior():
    posterior = Posterior(np.array([0.0, 0.5]), np.array([[1.0, 0.3], [0.3, 0.5]]))
    random = np.random.default_rng(0)
    drawn = np.array([posterior.sample(random) for _ in range(20_000)])
    # Standard errors are below 0.01.
    np.testing.assert_allclose(drawn.mean(0), posterior.mean, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), posterior.covariance, atol=0.05)
    gain = np.maximum(drawn - 0.8, 0).mean(0)
    np.testing.assert_allclose(posterior.expected_improvement(0.8), gain, atol=0.03)


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 4)), st.integers(1, 3)), min_size=2, max_size=30))
def test_targets_depend_on_ranks_alone(rows):
    stretched = [(None if score is None else math.exp(score), epochs) for score, epochs in rows]
    assert quantiles(stretched) == quantiles(rows)
    for outcome, value in zip(rows, quantiles(rows), strict=True):
        assert all(other == value for row, other in zip(rows, quantiles(rows), strict=True) if row == outcome)


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


def kept_pool(sampler):
    """Keys of all candidates in the pool of the last proposal, by the number of the proposal that made them."""
    return {number: [word.key for word, _ in part.pool] for number, part in sampler._parts.items()}


def test_a_proposal_makes_one_part_of_its_pool_anew(monkeypatch):
    monkeypatch.setattr("archioptrx.sampling.samplers.gp.PARTS", 4)
    sampler, pools = make_sampler("gp", WORDS, 2, initial=2, pool=16), []
    for _ in range(5):
        word = sampler.propose()
        sampler.observe(word, value(word), 1)
        pools.append(kept_pool(sampler.inner))
    assert [list(pool) for pool in pools[2:]] == [[-1, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4]]
    assert pools[2][2] == pools[3][2] == pools[4][2]
    assert [len(part) for part in pools[2].values()] == [len(part) for part in pools[4].values()] == [4] * 4


def test_a_loaded_state_goes_on_the_same_beyond_the_window(monkeypatch):
    monkeypatch.setattr("archioptrx.sampling.samplers.gp.WINDOW", 12)
    monkeypatch.setattr("archioptrx.sampling.samplers.gp.FIT", 8)

    def go_on(sampler, count):
        words = []
        for _ in range(count):
            words.append(sampler.propose())
            sampler.observe(words[-1], value(words[-1]), 1)
        return [word.key for word in words]

    sampler = make_sampler("gp", WORDS, 2, initial=4, pool=12)
    for _ in range(12):
        go_on(sampler, 3)
        other = make_sampler("gp", WORDS, 2, initial=4, pool=12)
        other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
        fitted = sampler.inner._modelled
        original = copy.deepcopy(sampler)
        ahead = go_on(original, 4)
        assert go_on(other, 4) == ahead
        assert kept_pool(other.inner) == kept_pool(original.inner)
    assert len(fitted) < len(sampler.inner.memory.observations) - 10


def test_it_searches_networks(tracking):
    sampler = make_sampler("gp", tracking, 0, initial=3, pool=8)
    candidates = []
    for _ in range(6):
        candidates.append(sampler.propose())
        sampler.observe(candidates[-1], float(len(candidates[-1].graph.steps)), 1)
    assert len({candidate.fingerprint for candidate in candidates}) == len(sampler.inner.memory.observations) == 6


def test_a_reference_of_another_space_is_left_out_where_it_has_no_graph():
    sampler = GaussianProcessSampler(WORDS)
    sampler.observe(Words(alphabet="z")(random_choices(0)), 1.0, 1)
    assert not sampler.memory.observations


def test_a_reference_of_another_space_teaches_by_its_graph(tracking):
    """Candidates near a good network that can't be replayed come first; itself, it is no parent."""
    reference = replace(tracking(random_choices(3)), trace=Trace(()))
    others = [tracking(random_choices(seed)) for seed in range(10, 20)]

    def taught(score):
        sampler = GaussianProcessSampler(tracking, initial=2, acquisition="expected_improvement", pool=40)
        for other in others:
            sampler.observe(other, 0.5, 1)
        sampler.observe(reference, score, 1)
        return sampler

    def belief(sampler):
        regression, targets = sampler._model()
        return float(regression.posterior(targets, [point_of(features(reference))]).mean[0])

    assert belief(taught(0.9)) > 0.5 > -0.5 > belief(taught(0.1))
    sampler = taught(0.9)
    assert reference.key in {seen.key for seen in sampler.memory.observations}
    assert reference.key not in {seen.key for seen in sampler.memory.ranked()}
    again = GaussianProcessSampler(tracking, initial=2, acquisition="expected_improvement", pool=40)
    again.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert [again.draw(n, 0).key for n in (11, 12)] == [sampler.draw(n, 0).key for n in (11, 12)]


def test_options_are_checked():
    with pytest.raises(InputError, match=r"sampler\.acquisition: is 'ei'; allowed: expected_improvement, thompson"):
        make_sampler("gp", WORDS, acquisition="ei")
    with pytest.raises(InputError, match=r"sampler\.pool: is 3; allowed: a whole number from 4"):
        make_sampler("gp", WORDS, pool=3)
