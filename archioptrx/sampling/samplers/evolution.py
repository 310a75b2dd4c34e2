"""Regularised (ageing) evolution over traces (Real et al. 2019, arXiv:1802.01548), and local search."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.graphs.decisions import HYPERPARAMETER, Choose, Space, Trace
from archioptrx.sampling.samplers.base import Earlier, seed_of
from archioptrx.sampling.samplers.memory import Memory, Observation, ranked
from archioptrx.sampling.samplers.options import OptionChecks
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.registry import sampler
from archioptrx.sampling.samplers.variation import Start, cross, mutate, options_of

MODES = ("ageing", "local_search")
PATIENCE = 10
"""Number of refused draws after which a child gets a further mutation."""
PAIR = 2
"""Members in a tournament with several objectives: with more of them one part of the front would always win."""


@sampler("evolution")
class EvolutionSampler:
    """Evolution: children of the best of a few members that are drawn from a population.

    The population is the last observations, so that each member leaves by age, also one with a lucky score. Members are
    compared by rank. An observation that was not proposed, such as a reference, is a member like others; a failed trial
    is none. Where a score has several objectives, the population is the best of all observations, by front and
    crowding (NSGA-II, Deb et al. 2002).

    Parameters
    ----------
    space
        A program with choices.
    seed
        Seed of all draws.
    population
        Number of members.
    tournament
        Number of members that compete to be a parent (drawn with replacement).
    initial
        Number of candidates at the start that have no parent: random, every other one varied from a reference where
        there is one.
    crossover
        Share of children that have two parents; the others are mutated in one decision.
    mode
        `local_search`: all one-decision neighbours of the best, then of the next best (White et al. 2021,
        arXiv:2005.02960).

    Attributes
    ----------
    parent
        Parent of the last draw, the first of two; None where it was random.
    """

    OPTIONS = ("population", "tournament", "initial", "crossover", "mode")

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        population: int = 50,
        tournament: int = 20,
        initial: int = 10,
        crossover: float = 0.1,
        mode: str = "ageing",
    ) -> None:
        checks = OptionChecks()
        checks.whole("population", population, 1)
        checks.whole("tournament", tournament, 1)
        checks.whole("initial", initial, 0)
        checks.share("crossover", crossover)
        checks.one_of("mode", mode, MODES)
        checks.finish()
        self.space, self.seed, self.mode = space, seed, mode
        self.population, self.tournament, self.initial, self.crossover = population, tournament, initial, crossover
        self.memory = Memory(space)
        self.start = Start()
        self.parent: Observation | None = None
        self._ranked: list[Observation] | None = None
        self._elite: list[Observation] = []
        self._next: dict[str, int] = {}  # local search: by key, how many neighbours were proposed
        self._changes_of: tuple[str, list[tuple[int, str]]] = ("", [])

    def draw(self, number: int, attempt: int) -> Any:
        """A random candidate, a child or a neighbour."""
        draw = random.Random(seed_of(self.seed, number, attempt))
        answer = random_choices(draw.getrandbits(64))
        self.parent = None
        if self._ranked is None:
            self._ranked = self._members()
        if number < self.start.length(self.initial) or not self._ranked:
            return self.start.candidate(self.space, number, draw.getrandbits(64), attempt)
        if self.mode == "local_search":
            return self._neighbour(answer)
        if draw.random() < self.crossover:
            self.parent, other = self._select(draw), self._select(draw)
            child = cross(self.space, self.parent.trace, other.trace, draw, answer)
            return child if attempt < PATIENCE else self._mutant(child.trace, number, attempt, draw, answer)
        self.parent = self._select(draw)
        return self._mutant(self.parent.trace, number, attempt, draw, answer)

    def begin(self, candidates: Sequence[Any], earlier: Sequence[Earlier] = ()) -> None:
        """Take over what is known before the search; see `Proposer`."""
        self.start = Start.of(self.space, candidates, earlier)

    def _members(self) -> list[Observation]:
        """Possible parents, best first."""
        if self._elite:
            return self._elite
        return self.memory.ranked(self.population if self.mode == "ageing" else None)

    def _select(self, draw: random.Random) -> Observation:
        """The winner of a tournament."""
        members = self._ranked or []
        rivals = min(self.tournament, PAIR) if self._elite else self.tournament
        return members[min(draw.randrange(len(members)) for _ in range(rivals))]

    def _mutant(self, trace: Trace, number: int, attempt: int, draw: random.Random, answer: Choose) -> Any:
        """A child with one mutated decision; with more where such children were refused.

        A changed hyperparameter alone makes no new architecture: after a refusal it comes with a further change.
        """
        hyper, other = self._free(trace)
        # By the number alone, so that all attempts for one proposal mutate a decision of the same sort.
        choice = random.Random(seed_of(self.seed, number)).randrange(max(1, len(hyper) + len(other)))
        if choice < len(hyper):
            child = mutate(self.space, trace, hyper[draw.randrange(len(hyper))], answer)
            if attempt == 0 or not other:
                return child
            trace, (hyper, other) = child.trace, self._free(child.trace)
        for _ in range(1 + attempt // PATIENCE):
            if not other:
                self.parent = None
                return self.space(answer)
            child = mutate(self.space, trace, other[draw.randrange(len(other))], answer)
            trace, (hyper, other) = child.trace, self._free(child.trace)
        return child

    def _free(self, trace: Trace) -> tuple[list[int], list[int]]:
        """Positions of decisions with several options: those of hyperparameters, and all others."""
        free = [i for i, labels in enumerate(options_of(self.space, trace)) if len(labels) > 1]
        hyper = [i for i in free if trace.decisions[i].kind == HYPERPARAMETER]
        return hyper, [i for i in free if trace.decisions[i].kind != HYPERPARAMETER]

    def _neighbour(self, answer: Choose) -> Any:
        """The next neighbour of the best member that has neighbours left, in an order that depends on the seed."""
        for member in self._ranked or []:
            changes = self._changes(member)
            done = self._next.get(member.key, 0)
            if done < len(changes):
                self._next[member.key], self.parent = done + 1, member
                position, label = changes[done]
                return mutate(self.space, member.trace, position, answer, label)
        return self.space(answer)

    def _changes(self, member: Observation) -> list[tuple[int, str]]:
        """All changes of one decision (position and label), shuffled; those of the last member are kept."""
        if self._changes_of[0] != member.key:
            options, old = options_of(self.space, member.trace), member.trace.decisions
            changes = [(i, label) for i, labels in enumerate(options) for label in labels if label != old[i].label]
            random.Random(f"{self.seed} {member.key}").shuffle(changes)
            self._changes_of = (member.key, changes)
        return self._changes_of[1]

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Make a candidate a member, unless it is known or can't be replayed (a reference of another space)."""
        if self.memory.add(candidate, score, epochs):
            self._welcome(self.memory.observations[-1])

    def again(self, candidate: Any, score: Any, epochs: int) -> None:
        """Ignore a refused duplicate: it brings no new score."""

    def _welcome(self, member: Observation) -> None:
        """Add a member. With several objectives the best of all are kept: a front needs members of every age."""
        self._ranked = None
        if isinstance(member.score, tuple):
            others = [other for other in self._elite if other.key != member.key]
            self._elite = ranked([*others, member])[: self.population]

    def state_dict(self) -> Mapping[str, Any]:
        """All observations, and the neighbours that were proposed."""
        return {**self.memory.state_dict(), "next": dict(self._next)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.memory.load_state_dict(state)
        self._next, self._ranked, self._elite = dict(state["next"]), None, []
        for observation in self.memory.observations:
            self._welcome(observation)
