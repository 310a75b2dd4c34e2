"""Options of triplet classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archioptrx.tasks.metrics import TRACKS, TRIPLETS
from archioptrx.tasks.options.edge_classification import EdgeOptions
from archioptrx.tasks.options.registry import task_options


@task_options
@dataclass(frozen=True)
class TripletOptions(EdgeOptions):
    """Triplet classification; see `archioptrx.tasks.triplet_classification`. Options and metrics as for edges."""

    name: ClassVar[str] = "triplet_classification"
    judged: ClassVar[tuple[str, ...]] = (TRIPLETS, TRACKS)
