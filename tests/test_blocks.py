"""Each building block against a plain formula, values and gradients, in float64; edges in any order."""

import itertools

import pytest
import strategies
import torch
import torch.nn.functional as F
from comparison import agree
from own_blocks import own_blocks
from torch import Tensor, nn
from torch_geometric.data import Data

from archioptrx.core.errors import GraphError, InputError
from archioptrx.graphs.signatures import BUNDLED, SIGNATURES, Parameter, Signature, Width
from archioptrx.networks.blocks import BLOCKS, ForwardPass, Shape, Topology, Value, apply, block, build
from archioptrx.networks.blocks.segments import REDUCE
from archioptrx.networks.blocks.value import Piece

NODES, EDGES, TRIPLETS, GRAPHS = 9, 23, 31, 3
ROWS = {"node": NODES, "edge": EDGES, "triplet": TRIPLETS, "graph": GRAPHS}


@pytest.fixture
def data() -> Data:
    """Three graphs in a batch; unsorted edges, some twice, some loops, a last node without any."""
    generator = torch.Generator().manual_seed(1)
    return Data(
        x=torch.zeros(NODES, 1),
        edge_index=torch.randint(0, NODES - 1, (2, EDGES), generator=generator),
        triplet_index=torch.randint(0, EDGES, (2, TRIPLETS), generator=generator),
        batch=torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2]),
    )


def rows(domain: str, width: int, seed: int = 0) -> Tensor:
    """Random values of a domain."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(ROWS[domain], width, generator=generator, dtype=torch.float64).requires_grad_()


def lifted(x: Tensor, domain: str, output: str, data: Data) -> Tensor:
    """What an mlp's concatenation holds for an input, built the plain way."""
    src, dst = data.edge_index
    first, second = data.triplet_index
    if domain == output:
        return x
    if domain == "graph":
        edge = data.batch[src]
        return x[{"node": data.batch, "edge": edge, "triplet": edge[first]}[output]]
    if domain == "node" and output == "edge":
        return torch.cat([x[src], x[dst]], 1)
    if domain == "edge":
        return torch.cat([x[first], x[second]], 1)
    return torch.cat([x[src[first]], x[dst[first]], x[src[second]], x[dst[second]]], 1)


def plain_mlp(module: nn.Module, x: Tensor, kind: str, last: str) -> Tensor:
    """The layers of a module applied to a concatenation."""
    kinds = [kind] * (len(module.layers) - 1) + [last]
    for layer, norm, act in zip(module.layers, module.norms, kinds, strict=True):
        x = norm(F.linear(x, layer.weight, layer.bias))
        x = x if act == "none" else getattr(torch, act)(x)
    return x


def call(module: nn.Module, inputs: list[Tensor], data: Data, pending: bool = False) -> Tensor:
    """Run a block on plain tensors."""
    return apply(module, [Value.of(x) for x in inputs], ForwardPass(Topology(data)), pending).tensor()


LEGAL = [
    (domains, output)
    for output in ROWS
    for count in (1, 2)
    for domains in itertools.product(ROWS, repeat=count)
    if SIGNATURES["mlp"].accepts(domains, output) is None
]


@pytest.mark.parametrize(("domains", "output"), LEGAL, ids=lambda v: v if isinstance(v, str) else "+".join(v))
def test_mlp_equals_the_layers_on_the_concatenation(domains, output, data):
    inputs = [rows(domain, 2 + i, seed=i) for i, domain in enumerate(domains)]
    shapes = [Shape(domain, x.shape[1]) for domain, x in zip(domains, inputs, strict=True)]
    module = build("mlp", shapes, Shape(output, 5), {"layers": 2, "hidden": 4}).double()
    plain = torch.cat([lifted(x, domain, output, data) for domain, x in zip(domains, inputs, strict=True)], 1)
    agree(call(module, inputs, data), plain_mlp(module, plain, "relu", "none"), *inputs, *module.parameters())


