"""Samplers on spaces small enough to know by heart, and on the default space."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from registries import restored

from archioptrx.core.errors import InputError
from archioptrx.graphs.decisions import Choose, Decision, Point, Trace
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.sampling.samplers import SAMPLERS, Deduplicated, RandomSampler, enumerate_space, make_sampler
from archioptrx.sampling.samplers import sampler as register
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace


@dataclass(frozen=True)
class Word:
    """A candidate of the toy space: a word whose letters, in any order, are its architecture."""

    trace: Trace
    letters: str
    size: str

    @property
    def fingerprint(self) -> str:
        return "".join(sorted(self.letters))

    @property
    def key(self) -> str:
        return f"{self.fingerprint} {self.size}"


def words(choose: Choose) -> Word:
    """One to three letters of two: 2 + 3 + 4 architectures, each in two sizes."""
    decisions: list[Decision] = []

    def pick(kind: str, place: str, labels: Sequence[str]) -> str:
        label = labels[choose(Point(kind, place), labels, [1.0] * len(labels))]
        decisions.append(Decision(kind, place, label))
        return label

    length = int(pick("length", "", ["1", "2", "3"]))
    letters = "".join(pick("letter", str(i), ["a", "b"]) for i in range(length))
    size = pick("hyperparameter", "size", ["small", "large"])
    return Word(Trace(tuple(decisions)), letters, size)


def drain(sampler, most=1000):
    candidates = []
    while len(candidates) < most and (candidate := sampler.propose()) is not None:
        candidates.append(candidate)
    return candidates


def test_the_enumeration_has_every_path_once():
    candidates = [candidate for candidate, _ in enumerate_space(words)]
    assert len(candidates) == len(set(candidates)) == 2 * (2 + 4 + 8)
    assert len({w.fingerprint for w in candidates}) == 9


def test_fixed_kinds_are_not_varied():
    candidates = [candidate for candidate, _ in enumerate_space(words, fixed=("hyperparameter",))]
    assert len(candidates) == 14
    assert {w.size for w in candidates} == {"small"}


@pytest.mark.parametrize("name", ["random", "exhaustive"])
@pytest.mark.parametrize("seed", range(5))
def test_no_architecture_comes_twice_until_all_were_there(name, seed):
    candidates = drain(make_sampler(name, words, seed))
    assert len({w.fingerprint for w in candidates[:9]}) == 9
    assert len(candidates) == len({w.key for w in candidates}) == 18


def test_by_hyperparameters_a_candidate_comes_once():
    sampler = make_sampler("random", words, 3, dedup="hyperparameters")
    candidates = drain(sampler)
    assert len(candidates) == len({w.key for w in candidates}) == 18
    assert sampler.refused["duplicate"] > 0
    assert sampler.propose() is None


class Listening(RandomSampler):
    """Random, but keeps what it observes."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.observed = []

    def observe(self, candidate, score, epochs):
        self.observed.append((candidate.key, score, epochs))


def test_a_sampler_is_told_the_score_of_what_was_refused():
    with restored(SAMPLERS):
        register("listening")(Listening)
        sampler = make_sampler("listening", words, 1)
    first = sampler.propose()
    sampler.observe(first, 0.7, 4)
    drain(sampler, 9)
    assert sampler.inner.observed[0] == (first.key, 0.7, 4)
    again = sampler.inner.observed[1:]
    assert again and {row[1:] for row in again} == {(0.7, 4)}
    assert {row[0].split()[0] for row in again} == {first.fingerprint}


def test_state_round_trip_in_the_middle():
    sampler = make_sampler("random", words, 2)
    for candidate in drain(sampler, 5):
        sampler.observe(candidate, None, 0)
    state = json.loads(json.dumps(sampler.state_dict()))
    other = make_sampler("random", words, 2)
    other.load_state_dict(state)
    assert drain(sampler) == drain(other)


def test_several_scores_come_back_from_json_as_they_were():
    sampler = make_sampler("random", words, 3)
    first = sampler.propose()
    sampler.observe(first, (0.5, -2.0), 4)
    other = make_sampler("random", words, 3)
    other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert other._known(first) == sampler._known(first) == ((0.5, -2.0), 4)


def test_what_a_constraint_refused_may_come_with_other_hyperparameters():
    observed = []

    class Fixed(RandomSampler):
        """Proposes one architecture in both sizes."""

        def draw(self, number: int, attempt: int) -> Word:
            answers = iter(["1", "a", ["small", "small", "large"][min(attempt, 2)]])
            return words(lambda point, labels, weights: labels.index(next(answers)))

        def observe(self, candidate: Word, score: object, epochs: int) -> None:
            observed.append((candidate.key, score, epochs))

    sampler = Deduplicated(Fixed(words), words)
    first = sampler.propose()
    sampler.observe(first, None, 0)
    second = sampler.propose()
    assert (first.key, second.key) == ("a small", "a large")
    assert observed == [("a small", None, 0)] * 3  # refused by a constraint once, then as a duplicate twice
    sampler.observe(second, None, 1)  # a failure is a trial: the architecture is done with
    assert sampler.propose().fingerprint != "a"


@pytest.mark.parametrize("name", ["evolution", "gp"])
def test_equal_outcomes_of_one_architecture_are_all_remembered(name):
    sampler = make_sampler(name, words, 0, dedup="hyperparameters")
    small, large = (
        words(lambda point, labels, weights, at=at: at if point.kind == "hyperparameter" else 0) for at in (0, 1)
    )
    for word in (small, large):
        sampler.observe(word, 0.5, 1)
    assert [observation.key for observation in sampler.inner.memory.observations] == [small.key, large.key]


