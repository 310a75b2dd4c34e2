"""Options of node embedding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.tasks.metrics import HITS, TRACKS
from archioptrx.tasks.options.registry import task_options

CLUSTERED = ("v_measure", "adjusted_rand")
"""Metrics of the clusters beside those of tracks."""


@task_options
@dataclass(frozen=True)
class EmbeddingOptions:
    """A point for each hit, near those of its particle; see `archioptrx.tasks.node_embedding`.

    Attributes
    ----------
    dimension
        Dimension of the space of the points.
    distance
        `squared` or `plain` (Euclidean): the distance in the loss and in the threshold.
    margin
        Least distance that hits of different particles should have.
    threshold
        Two hits nearer than this are taken for one particle's in the accuracy; None: half of the margin.
    random_pairs
        Pairs of each hit with hits drawn from its event that the loss sees beside the pairs of the loss graph.
    eps, min_samples
        Options of DBSCAN: hits within the Euclidean distance `eps` are neighbours; `min_samples` of them, itself
        included, make a hit the core of a cluster.
    cluster
        Time at which clusters are scored: `evaluation` (of a trained model) or `always`, after each epoch too; only
        then can a search improve `v_measure` and `adjusted_rand`. Metrics of tracks can be improved in any case.
    """

    name: ClassVar[str] = "node_embedding"
    judged: ClassVar[tuple[str, ...]] = (HITS, TRACKS)
    of_loss: ClassVar[tuple[str, ...]] = ("distance", "margin", "random_pairs")
    labels: ClassVar[Mapping[str, str]] = {"pair_accuracy": "pair accuracy", "v_measure": "V-measure"}
    losses: ClassVar[tuple[str, ...]] = ("loss",)
    dimension: int = 2
    distance: str = "squared"
    margin: float = 1.0
    threshold: float | None = None
    random_pairs: int = 0
    eps: float = 0.1
    min_samples: int = 3
    cluster: str = "evaluation"

    @property
    def shares(self) -> tuple[str, ...]:
        """The metrics of pairs, and those of clusters where these are scored after each epoch."""
        return ("pair_accuracy", "pair_auc", *(CLUSTERED if self.cluster == "always" else ()))

    @classmethod
    def read(cls, fields: Fields) -> EmbeddingOptions:
        """Take and check the options."""
        return cls(
            dimension=fields.take("dimension", int, cls.dimension, minimum=1),
            distance=fields.take("distance", str, cls.distance, choices=("squared", "plain")),
            margin=fields.take("margin", float, cls.margin, minimum=1e-6, maximum=1e6),
            threshold=fields.take("threshold", (float, type(None)), cls.threshold, minimum=0.0),
            random_pairs=fields.take("random_pairs", int, cls.random_pairs, minimum=0),
            eps=fields.take("eps", float, cls.eps, minimum=1e-9),
            min_samples=fields.take("min_samples", int, cls.min_samples, minimum=1),
            cluster=fields.take("cluster", str, cls.cluster, choices=("evaluation", "always")),
        )
