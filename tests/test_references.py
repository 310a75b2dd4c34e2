"""The bundled reference architectures against networks that a person would write by hand, with the same weights."""

import pytest
import torch
from reference_networks import PlainMLP, incoming
from torch import Tensor, nn
from torch_geometric.data import Data

from archioptrx.graphs.architecture import Architecture
from archioptrx.networks.compile import compile_model

WIDTHS = {"hits": 3, "doublet": 5}


def both(values: Tensor, src: Tensor, dst: Tensor, nodes: int) -> Tensor:
    """Sums over arriving and over leaving edges, side by side."""
    return torch.cat([incoming(values, dst, nodes), incoming(values, src, nodes)], 1)


class MessagePassing(nn.Module):
    """Two rounds of messages from both hits of each doublet, each with weights of its own; hits stay in reach."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.ModuleList([PlainMLP(3, 32, last="relu")])
        self.send = nn.ModuleList(PlainMLP(2 * 35, 32, 32) for _ in range(2))
        self.update = nn.ModuleList(PlainMLP(35 + 64, 32, 32, last="relu") for _ in range(2))
        self.edge_net = nn.ModuleList([PlainMLP(2 * 35, 32, 1)])

    def forward(self, data: Data) -> Tensor:
        src, dst = data.edge_index
        xs = torch.cat([self.encode[0](data.x), data.x], 1)
        for send, update in zip(self.send, self.update, strict=True):
            messages = both(send(torch.cat([xs[src], xs[dst]], 1)), src, dst, len(xs))
            xs = torch.cat([update(torch.cat([xs, messages], 1)), data.x], 1)
        return self.edge_net[0](torch.cat([xs[src], xs[dst]], 1)).squeeze(1)


class Attention(nn.Module):
    """Edge scores weight the sums over neighbours. One edge network; node networks by round, or one for all."""

    def __init__(self, rounds: int, recursive: bool) -> None:
        super().__init__()
        self.rounds = rounds
        self.encode = nn.ModuleList([PlainMLP(3, 64, last="tanh")])
        edge_net = PlainMLP(2 * 67, 64, 64, 64, 1, activation="tanh")
        # Where several steps share its weights they go by the function's name, a lone step or not.
        self.edge_net = edge_net
        self.attend = nn.ModuleList(
            PlainMLP(3 * 67, 64, 64, 64, 64, activation="tanh", last="tanh") for _ in range(1 if recursive else rounds)
        )

    def forward(self, data: Data) -> Tensor:
        src, dst = data.edge_index
        x = self.encode[0](data.x)
        for turn in range(self.rounds):
            xs = torch.cat([x, data.x], 1)
            score = torch.sigmoid(self.edge_net(torch.cat([xs[src], xs[dst]], 1)))
            arriving, leaving = incoming(score * xs[src], dst, len(x)), incoming(score * xs[dst], src, len(x))
            x = self.attend[min(turn, len(self.attend) - 1)](torch.cat([arriving, leaving, xs], 1))
        xs = torch.cat([x, data.x], 1)
        return self.edge_net(torch.cat([xs[src], xs[dst]], 1)).squeeze(1)


class Interaction(nn.Module):
    """Doublets and hits updated in turn, twice, each time with weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.ModuleList([PlainMLP(3, 32, last="relu")])
        self.encode_edge = nn.ModuleList([PlainMLP(5, 32, last="relu")])
        self.edge_update = nn.ModuleList(PlainMLP(3 * 32, 32, 32, last="relu") for _ in range(2))
        self.node_update = nn.ModuleList(PlainMLP(3 * 32, 32, 32, last="relu") for _ in range(2))
        self.classify = nn.ModuleList([PlainMLP(3 * 32, 32, 1)])

    def forward(self, data: Data) -> Tensor:
        src, dst = data.edge_index
        x, e = self.encode[0](data.x), self.encode_edge[0](data.edge_attr)
        for edge_update, node_update in zip(self.edge_update, self.node_update, strict=True):
            e = edge_update(torch.cat([x[src], x[dst], e], 1))
            x = node_update(torch.cat([x, both(e, src, dst, len(x))], 1))
        return self.classify[0](torch.cat([e, x[src], x[dst]], 1)).squeeze(1)


PLAIN = {
    "message_passing": MessagePassing,
    "attention": lambda: Attention(2, recursive=False),
    "attention_recursive": lambda: Attention(4, recursive=True),
    "interaction": Interaction,
}


def hits(dtype: torch.dtype) -> Data:
    """Hits and doublets of which many meet in one hit, in no order."""
    generator = torch.Generator().manual_seed(7)
    return Data(
        x=torch.randn(60, 3, generator=generator, dtype=dtype),
        edge_index=torch.randint(0, 60, (2, 400), generator=generator),
        edge_attr=torch.randn(400, 5, generator=generator, dtype=dtype),
    )


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_a_reference_is_the_network_written_by_hand(name):
    """In double precision, where rounding can't hide a difference: outputs and gradients to 1e-5 and far below."""
    torch.manual_seed(1)
    architecture = Architecture.load(name)
    model = compile_model(architecture.graph, architecture.hyperparameters, WIDTHS).double()
    plain = PLAIN[name]().double()
    plain.load_state_dict(model.state_dict())  # the names are the same, none is missing or left over
    data = hits(torch.float64)
    ours, theirs = model(data), plain(data)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    probe = torch.randn(len(ours), dtype=torch.float64)
    (ours * probe).sum().backward()
    (theirs * probe).sum().backward()
    written = dict(plain.named_parameters())
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, written[key].grad, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_a_reference_scores_the_same_in_single_precision(name):
    torch.manual_seed(1)
    architecture = Architecture.load(name)
    model = compile_model(architecture.graph, architecture.hyperparameters, WIDTHS)
    plain = PLAIN[name]()
    plain.load_state_dict(model.state_dict())
    data = hits(torch.float32)
    torch.testing.assert_close(model(data), plain(data), rtol=1e-5, atol=1e-5)
