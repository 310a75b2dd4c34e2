"""Simulated events: a detector, particles through it, and their hits."""
