"""The ceiling of graphs: what a network that is always right reaches on them, by the way from its answers to tracks.

What the ceiling lacks is lost before the network: edges that the cuts removed, and chains that break.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.task import Task
from archioptrx.tasks.tracks.figures import binned_metrics
from archioptrx.tasks.tracks.finding import groups
from archioptrx.tasks.tracks.metrics import Selection
from archioptrx.tasks.tracks.own_quantities import Frame
from archioptrx.tasks.tracks.scores import events_of_task


def ceiling(
    task: Task, graphs: Sequence[HitGraph], selection: Selection, whole: bool = True, frame: Frame | None = None
) -> dict[str, Any]:
    """The numbers of the tracks of a perfect network; empty where the task makes no tracks, or particles are unknown.

    Returns
    -------
    The result of `binned_metrics`, without `matching`; and `broken_chains`: particles of the graphs with
    `min_hits` hits or more that true edges don't join to one piece; of sectors, each part of a particle is one. The
    latter not for line graphs.
    """
    perfect = [task.perfect(graph) for graph in graphs]
    events = events_of_task(task, perfect, graphs, whole)
    scores = binned_metrics(events, selection, frame or Frame(), task.name) if events else {}
    numbers = {name: value for name, value in scores.items() if name != "matching"}
    if numbers and graphs[0].get("chain") is None:
        numbers["broken_chains"] = sum(_broken(graph, selection.min_hits) for graph in graphs)
    return numbers


def _broken(graph: HitGraph, min_hits: int) -> int:
    """Particles of one graph, or batch, that true edges don't join."""
    particle, true = graph.particles().cpu().numpy(), graph.y.cpu().numpy() > 0.5
    piece = groups(graph.edge_index.cpu().numpy()[:, true], len(particle))
    pairs = np.unique(np.stack([particle, piece]), axis=1)
    pieces, hits = np.bincount(pairs[0]), np.bincount(particle)
    return int(((pieces > 1) & (hits >= min_hits))[1:].sum())
