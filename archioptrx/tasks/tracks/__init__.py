"""Tracks: finding them from a network's output for edges, triplets or hits, and their metrics."""
