"""Triplet classification: are two doublets that share a hit both true, and of one particle?

For networks that live on hits, doublets and triplets at once. In a line graph the same question is one of its edges.
"""

from __future__ import annotations

from archioptrx.tasks.binary import BinaryClassification, Rows
from archioptrx.tasks.options import TripletOptions


class TripletClassification(BinaryClassification):
    """Classifies triplets; see `BinaryClassification`."""

    name = "triplet_classification"
    domain = "triplet"
    rows = Rows(
        "triplet", "triplets", "triplet_index", "y_triplet", "triplet_weight", "triplet_mask", "triplet_baseline"
    )


def make(options: TripletOptions) -> TripletClassification:
    """Make the task from its options."""
    return TripletClassification(options.class_weight)
