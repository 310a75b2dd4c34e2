"""Spaces without networks: programs with choices that tests can know by heart."""

from collections.abc import Sequence
from dataclasses import dataclass

from archioptrx.graphs.decisions import Choose, Decision, Point, Trace


@dataclass(frozen=True)
class Word:
    """A candidate: letters in order are its architecture, the size a hyperparameter."""

    trace: Trace
    letters: str
    size: str

    @property
    def fingerprint(self) -> str:
        return self.letters

    @property
    def key(self) -> str:
        return f"{self.letters} {self.size}"


@dataclass(frozen=True)
class Words:
    """Words of 1 to `longest` letters of an alphabet; capitals may be followed by one digit each."""

    longest: int = 8
    alphabet: str = "abcdEF"
    sizes: Sequence[str] = ("small", "large")

    def __call__(self, choose: Choose) -> Word:
        decisions: list[Decision] = []

        def pick(kind: str, place: str, labels: Sequence[str]) -> str:
            label = labels[choose(Point(kind, place), labels, [1.0] * len(labels))]
            decisions.append(Decision(kind, place, label))
            return label

        letters = ""
        for place in range(int(pick("length", "", [str(n + 1) for n in range(self.longest)]))):
            letters += pick("letter", str(place % 2), list(self.alphabet))
            if letters[-1].isupper():
                letters += pick("digit", letters[-1], ["0", "1", "2"])
        size = pick("hyperparameter", "size", list(self.sizes))
        return Word(Trace(tuple(decisions)), letters, size)
