"""One parameter of a building block: its allowed values and its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from archioptrx.core.errors import did_you_mean


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a block: its allowed values and its default."""

    name: str
    types: tuple[type, ...]
    default: Any = field(hash=False)  # may be a mapping
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    below: float | None = None

    def fault(self, value: object) -> str | None:
        """Fault of a literal value; None when it is allowed."""
        number = isinstance(value, int) and not isinstance(value, bool) and float in self.types
        if not number and (not isinstance(value, self.types) or (isinstance(value, bool) and bool not in self.types)):
            allowed = did_you_mean(value, self.choices) if self.choices else f"allowed: {self._allowed()}"
            return f"is {value!r}; {allowed}"
        if self.choices and value not in self.choices:
            return f"is {value!r}; {did_you_mean(value, self.choices)}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = self.minimum is not None and not value >= self.minimum
            if low or (self.below is not None and not value < self.below):
                return f"is {value!r}; allowed: {self._allowed()}"
        return None

    def _allowed(self) -> str:
        noun = {
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            str: "a text",
            dict: "a mapping",
        }
        bounds = [f"from {self.minimum:g}"] * (self.minimum is not None) + [f"below {self.below}"] * (
            self.below is not None
        )
        return " ".join([" or ".join(noun.get(t, t.__name__) for t in self.types), *bounds])