@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
@pytest.mark.parametrize("last", ["none", "tanh"])
@pytest.mark.parametrize("kind", ["relu", "tanh", "sigmoid", "none"])
@pytest.mark.parametrize("layers", [1, 3])
def test_mlp_norm_stands_before_each_activation(layers, kind, last, norm, data):
    x = rows("node", 3)
    params = {"layers": layers, "hidden": 4, "activation": kind, "norm": norm, "output_activation": last}
    module = build("mlp", [Shape("node", 3)], Shape("node", 5), params).double()
    for place, layer in enumerate(module.norms):
        activated = (kind if place < layers - 1 else last) != "none"
        expected = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d, "none": nn.Identity}[norm if activated else "none"]
        assert isinstance(layer, expected)
    agree(call(module, [x], data), plain_mlp(module, x, kind, last), x, *module.parameters())


@pytest.mark.parametrize("kind", ["relu", "tanh", "gelu", "silu", "elu", "leaky_relu", "sigmoid"])
def test_every_activation_of_the_signature_runs(kind, data):
    x = rows("node", 3)
    module = build("mlp", [Shape("node", 3)], Shape("node", 2), {"layers": 2, "hidden": 4, "activation": kind}).double()
    plain = module.norms[0](F.linear(x, module.layers[0].weight, module.layers[0].bias))
    act = getattr(F, kind)
    agree(call(module, [x], data), F.linear(act(plain), module.layers[1].weight, module.layers[1].bias), x)


def test_mlp_starts_from_the_distribution_of_a_linear_layer_on_the_whole():
    torch.manual_seed(3)
    module = build("mlp", [Shape("node", 20), Shape("edge", 10)], Shape("edge", 7), {"layers": 1})
    torch.manual_seed(3)
    plain = nn.Linear(50, 7)
    assert torch.equal(module.layers[0].weight, plain.weight)
    assert torch.equal(module.layers[0].bias, plain.bias)


def test_dropout_acts_in_training_only(data):
    x = rows("node", 3)
    params = {"layers": 2, "hidden": 64, "dropout": 0.5}
    module = build("mlp", [Shape("node", 3)], Shape("node", 2), params).double()
    torch.manual_seed(0)
    assert not torch.equal(call(module, [x], data), call(module, [x], data))
    module.eval()
    assert torch.equal(call(module, [x], data), call(module, [x], data))


def test_pending_layer_runs_after_sums_and_joins_the_next_layer(data):
    x = rows("edge", 3)
    run = ForwardPass(Topology(data))
    net = build("mlp", [Shape("edge", 3)], Shape("edge", 5), {"layers": 2, "hidden": 4}).double()
    total = build("aggregate", [Shape("edge", 5)], Shape("node", 10), {"reduce": "sum", "direction": "both"})
    average = build("aggregate", [Shape("edge", 5)], Shape("node", 5), {"reduce": "mean"})
    join = build("concat", [Shape("node", 10), Shape("node", 5)], Shape("node", 15), {})
    after = build("mlp", [Shape("node", 15)], Shape("edge", 2), {"layers": 1}).double()
    results = []
    for pending in (True, False):
        value = apply(net, [Value.of(x)], run, pending)
        assert (value.pieces[0].weight is not None) == pending
        joined = apply(join, [apply(total, [value], run), apply(average, [value], run)], run)
        results.append(torch.cat([apply(after, [joined], run).tensor(), joined.tensor()[data.edge_index[0]]], 1))
    agree(*results, x, *net.parameters(), *after.parameters())


def plain_reduce(x: Tensor, index: Tensor, size: int, reduce: str) -> Tensor:
    """One group after the other."""
    reduced = []
    for group in range(size):
        part = x[index == group]
        if not len(part):
            reduced.append(x.new_zeros(x.shape[1]))
        elif reduce == "std":
            variance = part.var(0, unbiased=False)
            reduced.append(torch.where(variance > 1e-5, variance.clamp(min=1e-5).sqrt(), 0))
        elif reduce == "softmax":
            reduced.append((part.softmax(0) * part).sum(0))
        elif reduce == "max":
            reduced.append(part.amax(0))
        else:
            reduced.append(getattr(part, reduce)(0))
    return torch.stack(reduced)


