"""Tracks: how they are found from what a network says of edges, triplets or hits, and how good they are."""
