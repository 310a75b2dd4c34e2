"""Variation of traces: mutation, neighbours, crossover. A space is any program with choices.

A child replays the decisions of its parent up to the one that is changed. What follows is taken from the old trace
where it is still allowed: each point takes the next unused old decision of the same kind whose label is allowed, one
made at the same place before others; a point that finds none decides anew.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from archioptrx.core.errors import ReplayError
from archioptrx.graphs.decisions import Choose, Decision, Point, Space, Trace
from archioptrx.sampling.samplers.replay import replay

HYPERPARAMETER = "hyperparameter"
"""Kind of the decisions that change no architecture."""


class Heritage:
    """Old decisions, each of which can be used once."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._left: dict[str, list[Decision]] = {}
        for decision in decisions:
            self._left.setdefault(decision.kind, []).append(decision)

    def take(self, point: Point, labels: Sequence[str]) -> int | None:
        """Index of the option that the next old decision of this kind took; None: there is no allowed one."""
        left = self._left.get(point.kind, [])
        allowed = [d for d in left if d.label in labels]
        if not allowed:
            return None
        found = next((d for d in allowed if d.place == point.place), allowed[0])
        left.remove(found)
        return labels.index(found.label)


def options_of(space: Space, trace: Trace) -> list[tuple[str, ...]]:
    """The allowed labels at each decision of a trace."""
    found: list[tuple[str, ...]] = []
    entries = iter(trace.decisions)

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        found.append(tuple(labels))
        return labels.index(next(entries).label)

    space(choose)
    return found


def replays(space: Space, trace: Trace) -> bool:
    """Whether a trace is one of this space, as it is now."""
    try:
        replay(space, trace)
    except ReplayError:
        return False
    return True


def mutate(space: Space, trace: Trace, position: int, answer: Choose, label: str | None = None) -> Any:
    """A candidate of which one decision differs.

    Parameters
    ----------
    position
        Which decision is changed; it needs two allowed options or more.
    answer
        Draws what has to be decided anew.
    label
        What it is changed to; None: drawn, and never what it was.
    """
    decisions, rest = trace.decisions, Heritage(trace.decisions[position + 1 :])
    number = -1

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        nonlocal number
        number += 1
        if number < position:
            return labels.index(decisions[number].label)
        if number == position:
            old = decisions[number].label
            return labels.index(label) if label is not None else _other(answer, point, labels, weights, old)
        taken = rest.take(point, labels)
        return answer(point, labels, weights) if taken is None else taken

    return space(choose)


def _other(answer: Choose, point: Point, labels: Sequence[str], weights: Sequence[float], old: str) -> int:
    others = [i for i, one in enumerate(labels) if one != old]
    return others[answer(point, [labels[i] for i in others], [weights[i] for i in others])]


def cross(space: Space, first: Trace, second: Trace, draw: random.Random, answer: Choose) -> Any:
    """A candidate that begins as one trace and goes on as another, from decisions of the same kind on.

    Where both have decisions at the same place of that kind, the cut is at one of these. What the second can't
    supply is taken from the rest of the first, then decided anew.
    """
    one, other = first.decisions, second.decisions
    kinds = {decision.kind for decision in other}
    cuts = [i for i, decision in enumerate(one) if i and decision.kind in kinds]
    if not cuts:
        return space(answer)
    cut = cuts[draw.randrange(len(cuts))]
    same = [j for j, decision in enumerate(other) if decision.kind == one[cut].kind]
    near = [j for j in same if other[j].place == one[cut].place] or same
    start = near[draw.randrange(len(near))]
    sources = Heritage(other[start:]), Heritage(one[cut:])
    number = -1

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        nonlocal number
        number += 1
        if number < cut:
            return labels.index(one[number].label)
        for source in sources:
            if (taken := source.take(point, labels)) is not None:
                return taken
        return answer(point, labels, weights)

    return space(choose)
