"""Predictions of a network for one graph: the input of prediction writers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from archioptrx.data.hitgraph import HitGraph


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions of a network for one graph, on the CPU.

    Attributes
    ----------
    graph
        The graph as the source made it: `hit_id` names its hits, `in_file_order` brings edges into the file's order.
    scores : float32 [E] or None
        Probability of each edge, or another output of the task, in the order of the graph's edges. None: it has no
        number for each edge.
    tracks : int64 [N] or None
        Track of each hit, -1 for none; numbers are the graph's own. None: the task makes no tracks.
    outputs
        Output for each other target, by its name: one row per hit, or one for the graph.
    triplet_scores : float32 [T] or None
        Probability of each triplet; None: it has none.
    seconds
        Time that the network and finding the tracks took.
    parameters
        Trained numbers of the network and of all before it that made these predictions.
    domains
        Domain of each of the `outputs`, `node` (rows of hits) or `graph`: an event with one hit has one row of both.
    """

    graph: HitGraph
    scores: Tensor | None
    tracks: Tensor | None
    outputs: dict[str, Tensor]
    triplet_scores: Tensor | None = None
    parameters: int = 0
    seconds: float = 0.0
    domains: Mapping[str, str] = field(kw_only=True, default_factory=dict)

    def __post_init__(self) -> None:
        if lacking := sorted(self.outputs.keys() ^ self.domains.keys()):
            raise ValueError(f"domains: {', '.join(lacking)}; allowed: one domain for each of the outputs")
