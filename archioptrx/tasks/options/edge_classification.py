"""Options of edge classification, and of triplet classification, which has the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from archioptrx.core.config import Fields
from archioptrx.tasks.metrics import EDGES, TRACKS, TRIPLETS
from archioptrx.tasks.options.registry import task_options
from archioptrx.tasks.options.tracks import USUAL, TrackOptions

WEIGHTINGS = ("none", "balanced")


def class_weight_of(weight: str | float) -> str | float:
    """A class weight as options and tasks keep it: 1 is `none`."""
    return "none" if weight == 1 else weight


@task_options
@dataclass(frozen=True)
class EdgeOptions:
    """Edge classification; see `archioptrx.tasks.edge_classification`.

    Attributes
    ----------
    class_weight
        Weight of true edges in the loss: a number, `none` or `balanced` (false edges per true one of the batch). 1 is
        `none`.
    tracks
        Rules by which tracks are found from the scores.
    """

    name: ClassVar[str] = "edge_classification"
    judged: ClassVar[tuple[str, ...]] = (EDGES, TRACKS)
    of_loss: ClassVar[tuple[str, ...]] = ("class_weight",)
    labels: ClassVar[Mapping[str, str]] = {
        "fixed": "errors of the baseline fixed",
        "worsened": "worsened beside the baseline",
        "baseline_auc": "AUC of the baseline",
    }
    shares: ClassVar[tuple[str, ...]] = ()
    losses: ClassVar[tuple[str, ...]] = ("loss",)
    class_weight: str | float = "none"
    tracks: TrackOptions = USUAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_weight", class_weight_of(self.class_weight))

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take and check the options."""
        weight = fields.take("class_weight", (str, int, float, type(None)), "none", choices=WEIGHTINGS)
        if isinstance(weight, int | float) and not 0 < weight < float("inf"):
            fields.fault("class_weight", f"is {weight}; allowed: above 0, none or balanced")
        return cls("none" if weight is None else weight, TrackOptions.read(fields))


@task_options
@dataclass(frozen=True)
class TripletOptions(EdgeOptions):
    """Triplet classification; see `archioptrx.tasks.triplet_classification`. Options and metrics as for edges."""

    name: ClassVar[str] = "triplet_classification"
    judged: ClassVar[tuple[str, ...]] = (TRIPLETS, TRACKS)
