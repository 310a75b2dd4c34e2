"""The tasks by name, each with the class of its options. A task's options register themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from archioptrx.core.config import Fields
from archioptrx.tasks.options.base import TaskOptions

Options = TypeVar("Options", bound=TaskOptions)

TASKS: dict[str, type[TaskOptions]] = {}
"""Each task by name. The module of that name in `archioptrx.tasks` has `make(options) -> Task`."""


def task_options(options: type[Options]) -> type[Options]:
    """Register the options of a task under the name that they say."""
    TASKS[options.name] = options
    return options


def read_task(content: Mapping[str, Any] | str, place: str, faults: list[str]) -> TaskOptions | None:
    """Read a task's description; faults are added to the list.

    Parameters
    ----------
    content
        A task's name, or `{name: edge_classification, **options}`.
    place
        Where it stands, the start of each message.
    faults
        The list that faults are added to.
    """
    before = len(faults)
    fields = Fields({"name": content} if isinstance(content, str) else content, place, faults)
    name = fields.take("name", str, "edge_classification", choices=TASKS)
    if len(faults) > before:
        return None
    options = TASKS[name].read(fields)
    fields.rest()
    return options if len(faults) == before else None
