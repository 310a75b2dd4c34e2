"""The random walk: every decision drawn by its prior weights."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.graphs.decisions import Choose, Point, Space
from archioptrx.sampling.samplers.base import seed_of
from archioptrx.sampling.samplers.registry import sampler


def random_choices(seed: int) -> Choose:
    """Answers to decisions, drawn by the prior weights; evenly where all weights are 0."""
    draw = random.Random(seed).random

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        count = len(labels)
        if count == 1:
            return 0
        total = sum(weights)
        if not total > 0:
            return int(draw() * count)
        share = draw() * total
        for index, weight in enumerate(weights):
            share -= weight
            if share < 0:
                return index
        return max(i for i, weight in enumerate(weights) if weight > 0)  # by rounding, the sum may not be reached

    return choose


@sampler("random")
class RandomSampler:
    """Random search. Proposal n depends on the seed and n alone."""

    def __init__(self, space: Space, seed: int = 0) -> None:
        self.space, self.seed = space, seed

    def draw(self, number: int, attempt: int) -> Any:
        """A random candidate."""
        return self.space(random_choices(seed_of(self.seed, number, attempt)))

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Do nothing: scores are not used."""

    def state_dict(self) -> Mapping[str, Any]:
        """An empty state: nothing changes."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do nothing: there is no state."""
