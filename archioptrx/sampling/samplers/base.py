"""The two interfaces of a sampler: `Sampler`, which a search uses, and `Proposer`, which the author of one writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from archioptrx.sampling.samplers.ranking import Score
from archioptrx.sampling.samplers.seeds import seed_of

__all__ = ["Earlier", "Proposer", "Sampler", "seed_of"]


@dataclass(frozen=True)
class Earlier:
    """Trial of an earlier search: prior knowledge. Its score is compared with others of the same search only.

    Attributes
    ----------
    search
        Number of the search, from 1 on.
    candidate
        The candidate; this space may lack it.
    score, epochs
        As in `Sampler.observe`.
    """

    search: int
    candidate: Any
    score: Score
    epochs: int


class Sampler(Protocol):
    """Interface of a sampler to a search; `Deduplicated` implements it.

    A search calls `propose`, trains the candidate, then calls `observe`, in any order of candidates and with several
    proposals at once.

    Attributes
    ----------
    parent
        The observed candidate that the last proposal was made from; None where there is none.
    refused
        Number of refused candidates so far, by cause: `duplicate`.
    """

    parent: Any | None
    refused: Counter[str]

    def begin(self, candidates: Sequence[Any], earlier: Sequence[Earlier] = ()) -> None:
        """Take note, before the first proposal, of the architectures that the search tries first (references), and of
        the trials of earlier searches.
        """

    def propose(self) -> Any | None:
        """The next candidate; None if there is no further one."""

    def observe(self, candidate: Any, score: Score, epochs: int) -> None:
        """Take note of an ended trial, or of a candidate that a constraint refused.

        A trial that pauses counts as an ended one. It is observed again, with more epochs, where it went on.

        Parameters
        ----------
        candidate
            The candidate; it need not come from this sampler (a reference architecture doesn't).
        score
            Larger is better; a tuple with one number for each objective where there are several. None: the trial
            failed, or a number is not finite.
        epochs
            Number of epochs by which it is compared. Of a trial that was stopped: its own, so that it is compared with
            others at equal epochs only. Of one that ended by itself: those of the longest trial. 0, without a score: a
            constraint refused the candidate before it was trained.
        """

    def learned(self) -> Mapping[str, float]:
        """Present probability of each function, by name; empty where the sampler learns none."""

    def state_dict(self) -> Mapping[str, Any]:
        """The state, as plain data for JSON."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a sampler with the same kind, space and seed."""


class Proposer(Protocol):
    """Interface that the author of a sampler implements; `Deduplicated` turns it into a Sampler.

    One attribute is optional. `parent`: the observed candidate that the last draw was made from (an object with its
    `key`), or None.

    Three methods are optional. `begin(candidates, earlier)`: takes the architectures that the search tries first, such
    as references, and the trials of earlier searches, before the first draw and anew with each start; the space may
    lack some of them. `learned() -> Mapping[str, float]`: by label of a decision of kind `function`, the present
    probability of that label; empty while nothing is learned. It must not change the state. `again(candidate, score,
    epochs)`: called for a refused duplicate, in place of `observe`.
    """

    def draw(self, number: int, attempt: int) -> Any | None:
        """Candidate `number`; attempt 1, 2 … after refused ones. None if there is no further candidate."""

    def observe(self, candidate: Any, score: Score, epochs: int) -> None:
        """Take a score, as Sampler.observe; also called for a refused duplicate, with the score of its architecture."""

    def state_dict(self) -> Mapping[str, Any]:
        """State, as Sampler.state_dict."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state, as Sampler.load_state_dict."""
