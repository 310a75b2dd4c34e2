"""Edge classification: does a candidate edge join consecutive hits of one particle?"""

from __future__ import annotations

from archioptrx.tasks.binary import BinaryClassification, Rows
from archioptrx.tasks.options import EdgeOptions


class EdgeClassification(BinaryClassification):
    """Classifies edges; see `BinaryClassification`. In a line graph the edges are triplets."""

    name = "edge_classification"
    domain = "edge"
    rows = Rows("edge", "edges", "edge_index", "y", "edge_weight", "edge_mask", "baseline")


def make(options: EdgeOptions) -> EdgeClassification:
    """Make the task from its options."""
    return EdgeClassification(options.class_weight)
