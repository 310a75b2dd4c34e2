"""Variation of traces: mutation, neighbours, crossover. A space is any program with choices.

A child replays the decisions of its parent up to the one that is changed. What follows is taken from the old trace
where it is still allowed: each point takes the next unused old decision of the same kind whose label is allowed, first
those of the same place; a point without such a decision decides anew.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from archioptrx.core.errors import ReplayError
from archioptrx.graphs.decisions import HYPERPARAMETER, Choose, Decision, Point, Space, Trace
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.replay import replay

CROSSED, FURTHER = 0.25, 0.25
"""Share of crossings among the candidates varied from known ones; probability that a mutated one is mutated again."""


class Heritage:
    """Old decisions, each of which can be used once."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._unused: dict[str, list[Decision]] = {}
        for decision in decisions:
            self._unused.setdefault(decision.kind, []).append(decision)

    def take(self, point: Point, labels: Sequence[str]) -> int | None:
        """Index of the option that the next old decision of this kind took; None if none is allowed."""
        unused = self._unused.get(point.kind, [])
        allowed = [d for d in unused if d.label in labels]
        if not allowed:
            return None
        taken = next((d for d in allowed if d.place == point.place), allowed[0])
        unused.remove(taken)
        return labels.index(taken.label)


def options_of(space: Space, trace: Trace) -> list[tuple[str, ...]]:
    """The allowed labels at each decision of a trace."""
    options: list[tuple[str, ...]] = []
    entries = iter(trace.decisions)

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        options.append(tuple(labels))
        return labels.index(next(entries).label)

    space(choose)
    return options


def trace_in(space: Space, candidate: Any) -> Trace:
    """Trace by which a space gives the architecture of a candidate, from this space or another one.

    A hyperparameter takes the space's value that is nearest to that of the candidate.

    Raises
    ------
    ReplayError
        The candidate's decisions aren't all allowed, or give another network.
    """
    if not candidate.trace.decisions:
        raise ReplayError("trace: is empty")
    settings: dict[str, Any] = {d.place: d.label for d in candidate.trace.decisions if d.kind == HYPERPARAMETER}
    settings.update(getattr(candidate, "hyperparameters", {}))
    again = replay(space, candidate.trace, settings)
    if again.fingerprint != candidate.fingerprint:
        raise ReplayError("trace: its decisions give another network here")
    trace: Trace = again.trace
    return trace


def known_in(space: Space, candidates: Sequence[Any]) -> tuple[Trace, ...]:
    """Traces of those candidates that a space has: they can be varied."""
    traces = []
    for candidate in candidates:
        with suppress(ReplayError):
            traces.append(trace_in(space, candidate))
    return tuple(traces)


def mutate(space: Space, trace: Trace, position: int, answer: Choose, label: str | None = None) -> Any:
    """Candidate with one decision changed.

    Parameters
    ----------
    position
        Position of the decision that is changed; it needs two allowed options or more.
    answer
        Answers to the decisions that have to be taken anew.
    label
        Label of the new option; None: it is drawn, and never the old one.
    """
    decisions, heritage = trace.decisions, Heritage(trace.decisions[position + 1 :])
    number = -1

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        nonlocal number
        number += 1
        if number < position:
            return labels.index(decisions[number].label)
        if number == position:
            old = decisions[number].label
            return labels.index(label) if label is not None else _other(answer, point, labels, weights, old)
        taken = heritage.take(point, labels)
        return answer(point, labels, weights) if taken is None else taken

    return space(choose)


def _other(answer: Choose, point: Point, labels: Sequence[str], weights: Sequence[float], old: str) -> int:
    others = [i for i, label in enumerate(labels) if label != old]
    return others[answer(point, [labels[i] for i in others], [weights[i] for i in others])]


def cross(space: Space, first: Trace, second: Trace, draw: random.Random, answer: Choose) -> Any:
    """Candidate that begins as the first trace and continues as the second, from a decision of the same kind on.

    Where both have decisions of that kind at the same place, the cut is at one of these. A decision that the second
    can't supply is taken from the rest of the first, else anew.
    """
    head, tail = first.decisions, second.decisions
    kinds = {decision.kind for decision in tail}
    cuts = [i for i, decision in enumerate(head) if i and decision.kind in kinds]
    if not cuts:
        return space(answer)
    cut = cuts[draw.randrange(len(cuts))]
    same = [j for j, decision in enumerate(tail) if decision.kind == head[cut].kind]
    near = [j for j in same if tail[j].place == head[cut].place] or same
    start = near[draw.randrange(len(near))]
    sources = Heritage(tail[start:]), Heritage(head[cut:])
    number = -1

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        nonlocal number
        number += 1
        if number < cut:
            return labels.index(head[number].label)
        for source in sources:
            if (taken := source.take(point, labels)) is not None:
                return taken
        return answer(point, labels, weights)

    return space(choose)


def opening(space: Space, known: Sequence[Trace], number: int, seed: int) -> Any:
    """Candidate of a search that has no scores yet: random, or every other one varied from what is known to be good.

    Parameters
    ----------
    known
        Traces of good candidates, such as references; all can be replayed. None of them: all candidates are random.
    number
        Number of the proposal: even ones are varied, a quarter of them by a crossing where there are two traces.
    """
    draw = random.Random(seed)
    answer = random_choices(draw.getrandbits(64))
    if not known or number % 2:
        return space(answer)
    if len(known) > 1 and draw.random() < CROSSED:
        first, second = draw.sample(known, 2)
        return cross(space, first, second, draw, answer)
    trace = draw.choice(known)
    while True:
        free = [i for i, labels in enumerate(options_of(space, trace)) if len(labels) > 1]
        if not free:
            return space(answer)
        child = mutate(space, trace, draw.choice(free), answer)
        if draw.random() >= FURTHER:
            return child
        trace = child.trace
