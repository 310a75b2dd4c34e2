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
from archioptrx.training.proxies import MEASURES, ROWS, Signs, proxy_batch, score
from archioptrx.training.trial import build

TASK = make_task({"name": "edge_classification"})
DATA = toy(40)
BATCH = proxy_batch(DATA.graphs, TASK, edges=800)
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
        score("nasvot", linear(), BATCH, TASK)


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_is_deterministic_and_leaves_the_model_as_it_was(proxy):
    model = network(1)
    model.train()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    first = score(proxy, model, BATCH, TASK)
    assert first is not None and score(proxy, model, BATCH, TASK) == first
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not BATCH.x.requires_grad and not BATCH.edge_attr.requires_grad


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_order_of_nodes_and_edges_does_not_matter(proxy):
    other = permuted(BATCH)
    assert BATCH.num_edges > ROWS
    for number in range(4):
        model = network(number)
        expected = score(proxy, model, BATCH, TASK)
        assert score(proxy, model, other, TASK) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("proxy", PROXIES)
def test_networks_differ(proxy):
    values = [score(proxy, network(number), BATCH, TASK) for number in range(6)]
    assert len(set(values)) > 3


@pytest.mark.parametrize("name", ["attention", "interaction", "message_passing", "tracking"])
def test_all_walks_of_the_bundled_spaces_are_scored(name):
    sampler = RandomSampler(space(name, "full"), 1)
    batch = proxy_batch(DATA.graphs[:4], TASK, edges=100)
    for number in range(12):
        candidate = sampler.draw(number, 0)
        model = build(candidate.graph, candidate.hyperparameters, DATA.metadata, TASK, 0)
        values = {proxy: score(proxy, model, batch, TASK) for proxy in PROXIES}
        assert [proxy for proxy, value in values.items() if value is None or not math.isfinite(value)] == []


@pytest.mark.parametrize("proxy", ["naswot", "jacob_cov"])
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
    assert {step.block for step in candidate.graph.steps} == {function["block"] for function in functions.values()}
    model = build(candidate.graph, candidate.hyperparameters, DATA.metadata, TASK, 0)
    value = score(proxy, model, BATCH, TASK)
    assert value is not None and math.isfinite(value)


# --- what they compute ------------------------------------------------------------------------------------------------


def test_without_activations_naswot_tells_no_rows_apart():
    assert score("naswot", linear(), BATCH, TASK) == 0.0


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
    assert score("naswot", model, few, TASK) == pytest.approx(float(torch.logdet(kernel)))


def test_units_of_a_large_batch_are_put_together_from_its_blocks():
    counts = []
    for batch in (batch_graphs(DATA.graphs[:2]), batch_graphs([*DATA.graphs] * 3)):
        sizes = {batch.num_nodes: "node", batch.num_edges: "edge"}
        with torch.no_grad(), Signs(sizes) as signs:
            network(1)(batch)
        assert all(len(units) in sizes for _, units in signs.noted)
        counts.append([(domain, units.shape[1]) for domain, units in signs.noted])
    assert batch.num_edges > 4096
    assert counts[0] == counts[1] and {domain for domain, _ in counts[0]} == {"node", "edge"}


def test_gradients_of_a_linear_layer_are_fully_correlated():
    few = batch_graphs([SMALLEST])
    rows, columns = few.num_edges, 2 * 3 + 5
    assert rows <= ROWS
    eigenvalues = [float(rows)] + [0.0] * (columns - 2)
    expected = -sum(math.log(eigenvalue + 1e-5) + 1 / (eigenvalue + 1e-5) for eigenvalue in eigenvalues)
    assert score("jacob_cov", linear(), few, TASK) == pytest.approx(expected)


@pytest.mark.parametrize("proxy", ["naswot", "jacob_cov"])
def test_what_is_no_number_is_none(proxy):
    model = network(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(float("inf"))
    assert score(proxy, model, BATCH, TASK) is None


def test_a_batch_has_about_as_many_edges_as_asked_for():
    assert 400 < proxy_batch(DATA.graphs, TASK, edges=800).num_edges < 1600
    assert proxy_batch(DATA.graphs[:2], TASK, edges=10_000).num_edges == sum(g.num_edges for g in DATA.graphs[:2])
    whole = make_task({"name": "edge_classification"})
    whole.divisible = False
    assert proxy_batch(DATA.graphs, whole, edges=10).event == [DATA.graphs[0].event]
