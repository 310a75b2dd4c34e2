"""Form of the inputs of an export where its caller has scaled the hits: `x`, `edge_index` and perhaps `edge_attr`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = NDArray[Any]
EDGE_FEATURES = ("dr", "dphi", "dz", "deta", "phislope", "rphislope")
"""Columns of `edge_attr`, as Acts and acorn make them of scaled hits."""
STEEPEST = 100.0
"""Limit of |phislope|."""


def single(number: float) -> float:
    """A number in single precision: callers divide by such a scale."""
    return float(np.float32(number))


@dataclass(frozen=True)
class Scaled:
    """Columns in single precision that the caller has divided by scales.

    Attributes
    ----------
    places
        Column of `x` that holds each column of the model's hits; the model's first three are r, φ, z.
    scales
        Number by which the caller has divided each of these, in single precision: `single`.
    edges
        True: the caller gives `edge_attr`, the columns `EDGE_FEATURES`, where the model reads features of edges.
    """

    places: tuple[int, ...]
    scales: tuple[float, ...]
    edges: bool

    def without_edges(self) -> Scaled:
        """The form for a model that reads no features of edges."""
        return replace(self, edges=False)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return ("x", "edge_index", *(["edge_attr"] if self.edges else []))

    @property
    def columns(self) -> int:
        """Number of columns that `x` has at least."""
        return max(self.places) + 1

    def scaled(self, hits: Arrays) -> Arrays:
        """Hits in physical units as the caller gives them, 0 in columns that the model doesn't read."""
        x = np.zeros((len(hits), self.columns), np.float32)
        x[:, self.places] = hits / self.scales
        return x

    def rounded(self, hits: Arrays) -> Arrays:
        """The hits that the model sees: with the digits that single precision leaves."""
        seen: Arrays = self.scaled(hits)[:, self.places].astype(np.float64) * self.scales
        return seen

    def inputs(self, hits: Arrays, edges: Arrays) -> tuple[Arrays, ...]:
        """Hits in physical units and edges as the caller gives them."""
        x = self.scaled(hits)
        return (x, edges, edge_features(x, edges)) if self.edges else (x, edges)


def edge_features(x: Arrays, edges: Arrays) -> Arrays:
    """Features of edges of scaled hits, in single precision.

    Source: Acts, `makeEdgeFeatures` of its module maps; acorn's are the same but for Δr = 0.

    Parameters
    ----------
    x : [N, 3 or more]
        r, φ / π, z and η (0 where there is none), scaled.
    edges : [2, E]

    Returns
    -------
    [E, 6]
        Δr, Δφ in (-1, 1], Δz, Δη, the slope Δφ/Δr within ±100 (0 where Δr is 0), the slope times the mean r.
    """
    start, end = x[edges[0]], x[edges[1]]
    dr, dphi, dz = (end - start)[:, :3].T
    dphi = dphi - np.float32(2) * np.round(dphi / np.float32(2))
    deta = (end - start)[:, 3] if x.shape[1] > 3 else np.zeros_like(dr)
    slope = np.clip(dphi / np.where(dr == 0, np.float32(np.inf), dr), -STEEPEST, STEEPEST)
    columns = (dr, dphi, dz, deta, slope, (start[:, 0] + end[:, 0]) / 2 * slope)
    return np.stack(columns, axis=1).astype(np.float32)
