"""Reading of files from elsewhere: any error of a parser becomes one line that names the file."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archioptrx.core.errors import GraphError, InputError, ReplayError

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist, _SHORT.maxtuple, _SHORT.maxset = 3, 6, 8, 8, 8
_SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 160, 60, 160


LONGEST = 300
"""Characters of a value in a message."""


def shown(value: object) -> str:
    """A value for a message, short whatever it is.

    >>> shown("x"), shown([1, 2]), len(shown(["x" * 9999] * 9999))
    ("'x'", '[1, 2]', 301)
    """
    try:
        text = _SHORT.repr(value)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    except ValueError:  # more digits than Python writes
        return "a number with too many digits"


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Context in which a file is read; `place` begins the message.

    Raises
    ------
    InputError
        For every error in the context. Our own input errors go on as they are.
    """
    try:
        yield
    except InputError:
        raise
    except (GraphError, ReplayError) as error:
        raise InputError(*(f"{place}: {fault.splitlines()[0]}" for fault in error.faults)) from error
    except RecursionError as error:
        raise InputError(f"{place}: is nested too deeply") from error
    except (MemoryError, OverflowError) as error:
        raise InputError(f"{place}: holds a number that is too large") from error
    except OSError as error:
        raise InputError(f"{place}: can't be read: {(error.strerror or str(error)).lower()}") from error
    except Exception as error:  # a parser of ours or a library's met what nobody thought of
        reason = " ".join(str(error).split()).partition(";")[0][:160]
        raise InputError(f"{place}: can't be read: {type(error).__name__}: {reason}; --debug prints more") from error


def parse_json(text: str | bytes, place: str) -> Any:
    """Parse JSON as we write it: UTF-8, finite numbers, whole characters.

    Raises
    ------
    InputError
        The text is something else.
    """
    with reading(place):
        try:
            text = text.decode() if isinstance(text, bytes) else text
            content = json.loads(text, parse_constant=_no_constant)
            if "\\u" in text:  # half of a pair of surrogates can't be written again
                json.dumps(content, ensure_ascii=False).encode()
        except RecursionError:
            raise
        except ValueError as error:
            raise InputError(f"{place}: is not JSON; the file has been changed") from error
        return content


def _no_constant(name: str) -> float:
    raise ValueError(name)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises
    ------
    InputError
        The file is missing, damaged, or holds something else.
    """
    with reading(str(path)):
        content = parse_json(path.read_bytes(), str(path))
        if not isinstance(content, Mapping):
            raise InputError(f"{path}: is {shown(content)}; allowed: a file that `archioptrx train` or `search` wrote")
        return dict(content)
