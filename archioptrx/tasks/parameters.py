"""Parameters of particles as scaled numbers, and their errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archioptrx.data.event import PARTICLE_COLUMNS
from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.options.parameters import PARAMETERS, TrackParameter
from archioptrx.tasks.task import no_particles

SLOWEST = 0.05
"""Least transverse momentum, in GeV: lower ones count as this, so that 1/pT stays finite."""
PT = PARTICLE_COLUMNS.index("pt")
UNKNOWN = "the momentum of no particle is known; allowed: events with the table of particles (momentum, vertex, charge)"
Floats = NDArray[np.float64]


def scaled(table: Tensor, names: Sequence[str]) -> Tensor:
    """Scaled numbers of particles, in the order of the names; NaN where they aren't known.

    Shapes: rows of `HitGraph.particles` [P, 8] -> [P, C].
    """
    columns = dict(zip(PARTICLE_COLUMNS, table.unbind(1), strict=True))
    inverse = 1 / columns["pt"].clamp(min=SLOWEST)
    raw = {
        "inverse_pt": inverse,
        "charge_over_pt": columns["charge"] * inverse,
        "phi": columns["φ"],
        "eta": columns["η"],
        "z0": columns["z0"],
        "charge": columns["charge"],
    }
    columns_scaled: list[Tensor] = []
    for name in names:
        parameter, value = PARAMETERS[name], raw[name]
        parts = (value.sin(), value.cos()) if parameter.periodic else (value - parameter.centre,)
        columns_scaled += [part / parameter.scale for part in parts]
    return torch.stack(columns_scaled, dim=1)


def lacks_particles(graph: HitGraph) -> str | None:
    """Fault of events without particles, or that know the momentum of none of theirs."""
    if graph.get("particles") is None or graph.get("particle_index") is None:
        return "the events have no particles; allowed: a source that knows them (toy, helix, trackml …)"
    momenta = graph["particles"][1:, PT]
    return UNKNOWN if len(momenta) and bool(momenta.isnan().all()) else None


def known(graph: HitGraph) -> Tensor:
    """Mark the hits of particles whose parameters are known: bool [N]. Noise has none."""
    mask: Tensor = (graph.pid != 0) & ~graph["particles"][:, PT].isnan()[graph.particle_index]
    return mask


def no_parameters(graphs: Iterable[HitGraph]) -> str | None:
    """Fault of graphs in which no particle with a hit has known parameters; None: one has."""
    if any(graph.get("particles") is not None and bool(known(graph).any()) for graph in graphs):
        return None
    return no_particles(graphs) or UNKNOWN


def split(values: Floats, names: Sequence[str]) -> Iterator[tuple[TrackParameter, Floats]]:
    """The channels of each parameter. Shapes: values [N, C] -> [N, 1 or 2] each."""
    first = 0
    for name in names:
        parameter = PARAMETERS[name]
        yield parameter, values[:, first : first + parameter.channels]
        first += parameter.channels


def residuals(parameter: TrackParameter, predicted: Floats, truth: Floats) -> Floats:
    """Predicted less true value in the parameter's unit; of an angle in [-π, π). Shapes: [N, 1 or 2] twice -> [N]."""
    if not parameter.periodic:
        return parameter.scale * (predicted - truth)[:, 0]
    difference = np.arctan2(predicted[:, 0], predicted[:, 1]) - np.arctan2(truth[:, 0], truth[:, 1])
    return np.asarray(np.remainder(difference + np.pi, 2 * np.pi) - np.pi)


def explained(predicted: Floats, truth: Floats) -> float | None:
    """Share of the explained variance: 1 - Σ|predicted - true|² / Σ|true - mean|², not below 0; None without any.

    Shapes: [N, C] twice.
    """
    spread = float(np.square(truth - truth.mean(axis=0)).sum()) if len(truth) else 0.0
    # Rounding alone gives equal numbers a spread.
    if spread <= 1e-9 * max(1, len(truth)):
        return None
    return max(0.0, 1 - float(np.square(predicted - truth).sum()) / spread)


def scores(predicted: Floats, truth: Floats, names: Sequence[str]) -> dict[str, Any]:
    """Errors of parameters. Shapes: [N, C] twice, scaled.

    Returns
    -------
    For each parameter: `explained_NAME`; `bias_NAME`, the median residual; `resolution_NAME`, half of the width that
    holds the middle 68 % of the residuals; `rms_NAME`. And `explained`, the mean over the parameters that differ from
    hit to hit. None where nothing is counted.
    """
    metrics: dict[str, Any] = {}
    pairs = zip(split(predicted, names), split(truth, names), strict=True)
    for (parameter, ours), (_, theirs) in pairs:
        error = residuals(parameter, ours, theirs)
        low, middle, high = map(float, np.percentile(error, [16, 50, 84])) if len(error) else (0.0, 0.0, 0.0)
        numbers = (middle, (high - low) / 2, float(np.sqrt(np.square(error).sum() / max(1, len(error)))))
        metrics[f"explained_{parameter.name}"] = explained(ours, theirs)
        for kind, number in zip(("bias", "resolution", "rms"), numbers, strict=True):
            metrics[f"{kind}_{parameter.name}"] = number if len(error) else None
    shares = [metrics[f"explained_{name}"] for name in names if metrics[f"explained_{name}"] is not None]
    return {"explained": float(np.mean(shares)) if shares else None, **metrics}
