"""Deduplication by fingerprint: equal candidates are trained once, with any sampler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.graphs.decisions import Space
from archioptrx.sampling.samplers.base import Earlier, Proposer, seed_of
from archioptrx.sampling.samplers.exhaustive import enumerate_space
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.ranking import REFUSED, Score, clean

REDRAWS = 100
"""Draws of the inner sampler for one proposal."""
COMPLETION = 20_000
"""Candidates that are enumerated, in all, to find the rest of a small space."""

Known = tuple[Score, int] | None
"""Last score (None where it is not finite) and epochs; None: proposed, without a score so far."""


class Deduplicated:
    """A sampler around another, which never proposes the same candidate twice.

    A candidate that was proposed before is refused: the inner sampler observes its score again (where there is one
    already) and draws anew, up to 100 times. After that the space may be small: the rest of it is searched by
    enumeration, up to 20,000 candidates. When no new architecture is left, known ones with other hyperparameters are
    proposed; when none of these is left either, the space is exhausted.

    Attributes
    ----------
    refused
        Number of refused candidates, by cause.
    parent
        The observed candidate that the last proposal was made from (an object with its `key` and `fingerprint`);
        None where there is none, or the inner sampler doesn't give it.
    """

    def __init__(self, inner: Proposer, space: Space, dedup: str = "architecture") -> None:
        self.inner, self.space = inner, space
        self.by_architecture = dedup == "architecture"
        self.number = 0
        self.refused: Counter[str] = Counter()
        self.parent: Any | None = None
        self._architectures: dict[str, Known] = {}  # by fingerprint
        self._candidates: dict[str, Known] = {}  # by key
        self._path: list[int] | None = []  # last path of the enumeration; None: at its end
        self._looked = 0

    def begin(self, candidates: Sequence[Any], earlier: Sequence[Earlier] = ()) -> None:
        """Pass on the architectures that the search tries first, where the inner sampler wants them."""
        begin = getattr(self.inner, "begin", None)
        if begin is not None:
            begin(candidates, earlier)

    def propose(self) -> Any | None:
        """The next new candidate; None if there is no further one."""
        self.parent = None
        number, self.number = self.number, self.number + 1
        for attempt in range(REDRAWS):
            candidate = self.inner.draw(number, attempt)
            if candidate is None:
                break
            if self.is_new(candidate):
                self.parent = getattr(self.inner, "parent", None)
                return self._note(candidate)
            self.refused["duplicate"] += 1
            if known := self._known(candidate):
                observe = getattr(self.inner, "again", self.inner.observe)
                observe(candidate, *known)
        return self._complete()

    def is_new(self, candidate: Any) -> bool:
        """Whether a candidate would be proposed, not refused."""
        if self.by_architecture and candidate.fingerprint in self._architectures:
            return False
        return candidate.key not in self._candidates

    def _known(self, candidate: Any) -> Known:
        if self.by_architecture and candidate.fingerprint in self._architectures:
            return self._architectures[candidate.fingerprint]
        return self._candidates[candidate.key]

    def _note(self, candidate: Any) -> Any:
        self._architectures.setdefault(candidate.fingerprint, None)
        self._candidates.setdefault(candidate.key, None)
        return candidate

    def _complete(self) -> Any | None:
        """The next new candidate by enumeration; None if there is none, or the enumeration is at its limit."""
        while True:
            if self._path is not None:
                # As long as new architectures are searched, each gets one random set of hyperparameters.
                fixed = ("hyperparameter",) if self.by_architecture else ()
                answer = random_choices(seed_of(self.number))
                walks = enumerate_space(self.space, self._path, fixed, answer)
                if self._path:
                    next(walks)
                for candidate, path in walks:
                    self._path, self._looked = path, self._looked + 1
                    if self.is_new(candidate):
                        return self._note(candidate)
                    if self._looked >= COMPLETION:
                        return None
                self._path = None
            if not self.by_architecture:
                return None
            self.by_architecture, self._path = False, []

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Take note of an ended trial. A score that is not finite, or has such a number, counts as a failure: None.

        A candidate that a constraint refused isn't proposed again; its architecture may be, with other
        hyperparameters.
        """
        known = clean(score), epochs
        self._candidates[candidate.key] = known
        if known != REFUSED:
            self._architectures[candidate.fingerprint] = known
        elif self._architectures.get(candidate.fingerprint, known) is None:
            del self._architectures[candidate.fingerprint]
        self.inner.observe(candidate, *known)

    def learned(self) -> Mapping[str, float]:
        """Probabilities of functions that the inner sampler has learned; empty where it learns none."""
        learned = getattr(self.inner, "learned", None)
        return {} if learned is None else dict(learned())

    def state_dict(self) -> Mapping[str, Any]:
        """The state, as plain data for JSON."""
        return {
            "number": self.number,
            "by_architecture": self.by_architecture,
            "architectures": dict(self._architectures),
            "candidates": dict(self._candidates),
            "path": self._path,
            "looked": self._looked,
            "refused": dict(self.refused),
            "inner": dict(self.inner.state_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.number, self.by_architecture = state["number"], state["by_architecture"]
        self._architectures, self._candidates = (
            {name: (clean(known[0]), known[1]) if known else None for name, known in state[part].items()}
            for part in ("architectures", "candidates")
        )
        self._path, self._looked = state["path"], state["looked"]
        self.refused = Counter(state["refused"])
        self.inner.load_state_dict(state["inner"])
