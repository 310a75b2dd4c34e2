"""The building blocks `pool` and `unpool`: hits to the nodes of a smaller graph, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.utils import coalesce

from archioptrx.graphs.signatures import SIGNATURES, Shape
from archioptrx.networks.blocks.ends import EdgeEnds
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.segments import Segments, maximum, take, total
from archioptrx.networks.blocks.topology import Topology
from archioptrx.networks.blocks.value import ForwardPass, Pooling, Value


def blur(sizes: Tensor) -> Tensor:
    """Bound on the rounding of numbers that are sums of terms of these total sizes.

    The same number comes out of another batch, or another order of rows, with other last digits. Three quarters of the
    digits count: 6e-6 of the size in single precision, 2e-12 in double. That is 50 and 8000 times the rounding of one
    operation, for the layers before. Numbers are compared two by two, and not put into classes of equal ones, since a
    class has borders too, and equal numbers may fall on both sides of one. Only numbers that differ by about this bound
    may count as different in one batch and as equal in another.
    """
    moved: Tensor = sizes.detach() * torch.finfo(sizes.dtype).eps ** 0.75
    return moved


class BestHits(nn.Module):
    """The hits of each graph with the best scores `tanh(w · x / |w|)`, by which they are multiplied.

    `TopKPooling` of torch_geometric (Gao and Ji, "Graph U-Nets", 2019), but for equal hits, of which that keeps those
    that come first in memory. Here a graph keeps `ratio` of its hits, rounded up, and further ones as good as the last
    of these up to rounding. Compared is what tanh takes, since tanh makes different numbers equal.
    """

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.select = nn.Linear(width, 1, bias=False)
        self.ratio = ratio

    def forward(self, x: Tensor, batch: Segments) -> tuple[Tensor, Tensor]:
        """Choose: [N, w] -> the hits that are kept [P], in ascending order, and the scores of all hits [N]."""
        terms = x * (self.select.weight / self.select.weight.norm())
        raw, spread = terms.sum(dim=1), blur(terms.abs().sum(dim=1))
        low, high = raw.detach() - spread, raw.detach() + spread
        # Hits that aren't below the last one: NaN stays, and is seen.
        return (~(high < self._last(low, batch)[batch.index])).nonzero().squeeze(1), raw.tanh()

    def _last(self, scores: Tensor, batch: Segments) -> Tensor:
        """The score of the last hit that each graph keeps: [N] -> [graphs]."""
        descending = scores.argsort(descending=True)
        owners = Segments(batch.index[descending], batch.size)
        ranked, graphs = scores[descending[owners.order]], owners.index[owners.order]
        # In the precision of the scores, as torch_geometric does: 0.6 of 25 hits are 16 in single precision.
        counts = (self.ratio * batch.count(scores)).ceil()
        is_kept = torch.arange(ranked.numel(), device=scores.device) - batch.offsets[graphs] < counts[graphs]
        last = scores.new_full((batch.size,), torch.inf)
        return last.scatter_reduce(0, graphs[is_kept], ranked[is_kept], "amin")


class Contraction(nn.Module):
    """Pairs of hits contracted along their best edges: a hit goes into one pair at most.

    `EdgePooling` of torch_geometric (Diehl, "Edge Contraction Pooling for Graph Neural Networks", 2019): edges have the
    score `softmax(w · [x_i, x_j] + b) + 0.5`, over those that end in the same hit; a pair of hits has that of its best
    edge, by which its sum is multiplied. An edge from a hit to itself takes this hit alone. But that takes edges in the
    order of their scores, and equal ones as they lie in memory; all only edges into a hit have the score 1.5. Here
    such pairs are compared before the softmax, and of equal ones that share a hit none is contracted (`matching`).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lin = nn.Linear(2 * width, 1)

    def forward(self, x: Tensor, edges: EdgeEnds) -> tuple[Tensor, Tensor]:
        """Contract: [N, w] -> for each hit the first hit of its pair (or itself) [N], and the factor there [N]."""
        raw, size = self._raw(x, edges)
        with torch.no_grad():
            top = maximum(raw, edges.end).index_select(0, edges.end.index)
        powers = (raw - top).exp()
        score = powers / take(total(powers, edges.end), edges.end) + 0.5
        pairs, pair_of = unordered(edges.index, edges.size)
        score, raw, size = (maximum(v, Segments(pair_of, pairs.shape[1])).squeeze(1) for v in (score, raw, size))
        chosen = matching(pairs, score.detach(), raw.detach(), blur(1 + size), 2 * edges.size).nonzero().squeeze(1)
        first = torch.arange(2 * edges.size, device=x.device)
        first[pairs[1, chosen]] = pairs[0, chosen]
        factors = x.new_ones(edges.size).scatter(0, pairs[0, chosen], score[chosen])
        return first[: edges.size], factors

    def _raw(self, x: Tensor, edges: EdgeEnds) -> tuple[Tensor, Tensor]:
        """The scores before the softmax, and the sizes of the terms that they are sums of: [E, 1] each."""
        weight, bias = self.lin.weight.view(2, -1).T, self.lin.bias
        from_start, from_end = (x @ weight).split(1, dim=1)
        raw = take(from_start, edges.start) + take(from_end, edges.end) + bias
        with torch.no_grad():
            sizes = x.abs() @ weight.abs()
            return raw, sizes[edges.index[0], :1] + sizes[edges.index[1], 1:] + bias.abs()


