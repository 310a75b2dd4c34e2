"""Checks of a sampler's options."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archioptrx.core.errors import InputError, did_you_mean


class OptionChecks:
    """Collects faults of options, each a line `sampler.NAME: is …; allowed: …`."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def whole(self, name: str, value: object, minimum: int) -> None:
        """Check a whole number."""
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            self.faults.append(f"sampler.{name}: is {value!r}; allowed: a whole number from {minimum}")

    def share(self, name: str, value: object) -> None:
        """Check a number from 0 to 1."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            self.faults.append(f"sampler.{name}: is {value!r}; allowed: a number from 0 to 1")

    def number(self, name: str, value: object, above: bool = False) -> None:
        """Check a finite number from 0, or above 0."""
        allowed = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not allowed or value < 0 or (above and value == 0):  # type: ignore[operator]
            self.faults.append(f"sampler.{name}: is {value!r}; allowed: a number {'above' if above else 'from'} 0")

    def one_of(self, name: str, value: object, allowed: Sequence[str]) -> None:
        """Check a name from a list."""
        if value not in allowed:
            self.faults.append(f"sampler.{name}: is {value!r}; {did_you_mean(str(value), allowed)}")

    def finish(self) -> None:
        """Raise InputError with all faults, if there are any."""
        if self.faults:
            raise InputError(*self.faults)
