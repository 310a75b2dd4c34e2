"""The options of all tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

from archioptrx.core.config import Fields


class TaskOptions(Protocol):
    """Options of a task: a frozen dataclass, read without torch.

    Attributes
    ----------
    name
        The task's name in experiment files.
    judged
        Subjects of the metrics that judge its answers, see `archioptrx.tasks.metrics`: `edges` or `triplets` (of a
        `BinaryClassification`), `hits`, `events`; and `tracks` where it makes any.
    shares, losses
        Metrics of the task itself that a search may improve: between 0 and 1 with 1 best, the first is the default;
        and those that have to be small.
    labels
        Labels of those of the task's numbers that reports show first, by name. This attribute may be missing: then
        they show all numbers.
    meaning
        Names of the options by which metrics judge something else, such as the parameters of a regression: scores of
        tasks that differ in them can't be compared. This attribute may be missing: then there are none.
    of_loss
        Names of the options that the loss depends on: losses of tasks that differ in them can't be compared. This
        attribute may be missing: then it depends on all.
    """

    name: ClassVar[str]

    @property
    def judged(self) -> tuple[str, ...]:
        """Subjects of the metrics that judge its outputs."""

    @property
    def shares(self) -> tuple[str, ...]:
        """Metrics between 0 and 1."""

    @property
    def losses(self) -> tuple[str, ...]:
        """Metrics that have to be small."""

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take and check the options; faults are added to those of `fields`."""


class PlainTaskOptions:
    """Options that need no rule but the types of their defaults: a task of your own declares its fields and no more.

    For a rule of your own, extend `read` and call `fields.fault`.
    """

    name: ClassVar[str]
    judged: ClassVar[tuple[str, ...]] = ()
    shares: ClassVar[tuple[str, ...]] = ()
    losses: ClassVar[tuple[str, ...]] = ("loss",)
    labels: ClassVar[Mapping[str, str]] = {}
    meaning: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take and check the options."""
        return cls(**{field.name: _plain(fields, field) for field in dataclasses.fields(cls)})  # type: ignore[arg-type]


def _plain(fields: Fields, field: dataclasses.Field[Any]) -> Any:
    """Take one option by the type of its default."""
    if isinstance(field.default, tuple):
        return tuple(fields.take(field.name, list, list(field.default)))
    default = None if field.default is dataclasses.MISSING else field.default
    return fields.take(field.name, object if default is None else type(default), default)
