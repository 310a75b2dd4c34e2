"""The observations of a sampler, in order, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archioptrx.core.errors import ReplayError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Space, Trace
from archioptrx.sampling.samplers.ranking import REFUSED, Score, clean, order
from archioptrx.sampling.samplers.variation import trace_in


@dataclass(frozen=True)
class Observation:
    """One observed candidate with its score.

    Attributes
    ----------
    trace, key
        Decisions and identity of the candidate.
    score
        A finite number, or a tuple with one for each objective; None: the trial failed.
    epochs
        Number of epochs of its training.
    graph
        Computation graph of a candidate that can't be replayed in this space: it may teach, but it can't be varied.
        None for all others, as their trace gives it.
    """

    trace: Trace
    key: str
    score: Score
    epochs: int
    graph: ComputationGraph | None = None


class Memory:
    """All observations in the order in which they came; a repeated one is kept once.

    A trial that had paused is observed again with more epochs: `latest` has its last observation alone.

    A candidate that this space lacks (a reference from elsewhere) is kept with its graph where `elsewhere` says so,
    else left out. One that a constraint refused is left out. A sampler with a memory has a method `again` that does
    nothing: a duplicate, perhaps with other hyperparameters, which were never trained, brings no new score.

    Attributes
    ----------
    observations
        Observations in the order in which they came.
    """

    def __init__(self, space: Space, elsewhere: bool = False) -> None:
        self.space, self.elsewhere = space, elsewhere
        self.observations: list[Observation] = []
        self._known: set[tuple[str, Score, int]] = set()

    def add(self, candidate: Any, score: Any, epochs: int) -> bool:
        """Add an observation; True: it is new."""
        plain = clean(score)
        if (plain, epochs) == REFUSED:
            return False
        try:
            return self._add(Observation(trace_in(self.space, candidate), candidate.key, plain, epochs))
        except ReplayError:
            graph = getattr(candidate, "graph", None)
            if not self.elsewhere or not isinstance(graph, ComputationGraph):
                return False
            return self._add(Observation(candidate.trace, candidate.key, plain, epochs, graph))

    def _add(self, observation: Observation) -> bool:
        identity = (observation.key, observation.score, observation.epochs)
        if identity in self._known:
            return False
        self._known.add(identity)
        self.observations.append(observation)
        return True

    def ranked(self, last: int | None = None) -> list[Observation]:
        """Observations with a score that can be varied, best first; only the `last` that came, if a number is given."""
        scored = [seen for seen in latest(self.observations) if seen.score is not None and seen.graph is None]
        return ranked(scored[-last:] if last else scored)

    def state_dict(self) -> dict[str, Any]:
        """All observations, as plain data for JSON."""
        rows = [
            [seen.trace.to_json(), seen.key, seen.score, seen.epochs, seen.graph and seen.graph.to_dict()]
            for seen in self.observations
        ]
        return {"observations": rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.observations, self._known = [], set()
        for trace, key, score, epochs, graph in state["observations"]:
            known = None if graph is None else ComputationGraph.from_dict(graph)
            self._add(Observation(Trace.from_json(trace), key, clean(score), epochs, known))


def latest(observations: Sequence[Observation]) -> list[Observation]:
    """The last observation of each candidate, in the order of the first ones."""
    return list({seen.key: seen for seen in observations}.values())


def ranked(observations: Sequence[Observation]) -> list[Observation]:
    """Observations, best first."""
    scores = [(observation.score, observation.epochs) for observation in observations]
    return [observations[i] for i in order(scores)]
