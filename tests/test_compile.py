"""Compiled networks against plain torch modules of the same weights, loops, sharing, and what they refuse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from own_blocks import own_blocks
from reference_networks import DOUBLET, HIDDEN, HITS, NAMES, TARGET, attention_graph, load_weights, mlp, reference
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch_geometric.data import Batch, Data

from archioptrx.core.errors import GraphError, InputError, TrialError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.linear_fusion import pending_steps
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.graphs.shapes import shapes
from archioptrx.graphs.signatures import Hyperparameter, Signature, Width
from archioptrx.graphs.steps import BackEdge, DataType, Step
from archioptrx.networks.blocks import block
from archioptrx.networks.compile import compile_model

WIDTHS = {"hits": 3, "doublet": 5}
HYPER = {"hidden": 8}


def graph_data(nodes: int = 12, edges: int = 40, seed: int = 0, dtype: torch.dtype = torch.float32) -> Data:
    """Random hits and edges in any order."""
    generator = torch.Generator().manual_seed(seed)
    return Data(
        x=torch.randn(nodes, 3, generator=generator, dtype=dtype),
        edge_index=torch.randint(0, nodes, (2, edges), generator=generator),
        edge_attr=torch.randn(edges, 5, generator=generator, dtype=dtype),
    )


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_reference_networks_equal_plain_modules(name, iterations):
    graph, plain = reference(name, iterations=iterations)
    model = compile_model(graph, HYPER, WIDTHS).double()
    load_weights(plain.double(), model)
    data = graph_data(dtype=torch.float64)
    ours, theirs = model(data), plain(data)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    probe = torch.randn_like(ours)
    (ours * probe).sum().backward()
    (theirs * probe).sum().backward()
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_reference_networks_equal_plain_modules_in_single_precision(name):
    torch.manual_seed(0)
    graph, plain = reference(name, hidden=32, iterations=4)
    model = compile_model(graph, {"hidden": 32}, WIDTHS)
    load_weights(plain, model)
    data = graph_data(nodes=900, edges=5000)
    ours, theirs = model(data), plain(data)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    ours.square().mean().backward()
    theirs.square().mean().backward()
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        scale = q.grad.abs().max()
        torch.testing.assert_close(p.grad / scale, q.grad / scale, rtol=0, atol=5e-5)


def test_the_talks_network_has_its_43713_parameters():
    graph = attention_graph(4)
    model = compile_model(graph, {"hidden": 64}, {"hits": 3})
    assert sum(p.numel() for p in model.parameters()) == 43713
    assert count_parameters(graph, {"hidden": 64}, {"hits": 3}) == 43713


@given(
    st.integers(1, 9), st.integers(1, 5), st.integers(1, 4),
    st.sampled_from(["layer", "batch", "none"]), st.sampled_from(["relu", "none"]), st.sampled_from(["tanh", "none"]),
)  # fmt: skip
@settings(max_examples=30)
def test_count_equals_the_compiled_models(hidden, target, layers, norm, activation, output_activation):
    params = {"layers": layers, "norm": norm, "activation": activation, "output_activation": output_activation}
    types = (HITS, DOUBLET, DataType("x", "node", HIDDEN), DataType("e", "edge", HIDDEN),
             DataType("score", "edge", TARGET), DataType("w", "edge", HIDDEN))  # fmt: skip
    pairs = tuple(sorted(params.items()))
    steps = (
        Step("encode", "mlp", (0,), "x", pairs, "encode"),  # 2
        Step("relate", "mlp", (2, 1, 0), "w", pairs, "relate", True),  # 3
        Step("attend", "attention", (2, 3), "x", pairs, "attend"),  # 4
        Step("gate", "gru", (2, 4), "x", (), "gate"),  # 5
        Step("normalise", "norm", (5,), "x", (("kind", "graph"),), "normalise"),  # 6
        Step("classify", "mlp", (6, 1), "score", pairs, "classify"),  # 7
    )
    graph = ComputationGraph(types, ("hits", "doublet"), steps, (BackEdge(6, 2, 3),), (7,))
    model = compile_model(graph, {"hidden": hidden}, WIDTHS, target)
    count = count_parameters(graph, {"hidden": hidden}, WIDTHS, target)
    assert count == sum(p.numel() for p in model.parameters())


def test_count_of_a_pyg_block_is_unknown():
    graph = one_step(Step("conv", "pyg", (0,), "y", (("conv", "GCNConv"),), "conv"), "node")
    assert count_parameters(graph, HYPER, WIDTHS) is None


def one_step(step: Step, domain: str = "edge") -> ComputationGraph:
    """A graph of one step from hits and doublets to y."""
    types = (HITS, DOUBLET, DataType("y", domain, TARGET))
    return ComputationGraph(types, ("hits", "doublet"), (step,), (), (2,))


def loop_graph(iterations: int, per_pass: bool) -> ComputationGraph:
    """score = read(x); back: x = update(x, score)."""
    types = (HITS, DataType("x", "node", HIDDEN), DataType("score", "edge", TARGET), DataType("a", "node", TARGET))
    steps = (
        mlp("encode", (0,), "x", 1),  # 1
        mlp("read", (1,), "score", 2, per_pass),  # 2
        Step("sum", "aggregate", (2,), "a"),  # 3
        mlp("update", (1, 3), "x", 2, per_pass),  # 4
    )
    return ComputationGraph(types, ("hits",), steps, (BackEdge(4, 1, iterations),), (2,))


def test_passes_are_the_networks_of_fewer_iterations():
    torch.manual_seed(0)
    model = compile_model(loop_graph(3, False), HYPER, WIDTHS)
    data = graph_data()
    passes = model(data, passes=True)
    assert len(passes) == 4
    for iterations in (1, 2, 3):
        shorter = compile_model(loop_graph(iterations, False), HYPER, WIDTHS)
        shorter.load_state_dict(model.state_dict())
        torch.testing.assert_close(shorter(data), passes[iterations])
    assert not torch.allclose(passes[0], passes[1])


def test_passes_run_what_follows_the_loop():
    graph, _ = reference("message_passing", iterations=2)
    model = compile_model(graph, HYPER, WIDTHS)
    data = graph_data()
    passes = model(data, passes=True)
    assert len(passes) == 3
    torch.testing.assert_close(passes[-1], model(data))
    assert not torch.allclose(passes[0], passes[-1])


def test_a_network_without_a_loop_has_one_pass():
    model = compile_model(one_step(mlp("f", (0, 1), "y", 2)), HYPER, WIDTHS)
    data = graph_data()
    (only,) = model(data, passes=True)
    assert torch.equal(only, model(data))


def test_passes_with_weights_of_their_own():
    model = compile_model(loop_graph(2, True), HYPER, WIDTHS)
    names = {name.rsplit(".layers", 1)[0] for name in model.state_dict() if ".layers.0.weight" in name}
    assert names == {"encode", "read.0", "read.1", "read.2", "update.0", "update.1"}
    data = graph_data()
    before = model(data, passes=True)
    nn.init.zeros_(model.get_submodule("read.1").layers[1].weight)
    after = model(data, passes=True)
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True, False, False]


def test_steps_of_one_name_share_their_weights():
    types = (HITS, DOUBLET, DataType("y", "edge", TARGET))
    steps = (mlp("f", (1,), "y", 2), mlp("f", (2,), "y", 2))
    with pytest.raises(GraphError, match="f: shares the weights f with a step of another form"):
        compile_model(ComputationGraph(types, ("hits", "doublet"), steps, (), (3,)), HYPER, WIDTHS)
    twice = (mlp("f", (1,), "y", 2), mlp("f", (1,), "y", 2), Step("sum", "add", (2, 3), "y"))
    model = compile_model(ComputationGraph(types, ("hits", "doublet"), twice, (), (4,)), HYPER, WIDTHS)
    once = compile_model(one_step(mlp("f", (1,), "y", 2)), HYPER, WIDTHS)
    once.load_state_dict(model.state_dict())
    data = graph_data()
    torch.testing.assert_close(model(data), 2 * once(data))


def test_keys_of_the_state_dict_are_readable():
    step = Step("train", "mlp", (0, 1), "y", (("layers", 2),), "train.0")
    model = compile_model(one_step(step), HYPER, WIDTHS)
    assert list(model.state_dict()) == [
        "train.0.layers.0.weight", "train.0.layers.0.bias", "train.0.layers.1.weight", "train.0.layers.1.bias",
        "train.0.norms.0.weight", "train.0.norms.0.bias",
    ]  # fmt: skip
    assert model.train() is model


def test_model_can_be_built_again_from_what_it_carries():
    graph, _ = reference("interaction")
    model = compile_model(graph, HYPER, WIDTHS)
    again = compile_model(model.graph, model.hyperparameters, model.source_widths, model.target_width)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(graph_data()), model(graph_data()))


def test_same_seed_gives_the_same_weights_and_outputs():
    graph, _ = reference("interaction")
    outputs = []
    for _ in range(2):
        torch.manual_seed(7)
        outputs.append(compile_model(graph, HYPER, WIDTHS)(graph_data()))
    assert torch.equal(*outputs)


def test_shape_of_the_output():
    step = mlp("f", (0, 1), "y", 2)
    data = graph_data()
    assert compile_model(one_step(step), HYPER, WIDTHS)(data).shape == (40,)
    assert compile_model(one_step(step), HYPER, WIDTHS, target_width=3)(data).shape == (40, 3)
    types = (HITS, DOUBLET, DataType("y", "edge", TARGET), DataType("z", "graph", HIDDEN))
    steps = (mlp("f", (1,), "y", 2), mlp("lift", (2,), "e", 1), Step("read", "readout", (3,), "z"))
    types = (*types, DataType("e", "edge", HIDDEN))
    both = ComputationGraph(types, ("hits", "doublet"), steps, (), (2, 4))
    scores, summary = compile_model(both, HYPER, WIDTHS)(Batch.from_data_list([data, data]))
    assert scores.shape == (80,)
    assert summary.shape == (2, 8)


def test_sources_that_nothing_reads_are_not_needed():
    model = compile_model(one_step(mlp("f", (0,), "y", 2)), HYPER, {"hits": 3})
    data = graph_data()
    del data.edge_attr
    assert model(data).shape == (40,)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"x": None}, r"data.x: is missing; allowed: \[rows, 3\], for source hits of this network reads it"),
        ({"x": torch.zeros(12, 4)}, r"data.x: has width \[4\]; this network was made for width 3"),
        ({"edge_attr": torch.zeros(39, 5)}, "data.edge_attr: has 39 rows for 40 edges"),
        ({"x": torch.zeros(12, 3, dtype=torch.int64)}, "data.x: is torch.int64; allowed: floating point numbers"),
        ({"edge_index": torch.full((2, 40), 12)}, "data.edge_index: index 12 is out of range; allowed: 0 … 11"),
    ],
)
def test_bad_data_is_named(fields, message):
    data = graph_data()
    for name, value in fields.items():
        data[name] = value
    if fields.get("x", 0) is None:
        data.num_nodes = 12
    with pytest.raises(InputError, match=message):
        compile_model(one_step(mlp("f", (0, 1), "y", 2)), HYPER, WIDTHS)(data)


def test_missing_numbers_are_named():
    graph = one_step(mlp("f", (0, 1), "y", 2))
    with pytest.raises(InputError, match="f: hidden: hyperparameter hidden has no value"):
        compile_model(graph, {}, WIDTHS)
    with pytest.raises(InputError, match="source doublet: its width is unknown"):
        compile_model(graph, HYPER, {"hits": 3})
    with pytest.raises(InputError, match="f: layers is 0; allowed: a whole number from 1"):
        deep = Step("f", "mlp", (0,), "y", (("layers", Hyperparameter("depth")),), "f")
        compile_model(one_step(deep), {"depth": 0}, WIDTHS)
    with pytest.raises(GraphError, match="hits: is the name of both a width and a hyperparameter"):
        compile_model(graph, HYPER | {"hits": 2}, WIDTHS)


def test_weights_need_a_name():
    with pytest.raises(GraphError, match="f: mlp has parameters, but the step names no weights"):
        compile_model(one_step(Step("f", "mlp", (0,), "y")), HYPER, WIDTHS)


@own_blocks()
def test_a_step_that_fails_is_named():
    signature = Signature("test_broken", lambda domains, output: None, lambda widths, parameters: None)

    @block(signature)
    class Broken(nn.Module):
        def __init__(self, inputs, output):
            super().__init__()

        def forward(self, values, run):
            raise ValueError("no luck\ntoday")

    model = compile_model(one_step(Step("try_it", "test_broken", (1, 0), "y", (), "t")), HYPER, WIDTHS)
    with pytest.raises(TrialError) as caught:
        model(graph_data())
    assert str(caught.value) == (
        "step y0 = try_it(doublet, hits), block test_broken: ValueError: no luck today; "
        "inputs doublet edge [5], hits node [3]; output edge [1]"
    )


class Products(TorchDispatchMode):
    """Counts the matrix products that read a tensor."""

    def __init__(self, watched: torch.Tensor) -> None:
        super().__init__()
        self.place = watched.data_ptr()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        product = func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)
        self.count += product and any(a.data_ptr() == self.place for a in args)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("iterations", [1, 4])
def test_what_a_loop_does_not_change_is_multiplied_once(iterations):
    types = (HITS, DOUBLET, DataType("x", "node", HIDDEN), DataType("e", "edge", HIDDEN),
             DataType("a", "node", HIDDEN), DataType("score", "edge", TARGET))  # fmt: skip
    steps = (
        mlp("encode", (0,), "x", 1),  # 2
        mlp("relate", (2, 1), "e", 2),  # 3
        Step("sum", "aggregate", (3,), "a"),  # 4
        mlp("update", (2, 4), "x", 2),  # 5
        mlp("classify", (2, 1), "score", 2),  # 6
    )
    graph = ComputationGraph(types, ("hits", "doublet"), steps, (BackEdge(5, 2, iterations),), (6,))
    data = graph_data()
    with Products(data.edge_attr) as products:
        compile_model(graph, HYPER, WIDTHS)(data)
    assert products.count == 2  # relate once, classify once


def test_a_head_made_inside_its_loop_is_made_once():
    """Two heads, x0 and x1 = f(x0): after pass 0 both are what the back edges carry, and f runs no more."""
    types = (HITS, DataType("x", "node", HIDDEN), DataType("score", "edge", TARGET))
    steps = (mlp("encode", (0,), "x", 1), mlp("f", (1,), "x", 2), mlp("g", (2,), "x", 2), mlp("read", (3,), "score", 1))
    looped = ComputationGraph(types, ("hits",), steps, (BackEdge(3, 1, 2), BackEdge(3, 2, 2)), (4,))
    rolled = mlp("g", (2,), "x", 2), mlp("g", (3,), "x", 2), mlp("g", (4,), "x", 2)
    flat = ComputationGraph(types, ("hits",), (*steps[:2], *rolled, mlp("read", (5,), "score", 1)), (), (6,))
    model, plain = compile_model(looped, HYPER, WIDTHS), compile_model(flat, HYPER, WIDTHS)
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(graph_data()), plain(graph_data()))


def waiting(graph: ComputationGraph, **hyperparameters: int) -> set[str]:
    """Functions whose last linear layer is left pending."""
    bound = shapes(graph, hyperparameters, WIDTHS)
    return {graph.steps[index].function for index in pending_steps(graph, bound, hyperparameters)}


def test_last_layers_wait_where_that_saves_products():
    assert waiting(reference("message_passing")[0], hidden=64) == {"message", "update"}
    assert waiting(reference("interaction")[0], hidden=64) == {"edge_update", "node_update"}
    assert waiting(reference("recursive_attention")[0], hidden=64) == set()  # activated, or targets


def test_last_layers_do_not_wait_where_that_costs_products():
    types = (HITS, DOUBLET, DataType("narrow", "edge", Width.of(2)), DataType("score", "edge", TARGET))
    for width, expected in ((2, set()), (64, {"squeeze"})):
        named = (*types[:2], DataType("narrow", "edge", Width.of(width)), types[3])
        steps = (mlp("squeeze", (1,), "narrow", 2, hidden=32), mlp("read", (2,), "score", 2, hidden=64))
        assert waiting(ComputationGraph(named, ("hits", "doublet"), steps, (), (3,))) == expected


def test_a_normalised_value_is_multiplied_out():
    types = (HITS, DataType("x", "node", HIDDEN), DataType("score", "edge", TARGET))
    steps = (mlp("encode", (0,), "x", 2), Step("normalise", "norm", (1,), "x", (), "n"), mlp("read", (2,), "score", 1))
    assert waiting(ComputationGraph(types, ("hits",), steps, (), (3,)), hidden=8) == set()
