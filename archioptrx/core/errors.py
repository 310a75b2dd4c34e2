"""What can go wrong, by meaning. A command prints each fault of an error as one line and exits with 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ArchiOpTrXError(Exception):
    """Root of every error that ArchiOpTrX raises on purpose.

    Parameters
    ----------
    *faults
        One line each: `place: what is wrong; what would be allowed`.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.faults: tuple[str, ...] = faults

    def __str__(self) -> str:
        return "\n".join(self.faults)


class InputError(ArchiOpTrXError):
    """A file, an option or a data set that the user gave is wrong."""


class GraphError(ArchiOpTrXError):
    """A computation graph breaks a rule. The message holds offender, rule and the printed graph."""


class ReplayError(ArchiOpTrXError):
    """A recorded decision is no longer allowed where it is replayed."""


class TrialError(ArchiOpTrXError):
    """A trial failed (its loss is not a number, say). It is recorded, and the search goes on."""


def did_you_mean(wrong: object, allowed: Iterable[str]) -> str:
    """Name the allowed choices and the nearest one.

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
