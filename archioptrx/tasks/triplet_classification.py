"""Triplet classification: are two doublets that share a hit both true, and of one particle?

For networks that live on hits, doublets and triplets at once. In a line graph the same question is one of its edges.
"""

from __future__ import annotations

import torch
from torch import Tensor

from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.binary import BinaryClassification, Rows, places_of
from archioptrx.tasks.options import TripletOptions, task
from archioptrx.tasks.tracks.finders import find_tracks_by_triplets
from archioptrx.tasks.tracks.ordered_scores import ordered_probabilities


class TripletClassification(BinaryClassification):
    """Classifies triplets; see `BinaryClassification`."""

    name = "triplet_classification"
    domain = "triplet"
    rows = Rows(
        "triplet", "triplets", "triplet_index", "y_triplet", "triplet_weight", "triplet_mask", "triplet_baseline"
    )

    def tracks(self, output: Tensor, graph: HitGraph) -> Tensor:
        """Tracks as the options say. Shapes: output [T] -> int64 [N]."""
        scores = ordered_probabilities(output, self.finding.limits)
        edges, triplets = graph.edge_index.cpu().numpy(), graph.triplet_index.cpu().numpy()
        nodes, chosen = len(graph.x), self.finding
        labels = find_tracks_by_triplets(triplets, scores, edges, nodes, chosen, places_of(graph))
        return torch.from_numpy(labels).to(graph.x.device)


@task(TripletOptions)
def make(options: TripletOptions) -> TripletClassification:
    """Make the task from its options."""
    return TripletClassification(options.class_weight, options.tracks)