@pytest.mark.parametrize("direction", ["in", "out", "both"])
@pytest.mark.parametrize("reduce", list(REDUCE))
@pytest.mark.parametrize(("upper", "lower"), [("edge", "node"), ("triplet", "edge")])
def test_aggregate(upper, lower, reduce, direction, data):
    x = rows(upper, 3)
    index = data.edge_index if upper == "edge" else data.triplet_index
    width = 6 if direction == "both" else 3
    module = build("aggregate", [Shape(upper, 3)], Shape(lower, width), {"reduce": reduce, "direction": direction})
    sides = {"in": [1], "out": [0], "both": [1, 0]}[direction]
    plain = torch.cat([plain_reduce(x, index[side], ROWS[lower], reduce) for side in sides], 1)
    agree(call(module, [x], data), plain, x)


@pytest.mark.parametrize("logit_width", [1, 3])
@pytest.mark.parametrize(("lower", "upper"), [("node", "edge"), ("edge", "triplet")])
def test_attention(lower, upper, logit_width, data):
    x, logits = rows(lower, 3), rows(upper, logit_width, seed=1)
    params = {"layers": 2, "hidden": 4, "activation": "tanh", "output_activation": "tanh"}
    module = build("attention", [Shape(lower, 3), Shape(upper, logit_width)], Shape(lower, 5), params).double()
    src, dst = data.edge_index if upper == "edge" else data.triplet_index
    weights = logits.sigmoid()
    received = x.new_zeros(x.shape).index_add(0, dst, weights * x[src])
    sent = x.new_zeros(x.shape).index_add(0, src, weights * x[dst])
    plain = plain_mlp(module, torch.cat([received, sent, x], 1), "tanh", "tanh")
    agree(call(module, [x, logits], data), plain, x, logits, *module.parameters())


def test_attention_reads_a_concat_in_pieces(data):
    x, y, logits = rows("node", 3), rows("node", 2, seed=2), rows("edge", 1, seed=1)
    module = build("attention", [Shape("node", 5), Shape("edge", 1)], Shape("node", 4), {"layers": 1}).double()
    joined = Value((Piece(x), Piece(y)))
    fast = apply(module, [joined, Value.of(logits)], ForwardPass(Topology(data))).tensor()
    agree(fast, call(module, [torch.cat([x, y], 1), logits], data), x, y, logits)


def test_attention_refuses_logits_of_another_width():
    with pytest.raises(GraphError, match="logits of width 2 don't fit values of width 3; allowed: 1, 3"):
        build("attention", [Shape("node", 3), Shape("edge", 2)], Shape("node", 3), {})


def test_gru_is_that_of_torch(data):
    x, state = rows("node", 3), rows("node", 4, seed=1)
    module = build("gru", [Shape("node", 3), Shape("node", 4)], Shape("node", 4), {}).double()
    plain = nn.GRUCell(3, 4).double()
    plain.load_state_dict(module.state_dict())
    agree(call(module, [x, state], data), plain(x, state), x, state)


@pytest.mark.parametrize(("weights", "width"), [("row", 1), ("channel", 3)])
def test_a_gate_weighs_messages_by_a_linear_layer(data, weights, width):
    e, x = rows("edge", 3), rows("node", 2)
    module = build("gate", [Shape("edge", 3), Shape("node", 2)], Shape("edge", 3), {"weights": weights}).double()
    plain = nn.Linear(3 + 2 + 2, width).double()
    plain.load_state_dict({name.removeprefix("weigh."): value for name, value in module.state_dict().items()})
    start, end = data.edge_index
    by_hand = e * plain(torch.cat([e, x[start], x[end]], 1)).sigmoid()
    agree(call(module, [e, x], data), by_hand, e, x)


