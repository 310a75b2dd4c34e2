"""Pooling: a smaller graph and the way back."""

import random

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn.dense import dense_diff_pool
from torch_geometric.nn.pool import EdgePooling, TopKPooling
from torch_geometric.utils import to_dense_adj

from archioptrx.core.errors import InputError
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.networks.blocks import ForwardPass, Shape, Topology, Value, apply, build
from archioptrx.networks.blocks.pooling import matching
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


def links(rows: torch.Tensor, edges: torch.Tensor, hits: torch.Tensor, nodes: int) -> torch.Tensor:
    """Which hits an edge of the pooled graph joins, by way of their rows: bool [N, N]."""
    member = torch.zeros(int(rows.max()) + 1, nodes).index_put((rows, hits), torch.ones(len(hits)))
    joined = torch.zeros(len(member), len(member)).index_put((edges[0], edges[1]), torch.ones(edges.shape[1]))
    return member.T @ joined @ member > 0


@pytest.mark.parametrize("seed", range(20))
def test_the_best_hits_are_those_of_torch_geometric(seed):
    graph, module = data(seed=seed), pool("topk", seed=seed)
    theirs = TopKPooling(3, ratio=0.6).double()
    theirs.load_state_dict({name.removeprefix("layer."): weight for name, weight in module.state_dict().items()})
    x, edges, _, _, chosen, _ = theirs(graph.x, graph.edge_index, batch=torch.zeros(14, dtype=torch.int64))
    value = pooled(module, graph)
    ours = value.pooling.columns.index
    assert torch.equal(ours.sort().values, chosen.sort().values)
    back = torch.zeros_like(graph.x).index_put((chosen,), x)
    torch.testing.assert_close(unpooled(value, graph), back, rtol=0, atol=1e-12)
    rows = torch.arange(len(chosen))
    joined = links(rows, value.pooling.run.topology.edges.index, ours, 14)
    assert torch.equal(joined, links(rows, edges, chosen, 14))


def without_ties(seed: int) -> Data:
    """A graph in which at least two edges end in each hit, so that no score is 1.5."""
    graph = data(edges=30, seed=seed)
    hits = torch.arange(14)
    more = torch.cat([torch.stack([(hits + step) % 14, hits]) for step in (1, 3)], dim=1)
    return Data(x=graph.x, edge_index=torch.cat([graph.edge_index, more], dim=1))


@pytest.mark.parametrize("seed", range(40))
def test_contracted_pairs_are_those_of_torch_geometric(seed):
    """Self-loops, repeated edges and both directions included; the gradients, too."""
    graph, module = without_ties(seed), pool("edge", seed=seed)
    theirs = EdgePooling(3).double()
    theirs.load_state_dict({name.removeprefix("layer."): weight for name, weight in module.state_dict().items()})
    x, edges, _, info = theirs(graph.x, graph.edge_index, torch.zeros(14, dtype=torch.int64))
    value, hits = pooled(module, graph), torch.arange(14)
    torch.testing.assert_close(unpooled(value, graph), x[info.cluster], rtol=0, atol=1e-12)
    ours = links(value.pooling.rows.index, value.pooling.run.topology.edges.index, hits, 14)
    assert torch.equal(ours, links(info.cluster, edges, hits, 14))
    value.tensor().square().sum().backward()
    x.square().sum().backward()
    torch.testing.assert_close(module.layer.lin.weight.grad, theirs.lin.weight.grad, rtol=0, atol=1e-10)


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
    chosen = value.pooling.columns.index
    assert torch.equal(back[chosen], value.tensor())
    left_out = torch.ones(14, dtype=torch.bool)
    left_out[chosen] = False
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
        candidate = walks(lambda point, labels, weights: rng.choices(range(len(labels)), weights)[0])
        if any(step.block == "pool" for step in candidate.graph.steps):
            break
    hyperparameters = {**candidate.hyperparameters, "hidden": 6, "activation": "tanh"}  # no dead units
    torch.manual_seed(seed)
    model = compile_model(candidate.graph, hyperparameters, WIDTHS).double()
    counted = count_parameters(candidate.graph, hyperparameters, WIDTHS)
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


