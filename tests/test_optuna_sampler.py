"""Samplers of Optuna drive the same decisions."""

import json
import sys
from dataclasses import dataclass

import pytest
from spaces import Words

from archioptrx.core.errors import InputError
from archioptrx.graphs.decisions import Decision, Point, Trace
from archioptrx.sampling.samplers import make_sampler
from archioptrx.sampling.samplers.optuna import WINDOWS
from archioptrx.sampling.samplers.random import random_choices

optuna = pytest.importorskip("optuna", reason="needs the extra `optuna`")

WORDS = Words(longest=4, alphabet="abcd")


@dataclass(frozen=True)
class Taken:
    """A candidate that is its trace."""

    trace: Trace

    @property
    def fingerprint(self):
        return self.key

    @property
    def key(self):
        return " ".join(d.label for d in self.trace.decisions)


def value(word):
    return word.letters.count("a") + 0.1 * len(word.letters)


def search(sampler, trials):
    candidates = []
    for _ in range(trials):
        candidates.append(sampler.propose())
        sampler.observe(candidates[-1], value(candidates[-1]), 1)
    return candidates


def test_tpe_learns():
    long = Words(longest=6, alphabet="abcdefgh")
    best = {name: max(map(value, search(make_sampler(name, long, 0), 80))) for name in ("random", "optuna:TPESampler")}
    assert best["optuna:TPESampler"] > best["random"]


def test_a_parameter_is_named_by_point_occurrence_and_labels():
    sampler = make_sampler("optuna:RandomSampler", Words(longest=1, alphabet="ab"), 0)
    search(sampler, 2)
    first, second = (record.choices for record in sampler.inner.records[:2])
    assert [name.rsplit(" ", 1)[0] for name in first] == ["letter 0 0", "hyperparameter size 0"]
    assert list(first) == list(second)
    wider = make_sampler("optuna:RandomSampler", Words(longest=1, alphabet="abc"), 0)
    search(wider, 1)
    assert set(wider.inner.records[0].choices).isdisjoint({next(iter(first))})


def test_numbers_in_rising_order_are_ordinal():
    options = [["8", "16", "32.5"], ["relu", "tanh"], ["3", "1"], ["0", "1"]]
    points = [Point("hyperparameter", name) for name in ("size", "name", "odd")] + [Point("extra", "x")]

    def space(choose):
        taken = [choose(point, labels, [1] * len(labels)) for point, labels in zip(points, options, strict=True)]
        return Taken(Trace(tuple(Decision(*p, labels[i]) for p, labels, i in zip(points, options, taken, strict=True))))

    sampler = make_sampler("optuna:TPESampler", space, 0, dedup="hyperparameters")
    first = sampler.propose()
    sampler.observe(first, 1.0, 1)
    (trial,) = sampler.inner._study(0).trials
    kinds = {name.split()[1]: type(distribution).__name__ for name, distribution in trial.distributions.items()}
    assert kinds.pop("size") == "IntDistribution"
    assert kinds == dict.fromkeys(("name", "odd", "x"), "CategoricalDistribution")
    size = next(value for name, value in trial.params.items() if "size" in name)
    assert options[0][size] == first.trace.decisions[0].label


def test_what_a_constraint_refused_is_no_trial():
    sampler = make_sampler("optuna:TPESampler", WORDS, 1)
    refused, accepted = sampler.propose(), sampler.propose()
    sampler.observe(refused, None, 0)
    assert [record.key for record in sampler.inner.records] == [accepted.key]


def test_outcomes_are_told_as_optuna_knows_them():
    sampler = make_sampler("optuna:RandomSampler", WORDS, 1)
    words = [sampler.propose() for _ in range(5)]
    for word, score, epochs in zip(words, (0.5, 0.9, None, float("nan")), (4, 1, 4, 4), strict=False):
        sampler.observe(word, score, epochs)
    states = [trial.state.name for trial in sampler.inner._study(0).trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "FAIL", "RUNNING"]


def test_a_reference_is_a_trial_of_the_study():
    sampler = make_sampler("optuna:TPESampler", WORDS, 1)
    word = WORDS(random_choices(3))
    sampler.observe(word, 0.7, 1)
    sampler.observe(word, 0.7, 1)
    trials = sampler.inner._study(0).trials
    assert [trial.value for trial in trials] == [0.7]
    assert sorted(trials[0].params.values()) == sorted(d.label for d in word.trace.decisions)


