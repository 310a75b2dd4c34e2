#!/usr/bin/env bash
# torch_geometric's GATConv with several aggregations: does it give one row for each node?
#
# A convolution hands its further arguments on to MessagePassing, whose `aggr` may be a list: the results of all
# aggregations are then side by side. One would expect wider rows, or an error where the class can't have that. But
# GATConv, GATv2Conv and SuperGATConv fold the wider result into twice as many rows of the old width: six nodes get twelve
# rows, without an error. Row i isn't node i any more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 torch-geometric==2.8.1 numpy==2.4.6
"$folder/env/bin/python" - <<'PYTHON'
import torch
import torch_geometric
from torch_geometric.nn import GATConv, GATv2Conv, SuperGATConv

print("torch", torch.__version__, "torch_geometric", torch_geometric.__version__)
torch.manual_seed(0)
x, edges = torch.randn(6, 4), torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]])
for kind in (GATConv, GATv2Conv, SuperGATConv):
    one, two = kind(4, 8, aggr="mean")(x, edges), kind(4, 8, aggr=["mean", "max"])(x, edges)
    print(kind.__name__, "of 6 nodes:", list(one.shape), "with one aggregation,", list(two.shape), "with two")
    assert one.shape == (6, 8) and two.shape == (12, 8), "the rows are those of the nodes now"
PYTHON
