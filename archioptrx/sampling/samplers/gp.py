"""Bayesian optimisation with a Gaussian process over Weisfeiler-Lehman features (NAS-BOWL, Ru et al. 2021,
arXiv:2006.07556), here with one weight for each level and Thompson sampling (Kandasamy et al. 2018, arXiv:1705.09236).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archioptrx.graphs.decisions import Space, Trace
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.samplers.base import Earlier, seed_of
from archioptrx.sampling.samplers.features import features
from archioptrx.sampling.samplers.gaussian_process import (
    Array,
    FeaturePoint,
    Regression,
    cosines_among,
    fit,
    fit_kinship,
    levels_of,
    point_of,
)
from archioptrx.sampling.samplers.memory import Memory, Observation, latest, ranked
from archioptrx.sampling.samplers.options import OptionChecks
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.ranking import Score, quantiles, window
from archioptrx.sampling.samplers.registry import sampler
from archioptrx.sampling.samplers.replay import replay
from archioptrx.sampling.samplers.variation import Start, cross, free_positions, mutated

ACQUISITIONS = ("thompson", "expected_improvement")
GROWTH, MOST_NEW = 1.15, 150
"""Factor, and number, by which observations have to grow before the weights of the kernel are fitted again."""

FIT, WINDOW = 256, 1000
"""Most observations for the fit of the weights, and for the posterior (see `window`)."""

PARTS = 10
"""Number of parts of a pool: a proposal makes one part anew, and keeps those of the proposals just before it.

