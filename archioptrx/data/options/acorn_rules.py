"""Rules of acorn's YAML files: which edges are learned and with which weight, which tracks are the target.

    weighting:      a list of {weight: NUMBER, conditions: {NAME: CONDITION, …}}; true edges begin with 0, others with
                    1, and the last rule that holds decides. A negative weight: the edge counts as false
    hard_cuts:      {NAME: CONDITION, …}: edges stay whose two hits are on true edges for which all hold
    target_tracks:  {NAME: CONDITION, …}: true edges for which one doesn't hold are no target

A condition is a truth value or a number (equal), [low, high], or a test: [is, x], [is_not, x], [in, [x, …]],
[not_in, [x, …]], [within, low, high], [not_within, low, high]. Source: acorn.utils.mapping_utils.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archioptrx.core.config import finish, read_yaml

TESTS = ("is", "is_not", "in", "not_in", "within", "not_within")
SECTIONS = ("weighting", "hard_cuts", "target_tracks")
ALLOWED = f"true, a number, [low, high], or one of {', '.join(TESTS)} with its values"


@dataclass(frozen=True)
class Condition:
    """A condition on one column of a file.

    Attributes
    ----------
    name
        Name of the column, in an old or a new scheme.
    test
        One of `TESTS`.
    values
        Numbers to compare with; of `within` the limits.
    """

    name: str
    test: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class WeightRule:
    """Weight of the edges for which all conditions hold."""

    weight: float
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class AcornRules:
    """The rules of a file; see above. `target_tracks` None: there is no such section."""

    weighting: tuple[WeightRule, ...] | None = None
    hard_cuts: tuple[Condition, ...] = ()
    target_tracks: tuple[Condition, ...] = ()


def read_rules(path: Path) -> AcornRules:
    """Read the rules of a YAML file of acorn; its other keys are left aside.

    Raises
    ------
    InputError
        It can't be read, has no rules, or has some that can't be understood; one line each.
    """
    content, faults = read_yaml(path), list[str]()
    if not isinstance(content, Mapping) or not any(content.get(name) for name in SECTIONS):
        finish([f"{path}: has no rules; allowed: a YAML file of acorn with {', '.join(SECTIONS)}"])
    weighting = content.get("weighting")
    rules: list[WeightRule] | None = None if weighting is None else []
    if not isinstance(weighting, list | None):
        faults.append(f"{path}: weighting: is {weighting!r:.60}; allowed: a list of weights with conditions")
        weighting = None
    for number, rule in enumerate(weighting or ()):
        place = f"{path}: weighting[{number}]"
        weight: Any = rule.get("weight") if isinstance(rule, Mapping) else None
        if not _is_number(weight):
            faults.append(f"{place}: is {rule!r:.60}; allowed: {{weight: NUMBER, conditions: …}}")
            continue
        assert rules is not None
        rules.append(WeightRule(float(weight), _conditions(rule.get("conditions"), place, faults)))
    cuts = _conditions(content.get("hard_cuts"), f"{path}: hard_cuts", faults)
    targets = _conditions(content.get("target_tracks"), f"{path}: target_tracks", faults)
    finish(faults)
    return AcornRules(None if rules is None else tuple(rules), cuts, targets)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _conditions(content: Any, place: str, faults: list[str]) -> tuple[Condition, ...]:
    if content is None:
        return ()
    if not isinstance(content, Mapping):
        faults.append(f"{place}: is {content!r:.60}; allowed: conditions by the names of columns")
        return ()
    conditions = []
    for name, value in content.items():
        condition = _condition(str(name), value)
        if condition is None:
            faults.append(f"{place}: {name}: is {value!r:.60}; allowed: {ALLOWED}")
        else:
            conditions.append(condition)
    return tuple(conditions)


def _condition(name: str, value: Any) -> Condition | None:
    """A condition; None where it can't be understood."""
    if isinstance(value, bool) or _is_number(value):
        return Condition(name, "is", (float(value),))
    if not isinstance(value, list) or not value:
        return None
    test, values = (value[0], value[1:]) if isinstance(value[0], str) else ("within", value)
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    numbers = tuple(float(number) for number in values if isinstance(number, bool) or _is_number(number))
    count = {"is": 1, "is_not": 1, "within": 2, "not_within": 2}.get(test, len(numbers))
    if test not in TESTS or len(numbers) != len(values) or len(numbers) != count:
        return None
    return Condition(name, test, numbers)
