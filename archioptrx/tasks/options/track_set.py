"""Options of the set of tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.tasks.metrics import EVENTS
from archioptrx.tasks.options.parameters import read_parameters
from archioptrx.tasks.options.registry import task_options


@task_options
@dataclass(frozen=True)
class SetOptions:
    """All tracks of an event and their parameters; see `archioptrx.tasks.track_set`.

    Attributes
    ----------
    slots
        Number of tracks that the network can give; further tracks of an event are missed.
    hits
        Least number of hits in the graph of a particle that counts as a track.
    parameters
        Names, see `archioptrx.tasks.options.parameters.PARAMETERS`.
    delta
        Error at which the Huber loss of a parameter turns from square to linear, in scaled units.
    parameter_weight
        Weight of the parameters in loss and matching; the existence of a track has weight 1.
    tolerance
        Largest deviation of each scaled number of a track's parameters for the track to be found. Metrics match tracks
        by it, whatever `delta` the training had.
    """

    name: ClassVar[str] = "track_set"
    judged: ClassVar[tuple[str, ...]] = (EVENTS,)
    meaning: ClassVar[tuple[str, ...]] = ("hits", "parameters", "tolerance")
    of_loss: ClassVar[tuple[str, ...]] = ("hits", "parameters", "slots", "delta", "parameter_weight")
    labels: ClassVar[Mapping[str, str]] = {
        "f1": "F1",
        "efficiency": "efficiency at cut 0.5",
        "purity": "purity at cut 0.5",
    }
    shares: ClassVar[tuple[str, ...]] = ("f1", "efficiency", "purity")
    slots: int = 8
    hits: int = 3
    parameters: tuple[str, ...] = ("charge_over_pt", "phi")
    delta: float = 0.5
    parameter_weight: float = 4.0
    tolerance: float = 0.5

    @property
    def losses(self) -> tuple[str, ...]:
        """The loss, the error of the number, and the resolutions."""
        return (
            "loss",
            "count_error",
            *(f"{kind}_{name}" for name in self.parameters for kind in ("resolution", "rms")),
        )

    @classmethod
    def read(cls, fields: Fields) -> SetOptions:
        """Take and check the options."""
        return cls(
            slots=fields.take("slots", int, cls.slots, minimum=1),
            hits=fields.take("hits", int, cls.hits, minimum=1),
            parameters=read_parameters(fields, cls.parameters),
            delta=fields.take("delta", float, cls.delta, minimum=1e-6, maximum=1e6),
            parameter_weight=fields.take("parameter_weight", float, cls.parameter_weight, minimum=0.0, maximum=1e6),
            tolerance=fields.take("tolerance", float, cls.tolerance, minimum=1e-6, maximum=1e6),
        )
