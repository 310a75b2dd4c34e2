"""Registries as they were: a test that registers parts forgets them at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from archioptrx.core.plugins import REGISTRIES, Registry


@contextmanager
def restored(*registries: Registry[Any]) -> Iterator[None]:
    """Undo at the end of a block what was registered in it; by default in all registries."""
    chosen = registries or tuple(REGISTRIES.values())
    before = [{name: dict(table) for name, table in vars(one).items() if isinstance(table, dict)} for one in chosen]
    try:
        yield
    finally:
        for one, tables in zip(chosen, before, strict=True):
            vars(one).update(tables)