def unordered(index: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Pairs of hits that edges join, in any direction and number: [2, E] -> pairs [2, P], the pair of each edge [E].

    Of each pair the smaller hit comes first. A hit that is joined to itself has a partner of its own: `nodes` + hit.
    """
    small, large = index.aminmax(dim=0)
    large = torch.where(small == large, large + nodes, large)
    keys, pair_of = torch.unique(small * (2 * nodes) + large, return_inverse=True)
    width = max(2 * nodes, 1)
    return torch.stack([keys // width, keys % width]), pair_of


def matching(pairs: Tensor, score: Tensor, raw: Tensor, spread: Tensor, size: int) -> Tensor:
    """Choose pairs that share no hit, the best ones first; of equally good ones that share a hit, none.

    To go through all pairs by descending score is to take, again and again, those that are the best ones at both of
    their hits (Preis, "Linear time 1/2-approximation algorithm for maximum weighted matching", 1999). In this form all
    rounds are local: the result depends neither on other graphs of the batch nor on the order of the pairs.

    Parameters
    ----------
    pairs : int64 [2, P]
        Different pairs of different hits.
    score, raw : Tensor [P]
        Pairs are compared by `score`, those with equal scores by `raw`.
    spread : Tensor [P]
        Bound on the rounding of both; see `blur`.
    size : int
        The number of hits.

    Returns
    -------
    bool [P]. Differences that are close to `spread` may add up to a circle of pairs, each better than the next: these
    aren't chosen.
    """
    # Invariants of a round: `left` are the pairs that share no hit with a chosen one and may still stand in the way of
    # others; `spent` marks those of them that were in a tie, which are never chosen. A round chooses a pair, removes
    # one, or marks one as spent, else the loop ends: at most 2 · P rounds.
    chosen = torch.zeros_like(score, dtype=torch.bool)
    left, spent = torch.arange(score.numel(), device=score.device), chosen
    while left.numel():
        best = _best(score, spread, pairs, torch.ones_like(pairs, dtype=torch.bool), size)
        best = _best(raw, spread, pairs, best, size)
        mutual = best.all(dim=0)
        # At the hits of each pair: how many best pairs there are, and how many of them are best at both of their hits.
        rivals, settled = _number(best, pairs, size)[pairs], _number(best & mutual, pairs, size)[pairs]
        taken = mutual & (rivals == 1).all(dim=0)
        tied = mutual & (settled > 1).any(dim=0)
        # A tie stays in the way of its equals, until all of them are known to be the best ones at both of their hits.
        gone = (spent | tied) & (settled == rivals).all(dim=0)
        if not (taken | gone | (tied & ~spent)).any():
            break
        taken &= ~spent
        chosen[left[taken]] = True
        stay = ~gone & (_number(taken.expand_as(pairs), pairs, size)[pairs] == 0).all(dim=0)
        pairs, score, raw, spread, left, spent = (
            field[..., stay] for field in (pairs, score, raw, spread, left, spent | tied)
        )
    return chosen


def _best(values: Tensor, spread: Tensor, pairs: Tensor, among: Tensor, size: int) -> Tensor:
    """Mark, at both hits of each pair, whether it is one of `among` and none of these is better there: bool [2, P].

    Better means by more than both pairs' rounding.
    """
    low = (values - spread).expand_as(pairs).masked_fill(~among, -torch.inf)
    top = low.new_full((size,), -torch.inf).scatter_reduce(0, pairs.flatten(), low.flatten(), "amax")
    return among & (values + spread >= top[pairs])


def _number(marked: Tensor, pairs: Tensor, size: int) -> Tensor:
    """The number of pairs that are marked at each hit: bool [2, P] -> int64 [size]."""
    return pairs.new_zeros(size).scatter_add(0, pairs.flatten(), marked.flatten().to(pairs.dtype))


@block(SIGNATURES["pool"])
class Pool(nn.Module):
    """`pool`: hits to the nodes of a smaller graph.

    Parameters
    ----------
    method
        topk: the best hits by a learned score (`BestHits`);
        edge: pairs of hits contracted along their best edges (`Contraction`);
        diff: clusters by a learned soft assignment (Ying et al., "Hierarchical Graph Representation Learning with
        Differentiable Pooling", 2018), without its auxiliary losses. As `dense_diff_pool`, but without matrices of
        hits × hits; the edges of the pooled graph join all clusters between which an edge runs, and have no weights.
    ratio
        Share of the hits that `topk` keeps, in each graph.
    clusters
        Clusters per graph of `diff`.
    """

    def __init__(
        self, inputs: Sequence[Shape], output: Shape, method: str = "topk", ratio: float = 0.5, clusters: int = 16
    ) -> None:
        super().__init__()
        self.method, self.clusters = method, clusters
        width = inputs[0].width
        makers: dict[str, Any] = {
            "topk": lambda: BestHits(width, ratio),
            "edge": lambda: Contraction(width),
            "diff": lambda: nn.Linear(width, clusters),
        }
        self.layer = makers[method]()

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Value:
        """Pool: [N, w] -> [P, w]."""
        x, topology = values[0].tensor(), run.topology
        result, pooling = getattr(self, f"_{self.method}")(x, topology, topology.batch("node"))
        pooled = Value.of(result)
        pooled.pooling = pooling
        return pooled

    def _topk(self, x: Tensor, topology: Topology, batch: Segments) -> tuple[Tensor, Pooling]:
        kept_hits, score = self.layer(x, batch)
        rows = torch.arange(kept_hits.numel(), device=x.device)
        ends = torch.full_like(batch.index, -1).scatter(0, kept_hits, rows)[topology.edges.index]  # -1: left out
        edges = ends[:, (ends >= 0).all(dim=0)]
        pooling = Pooling(rows, kept_hits, x.new_ones(kept_hits.numel()), edges, batch.index[kept_hits], topology)
        return x.index_select(0, kept_hits) * score.index_select(0, kept_hits).unsqueeze(1), pooling

    def _edge(self, x: Tensor, topology: Topology, batch: Segments) -> tuple[Tensor, Pooling]:
        first, factors = self.layer(x, topology.edges)
        heads, rows = torch.unique(first, return_inverse=True)
        hits = torch.arange(x.shape[0], device=x.device)
        edges = coalesce(rows[topology.edges.index])
        pooling = Pooling(rows, hits, x.new_ones(x.shape[0]), edges, batch.index[heads], topology)
        return pooling.down(x) * factors[heads].unsqueeze(1), pooling

    def _diff(self, x: Tensor, topology: Topology, batch: Segments) -> tuple[Tensor, Pooling]:
        shares = self.layer(x).softmax(dim=1)
        count, edges = self.clusters, topology.edges.index
        cluster = torch.arange(count, device=x.device)
        rows = (batch.index.unsqueeze(1) * count + cluster).flatten()
        hits = torch.arange(x.shape[0], device=x.device).repeat_interleave(count)
        linked = torch.unique(batch.index[edges[0]])
        pairs = torch.cartesian_prod(cluster, cluster).T
        new_edges = (linked.view(-1, 1, 1) * count + pairs).transpose(0, 1).reshape(2, -1)
        new_batch = torch.arange(topology.graphs, device=x.device).repeat_interleave(count)
        pooling = Pooling(rows, hits, shares.flatten(), coalesce(new_edges), new_batch, topology)
        return pooling.down(x), pooling


@block(SIGNATURES["unpool"])
class Unpool(nn.Module):
    """`unpool`: each hit gets the value of its pooled row, zero where it has none; with `diff` a mixture by its shares.

    A shortcut from before the pooling, joined by `concat` or `add`, gives hits back the values that pooling removed.
    """

    def __init__(self, inputs: Sequence[Shape], output: Shape) -> None:
        super().__init__()

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Unpool: [P, w] -> [N, w]."""
        pooling = values[0].pooling
        assert pooling is not None  # the signature takes pooled values only
        return pooling.up(values[0].tensor())
