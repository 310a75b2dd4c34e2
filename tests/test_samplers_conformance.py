"""The conformance suite: all samplers pass it, and it catches the faults it's there for."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import processes
import pytest

from archioptrx.sampling.samplers import Deduplicated, RandomSampler, make_sampler
from archioptrx.sampling.samplers.conformance import (
    CHECKS,
    MIDDLE,
    SINGLE,
    Subject,
    check_reproducible,
    check_sampler,
    check_several_goals,
    plain,
    search,
)
from archioptrx.sampling.samplers.registry import SAMPLERS

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "custom_sampler.py"


VARIANTS = {
    "evolution": [{"initial": 8}, {"mode": "local_search", "initial": 8}, {"crossover": 0.5, "initial": 8}],
    "gp": [{"initial": 8, "pool": 24}],
    "controller": [{}, {"algorithm": "reinforce", "replay": 0, "batch": 4}],
    "optuna:TPESampler": [{"n_startup_trials": 6}],
    "optuna:NSGAIISampler": [{"population_size": 6}],
}
"""Options of the samplers that have more than their usual ones to be checked, or need smaller ones for these spaces."""
GIVEN = {"replay"}
"""Proposes what it is given, and nothing in a space that it isn't from."""


def cases():
    """Every sampler with its options; `optuna:` stands for classes of another package."""
    for name in dict.fromkeys((*SAMPLERS, *VARIANTS)):
        if name not in GIVEN:
            for options in VARIANTS.get(name, [{}]):
                yield pytest.param(name, options, id=" ".join([name, *map(str, options.values())]))


@pytest.mark.parametrize(("name", "options"), list(cases()))
def test_a_sampler_conforms(name, options):
    if name.startswith("optuna:"):
        pytest.importorskip("optuna", reason="needs the extra `optuna`")
    if name == "random":
        check_sampler(name, **options)
        return
    # The other processes of the whole suite import torch; a fork has its own hashes as well.
    subject = Subject(name, options)
    for check in CHECKS:
        if check is not check_reproducible:
            check(subject)
    here = plain(search(subject(MIDDLE, 5)))
    assert plain(search(subject(MIDDLE, 5))) == here
    code = f"import io, sys; sys.stdin = io.StringIO({json.dumps(subject.description())!r})\n"
    code += "from archioptrx.sampling.samplers.conformance import search_elsewhere; search_elsewhere()"
    assert json.loads(processes.python(code).splitlines()[-1]) == here


def test_the_example_of_a_users_sampler_passes():
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(EXAMPLE)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


class Unseeded(RandomSampler):
    """Draws that depend on how often it was asked."""

    calls = itertools.count()

    def draw(self, number, attempt):
        return super().draw(number + 1000 * next(Unseeded.calls), attempt)


class Hashed(RandomSampler):
    """Draws that depend on the process."""

    def draw(self, number, attempt):
        return super().draw(number, hash(f"{number} {attempt}") % 2**32)


class Wild(RandomSampler):
    """Answers beyond the options."""

    def draw(self, number, attempt):
        return self.space(lambda point, labels, weights: len(labels))


class Careless(RandomSampler):
    """Takes every score for a number."""

    def observe(self, candidate, score, epochs):
        self.best = max(getattr(self, "best", 0.0), score)


class OneGoal(RandomSampler):
    """Keeps the best score, which it takes for one number once it is read from JSON."""

    best = (0, 0.0)

    def observe(self, candidate, score, epochs):
        if score is not None and (epochs, score) > self.best:
            self.best = (epochs, score)

    def state_dict(self):
        return {"best": self.best}

    def load_state_dict(self, state):
        self.best = (int(state["best"][0]), float(state["best"][1]))


class Forgetful(RandomSampler):
    """Has a state, and doesn't say so."""

    observation_count = 0

    def observe(self, candidate, score, epochs):
        self.observation_count += 1

    def draw(self, number, attempt):
        return super().draw(number, attempt + 1000 * self.observation_count)


def unseeded(space, seed):
    return Deduplicated(Unseeded(space, seed), space)


def hashed(space, seed):
    return Deduplicated(Hashed(space, seed), space)


def wild(space, seed):
    return Deduplicated(Wild(space, seed), space)


def careless(space, seed):
    return Deduplicated(Careless(space, seed), space)


def one_goal(space, seed):
    return Deduplicated(OneGoal(space, seed), space)


def forgetful(space, seed):
    return Deduplicated(Forgetful(space, seed), space)


class Repeating:
    """A sampler without deduplication, and without a state."""

    def __init__(self, space, seed=0):
        self.inner, self.number = RandomSampler(space, seed), 0

    def propose(self):
        self.number += 1
        return self.inner.draw(self.number, 0)

    def observe(self, candidate, score, epochs):
        pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (unseeded, "two searches of the same seed in one process differ"),
        (hashed, "in another process"),
        (wild, r"allowed: 0 to 4"),
        (forgetful, "goes on differently after a state round trip"),
        (Repeating, "proposed twice"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_faulty_samplers_are_caught(make, message):
    with pytest.raises(AssertionError, match=message):
        check_sampler(make)


def test_a_sampler_that_computes_with_a_failure_is_caught():
    with pytest.raises(TypeError):
        check_sampler(careless)


def test_a_sampler_that_expects_one_goal_is_caught():
    with pytest.raises(TypeError):
        check_several_goals(Subject(one_goal, {}))


def test_each_check_has_a_name_and_a_sampler_made_on_the_spot_is_refused():
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    with pytest.raises(AssertionError, match="another process must find it"):
        Subject(lambda space, seed: make_sampler("random", space, seed), {}).description()
    assert make_sampler("random", SINGLE).propose().key == "0 0"
