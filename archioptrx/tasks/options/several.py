"""Options of several targets at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.tasks.metrics import TRACKS
from archioptrx.tasks.options.base import TaskOptions
from archioptrx.tasks.options.registry import read_task, task_options


@dataclass(frozen=True)
class Target:
    """One of several targets: its data node in the function graph, its task, and the weight of its loss."""

    name: str
    options: TaskOptions
    weight: float


@task_options
@dataclass(frozen=True)
class SeveralOptions:
    """Several targets at once; see `archioptrx.tasks.several`.

    Attributes
    ----------
    targets
        Targets in the order of the function graph's. In a file: the description of each one's task by the name of its
        data node, with `weight` (1) beside the task's own options.
    """

    name: ClassVar[str] = "several"
    shares: ClassVar[tuple[str, ...]] = ()
    losses: ClassVar[tuple[str, ...]] = ("loss",)
    targets: tuple[Target, ...]

    @property
    def judged(self) -> tuple[str, ...]:
        """Tracks, where a target makes any; all other metrics judge the answers of each target."""
        return (TRACKS,) if any(TRACKS in target.options.judged for target in self.targets) else ()

    @classmethod
    def read(cls, fields: Fields) -> SeveralOptions:
        """Take and check the options."""
        section = fields.inside("targets")
        targets = [_target(section, name) for name in section.content]
        if len(targets) < 2 and "targets" in fields.content:
            fields.fault("targets", f"are {len(targets)}; allowed: a task for each of two targets or more")
        return cls(tuple(target for target in targets if target is not None))


def _target(section: Fields, name: str) -> Target | None:
    written = section.content[name]
    inner = Fields({"name": written} if isinstance(written, str) else written, section.at(name), section.faults)
    if inner.content.get("name") == SeveralOptions.name:
        inner.fault("name", "several stands inside several; allowed: a task with one target")
        return None
    weight = inner.take("weight", float, 1.0, minimum=0.0, maximum=1e6)
    own: Mapping[str, object] = {key: value for key, value in inner.content.items() if key != "weight"}
    options = read_task(own, section.at(name), section.faults)
    if "weight" in inner.content and hasattr(options, "weight"):
        kind = getattr(options, "name", "")
        inner.fault(
            "weight", f"is an option of {kind} too; allowed: none here, or a task with another name for its own"
        )
    return None if options is None else Target(name, options, weight)
