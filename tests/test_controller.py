"""The RNN controller: begins as the prior, learns what pays, goes on exactly from its state."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch

from archioptrx.choices import Choose, Decision, Point, Trace
from archioptrx.controller import Controller, episode_of
from archioptrx.errors import InputError
from archioptrx.samplers import make_sampler
from archioptrx.samplers.random import RandomSampler


@dataclass(frozen=True)
class Word:
    """A word of six letters."""

    trace: Trace

    @property
    def fingerprint(self) -> str:
        return "".join(d.label for d in self.trace.decisions)

    key = fingerprint


def words(choose: Choose) -> Word:
    """Letters a, b, c, with c rare; the last letter may only repeat the one before it."""
    decisions: list[Decision] = []

    def pick(place: str, labels: Sequence[str], weights: Sequence[float]) -> str:
        label = labels[choose(Point("letter", place), labels, weights)]
        decisions.append(Decision("letter", place, label))
        return label

    for place in "12345":
        last = pick(place, ("a", "b", "c"), (2.0, 2.0, 1.0))
    pick("6", (last,), (1.0,))
    return Word(Trace(tuple(decisions)))


def score(word: Word) -> float:
    return word.fingerprint.count("c") / 6


def search(sampler, count: int) -> list[float]:
    scores = []
    for number in range(count):
        candidate = sampler.draw(number, 0)
        scores.append(score(candidate))
        sampler.observe(candidate, scores[-1], 1)
    return scores


def test_untrained_it_is_the_random_walk():
    controller, count = Controller(words, seed=3), 2000
    letters = Counter("".join(controller.draw(n, 0).fingerprint[:5] for n in range(count)))
    # 10,000 letters of probability 0.2: five standard deviations are 200.
    assert abs(letters["c"] - count) < 200


@pytest.mark.parametrize("algorithm", ["reinforce", "ppo"])
def test_it_learns_what_pays(algorithm):
    learned = search(Controller(words, seed=1, algorithm=algorithm), 320)
    chance = search(RandomSampler(words, 1), 320)
    # Chance has 0.2 of the letters right; half of all in the last fifth is far outside of its spread (0.02).
    assert sum(learned[-64:]) / 64 > 0.5 > 0.3 > sum(chance[-64:]) / 64


def test_the_probability_of_a_trace_is_that_of_its_draws():
    controller = Controller(words, seed=5)
    search(controller, 40)
    word = controller.draw(100, 0)
    with torch.no_grad():
        logs, entropies = controller.policy.log_probabilities([episode_of(words, word.trace)] * 2)
    drawn = sum(controller.draw(1000 + n, 0).fingerprint == word.fingerprint for n in range(3000)) / 3000
    expected = math.exp(float(logs[0]))
    # Five standard deviations of a share of 3,000 draws.
    assert abs(drawn - expected) < 5 * math.sqrt(expected * (1 - expected) / 3000) + 1e-3
    assert 0 < float(entropies[0]) <= math.log(3) + 1e-6


def test_state_round_trip_in_the_middle():
    one, other = Controller(words, seed=2), Controller(words, seed=2)
    search(one, 21)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert [search(one, 30), one.baseline] == [search(other, 30), other.baseline]


def test_the_same_seed_learns_the_same_and_leaves_torch_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = search(Controller(words, seed=2), 50)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(9)
    assert search(Controller(words, seed=2), 50) == one
    assert search(Controller(words, seed=3), 50) != one


def test_failed_trials_count_as_the_worst():
    controller = Controller(words, seed=4)
    for number in range(320):
        candidate = controller.draw(number, 0)
        controller.observe(candidate, None if "b" in candidate.fingerprint else float(number % 2), 1)
    assert sum("b" in controller.draw(900 + n, 0).fingerprint for n in range(50)) < 25  # by chance 0.92 of them


def test_it_walks_any_function_graph(tracking):
    sampler = make_sampler("controller", tracking, seed=1)
    for _ in range(12):
        candidate = sampler.propose()
        sampler.observe(candidate, float(len(candidate.graph.steps)), 1)
    assert sampler.inner.updates == 1


def test_options_are_checked():
    with pytest.raises(InputError, match=r"sampler\.algorithm: is 'ppp'; legal: ppo, reinforce \(did you mean ppo\?\)"):
        make_sampler("controller", words, algorithm="ppp")
    with pytest.raises(InputError, match="sampler controller has no such option; legal: algorithm, "):
        make_sampler("controller", words, size=2)
