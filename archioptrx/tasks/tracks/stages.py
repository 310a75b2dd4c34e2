"""Time that stages of track finding take, for the one who measures it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

COMPLETION, FIT = "completion", "helix fit"
_MEASURED: ContextVar[dict[str, float] | None] = ContextVar("measured stages", default=None)


@contextmanager
def measured_stages() -> Iterator[dict[str, float]]:
    """Context whose value gets the seconds of each stage that runs in it: time of the process, 0 if none ran."""
    seconds = dict.fromkeys((COMPLETION, FIT), 0.0)
    token = _MEASURED.set(seconds)
    try:
        yield seconds
    finally:
        _MEASURED.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Context of a stage; its time is added to what is measured, if anything is."""
    seconds, start = _MEASURED.get(), time.process_time()
    yield
    if seconds is not None:
        seconds[name] += time.process_time() - start
