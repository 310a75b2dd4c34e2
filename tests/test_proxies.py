"""Zero-cost proxies: what they compute, and that they leave everything as it was."""

import copy
import math

import pytest
import torch
from graphs import toy

from archioptrx.core.errors import InputError
from archioptrx.data.hitgraph import HitGraph, batch_graphs
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.networks.blocks.mlp import MLP
from archioptrx.networks.compile import compile_model
from archioptrx.runs.experiment_sections import PROXIES
from archioptrx.sampling.samplers import RandomSampler
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace
from archioptrx.tasks import make_task
from archioptrx.training.proxies import MEASURES, ROWS, Signs, proxy_batches, score
from archioptrx.training.proxy_readout import hidden_activations
from archioptrx.training.trial import build

TASK = make_task({"name": "edge_classification"})
DATA = toy(40)
BATCHES = proxy_batches(DATA.graphs, TASK, edges=800)
SMALLEST = min(DATA.graphs, key=lambda graph: graph.num_edges)
WIDTHS = {"hits": 3, "doublet": 5}


def space(name="tracking", size="small"):
    return WalkSpace(FunctionGraph.load(name), SearchSpace.load(size))


def network(number=0, name="tracking", size="small", seed=0):
    candidate = RandomSampler(space(name, size), 3).draw(number, 0)
    return build(candidate.graph, candidate.hyperparameters, DATA.metadata, TASK, seed)


def linear(seed=0):
    """One linear layer on the doublets."""
    graph = ComputationGraph.from_dict(
        {
            "types": {
                "doublet": {"domain": "edge", "width": {"doublet": 1}, "field": "edge_attr"},
                "score": {"domain": "edge", "width": {"target": 1}},
            },
            "sources": ["doublet"],
            "steps": [
                {"value": "s", "type": "score", "function": "f", "block": "mlp", "inputs": ["doublet"],
                 "params": {"layers": 1}, "weights": "f.0"}
            ],
            "targets": ["s"],
        }
    )  # fmt: skip
    torch.manual_seed(seed)
    return compile_model(graph, {"hidden": 8}, WIDTHS)


def permuted(batch, seed=0):
    """The same batch with nodes and edges in another order."""
    draw = torch.Generator().manual_seed(seed)
    nodes = torch.randperm(batch.num_nodes, generator=draw)
    edges = torch.randperm(batch.num_edges, generator=draw)
    content = {"x": batch.x[nodes], "batch": batch.batch[nodes], "edge_attr": batch.edge_attr[edges]}
    place = torch.argsort(nodes)
    return HitGraph(**content, y=batch.y[edges], edge_index=place[batch.edge_index[:, edges]])


def test_the_names_of_the_experiment_file_are_those_that_are_computed():
    assert tuple(MEASURES) == PROXIES
    with pytest.raises(InputError, match=r"screen.proxy: is 'nasvot'; allowed: .*did you mean naswot"):
        score("nasvot", linear(), BATCHES, TASK)


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_is_deterministic_and_leaves_the_model_as_it_was(proxy):
    model = network(1)
    model.train()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    first = score(proxy, model, BATCHES, TASK)
    assert first is not None and score(proxy, model, BATCHES, TASK) == first
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(batch.x.requires_grad or batch.edge_attr.requires_grad for batch in BATCHES)


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_order_of_nodes_and_edges_does_not_matter(proxy):
    others = tuple(permuted(batch, seed) for seed, batch in enumerate(BATCHES))
    assert BATCHES[0].num_edges > ROWS
    for number in range(4):
        model = network(number)
        expected = score(proxy, model, BATCHES, TASK)
        # L-BFGS stops at another place of the same valley.
        tolerance = {"abs": 2e-3} if proxy == "readout" else {"rel": 1e-6}
        assert score(proxy, model, others, TASK) == pytest.approx(expected, **tolerance)


@pytest.mark.parametrize("proxy", PROXIES)
def test_networks_differ(proxy):
    values = [score(proxy, network(number), BATCHES, TASK) for number in range(6)]
    assert len(set(values)) > 3


