"""Triplets: pairs of doublets that share a hit, and the graph in which doublets are nodes and triplets are edges.

In this *line graph* a node is a doublet of another graph, and an edge joins two doublets of which the one ends in the
hit where the other starts. It is a hit graph like any other, so networks on nodes and edges classify triplets
unchanged; the line graph of a line graph has triplets as nodes and quadruplets as edges. After the doublet and triplet
classifiers of Exa.TrkX: Choma et al. 2020, arXiv:2007.00149; Ju et al. 2020, arXiv:2003.11603.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.data.doublets import (
    EDGE_FEATURES,
    EDGE_SCALE,
    SCORE,
    baseline_probability,
    difference,
    safe_step,
    wrapped,
)
from archioptrx.data.hitgraph import CHAIN_HIT_FIELDS, EDGE_FIELDS, TRIPLET_FIELDS, HitGraph

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DIP = "Δz/Δr"
DIP_SCALE = 2.0
"""Scale of the inclination Δz/Δr of a doublet, no unit: about its standard deviation in a barrel."""
KINKS = {"Δφ/Δr": 1.5e-4, DIP: 0.2, "z0": 50.0}
"""Features that are (almost) equal for both doublets of a true triplet, with the scale of their difference: the slope
in rad/mm, whose change is a change of curvature; the inclination, no unit; z0 in mm. Fixed like `EDGE_SCALE`: the
geometric mean of the 90 % quantiles of true triplets (3e-5, 0.02, 11) and of all (8e-4, 2.7, 270) in the barrel of
TrackML events."""
MOST = 5_000_000
"""Default limit of the triplets of one graph: about 1 GB of features."""


@dataclass(frozen=True, eq=False)
class Doublets:
    """The edges of a graph that take part in triplets.

    Attributes
    ----------
    graph
        The graph that has them as edges.
    metadata
        Meaning of its numbers.
    taking_part : bool [E]
        True for the edges that take part.
    baseline : of float64 [E]
        Answers of an earlier classifier, under their name in graphs: `baseline_logit`, or `baseline` where only
        probabilities are known. Empty: there was no classifier.
    """

    graph: HitGraph
    metadata: Metadata
    taking_part: Bools
    baseline: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def index(self) -> Ints:
        """Inner and outer end of the doublets that take part [2, K]."""
        return self.edge_rows("edge_index").T

    @property
    def true(self) -> Bools:
        """Whether each doublet that takes part is true [K]."""
        is_true: Bools = self.edge_rows("y") > 0.5
        return is_true

    @property
    def answers(self) -> dict[str, Floats]:
        """The baseline of the doublets that take part."""
        return {name: values[self.taking_part] for name, values in self.baseline.items()}

    def edge_rows(self, name: str) -> NDArray[Any]:
        """Rows of a field of edges, for the edges that take part."""
        values = self.graph[name].numpy()
        rows: NDArray[Any] = (values.T if name == "edge_index" else values)[self.taking_part]
        return rows

    def optional(self, name: str) -> NDArray[Any] | None:
        """Rows as of `edge_rows`, None where the graph lacks the field."""
        return None if self.graph.get(name) is None else self.edge_rows(name)


def adjacent(edge_index: Ints, nodes: int, most: int | None = None) -> Ints:
    """All pairs of edges of which the first ends where the second starts.

    Parameters
    ----------
    edge_index : [2, E]
        Inner and outer node.
    nodes
        Number of nodes.
    most
        Largest number of pairs. They are counted before memory is taken.

    Returns
    -------
    [2, T], sorted by the first edge, then by the second.

    Raises
    ------
    InputError
        There are more than `most`.

    >>> adjacent(np.array([[0, 1, 1], [1, 2, 3]]), 4).tolist()
    [[0, 0], [1, 2]]
    """
    start, end = edge_index
    by_start = np.argsort(start, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(start, minlength=nodes))])
    count = first[end + 1] - first[end]
    total = int(count.sum())
    if most is not None and total > most:
        raise InputError(f"{total:,} pairs of doublets share a hit; allowed: {most:,} or fewer, by a higher cut")
    inner = np.repeat(np.arange(len(end)), count)
    within = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    return np.stack([inner, by_start[first[end[inner]] + within]])


def line_metadata(inner: Metadata, scored: bool) -> Metadata:
    """Metadata of a line graph.

    A node has the features of the doublet: r, φ, z of its middle, its features as an edge, its inclination and, where a
    classifier has scored it, the probability. An edge has the features of two nodes at those places, and the `KINKS`.
    """
    columns = dict(zip(inner.edge_features, inner.edge_scale, strict=True))
    columns.setdefault(DIP, DIP_SCALE)
    if lacking := [name for name in KINKS if name not in columns]:
        raise InputError(
            f"data.of: its edges lack {', '.join(lacking)}; allowed: edge_features with {', '.join(KINKS)}"
        )
    columns.pop(SCORE, None)
    if scored:
        columns[SCORE] = 1.0
    kinks = {difference(name): scale for name, scale in KINKS.items()}
    return replace(
        inner,
        source="line_graph",
        node_features=("r", "φ", "z", *columns),
        node_scale=(*inner.node_scale[:3], *columns.values()),
        edge_features=(*EDGE_FEATURES, *kinks),
        edge_scale=(*EDGE_SCALE, *kinks.values()),
        triplet_features=(),
        triplet_scale=(),
    )


def triplet_metadata(inner: Metadata, scored: bool) -> Metadata:
    """Metadata of a graph with triplets: features of the line graph's edges, beside the graph's own."""
    line = line_metadata(inner, scored)
    columns = dict(zip(inner.edge_features, inner.edge_scale, strict=True)) | ({SCORE: 1.0} if scored else {})
    return replace(
        inner,
        source="triplets",
        edge_features=tuple(columns),
        edge_scale=tuple(columns.values()),
        triplet_features=line.edge_features,
        triplet_scale=line.edge_scale,
    )


def line_graph(doublets: Doublets, metadata: Metadata, most: int = MOST) -> HitGraph:
    """The graph whose nodes are doublets and whose edges are triplets.

    Parameters
    ----------
    doublets
        Doublets, of which those that take part are the nodes, in the order of the graph's edges.
    metadata
        Result of `line_metadata`.
    most
        Largest number of triplets.

    Returns
    -------
    `hit_id` is the place of each doublet in its graph's caller order; `chain` its hits; `chain_hit_id` … the hits of
    the graph, in a doublet or not; `pid` the particle of a true doublet, 0 for a false one; `y` is 1 for two true
    doublets of one particle. `baseline_logit`, or `baseline`, is the smaller of the two doublets' answers: it reaches a
    cut if and only if the doublet classifier alone accepts both. Weights: the smaller of the two; mask: both count.

    Raises
    ------
    InputError
        There are too many triplets.
    """
    graph = doublets.graph
    pairs = adjacent(doublets.index, len(graph.x), most)
    content: dict[str, Any] = {"x": node_columns(doublets, metadata) / np.asarray(metadata.node_scale)}
    content |= {"edge_index": pairs, "y": truth(doublets, pairs)}
    content |= {"hit_id": doublets.edge_rows("edge_order"), "chain": chains(doublets), **particles(doublets)}
    content |= chain_hits(graph)
    for name, join in (("edge_weight", np.minimum), ("edge_mask", np.logical_and)):
        if (values := doublets.optional(name)) is not None:
            content[name] = join(values[pairs[0]], values[pairs[1]])
    content |= {name: np.minimum(values[pairs[0]], values[pairs[1]]) for name, values in doublets.answers.items()}
    return make_graph(content, metadata, graph.event, graph.sector, directed=True)


def with_triplets(doublets: Doublets, metadata: Metadata, most: int = MOST) -> HitGraph:
    """The graph with the edges that take part, and its triplets.

    Parameters
    ----------
    metadata
        Result of `triplet_metadata`.
    doublets, most
        See `line_graph`; fields of the triplets are those of its edges.
    """
    graph = doublets.graph
    line = line_graph(doublets, line_metadata(doublets.metadata, bool(doublets.baseline)), most)
    content = {
        k: v
        for k, v in graph.to_dict().items()
        if k not in (*TRIPLET_FIELDS, "triplet_index", "event", "sector", "own_units")
    }
    content |= {k: doublets.edge_rows(k) for k in EDGE_FIELDS if graph.get(k) is not None}
    if doublets.baseline:  # those of the graph were another classifier's
        content |= {"baseline": None, "baseline_logit": None, **doublets.answers}
    content["edge_index"] = doublets.index
    content["edge_order"] = np.argsort(np.argsort(content["edge_order"]))
    content["triplet_index"] = line.edge_index
    names = {"triplet_attr": "edge_attr", "y_triplet": "y", "triplet_weight": "edge_weight"}
    names |= {"triplet_mask": "edge_mask", "triplet_baseline": "baseline", "triplet_baseline_logit": "baseline_logit"}
    content |= {triplet: line[edge] for triplet, edge in names.items() if line.get(edge) is not None}
    return make_graph(content, metadata, graph.event, graph.sector, directed=True)


def node_columns(doublets: Doublets, metadata: Metadata) -> Floats:
    """Features of the doublets as nodes in physical units [K, F]."""
    inner = doublets.metadata
    nodes = doublets.graph.x.numpy()[:, :3].astype(np.float64) * np.asarray(inner.node_scale[:3])
    start, end = (nodes[side] for side in doublets.index)
    step = end - start
    middle = start + step / 2
    # Half of the short way round: the two hits may lie on both sides of φ = ±π.
    middle[:, 1] = wrapped(start[:, 1] + wrapped(step[:, 1], 2 * np.pi) / 2, 2 * np.pi)
    values = doublets.edge_rows("edge_attr").astype(np.float64) * np.asarray(inner.edge_scale)
    columns = dict(zip(("r", "φ", "z"), middle.T, strict=True)) | dict(zip(inner.edge_features, values.T, strict=True))
    columns.setdefault(DIP, step[:, 2] / safe_step(step[:, 0], inner.least_step))
    if (probability := baseline_probability(doublets.answers)) is not None:
        columns[SCORE] = probability
    return np.stack([columns[name] for name in metadata.node_features], axis=1)


def truth(doublets: Doublets, pairs: Ints) -> Bools:
    """Mark the pairs that are two true doublets of one particle. Shapes: pairs [2, T] -> [T]."""
    true: Bools = doublets.true[pairs[0]] & doublets.true[pairs[1]]
    if doublets.graph.get("pid") is not None:
        # The particle of the shared hit is that of the second doublet; the first one starts in a hit of its own.
        pid = doublets.graph.pid.numpy()[doublets.index[0]]
        true &= pid[pairs[0]] == pid[pairs[1]]
    return true


def chains(doublets: Doublets) -> Ints:
    """Hits of each doublet, inner to outer: those of its inner node, and the last one of its outer node.

    Raises
    ------
    InputError
        The nodes are chains, and an edge joins two that don't overlap, as in a learned graph of a line graph.
    """
    hits = doublets.graph.get("chain")
    hits = (doublets.graph.hit_id.unsqueeze(1) if hits is None else hits).numpy()
    start, end = doublets.index
    if (hits[start][:, 1:] != hits[end][:, :-1]).any():
        raise InputError("data.of: its edges join chains of hits that don't overlap; allowed: a plain or a line graph")
    return np.concatenate([hits[start], hits[end][:, -1:]], axis=1)


def chain_hits(graph: HitGraph) -> Mapping[str, Any]:
    """Table of the hits of a graph, under the names that it has in a line graph; a line graph passes its own one on.

    It is empty for a line graph without such a table.
    """
    if graph.get("chain") is not None:
        return {name: graph[name] for name in CHAIN_HIT_FIELDS if graph.get(name) is not None}
    fields = dict(zip(CHAIN_HIT_FIELDS, ("hit_id", "pid", "pt", "hit_weight"), strict=False))
    table = {name: graph[known] for name, known in fields.items() if graph.get(known) is not None}
    x, y, z = graph.pos.numpy().T
    return table | {"chain_hit_z": z, "chain_hit_r": np.hypot(x.astype(np.float64), y.astype(np.float64))}


def particles(doublets: Doublets) -> Mapping[str, Any]:
    """Fields that name the particle of each doublet; a false doublet is noise."""
    graph, inner = doublets.graph, doublets.index[0]
    fields = ("pid", "pt", "particle_index")
    values = {k: np.where(doublets.true, graph[k].numpy()[inner], 0) for k in fields if graph.get(k) is not None}
    return values | {k: graph[k] for k in ("particle_id", "particles") if graph.get(k) is not None}
