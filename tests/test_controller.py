"""The RNN controller: begins as the prior, learns what pays, goes on exactly from its state."""

import json
import math
import random

import pytest
import torch
from letters import functions, score, words

from archioptrx.core.errors import InputError
from archioptrx.graphs.decisions import Trace
from archioptrx.sampling.samplers import Deduplicated, make_sampler
from archioptrx.sampling.samplers.base import seed_of
from archioptrx.sampling.samplers.controller import Controller
from archioptrx.sampling.samplers.controller_policy import Batch, Player, episode_of
from archioptrx.sampling.samplers.random import RandomSampler

ALGORITHMS = pytest.mark.parametrize("options", [{}, {"replay": 0}, {"algorithm": "reinforce", "learning_rate": 0.03}])


class Counting(Controller):
    """Counts its draws."""

    draws = 0

    def draw(self, number, attempt):
        self.draws += 1
        return super().draw(number, attempt)


def as_fresh(candidate, number: int):
    """A candidate as a fresh architecture: a score of a duplicate is no news."""
    return type("Fresh", (), {"trace": candidate.trace, "fingerprint": str(number), "key": str(number)})()


def search(sampler, count: int, first: int = 0) -> list[float]:
    """Draws are told as if all were different, so that the space can't be exhausted."""
    scores = []
    for number in range(first, first + count):
        candidate = sampler.draw(number, 0)
        scores.append(score(candidate))
        sampler.observe(as_fresh(candidate, number), scores[-1], 1)
    return scores


def share_of(letter: str, controller: Controller, count: int = 100) -> float:
    """How often a letter is drawn now."""
    text = "".join(controller.draw(10_000 + n, 0).fingerprint[:5] for n in range(count))
    return text.count(letter) / len(text)


def finite(controller: Controller) -> bool:
    return all(bool(torch.isfinite(weight).all()) for weight in controller.policy.parameters())


def test_untrained_it_is_the_random_walk():
    # 5,000 letters of probability 0.2: five standard deviations are 0.03.
    assert abs(share_of("c", Controller(words, seed=3), 1000) - 0.2) < 0.03


@ALGORITHMS
def test_it_learns_what_pays(options):
    learned = search(Controller(words, seed=1, **options), 320)
    chance = search(RandomSampler(words, 1), 320)
    # Chance has 0.2 of the letters right; half of all in the last fifth is far outside of its spread (0.02).
    assert sum(learned[-64:]) / 64 > 0.5 > 0.3 > sum(chance[-64:]) / 64


@ALGORITHMS
def test_learned_is_the_probability_of_each_function(options):
    sampler = Deduplicated(Controller(functions, seed=1, **options), functions)
    assert sampler.learned() == {}
    search(sampler.inner, 8)
    first = sampler.learned()
    search(sampler.inner, 200, 8)
    last = sampler.learned()
    for probabilities in (first, last):
        assert list(probabilities) == ["a", "b", "c"]
        assert all(0 <= probability <= 1 for probability in probabilities.values())
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)  # all three are always offered
    assert first["c"] < 0.45
    assert last["c"] > first["c"] + 0.2
    assert last["c"] == pytest.approx(share_of("c", sampler.inner), abs=0.15)


def test_asking_what_is_learned_changes_nothing():
    sampler, other = Controller(functions, seed=2), Controller(functions, seed=2)
    search(sampler, 20)
    search(other, 20)
    before = json.dumps(sampler.state_dict())
    sampler.learned()["a"] = 5.0
    assert json.dumps(sampler.state_dict()) == before
    assert search(sampler, 20, 20) == search(other, 20, 20)
    assert Deduplicated(RandomSampler(words), words).learned() == {}


@pytest.mark.parametrize("score_of_failure", [None, math.nan, math.inf])
def test_failed_trials_count_as_the_worst(score_of_failure):
    controller = Controller(words, seed=4)
    for number in range(240):
        candidate = controller.draw(number, 0)
        failed = "b" in candidate.fingerprint
        controller.observe(as_fresh(candidate, number), score_of_failure if failed else float(number % 2), 1)
    assert finite(controller)
    assert share_of("b", controller) < 0.2  # by chance 0.4 of all letters


def test_scores_that_all_fail_do_no_harm():
    controller = Controller(words, seed=4)
    for number in range(40):
        controller.observe(as_fresh(controller.draw(number, 0), number), None, 1)
    assert controller.updates == 5
    assert finite(controller)
    assert controller.best == []


