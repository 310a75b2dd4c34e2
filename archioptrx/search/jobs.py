"""Jobs and messages of a backend. A backend knows nothing of searches, a search nothing of Ray."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from archioptrx.training.trial_spec import TrialSpec

if TYPE_CHECKING:
    from archioptrx.training.trial import TrialData


@dataclass(frozen=True)
class TrialJob:
    """One training.

    Attributes
    ----------
    key
        Name of the training.
    spec
        Specification that `archioptrx.training.trial.messages` runs.
    limit
        Most seconds that it may run; None: no limit.
    deadline
        `time.monotonic()` at which it is stopped in any case; None: never.
    """

    key: str
    spec: TrialSpec
    limit: float | None = None
    deadline: float | None = None

    def until(self, start: float) -> float:
        """`time.monotonic()` at which it is stopped if it began at `start`; infinite: never."""
        return min(
            math.inf if self.limit is None else start + self.limit, math.inf if self.deadline is None else self.deadline
        )


class Work(Protocol):
    """Source of jobs and receiver of their messages; all calls come from one thread.

    A backend asks `next` whenever a worker is free, starts what it gets, and passes every message of a worker to
    `message` until that returns True: then the job is over, and the worker is free. A worker that dies is the message
    `{"kind": "error", …}`. A job that runs longer than `TrialJob.until` is ended by the backend in any case: that
    is the message `{"kind": "stopped", "seconds": …, "log": …}`. `next` may give None (nothing now) while jobs run, or
    when that ends the work; `done` ends the backend.
    """

    @property
    def done(self) -> bool:
        """Whether no job is left, and none runs."""

    def next(self) -> TrialJob | None:
        """A job to start now."""

    def message(self, key: str, message: dict[str, Any]) -> bool:
        """Take a message of a job; True: the job is over."""


Backend = Callable[[Work, "TrialData"], None]
"""Function that runs all jobs of a work on the events."""


class Phases:
    """Works one after the other, each made when the one before it is done."""

    def __init__(self, makers: Sequence[Callable[[], Work]]) -> None:
        self._makers = list(makers)
        self._now = self._makers.pop(0)()

    @property
    def done(self) -> bool:
        """Whether the last one is done."""
        while self._now.done and self._makers:
            self._now = self._makers.pop(0)()
        return self._now.done

    def next(self) -> TrialJob | None:
        """A job of the first one that isn't done."""
        return None if self.done else self._now.next()

    def message(self, key: str, message: dict[str, Any]) -> bool:
        """Pass a message on to the work that runs."""
        return self._now.message(key, message)
