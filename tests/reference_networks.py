"""Four networks of the literature as ordinary torch modules, and the computation graphs that stand for them.

The modules are written the plain way: end points gathered and concatenated, `index_add` for sums, no layer moved.
`load_weights` gives them the weights of a compiled model, so that the two must agree.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import BackEdge, DataType, Step

HIDDEN, TARGET = Width.of("hidden"), Width.of("target")
HITS = DataType("hits", "node", Width.of("hits"), "x")
DOUBLET = DataType("doublet", "edge", Width.of("doublet"), "edge_attr")


class PlainMLP(nn.Module):
    """Linear, LayerNorm, activation, …; the last layer has a norm only if it has an activation."""

    def __init__(self, first: int, *widths: int, activation: str = "relu", last: str = "none") -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise([first, *widths]))
        self.kinds = [activation] * (len(widths) - 1) + [last]
        normed = zip(widths, self.kinds, strict=True)
        self.norms = nn.ModuleList(nn.Identity() if kind == "none" else nn.LayerNorm(w) for w, kind in normed)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm, kind in zip(self.layers, self.norms, self.kinds, strict=True):
            x = norm(layer(x))
            x = x if kind == "none" else getattr(torch, kind)(x)
        return x


def incoming(values: Tensor, index: Tensor, nodes: int) -> Tensor:
    """Sum the rows of each node."""
    return torch.zeros(nodes, values.shape[1], dtype=values.dtype, device=values.device).index_add(0, index, values)


class MessagePassing(nn.Module):
    """Plain message passing: node features from the sum of the neighbours' messages."""

    def __init__(self, hidden: int, iterations: int, hits: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.encode = PlainMLP(hits, hidden, last="tanh")
        self.message = PlainMLP(2 * hidden, hidden, hidden)
        self.update = PlainMLP(2 * hidden, hidden, hidden)
        self.edge_net = PlainMLP(2 * hidden, hidden, 1)

    def forward(self, data) -> Tensor:
        src, dst = data.edge_index
        x = self.encode(data.x)
        for _ in range(self.iterations):
            message = self.message(torch.cat([x[src], x[dst]], 1))
            x = self.update(torch.cat([x, incoming(message, dst, len(x))], 1))
        return self.edge_net(torch.cat([x[src], x[dst]], 1)).squeeze(1)


class Attention(nn.Module):
    """The talk's attention GNN; recursive with one set of weights, else with as many as there are rounds."""

    def __init__(self, hidden: int, iterations: int, hits: int, recursive: bool) -> None:
        super().__init__()
        self.iterations = iterations
        self.encode = PlainMLP(hits, hidden, last="tanh")
        deep = [hidden] * 4
        wide = hidden + hits
        sets = 1 if recursive else iterations
        edge_sets = 1 if recursive else iterations + 1
        self.edge_net = nn.ModuleList(PlainMLP(2 * wide, *deep[:3], 1, activation="tanh") for _ in range(edge_sets))
        self.attend = nn.ModuleList(PlainMLP(3 * wide, *deep, activation="tanh", last="tanh") for _ in range(sets))

    def forward(self, data) -> Tensor:
        src, dst = data.edge_index
        x = torch.cat([self.encode(data.x), data.x], 1)
        for turn in range(self.iterations):
            logits = self.edge_net[min(turn, len(self.edge_net) - 1)](torch.cat([x[src], x[dst]], 1))
            weights = torch.sigmoid(logits)
            received = incoming(weights * x[src], dst, len(x))
            sent = incoming(weights * x[dst], src, len(x))
            h = self.attend[min(turn, len(self.attend) - 1)](torch.cat([received, sent, x], 1))
            x = torch.cat([h, data.x], 1)
        return self.edge_net[-1](torch.cat([x[src], x[dst]], 1)).squeeze(1)


class Interaction(nn.Module):
    """Edge and node updates in turn. Source: Battaglia et al., "Relational inductive biases" (2018)."""

    def __init__(self, hidden: int, iterations: int, hits: int, doublet: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.encode = PlainMLP(hits, hidden, last="relu")
        self.encode_edge = PlainMLP(doublet, hidden, last="relu")
        self.edge_update = PlainMLP(3 * hidden, hidden, hidden)
        self.node_update = PlainMLP(2 * hidden, hidden, hidden)
        self.edge_net = PlainMLP(3 * hidden, hidden, 1)

    def forward(self, data) -> Tensor:
        src, dst = data.edge_index
        x, e = self.encode(data.x), self.encode_edge(data.edge_attr)
        for _ in range(self.iterations):
            e = self.edge_update(torch.cat([x[src], x[dst], e], 1))
            x = self.node_update(torch.cat([x, incoming(e, dst, len(x))], 1))
        return self.edge_net(torch.cat([x[src], x[dst], e], 1)).squeeze(1)


def mlp(name: str, inputs: tuple[int, ...], output: str, layers: int, per_pass: bool = False, **params) -> Step:
    """A step of block mlp."""
    return Step(name, "mlp", inputs, output, tuple(sorted({"layers": layers, **params}.items())), name, per_pass)


def attend(inputs: tuple[int, ...], per_pass: bool = False) -> Step:
    """The attention step of the talk: four layers, tanh also after the last."""
    params = (("activation", "tanh"), ("layers", 4), ("output_activation", "tanh"))
    return Step("attend", "attention", inputs, "x", params, "attend", per_pass)


def message_passing_graph(iterations: int) -> ComputationGraph:
    """The graph of `MessagePassing`."""
    types = (HITS, DataType("x", "node", HIDDEN), DataType("m", "edge", HIDDEN), DataType("a", "node", HIDDEN),
             DataType("score", "edge", TARGET))  # fmt: skip
    steps = (
        mlp("encode", (0,), "x", 1, output_activation="tanh"),  # 1
        mlp("message", (1,), "m", 2),  # 2
        Step("sum", "aggregate", (2,), "a"),  # 3
        mlp("update", (1, 3), "x", 2),  # 4
        mlp("edge_net", (1,), "score", 2),  # 5
    )
    return ComputationGraph(types, ("hits",), steps, (BackEdge(4, 1, iterations),), (5,))


def attention_graph(iterations: int, recursive: bool = True) -> ComputationGraph:
    """The graph of `Attention`."""
    types = (HITS, DataType("x", "node", HIDDEN), DataType("xs", "node", HIDDEN + Width.of("hits")),
             DataType("score", "edge", TARGET))  # fmt: skip
    steps = (
        mlp("encode", (0,), "x", 1, output_activation="tanh"),  # 1
        Step("shortcut", "concat", (1, 0), "xs"),  # 2
        mlp("edge_net", (2,), "score", 4, not recursive, activation="tanh"),  # 3
        attend((2, 3), not recursive),  # 4
    )
    return ComputationGraph(types, ("hits",), steps, (BackEdge(4, 1, iterations),), (3,))


def interaction_graph(iterations: int) -> ComputationGraph:
    """The graph of `Interaction`."""
    types = (HITS, DOUBLET, DataType("x", "node", HIDDEN), DataType("e", "edge", HIDDEN),
             DataType("a", "node", HIDDEN), DataType("score", "edge", TARGET))  # fmt: skip
    steps = (
        mlp("encode", (0,), "x", 1, output_activation="relu"),  # 2
        mlp("encode_edge", (1,), "e", 1, output_activation="relu"),  # 3
        mlp("edge_update", (2, 3), "e", 2),  # 4
        Step("sum", "aggregate", (4,), "a"),  # 5
        mlp("node_update", (2, 5), "x", 2),  # 6
        mlp("edge_net", (2, 3), "score", 2),  # 7
    )
    edges = (BackEdge(6, 2, iterations), BackEdge(4, 3, iterations))
    return ComputationGraph(types, ("hits", "doublet"), steps, edges, (7,))


def reference(name: str, hidden: int = 8, iterations: int = 3) -> tuple[ComputationGraph, nn.Module]:
    """A graph and its plain module, for 3 hit and 5 doublet features."""
    return {
        "message_passing": lambda: (
            message_passing_graph(iterations), MessagePassing(hidden, iterations, 3)
        ),
        "attention": lambda: (
            attention_graph(iterations, False), Attention(hidden, iterations, 3, False)
        ),
        "recursive_attention": lambda: (
            attention_graph(iterations), Attention(hidden, iterations, 3, True)
        ),
        "interaction": lambda: (
            interaction_graph(iterations), Interaction(hidden, iterations, 3, 5)
        ),
    }[name]()  # fmt: skip


NAMES = ("message_passing", "attention", "recursive_attention", "interaction")


def load_weights(plain: nn.Module, compiled: nn.Module) -> None:
    """Give a plain module the weights of a compiled one: the names are the same but for a lone set of a list."""
    state = {}
    for name, tensor in compiled.state_dict().items():
        head, _, rest = name.partition(".")
        lone = isinstance(getattr(plain, head), nn.ModuleList) and not rest[0].isdigit()
        state[f"{head}.0.{rest}" if lone else name] = tensor
    plain.load_state_dict(state)
