"""The screen: of several proposals of a sampler, the best by a cheap number goes to training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.sampling.samplers.base import Proposer
from archioptrx.sampling.samplers.ranking import Score

Values = Sequence[float | None]
"""What each proxy says of a candidate, larger is better; None: the worst."""

ONE_BY_ONE = {
    "exhaustive": "proposes each candidate once: those that lose would never come again",
    "replay": "proposes each candidate once: those that lose would never come again",
    "optuna": "tells its own draws by their numbers: it may have one for each proposal",
    "local_search": "proposes each neighbour once: those that lose would never come again",
}
"""Why a sampler can't be screened."""


class Screen:
    """A sampler's own part around another: draws some candidates and gives the one that the proxies like best.

    It stands below deduplication, so that those that lose are not noted as proposed and may come again.

    Parameters
    ----------
    inner
        The sampler. Attempt a of the screen is its attempts `a · proposals` and following.
    score
        Values of the proxies. With several the ranks among the candidates are added.
    proposals
        Candidates that are drawn.
    skip
        Says that a candidate would be refused anyway: it isn't scored. If all would be, the first is given, for its
        refusal to be dealt with as ever.

    Attributes
    ----------
    parent
        Whose child the candidate is that was taken, where the sampler tells.
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
        """The best of some; equal ones count once. None: the inner sampler has no other."""
        drawn: list[tuple[Any, Any]] = []  # with the parent
        for place in range(attempt * self.proposals, (attempt + 1) * self.proposals):
            if (candidate := self.inner.draw(number, place)) is None:
                break
            drawn.append((candidate, getattr(self.inner, "parent", None)))
        if not drawn:
            return None
        fresh = list({one.key: (one, parent) for one, parent in drawn if not self.skip(one)}.values())
        place = best([self.score(one) for one, _ in fresh]) if fresh else 0
        taken, self.parent = (fresh or drawn)[place]
        return taken

    def observe(self, candidate: Any, score: Score, epochs: int) -> None:
        """Passed on."""
        self.inner.observe(candidate, score, epochs)

    def again(self, candidate: Any, score: Score, epochs: int) -> None:
        """Passed on, as what the sampler inside wants to be told of a duplicate."""
        getattr(self.inner, "again", self.inner.observe)(candidate, score, epochs)

    def learned(self) -> Mapping[str, float]:
        """What the sampler inside has learned; nothing where it doesn't say."""
        learned = getattr(self.inner, "learned", None)
        return {} if learned is None else dict(learned())

    def state_dict(self) -> Mapping[str, Any]:
        """The inner sampler's: a screen has none."""
        return self.inner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Passed on."""
        self.inner.load_state_dict(state)


def best(rows: Sequence[Values]) -> int:
    """Place of the row with the highest sum of ranks, the first of several; equal numbers share their mean rank.

    >>> best([(0.1, 5.0), (0.3, None), (0.2, 7.0)])
    2
    """
    columns = [[-math.inf if one is None else one for one in column] for column in zip(*rows, strict=True)]
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
