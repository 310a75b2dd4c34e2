"""The observations of a sampler, in order, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archioptrx.graphs.decisions import Space, Trace
from archioptrx.sampling.samplers.ranking import REFUSED, Score, clean, order
from archioptrx.sampling.samplers.variation import replays


@dataclass(frozen=True)
class Observation:
    """One observed candidate with its score.

    Attributes
    ----------
    trace, key
        Decisions and identity of the candidate.
    score
        A finite number, or a tuple with one for each objective; None: the trial failed.
    epochs
        Number of epochs of its training.
    """

    trace: Trace
    key: str
    score: Score
    epochs: int


class Memory:
    """All observations in the order in which they came; a repeated one is kept once.

    A candidate that can't be replayed in this space (a reference from elsewhere) is left out, and so is one that a
    constraint refused. A sampler with a memory has a method `again` that does nothing: a duplicate, perhaps with other
    hyperparameters, which were never trained, brings no new score.

    Attributes
    ----------
    observations
        Observations in the order in which they came.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.observations: list[Observation] = []
        self._known: set[tuple[str, Score, int]] = set()

    def add(self, candidate: Any, score: Any, epochs: int) -> bool:
        """Add an observation; True: it is new."""
        plain = clean(score)
        if (plain, epochs) == REFUSED:
            return False
        return replays(self.space, candidate.trace) and self._add(
            Observation(candidate.trace, candidate.key, plain, epochs)
        )

    def _add(self, observation: Observation) -> bool:
        identity = (observation.key, observation.score, observation.epochs)
        if identity in self._known:
            return False
        self._known.add(identity)
        self.observations.append(observation)
        return True

    def ranked(self, last: int | None = None) -> list[Observation]:
        """Observations with a score, best first; only the `last` that came, where a number is given."""
        scored = [observation for observation in self.observations if observation.score is not None]
        return ranked(scored[-last:] if last else scored)

    def state_dict(self) -> dict[str, Any]:
        """All observations, as plain data for JSON."""
        rows = [
            [observation.trace.to_json(), observation.key, observation.score, observation.epochs]
            for observation in self.observations
        ]
        return {"told": rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.observations, self._known = [], set()
        for trace, key, score, epochs in state["told"]:
            self._add(Observation(Trace.from_json(trace), key, clean(score), epochs))


def ranked(observations: Sequence[Observation]) -> list[Observation]:
    """Observations, best first."""
    scores = [(observation.score, observation.epochs) for observation in observations]
    return [observations[i] for i in order(scores)]
