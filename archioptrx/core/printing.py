"""Text for a terminal, which control characters steer: names, errors and logs may come from a stranger's file."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

_PLAIN = r"\x1b\[[012]m"
"""Escape sequences for bold, pale and normal text, as tables use them."""
_CONTROLS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
"""Control characters except tab and newline, marks that turn the direction of writing, halves of pairs (surrogates)."""
_SHOWN = re.compile(f"({_PLAIN})|({_CONTROLS})")


def printable(text: str) -> str:
    r"""A text in which control characters are written as in JSON.

    >>> print(printable("a\x1b[2Jb"))
    a\u001b[2Jb
    """
    return _SHOWN.sub(lambda match: match[1] or f"\\u{ord(match[2]):04x}", text)


class _PrintableStream:
    """A text stream that writes to another one, in printable form."""

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        """Write a text."""
        self.raw.write(printable(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


@contextmanager
def printable_output() -> Iterator[None]:
    """Context in which all that goes to stdout and stderr is printable; a closed stream (`>&-`) takes nothing."""
    with open(os.devnull, "w") as nothing:
        out, err = (
            cast(TextIO, _PrintableStream(raw_stream(stream or nothing))) for stream in (sys.stdout, sys.stderr)
        )
        with redirect_stdout(out), redirect_stderr(err):
            yield


def raw_stream(stream: TextIO) -> TextIO:
    """The stream below, for a view that steers the terminal itself. What it shows has to be `printable`."""
    return stream.raw if isinstance(stream, _PrintableStream) else stream
