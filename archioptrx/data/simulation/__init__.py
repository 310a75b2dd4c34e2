"""Simulated events: a detector, particles through it, and what it sees of them."""