EQUAL = torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64)
RANDOM = torch.Generator().manual_seed(0)
TIES = {
    "a chain, each hit with one edge": (
        torch.randn(7, 3, generator=RANDOM, dtype=torch.float64),
        [(n, n + 1) for n in range(6)],
    ),
    "a cycle of three": (torch.randn(3, 3, generator=RANDOM, dtype=torch.float64), [(0, 1), (1, 2), (2, 0)]),
    "a cycle of three equal hits": (EQUAL.expand(3, 3), [(0, 1), (1, 2), (2, 0)]),
    "a star of equal hits": (EQUAL.expand(6, 3), [(0, n) for n in range(1, 6)]),
    "a chain of equal hits": (EQUAL.expand(6, 3), [(n, n + 1) for n in range(5)]),
    "both directions": (EQUAL.expand(5, 3), [(0, 1), (1, 0), (1, 2), (2, 1), (3, 4), (4, 3)]),
    "repeated edges": (EQUAL.expand(5, 3), [(0, 1), (0, 1), (1, 2), (1, 2), (3, 4), (4, 3)]),
    "hits joined to themselves": (EQUAL.expand(4, 3), [(n, n) for n in range(4)] + [(0, 1), (1, 2)]),
    "scores in which tanh is 1": (torch.arange(1, 25, dtype=torch.float64).view(8, 3) * 100, [(0, 1), (2, 1), (3, 1)]),
    "half of the hits equal": (
        torch.cat([EQUAL.expand(5, 3), torch.randn(4, 3, generator=RANDOM, dtype=torch.float64)]),
        [(n, (n + 1) % 9) for n in range(9)] + [(0, 4), (4, 0), (8, 2)],
    ),
}


def tie(name: str) -> Data:
    x, edges = TIES[name]
    return Data(x=x.clone(), edge_index=torch.tensor(edges).T)


@pytest.mark.parametrize("name", TIES)
@pytest.mark.parametrize("method", ["topk", "edge"])
def test_equal_hits_and_edges_are_treated_alike(method, name):
    """Whatever order hits and edges stand in, and whatever graphs stand beside: the order decides no tie."""
    for seed in range(20):
        module, graph = pool(method, seed=seed % 5), tie(name)
        size, generator = graph.num_nodes, torch.Generator().manual_seed(seed)
        expected = unpooled(pooled(module, graph), graph)
        order, turn = (torch.randperm(n, generator=generator) for n in (size, graph.num_edges))
        moved = Data(x=graph.x[order], edge_index=order.argsort()[graph.edge_index][:, turn])
        others = [data(*sizes, seed) for sizes in ((9, 20), (30, 90), (1, 0))]
        small, large, single = (Data(x=other.x, edge_index=other.edge_index) for other in others)
        for before, after in (([], [small]), ([large], [graph, single])):
            batch = Batch.from_data_list([*before, moved, *after])
            start = sum(part.num_nodes for part in before)
            rows = unpooled(pooled(module, batch), batch)[start : start + size]
            torch.testing.assert_close(rows, expected[order], rtol=0, atol=1e-10)


def test_of_equal_edges_that_share_a_hit_none_is_contracted():
    module = pool("edge")
    assert pooled(module, tie("a star of equal hits")).tensor().shape[0] == 6
    assert pooled(module, tie("a cycle of three equal hits")).tensor().shape[0] == 3
    assert pooled(module, tie("both directions")).tensor().shape[0] == 4  # 3 and 4 are one


def test_a_chain_is_contracted_by_the_scores_before_the_softmax():
    graph, module = tie("a chain, each hit with one edge"), pool("edge")
    lin, ends = module.layer.lin, graph.edge_index
    best = int(lin(torch.cat([graph.x[ends[0]], graph.x[ends[1]]], dim=1)).argmax())
    back = unpooled(pooled(module, graph), graph)
    torch.testing.assert_close(back[best], 1.5 * (graph.x[best] + graph.x[best + 1]), rtol=0, atol=1e-12)


