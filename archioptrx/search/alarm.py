"""Time limit of a call in this process, by an alarm of the system."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

AGAIN = 1.0
"""Seconds after which an alarm is repeated, since the called code may have caught it."""


class TimeIsUp(BaseException):
    """Exception that ends a call which takes too long; a block that catches every `Exception` doesn't catch it."""


def call_until(call: Callable[[], T], end: float) -> T:
    """Call a function, and end the call when `time.monotonic()` is `end` (infinite: never).

    Code of Python is interrupted, a call of a C library isn't. In other threads than the main one no alarm can be set:
    there a call that has begun isn't interrupted, and none begins after its end.

    Raises
    ------
    TimeIsUp
        The call was ended, or didn't begin.
    """
    left = end - time.monotonic()
    if left <= 0:
        raise TimeIsUp
    if left == math.inf or threading.current_thread() is not threading.main_thread():
        return call()
    armed = True

    def ring(*_: object) -> None:
        if armed:
            raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, left, AGAIN)
        return call()
    finally:
        armed = False  # a signal that has arrived already raises nothing from here on
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
