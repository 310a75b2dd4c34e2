"""Every candidate of a space, by depth-first search of its tree of decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archioptrx.graphs.decisions import Choose, Point, Space
from archioptrx.sampling.samplers.registry import sampler


def first(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
    """Answer every decision with its first option."""
    return 0


def enumerate_space(
    space: Space, start: Sequence[int] = (), fixed: Sequence[str] = (), answer: Choose = first
) -> Iterator[tuple[Any, list[int]]]:
    """All candidates, each with the path of option numbers that leads to it. Several paths may lead to equal ones.

    Parameters
    ----------
    start
        Path to begin at.
    fixed
        Kinds of decisions that are not varied, for example `hyperparameter`.
    answer
        Answers to these decisions.
    """
    path = list(start)
    while True:
        sizes: list[int] = []

        def choose(point: Point, labels: Sequence[str], weights: Sequence[float], sizes: list[int] = sizes) -> int:
            if len(sizes) == len(path):
                path.append(answer(point, labels, weights) if point.kind in fixed else 0)
            sizes.append(0 if point.kind in fixed else len(labels))  # 0: no other option to try
            return path[len(sizes) - 1]

        candidate = space(choose)
        yield candidate, list(path)
        # The next path: the last decision with a further option takes it, and those after it are dropped.
        while path and path[-1] + 1 >= sizes[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1


@sampler("exhaustive")
class ExhaustiveSampler:
    """Every candidate once, in the order of the tree of decisions."""

    OPTIONS = ("fixed",)

    def __init__(self, space: Space, seed: int = 0, fixed: Sequence[str] = ()) -> None:
        self.space, self.fixed = space, tuple(fixed)
        self.path: list[int] = []
        self._walks = enumerate_space(space, (), self.fixed)

    def draw(self, number: int, attempt: int) -> Any | None:
        """The next candidate."""
        following = next(self._walks, None)
        if following is None:
            return None
        candidate, self.path = following
        return candidate

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Do nothing: scores are not used."""

    def state_dict(self) -> Mapping[str, Any]:
        """The path to the last candidate."""
        return {"path": list(self.path)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state: the enumeration continues after its path."""
        self.path = list(state["path"])
        self._walks = enumerate_space(self.space, self.path, self.fixed)
        if self.path:
            next(self._walks)