def test_hits_as_good_as_the_last_one_stay():
    """Of 9 hits 0.6 are 6; 5 are equal, and all of them stay or go."""
    graph = tie("half of the hits equal")
    for seed in range(10):
        module = pool("topk", seed=seed)
        chosen = pooled(module, graph).pooling.columns.index
        best = module.layer.select(graph.x).squeeze(1)
        last = best.sort(descending=True).values[5]
        assert chosen.tolist() == (best >= last - 1e-9).nonzero().squeeze(1).tolist()
    many = Data(x=EQUAL.expand(10, 3), edge_index=torch.zeros(2, 0, dtype=torch.int64))
    assert pooled(module, many).tensor().shape[0] == 10


def test_hits_are_compared_before_tanh():
    graph = tie("scores in which tanh is 1")
    chosen = pooled(pool("topk"), graph).pooling.columns.index
    assert len(chosen) == 5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("nodes", "edges"), [(0, 0), (1, 0), (1, 3), (5, 0)])
def test_graphs_with_few_hits_or_none_are_pooled(method, nodes, edges):
    graph, module = (
        data(nodes, edges) if nodes else Data(x=EQUAL[:0], edge_index=torch.zeros(2, 0).long()),
        pool(method),
    )
    value = pooled(module, graph)
    back = unpooled(value, graph)
    assert back.shape == (nodes, 3) and back.isfinite().all()
    back.sum().backward()


@pytest.mark.parametrize("method", ["topk", "edge"])
def test_a_number_that_is_none_is_not_hidden(method):
    graph = data()
    graph.x[3] = torch.nan
    assert unpooled(pooled(pool(method), graph), graph).isnan().any()


def greedy(pairs: list[tuple[int, int]], score: list[float], raw: list[float]) -> set[int]:
    """One group of equal pairs after the other, best ones first; a pair that shares a hit with an equal one waits."""
    keys, free, chosen = list(zip(score, raw, strict=True)), set(range(10**4)), set()
    for key in sorted(set(keys), reverse=True):
        equal = [n for n, pair_key in enumerate(keys) if pair_key == key and set(pairs[n]) <= free]
        alone = [n for n in equal if all(m == n or not set(pairs[n]) & set(pairs[m]) for m in equal)]
        chosen |= set(alone)
        free -= {hit for n in alone for hit in pairs[n]}
    return chosen


@pytest.mark.parametrize("levels", [2, 5, 10**9])
def test_rounds_choose_what_one_pair_after_the_other_does(levels):
    """With few levels most scores are equal; with many of them none is, and this is the greedy way of the paper."""
    rng = random.Random(levels)
    for _ in range(400):
        size = rng.randrange(2, 14)
        whole = [(a, b) for a in range(size) for b in range(a + 1, size)]
        pairs = rng.sample(whole, rng.randrange(1, min(len(whole), 40) + 1))
        score = [0.5 + rng.randrange(levels) / levels for _ in pairs]
        raw = [rng.randrange(levels) / levels for _ in pairs]
        numbers = torch.tensor([score, raw], dtype=torch.float64)
        chosen = matching(torch.tensor(pairs).T, *numbers, torch.full((len(pairs),), 1e-12).double(), size)
        assert set(chosen.nonzero().squeeze(1).tolist()) == greedy(pairs, score, raw)


def test_numbers_that_differ_by_rounding_are_equal():
    pairs = torch.tensor([[0, 1, 3], [1, 2, 4]])
    score, raw = torch.tensor([1.5, 1.5 - 1e-7, 1.5]), torch.tensor([0.25, 0.25 + 1e-7, 0.1])
    assert matching(pairs, score, raw, torch.full((3,), 1e-6), 5).tolist() == [False, False, True]
    assert matching(pairs, score, raw, torch.zeros(3), 5).tolist() == [True, False, True]


def test_a_circle_of_pairs_each_better_than_the_next_ends():
    """Scores are equal two by two, but not at the ends of the scale: by raw 1 > 0, 2 > 1; by score 0 > 2."""
    pairs = torch.tensor([[0, 1, 0], [1, 2, 2]])
    score, raw = torch.tensor([1.2, 1.1, 1.0]), torch.tensor([0.0, 1.0, 2.0])
    assert not matching(pairs, score, raw, torch.full((3,), 0.07), 3).any()
