"""The search space file: hyperparameters and the limits of the walk."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from archioptrx.core.config import Fields, bundled, finish, read_yaml
from archioptrx.core.errors import InputError
from archioptrx.core.reading import reading

Literal = int | float | str | bool


@dataclass(frozen=True)
class Grid:
    """Values of one hyperparameter, in order; a range is divided into `bins` values, both ends included.

    Attributes
    ----------
    prior
        Weight of each value in random draws, 0 or more; empty: equal weights.
    """

    name: str
    values: tuple[Literal, ...]
    prior: tuple[float, ...] = ()

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """Prior weight of each value."""
        return self.prior or (1.0,) * len(self.values)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Stable names of the values: floats with six digits, or with all where six don't tell two values apart."""
        short = [f"{v:.6g}" if isinstance(v, float) else str(v) for v in self.values]
        several = {label for label in short if short.count(label) > 1}
        return tuple([str(v) if label in several else label for label, v in zip(short, self.values, strict=True)])


@dataclass(frozen=True)
class WalkLimits:
    """Limits and probabilities of the walk.

    Attributes
    ----------
    max_steps, max_walks
        Largest number of steps, and of walks (first and further ones), of an architecture.
    extra
        Largest number of steps that a walk may take beyond its shortest plan: of first walks, then of further ones.
    recurrence
        Probability of a further walk, each time that one is possible.
    reuse
        Probability of using an existing value where a new one could be made as well.
    latest
        Preference for the latest of the existing values: each has the weight of the one after it times 1 - `latest`.
        0: all alike; 1: always the latest.
    branch
        Probability of a branch where both a branch and a recurrence are possible.
    iterations
        Allowed numbers of iterations of a loop.
    max_executed
        Largest number of executed steps, with each pass of a loop counted.
    """

    max_steps: int = 32
    max_walks: int = 3
    extra: tuple[int, ...] = (16, 8)
    recurrence: float = 0.8
    reuse: float = 0.7
    latest: float = 0.6
    branch: float = 0.5
    iterations: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    max_executed: int = 64


@dataclass(frozen=True)
class SearchSpace:
    """A checked search space.

    Attributes
    ----------
    hyperparameters
        Values that a candidate may have, for its network and for its training (`learning_rate` …). A hyperparameter
        with one value is fixed.
    walk
        Limits of the walk.
    """

    name: str
    hyperparameters: tuple[Grid, ...] = ()
    walk: WalkLimits = field(default_factory=WalkLimits)

    @cached_property
    def grid(self) -> dict[str, Grid]:
        """Hyperparameters by name."""
        return {grid.name: grid for grid in self.hyperparameters}

    @cached_property
    def digest(self) -> str:
        """Hash of the content: 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The YAML form with ranges as their grids; `from_dict` inverts it."""
        walk = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.walk).items()}
        grids = {
            g.name: {"choice": list(g.values)} | ({"prior": list(g.prior)} if g.prior else {})
            for g in self.hyperparameters
        }
        return {"name": self.name, "hyperparameters": grids, "walk": walk}

    @staticmethod
    def from_dict(content: object, place: str = "search space") -> SearchSpace:
        """Build from the YAML form, all faults at once."""
        faults: list[str] = []
        top = Fields(content, place, faults)
        name = top.take("name", str)
        section = top.inside("hyperparameters", {})
        grids = tuple(_parse_grid(section, key) for key in section.content)
        walk = _parse_limits(top.inside("walk", {}))
        top.rest()
        finish(faults)
        return SearchSpace(name, grids, walk)

    @staticmethod
    def load(name: str | Path) -> SearchSpace:
        """Read a bundled search space by its name, or any by its path."""
        path = bundled("search_spaces", name)
        with reading(str(path)):
            return SearchSpace.from_dict(read_yaml(path), str(path))


