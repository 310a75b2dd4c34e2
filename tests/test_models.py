"""Properties of sampled networks: nothing depends on the order of rows or on the batch, and all weights learn."""

import random
from collections.abc import Callable
from functools import cache

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Batch, Data

from archioptrx.core.config import bundled_names
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.networks.compile import Model, compile_model
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

WIDTHS = {"hits": 3, "doublet": 5}
ALL = {name: FunctionGraph.load(name) for name in sorted(bundled_names("function_graphs"))}
# Those that give edges scores: networks of other kinds have tests of their own.
GRAPHS = [name for name, graph in ALL.items() if [graph.node[target].domain for target in graph.targets] == ["edge"]]


@cache
def space(name: str) -> WalkSpace:
    """A bundled function graph with the small search space."""
    return WalkSpace(FunctionGraph.load(name), SearchSpace.load("small"))


def sample(name: str, seed: int) -> Candidate:
    """A random walk."""
    draw = random.Random(seed)
    return space(name)(lambda point, labels, weights: draw.choices(range(len(labels)), weights)[0])


def model_of(candidate: Candidate, seed: int = 0) -> Model:
    """The network of a sample, in double precision so that a sum's order doesn't show."""
    torch.manual_seed(seed)
    return compile_model(candidate.graph, candidate.hyperparameters, WIDTHS).double()


def graph_data(seed: int, nodes: int = 11, edges: int = 30) -> Data:
    """Random hits and edges in any order."""
    generator = torch.Generator().manual_seed(seed)
    return Data(
        x=torch.randn(nodes, 3, generator=generator, dtype=torch.float64),
        edge_index=torch.randint(0, nodes, (2, edges), generator=generator),
        edge_attr=torch.randn(edges, 5, generator=generator, dtype=torch.float64),
    )


def close(a: Tensor, b: Tensor) -> None:
    """Equal up to rounding, relative to the largest value."""
    scale = max(1.0, float(b.detach().abs().max()) if b.numel() else 1.0)
    torch.testing.assert_close(a / scale, b / scale, rtol=0, atol=1e-8)


def samples(test: Callable[[str, int], None]) -> Callable[[], None]:
    """Any of the networks, and two whose pooling once chose among equal edges by their order in memory."""
    drawn = given(st.sampled_from(GRAPHS), st.integers(0, 10**6))(test)
    return example("pooling", 23793)(example("pooling", 221)(drawn))


few = settings(max_examples=40)


@samples
@few
def test_order_of_nodes_does_not_matter(name, seed):
    model, data = model_of(sample(name, seed)), graph_data(seed)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(seed))
    place = torch.empty_like(order)
    place[order] = torch.arange(11)
    moved = Data(x=data.x[order], edge_index=place[data.edge_index], edge_attr=data.edge_attr)
    close(model(moved), model(data))


@samples
@few
def test_edges_get_the_same_scores_in_any_order(name, seed):
    model, data = model_of(sample(name, seed)), graph_data(seed)
    by_destination = data.edge_index[1].argsort(stable=True)
    for order in (by_destination, torch.randperm(30, generator=torch.Generator().manual_seed(seed))):
        moved = Data(x=data.x, edge_index=data.edge_index[:, order], edge_attr=data.edge_attr[order])
        close(model(moved), model(data)[order])


@samples
@few
def test_a_batch_gives_what_its_graphs_give(name, seed):
    model = model_of(sample(name, seed)).eval()
    graphs = [graph_data(seed, 11, 30), graph_data(seed + 1, 1, 0), graph_data(seed + 2, 5, 7)]
    close(model(Batch.from_data_list(graphs)), torch.cat([model(graph) for graph in graphs]))


@pytest.mark.long
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(
    "test",
    [
        test_order_of_nodes_does_not_matter,
        test_edges_get_the_same_scores_in_any_order,
        test_a_batch_gives_what_its_graphs_give,
    ],
)
def test_order_and_batch_do_not_matter_to_many_networks(test, name):
    """The same 20,000 of each graph every time. Poolings make choices, which go wrong in few of the networks only."""
    for seed in range(20_000):
        test.hypothesis.inner_test(name, seed)


@samples
@few
def test_gradients_reach_every_weight(name, seed):
    """A relu may be shut for all rows of one graph, so a gradient has to be there, but may be zero in one entry."""
    model = model_of(sample(name, seed))
    model(graph_data(seed, 40, 120)).square().sum().backward()
    without = [key for key, weight in model.named_parameters() if weight.grad is None]
    assert not without
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
    dead = [key for key, weight in model.named_parameters() if not weight.grad.any()]
    assert len(dead) < len(list(model.parameters()))


@samples
@few
def test_count_of_parameters_is_exact(name, seed):
    candidate = sample(name, seed)
    attends = any(step.block == "attention" for step in candidate.graph.steps)
    for target_width in (1,) if attends else (1, 4):  # the logits of an attention have one channel
        model = compile_model(candidate.graph, candidate.hyperparameters, WIDTHS, target_width)
        count = count_parameters(candidate.graph, candidate.hyperparameters, WIDTHS, target_width)
        assert count == sum(p.numel() for p in model.parameters())


@samples
@few
def test_last_pass_is_the_output(name, seed):
    candidate = sample(name, seed)
    model, data = model_of(candidate), graph_data(seed)
    passes = model(data, passes=True)
    close(passes[-1], model(data))
    loops = candidate.graph.loops
    assert len(passes) == (loops[-1].iterations + 1 if loops else 1)


@pytest.mark.parametrize(("nodes", "edges"), [(1, 0), (4, 0), (1, 3)])
@pytest.mark.parametrize("name", GRAPHS)
def test_tiny_graphs_work(name, nodes, edges):
    for seed in range(10):
        model, data = model_of(sample(name, seed)), graph_data(seed, nodes, edges)
        scores = model(data)
        assert scores.shape == (edges,)
        assert scores.isfinite().all()
        scores.sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
