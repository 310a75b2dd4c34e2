"""Edge classification: does a candidate edge join consecutive hits of one particle?"""

from __future__ import annotations

import torch
from torch import Tensor

from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.binary import BinaryClassification, Rows, places_of
from archioptrx.tasks.options import EdgeOptions, task
from archioptrx.tasks.tracks.finders import find_tracks
from archioptrx.tasks.tracks.ordered_scores import ordered_probabilities


class EdgeClassification(BinaryClassification):
    """Classifies edges; see `BinaryClassification`. In a line graph the edges are triplets."""

    name = "edge_classification"
    domain = "edge"
    rows = Rows("edge", "edges", "edge_index", "y", "edge_weight", "edge_mask", "baseline")

    def tracks(self, output: Tensor, graph: HitGraph) -> Tensor:
        """Tracks as the options say; in a line graph the nodes of a track are chains that overlap.

        Shapes: output [E] -> int64 [N].
        """
        scores = ordered_probabilities(output, self.finding.limits)
        edges, nodes, chosen = graph.edge_index.cpu().numpy(), len(graph.x), self.finding
        shorter = 0 if graph.get("chain") is None else graph["chain"].shape[1] - 1
        least = max(1, chosen.min_hits - shorter)
        labels = find_tracks(edges, scores, nodes, chosen, least, places_of(graph))
        return torch.from_numpy(labels).to(graph.x.device)


@task(EdgeOptions)
def make(options: EdgeOptions) -> EdgeClassification:
    """Make the task from its options."""
    return EdgeClassification(options.class_weight, options.tracks)