@pytest.mark.parametrize("name", ["attention", "interaction", "message_passing", "tracking"])
def test_all_walks_of_the_bundled_spaces_are_scored(name):
    sampler = RandomSampler(space(name, "full"), 1)
    batches = proxy_batches(DATA.graphs[:4], TASK, edges=100)
    for number in range(30):
        candidate = sampler.draw(number, 0)
        model = build(candidate.graph, candidate.hyperparameters, DATA.metadata, TASK, 0)
        values = {proxy: score(proxy, model, batches, TASK) for proxy in PROXIES}
        assert [proxy for proxy, value in values.items() if value is None or not math.isfinite(value)] == []


@pytest.mark.parametrize("proxy", ["synflow", "naswot", "jacob_cov", "readout"])
def test_other_blocks_are_scored(proxy):
    functions = {
        "encode": {"block": "mlp", "inputs": ["hits"], "output": "x", "params": {"layers": 2, "norm": "batch"}},
        "convolve": {"block": "pyg", "inputs": ["x"], "output": "y", "params": {"conv": "SAGEConv"}},
        "update": {"block": "gru", "inputs": ["y", "x"], "output": "z"},
        "norm": {"block": "norm", "inputs": ["z"], "output": "z1", "params": {"kind": "graph"}},
        "event": {"block": "readout", "inputs": ["z1"], "output": "g"},
        "spread": {"block": "broadcast", "inputs": ["g"], "output": "b"},
        "classify": {"block": "mlp", "inputs": ["z1", "doublet", "b", "g"], "output": "score", "params": {"layers": 1}},
    }
    node = {"domain": "node", "width": 8}
    graph = FunctionGraph.from_dict(
        {
            "name": "all",
            "data": {
                "hits": {"domain": "node", "field": "x"}, "doublet": {"domain": "edge", "field": "edge_attr"},
                "x": node, "y": node, "z": node, "z1": node, "g": {"domain": "graph", "width": 8},
                "b": {"domain": "edge", "width": 8}, "score": {"domain": "edge", "width": "target"},
            },
            "functions": functions, "sources": ["hits", "doublet"], "targets": ["score"],
        }
    )  # fmt: skip
    limits = {"name": "one", "hyperparameters": {"hidden": 8}, "walk": {"max_steps": 20, "max_walks": 1, "extra": [0]}}
    candidate = RandomSampler(WalkSpace(graph, SearchSpace.from_dict(limits)), 0).draw(0, 0)
    assert {step.block for step in candidate.graph.steps} == {one["block"] for one in functions.values()}
    model = build(candidate.graph, candidate.hyperparameters, DATA.metadata, TASK, 0)
    value = score(proxy, model, BATCHES, TASK)
    assert value is not None and math.isfinite(value)
    if proxy == "readout":  # both ends of z1, the doublet, b, the graph of each edge
        assert hidden_activations(model, BATCHES[0]).shape == (BATCHES[0].num_edges, 16 + 5 + 8 + 8)


# --- what they compute ------------------------------------------------------------------------------------------------


def test_synflow_of_a_linear_layer_is_that_of_its_formula():
    model, edges = linear(), BATCHES[0].num_edges
    weights = sum(float(p.detach().double().abs().sum()) for p in model.parameters())
    assert score("synflow", model, BATCHES, TASK) == pytest.approx(math.log(edges * weights))


def test_synflow_takes_weights_without_their_signs():
    model = network(2)
    expected = score("synflow", model, BATCHES, TASK)
    with torch.no_grad():
        for one in model.parameters():
            one.neg_()
    assert score("synflow", model, BATCHES, TASK) == expected


def test_synflow_sees_no_data_and_no_norms():
    other = copy.copy(BATCHES[0])
    other.x, other.edge_attr = 7 * other.x, -other.edge_attr
    model = network(2)
    assert score("synflow", model, (other, other), TASK) == score("synflow", model, BATCHES, TASK)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.mul_(5)
    assert score("synflow", model, BATCHES, TASK) == score("synflow", network(2), BATCHES, TASK)


def test_without_activations_naswot_tells_no_rows_apart():
    assert score("naswot", linear(), BATCHES, TASK) == 0.0