def test_trials_are_kept_until_their_outcome_changes():
    sampler = make_sampler("optuna:TPESampler", WORDS, 1)
    done, other = sampler.propose(), sampler.propose()
    sampler.observe(done, 0.1, 1)
    first = [record.trial(1) for record in sampler.inner.records]
    assert [record.trial(1) is trial for record, trial in zip(sampler.inner.records, first, strict=True)] == [True] * 2
    sampler.observe(other, 0.2, 2)
    states = [trial.state.name for trial in sampler.inner._study(0).trials]
    assert ([trial.state.name for trial in first], states) == (["COMPLETE", "RUNNING"], ["PRUNED", "COMPLETE"])


def test_tpe_is_given_the_best_and_the_latest(monkeypatch):
    monkeypatch.setitem(WINDOWS, "TPESampler", 10)
    sampler = make_sampler("optuna:TPESampler", WORDS, 2)
    search(sampler, 24)
    values = [record.outcome[0] for record in sampler.inner.records]  # a refused duplicate is a trial as well
    trial_values = [trial.value for trial in sampler.inner._study(0).trials]
    assert sorted(trial_values)[-5:] == sorted(values)[-5:]
    assert trial_values[-3:] == values[-3:] and len(trial_values) == 10


def test_several_objectives_make_a_study_of_several_directions():
    sampler = make_sampler("optuna:NSGAIISampler", WORDS, 2, population_size=4)
    for _ in range(12):
        word = sampler.propose()
        sampler.observe(word, (float(len(word.letters)), -value(word)), 1)
    state = json.loads(json.dumps(sampler.state_dict()))
    other = make_sampler("optuna:NSGAIISampler", WORDS, 2, population_size=4)
    other.load_state_dict(state)
    assert len(sampler.inner._study(0).directions) == 2
    assert [sampler.propose() for _ in range(3)] == [other.propose() for _ in range(3)]


def test_a_sampler_for_one_objective_says_so():
    sampler = make_sampler("optuna:CmaEsSampler", WORDS, 2)
    sampler.observe(sampler.propose(), (0.1, 0.2), 1)
    with pytest.raises(InputError, match=r"CmaEsSampler of Optuna: .*multi-objective"):
        sampler.propose()


def test_unknown_samplers_and_arguments_are_told():
    with pytest.raises(InputError, match=r"sampler\.name: is 'optuna:TPE'; allowed: .*did you mean optuna:\w+\?"):
        make_sampler("optuna:TPE", WORDS)
    with pytest.raises(InputError, match=r"sampler\.size: sampler optuna:TPESampler has no such option"):
        make_sampler("optuna:TPESampler", WORDS, size=3)
    with pytest.raises(InputError, match=r"did you mean optuna:TPESampler\?"):
        make_sampler("optuna:tpe", WORDS)


@pytest.mark.parametrize("name", ["BaseGASampler", "GridSampler", "PartialFixedSampler"])
def test_what_can_not_be_made_from_a_file_is_not_legal(name):
    with pytest.raises(InputError) as caught:
        make_sampler(f"optuna:{name}", WORDS)
    wrong, allowed = str(caught.value).split("; allowed: ")
    assert wrong == f"sampler.name: is 'optuna:{name}'" and name not in allowed and "optuna:QMCSampler" in allowed


def test_a_package_that_optuna_misses_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)

    def numbers(choose):
        # Categorical parameters this sampler of Optuna leaves to chance.
        points = [Point("hyperparameter", name) for name in ("width", "depth")]
        taken = [choose(point, ["1", "2", "4", "8"], [1] * 4) for point in points]
        return Taken(Trace(tuple(Decision(*p, ["1", "2", "4", "8"][i]) for p, i in zip(points, taken, strict=True))))

    sampler = make_sampler("optuna:CmaEsSampler", numbers, n_startup_trials=1)
    with pytest.raises(InputError, match=r"CmaEsSampler of Optuna: needs the package cmaes; allowed: install it"):
        for _ in range(3):
            sampler.observe(sampler.propose(), 0.5, 1)


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'archioptrx\[optuna\]'"):
        make_sampler("optuna:TPESampler", WORDS)
