"""Literal values of parameters: the hashable form in which descriptions hold lists and mappings, and their text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class FrozenList(tuple[Any, ...]):
    """A list of a parameter, hashable. It equals no mapping, whose frozen form is a plain tuple of sorted pairs."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenList) and super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(("list", *self))

    def __repr__(self) -> str:
        return repr(list(self))


def frozen(value: Any) -> Any:
    """A hashable form of a parameter's value: mappings become sorted pairs, lists a `FrozenList`."""
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), frozen(inner)) for key, inner in value.items()))
    return FrozenList(map(frozen, value)) if isinstance(value, list) else value


def thawed(value: Any) -> Any:
    """The value whose hashable form this is, with lists and dicts.

    >>> thawed(frozen({"aggr": ["mean", "max"], "heads": 2}))
    {'aggr': ['mean', 'max'], 'heads': 2}
    """
    if isinstance(value, FrozenList):
        return [thawed(inner) for inner in value]
    if isinstance(value, Mapping):
        return {key: thawed(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        pairs = all(isinstance(item, tuple) and len(item) == 2 for item in value)
        return {key: thawed(inner) for key, inner in value} if pairs else [thawed(inner) for inner in value]
    return value


def value_text(value: Any) -> str:
    """A value as text: lists and mappings as YAML writes them on one line.

    >>> value_text(frozen({"GATv2Conv": {"heads": 4, "concat": False}})), value_text(2), value_text("mean")
    ('{GATv2Conv: {concat: false, heads: 4}}', '2', 'mean')
    """
    return _flow(thawed(value)) if isinstance(value, tuple | list | Mapping) else str(value)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
