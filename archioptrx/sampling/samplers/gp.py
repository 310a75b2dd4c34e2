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
"""The kernel's weights are fitted anew when there are so many times the observations."""

FURTHER = 0.25
"""Probability that a mutated candidate is mutated once more."""


@sampler("gp")
class GaussianProcessSampler:
    """Proposes what a sample of the posterior likes best, among mutated, crossed and random candidates.

    A sample of the posterior differs from draw to draw, so that proposals made before any of them is scored differ
    as well. Scores are turned into normal quantiles of their rank; a failed trial ranks last.

    Parameters
    ----------
    space
        A program with choices. Its candidates' `graph` is compared where they have one, else their decisions.
    seed
        Of all draws.
    initial
        Random candidates at the start.
    pool
        Candidates of which each proposal is chosen: half of them mutated, a quarter crossed, a quarter random.
    best
        How many of the best are parents of the pool.
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
        self._rows: list[Features] = []  # of what was told
        self._theta: list[float] = []
        self._fitted = 0  # number of observations that the weights were fitted to
        self._known: tuple[list[Level], Array] | None = None
        self._liked: tuple[int, list[Any]] = (-1, [])

    def draw(self, number: int, attempt: int) -> Any:
        """The candidate that is liked best; where it was refused, the next."""
        answer = random_choices(seed_of(self.seed, number, attempt))
        if number < self.initial or len(self.memory.told) < 2:
            return self.space(answer)
        if self._liked[0] != number:
            self._liked = (number, self._rank(number))
        liked = self._liked[1]
        return liked[attempt] if attempt < len(liked) else self.space(answer)

    def _rank(self, number: int) -> list[Any]:
        """A pool of candidates, those first that the acquisition prefers."""
        draw = random.Random(seed_of(self.seed, number))
        pool = self._make_pool(draw)
        if not pool:
            return []
        known, targets = self._model()
        new = levels_of([features(candidate) for candidate in pool], known)
        found = posterior(known, targets, new, np.array(self._theta))
        if self.acquisition == "thompson":
            values = found.sample(np.random.default_rng(draw.getrandbits(64)))
        else:
            values = found.expected_improvement(float(targets.max()))
        return [pool[i] for i in np.argsort(-values, kind="stable")]

    def _make_pool(self, draw: random.Random) -> list[Any]:
        """Candidates that are not known, each once."""
        answer = random_choices(draw.getrandbits(64))
        parents = [one.trace for one in self.memory.ranked()[: self.best]]
        made = [self.space(answer) for _ in range(self.pool // 4 if parents else self.pool)]
        if parents:
            places = {trace: _free(self.space, trace) for trace in parents}
            made += [self._mutant(draw.choice(parents), places, draw, answer) for _ in range(self.pool // 2)]
            pairs = [(draw.choice(parents), draw.choice(parents)) for _ in range(self.pool // 4)]
            made += [cross(self.space, *pair, draw, answer) for pair in pairs]
        keys = {one.key for one in self.memory.told}
        return list({c.key: c for c in made if c.key not in keys}.values())

    def _mutant(self, trace: Trace, places: dict[Trace, list[int]], draw: random.Random, answer: Choose) -> Any:
        """Mutated once, in one of four cases twice, and so on."""
        while True:
            free = places[trace] if trace in places else _free(self.space, trace)
            if not free:
                return self.space(answer)
            child = mutate(self.space, trace, draw.choice(free), answer)
            if draw.random() >= FURTHER:
                return child
            trace = child.trace

    def _model(self) -> tuple[list[Level], Array]:
        """What is known, as matrices and targets; fits the kernel's weights where that's due."""
        if self._known is None:
            targets = np.array(quantiles([(one.score, one.epochs) for one in self.memory.told]))
            known = levels_of(self._rows)
            if len(targets) >= GROWTH * self._fitted:
                theta = np.array(self._theta) if self._theta else None
                self._theta = fit(cosines(known, known), targets, theta).tolist()
                self._fitted = len(targets)
            self._known = known, targets
        return self._known

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Learn from it, unless it is known or can't be replayed (a reference of another space)."""
        if self.memory.add(candidate, score, epochs):
            self._rows.append(features(candidate))
            self._known = None

    def again(self, candidate: Any, score: Any, epochs: int) -> None:
        """A refused duplicate is no news."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that was told, and the kernel's weights."""
        return {**self.memory.state_dict(), "theta": list(self._theta), "fitted": self._fitted}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another one was."""
        self.memory.load_state_dict(state)
        self._rows = [features(replay(self.space, one.trace)) for one in self.memory.told]
        self._theta, self._fitted = list(state["theta"]), int(state["fitted"])
        self._known, self._liked = None, (-1, [])


def _free(space: Space, trace: Trace) -> list[int]:
    """Decisions that have another option."""
    return [i for i, labels in enumerate(options_of(space, trace)) if len(labels) > 1]
