"""ArchiOpTrX: searches for graph neural networks that turn detector hits into particle tracks.

A user draws the space of networks as a *function graph*; the engine walks it to sample *computation graphs*,
compiles each one to a PyTorch module, trains and scores it as a trial, and learns where to walk next.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archioptrx.core.version import __version__

if TYPE_CHECKING:
    from archioptrx.models.inference import Loaded

__all__ = ["__version__", "load"]


def load(name: str | Path, imports: Sequence[str] = (), trust: bool = False) -> Loaded:
    """Load a trained model for inference: a model folder, a run (its best), or a trial (RUN/ID) that it keeps.

    Parameters
    ----------
    imports
        Modules with parts of your own that the model needs, installed or in the current folder.
    trust
        True: modules that the model names may run, though you haven't named or allowed them before; their source is
        remembered as allowed.

    Examples
    --------
    >>> trained = load("runs/first")                         # doctest: +SKIP
    >>> graph = trained.transform(hits, edge_index)          # doctest: +SKIP
    >>> scores = trained.model(graph).sigmoid()              # doctest: +SKIP
    """
    # Here, since importing the package shall not load torch.
    loaded: Loaded = importlib.import_module("archioptrx.models.inference").load(name, imports, trust)
    return loaded
