"""Hit graphs and data sets: where they come from, how they are built, kept and batched."""
