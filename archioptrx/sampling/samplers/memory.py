"""What a sampler has been told: observations in order, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archioptrx.graphs.decisions import Space, Trace
from archioptrx.sampling.samplers.ranking import REFUSED, Score, clean, order
from archioptrx.sampling.samplers.variation import replays


@dataclass(frozen=True)
class Observation:
    """One candidate that was told, and how it scored.

    Attributes
    ----------
    trace, key
        Of the candidate.
    score
        A finite number, or one of each objective; None: it failed.
    epochs
        What it was trained for.
    """

    trace: Trace
    key: str
    score: Score
    epochs: int


class Memory:
    """All observations in the order in which they came; a repeated one is kept once.

    What can't be replayed in this space (a reference that it doesn't hold) is left out, and so is what a constraint
    refused. Who uses it has a method `again` that does nothing: a duplicate, perhaps with other hyperparameters, which
    were never trained, is no news.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.told: list[Observation] = []
        self._known: set[tuple[str, Score, int]] = set()

    def add(self, candidate: Any, score: Any, epochs: int) -> bool:
        """Note an observation; whether it is news."""
        plain = clean(score)
        if (plain, epochs) == REFUSED:
            return False
        return replays(self.space, candidate.trace) and self._add(
            Observation(candidate.trace, candidate.key, plain, epochs)
        )

    def _add(self, one: Observation) -> bool:
        known = (one.key, one.score, one.epochs)
        if known in self._known:
            return False
        self._known.add(known)
        self.told.append(one)
        return True

    def ranked(self, last: int | None = None) -> list[Observation]:
        """Those that have a score, best first; only the `last` that came, where a number is given."""
        scored = [one for one in self.told if one.score is not None]
        return ranked(scored[-last:] if last else scored)

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        rows = [[one.trace.to_json(), one.key, one.score, one.epochs] for one in self.told]
        return {"told": rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another one was."""
        self.told, self._known = [], set()
        for trace, key, score, epochs in state["told"]:
            self._add(Observation(Trace.from_json(trace), key, clean(score), epochs))


def ranked(observations: Sequence[Observation]) -> list[Observation]:
    """Best first."""
    return [observations[i] for i in order([(one.score, one.epochs) for one in observations])]
