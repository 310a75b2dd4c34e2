"""Backend that runs the work of a search in this process, one job after the other: for tests and debugging."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from archioptrx.search.jobs import Work
from archioptrx.training.trial import TrialData, messages

AGAIN = 1.0
"""Seconds after which an alarm that was caught by a job rings again."""


class TimeIsUp(BaseException):
    """Exception that ends a job which takes too long; a block that catches every `Exception` doesn't catch it."""


def run_locally(work: Work, data: TrialData) -> None:
    """Run all jobs. Ctrl-C may end it between any two instructions; the run folder stays valid.

    The time limit of a job ends what Python can interrupt, which a call of a C library is not; outside of the main
    thread it ends a job only between two of its messages.
    """
    while not work.done:
        job = work.next()
        if job is None:
            continue
        start = time.monotonic()
        # Closed here: in a generator that is merely dropped Python ignores a Ctrl-C.
        with closing(messages(job.spec, data)) as stream:
            over = False
            while not over:
                message = _next_until(stream, job.until(start))
                seconds = time.monotonic() - start
                over = work.message(job.key, message or {"kind": "stopped", "seconds": seconds, "log": []})


def _next_until(stream: Iterator[dict[str, Any]], end: float) -> dict[str, Any] | None:
    """The next message of a job; None: it didn't come before `time.monotonic()` was `end`."""
    left = end - time.monotonic()
    if left <= 0:
        return None
    if left == math.inf or threading.current_thread() is not threading.main_thread():  # others can't set an alarm
        return next(stream)
    armed = True

    def ring(*_: object) -> None:
        if armed:
            raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, left, AGAIN)
        return next(stream)
    except TimeIsUp:
        return None
    finally:
        armed = False  # a signal that has arrived already raises nothing from here on
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
