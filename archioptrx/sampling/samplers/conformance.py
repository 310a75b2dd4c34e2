"""Conformance suite for all samplers, also those of users: `check_sampler(make)` raises AssertionError at a fault.

    from archioptrx.testing import check_sampler

    def make(space, seed):
        return Deduplicated(MySampler(space, seed), space)

    def test_my_sampler():
        check_sampler(make)

It checks that: proposals depend on seed and observations alone, in any process; every choice is allowed; failures, NaN,
infinity, late, missing and shuffled scores, pruned trials and 16 proposals in flight raise no error; the state makes a
round trip through JSON in the middle of a search, with one goal and with several; nothing is proposed twice; spaces of
one architecture and of 10^40 work.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archioptrx.graphs.decisions import HYPERPARAMETER, Choose, Decision, Point, Space, Trace
from archioptrx.sampling.samplers import Sampler, make_sampler, replay

Make = Callable[..., Sampler]
"""`make(space, seed, **options)`: a fresh sampler. A function of a module, so that another process can find it."""

IN_FLIGHT = 16
STRANGE = (None, math.nan, math.inf, -math.inf)


@dataclass(frozen=True)
class Code:
    """A candidate of the spaces here: its architecture is the list of its decisions without hyperparameters."""

    trace: Trace

    @property
    def fingerprint(self) -> str:
        """Equal for equal architectures."""
        return " ".join(d.label for d in self.trace.decisions if d.kind != HYPERPARAMETER)

    @property
    def key(self) -> str:
        """Equal for equal candidates."""
        return " ".join(d.label for d in self.trace.decisions)

    @property
    def score(self) -> float:
        """Objective of the search: larger for labels near 7 and a hyperparameter near 1; 1 at most."""
        labels = [float(d.label) for d in self.trace.decisions]
        return 1 - sum(abs(label - (1 if i == len(labels) - 1 else 7)) for i, label in enumerate(labels)) / 100


@dataclass(frozen=True)
class Codes:
    """A space of codes. All choices are checked.

    Attributes
    ----------
    least, most
        Smallest and largest number of digits; their number is the first decision.
    base
        Number of options of each digit.
    hyperparameters
        Number of options of the hyperparameter at the end.
    """

    least: int
    most: int
    base: int
    hyperparameters: int = 3

    def __call__(self, choose: Choose) -> Code:
        """Sample a candidate."""
        decisions: list[Decision] = []

        def pick(kind: str, place: str, labels: Sequence[str]) -> str:
            index = choose(Point(kind, place), labels, [1.0] * len(labels))
            allowed = isinstance(index, int) and 0 <= index < len(labels)
            require(allowed, f"the answer to {kind} at {place} is {index!r}; allowed: 0 to {len(labels) - 1}")
            decisions.append(Decision(kind, place, labels[index]))
            return labels[index]

        digits = self.least
        if self.most > self.least:
            digits = int(pick("length", "", [str(n) for n in range(self.least, self.most + 1)]))
        for number in range(digits):
            pick("digit", str(number % 3), [str(n) for n in range(self.base)])
        pick(HYPERPARAMETER, "rate", [str(n) for n in range(self.hyperparameters)])
        return Code(Trace(tuple(decisions)))


SINGLE = Codes(1, 1, 1, 1)
SMALL = Codes(1, 3, 2)
MIDDLE = Codes(2, 6, 8)
HUGE = Codes(40, 40, 10, 1)


def require(condition: bool, text: str) -> None:
    """Raise AssertionError with a text unless the condition holds."""
    if not condition:
        raise AssertionError(text)


def check_sampler(make: Make | str, **options: Any) -> None:
    """Run the whole suite.

    Parameters
    ----------
    make
        A function of a module, or the name of a registered sampler.
    **options
        Options of the sampler, as plain data.

    Raises
    ------
    AssertionError
        A property doesn't hold; the message names it.
    """
    for check in CHECKS:
        check(Subject(make, options))


@dataclass(frozen=True)
class Subject:
    """The sampler that is checked, with the way to make it in this process and in another."""

    make: Make | str
    options: dict[str, Any]

    def __call__(self, space: Space, seed: int = 0) -> Sampler:
        """A new sampler."""
        if isinstance(self.make, str):
            return make_sampler(self.make, space, seed, **self.options)
        return self.make(space, seed, **self.options)

    def description(self) -> dict[str, Any]:
        """Plain data; `described` inverts it in another process."""
        if isinstance(self.make, str):
            return {"name": self.make, "options": self.options}
        file, name = inspect.getsourcefile(self.make), getattr(self.make, "__qualname__", "<nameless>")
        require(bool(file) and "<" not in name, f"{name} must be a function of a module: another process must find it")
        return {"file": file, "name": name, "options": self.options}


def described(content: dict[str, Any]) -> Subject:
    """The subject of a description."""
    if "file" not in content:
        return Subject(content["name"], content["options"])
    spec = importlib.util.spec_from_file_location("subject", content["file"])
    if spec is None or spec.loader is None:
        raise ImportError(f"{content['file']}: is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules["subject"] = module
    spec.loader.exec_module(module)
    return Subject(getattr(module, content["name"]), content["options"])


def propose(sampler: Sampler) -> Any:
    """The next candidate of a space that has many."""
    candidate = sampler.propose()
    require(candidate is not None, "the sampler gives up in a space that has many more candidates")
    return candidate


def search(sampler: Sampler, trials: int = 40) -> list[Any]:
    """Propose and observe one candidate after the other; the candidates."""
    candidates = []
    for number in range(trials):
        candidates.append(propose(sampler))
        sampler.observe(candidates[-1], None if number % 7 == 3 else candidates[-1].score, 2)
    return candidates


def plain(candidates: Sequence[Any]) -> list[Any]:
    """Traces as plain data."""
    return [candidate.trace.to_json() for candidate in candidates]


def check_reproducible(make: Subject) -> None:
    """Proposals are the same in other processes with other hash seeds, and others under another seed."""
    here = plain(search(make(MIDDLE, 5)))
    require(plain(search(make(MIDDLE, 5))) == here, "two searches of the same seed in one process differ")
    program = "from archioptrx.sampling.samplers.conformance import search_elsewhere; search_elsewhere()"
    for hash_seed in ("0", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        question = json.dumps(make.description())
        done = subprocess.run(
            [sys.executable, "-c", program], input=question, capture_output=True, text=True, env=environment
        )
        require(done.returncode == 0, f"the search in another process failed:\n{done.stderr}")
        same = json.loads(done.stdout.splitlines()[-1]) == here
        require(same, f"the search in another process (PYTHONHASHSEED={hash_seed}) proposes something else")


def search_elsewhere() -> None:
    """The other process of `check_reproducible`: description on stdin, traces on stdout."""
    make = described(json.load(sys.stdin))
    print(json.dumps(plain(search(make(MIDDLE, 5)))))


def check_allowed(make: Subject) -> None:
    """Every proposal is from the space (which checks all answers), has the trace that leads to it, and is new."""
    for space in (MIDDLE, HUGE):
        candidates = search(make(space, 1))
        for candidate in candidates:
            require(replay(space, candidate.trace) == candidate, f"{candidate} is not what its trace leads to")
        distinct = len({c.fingerprint for c in candidates})
        require(distinct == len(candidates), "an architecture was proposed twice")


def check_strange_scores(make: Subject) -> None:
    """Failures, NaN and infinities raise no error, alone and among others, with trials of different epochs."""
    for scores in (STRANGE, (*STRANGE, 0.2, 0.9), (0.5,)):
        sampler = make(MIDDLE, 2)
        for number, score in zip(range(36), itertools.cycle(scores), strict=False):
            sampler.observe(propose(sampler), score, number % 4)


def check_in_flight(make: Subject) -> None:
    """16 proposals at once; scores come in any order, some never, some twice, some of candidates from elsewhere."""
    draw = random.Random(0)
    for _ in _search_in_flight(make(MIDDLE, 3), draw, 48):
        pass


def _search_in_flight(sampler: Sampler, draw: random.Random, trials: int) -> Iterator[Any]:
    flying: list[Any] = []
    for number in range(trials):
        flying.append(propose(sampler))
        yield flying[-1]
        if len(flying) < IN_FLIGHT:
            continue
        ended = flying.pop(draw.randrange(len(flying)))
        if number % 6 != 1:
            sampler.observe(ended, ended.score, 1 + number % 2)
        if number % 9 == 0:
            sampler.observe(ended, ended.score, 1 + number % 2)
            stranger = MIDDLE(lambda point, labels, weights: draw.randrange(len(labels)))
            sampler.observe(stranger, stranger.score, 2)


def check_state(make: Subject) -> None:
    """A sampler with a state from JSON continues as the original does, with proposals in flight too."""
    original, draw = make(MIDDLE, 4), random.Random(1)
    for _ in _search_in_flight(original, draw, 36):
        pass
    state = json.loads(json.dumps(original.state_dict()))
    loaded = make(MIDDLE, 4)
    loaded.load_state_dict(state)
    require(
        plain(search(original, 8)) == plain(search(loaded, 8)), "a sampler goes on differently after a state round trip"
    )


def check_several_goals(make: Subject) -> None:
    """Scores of several goals are tuples, from the first observation on, and survive the state."""

    def goals(sampler: Sampler, trials: int) -> list[Any]:
        proposed = []
        for number in range(trials):
            proposed.append(propose(sampler))
            score = (proposed[-1].score, -float(len(proposed[-1].trace.decisions)))
            sampler.observe(proposed[-1], None if number % 7 == 3 else score, 1 + number % 2)
        return proposed

    original, loaded = make(MIDDLE, 7), make(MIDDLE, 7)
    goals(original, 16)
    loaded.load_state_dict(json.loads(json.dumps(original.state_dict())))
    same = plain(goals(original, 6)) == plain(goals(loaded, 6))
    require(same, "a sampler of several goals goes on differently after a state round trip")


def check_single(make: Subject) -> None:
    """The only architecture is proposed once."""
    sampler = make(SINGLE)
    only = sampler.propose()
    require(only is not None, "the only candidate of a space is not proposed")
    sampler.observe(only, 0.5, 1)
    require(sampler.propose() is None, "the only candidate of a space is proposed twice")


def check_small(make: Subject) -> None:
    """Each of 14 architectures is proposed once, then each with other hyperparameters, then none."""
    sampler, proposed = make(SMALL, 6), list[Any]()
    while len(proposed) < 100 and (candidate := sampler.propose()) is not None:
        proposed.append(candidate)
        sampler.observe(candidate, candidate.score, 1)
    first = {c.fingerprint for c in proposed[:14]}
    require(len(first) == 14, "an architecture comes twice before all others came once")
    count = len(proposed)
    require(count == len({c.key for c in proposed}) == 42, f"{count} candidates of a space of 42 are proposed")


CHECKS: tuple[Callable[[Subject], None], ...] = (
    check_allowed,
    check_single,
    check_small,
    check_strange_scores,
    check_in_flight,
    check_reproducible,
    check_state,
    check_several_goals,
)
