"""Geometry of candidate edges: features that don't depend on the φ sector or on the units of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

EDGE_FEATURES = ("Δr", "Δφ", "Δz", "Δφ/Δr", "z0")
EDGE_SCALE = (50.0, 0.03, 100.0, 3e-4, 20.0)
"""Fixed divisors in mm, rad, mm, rad/mm, mm: about one standard deviation in a silicon barrel. They are the same for
every data set: they need no training events, and a model reads the same numbers wherever it is used."""
ACORN_FEATURES = ("dr", "dphi", "dz", "deta", "phislope", "rphislope")
"""Edge features of acorn and of Acts' GNN plugin, of nodes in their scales: r and z in m, φ in units of π."""
STEEPEST = 100.0
"""Largest |phislope|; that of an edge within one radius, but for equal φ."""
SCALES = {**dict(zip(EDGE_FEATURES, EDGE_SCALE, strict=True)), **dict.fromkeys(ACORN_FEATURES, 1.0)}
"""Edge features that every source can give, and the divisor of each."""
LEAST_STEP = 1.0
"""Least |Δr| of a divisor, mm."""
SCORE = "score"
"""Name of the edge feature that an earlier classifier gave: its probability, kept as `baseline` or `baseline_logit`."""


def baseline_probability(fields: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Probability of each edge by an earlier classifier, from the fields of a graph; None: there was none."""
    if fields.get("baseline_logit") is not None:
        logits = np.asarray(fields["baseline_logit"], dtype=np.float64)
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))  # no overflow, whatever the logit
    return None if fields.get("baseline") is None else np.asarray(fields["baseline"], dtype=np.float64)


def wrapped(angle: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """Bring angles to [-period / 2, period / 2]."""
    return angle - period * np.round(angle / period)


def safe_step(dr: NDArray[np.float64], least: float = LEAST_STEP) -> NDArray[np.float64]:
    """Δr as a divisor: with this least size, and the sign of Δr."""
    return np.where(np.abs(dr) < least, np.where(dr < 0, -least, least), dr)


def doublet_features(
    nodes: NDArray[np.float64], edge_index: NDArray[np.int64], least: float = LEAST_STEP
) -> NDArray[np.float64]:
    """Δr, Δφ, Δz, slope Δφ/Δr and z0 = z − r·Δz/Δr of each edge, z0 being where its line meets the beam.

    Parameters
    ----------
    nodes : [N, 3]
        r, φ, z in mm, rad, mm.
    edge_index : [2, E]
        Inner and outer hit.
    least
        Least |Δr| of a divisor; see `Metadata.least_step`.

    Returns
    -------
    [E, 5] in mm, rad, mm, rad/mm, mm. Where Δr is (almost) 0, hits of one layer, no line meets the beam at a useful
    place: slope and z0 are then computed with |Δr| = `least`.
    """
    inner, outer = nodes[edge_index[0]], nodes[edge_index[1]]
    dr, dphi, dz = (outer - inner)[:, :3].T
    dphi = wrapped(dphi, 2 * np.pi)
    safe = safe_step(dr, least)
    z0 = inner[:, 2] - inner[:, 0] * dz / safe
    return np.stack([dr, dphi, dz, dphi / safe, z0], axis=1)


def acorn_features(nodes: NDArray[np.float64], edge_index: NDArray[np.int64]) -> NDArray[np.float64]:
    """The six edge features of acorn (`acorn.utils.loading_utils.handle_edge_features`), see `ACORN_FEATURES`.

    phislope is dphi / dr, at most ±100, and rphislope its product with the mean r. For dr = 0 phislope is ±100 by the
    sign of dphi, and 0 for equal hits; Acts takes 0 in both cases.

    Shapes: nodes [N, 3 or more] in mm, rad, mm; edge_index [2, E] -> [E, 6].
    """
    scaled = nodes[:, :3] / (1000.0, np.pi, 1000.0)
    eta = np.arcsinh(nodes[:, 2] / np.maximum(nodes[:, 0], 1e-6))
    start, end = edge_index
    dr, dphi, dz = (scaled[end] - scaled[start]).T
    dphi = wrapped(dphi, 2.0)
    level = dr == 0
    phislope = np.where(level, STEEPEST * np.sign(dphi), dphi / np.where(level, 1.0, dr)).clip(-STEEPEST, STEEPEST)
    rphislope = (scaled[start, 0] + scaled[end, 0]) / 2 * phislope
    return np.stack([dr, dphi, dz, eta[end] - eta[start], phislope, rphislope], axis=1)


def difference(name: str) -> str:
    """Name of the edge feature that is the difference of a feature of the two nodes.

    >>> difference("z0"), difference("Δφ/Δr")
    ('Δz0', 'Δ(Δφ/Δr)')
    """
    return f"Δ({name})" if "Δ" in name else f"Δ{name}"


def edge_features(
    names: Sequence[str],
    nodes: NDArray[np.float64],
    node_names: Sequence[str],
    edge_index: NDArray[np.int64],
    score: NDArray[np.float64] | None = None,
    least: float = LEAST_STEP,
) -> NDArray[np.float64]:
    """Compute edge features by their names, in the units of the nodes.

    Parameters
    ----------
    names
        `EDGE_FEATURES`, see `doublet_features`; `ACORN_FEATURES`, see `acorn_features`; `difference(name)` of any node
        feature, outer node minus inner one;
        `SCORE`.
    nodes : [N, F]
        Features of the nodes in physical units, the first three r, φ, z in mm, rad, mm.
    node_names
        Names of the nodes' features.
    edge_index : [2, E]
        Inner and outer node.
    score : [E]
        The column `SCORE`.
    least
        See `doublet_features`.

    Returns
    -------
    [E, len(names)]

    Raises
    ------
    ValueError
        A feature has another name.
    """
    if not names:
        raise ValueError(f"edge_features is empty; allowed: {', '.join(EDGE_FEATURES)} …")
    usual = dict(zip(EDGE_FEATURES, doublet_features(nodes, edge_index, least).T, strict=True))
    if not usual.keys() >= set(names):
        usual |= dict(zip(ACORN_FEATURES, acorn_features(nodes, edge_index).T, strict=True))
    places = {difference(name): place for place, name in enumerate(node_names)}
    columns = []
    for name in names:
        if name in usual:
            columns.append(usual[name])
        elif name == SCORE and score is not None:
            columns.append(np.asarray(score, dtype=np.float64))
        elif name in places:
            columns.append(nodes[edge_index[1], places[name]] - nodes[edge_index[0], places[name]])
        else:
            raise ValueError(f"edge feature {name} can't be computed; allowed: {', '.join([*usual, *places])}")
    return np.stack(columns, axis=1)
