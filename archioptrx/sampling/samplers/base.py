"""What a sampler is, to a search and to who writes one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from archioptrx.sampling.samplers.ranking import Score


class Sampler(Protocol):
    """What a search needs; `Deduplicated` is one.

    Attributes
    ----------
    parent
        The observed candidate that the last proposal came from, or None.
    refused
        How many candidates it has kept back so far, by cause: `duplicate`.
    """

    parent: Any | None
    refused: Counter[str]

    def propose(self) -> Any | None:
        """The next candidate; None: there is no other."""

    def observe(self, candidate: Any, score: Score, epochs: int) -> None:
        """Hear of an ended trial, or of a candidate that a constraint refused.

        Parameters
        ----------
        score
            Larger is better; one number of each objective where there are several. None: the trial failed, or a
            number is not finite.
        epochs
            What it was trained for: a pruned trial is compared with others at equal epochs only. 0, and no score:
            a constraint refused the candidate before it was trained.
        """

    def learned(self) -> Mapping[str, float]:
        """Probability that it gives to each function now; empty where it learns none."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that changes, as plain data."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another sampler of the same kind, space and seed was."""


class Proposer(Protocol):
    """What a sampler's own part is; `Deduplicated` makes a Sampler of it.

    One attribute is optional. `parent`: the observed candidate that the last draw came from (something with its `key`),
    or None.

    Two methods are optional. `learned() -> Mapping[str, float]`: by label of a decision of kind `function`, the
    probability that it gives it now; empty while it knows nothing. It must change nothing. `again(candidate, score,
    epochs)`: what it is told of a refused duplicate instead of `observe`.
    """

    def draw(self, number: int, attempt: int) -> Any | None:
        """Candidate `number`; attempt 1, 2 … where the ones before were refused. None: there is no other."""

    def observe(self, candidate: Any, score: Score, epochs: int) -> None:
        """As Sampler.observe; a refused duplicate is told too, with the score that its architecture had."""

    def state_dict(self) -> Mapping[str, Any]:
        """As Sampler.state_dict."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As Sampler.load_state_dict."""


def seed_of(seed: int, *numbers: int) -> int:
    """A seed for one draw that depends on these numbers alone."""
    words = np.random.SeedSequence(seed, spawn_key=numbers).generate_state(4)
    return int.from_bytes(words.tobytes(), "little")