def test_16_in_flight_and_scores_out_of_order():
    sampler, draw = make_sampler("controller", words, seed=5), random.Random(0)
    flying = [sampler.propose() for _ in range(16)]
    for _ in range(60):
        ended = flying.pop(draw.randrange(len(flying)))
        if draw.random() < 0.8:  # others are never heard of
            sampler.observe(ended, score(ended), 1 + draw.randrange(2))
        flying.append(sampler.propose())
    assert len({word.key for word in flying}) == 16
    assert 4 <= sampler.inner.updates <= 7
    assert finite(sampler.inner)


def test_the_same_news_twice_teaches_nothing():
    controller = Controller(words, seed=1, batch=4)
    candidate = controller.draw(0, 0)
    for _ in range(40):
        controller.observe(candidate, 0.5, 1)
    assert (controller.updates, len(controller.waiting)) == (0, 1)
    for epochs in (2, 3, 4):
        controller.observe(candidate, 0.5, epochs)
    assert controller.updates == 1


def test_what_is_of_another_space_or_has_no_choice_teaches_nothing():
    controller = Controller(words, seed=1, batch=1)
    stranger = type("Stranger", (), {"trace": Trace(()), "fingerprint": "x", "key": "x"})()
    controller.observe(stranger, 1.0, 1)
    assert controller.updates == 0
    single = Controller(lambda choose: stranger, batch=1)
    single.observe(single.draw(0, 0), 1.0, 1)
    assert single.updates == 0


def draws_per_proposal(**options) -> float:
    """Of the last 40 of 100 proposals, when the policy is sure of what it wants."""
    sampler = Deduplicated(Counting(words, seed=1, **options), words)
    for number in range(100):
        if number == 60:
            sampler.inner.draws = 0
        candidate = sampler.propose()
        sampler.observe(candidate, score(candidate), 1)
    return sampler.inner.draws / 40


def test_duplicates_end_after_a_few_draws():
    few, many = draws_per_proposal(), draws_per_proposal(flatten=0.0)
    assert few < 15
    assert many > 2 * few


def test_the_present_policy_is_what_a_first_draw_follows():
    controller = Controller(words, seed=1)
    search(controller, 200)
    later = "".join(controller.draw(5000 + n, 200).fingerprint[:5] for n in range(100))
    assert share_of("c", controller) > 0.5 > 0.3 > later.count("c") / len(later)


def refuse(controller: Controller, count: int, first: int) -> None:
    """Draw so many; those that have a b are refused, the others are trained, all with the same score."""
    for number in range(first, first + count):
        candidate = controller.draw(number, 0)
        outcome = (None, 0) if "b" in candidate.fingerprint else (0.5, 1)
        controller.observe(as_fresh(candidate, number), *outcome)


@ALGORITHMS
def test_it_learns_to_stay_within_constraints(options):
    controller = Controller(words, seed=6, **options)
    refuse(controller, 400, 0)
    assert finite(controller)
    assert share_of("b", controller) < 0.2  # by chance 0.4


@ALGORITHMS
def test_what_was_refused_becomes_less_likely(options):
    controller = Controller(words, seed=6, batch=4, **options)
    refused = [controller.draw(number, 0) for number in range(4)]
    batch = Batch([episode_of(words, word.trace) for word in refused])

    def likely() -> float:
        with torch.no_grad():
            return float(batch.taken(controller.policy(batch)).sum())

    before = likely()
    for number, word in enumerate(refused):
        controller.observe(as_fresh(word, number), None, 0)
    assert controller.updates == 1
    assert likely() < before - 0.05


def test_draws_follow_the_policy_of_the_last_update():
    controller = Controller(words, seed=1)
    search(controller, 80)
    fresh = Player(controller.policy)
    expected = [fresh.draw(words, seed_of(1, 500 + n, 0)) for n in range(30)]
    assert [controller.draw(500 + n, 0) for n in range(30)] == expected


def test_hundreds_of_refusals_are_a_few_updates():
    controller = Controller(words, seed=6)
    for number in range(500):
        controller.observe(as_fresh(controller.draw(number, 0), number), None, 0)
    assert controller.updates == 6  # after 8, 16, 32, 64, 128 and 256
    assert finite(controller)
    assert controller.baseline is None
    assert len(controller.refused) == 8


@ALGORITHMS
def test_refusals_do_not_drown_scores(options):
    """The median of three seeds: what one learns depends on the last digits of a processor's sums."""
    assert sorted(learned_among_refusals(seed, options) for seed in range(3))[1] > 1.3  # by chance 0.9


