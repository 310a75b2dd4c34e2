"""A small space for tests of the controller: words of six letters."""

from collections.abc import Sequence
from dataclasses import dataclass

from archioptrx.graphs.decisions import Choose, Decision, Point, Trace


@dataclass(frozen=True)
class Word:
    """A word of six letters."""

    trace: Trace

    @property
    def fingerprint(self) -> str:
        return "".join(d.label for d in self.trace.decisions)

    key = fingerprint


def words(choose: Choose, kind: str = "letter") -> Word:
    """Letters a, b, c, with c rare; the last letter may only repeat the one before it."""
    decisions: list[Decision] = []

    def pick(kind: str, place: str, labels: Sequence[str], weights: Sequence[float]) -> str:
        label = labels[choose(Point(kind, place), labels, weights)]
        decisions.append(Decision(kind, place, label))
        return label

    for place in "12345":
        last = pick(kind, place, ("a", "b", "c"), (2.0, 2.0, 1.0))
    pick("last", "6", (last,), (1.0,))
    return Word(Trace(tuple(decisions)))


def functions(choose: Choose) -> Word:
    """The same; the letters are functions."""
    return words(choose, "function")


def score(word: Word) -> float:
    """How many letters are c."""
    return word.fingerprint.count("c") / 6