@pytest.mark.parametrize("domain", list(ROWS))
def test_blocks_without_weights(domain, data):
    x, y = rows(domain, 3), rows(domain, 3, seed=1)
    shapes = [Shape(domain, 3)] * 2
    agree(call(build("concat", shapes, Shape(domain, 6), {}), [x, y], data), torch.cat([x, y], 1), x, y)
    agree(call(build("add", shapes, Shape(domain, 3), {}), [x, y], data), x + y, x, y)
    agree(call(build("mean", shapes, Shape(domain, 3), {}), [x, y], data), (x + y) / 2, x, y)
    agree(call(build("identity", shapes[:1], Shape(domain, 3), {}), [x], data), x, x)


@pytest.mark.parametrize("domain", list(ROWS))
def test_layer_and_batch_norm(domain, data):
    x = rows(domain, 3)
    for kind, plain in (("layer", nn.LayerNorm(3).double()), ("batch", nn.BatchNorm1d(3).double())):
        module = build("norm", [Shape(domain, 3)], Shape(domain, 3), {"kind": kind}).double()
        agree(call(module, [x], data), plain(x), x)


def graph_of(domain: str, data: Data) -> Tensor:
    """The graph of each row."""
    edge = data.batch[data.edge_index[0]]
    return {"node": data.batch, "edge": edge, "triplet": edge[data.triplet_index[0]]}[domain]


@pytest.mark.parametrize("domain", ["node", "edge", "triplet"])
def test_graph_norm(domain, data):
    x, graph = rows(domain, 3), graph_of(domain, data)
    module = build("norm", [Shape(domain, 3)], Shape(domain, 3), {"kind": "graph"}).double()
    nn.init.uniform_(module.layer.mean_scale)
    parts = torch.empty_like(x)
    for g in range(GRAPHS):
        part = x[graph == g]
        centred = part - module.layer.mean_scale * part.mean(0)
        parts = parts.index_put(((graph == g).nonzero()[:, 0],), centred / (centred.square().mean(0) + 1e-5).sqrt())
    plain = module.layer.weight * parts + module.layer.bias
    agree(call(module, [x], data), plain, x, *module.parameters())


def test_batch_norm_of_a_single_row_uses_the_running_averages():
    module = build("norm", [Shape("node", 3)], Shape("node", 3), {"kind": "batch"})
    x = torch.tensor([[1.0, 2.0, 3.0]])
    data = Data(x=x, edge_index=torch.zeros(2, 0, dtype=torch.int64))
    torch.testing.assert_close(call(module, [x], data), x, atol=1e-4, rtol=0)


@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
@pytest.mark.parametrize("domain", ["node", "edge", "triplet"])
def test_readout_and_broadcast(domain, reduce, data):
    x, graph = rows(domain, 3), graph_of(domain, data)
    module = build("readout", [Shape(domain, 3)], Shape("graph", 3), {"reduce": reduce})
    agree(call(module, [x], data), plain_reduce(x, graph, GRAPHS, reduce), x)
    shared = rows("graph", 2)
    agree(call(build("broadcast", [Shape("graph", 2)], Shape(domain, 2), {}), [shared], data), shared[graph], shared)


def test_pyg_is_the_convolution_itself(data):
    from torch_geometric.nn import GCNConv

    x = rows("node", 3)
    module = build("pyg", [Shape("node", 3)], Shape("node", 4), {"conv": "GCNConv", "direction": "in"}).double()
    plain = GCNConv(3, 4).double()
    plain.load_state_dict(module.conv.state_dict())
    agree(call(module, [x], data), plain(x, data.edge_index), x)


def test_pyg_takes_edge_features_heads_and_arguments(data):
    from torch_geometric.nn import GATv2Conv

    x, edges = rows("node", 3), rows("edge", 2)
    params = {"conv": "GATv2Conv", "arguments": {"heads": 2, "add_self_loops": False}, "direction": "in"}
    module = build("pyg", [Shape("node", 3), Shape("edge", 2)], Shape("node", 4), params).double()
    plain = GATv2Conv(3, 2, heads=2, edge_dim=2, add_self_loops=False).double()
    plain.load_state_dict(module.conv.state_dict())
    agree(call(module, [x, edges], data), plain(x, data.edge_index, edges), x, edges)
    params = {"conv": "GraphConv", "direction": "in", "edge_activation": "none"}
    weighted = build("pyg", [Shape("node", 3), Shape("edge", 1)], Shape("node", 4), params).double()
    edge = rows("edge", 1)
    agree(call(weighted, [x, edge], data), weighted.conv(x, data.edge_index, edge[:, 0]), x, edge)