def test_naswot_is_the_log_determinant_of_agreeing_units():
    few = batch_graphs([SMALLEST])
    model = linear()
    module = next(m for m in model.modules() if isinstance(m, MLP))
    layer = module.layers[0]
    with torch.no_grad():
        layer.bias -= model(few).mean()
        positive = few.edge_attr @ layer.weight.T + layer.bias > 0
    module.activations = ["relu"]  # one unit for each row: the score itself
    assert 0 < int(positive.sum()) < len(positive) <= ROWS
    kernel = torch.eye(len(positive), dtype=torch.float64) + (positive == positive.T).double()
    assert score("naswot", model, (few, few), TASK) == pytest.approx(float(torch.logdet(kernel)))


def test_units_of_a_large_batch_are_put_together_from_its_blocks():
    counts = []
    for batch in (batch_graphs(DATA.graphs[:2]), batch_graphs([*DATA.graphs] * 3)):
        sizes = {batch.num_nodes: "node", batch.num_edges: "edge"}
        with torch.no_grad(), Signs(sizes) as signs:
            network(1)(batch)
        assert all(len(units) in sizes for _, units in signs.seen)
        counts.append([(domain, units.shape[1]) for domain, units in signs.seen])
    assert batch.num_edges > 4096
    assert counts[0] == counts[1] and {domain for domain, _ in counts[0]} == {"node", "edge"}


def test_gradients_of_a_linear_layer_are_fully_correlated():
    few = batch_graphs([SMALLEST])
    rows, columns = few.num_edges, 2 * 3 + 5
    assert rows <= ROWS
    eigenvalues = [float(rows)] + [0.0] * (columns - 2)
    expected = -sum(math.log(one + 1e-5) + 1 / (one + 1e-5) for one in eigenvalues)
    assert score("jacob_cov", linear(), (few, few), TASK) == pytest.approx(expected)


def labelled(batch, truth):
    other = copy.copy(batch)
    other.y = truth.float()
    return other


def test_a_readout_finds_what_is_linear_and_nothing_in_noise():
    draw = torch.Generator().manual_seed(0)
    easy = tuple(labelled(batch, batch.edge_attr[:, 3] > batch.edge_attr[:, 3].median()) for batch in BATCHES)
    lots = tuple(labelled(batch, torch.rand(batch.num_edges, generator=draw) > 0.5) for batch in BATCHES)
    assert score("readout", linear(), easy, TASK) > 0.999
    assert abs(score("readout", linear(), lots, TASK) - 0.5) < 0.06


def test_a_readout_reads_the_last_hidden_layer():
    model = network(0)
    rows = hidden_activations(model, BATCHES[0])
    assert len(rows) == BATCHES[0].num_edges and rows.shape[1] % 16 == 0
    last = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 1]
    joined = torch.cat([m.weight for m in last], dim=1)  # in the order of the heads, which are added
    with torch.no_grad():
        made = (rows @ joined.T)[:, 0] + sum(m.bias for m in last)
        assert torch.allclose(made, model(BATCHES[0]), atol=1e-5)


@pytest.mark.parametrize("proxy", ["synflow", "naswot", "jacob_cov", "readout"])
def test_what_is_no_number_is_none(proxy):
    model = network(1)
    with torch.no_grad():
        for one in model.parameters():
            one.mul_(float("inf"))
    assert score(proxy, model, BATCHES, TASK) is None


def test_batches_have_about_as_many_edges_as_asked_for_and_differ():
    first, second = proxy_batches(DATA.graphs, TASK, edges=800)
    assert 400 < first.num_edges < 1600 and 400 < second.num_edges < 1600
    assert not set(first.event) & set(second.event)
    large = proxy_batches(DATA.graphs[:2], TASK, edges=10_000)
    assert [batch.num_edges for batch in large] == [graph.num_edges for graph in DATA.graphs[:2]]
    whole = make_task({"name": "edge_classification"})
    whole.divisible = False
    assert [batch.event for batch in proxy_batches(DATA.graphs, whole, edges=10)] == [
        [graph.event] for graph in DATA.graphs[:2]
    ]
    alone = proxy_batches(DATA.graphs[:1], TASK, edges=800)
    assert alone[0].num_edges == alone[1].num_edges == DATA.graphs[0].num_edges
