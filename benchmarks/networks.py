"""The benchmarked networks twice: as computation graphs, and in the ordinary form that one writes with PyG."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import BackEdge, DataType, Step

HIDDEN, TARGET = Width.of("hidden"), Width.of("target")
HITS = DataType("hits", "node", Width.of("hits"), "x")
DOUBLET = DataType("doublet", "edge", Width.of("doublet"), "edge_attr")
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


class MLP(nn.Module):
    """Linear layers with LayerNorm and activation; the last one has them only if `last` says so."""

    def __init__(self, *widths: int, activation: str = "relu", last: str | None = None) -> None:
        super().__init__()
        kinds = [activation] * (len(widths) - 2) + [last]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        normed = zip(widths[1:], kinds, strict=True)
        self.norms = nn.ModuleList(nn.LayerNorm(w) if kind else nn.Identity() for w, kind in normed)
        self.acts = nn.ModuleList(ACTIVATIONS[k]() if k else nn.Identity() for k in kinds)

    def forward(self, x: Tensor) -> Tensor:
        """Apply all layers."""
        for layer, norm, act in zip(self.layers, self.norms, self.acts, strict=True):
            x = act(norm(layer(x)))
        return x


class Sum(MessagePassing):
    """PyG's sum of the messages that arrive."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, nodes: int, edge_index: Tensor, messages: Tensor) -> Tensor:
        """Sum: [E, w] -> [N, w]."""
        return self.propagate(edge_index, size=(nodes, nodes), messages=messages)

    def message(self, messages: Tensor) -> Tensor:
        """The message of an edge."""
        return messages


class Interaction(nn.Module):
    """An interaction network whose edge and node states both recur; `last` is the activation that ends an update."""

    last: str | None = None

    def __init__(self, width: int, rounds: int, hits: int, doublet: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.encode = MLP(hits, width, last="relu")
        self.encode_edge = MLP(doublet, width, last="relu")
        self.edge_update = MLP(3 * width, width, width, last=self.last)
        self.node_update = MLP(2 * width, width, width, last=self.last)
        self.edge_net = MLP(3 * width, width, 1)
        self.sum = Sum()

    def forward(self, data: Any) -> Tensor:
        """Edge logits [E]."""
        src, dst = data.edge_index
        x, e = self.encode(data.x), self.encode_edge(data.edge_attr)
        for _ in range(self.rounds):
            e = self.edge_update(torch.cat([x[src], x[dst], e], dim=1))
            x = self.node_update(torch.cat([x, self.sum(len(x), data.edge_index, e)], dim=1))
        return self.edge_net(torch.cat([x[src], x[dst], e], dim=1)).squeeze(1)


class ActivatedInteraction(Interaction):
    """Interaction network with LayerNorm and relu also after each update."""

    last = "relu"


class RecursiveAttention(nn.Module):
    """The recursive attention GNN with 43,713 parameters at width 64 and 3 features."""

    def __init__(self, width: int, rounds: int, hits: int, doublet: int) -> None:
        super().__init__()
        wide = width + hits
        self.rounds = rounds
        self.encode = MLP(hits, width, last="tanh")
        self.edge_net = MLP(2 * wide, width, width, width, 1, activation="tanh")
        self.attend = MLP(3 * wide, width, width, width, width, activation="tanh", last="tanh")

    def forward(self, data: Any) -> Tensor:
        """Edge logits [E]."""
        src, dst = data.edge_index
        x = torch.cat([self.encode(data.x), data.x], dim=1)
        for _ in range(self.rounds):
            weights = torch.sigmoid(self.edge_net(torch.cat([x[src], x[dst]], dim=1)))
            received = scatter(weights * x[src], dst, dim=0, dim_size=len(x), reduce="sum")
            sent = scatter(weights * x[dst], src, dim=0, dim_size=len(x), reduce="sum")
            x = torch.cat([self.attend(torch.cat([received, sent, x], dim=1)), data.x], dim=1)
        return self.edge_net(torch.cat([x[src], x[dst]], dim=1)).squeeze(1)


def _mlp(name: str, inputs: tuple[int, ...], output: str, layers: int, **params: str) -> Step:
    return Step(name, "mlp", inputs, output, tuple(sorted({"layers": layers, **params}.items())), name)


def interaction_graph(rounds: int, last: str = "none") -> ComputationGraph:
    """The computation graph of `Interaction`; `last` is the activation that ends an update."""
    types = (
        HITS,
        DOUBLET,
        DataType("x", "node", HIDDEN),
        DataType("e", "edge", HIDDEN),
        DataType("received", "node", HIDDEN),
        DataType("score", "edge", TARGET),
    )
    steps = (
        _mlp("encode", (0,), "x", 1, output_activation="relu"),
        _mlp("encode_edge", (1,), "e", 1, output_activation="relu"),
        _mlp("edge_update", (2, 3), "e", 2, output_activation=last),
        Step("sum", "aggregate", (4,), "received"),
        _mlp("node_update", (2, 5), "x", 2, output_activation=last),
        _mlp("edge_net", (2, 3), "score", 2),
    )
    edges = (BackEdge(6, 2, rounds), BackEdge(4, 3, rounds))
    return ComputationGraph(types, ("hits", "doublet"), steps, edges, (7,))


def recursive_attention_graph(rounds: int) -> ComputationGraph:
    """The computation graph of `RecursiveAttention`."""
    types = (
        HITS,
        DataType("x", "node", HIDDEN),
        DataType("xs", "node", HIDDEN + Width.of("hits")),
        DataType("score", "edge", TARGET),
    )
    params = (("activation", "tanh"), ("layers", 4), ("output_activation", "tanh"))
    steps = (
        _mlp("encode", (0,), "x", 1, output_activation="tanh"),
        Step("shortcut", "concat", (1, 0), "xs"),
        _mlp("edge_net", (2,), "score", 4, activation="tanh"),
        Step("attend", "attention", (2, 3), "x", params, "attend"),
    )
    return ComputationGraph(types, ("hits",), steps, (BackEdge(4, 1, rounds),), (3,))


NETWORKS = {
    "interaction": (interaction_graph, Interaction),
    "interaction, activated updates": (partial(interaction_graph, last="relu"), ActivatedInteraction),
    "recursive attention": (recursive_attention_graph, RecursiveAttention),
}
