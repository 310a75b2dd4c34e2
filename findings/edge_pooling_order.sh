#!/usr/bin/env bash
# torch_geometric's EdgePooling: is the pooled graph the same in whatever order the edges are listed?
#
# One would guess so: the edges of a graph are a set, and the layer picks them by learned scores. But the scores are a
# softmax over the edges that end in one node, plus 0.5: an edge that is the only one into its node has exactly 1.5,
# whatever has been learned. In graphs of tracks, where most hits have one edge from the layer before, most edges tie, and
# ties are broken by their place in memory. A chain of five nodes is contracted to other pairs, with other values, when
# its edges are listed the other way round.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 torch-geometric==2.8.1 numpy==2.4.6
"$folder/env/bin/python" - <<'PYTHON'
import torch
import torch_geometric
from torch_geometric.nn.pool import EdgePooling

print("torch", torch.__version__, "torch_geometric", torch_geometric.__version__)
torch.manual_seed(0)
x, layer, batch = torch.randn(5, 3), EdgePooling(3), torch.zeros(5, dtype=torch.int64)
edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])  # a chain: one edge into each node
pairs, sums = [], []
for order in (torch.arange(4), torch.arange(4).flip(0)):
    pooled, _, _, info = layer(x, edges[:, order], batch)
    clusters = info.cluster.tolist()
    pairs.append(sorted(sorted(n for n in range(5) if clusters[n] == c) for c in set(clusters)))
    sums.append(pooled.abs().sum().item())
    print("edges", edges[:, order].T.tolist(), "-> clusters", pairs[-1], "sum of |values|", round(sums[-1], 4))
assert pairs[0] != pairs[1] and abs(sums[0] - sums[1]) > 1e-3, "the order of the edges makes no difference any more"
PYTHON
