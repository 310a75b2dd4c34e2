"""A sampler of your own: each proposal takes the best one so far and decides about a third of it anew.

    archioptrx sample tracking --imports custom_sampler --sampler thirds

and a search finds it by name when the experiment file says

    imports: [custom_sampler]
    sampler: {name: thirds, share: 0.3}

each in the folder of this file, or where it is installed. `pytest custom_sampler.py` checks it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.graphs.decisions import Point, Space, Trace
from archioptrx.sampling.samplers import Deduplicated, sampler
from archioptrx.sampling.samplers.base import seed_of
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.variation import Heritage
from archioptrx.testing import check_sampler


@sampler("thirds")
class Thirds:
    """Takes the best network so far, and decides about a third of it anew."""

    OPTIONS = ("share",)

    def __init__(self, space: Space, seed: int = 0, share: float = 0.3) -> None:
        self.space, self.seed, self.share = space, seed, share
        self.best: Trace | None = None
        self.rank: tuple[int, tuple[float, ...]] = (0, ())

    def draw(self, number: int, attempt: int) -> Any:
        """Make a candidate, which depends only on the seed, the two numbers and the observations."""
        lots = random.Random(seed_of(self.seed, number, attempt))
        anew = random_choices(lots.getrandbits(64))
        old = Heritage(self.best.decisions if self.best else ())

        def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
            taken = old.take(point, labels)
            return anew(point, labels, weights) if taken is None or lots.random() < self.share else taken

        return self.space(choose)

    def observe(self, candidate: Any, score: float | tuple[float, ...] | None, epochs: int) -> None:
        """Take a score; a failed trial has none, a pruned one fewer epochs; of several goals the first decides."""
        if score is None:
            return
        rank = (epochs, score if isinstance(score, tuple) else (score,))
        if rank > self.rank:
            self.best, self.rank = candidate.trace, rank

    def state_dict(self) -> Mapping[str, Any]:
        """Plain data."""
        return {"best": self.best.to_json() if self.best else None, "epochs": self.rank[0], "score": self.rank[1]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; the inverse of `state_dict`."""
        self.best = Trace.from_json(state["best"]) if state["best"] else None
        self.rank = (state["epochs"], tuple(state["score"]))  # JSON has made a list of it


def make(space: Space, seed: int = 0, **options: Any) -> Deduplicated:
    """The sampler as a search uses it: nothing is proposed twice."""
    return Deduplicated(Thirds(space, seed, **options), space)


def test_it_is_a_sampler() -> None:
    """The suite that all bundled samplers pass."""
    check_sampler(make)
