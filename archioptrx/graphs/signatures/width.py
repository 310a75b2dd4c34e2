"""Symbolic values of a function graph: hyperparameters, choices, and widths as sums of symbols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archioptrx.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A parameter or width left symbolic: one value per candidate, bound when the network is compiled."""

    name: str

    def __hash__(self) -> int:
        """Hash of the name, without a tuple around it: a step has several, and its parameters are hashed often."""
        return hash(self.name)


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that is decided anew at each step."""

    options: tuple[Any, ...]


@dataclass(frozen=True)
class Width:
    """A number of channels as a linear form, `2*hidden + hits + 3`.

    Symbols are names of hyperparameters, names of sources (their width in the data set) and `target` (the width
    that the task needs), with several targets also `target.NAME`.
    """

    terms: tuple[tuple[str, int], ...] = ()  # sorted by symbol, no zero
    constant: int = 0

    @staticmethod
    def of(value: int | str | Hyperparameter) -> Width:
        """A literal number or a single symbol."""
        if isinstance(value, int):
            return Width((), value)
        return Width(((value.name if isinstance(value, Hyperparameter) else value, 1),))

    @property
    def of_target(self) -> bool:
        """Whether it is the width of a target, which the task determines."""
        return len(self.terms) == 1 and self.constant == 0 and self.terms[0][0].split(".")[0] == "target"

    def __add__(self, other: Width) -> Width:
        total = dict(self.terms)
        for symbol, count in other.terms:
            total[symbol] = total.get(symbol, 0) + count
        return Width(tuple(sorted(total.items())), self.constant + other.constant)

    def __mul__(self, factor: int) -> Width:
        return Width(tuple((symbol, count * factor) for symbol, count in self.terms), self.constant * factor)

    @property
    def number(self) -> int | None:
        """The number of channels; None while it has symbols."""
        return None if self.terms else self.constant

    def known(self, values: Mapping[str, int]) -> Width:
        """The same width with numbers for those symbols that have a value."""
        constant = self.constant + sum(n * values[symbol] for symbol, n in self.terms if symbol in values)
        return Width(tuple(term for term in self.terms if term[0] not in values), constant)

    def bind(self, values: Mapping[str, int]) -> int:
        """Number of channels under these values of the symbols.

        Raises
        ------
        InputError
            A symbol has no value, or a value that is not a whole number of at least 1.
        """
        total = self.constant
        for symbol, count in self.terms:
            value = values.get(symbol)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                fault = "has no value" if value is None else f"is {value!r}; allowed: a whole number from 1"
                raise InputError(f"width {self}: {symbol} {fault}")
            total += count * value
        return total

    def __str__(self) -> str:
        parts = [symbol if count == 1 else f"{count}*{symbol}" for symbol, count in self.terms]
        return " + ".join(parts + [str(self.constant)] * bool(self.constant or not parts))

    def to_json(self) -> dict[str, int]:
        """`{symbol: count, "1": constant}`."""
        return dict(self.terms) | ({"1": self.constant} if self.constant else {})

    @staticmethod
    def from_json(content: Mapping[str, int]) -> Width:
        """The inverse of `to_json`."""
        terms = tuple(sorted((symbol, count) for symbol, count in content.items() if symbol != "1"))
        return Width(terms, content.get("1", 0))
