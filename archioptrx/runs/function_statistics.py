"""Share of the proposals with each function, and the sampler's probabilities, over the course of a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

WINDOWS = 6


@dataclass(frozen=True)
class Window:
    """Window of consecutive proposals.

    Attributes
    ----------
    first, last
        Numbers of the proposals at its ends.
    proposals
        Number of proposals.
    share
        Share of these proposals in which each function occurs.
    probability
        Probability that the sampler gave to each function when the last of them was made. Empty: nothing learned
        yet. A missing function was no option in the last decisions.
    """

    first: int
    last: int
    proposals: int
    share: Mapping[str, float]
    probability: Mapping[str, float]


def windows_of(
    lines: Sequence[Mapping[str, Any]],
    learned: Sequence[Mapping[str, Any]],
    functions: Iterable[str],
    count: int = WINDOWS,
) -> list[Window]:
    """Divide a search into windows of equal size (up to one proposal); fewer windows where it has fewer proposals.

    Parameters
    ----------
    lines, learned
        Lines of `proposals.jsonl` (without those that void another) and of `learned.jsonl`.
    functions
        Names of all functions.
    """
    names, total = list(functions), len(lines)
    count = min(count, total)
    cuts = [round(total * number / count) for number in range(count + 1)] if count else []
    return [_window(lines[start:end], learned, names) for start, end in pairwise(cuts)]


def _window(lines: Sequence[Mapping[str, Any]], learned: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Window:
    occurring = [{step["function"] for step in line["graph"]["steps"]} for line in lines]
    share = {name: sum(name in functions for functions in occurring) / len(lines) for name in names}
    first, last = lines[0]["proposal"], lines[-1]["proposal"]
    probabilities: Mapping[str, float] = next(
        (row["functions"] for row in reversed(learned) if row["proposal"] <= last), {}
    )
    return Window(
        first, last, len(lines), share, {name: probabilities[name] for name in names if name in probabilities}
    )


def span_text(window: Window) -> str:
    """Numbers of a window's proposals.

    >>> span_text(Window(0, 9, 10, {}, {})), span_text(Window(3, 3, 1, {}, {}))
    ('0–9', '3')
    """
    return f"{window.first}–{window.last}" if window.last > window.first else str(window.first)


def probability_changes(learned: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float]]:
    """Functions with their first and last probability, the largest change first."""
    first: dict[str, float] = {}
    for row in learned:
        first = {**row["functions"], **first}
    last = learned[-1]["functions"] if learned else {}
    changes = [(name, first[name], now) for name, now in last.items()]
    return sorted(changes, key=lambda change: (-abs(change[2] - change[1]), change[0]))
