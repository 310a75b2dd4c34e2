"""What each task can be told. No torch here: an experiment file is checked without it."""

from __future__ import annotations

from archioptrx.tasks.options.edge_classification import EdgeOptions

__all__ = ["TASKS", "EdgeOptions"]

TASKS: dict[str, type[EdgeOptions]] = {"edge_classification": EdgeOptions}
"""Each task by name. The module of that name in `archioptrx.tasks` has `make(options) -> Task`."""
