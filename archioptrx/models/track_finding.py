"""Other rules of track finding for a trained model: `--tracks` of the commands."""

from __future__ import annotations

from typing import Any

from archioptrx.core.config import Fields, finish, parse_yaml
from archioptrx.core.errors import InputError
from archioptrx.tasks.binary import BinaryClassification
from archioptrx.tasks.options.tracks import TrackOptions
from archioptrx.tasks.several import parts_of
from archioptrx.tasks.task import Task

PLACE = "--tracks"


def scoring_parts(task: Task, option: str, what: str) -> list[BinaryClassification]:
    """The targets of a task that score edges or triplets.

    Raises
    ------
    InputError
        There are none.
    """
    parts = [part for part in parts_of(task) if isinstance(part, BinaryClassification)]
    if not parts:
        raise InputError(f"{option}: {task.name} has no {what}; allowed: models that score edges or triplets")
    return parts


def with_tracks(task: Task, text: str | None) -> Task:
    """Change how a task finds tracks.

    Parameters
    ----------
    text
        Name of a track finder, or YAML with some keys of `task.tracks`; other keys stay, but those of another finder.
        None: all stay.

    Raises
    ------
    InputError
        The text is no YAML, has wrong keys or values, or the task scores no edges.
    """
    if text is None:
        return task
    parts = scoring_parts(task, PLACE, "track finder")
    written = parse_yaml(text, PLACE)
    if not isinstance(written, str | dict):
        raise InputError(f"{PLACE}: is {text}; allowed: a track finder, or {{method: …, chi2_max: …}}")
    changes: dict[Any, Any] = {"method": written} if isinstance(written, str) else written
    faults: list[str] = []
    for part in parts:
        before = part.finding.content()
        if changes.get("method", before["method"]) != before["method"]:
            before = {name: before[name] for name in ("min_hits", "complete", "chi2_max", "resolution")}
        part.finding = TrackOptions.inside(Fields({**before, **changes}, PLACE, faults))
    finish(list(dict.fromkeys(faults)))
    return task
