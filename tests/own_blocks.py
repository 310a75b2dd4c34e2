"""Blocks of a test's own: registered for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from archioptrx.graphs.signatures import SIGNATURES
from archioptrx.networks.blocks import BLOCKS


@contextmanager
def own_blocks() -> Iterator[None]:
    """Forget at the end which blocks were registered in between."""
    tables = [SIGNATURES, *(table for table in vars(BLOCKS).values() if isinstance(table, dict))]
    before = [dict(table) for table in tables]
    try:
        yield
    finally:
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)