@pytest.mark.parametrize(
    ("conv", "arguments", "edges", "message"),
    [
        ("GATConvv", {}, 0, r"no convolution of torch_geometric.nn; allowed: .*did you mean GATConv\?"),
        ("SAGEConv", {}, 2, "SAGEConv takes no edge input; allowed: hits alone"),
        ("GCNConv", {}, 2, "GCNConv takes a weight of width 1 for each edge, not 2; allowed: an edge input"),
        ("GATConv", {"heads": 3}, 0, "can't divide its width 4 into 3 equal parts"),
        ("GCNConv", {"colour": 1}, 0, "colour: is no argument; allowed: add_self_loops"),
        ("GATConv", {"heads": "two"}, 0, "heads: is 'two'; allowed: a whole number from 1"),
    ],
)
def test_pyg_says_what_is_wrong(conv, arguments, edges, message):
    inputs = [Shape("node", 3)] + [Shape("edge", edges)] * bool(edges)
    with pytest.raises(GraphError, match=message) as caught:
        build("pyg", inputs, Shape("node", 4), {"conv": conv, "arguments": arguments})
    assert len(str(caught.value).splitlines()) == 1


@own_blocks()
def test_a_users_block_gets_values_and_the_topology(data):
    signature = Signature(
        "test_degree", lambda domains, output: None, lambda widths, parameters: widths[0] + Width.of(1),
        (Parameter("start", (float,), 1.0),),
    )  # fmt: skip

    @block(signature)
    class Degree(nn.Module):
        def __init__(self, inputs, output, start=1.0):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(start))

        def forward(self, values, run):
            x = values[0].tensor()
            counts = run.topology.edges.end.counts.to(x.dtype)
            return torch.cat([self.factor * x, counts.unsqueeze(1)], 1)

    x = rows("node", 3)
    module = build("test_degree", [Shape("node", 3)], Shape("node", 4), {"start": 2.0})
    counts = torch.bincount(data.edge_index[1], minlength=NODES).unsqueeze(1).double()
    agree(call(module, [x], data), torch.cat([2 * x, counts], 1), x)
    assert Degree.signature is SIGNATURES["test_degree"]
    assert BLOCKS.own() == ["test_degree"]


def test_every_signature_has_a_module():
    assert {name: BLOCKS.get(name).signature for name in BLOCKS} == SIGNATURES == BUNDLED


def test_every_block_is_in_random_function_graphs():
    assert set(strategies.BLOCKS) | strategies.NOT_DRAWN == set(BUNDLED)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"edge_index": None}, "data.edge_index: is missing"),
        ({"edge_index": torch.zeros(3, 2, dtype=torch.int64)}, r"data.edge_index: \[3, 2\] torch.int64; allowed:"),
        ({"edge_index": torch.zeros(2, 2)}, r"allowed: \[2, number\] torch.int64"),
        ({"edge_index": torch.tensor([[0, 9], [1, 1]])}, r"index 9 is out of range; allowed: 0 … 8"),
        ({"edge_index": torch.tensor([[0, -1], [1, 1]])}, "index -1 is out of range"),
        ({"triplet_index": torch.tensor([[0], [99]])}, "data.triplet_index: index 99 is out of range"),
        ({"batch": torch.zeros(4, dtype=torch.int64)}, "data.batch: 4 entries for 9 nodes"),
    ],
)
def test_topology_names_what_is_wrong_with_the_data(fields, message, data):
    for name, value in fields.items():
        data[name] = value
    with pytest.raises(InputError, match=message):
        topology = Topology(data)
        topology.batch("triplet")
