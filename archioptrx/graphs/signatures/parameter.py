"""One parameter of a building block: its allowed values and its default."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from archioptrx.core.errors import did_you_mean

NOUNS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    dict: "a mapping",
    type(None): "null",
}
PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a block: its allowed values and its default.

    Attributes
    ----------
    name
        Name in function graphs.
    types
        Types of its values; a whole number is also a float.
    default
        Value where none is given; it may be a mapping.
    choices, minimum, below
        Allowed texts; least number, and a number that all are below. They hold for the items of a list, too.
    items
        Types of the items, where the value may be a list; () for any.
    shown
        True: printed networks name it even at its default.
    """

    name: str
    types: tuple[type, ...]
    default: Any = field(hash=False)
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    below: float | None = None
    items: tuple[type, ...] = ()
    shown: bool = False

    def fault(self, value: object) -> str | None:
        """Fault of a literal value; None when it is allowed."""
        if isinstance(value, list) and list in self.types and self.items:
            item = replace(self, types=self.items)
            fine = value and not any(item.fault(each) for each in value)
            return None if fine else f"is {value!r}; {self.hint(value)}"
        number = isinstance(value, int) and not isinstance(value, bool) and float in self.types
        if not number and (not isinstance(value, self.types) or (isinstance(value, bool) and bool not in self.types)):
            return f"is {value!r}; {self.hint(value)}"
        if self.choices and isinstance(value, str) and value not in self.choices:
            return f"is {value!r}; {self.hint(value)}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"is {value!r}; {self.hint().replace('a number', 'a finite number')}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = self.minimum is not None and not value >= self.minimum
            if low or (self.below is not None and not value < self.below):
                return f"is {value!r}; {self.hint(value)}"
        return None

    def hint(self, value: object = "") -> str:
        """End of a message: the allowed values, and the one that is near a wrong one."""
        wrong = [each for each in value if each not in self.choices] if isinstance(value, list) else [value]
        others = [NOUNS.get(kind, kind.__name__) for kind in self.types if kind is not list]
        if self.choices:
            others = [noun for noun in others if noun != NOUNS[str]]
            listed = ["a list of these"] * (list in self.types)
            return "; or ".join([did_you_mean(wrong[0] if wrong else "", self.choices), *others, *listed])
        numbers = " and ".join(PLURALS.get(kind, kind.__name__) for kind in self.items)
        listed = [f"a list of {numbers}" if numbers else "a list"] * (list in self.types)
        bounds = [] if self.minimum is None else [f"from {self.minimum:g}"]
        bounds += [] if self.below is None else [f"below {self.below}"]
        return " ".join(["allowed:", " or ".join(others + listed), *bounds])
