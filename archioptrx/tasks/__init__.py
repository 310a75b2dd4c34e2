"""What a network is trained for. `make_task` makes a task from a plain description."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archioptrx.core.config import finish
from archioptrx.tasks.options import TASKS, TaskOptions, read_task

if TYPE_CHECKING:
    from archioptrx.tasks.task import Task

__all__ = ["TASKS", "check_task", "make_task", "task_from"]


def check_task(content: Mapping[str, Any] | str, place: str, faults: list[str]) -> TaskOptions | None:
    """Read a task's description without torch; faults are added to the list. See `read_task`."""
    return read_task(content, place, faults)


def task_from(options: TaskOptions) -> Task:
    """Make a task from its options."""
    task: Task = importlib.import_module(f"archioptrx.tasks.{options.name}").make(options)
    return task


def make_task(spec: Mapping[str, Any] | str = "edge_classification", place: str = "task") -> Task:
    """Make a task.

    Parameters
    ----------
    spec
        A task's name, or `{name: edge_classification, **options}`.
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
    return task_from(options)
