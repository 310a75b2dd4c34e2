"""Node embedding: a point for each hit, near those of its particle and far from all others; clusters are tracks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import hinge_embedding_loss, pairwise_distance

from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.classification_metrics import Ranking
from archioptrx.tasks.options.node_embedding import EmbeddingOptions
from archioptrx.tasks.options.registry import task
from archioptrx.tasks.task import Task, TaskObjective, as_columns, finite, lacks_pid, mean_loss, no_particles
from archioptrx.tasks.tracks.clusters import cluster, cluster_scores
from archioptrx.tasks.tracks.finding import apart


@task(EmbeddingOptions)
class NodeEmbedding(Task):
    """Hinge loss on the distance of pairs of hits: `torch.nn.functional.hinge_embedding_loss`.

    A pair at distance d costs d where both hits are one particle's, else max(0, margin - d); the loss is the mean. The
    distance is the squared Euclidean one, or the plain one (`torch.nn.functional.pairwise_distance`). Pairs are the
    edges of the loss graph (`loss_index`, `y_loss`) where the data have one, else the candidate edges; a hit of noise
    belongs to no particle.
    """

    name = "node_embedding"
    domain = "node"
    linear = False  # from zero, where all points are one, the squared distance has no gradient
    target_width: int

    def __init__(self, options: EmbeddingOptions) -> None:
        self.options = options
        self.target_width = options.dimension
        self.threshold = options.margin / 2 if options.threshold is None else options.threshold
        self.objective = TaskObjective("pair_accuracy", "max")

    def data_fault(self, graph: HitGraph) -> str | None:
        """Fault of events without particles, which pairs and clusters need."""
        return lacks_pid(graph)

    def truth_fault(self, graphs: Iterable[HitGraph]) -> str | None:
        """Fault of graphs without hits of particles; a true pair of the loss graph is enough for a loss."""
        if any(graph.get("y_loss") is not None and bool((graph.y_loss > 0.5).any()) for graph in graphs):
            return None
        return no_particles(graphs)

    def loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Mean hinge loss of the pairs, the random ones new. Shapes: output [N, D], or [N] for one dimension -> []."""
        return self._mean(output, *self._all_pairs(batch, fixed=False))

    def validation_loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Mean hinge loss of the pairs, the random ones always the same."""
        return self._mean(output, *self._all_pairs(batch, fixed=True))

    def _all_pairs(self, batch: HitGraph, fixed: bool) -> tuple[Tensor, Tensor]:
        """Pairs of the loss graph and random ones, and whether both hits are one particle's. See `random_pairs`."""
        index, same = pairs_of(batch)
        if not self.options.random_pairs:
            return index, same
        more = random_pairs(batch, self.options.random_pairs, fixed)
        return torch.cat([index, more], dim=1), torch.cat([same, same_particle(batch, more)])

    def _mean(self, output: Tensor, index: Tensor, same: Tensor) -> Tensor:
        """Mean hinge loss of pairs."""
        distance = self.distance(output, index)
        sign = 2 * same.to(distance.dtype) - 1
        return hinge_embedding_loss(distance, sign, self.options.margin, reduction="sum") / max(1, len(sign))

    def metrics(
        self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score points; see `Task.metrics`. `cut` has no meaning here.

        Returns
        -------
        `loss`; of the pairs of the loss graph `pair_accuracy` (taken for one particle's where they are nearer than the
        threshold), `pair_auc` (nearer pairs first), `pairs` and `true_fraction`; with `cluster: always` or with bins
        the scores of `archioptrx.tasks.tracks.clusters.cluster_scores`.
        """
        finite(outputs)
        pairs = [pairs_of(graph) for graph in graphs]
        near = [self.distance(output.detach(), index) for output, (index, _) in zip(outputs, pairs, strict=True)]
        distance = torch.cat([d.cpu().double() for d in near]).numpy() if near else np.zeros(0)
        same = torch.cat([s.cpu() for _, s in pairs]).numpy() if pairs else np.zeros(0, dtype=bool)
        right = (distance < self.threshold) == same
        scores: dict[str, Any] = {
            "loss": mean_loss(self, outputs, graphs, [len(self._all_pairs(g, fixed=True)[1]) for g in graphs]),
            "pair_accuracy": float(right.mean()) if len(right) else None,
            "pair_auc": Ranking.of(-distance, same).auc,
            "pairs": len(same),
            "true_fraction": float(same.mean()) if len(same) else None,
        }
        if bins or self.options.cluster == "always":
            labels = itertools.chain.from_iterable(map(self._clusters, outputs, graphs))
            scores |= cluster_scores(list(labels), [pid for graph in graphs for pid in by_graph(graph.pid, graph)])
        return scores

    def tracks(self, output: Tensor, graph: HitGraph) -> Tensor:
        """Cluster of each hit, -1 for none. Shapes: output [N, D] -> int64 [N]."""
        return torch.from_numpy(apart(self._clusters(output, graph)))

    def perfect(self, graph: HitGraph) -> Tensor:
        """One point for each particle, and for each hit of noise, far from all others."""
        labels = torch.where(graph.pid == 0, torch.arange(len(graph.pid), device=graph.pid.device), -graph.particles())
        places = torch.unique(labels, return_inverse=True)[1]
        step = 2 * max(self.options.margin, self.options.margin**0.5, self.options.eps)
        points = graph.x.new_zeros(len(places), self.options.dimension)
        side = int(len(places) ** (1 / self.options.dimension)) + 1
        for axis in range(self.options.dimension):
            points[:, axis] = step * (places // side**axis % side)
        return self._as_output(points)

    def constant(self, graph: HitGraph) -> Tensor:
        """The same point for all hits: all pairs are taken for true, all hits are one cluster."""
        return self._as_output(graph.x.new_zeros(len(graph.x), self.options.dimension))

    def _as_output(self, points: Tensor) -> Tensor:
        """Points as a network gives them. Shapes: [N, D] -> [N, D], or [N] for one dimension."""
        return points.squeeze(1) if self.options.dimension == 1 else points

    def distance(self, output: Tensor, index: Tensor) -> Tensor:
        """Distance of the points of each pair. Shapes: output [N, D], or [N]; index [2, L] -> [L]."""
        points = as_columns(output)
        first, second = points[index[0]], points[index[1]]
        if self.options.distance == "squared":
            return (first - second).square().sum(dim=1)
        # torch adds 1e-6 to each difference: the root has no gradient at 0.
        return pairwise_distance(first, second)

    def _clusters(self, output: Tensor, graph: HitGraph) -> list[Any]:
        points = as_columns(output.detach()).double()
        return [cluster(rows, self.options.eps, self.options.min_samples) for rows in by_graph(points, graph)]


def pairs_of(graph: HitGraph) -> tuple[Tensor, Tensor]:
    """The loss graph: pairs of hits, and whether both are one particle's. Shapes: -> int64 [2, L], bool [L]."""
    index = graph.get("loss_index")
    if index is None:
        return graph.edge_index, same_particle(graph, graph.edge_index)
    truth = graph.get("y_loss")
    return index, same_particle(graph, index) if truth is None else truth > 0.5


def same_particle(graph: HitGraph, index: Tensor) -> Tensor:
    """Whether both hits of each pair are one particle's. Shapes: index [2, L] -> bool [L]."""
    first, second = graph.pid[index]
    same: Tensor = (first == second) & (first != 0)
    return same


def random_pairs(batch: HitGraph, number: int, fixed: bool = False) -> Tensor:
    """So many pairs of each hit with hits of its own graph, itself left out.

    They are drawn from torch's generator of the CPU, or, if `fixed`, for each graph from its own number of hits: then a
    graph has the same pairs in every batch. Shapes: -> int64 [2, number · N], fewer where a graph has a single hit.
    """
    ptr = batch.ptr.cpu() if batch.get("ptr") is not None else torch.tensor([0, len(batch.x)])
    sizes = ptr.diff()
    low, size = ptr[:-1].repeat_interleave(sizes), sizes.repeat_interleave(sizes)
    if fixed:
        seeded = [(hits, torch.Generator().manual_seed(hits)) for hits in sizes.tolist()]
        draws = torch.cat([torch.rand(number, hits, generator=generator) for hits, generator in seeded], dim=1)
    else:
        draws = torch.rand(number, len(low))
    step = 1 + (draws * (size - 1)).long()
    hit = torch.arange(len(low)).expand(number, -1)
    other = low + (hit - low + step) % size
    has_others = (size > 1).expand(number, -1)
    return torch.stack([hit[has_others], other[has_others]]).to(batch.x.device)


def by_graph(rows: Tensor, batch: HitGraph) -> list[Any]:
    """Rows of the hits of each graph, as numpy arrays."""
    ptr = [0, len(batch.x)] if batch.get("ptr") is None else batch.ptr.tolist()
    values = rows.cpu().numpy()
    return [values[low:high] for low, high in itertools.pairwise(ptr)]
