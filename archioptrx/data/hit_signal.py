"""Signal among the hits of a graph, for sources whose edges are others than those that the signal was chosen for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.event import PARTICLE_COLUMNS
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.signal import Signal

_QUANTITIES = [PARTICLE_COLUMNS.index(name) for name in ("pt", "hits", "vr")]


def lacking(graph: HitGraph, signal: Signal) -> str:
    """Names of the quantities that a signal limits and a graph lacks; empty where it lacks none."""
    if graph.get("particles") is not None:
        return ""
    needs = {
        "pT": signal.pt > 0 and graph.get("pt") is None,
        "number of hits": signal.hits > 0,
        "vertex": signal.vr_max < math.inf,
    }
    return ", ".join(name for name, lacks in needs.items() if lacks)


def hits_of_signal(graph: HitGraph, options: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    """Mask of the hits whose particle is signal [N].

    None: the options of the data set choose no signal, or the graph lacks what it needs. Then all particles count, for
    edges as for tracks.
    """
    signal = Signal.of_options(options)
    if signal == Signal() or lacking(graph, signal):
        return None
    if graph.get("particles") is None:  # pT alone is limited
        none = np.zeros(len(graph.x))
        return signal.of(graph.pt.numpy(), none, none)
    of_particles = signal.of(*graph["particles"].numpy()[:, _QUANTITIES].T)
    of_hits: NDArray[np.bool_] = of_particles[graph.particle_index.numpy()]
    return of_hits
