"""Events: what a detector sees, how it is simulated, and the graphs that are built of it."""
