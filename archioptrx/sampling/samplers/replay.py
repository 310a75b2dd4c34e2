"""Replay: the decisions of a trace, taken again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.core.errors import InputError, ReplayError, did_you_mean
from archioptrx.graphs.decisions import Point, Space, Trace
from archioptrx.sampling.samplers.registry import sampler


def replay(space: Space, trace: Trace) -> Any:
    """Follow a trace through a space.

    Raises
    ------
    ReplayError
        A decision is not allowed here; the message names the first one and the allowed options.
    """
    entries = iter(enumerate(trace.decisions))

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        number, entry = next(entries, (len(trace.decisions), None))
        if entry is None:
            raise ReplayError(f"trace: ends after {number} decisions; {point.kind} at {point.place} comes next")
        if (entry.kind, entry.place) != (point.kind, point.place):
            raise ReplayError(
                f"trace: decision {number}: is {entry.kind} at {entry.place}, but the walk asks for {point.kind} at "
                f"{point.place}"
            )
        if entry.label not in labels:
            raise ReplayError(
                f"trace: decision {number} ({entry.kind} at {entry.place}): {entry.label!r} is no longer allowed; "
                f"{did_you_mean(entry.label, labels)}"
            )
        return labels.index(entry.label)

    candidate = space(choose)
    number, unused = next(entries, (0, None))
    if unused is not None:
        raise ReplayError(
            f"trace: decision {number} ({unused.kind} at {unused.place}) is left over: the walk has ended"
        )
    return candidate


@sampler("replay")
class ReplaySampler:
    """Proposes the candidates of a list of traces, in order."""

    OPTIONS = ("traces",)

    def __init__(self, space: Space, seed: int = 0, traces: Sequence[Trace | Mapping[str, Any]] = ()) -> None:
        if not traces:
            raise InputError("sampler.traces: is empty; allowed: a list of traces, as trials.jsonl of a run has them")
        self.space = space
        self.traces = [t if isinstance(t, Trace) else Trace.from_json(t) for t in traces]
        self.next = 0

    def draw(self, number: int, attempt: int) -> Any | None:
        """The candidate of the next trace."""
        if self.next >= len(self.traces):
            return None
        self.next += 1
        return replay(self.space, self.traces[self.next - 1])

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Do nothing: scores are not used."""

    def state_dict(self) -> Mapping[str, Any]:
        """Position in the list."""
        return {"next": self.next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a position."""
        self.next = int(state["next"])
