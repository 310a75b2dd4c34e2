"""Registries as they were: a test that registers parts forgets them at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from archioptrx.core.plugins import REGISTRIES, Registry


@contextmanager
def restored(*registries: Registry[Any]) -> Iterator[None]:
    """Forget at the end of a block the parts that were added in it; by default in all registries.

    Bundled parts stay, for their names are known from the beginning.
    """
    chosen = registries or tuple(REGISTRIES.values())
    before = [set(registry) for registry in chosen]
    try:
        yield
    finally:
        for registry, known in zip(chosen, before, strict=True):
            for name in set(registry) - known:
                for table in vars(registry).values():
                    if isinstance(table, dict):
                        table.pop(name, None)
