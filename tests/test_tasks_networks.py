"""The bundled networks of the further tasks: properties of sampled models, and the notebook's network by hand."""

import random

import pytest
import torch
from graphs import toy
from notebook_twin import Notebook, with_weights_of
from torch import Tensor

from archioptrx.data.hitgraph import batch_graphs
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.networks.compile import compile_model
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

WIDTHS = {"hits": 3, "doublet": 5, "place": 3, "learned": 3}
TARGETS = {"hits": 2, "event": 5, "notebook": 2, "several": {"score": 1, "parameters": 3}}


def graphs_of(number: int):
    """Toy events in double precision, with learned coordinates."""
    graphs = toy(number, event_size_min=2, event_size_max=4).graphs
    for index, graph in enumerate(graphs):
        random_numbers = torch.Generator().manual_seed(index)
        graph.embedding = torch.randn(len(graph.x), 3, generator=random_numbers)
        for key in ("x", "pos", "edge_attr", "embedding"):
            graph[key] = graph[key].double()
    return graphs


def sampled(name: str, seed: int):
    rng = random.Random(seed)
    space = WalkSpace(FunctionGraph.load(name), SearchSpace.load("small"))
    return space(lambda point, labels, weights: rng.choices(range(len(labels)), weights)[0])


def parts(output) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_sampled_networks_count_batch_and_learn(name):
    graphs = graphs_of(2)
    for seed in range(6):
        candidate = sampled(name, seed)
        torch.manual_seed(0)
        model = compile_model(candidate.graph, candidate.hyperparameters, WIDTHS, TARGETS[name]).double()
        counted = count_parameters(candidate.graph, candidate.hyperparameters, WIDTHS, TARGETS[name])
        assert counted == sum(p.numel() for p in model.parameters())
        sum(output.square().sum() for output in parts(model(graphs[0]))).backward()
        assert [key for key, weight in model.named_parameters() if weight.grad is None] == []
        model.eval()
        together, alone = parts(model(batch_graphs(graphs))), [parts(model(graph)) for graph in graphs]
        for place, whole in enumerate(together):
            torch.testing.assert_close(whole, torch.cat([outputs[place] for outputs in alone]), rtol=0, atol=1e-8)


def test_the_notebook_s_network_is_the_one_by_hand():
    torch.manual_seed(3)
    architecture = Architecture.load("notebook")
    model = compile_model(architecture.graph, architecture.hyperparameters, WIDTHS, 2).double()
    plain = with_weights_of(model, Notebook(6).double())
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in plain.parameters())
    graph = graphs_of(1)[0]
    ours = model(graph)
    theirs = plain(torch.cat([graph.pos, graph.embedding], 1), graph.edge_index)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)
    probe = torch.randn(ours.shape, dtype=torch.float64)
    (ours * probe).sum().backward()
    (theirs * probe).sum().backward()
    norms = [sum(float(p.grad.square().sum()) for p in network.parameters()) for network in (model, plain)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-8)
    both = [network.eval() for network in (model, plain)]
    torch.testing.assert_close(
        both[0](graph), plain(torch.cat([graph.pos, graph.embedding], 1), graph.edge_index), rtol=0, atol=1e-8
    )
