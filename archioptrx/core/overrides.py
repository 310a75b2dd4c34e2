"""Options that replace values of a document, `--set key.sub=value`; times such as 4h."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.core.config import parse_yaml
from archioptrx.core.errors import InputError

_DURATION = re.compile(r"^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?$")


def duration(value: object) -> float | None:
    """Seconds of a time; None where it is none.

    >>> duration("1h30m"), duration("90s"), duration(45), duration("soon")
    (5400.0, 90.0, 45.0, None)
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if value > 0 else None
    match = _DURATION.match(str(value).strip())
    if not match or not any(match.groups()):
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds or None


def assignment(text: str) -> tuple[str, Any]:
    """Read one `key.sub=value` of `--set`.

    >>> assignment("training.learning_rate=1e-3")
    ('training.learning_rate', 0.001)

    Raises
    ------
    InputError
        There is no `=`, no key, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise InputError(f"--set {text}: is no assignment; allowed: key.sub=value")
    return key, parse_yaml(value, f"--set {key}") if value.strip() not in ("", "null", "~") else None


def read_assignments(texts: Sequence[str], overrides: dict[str, Any], options: dict[str, str]) -> list[str]:
    """Add what all `--set` say to the overrides, and their names to the options.

    Returns
    -------
    Faults of what can't be read, and of keys that are given twice: none of two values is preferred silently.
    """
    faults: list[str] = []
    for text in texts:
        try:
            key, value = assignment(text)
        except InputError as error:
            faults += error.faults
            continue
        if fault := _given_twice(key, overrides, options):
            faults.append(fault)
        overrides[key], options[key] = value, f"--set {key}"
    return faults


def _given_twice(key: str, overrides: Mapping[str, Any], options: Mapping[str, str]) -> str:
    """Fault of a key that was given before, by an option or `--set`, or holds one; empty where it wasn't."""
    flag = f"--set {key}"
    if key in overrides:
        return f"{flag}: " + (
            "is given twice; allowed: once"
            if options[key] == flag
            else f"{options[key]} gives it too; allowed: one of the two"
        )
    inside = [options[other] for other in overrides if other.startswith(f"{key}.")]
    if not inside:
        return ""
    names = ", ".join(inside)
    return f"{flag}: would replace what {names} gives; allowed: one of the two, or {flag}.KEY=VALUE"


def apply(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a document with the values of dotted keys replaced.

    >>> apply({"budget": {"trials": 12}}, {"budget.trials": 3, "seed": 1})
    {'budget': {'trials': 3}, 'seed': 1}
    """
    result: dict[str, Any] = copy.deepcopy(dict(document))
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        section = result
        for key in path:
            if not isinstance(section.get(key), dict):
                section[key] = {}
            section = section[key]
        section[last] = value
    return result
