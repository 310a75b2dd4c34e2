"""Variation of traces: mutation, neighbours, crossover. A space is any program with choices.

A child replays the decisions of its parent up to the one that is changed. What follows is taken from the old trace
where it is still allowed: each point takes the next unused old decision of the same kind whose label is allowed, first
those of the same place; a point without such a decision decides anew.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from archioptrx.core.errors import ReplayError
from archioptrx.graphs.decisions import HYPERPARAMETER, Choose, Decision, Point, Space, Trace
from archioptrx.sampling.samplers.base import Earlier
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.ranking import order
from archioptrx.sampling.samplers.replay import replay

CROSSED, FURTHER = 0.25, 0.25
"""Share of crossings among the candidates varied from known ones; probability that a mutated one is mutated again."""
BEST = 3
"""Best trials of each earlier search that are tried again."""


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


def noting_options(space: Space, options: list[tuple[str, ...]]) -> Space:
    """The same space; each walk leaves in `options` the allowed labels at each of its decisions (see `options_of`)."""

    def walk(choose: Choose) -> Any:
        options.clear()

        def noting(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
            taken = choose(point, labels, weights)
            options.append(tuple(label for i, label in enumerate(labels) if weights[i] > 0 or i == taken))
            return taken

        return space(noting)

    return walk


def options_of(space: Space, trace: Trace) -> list[tuple[str, ...]]:
    """The allowed labels at each decision of a trace, without those of weight 0 that it doesn't have."""
    options: list[tuple[str, ...]] = []
    entries = iter(trace.decisions)
    noting_options(space, options)(lambda point, labels, weights: labels.index(next(entries).label))
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
    others = [i for i in others if weights[i] > 0] or others
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


@dataclass(frozen=True)
class Start:
    """Good candidates that are known before a search has scores.

    Attributes
    ----------
    traces
        References, then the best of earlier searches: candidates are varied from them.
    again
        The best of earlier searches, each architecture once and no reference: they are proposed as they are, first the
        best of each search.
    """

    traces: tuple[Trace, ...] = ()
    again: tuple[Trace, ...] = ()

    def length(self, initial: int) -> int:
        """Number of proposals by which all of `again` have been made, at least `initial`."""
        return max(initial, 2 * len(self.again))

    @classmethod
    def of(cls, space: Space, candidates: Sequence[Any], earlier: Sequence[Earlier]) -> Start:
        """The references, and the best of each earlier search, as far as the space has them."""
        # Of one architecture, hyperparameters tell candidates apart; else no architecture is trained twice.
        several = len({known.fingerprint for known in (*candidates, *(trial.candidate for trial in earlier))}) > 1
        seen = {known.fingerprint if several else known.key for known in candidates}
        best: list[list[Trace]] = []
        for search in sorted({trial.search for trial in earlier}):
            trials = [trial for trial in earlier if trial.search == search and trial.score is not None]
            ranking = order([(trial.score, trial.epochs) for trial in trials])
            best.append([])
            for candidate in [trials[i].candidate for i in ranking[:BEST]]:
                identity = candidate.fingerprint if several else candidate.key
                if identity not in seen:
                    seen.add(identity)
                    best[-1] += known_in(space, [candidate])
        again = [trace for traces in zip_longest(*best) for trace in traces if trace is not None]
        return cls((*known_in(space, candidates), *again), tuple(dict.fromkeys(again)))

    def candidate(self, space: Space, number: int, seed: int, attempt: int = 0) -> Any:
        """Candidate `number` of a search without scores: random, or every other one from what is known to be good.

        The even ones are first the best of earlier searches, then varied: a quarter of these by a crossing where there
        are two traces, the others by mutation.
        """
        draw = random.Random(seed)
        answer = random_choices(draw.getrandbits(64))
        if not self.traces or number % 2:
            return space(answer)
        if number // 2 < len(self.again) and not attempt:
            return replay(space, self.again[number // 2])
        if len(self.traces) > 1 and draw.random() < CROSSED:
            first, second = draw.sample(self.traces, 2)
            return cross(space, first, second, draw, answer)
        return mutated(space, draw.choice(self.traces), draw, answer)


def mutated(
    space: Space,
    trace: Trace,
    draw: random.Random,
    answer: Choose,
    known: Mapping[Trace, Sequence[int]] = MappingProxyType({}),
) -> Any:
    """Candidate with one decision changed; in one of four cases a further one, and so on.

    Parameters
    ----------
    known
        Free positions of traces that are often mutated: to find them takes a walk.
    """
    free = known[trace] if trace in known else free_positions(space, trace)
    while free:
        position, options = draw.choice(free), list[tuple[str, ...]]()
        if draw.random() >= FURTHER:
            return mutate(space, trace, position, answer)
        trace = mutate(noting_options(space, options), trace, position, answer).trace
        free = several(options)
    return space(answer)


def free_positions(space: Space, trace: Trace) -> list[int]:
    """Positions of the decisions with several options."""
    return several(options_of(space, trace))


def several(options: Sequence[tuple[str, ...]]) -> list[int]:
    """Positions with more than one option.

    >>> several([("a", "b"), ("a",), ("c", "d", "e")])
    [0, 2]
    """
    return [position for position, labels in enumerate(options) if len(labels) > 1]
