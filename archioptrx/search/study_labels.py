"""Labels for the values of a study, from which the folders of its searches are named."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LONGEST_LABEL = 32
"""Most characters of one value in the name of a folder."""


def labels_of(values: Sequence[Any]) -> list[str]:
    """Short text for each value, safe in a folder's name and distinct.

    >>> labels_of([{"name": "random"}, {"name": "gp", "initial": 5}, {"name": "gp", "initial": 10}])
    ['random', 'gp_initial_5', 'gp_initial_10']
    >>> labels_of([[], ["interaction"], ["runs/a", "runs/b"]])
    ['none', 'interaction', 'a_b']
    >>> labels_of(["optuna:TPESampler", "spaces/mine.yaml", 1.0e-05, None, ""])
    ['optuna_TPESampler', 'mine', '1e_05', 'null', '_']
    """
    short = [_label(value) for value in values]
    folded = [label.casefold() for label in short]
    longer = [
        _label(value, whole=True) if folded.count(key) > 1 else label
        for value, label, key in zip(values, short, folded, strict=True)
    ]
    return distinct(longer)


def _label(value: object, whole: bool = False) -> str:
    text = re.sub(r"[^A-Za-z0-9_.]+", "_", _text(value, whole)).strip(".")
    return text[:LONGEST_LABEL].rstrip(".") or "_"


def _text(value: object, whole: bool) -> str:
    if isinstance(value, Mapping):
        named = isinstance(value.get("name"), str)
        if named and not whole:
            return str(value["name"])
        parts = [str(value["name"])] if named else []
        parts += [f"{key}_{_text(item, whole)}" for key, item in value.items() if not (named and key == "name")]
        return "_".join(parts)
    if isinstance(value, list):
        return "_".join(_text(item, whole) for item in value) or "none"
    if isinstance(value, str):
        return value if whole else re.sub(r"\.ya?ml$", "", Path(value).name)
    return json.dumps(value, default=str)


def distinct(names: Sequence[str], taken: frozenset[str] = frozenset()) -> list[str]:
    """Make names distinct by numbers; upper and lower case count as equal, as in some file systems."""
    used, result = set(taken), []
    for name in names:
        numbered = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        result.append(next(candidate for candidate in numbered if candidate.casefold() not in used))
        used.add(result[-1].casefold())
    return result