def learned_among_refusals(seed, options):
    """Letters c in a word that isn't refused, after 200 scores among three times as many refusals."""
    controller, number, trained, refused = Controller(words, seed=seed, **options), 0, 0, 0
    while trained < 200:
        candidate = controller.draw(number, 0)
        # Not two c in a row, and only a quarter of what is left: so most are refused, and most of these wrongly.
        allowed = "cc" not in candidate.fingerprint[:5] and number % 4 == 0
        controller.observe(as_fresh(candidate, number), *((score(candidate), 1) if allowed else (None, 0)))
        number, trained, refused = number + 1, trained + allowed, refused + (not allowed)
    assert refused > 3 * trained
    assert finite(controller)
    words_now = [controller.draw(10_000 + n, 0).fingerprint[:5] for n in range(200)]
    allowed_now = [word for word in words_now if "cc" not in word]
    assert len(allowed_now) > 100
    return sum(word.count("c") for word in allowed_now) / len(allowed_now)


def test_what_is_told_is_of_a_candidate_and_is_told_once():
    controller = Controller(words, seed=1)
    first = controller.draw(0, 0)
    for key in ("small", "large", "small"):
        candidate = type("Sized", (), {"trace": first.trace, "fingerprint": "same", "key": key})()
        controller.observe(candidate, None, 0)
        controller.observe(candidate, 0.5, 1)
    assert (len(controller.refused), len(controller.waiting)) == (2, 2)


@ALGORITHMS
def test_state_round_trip_in_the_middle(options):
    original, other = (Controller(functions, seed=2, **options) for _ in range(2))
    search(original, 21)
    refuse(original, 15, 500)
    assert original.refused
    state = json.loads(json.dumps(original.state_dict()))
    other.draw(0, 0)  # what it has looked up must not outlive the load
    other.load_state_dict(state)
    assert other.learned() == original.learned() != {}
    for controller in (original, other):
        refuse(controller, 30, 600)
    assert search(original, 30, 21) == search(other, 30, 21)
    assert json.dumps(original.state_dict()) == json.dumps(other.state_dict())


def test_the_same_seed_learns_the_same_and_leaves_torch_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    scores = search(Controller(words, seed=2), 50)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(9)
    assert search(Controller(words, seed=2), 50) == scores
    assert search(Controller(words, seed=3), 50) != scores


def test_the_best_are_replayed():
    controller = Controller(words, seed=1, replay=3)
    scores = search(controller, 40)
    assert [replayed.score for replayed in controller.best] == sorted(scores, reverse=True)[:3]


def test_several_objectives_are_ranked_by_front():
    controller = Controller(words, seed=1)
    for number in range(40):
        candidate = controller.draw(number, 0)
        controller.observe(as_fresh(candidate, number), (score(candidate), -float(number % 3)), 1)
    assert controller.updates == 5
    assert max(replayed.score[0] for replayed in controller.best) > 0.5


def test_it_walks_any_function_graph(tracking):
    sampler = make_sampler("controller", tracking, seed=1)
    for _ in range(12):
        candidate = sampler.propose()
        sampler.observe(candidate, float(len(candidate.graph.steps)), 1)
    assert sampler.inner.updates == 1
    names = {function.name for function in tracking.function_graph.functions}
    assert set(sampler.learned()) <= names
    assert all(0 <= probability <= 1 for probability in sampler.learned().values())


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("algorithm", "ppp", r"ppo, reinforce \(did you mean ppo\?\)"),
        ("batch", 0, "a whole number from 1"),
        ("batch", 2.5, "a whole number from 1"),
        ("width", True, "a whole number from 1"),
        ("epochs", 0, "a whole number from 1"),
        ("replay", -1, "a whole number from 0"),
        ("baseline", 1.5, "a number from 0 to 1"),
        ("learning_rate", 0, "a number above 0"),
        ("clip", "0.2", "a number above 0"),
        ("entropy", -0.1, "a number from 0"),
        ("flatten", math.nan, "a number from 0"),
    ],
)
def test_options_are_checked(option, value, allowed):
    with pytest.raises(InputError, match=rf"^sampler\.{option}: is {value!r}; (allowed: )?{allowed}"):
        make_sampler("controller", words, **{option: value})


def test_an_unknown_option_is_told():
    with pytest.raises(InputError, match="sampler controller has no such option; allowed: algorithm, "):
        make_sampler("controller", words, size=2)
