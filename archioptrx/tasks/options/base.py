"""What the options of all tasks share."""

from __future__ import annotations

from typing import ClassVar, Protocol, Self

from archioptrx.core.config import Fields


class TaskOptions(Protocol):
    """What a task is told: a frozen dataclass.

    Attributes
    ----------
    name
        Of the task, and of its module in `archioptrx.tasks`.
    shares, losses
        Metrics that a search may improve: between 0 and 1 with 1 best, the first is the default; and those that have
        to be small.
    """

    name: ClassVar[str]

    @property
    def shares(self) -> tuple[str, ...]:
        """Metrics between 0 and 1."""

    @property
    def losses(self) -> tuple[str, ...]:
        """Metrics that have to be small."""

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take and check the options; faults are added to those of `fields`."""
