"""Bayesian optimisation with a Gaussian process over Weisfeiler-Lehman features (NAS-BOWL, Ru et al. 2021,
arXiv:2006.07556), here with one weight for each level and Thompson sampling (Kandasamy et al. 2018, arXiv:1705.09236).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from archioptrx.graphs.decisions import Choose, Space, Trace
from archioptrx.sampling.samplers.base import seed_of
from archioptrx.sampling.samplers.features import Features, features
from archioptrx.sampling.samplers.gaussian_process import Array, Level, cosines, fit, levels_of, posterior
from archioptrx.sampling.samplers.memory import Memory
from archioptrx.sampling.samplers.options import OptionChecks
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.ranking import quantiles
from archioptrx.sampling.samplers.registry import sampler
from archioptrx.sampling.samplers.replay import replay
from archioptrx.sampling.samplers.variation import cross, mutate, options_of

ACQUISITIONS = ("thompson", "expected_improvement")
GROWTH = 1.15
"""The weights of the kernel are fitted again when the number of observations has grown by this factor."""

FURTHER = 0.25
"""Probability that a mutated candidate is mutated again."""


@sampler("gp")
class GaussianProcessSampler:
    """Bayesian optimisation: the candidate of a pool with the largest value of a sample of the posterior.

    A sample of the posterior differs from draw to draw, so that proposals made before any of them is scored differ
    as well. Scores are turned into normal quantiles of their rank; a failed trial ranks last.

    Parameters
    ----------
    space
        A program with choices. Candidates are compared by their `graph` where they have one, else by their decisions.
    seed
        Seed of all draws.
    initial
        Number of random candidates at the start.
    pool
        Number of candidates that each proposal is chosen from: half mutated, a quarter crossed, a quarter random.
    best
        Number of the best observations that are parents of the pool.
    acquisition
        `thompson` or `expected_improvement`.
    """

    OPTIONS = ("initial", "pool", "best", "acquisition")

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        initial: int = 10,
        pool: int = 200,
        best: int = 10,
        acquisition: str = "thompson",
    ) -> None:
        checks = OptionChecks()
        checks.whole("initial", initial, 2)
        checks.whole("pool", pool, 4)
        checks.whole("best", best, 1)
        checks.one_of("acquisition", acquisition, ACQUISITIONS)
        checks.finish()
        self.space, self.seed, self.initial = space, seed, initial
        self.pool, self.best, self.acquisition = pool, best, acquisition
        self.memory = Memory(space)
        self._rows: list[Features] = []  # of the observations
        self._theta: list[float] = []
        self._fitted = 0  # number of observations that the weights were fitted to
        self._known: tuple[list[Level], Array] | None = None
        self._preferred: tuple[int, list[Any]] = (-1, [])  # number of a proposal, its pool in order

    def draw(self, number: int, attempt: int) -> Any:
        """The first of the ranked pool; after a refusal the next."""
        answer = random_choices(seed_of(self.seed, number, attempt))
        if number < self.initial or len(self.memory.observations) < 2:
            return self.space(answer)
        if self._preferred[0] != number:
            self._preferred = (number, self._rank(number))
        pool = self._preferred[1]
        return pool[attempt] if attempt < len(pool) else self.space(answer)

    def _rank(self, number: int) -> list[Any]:
        """A pool of candidates, in falling order of the acquisition."""
        draw = random.Random(seed_of(self.seed, number))
        pool = self._make_pool(draw)
        if not pool:
            return []
        known, targets = self._model()
        new = levels_of([features(candidate) for candidate in pool], known)
        beliefs = posterior(known, targets, new, np.array(self._theta))
        if self.acquisition == "thompson":
            values = beliefs.sample(np.random.default_rng(draw.getrandbits(64)))
        else:
            values = beliefs.expected_improvement(float(targets.max()))
        return [pool[i] for i in np.argsort(-values, kind="stable")]

    def _make_pool(self, draw: random.Random) -> list[Any]:
        """New candidates, each once."""
        answer = random_choices(draw.getrandbits(64))
        parents = [observation.trace for observation in self.memory.ranked()[: self.best]]
        pool = [self.space(answer) for _ in range(self.pool // 4 if parents else self.pool)]
        if parents:
            places = {trace: _free(self.space, trace) for trace in parents}
            pool += [self._mutant(draw.choice(parents), places, draw, answer) for _ in range(self.pool // 2)]
            pairs = [(draw.choice(parents), draw.choice(parents)) for _ in range(self.pool // 4)]
            pool += [cross(self.space, *pair, draw, answer) for pair in pairs]
        keys = {observation.key for observation in self.memory.observations}
        return list({c.key: c for c in pool if c.key not in keys}.values())

    def _mutant(self, trace: Trace, places: dict[Trace, list[int]], draw: random.Random, answer: Choose) -> Any:
        """A mutated candidate; in one of four cases it is mutated again, and so on."""
        while True:
            free = places[trace] if trace in places else _free(self.space, trace)
            if not free:
                return self.space(answer)
            child = mutate(self.space, trace, draw.choice(free), answer)
            if draw.random() >= FURTHER:
                return child
            trace = child.trace

    def _model(self) -> tuple[list[Level], Array]:
        """Observations as matrices and targets; fits the kernel's weights again where there are enough new ones."""
        if self._known is None:
            targets = np.array(quantiles([(seen.score, seen.epochs) for seen in self.memory.observations]))
            known = levels_of(self._rows)
            if len(targets) >= GROWTH * self._fitted:
                theta = np.array(self._theta) if self._theta else None
                self._theta = fit(cosines(known, known), targets, theta).tolist()
                self._fitted = len(targets)
            self._known = known, targets
        return self._known

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Learn from a candidate, unless it is known or can't be replayed (a reference of another space)."""
        if self.memory.add(candidate, score, epochs):
            self._rows.append(features(candidate))
            self._known = None

    def again(self, candidate: Any, score: Any, epochs: int) -> None:
        """A refused duplicate is no news."""

    def state_dict(self) -> Mapping[str, Any]:
        """All observations, and the weights of the kernel."""
        return {**self.memory.state_dict(), "theta": list(self._theta), "fitted": self._fitted}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.memory.load_state_dict(state)
        self._rows = [features(replay(self.space, seen.trace)) for seen in self.memory.observations]
        self._theta, self._fitted = list(state["theta"]), int(state["fitted"])
        self._known, self._preferred = None, (-1, [])


def _free(space: Space, trace: Trace) -> list[int]:
    """Positions of decisions with several options."""
    return [i for i, labels in enumerate(options_of(space, trace)) if len(labels) > 1]
