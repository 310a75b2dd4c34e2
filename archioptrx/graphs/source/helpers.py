"""Functions that exported code calls, as text; only those that it calls are written. Rows of one group are reduced."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from archioptrx.graphs.source import poolings

HELPERS = {
    "total": '''
def total(rows, index, size):
    """Sum of the rows of each group: [M, w] -> [size, w]. index [M]: the group of each row."""
    groups = index.unsqueeze(1).expand_as(rows)
    return rows.new_zeros(size, rows.shape[1]).scatter_add(0, groups, rows)
''',
    "mean": '''
def mean(rows, index, size):
    """Mean of the rows of each group, 0 for an empty one: [M, w] -> [size, w]."""
    counts = total(torch.ones_like(rows[:, :1]), index, size)
    return total(rows, index, size) / counts.clamp(min=1)
''',
    "largest": '''
def largest(rows, index, size):
    """Largest value of each group and channel, 0 for an empty one: [M, w] -> [size, w]."""
    groups = index.unsqueeze(1).expand_as(rows)
    low = rows.new_full((size, rows.shape[1]), -torch.inf)
    top = low.scatter_reduce(0, groups, rows, "amax")
    return torch.where(top > -torch.inf, top, 0.0)
''',
    "deviation": '''
def deviation(rows, index, size):
    """Standard deviation of each group, 0 where the variance is at most 1e-5: [M, w] -> [size, w]."""
    variance = mean((rows - mean(rows, index, size)[index]).square(), index, size)
    return torch.where(variance > 1e-5, variance.clamp(min=1e-5).sqrt(), 0.0)
''',
    "softmax_sum": '''
def softmax_sum(rows, index, size):
    """Sum of each group weighted by the softmax of its own values: [M, w] -> [size, w]."""
    powers = (rows - largest(rows, index, size)[index]).exp()
    norm = total(powers, index, size)
    return total(powers * rows, index, size) / torch.where(norm > 0, norm, 1.0)
''',
    **poolings.POOLINGS,
    "GraphNorm": '''
class GraphNorm(nn.Module):
    """Each channel normalised over all rows, less a learned share of its mean: [M, w] -> [M, w]."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.mean_scale = nn.Parameter(torch.ones(width))

    def forward(self, rows):
        count = torch.ones_like(rows).sum(dim=0, keepdim=True).clamp(min=1)
        centred = rows - rows.sum(dim=0, keepdim=True) / count * self.mean_scale
        variance = centred.square().sum(dim=0, keepdim=True) / count
        return self.weight * centred / (variance + 1e-5).sqrt() + self.bias
''',
}
"""Text of each function, in the order in which they are written."""
FLAT = {
    "total": '''
def total(rows, index, size):
    """Sum of the rows of each group: [M, w] -> [size, w]. index [M]: the group of each row."""
    width = rows.shape[1]
    places = index.unsqueeze(1) * width + torch.arange(width)
    zeros = rows.new_zeros(size * width)
    return zeros.scatter_add(0, places.flatten(), rows.flatten()).view(size, width)
''',
    "largest": '''
def largest(rows, index, size):
    """Largest value of each group and channel, 0 for an empty one: [M, w] -> [size, w]."""
    width = rows.shape[1]
    places = index.unsqueeze(1) * width + torch.arange(width)
    low = rows.new_full((size * width,), -torch.inf)
    top = low.scatter_reduce(0, places.flatten(), rows.flatten(), "amax").view(size, width)
    return torch.where(top > -torch.inf, top, 0.0)
''',
}
"""Functions of the same names and values, with all numbers in one row: the form in which ONNX scatters quickly.

onnxruntime goes from number to number, at a cost that grows with the number of dimensions: along the rows of a matrix
it takes three times as long. ScatterND, which takes whole rows, loses messages where several threads add up
(`findings/scatter_nd_threads.sh`).
"""
REDUCE = {"sum": "total", "mean": "mean", "max": "largest", "std": "deviation", "softmax": "softmax_sum"}
"""The function for each `reduce` of a block."""


def called(texts: Iterable[str], known: Mapping[str, str]) -> frozenset[str]:
    """Names of the functions and classes among `known` that some code calls, directly or from within one of them.

    Parameters
    ----------
    known
        Text of each function or class, by name.

    >>> sorted(called(["x0 = softmax_sum(x, end, nodes)"], HELPERS))
    ['largest', 'softmax_sum', 'total']
    """
    names: set[str] = set()
    waiting = list(texts)
    while waiting:
        # A name in front of brackets that isn't an attribute. The definition of a helper matches itself: no harm.
        fresh = set(re.findall(r"(?<![\w.])\w+(?=\()", waiting.pop())) & known.keys() - names
        names |= fresh
        waiting += [known[name] for name in fresh]
    return frozenset(names)
