"""Poolings as code: what `archioptrx.networks.blocks.pooling` does, for the one graph that an export takes."""

from __future__ import annotations

POOLINGS = {
    "Pooling": '''
class Pooling(NamedTuple):
    """A smaller graph of P rows: hit `hits[k]` belongs to `rows[k]` by `shares[k]`."""

    rows: torch.Tensor  # [K]
    hits: torch.Tensor  # [K]
    shares: torch.Tensor  # [K]
    edge_index: torch.Tensor  # [2, F], from row to row
    size: int  # P
    nodes: int  # N
''',
    "pooled": '''
def pooled(x, pooling):
    """Sum of the hits of each row, by their shares: [N, w] -> [P, w]."""
    rows = x[pooling.hits] * pooling.shares.unsqueeze(1)
    return total(rows, pooling.rows, pooling.size)
''',
    "unpooled": '''
def unpooled(x, pooling):
    """What the rows of each hit have, by its shares; 0 without a row: [P, w] -> [N, w]."""
    rows = x[pooling.rows] * pooling.shares.unsqueeze(1)
    return total(rows, pooling.hits, pooling.nodes)
''',
    "aligned": '''
def aligned(x, pooling, other):
    """Values of one smaller graph on the rows of another one, by way of the hits."""
    return x if pooling is other else pooled(unpooled(x, pooling), other)
''',
    "TopKPooling": '''
class TopKPooling(nn.Module):
    """The best hits by a learned score, and the edges between them: [N, w] -> [P, w].

    Gao and Ji, "Graph U-Nets", 2019.
    """

    def __init__(self, width, ratio):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width))
        self.ratio = ratio

    def forward(self, x, edge_index):
        score = torch.tanh((x * self.weight).sum(dim=1) / self.weight.norm())
        order = score.argsort(descending=True)
        # Counted in single precision, as in training: 0.6 of 25 hits are 16 there.
        count = (self.ratio * torch.ones_like(score).sum()).ceil()
        kept = order[torch.arange(x.shape[0], device=x.device) < count]
        rows = torch.arange(kept.shape[0], device=x.device)
        row_of = torch.full_like(order, -1).scatter(0, kept, rows)  # -1: left out
        ends = row_of[edge_index]
        edges = ends[:, (ends >= 0).all(dim=0)]
        shares = torch.ones_like(score[kept])
        pooling = Pooling(rows, kept, shares, edges, kept.shape[0], x.shape[0])
        return x[kept] * score[kept].unsqueeze(1), pooling
''',
    "EdgePooling": '''
class EdgePooling(nn.Module):
    """Hits contracted along their best edges, one after the other: [N, w] -> [P, w].

    Diehl, "Edge Contraction Pooling for Graph Neural Networks", 2019.
    """

    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(2 * width, 1)

    def forward(self, x, edge_index):
        start, end = edge_index[0], edge_index[1]
        raw = self.layer(torch.cat([x[start], x[end]], dim=1))
        powers = (raw - largest(raw, end, x.shape[0])[end]).exp()
        score = (powers / total(powers, end, x.shape[0])[end]).squeeze(1) + 0.5
        ends, row_of, chosen = edge_index.T.tolist(), {}, []
        for edge in score.argsort(descending=True).tolist():
            if not row_of.keys() & set(ends[edge]):
                row_of.update(dict.fromkeys(ends[edge], len(chosen)))
                chosen.append(edge)
        alone = [hit for hit in range(x.shape[0]) if hit not in row_of]
        row_of.update({hit: len(chosen) + place for place, hit in enumerate(alone)})
        hits = torch.arange(x.shape[0], device=x.device)
        rows = torch.tensor([row_of[hit] for hit in hits.tolist()], device=x.device)
        factors = torch.cat([score[chosen], score.new_ones(len(alone))])
        size = len(factors)
        edges = torch.unique(rows[edge_index], dim=1)
        shares = torch.ones_like(x[:, 0])
        pooling = Pooling(rows, hits, shares, edges, size, x.shape[0])
        return pooled(x, pooling) * factors.unsqueeze(1), pooling
''',
    "DiffPooling": '''
class DiffPooling(nn.Module):
    """Clusters, to which each hit belongs by learned shares: [N, w] -> [P, w].

    Ying et al., "Hierarchical Graph Representation Learning with Differentiable
    Pooling", 2018. Edges join all clusters, where there are edges at all.
    """

    def __init__(self, width, clusters):
        super().__init__()
        self.layer = nn.Linear(width, clusters)

    def forward(self, x, edge_index):
        shares = self.layer(x).softmax(dim=1)
        nodes, size = shares.shape
        clusters = torch.arange(size, device=x.device)
        pairs = torch.cartesian_prod(clusters, clusters).T
        edges = pairs[:, pairs[0] < size * edge_index.shape[1]]
        rows = clusters.repeat(nodes)
        hits = torch.arange(nodes, device=x.device).repeat_interleave(size)
        pooling = Pooling(rows, hits, shares.flatten(), edges, size, nodes)
        return pooled(x, pooling), pooling
''',
}
"""In the order in which they are written."""
