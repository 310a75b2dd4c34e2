"""The screen: of several draws of a sampler, the best by cheap numbers (proxies) is proposed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.sampling.samplers.base import Earlier, Proposer
from archioptrx.sampling.samplers.ranking import Score

Values = Sequence[float | None]
"""Value of each proxy for a candidate, larger is better; None: the worst."""

ONE_BY_ONE = {
    "exhaustive": "proposes each candidate once: those that lose would never come again",
    "replay": "proposes each candidate once: those that lose would never come again",
    "optuna": "knows its own draws by their numbers: it may have one for each proposal",
    "local_search": "proposes each neighbour once: those that lose would never come again",
}
"""Reasons why a sampler can't be screened, by its name."""


class Screen:
    """A proposer around another: draws several candidates and returns the best by the proxies.

    It stands below deduplication, so that the other candidates don't count as proposed and may come again.

    Parameters
    ----------
    inner
        The sampler. Attempt a of the screen is its attempts `a · proposals` and following.
    score
        Function that gives the values of the proxies for a candidate. With several proxies the ranks among the
        candidates are added.
    proposals
        Number of candidates that are drawn.
    skip
        Test whether a candidate would be refused anyway: it isn't scored. If all would be, the first is returned, so
        that it is refused as without a screen.

    Attributes
    ----------
    parent
        Parent of the candidate that was taken; None where the inner sampler gives none.
    """

    def __init__(
        self,
        inner: Proposer,
        score: Callable[[Any], Values],
        proposals: int,
        skip: Callable[[Any], bool] = lambda candidate: False,
    ) -> None:
        self.inner, self.score, self.proposals, self.skip = inner, score, proposals, skip
        self.parent: Any | None = None

    def draw(self, number: int, attempt: int) -> Any | None:
        """The best of several; equal ones count once. None if the inner sampler has no further one."""
        drawn: list[tuple[Any, Any]] = []  # with the parent
        for place in range(attempt * self.proposals, (attempt + 1) * self.proposals):
            if (candidate := self.inner.draw(number, place)) is None:
                break
            drawn.append((candidate, getattr(self.inner, "parent", None)))
        if not drawn:
            return None
        fresh = list(
            {candidate.key: (candidate, parent) for candidate, parent in drawn if not self.skip(candidate)}.values()
        )
        place = best([self.score(candidate) for candidate, _ in fresh]) if fresh else 0
        taken, self.parent = (fresh or drawn)[place]
        return taken

    def begin(self, candidates: Sequence[Any], earlier: Sequence[Earlier] = ()) -> None:
        """Pass on the architectures that the search tries first."""
        begin = getattr(self.inner, "begin", None)
        if begin is not None:
            begin(candidates, earlier)

    def observe(self, candidate: Any, score: Score, epochs: int) -> None:
        """Pass an observation on."""
        self.inner.observe(candidate, score, epochs)

    def again(self, candidate: Any, score: Score, epochs: int) -> None:
        """Pass a refused duplicate on."""
        getattr(self.inner, "again", self.inner.observe)(candidate, score, epochs)

    def learned(self) -> Mapping[str, float]:
        """Probabilities of functions that the inner sampler has learned; empty where it learns none."""
        learned = getattr(self.inner, "learned", None)
        return {} if learned is None else dict(learned())

    def state_dict(self) -> Mapping[str, Any]:
        """State of the inner sampler: a screen has none."""
        return self.inner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Pass a state on."""
        self.inner.load_state_dict(state)


def best(rows: Sequence[Values]) -> int:
    """Place of the row with the highest sum of ranks, the first of several; equal numbers share their mean rank.

    >>> best([(0.1, 5.0), (0.3, None), (0.2, 7.0)])
    2
    """
    columns = [[-math.inf if value is None else value for value in column] for column in zip(*rows, strict=True)]
    ranks = [
        sum(sum(2 * (other < column[i]) + (other == column[i]) for other in column) for column in columns)
        for i in range(len(rows))
    ]
    return ranks.index(max(ranks))


def check_screened(sampler: Mapping[str, Any]) -> None:
    """Raise InputError if a sampler (`name` and options) can't be asked for several candidates at once."""
    name = str(sampler["name"])
    kind = str(sampler.get("mode")) if name == "evolution" else name.partition(":")[0]
    if kind in ONE_BY_ONE:
        shown = f"{name} (mode {kind})" if name == "evolution" else name
        raise InputError(
            f"screen.proposals: sampler {shown} {ONE_BY_ONE[kind]}; "
            "allowed: 1, or the sampler random, evolution (mode ageing), gp or controller"
        )
