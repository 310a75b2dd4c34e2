"""What a network is trained for. `make_task` makes a task from a plain description."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archioptrx.config import Fields, finish
from archioptrx.tasks.options import TASKS, EdgeOptions

if TYPE_CHECKING:
    from archioptrx.tasks.task import Task

__all__ = ["TASKS", "check_task", "make_task"]


def check_task(content: Mapping[str, Any] | str, place: str, faults: list[str]) -> EdgeOptions | None:
    """Read a task's description without torch; faults are added to the list.

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


def make_task(spec: Mapping[str, Any] | str = "edge_classification", place: str = "task") -> Task:
    """Make a task.

    Parameters
    ----------
    spec
        See `check_task`.
    place
        Where the description stands, the start of messages about it.

    Raises
    ------
    InputError
        The description is wrong; one line per fault.
    """
    faults: list[str] = []
    options = check_task(spec, place, faults)
    finish(faults)
    assert options is not None
    task: Task = importlib.import_module(f"archioptrx.tasks.{options.name}").make(options)
    return task
