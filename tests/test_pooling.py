"""Pooling: a smaller graph and the way back."""

import random

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn.dense import dense_diff_pool
from torch_geometric.utils import to_dense_adj

from archioptrx.core.errors import InputError
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.networks.blocks import ForwardPass, Shape, Topology, Value, apply, build
from archioptrx.networks.blocks.value import Pooling
from archioptrx.networks.compile import compile_model
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

METHODS = ("topk", "edge", "diff")
WIDTHS = {"hits": 3, "doublet": 5}


def data(nodes: int = 14, edges: int = 40, seed: int = 0) -> Data:
    """A graph in double precision, for comparisons to rounding."""
    generator = torch.Generator().manual_seed(seed)
    return Data(
        x=torch.randn(nodes, 3, generator=generator, dtype=torch.float64),
        edge_index=torch.randint(0, nodes, (2, edges), generator=generator),
        edge_attr=torch.randn(edges, 5, generator=generator, dtype=torch.float64),
    )


def pool(method: str, width: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    parameters = {"method": method, "ratio": 0.6, "clusters": 4}
    return build("pool", [Shape("node", width)], Shape("pooled", width), parameters).double()


def pooled(module: nn.Module, batch: Data) -> Value:
    return apply(module, [Value.of(batch.x)], ForwardPass(Topology(batch)), pooled=True)


def unpooled(value: Value, batch: Data) -> torch.Tensor:
    return apply(build("unpool", [], Shape("node", 3), {}), [value], ForwardPass(Topology(batch))).tensor()


@pytest.mark.parametrize("method", ["topk", "edge"])
def test_the_learned_poolings_are_those_of_torch_geometric(method):
    graph, module = data(), pool(method)
    value = pooled(module, graph)
    theirs = module.layer(graph.x, graph.edge_index, batch=torch.zeros(14, dtype=torch.int64))
    assert torch.equal(value.tensor(), theirs[0])
    assert torch.equal(value.pooling.run.topology.edges.index, theirs[1])
    assert 0 < len(theirs[0]) < 14


def test_soft_clusters_are_those_of_torch_geometric():
    graph, module = data(), pool("diff")
    value = pooled(module, graph)
    dense = to_dense_adj(graph.edge_index)[0].double()
    x, links, _, _ = dense_diff_pool(graph.x, dense, module.layer(graph.x))
    torch.testing.assert_close(value.tensor(), x[0], rtol=0, atol=1e-12)
    edges = value.pooling.run.topology.edges.index
    assert torch.equal(edges, (links[0] > 0).nonzero().T)
    shares = module.layer(graph.x).softmax(1)
    torch.testing.assert_close(unpooled(value, graph), shares @ x[0], rtol=0, atol=1e-12)


def test_a_hit_that_topk_leaves_out_comes_back_as_zero():
    graph, module = data(), pool("topk")
    value = pooled(module, graph)
    back = unpooled(value, graph)
    kept = value.pooling.columns.index
    assert torch.equal(back[kept], value.tensor())
    left_out = torch.ones(14, dtype=torch.bool)
    left_out[kept] = False
    assert left_out.any()
    assert not back[left_out].any()


def test_contracted_hits_come_back_as_one():
    graph, module = data(), pool("edge")
    value = pooled(module, graph)
    back, rows = unpooled(value, graph), value.pooling.rows.index
    assert torch.equal(back, value.tensor()[rows])


@pytest.mark.parametrize("method", METHODS)
def test_graphs_of_a_batch_are_pooled_apart(method):
    graphs = [data(seed=1), data(nodes=9, edges=20, seed=2), data(nodes=1, edges=0, seed=3)]
    module, batch = pool(method), Batch.from_data_list(graphs)
    whole = pooled(module, batch)
    together = unpooled(whole, batch)
    singles = [unpooled(pooled(module, graph), graph) for graph in graphs]
    torch.testing.assert_close(together, torch.cat(singles), rtol=0, atol=1e-12)
    readout = build("readout", [Shape("pooled", 3)], Shape("graph", 3), {"reduce": "sum"})
    sums = [apply(readout, [pooled(module, g)], ForwardPass(Topology(g))).tensor() for g in graphs]
    summed = apply(readout, [whole], ForwardPass(Topology(batch))).tensor()
    torch.testing.assert_close(summed, torch.cat(sums), rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_hits_does_not_matter(method):
    graph, module = data(seed=5), pool(method)
    order = torch.randperm(14, generator=torch.Generator().manual_seed(1))
    place = torch.argsort(order)
    other = Data(x=graph.x[order], edge_index=place[graph.edge_index])
    torch.testing.assert_close(
        unpooled(pooled(module, other), other), unpooled(pooled(module, graph), graph)[order], rtol=0, atol=1e-12
    )


def test_a_value_of_another_pooling_comes_by_way_of_the_hits():
    graph = data(seed=4)
    first, second = pooled(pool("topk"), graph), pooled(pool("edge"), graph)
    add = build("add", [Shape("pooled", 3)] * 2, Shape("pooled", 3), {})
    result = apply(add, [first, second], ForwardPass(Topology(graph)), pooled=True)
    assert result.pooling is first.pooling
    moved = first.pooling.down(second.pooling.up(second.tensor()))
    torch.testing.assert_close(result.tensor(), first.tensor() + moved, rtol=0, atol=0)


def test_down_and_up_are_mirror_images():
    topology = Topology(data())
    rows, columns = torch.tensor([0, 1, 1, 0]), torch.tensor([3, 3, 5, 0])
    shares = torch.tensor([0.5, 2.0, 1.0, 0.25], dtype=torch.float64)
    pooling = Pooling(rows, columns, shares, torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2).long(), topology)
    matrix = torch.zeros(2, 14, dtype=torch.float64).index_put((rows, columns), shares)
    x = topology.data.x
    torch.testing.assert_close(pooling.down(x), matrix @ x, rtol=0, atol=1e-12)
    torch.testing.assert_close(pooling.up(x[:2]), matrix.T @ x[:2], rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_sampled_networks_with_poolings_learn_with_all_their_weights(seed):
    graph, space = FunctionGraph.load("pooling"), SearchSpace.load("small")
    walks = WalkSpace(graph, space)
    rng = random.Random(seed)
    while True:  # more than half of the walks pool
        found = walks(lambda point, labels, weights: rng.choices(range(len(labels)), weights)[0])
        if any(step.block == "pool" for step in found.graph.steps):
            break
    hyperparameters = {**found.hyperparameters, "hidden": 6, "activation": "tanh"}  # no dead units
    torch.manual_seed(seed)
    model = compile_model(found.graph, hyperparameters, WIDTHS).double()
    counted = count_parameters(found.graph, hyperparameters, WIDTHS)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert counted is None or counted == sum(p.numel() for p in trained)
    batch = Batch.from_data_list([data(seed=seed), data(nodes=9, edges=20, seed=seed + 50)])
    score = model(batch)
    assert score.shape == (60,)
    torch.autograd.backward(score.square().sum())
    assert not [name for name, p in model.named_parameters() if p.grad is None]


@pytest.mark.parametrize(
    ("functions", "fault"),
    [
        ("{f: {block: pool, inputs: [hits], output: score}}", "pool leads from node to pooled values only"),
        (
            "{f: {block: mlp, inputs: [hits], output: c}}",
            "mlp can't take node to pooled; allowed: pool and unpool lead",
        ),
        (
            "{f: {block: aggregate, inputs: [c], output: score}}",
            "aggregate can't take pooled to edge; allowed: pool and",
        ),
    ],
)
def test_wrong_ways_in_and_out_are_named(functions, fault):
    import yaml

    content = {
        "name": "wrong",
        "data": {
            "hits": {"domain": "node", "field": "x"},
            "c": {"domain": "pooled", "width": 4},
            "score": {"domain": "edge", "width": "target"},
        },
        "functions": yaml.safe_load(functions),
        "sources": ["hits"],
        "targets": ["score"],
    }
    with pytest.raises(InputError) as error:
        FunctionGraph.from_dict(content)
    assert any(fault in line for line in error.value.faults)


def test_no_data_set_has_pooled_nodes():
    content = FunctionGraph.load("pooling").to_dict()
    content["data"]["hits"]["domain"] = "pooled"
    with pytest.raises(InputError) as error:
        FunctionGraph.from_dict(content)
    assert any("data.hits.domain: is pooled; allowed for a source" in line for line in error.value.faults)
