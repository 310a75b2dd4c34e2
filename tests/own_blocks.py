"""Blocks of a test's own: registered for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from archioptrx.networks.blocks import BLOCKS


@contextmanager
def own_blocks() -> Iterator[None]:
    """Forget at the end which blocks were registered in between. Bundled ones, imported late, stay."""
    before = set(BLOCKS.own())
    try:
        yield
    finally:
        for name in set(BLOCKS.own()) - before:
            for table in vars(BLOCKS).values():
                if isinstance(table, dict):
                    table.pop(name, None)
