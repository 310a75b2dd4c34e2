"""Replay: the decisions of a trace, taken again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.core.errors import InputError, ReplayError, did_you_mean
from archioptrx.graphs.decisions import HYPERPARAMETER, Point, Space, Trace
from archioptrx.sampling.samplers.registry import sampler


def replay(space: Space, trace: Trace, settings: Mapping[str, Any] | None = None) -> Any:
    """Follow a trace through a space.

    Parameters
    ----------
    settings
        Values of hyperparameters by name. Where they are given, each hyperparameter of the space takes the option that
        is nearest to its value, and what the trace says of hyperparameters isn't used.

    Raises
    ------
    ReplayError
        A decision is not allowed here; the message names the first one and the allowed options.
    """
    followed = [d for d in enumerate(trace.decisions) if settings is None or d[1].kind != HYPERPARAMETER]
    entries = iter(followed)

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        if settings is not None and point.kind == HYPERPARAMETER:
            return nearest(labels, settings.get(point.place))
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


def nearest(labels: Sequence[str], value: object) -> int:
    """Index of the label of a value; without one, of the nearest number, or of the middle of the list.

    >>> nearest(("8", "16", "32"), 20), nearest(("relu", "tanh"), "tanh"), nearest(("0.001", "0.003", "0.01"), None)
    (1, 1, 1)
    """
    if str(value) in labels:
        return labels.index(str(value))
    try:
        gaps = [abs(float(label) - float(str(value))) for label in labels]
    except ValueError:
        return len(labels) // 2
    return gaps.index(min(gaps))


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