@pytest.mark.parametrize("several", [False, True])
def test_the_last_observation_of_a_trial_that_had_paused_counts(several):
    def score(value):
        return (value, 1 - value) if several else value

    evolution, gp = (make_sampler(name, words, 0) for name in ("evolution", "gp"))
    first, second, third = (evolution.propose() for _ in range(3))
    for sampler in (evolution, gp):
        for word, value in ((first, 0.9), (second, 0.8), (third, 0.1)):
            sampler.observe(word, score(value), 1)
        sampler.observe(third, score(0.7), 6)
    members = [member.key for member in evolution.inner._members()]
    assert members[0] == third.key and sorted(members) == sorted([first.key, second.key, third.key])
    assert gp.inner._outcomes() == [(score(0.9), 1), (score(0.8), 1), (score(0.7), 6), (score(0.7), 6)]
    tpe = make_sampler("optuna:TPESampler", words, 0)
    words_of_tpe = [tpe.propose() for _ in range(3)]
    for word, outcome in zip(
        words_of_tpe * 2, [(0.9, 1), (0.8, 1), (0.7, 1), (None, 1), (0.6, 3), (0.7, 1)], strict=True
    ):
        tpe.observe(word, *outcome)
    assert [record.outcome for record in tpe.inner.records] == [(None, 1), (0.6, 3), (0.7, 1)]
    gp.observe(third, None, 7)
    assert gp.inner._outcomes()[2] == (None, 7), "it failed when it went on"


@pytest.mark.parametrize("name", ["evolution", "gp", "controller"])
def test_a_refused_duplicate_is_told_and_is_no_news(name):
    sampler = make_sampler(name, words, 0)
    proposed = [sampler.propose() for _ in range(6)]
    for number, word in enumerate(proposed):
        sampler.observe(word, number / 10, 1)
    before = json.dumps(sampler.inner.state_dict(), default=str)
    for word in proposed:
        sampler.inner.again(replace(word, size="other"), 0.3, 1)
    assert json.dumps(sampler.inner.state_dict(), default=str) == before


def test_an_exhaustive_sampler_goes_on_after_its_state():
    sampler, other = make_sampler("exhaustive", words), make_sampler("exhaustive", words)
    drain(sampler, 4)
    other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert drain(sampler) == drain(other)


def test_replay_proposes_its_traces():
    traces = [w.trace for w in drain(make_sampler("random", words, 4), 3)]
    sampler = make_sampler("replay", words, traces=[traces[0], traces[1].to_json(), traces[2]])
    assert [w.trace for w in drain(sampler, 3)] == traces


def test_replay_wants_traces(tracking):
    with pytest.raises(InputError, match=r"sampler\.traces: is empty; allowed: a list of traces"):
        make_sampler("replay", tracking)


def test_proposal_n_depends_on_the_seed_and_n_alone(tracking):
    whole = [make.trace for make in drain(make_sampler("random", tracking, 11), 20)]
    sampler = RandomSampler(tracking, 11)
    assert [sampler.draw(n, 0).trace for n in (19, 3, 7)] == [whole[n] for n in (19, 3, 7)]
    assert sampler.draw(3, 1).trace != whole[3]


def test_prior_weights_are_followed():
    choose = random_choices(1)
    point, labels = Point("k", "p"), ("a", "b", "c")
    drawn = [choose(point, labels, (0.0, 3.0, 1.0)) for _ in range(4000)]
    assert drawn.count(0) == 0
    # 4,000 draws of probability 0.75: five standard deviations are 137.
    assert abs(drawn.count(1) - 3000) < 137
    assert {choose(point, labels, (0.0, 0.0, 0.0)) for _ in range(100)} == {0, 1, 2}


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_the_same_seed_gives_the_same_list_in_another_process(tracking, hash_seed):
    here = [[c.fingerprint, c.trace.to_json()] for c in drain(make_sampler("random", tracking, 7), 40)]
    program = (
        "import json; from archioptrx.sampling.samplers import make_sampler;"
        "from archioptrx.sampling.walk import WalkSpace;"
        "from archioptrx.graphs.function_graph import FunctionGraph;"
        "from archioptrx.sampling.search_space import SearchSpace;"
        "s = make_sampler('random', WalkSpace(FunctionGraph.load('tracking'), SearchSpace.load('full')), 7);"
        "c = [s.propose() for _ in range(40)];"
        "print(json.dumps([[x.fingerprint, x.trace.to_json()] for x in c]))"
    )
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout) == here


def test_a_small_space_of_networks_is_exhausted():
    space = SearchSpace.load("full")
    limits = replace(space.walk, max_steps=4, iterations=(1, 2))
    small = WalkSpace(
        FunctionGraph.load("interaction"), replace(space, hyperparameters=space.hyperparameters, walk=limits)
    )
    known = {c.fingerprint for c, _ in enumerate_space(small, fixed=("hyperparameter",))}
    sampler = make_sampler("random", small, 0)
    assert {c.fingerprint for c in drain(sampler, len(known))} == known


def test_unknown_names_and_options_are_told():
    with pytest.raises(InputError, match=r"sampler\.name: is 'rnadom'; allowed: .*\(did you mean random\?\)"):
        make_sampler("rnadom", words)
    with pytest.raises(InputError, match=r"sampler\.size: sampler random has no such option; nothing is allowed here"):
        make_sampler("random", words, size=3)


@pytest.mark.parametrize("key", ["name", "seed", "dedup", "screen"])
def test_an_option_of_a_sampler_has_no_name_that_all_samplers_use(key):
    class Own:
        OPTIONS = ("salt", key)

    with pytest.raises(InputError, match=rf"^sampler own: has an option {key}; allowed: names other than name, space"):
        register("own")(Own)