def _parse_grid(section: Fields, key: str) -> Grid:
    value = section.content[key]
    if not isinstance(value, dict):
        value = section.take(key, (int, float, str, bool))
        return Grid(key, (value,))
    inner = section.inside(key)
    if "choice" in value:
        values = inner.take("choice", list)
        if values is not None and not _are_different(values):
            inner.fault("choice", f"is {values!r}; allowed: a list of different numbers or texts")
        elif values is not None and len(set(Grid(key, tuple(values)).labels)) < len(values):
            inner.fault("choice", f"is {values!r}; allowed: values that aren't written alike, such as 1 and '1'")
        return Grid(key, tuple(values or ()), _parse_prior(inner, len(values or ())))
    ends = inner.take("range", list) or []
    scale = inner.take("scale", str, "linear", choices=("linear", "log"))
    bins = inner.take("bins", int, 8, minimum=2)
    numbers = len(ends) == 2 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in ends)
    if not numbers or not ends[0] < ends[1] or (scale == "log" and ends[0] <= 0):
        inner.fault("range", f"is {ends!r}; allowed: [low, high]" + (" above 0" if scale == "log" else ""))
        return Grid(key, (0,))
    values = _spread(ends[0], ends[1], scale, bins)
    return Grid(key, values, _parse_prior(inner, len(values)))


def _are_different(values: list[Any]) -> bool:
    """Whether these are one number or text, or several different ones."""
    literal = all(isinstance(v, int | float | str | bool) for v in values)
    return literal and len(set(values)) == len(values) > 0


def _parse_prior(inner: Fields, count: int) -> tuple[float, ...]:
    """Prior weights of so many values; the last key that is read."""
    prior = inner.take("prior", list, [])
    inner.rest()
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v < math.inf for v in prior)
    if prior and not (numbers and len(prior) == count and 0 < sum(prior) < math.inf):
        rule = f"allowed: {count} numbers from 0 on, one for each value, not all of them 0, with a finite sum"
        inner.fault("prior", f"is {prior!r}; {rule}")
        return ()
    return tuple(map(float, prior))


def _spread(low: float, high: float, scale: str, bins: int) -> tuple[Literal, ...]:
    shares = [i / (bins - 1) for i in range(bins)]
    if scale == "log":
        points = [math.exp(math.log(low) + s * (math.log(high) - math.log(low))) for s in shares]
    else:
        points = [low + s * (high - low) for s in shares]
    if isinstance(low, int) and isinstance(high, int):
        return tuple(dict.fromkeys(round(p) for p in points))
    values = [float(f"{p:.6g}") for p in points]
    if len(set(values)) < bins:  # a narrow range: six digits don't tell its values apart
        values = [min(max(p, float(low)), float(high)) for p in points]
    return tuple(dict.fromkeys(values))


def _parse_limits(section: Fields) -> WalkLimits:
    default = WalkLimits()
    taken: dict[str, Any] = {}
    for item in fields(WalkLimits):
        value = getattr(default, item.name)
        if isinstance(value, tuple):
            least = 1 if item.name == "iterations" else 0
            numbers = section.take(item.name, list, list(value))
            whole = all(isinstance(v, int) and not isinstance(v, bool) and v >= least for v in numbers)
            different = item.name != "iterations" or (whole and len(set(numbers)) == len(numbers))
            if not numbers or not whole or not different:
                kind = "different whole numbers" if item.name == "iterations" else "whole numbers"
                section.fault(item.name, f"is {numbers!r}; allowed: a list of {kind} from {least}")
                numbers = value
            taken[item.name] = tuple(numbers)
        elif isinstance(value, float):
            taken[item.name] = section.take(item.name, float, value, minimum=0, maximum=1)
        else:
            taken[item.name] = section.take(item.name, int, value, minimum=1)
    section.rest()
    return WalkLimits(**taken)


def check_covers(space: SearchSpace, needed: tuple[str, ...], user: str) -> None:
    """Raise InputError with the hyperparameters that `user`, a function graph, needs and the space doesn't have."""
    missing = [name for name in needed if name not in space.grid]
    if missing:
        allowed = "allowed: a value, {choice: [...]}, {range: [low, high]}"
        place = f"search space {space.name}: hyperparameters"
        raise InputError(*(f"{place}.{name}: is missing, {user} needs it; {allowed}" for name in missing))
