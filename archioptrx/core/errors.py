"""The errors of ArchiOpTrX, by meaning. A command prints each fault of an error on one line and exits with 2."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class ArchiOpTrXError(Exception):
    """Base class of all errors that ArchiOpTrX raises itself.

    Parameters
    ----------
    *faults
        One line each: `place: what is wrong; allowed: …`.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.faults: tuple[str, ...] = faults

    def __str__(self) -> str:
        return "\n".join(self.faults)


class InputError(ArchiOpTrXError):
    r"""A file, an option or a data set of the user is wrong.

    A fault stays on one line, whatever it quotes.

    >>> InputError("hits.csv: line 2: y is 1\n2; allowed: a finite number").faults
    ('hits.csv: line 2: y is 1\\n2; allowed: a finite number',)
    """

    def __init__(self, *faults: str) -> None:
        super().__init__(*(fault.replace("\n", "\\n") for fault in faults))


class WriteError(InputError):
    """A file can't be written: the disk is full, or the folder isn't to be written to."""


class GraphError(ArchiOpTrXError):
    """A computation graph breaks a rule. The message names the step or value and the rule, and prints the graph."""


class ReplayError(ArchiOpTrXError):
    """A recorded decision is not allowed in the space in which it is replayed."""


class TrialError(ArchiOpTrXError):
    """A trial failed, for example because its loss is not a number. It is recorded, and the search goes on."""


RAISED = (Exception, SystemExit)
"""Errors of a user's own part that fail this part alone; Ctrl-C isn't one of them."""

RAISED_BY_CALL = (*RAISED, GeneratorExit)
"""The same around a plain call. In a generator, or a context that one may use, a GeneratorExit is its own end."""


@contextmanager
def faults_at(place: str) -> Iterator[None]:
    """Context in which the faults of an input error get a place as their start."""
    try:
        yield
    except InputError as error:
        raise InputError(*(f"{place}: {fault}" for fault in error.faults)) from error


def reason_of(error: Exception, most: int = 100) -> str:
    """First line of another library's error for a message, at most so many letters; its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:most]


def error_text(error: BaseException) -> str:
    """Type and text of another's error on one line; where it has no text, the code that raised it.

    >>> error_text(ValueError("no such   value"))
    'ValueError: no such value'
    """
    text = " ".join(str(error).split())
    code = "" if text else next((frame.line for frame in reversed(traceback.extract_tb(error.__traceback__))), "")
    return f"{type(error).__name__}: {text}" if text else f"{type(error).__name__}" + f" at {code!r}" * bool(code)


def did_you_mean(wrong: object, allowed: Iterable[str]) -> str:
    """End of a message: the allowed choices, and the nearest one where one is near.

    >>> did_you_mean("attenshun", ["attention", "mlp"])
    'allowed: attention, mlp (did you mean attention?)'
    >>> did_you_mean("AUC", ["auc", "loss"])
    'allowed: auc, loss (did you mean auc?)'
    >>> did_you_mean("x", [])
    'nothing is allowed here'
    """
    names = sorted(set(allowed))
    if not names:
        return "nothing is allowed here"
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(str(wrong).casefold(), folded, n=1)
    return f"allowed: {', '.join(names)}" + (f" (did you mean {folded[near[0]]}?)" if near else "")
