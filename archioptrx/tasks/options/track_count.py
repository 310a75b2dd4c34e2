"""Options of the number of tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.tasks.metrics import EVENTS
from archioptrx.tasks.options.registry import task_options


@task_options
@dataclass(frozen=True)
class CountOptions:
    """The number of tracks of an event; see `archioptrx.tasks.track_count`.

    Attributes
    ----------
    hits
        Least number of hits in the graph of a particle that counts as a track.
    scale
        Number of tracks that the network's output 1 stands for.
    loss
        `huber` (of the number in units of `scale`) or `poisson` (the output is the logarithm of that).
    """

    name: ClassVar[str] = "track_count"
    judged: ClassVar[tuple[str, ...]] = (EVENTS,)
    meaning: ClassVar[tuple[str, ...]] = ("hits",)
    of_loss: ClassVar[tuple[str, ...]] = ("hits", "scale", "loss")
    labels: ClassVar[Mapping[str, str]] = {"explained": "variance explained", "exact": "exact counts"}
    shares: ClassVar[tuple[str, ...]] = ("explained", "exact")
    losses: ClassVar[tuple[str, ...]] = ("loss", "mean_error", "rms")
    hits: int = 3
    scale: float = 10.0
    loss: str = "huber"

    @classmethod
    def read(cls, fields: Fields) -> CountOptions:
        """Take and check the options."""
        return cls(
            hits=fields.take("hits", int, cls.hits, minimum=1),
            scale=fields.take("scale", float, cls.scale, minimum=1e-6, maximum=1e9),
            loss=fields.take("loss", str, cls.loss, choices=("huber", "poisson")),
        )
