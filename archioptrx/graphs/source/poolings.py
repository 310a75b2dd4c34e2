"""Poolings as code: `archioptrx.networks.blocks.pooling` for the one graph that an export takes."""

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
    """Values of the rows of each hit, by its shares; 0 without a row: [P, w] -> [N, w]."""
    rows = x[pooling.rows] * pooling.shares.unsqueeze(1)
    return total(rows, pooling.hits, pooling.nodes)
''',
    "aligned": '''
def aligned(x, pooling, other):
    """Values of one smaller graph on the rows of another one, by way of the hits."""
    return x if pooling is other else pooled(unpooled(x, pooling), other)
''',
    "blur": '''
def blur(sizes):
    """How far rounding may have moved numbers that are sums of terms of these sizes."""
    return sizes * torch.finfo(sizes.dtype).eps ** 0.75
''',
    "TopKPooling": '''
class TopKPooling(nn.Module):
    """The best hits by a learned score, and the edges between them: [N, w] -> [P, w].

    Gao and Ji, "Graph U-Nets", 2019. Hits as good as the last of them up to rounding
    stay too: neither their order in memory nor rounding chooses.
    """

    def __init__(self, width, ratio):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width))
        self.ratio = ratio

    def forward(self, x, edge_index):
        terms = x * (self.weight / self.weight.norm())
        raw, spread = terms.sum(dim=1), blur(terms.abs().sum(dim=1))
        hits = torch.arange(x.shape[0], device=x.device)
        # Counted in single precision, as in training: 0.6 of 25 hits are 16 there.
        count = (self.ratio * torch.ones_like(raw).sum()).ceil()
        ranked = (raw - spread).sort(descending=True).values
        ranked = torch.where(hits < count, ranked, torch.inf)
        last = torch.cat([ranked, raw.new_full((1,), torch.inf)]).min()
        kept = hits[~(raw + spread < last)]
        rows = torch.arange(kept.shape[0], device=x.device)
        row_of = torch.full_like(hits, -1).scatter(0, kept, rows)  # -1: left out
        ends = row_of[edge_index]
        edges = ends[:, (ends >= 0).all(dim=0)]
        shares = torch.ones_like(raw[kept])
        pooling = Pooling(rows, kept, shares, edges, kept.shape[0], x.shape[0])
        return x[kept] * raw[kept].tanh().unsqueeze(1), pooling
''',
    "best_pairs": '''
def best_pairs(values, spread, pairs, among, size):
    """Which pairs none is better than at each of their hits, of those among: [2, P]."""
    low = torch.where(among, (values - spread).expand_as(pairs), -torch.inf)
    top = low.new_full((size,), -torch.inf)
    top = top.scatter_reduce(0, pairs.flatten(), low.flatten(), "amax")
    return among & (values + spread >= top[pairs])
''',
    "count_pairs": '''
def count_pairs(marked, pairs, size):
    """At each hit of a pair: how many pairs are marked there. [2, P] -> [2, P]."""
    found = pairs.new_zeros(size)
    return found.scatter_add(0, pairs.flatten(), marked.flatten().long())[pairs]
''',
    "matching": '''
def matching(pairs, score, raw, spread, size):
    """Choose pairs that share no hit, the best first; of equals that share one, none.

    Taken are, again and again, pairs [2, P] that are the best at both of their hits (Preis
    1999), by score [P] and where that is equal up to its spread [P] by raw [P].
    """
    chosen = torch.zeros_like(score, dtype=torch.bool)
    left, spent = torch.arange(score.shape[0], device=score.device), chosen
    while left.shape[0] > 0:
        tops = torch.ones_like(pairs, dtype=torch.bool)
        for values in (score, raw):
            tops = best_pairs(values, spread, pairs, tops, size)
        mutual = tops.all(dim=0)
        rivals = count_pairs(tops, pairs, size)
        settled = count_pairs(tops & mutual, pairs, size)
        taken = mutual & (rivals == 1).all(dim=0)
        tied = mutual & (settled > 1).any(dim=0)
        # A tie stays in the way of its equals until all are best at both of their hits.
        gone = (spent | tied) & (settled == rivals).all(dim=0)
        if not (taken | gone | (tied & ~spent)).any():
            break
        taken = taken & ~spent
        chosen[left[taken]] = True
        at_taken = count_pairs(taken.expand_as(pairs), pairs, size)
        stay = ~gone & (at_taken == 0).all(dim=0)
        pairs, left, spent = pairs[:, stay], left[stay], (spent | tied)[stay]
        score, raw, spread = score[stay], raw[stay], spread[stay]
    return chosen
''',
    "EdgePooling": '''
class EdgePooling(nn.Module):
    """Hits contracted along their best edges: [N, w] -> [P, w].

    Diehl, "Edge Contraction Pooling for Graph Neural Networks", 2019. Edges with equal
    scores are compared before the softmax; of equals that share a hit none is contracted.
    """

    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(2 * width, 1)

    def forward(self, x, edge_index):
        (start, end), size = edge_index, x.shape[0]
        both = torch.cat([x[start], x[end]], dim=1)
        raw = self.layer(both)
        powers = (raw - largest(raw, end, size)[end]).exp()
        score = powers / total(powers, end, size)[end] + 0.5
        terms = both.abs() @ self.layer.weight.abs().T + self.layer.bias.abs()
        # A hit that an edge leads to itself has a partner of its own: size + hit.
        low, high = edge_index.amin(dim=0), edge_index.amax(dim=0)
        ends = torch.stack([low, torch.where(low == high, high + size, high)])
        pairs, pair_of = torch.unique(ends, dim=1, return_inverse=True)
        values = torch.cat([score, raw, terms], dim=1)
        score, raw, terms = largest(values, pair_of, pairs.shape[1]).T
        chosen = matching(pairs, score, raw, blur(1 + terms), 2 * size)
        first = torch.arange(2 * size, device=x.device)
        first[pairs[1, chosen]] = pairs[0, chosen]
        heads, rows = torch.unique(first[:size], return_inverse=True)
        factors = torch.ones_like(x[:, 0]).scatter(0, pairs[0, chosen], score[chosen])
        edges = torch.unique(rows[edge_index], dim=1)
        hits = torch.arange(size, device=x.device)
        shares = torch.ones_like(x[:, 0])
        pooling = Pooling(rows, hits, shares, edges, heads.shape[0], size)
        return pooled(x, pooling) * factors[heads].unsqueeze(1), pooling
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
"""Text of each function, in the order in which they are written."""