Walks and features take most of the time of a proposal, and a candidate that was not chosen is as good as it was."""

EARLIER = 128
"""Trials of earlier searches that the model is given, at most."""


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
        Number of candidates at the start that are not chosen by the model: random, every other one varied from a
        reference where there is one.
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
        self.memory = Memory(space, elsewhere=True)
        self.start, self._earlier = Start(), Lessons()
        self._points: list[FeaturePoint] = []  # of the observations
        self._theta: list[float] = []
        self._kinship = 1.0
        self._fitted = 0  # number of observations when the weights were fitted
        self._regression: Regression | None = None
        self._modelled: list[int] = []  # the observations of the regression
        self._parts: dict[int, PoolPart] = {}  # by number of the proposal that made it
        self._free: dict[Trace, list[int]] = {}  # of the parents: positions of decisions with several options
        self._preferred: tuple[int, list[Any]] = (-1, [])  # number of a proposal, its pool in order

    def draw(self, number: int, attempt: int) -> Any:
        """The first new candidate of the ranked pool; after a refusal the next."""
        answer = random_choices(seed_of(self.seed, number, attempt))
        if self._opens(number):
            return self.start.candidate(self.space, number, seed_of(self.seed, number, attempt), attempt)
        if self._preferred[0] != number:
            self._preferred = (number, self._rank(number))
        known, new = {observation.key for observation in self.memory.observations}, set[str]()
        for candidate in self._preferred[1]:  # keys are computed for the first few alone: they take time
            if candidate.key not in known and candidate.key not in new:
                new.add(candidate.key)
                if len(new) > attempt:
                    return candidate
        return self.space(answer)

    def _opens(self, number: int) -> bool:
        """Whether a proposal is made without the model; with earlier searches, every other one has it at once."""
        if self._earlier.points:
            return number < self.start.length(self.initial) and number % 2 == 0
        return number < self.initial or len(self.memory.observations) < 2

    def begin(self, candidates: Sequence[Any], earlier: Sequence[Earlier] = ()) -> None:
        """Take over what is known before the search; see `Proposer`."""
        self.start, self._earlier = Start.of(self.space, candidates, earlier), Lessons.of(earlier)

    def _rank(self, number: int) -> list[Any]:
        """The pool of a proposal, in falling order of the acquisition."""
        self._make_parts(number)
        pool = {candidate.trace: (candidate, point) for part in self._parts.values() for candidate, point in part.pool}
        candidates, points = zip(*pool.values(), strict=True)
        regression, targets = self._model()
        beliefs = regression.posterior(targets, points)
        if self.acquisition == "thompson":
            values = beliefs.sample(np.random.default_rng(seed_of(self.seed, number)))
        else:
            values = beliefs.expected_improvement(float(targets[len(self._earlier.points) :].max(initial=0.0)))
        return [candidates[i] for i in np.argsort(-values, kind="stable")]

    def _make_parts(self, number: int) -> None:
        """Keep the parts of this proposal and those before it; make those that are missing.

        Parts of the proposals before the first have negative numbers: an early pool is as large as a later one.
        """
        parts = dict[int, PoolPart]()
        for other in range(number + 1 - PARTS, number + 1):
            part = self._parts.get(other) or PoolPart(len(self.memory.observations))
            parts[other] = part if part.pool else PoolPart(part.observed, self._make_pool(other, part.observed))
        self._parts = parts

    def _make_pool(self, number: int, observed: int) -> list[tuple[Any, FeaturePoint]]:
        """One part of a pool, from the first `observed` observations: half mutated, a quarter crossed, one random."""
        draw = random.Random(seed_of(self.seed, number % 2**32, 0, 0))  # no number of a seed is negative
        answer = random_choices(draw.getrandbits(64))
        seen_then = latest(self.memory.observations[:observed])
        scored = [seen for seen in seen_then if seen.score is not None and seen.graph is None]
        parents = [seen.trace for seen in ranked(scored)[: self.best]] or list(self.start.traces)
        self._free = {trace: self._free.get(trace) or free_positions(self.space, trace) for trace in parents}
        pool = []
        for place in range(number, number + math.ceil(self.pool / PARTS)):
            if not parents or place % 4 == 3:
                pool.append(self.space(answer))
            elif place % 4 == 2:
                pool.append(cross(self.space, draw.choice(parents), draw.choice(parents), draw, answer))
            else:
                pool.append(mutated(self.space, draw.choice(parents), draw, answer, self._free))
        return [(candidate, point_of(features(candidate))) for candidate in pool]

    def _model(self) -> tuple[Regression, Array]:
        """The regression with all observations since its fit, and their targets; a new fit where one is due."""
        outcomes, earlier = self._outcomes(), self._earlier
        if not self._theta or len(outcomes) >= min(GROWTH * max(1, self._fitted), self._fitted + MOST_NEW):
            self._fit(outcomes)
        if self._regression is None:
            self._modelled = window(outcomes[: self._fitted], WINDOW)
            points = [*earlier.points, *(self._points[i] for i in self._modelled)]
            searches = [*earlier.searches, *(0 for _ in self._modelled)]
            self._regression = Regression(points, np.array(self._theta), searches, self._kinship)
        for number in range(max(self._fitted, max(self._modelled, default=-1) + 1), len(outcomes)):
            self._regression.append(self._points[number])
            self._modelled.append(number)
        targets = quantiles(outcomes)
        return self._regression, np.array([*earlier.targets, *(targets[i] for i in self._modelled)])

    def _outcomes(self) -> list[tuple[Score, int]]:
        """Outcome of each observation; one that a later one of its candidate replaces has the later one's.

        So the model never holds two scores of one candidate against each other. One that is there twice weighs more:
        it was trained for longer.
        """
        last = {seen.key: (seen.score, seen.epochs) for seen in self.memory.observations}
        return [last[seen.key] for seen in self.memory.observations]

    def _fit(self, outcomes: Sequence[tuple[Score, int]]) -> None:
        """Fit the weights of the kernel to a part of the observations."""
        own, chosen, earlier = quantiles(outcomes), window(outcomes, FIT), self._earlier
        parts = cosines_among(levels_of([*earlier.points, *(self._points[i] for i in chosen)]))
        targets = np.array([*earlier.targets, *(own[i] for i in chosen)])
        theta = np.array(self._theta) if self._theta else None
        if earlier.points:
            fitted, self._kinship = fit_kinship(
                parts, targets, np.array([*earlier.searches, *(0 for _ in chosen)]), theta
            )
        else:
            fitted = fit(parts, targets, theta)
        self._theta, self._fitted, self._regression = fitted.tolist(), len(outcomes), None

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Learn from a candidate, unless it is known. One of another space (a reference) teaches by its graph."""
        if self.memory.add(candidate, score, epochs):
            self._points.append(point_of(features(candidate)))

    def _candidate(self, seen: Observation) -> Any:
        """Candidate of an observation: of its trace, or of its graph where this space lacks it."""
        return replay(self.space, seen.trace) if seen.graph is None else Candidate(seen.trace, seen.graph, {})

    def again(self, candidate: Any, score: Any, epochs: int) -> None:
        """Ignore a refused duplicate: it brings no new score."""

    def state_dict(self) -> Mapping[str, Any]:
        """All observations, the weights of the kernel, and the number of observations behind each part of the pool."""
        parts = {str(number): part.observed for number, part in self._parts.items()}
        return {
            **self.memory.state_dict(),
            "theta": list(self._theta),
            "kinship": self._kinship,
            "fitted": self._fitted,
            "parts": parts,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state. The factor and the parts of the pool are made again, as they were made before."""
        self.memory.load_state_dict(state)
        self._points = [point_of(features(self._candidate(seen))) for seen in self.memory.observations]
        self._theta, self._fitted = list(state["theta"]), int(state["fitted"])
        self._kinship = float(state["kinship"])
        self._parts = {int(number): PoolPart(int(observed)) for number, observed in state["parts"].items()}
        self._regression, self._modelled, self._preferred = None, [], (-1, [])


@dataclass(frozen=True)
class PoolPart:
    """A part of a pool.

    Attributes
    ----------
    observed
        Number of observations when it was made: parents are the best of these.
    pool
        The candidates and their points; empty where they are still to be made, after a state was loaded.
    """

    observed: int
    pool: Sequence[tuple[Any, FeaturePoint]] = ()


@dataclass(frozen=True)
class Lessons:
    """Trials of earlier searches as the model takes them.

    Attributes
    ----------
    points, targets, searches
        Of each trial: its point, the normal quantile of its rank in its search, the number of the search.
    """

    points: tuple[FeaturePoint, ...] = ()
    targets: tuple[float, ...] = ()
    searches: tuple[int, ...] = ()

    @classmethod
    def of(cls, earlier: Sequence[Earlier]) -> Lessons:
        """At most `EARLIER` trials of all searches together: of each the best half and the latest."""
        numbers = sorted({trial.search for trial in earlier})
        points, targets, searches = list[FeaturePoint](), list[float](), list[int]()
        for number in numbers:
            trials = [trial for trial in earlier if trial.search == number]
            outcomes = [(trial.score, trial.epochs) for trial in trials]
            ranks, chosen = quantiles(outcomes), window(outcomes, EARLIER // len(numbers))
            points += [point_of(features(trials[i].candidate)) for i in chosen]
            targets += [ranks[i] for i in chosen]
            searches += [number] * len(chosen)
        return cls(tuple(points), tuple(targets), tuple(searches))
