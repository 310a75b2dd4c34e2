"""The tasks that a network is trained for. `make_task` makes a task from a plain description.

A user adds a task with the decorator `archioptrx.tasks.options.task`, see `archioptrx.tasks.options.registry`, and a
metric with `archioptrx.tasks.metrics.metric`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archioptrx.core.config import finish, kind_of
from archioptrx.core.errors import InputError
from archioptrx.tasks.options import (
    TASKS,
    TaskDescription,
    TaskOptions,
    metrics_judging,
    read_task,
)

if TYPE_CHECKING:
    from archioptrx.tasks.task import Task

__all__ = [
    "TASKS",
    "TaskDescription",
    "describe_task",
    "make_task",
    "task_from",
]


def describe_task(content: Mapping[str, Any], place: str = "task") -> TaskDescription:
    """Read a task's description without torch.

    Raises
    ------
    InputError
        The description is wrong; one line per fault.
    """
    faults: list[str] = []
    options = read_task(content, place, faults)
    finish(faults)
    assert options is not None
    return TaskDescription(content, options)


def task_from(options: TaskOptions) -> Task:
    """Make a task from its options, with the metrics of its answers.

    Raises
    ------
    InputError
        A task of the user's own can't be made.
    """
    name = options.name
    make = TASKS.get(name)  # imports torch
    from archioptrx.tasks.task import Task

    with TASKS.guarded(name):
        task = make(options)
    if not isinstance(task, Task):
        raise InputError(f"task {name}: is made as {kind_of(task)}; allowed: an archioptrx.tasks.task.Task")
    task.name, task.judging = name, tuple(metrics_judging(options))
    return task


def make_task(spec: Mapping[str, Any] | str = "edge_classification", place: str = "task") -> Task:
    """Make a task.

    Parameters
    ----------
    spec
        A task's name, or `{name: edge_classification, **options}`.
    place
        Place where the description stands, the start of messages about it.

    Raises
    ------
    InputError
        The description is wrong; one line per fault.
    """
    return task_from(describe_task({"name": spec} if isinstance(spec, str) else spec, place).options)
