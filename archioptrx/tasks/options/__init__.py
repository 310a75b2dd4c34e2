"""What each task can be told. No torch here: an experiment file is checked without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.core.config import Fields
from archioptrx.tasks.options.base import TaskOptions
from archioptrx.tasks.options.edge_classification import EdgeOptions
from archioptrx.tasks.options.node_embedding import EmbeddingOptions
from archioptrx.tasks.options.node_regression import RegressionOptions
from archioptrx.tasks.options.several import SeveralOptions
from archioptrx.tasks.options.track_count import CountOptions
from archioptrx.tasks.options.track_set import SetOptions
from archioptrx.tasks.options.tracks import TRACK_SHARES, TrackOptions
from archioptrx.tasks.options.triplet_classification import TripletOptions

__all__ = ["TASKS", "TRACK_SHARES", "EdgeOptions", "TaskOptions", "TrackOptions", "TripletOptions", "read_task"]

TASKS: dict[str, type[TaskOptions]] = {
    one.name: one
    for one in (
        EdgeOptions,
        TripletOptions,
        EmbeddingOptions,
        RegressionOptions,
        CountOptions,
        SetOptions,
        SeveralOptions,
    )
}
"""Each task by name. The module of that name in `archioptrx.tasks` has `make(options) -> Task`."""


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
