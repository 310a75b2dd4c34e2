"""A trained model in three lines: `archioptrx.load`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from archioptrx.core.errors import InputError
from archioptrx.core.plugins import user_modules
from archioptrx.data.bounds import ROUNDING, coordinate_fault
from archioptrx.data.dataset import Metadata
from archioptrx.data.doublets import edge_features, wrapped
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.pairs import pair_keys
from archioptrx.models.model_folder import load_model
from archioptrx.tasks.task import Task


@dataclass(frozen=True)
class Loaded:
    """A trained model, and the form of its inputs.

    Attributes
    ----------
    model
        `model(graph)` gives logits (edge classification), in evaluation mode.
    metadata
        Columns of the hits and their scale, number of φ sectors.
    task
        Task that the model was trained for.
    """

    model: nn.Module
    metadata: Metadata
    task: Task

    def transform(self, hits: ArrayLike, edge_index: ArrayLike, middle: float | None = None) -> HitGraph:
        """Hits and edges in physical units as a graph that the model takes; see `transform`.

        A warning is printed where more edges lead inwards than outwards: the model learned them from the inner hit on.

        Raises
        ------
        InputError
            See `transform`; or a pair of hits stands twice, in both directions, or a hit is joined with itself.
        """
        graph = transform(hits, edge_index, self.metadata, middle)
        _check_pairs(graph.edge_index.numpy(), graph.x[:, 0].numpy())
        return graph


def load(name: str | Path, imports: Sequence[str] = (), trust: bool = False) -> Loaded:
    """Load a model folder, the best of a run, or a trial whose weights are kept; see `archioptrx.load`.

    Raises
    ------
    InputError
        There is none, or it needs modules that may not run.
    """
    with user_modules(imports, trust):
        trained = load_model(name)
    return Loaded(trained.model, trained.metadata, trained.task)


def transform(hits: ArrayLike, edge_index: ArrayLike, metadata: Metadata, middle: float | None = None) -> HitGraph:
    """Hits and edges in physical units as a graph in a data set's scales.

    Parameters
    ----------
    hits : [N, columns]
        r, φ, z in mm, rad, mm, then the data set's further columns; arrays or tensors. Lengths are in the units of the
        training data where these have units of their own (`Metadata.own_units`): then they have no bounds.
    edge_index : [2, E]
        Inner and outer hit of each edge; the graph keeps the order of the edges.
    metadata
        Columns, scales and sectors.
    middle
        φ from which φ is counted, rad. Without it: where the data set is divided into φ sectors, the middle of each
        hit's own sector (n sectors of equal width, the first one begins at -π), else 0.

    Raises
    ------
    InputError
        Shapes are wrong, numbers aren't finite or in other units, or an index points outside.
    """
    nodes, edges = _hits(hits, len(metadata.node_features)), _edges(edge_index)
    if edges.size and not (edges.min() >= 0 and edges.max() < len(nodes)):
        raise InputError(f"edge_index: points outside the {len(nodes)} hits; allowed: 0 … {len(nodes) - 1}")
    if not metadata.own_units:
        _check_units(nodes)
    features = _edge_features(nodes, edges, metadata)
    centres = sector_middles(nodes[:, 1], metadata.sectors) if middle is None else middle
    nodes[:, 1] = wrapped(nodes[:, 1] - centres, 2 * np.pi)
    r, phi, z = nodes[:, :3].T
    fields = {
        "x": nodes / np.asarray(metadata.node_scale),
        "edge_attr": features,
        "pos": np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=1),
    }
    tensors = {key: torch.tensor(value, dtype=torch.float32) for key, value in fields.items()}
    units: dict[str, Any] = {"own_units": True} if metadata.own_units else {}
    return HitGraph(**tensors, **units, edge_index=torch.tensor(edges), edge_order=torch.arange(edges.shape[1]))


def sector_middles(phi: NDArray[np.float64], sectors: int) -> NDArray[np.float64]:
    """The middle of the φ sector in which each angle lies: n sectors of equal width, the first one begins at -π.

    >>> sector_middles(np.array([0.1, -0.1, 3.0]), 1)
    array([0., 0., 0.])
    >>> sector_middles(np.array([0.1, -0.1, 3.0]), 2) / np.pi
    array([ 0.5, -0.5,  0.5])
    """
    if sectors == 1:
        return np.zeros_like(phi)
    width = 2 * math.pi / sectors
    return width * (np.round(phi / width) if sectors % 2 else np.floor(phi / width) + 0.5)


def _hits(hits: ArrayLike, columns: int) -> NDArray[np.float64]:
    nodes = np.array(_plain(hits), dtype=np.float64)
    if nodes.ndim != 2 or nodes.shape[1] != columns:
        raise InputError(f"hits: has the shape {list(nodes.shape)}; allowed: [hits, {columns}]")
    if not np.isfinite(nodes).all():
        raise InputError("hits: holds NaN or infinite numbers; allowed: finite ones")
    return nodes


def _check_units(nodes: NDArray[np.float64]) -> None:
    """Raise InputError where hits can't be in mm, rad, mm: the bounds of files; φ may be in any range of 2π."""
    span = float(np.ptp(nodes[:, 1])) if len(nodes) else 0.0
    if span > 2 * math.pi * (1 + ROUNDING):
        raise InputError(f"hits: φ spans {span:g} rad; allowed: a range of 2π; is it in degrees?")
    places = np.column_stack([nodes[:, 0], np.zeros(len(nodes)), nodes[:, 2]])
    if (fault := coordinate_fault(places, (1.0, 1.0, 1.0), 1)) is not None:
        raise InputError(f"hits: {fault}")


def _check_pairs(edges: NDArray[np.int64], r: NDArray[np.float32]) -> None:
    """Raise InputError where two hits are joined more than once, or one with itself; warn where edges lead inwards."""
    own = np.flatnonzero(edges[0] == edges[1])
    if len(own):
        raise InputError(f"edge_index: edge {own[0]} joins hit {edges[0, own[0]]} with itself; allowed: two hits")
    _, first, pair = np.unique(pair_keys(edges, len(r)), return_index=True, return_inverse=True)
    again = np.flatnonzero(first[pair] != np.arange(edges.shape[1]))
    if len(again):
        raise InputError(
            f"edge_index: edges {first[pair[again[0]]]} and {again[0]} join the same hits; "
            "allowed: each pair once, from the inner to the outer hit"
        )
    inwards = int((r[edges[0]] > r[edges[1]]).sum())
    if 2 * inwards > edges.shape[1]:
        warnings.warn(
            f"edge_index: {inwards} of {edges.shape[1]} edges lead inwards; the model learned edges from the inner to "
            "the outer hit",
            stacklevel=3,
        )


def _edges(edge_index: ArrayLike) -> NDArray[np.int64]:
    edges = np.asarray(_plain(edge_index))
    if edges.ndim != 2 or len(edges) != 2 or (edges.size and edges.dtype.kind not in "iu"):
        raise InputError(f"edge_index: is {list(edges.shape)} {edges.dtype}; allowed: [2, edges] whole numbers")
    return edges.astype(np.int64)


def _edge_features(nodes: NDArray[np.float64], edges: NDArray[np.int64], metadata: Metadata) -> NDArray[np.float64]:
    try:
        features = edge_features(
            metadata.edge_features, nodes, metadata.node_features, edges, least=metadata.least_step
        )
    except ValueError as error:
        raise InputError(f"edge_attr: {error}") from error
    scaled: NDArray[np.float64] = features / np.asarray(metadata.edge_scale)
    return scaled


def _plain(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
