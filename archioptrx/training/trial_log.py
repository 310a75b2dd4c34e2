"""Log of a trial: lines that the worker notes, its messages carry, and the receiver writes to a file."""

from __future__ import annotations

import os
import socket
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from archioptrx.core.printing import printable


class TrialLog:
    """Notes of one trial with their times, taken out now and then.

    A warning is noted once however often it is raised, and is shown as it would be without a log.
    """

    def __init__(self) -> None:
        self._notes: list[tuple[float, str]] = []
        self._warned: set[str] = set()

    def note(self, text: str) -> None:
        """Note a text with the time of now."""
        self._notes.append((time.time(), text))

    def begin(self, device: str, threads: int) -> None:
        """Note where the trial runs."""
        of = "1 thread" if threads == 1 else f"{threads} threads"
        self.note(f"starts on {socket.gethostname()}, process {os.getpid()}, {device}, {of}")

    def failed(self, error: BaseException) -> None:
        """Note an error with its traceback."""
        self.note("failed\n" + "".join(traceback.format_exception(error)).rstrip())

    def taken(self) -> list[tuple[float, str]]:
        """The notes since the last call: seconds since 1970, text."""
        notes, self._notes = self._notes, []
        return notes

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Note the warnings that are raised in the block."""
        with warnings.catch_warnings():
            shown = warnings.showwarning

            def note(message: Any, category: type[Warning], filename: str, line: int, *more: Any) -> None:
                text = f"{category.__name__}: {message} ({filename}:{line})"
                if text not in self._warned:
                    self._warned.add(text)
                    self.note(text)
                    shown(message, category, filename, line, *more)

            warnings.showwarning = note  # type: ignore[assignment]
            yield


def as_lines(notes: Sequence[tuple[float, str]]) -> str:
    """Notes as lines of a file: local time, text; further lines of a text are indented."""
    return "".join(f"{_moment(when)}  {printable(text).replace(chr(10), chr(10) + '    ')}\n" for when, text in notes)


def _moment(when: float) -> str:
    """Local time to the millisecond."""
    return datetime.fromtimestamp(when).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
