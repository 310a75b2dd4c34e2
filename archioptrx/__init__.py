"""ArchiOpTrX: searches for graph neural networks that turn detector hits into particle tracks.

A user draws the space of networks as a *function graph*; the engine walks it to sample *computation graphs*,
compiles each one to a PyTorch module, trains and scores it as a trial, and learns where to walk next.
"""

__version__ = "0.1.0"
