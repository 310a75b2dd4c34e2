"""The policy: the prior while it is untrained, masks, the same numbers in draws as in updates."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from letters import words

from archioptrx.core.errors import ReplayError
from archioptrx.graphs.decisions import Decision, Point, Trace
from archioptrx.sampling.samplers.controller_policy import (
    Batch,
    Episode,
    Player,
    Policy,
    episode_of,
    menu_of,
    one_thread,
    pick,
)

weights = st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=1, max_size=5)
episodes = st.lists(st.lists(weights, min_size=1, max_size=6), min_size=1, max_size=4)


def episode(rows: list[list[float]]) -> Episode:
    """Decisions of these weights; each takes its last option."""
    menus = [menu_of(Point("kind", str(i % 2)), tuple("abcde"[: len(row)]), tuple(row)) for i, row in enumerate(rows)]
    return Episode(tuple(menus), tuple(len(row) - 1 for row in rows))


def wild(seed: int = 0, width: int = 8) -> Policy:
    """A policy whose scores are far from 0."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy = Policy(width)
        for weight in (policy.query.weight, policy.bias.weight):
            torch.nn.init.normal_(weight, std=2.0)
    return policy


@given(episodes)
@settings(max_examples=50)
def test_untrained_it_is_the_prior(drawn):
    with torch.no_grad():
        probabilities = Policy(8)(Batch([episode(rows) for rows in drawn])).exp()
    for row, rows in enumerate(drawn):
        for step, prior in enumerate(rows):
            total = sum(prior)
            expected = [w / total if total else 1 / len(prior) for w in prior]
            assert probabilities[row, step, : len(prior)].tolist() == pytest.approx(expected, abs=1e-6)


@given(episodes, st.integers(0, 3))
@settings(max_examples=50)
def test_what_is_no_option_has_probability_0(drawn, seed):
    batch = Batch([episode(rows) for rows in drawn])
    with torch.no_grad():
        logs = wild(seed)(batch)
    for row, rows in enumerate(drawn):
        for step, prior in enumerate(rows):
            probabilities = logs[row, step].exp().tolist()
            assert sum(probabilities) == pytest.approx(1, abs=1e-5)
            assert not any(probabilities[len(prior) :])
            assert all(probabilities[i] == 0 for i, w in enumerate(prior) if w == 0 and any(prior))
    entropy = batch.entropy(logs)
    assert torch.isfinite(batch.taken(logs)).all()
    assert (entropy >= 0).all()
    assert (entropy <= math.log(5) + 1e-5).all()


def test_what_has_no_weight_has_no_gradient_that_spoils_all():
    policy = wild()
    batch = Batch([episode([[1.0, 0.0], [1.0, 2.0]])])  # the first takes an option without weight
    batch.taken(policy(batch)).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in policy.parameters())
    assert policy.bias.weight.grad.abs().sum() > 0


def test_a_draw_has_the_probability_that_an_update_sees():
    policy, count = wild(3), 2000
    player = Player(policy)
    drawn = Counter(player.draw(words, seed).fingerprint for seed in range(count))
    word, often = drawn.most_common(1)[0]
    trace = next(w.trace for seed in range(count) if (w := player.draw(words, seed)).fingerprint == word)
    batch = Batch([episode_of(words, trace)])
    with torch.no_grad():
        expected = math.exp(float(batch.taken(policy(batch)).sum()))
    # Five standard deviations of a share; the most frequent word is a little luckier than others.
    assert abs(often / count - expected) < 5 * math.sqrt(expected * (1 - expected) / count)
    assert expected > 0.05


def test_without_trust_it_is_the_random_walk_again():
    player, count = Player(wild(3)), 600
    letters = Counter("".join(player.draw(words, seed, trust=0.0).fingerprint[:5] for seed in range(count)))
    # 3,000 letters, of which 0.2 are c: five standard deviations are 110.
    assert abs(letters["c"] - count) < 110
    trained = Counter("".join(player.draw(words, seed).fingerprint[:5] for seed in range(count)))
    assert max(abs(trained[x] - letters[x]) for x in "abc") > 200


def test_what_is_learned_at_one_place_is_known_at_others():
    policy = Policy(8)
    menus = [menu_of(Point("operation", place), ("good", "bad"), (1.0, 1.0)) for place in "12"]
    batch = Batch([Episode((menus[0],), (0,))])
    optimizer = torch.optim.SGD(policy.parameters(), 0.5)
    for _ in range(5):
        optimizer.zero_grad()
        (-batch.taken(policy(batch)).sum()).backward()
        optimizer.step()
    with torch.no_grad():
        trained, elsewhere = (float(policy(Batch([Episode((menu,), (0,))]))[0, 0, 0].exp()) for menu in menus)
    assert trained > elsewhere > 0.55


def test_an_episode_is_what_its_trace_decided():
    word = Player(Policy(4)).draw(words, 5)
    replayed = episode_of(words, word.trace)
    assert "".join(menu.labels[i] for menu, i in zip(replayed.menus, replayed.index, strict=True)) == word.fingerprint
    assert [len(menu.options) for menu in replayed.menus] == [3, 3, 3, 3, 3, 1]
    with pytest.raises(ReplayError, match="is no longer allowed"):
        episode_of(words, Trace((Decision("letter", "1", "z"),)))


def test_labels_are_averaged_over_the_decisions_that_offer_them():
    three = episode([[1.0, 1.0], [1.0, 1.0, 2.0], [5.0]])
    with torch.no_grad():
        logs = Policy(4)(batch := Batch([three, three]))
    assert batch.labels("kind", logs[:1]) == pytest.approx({"a": (0.5 + 0.25 + 1) / 3, "b": 0.375, "c": 0.5})
    assert batch.labels("other", logs) == {}


def test_threads_are_given_back():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=5).filter(any), st.floats(0, 0.999))
def test_what_has_no_probability_is_not_picked(raw, share):
    probabilities = [p / sum(raw) for p in raw]
    assert probabilities[pick(probabilities, share)] > 0
    assert pick([0.5, 0.0, 0.499], 0.9999) == 0  # rounding left something over
