"""Sketches from numbers of layers: any of them is a network, goes through its YAML, and runs."""

from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sketches import event, model_of

from archioptrx.core.errors import InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.sketches.builder import build
from archioptrx.graphs.sketches.sketch import Sketch

NODE = ["attention", "agg", "max", "GCNConv", "GATv2Conv", "SAGEConv"]


@settings(max_examples=40)
@given(st.data())
def test_any_numbers_give_a_network_that_runs(data):
    numbers = {
        "node_convolutions": data.draw(st.integers(0, 3)),
        "edge_convolutions": data.draw(st.integers(1, 3)),
        "graph_convolutions": data.draw(st.integers(0, 2)),
        "node_poolings": data.draw(st.integers(0, 1)),
        "edge_poolings": data.draw(st.integers(0, 1)),
        "graph_poolings": data.draw(st.integers(0, 1)),
    }
    count = numbers["node_convolutions"]
    methods = {"node_convolutions": data.draw(st.lists(st.sampled_from(NODE), min_size=count, max_size=count))}
    methods["node_poolings"] = data.draw(st.sampled_from(["topk", "diff"]))
    target = data.draw(st.sampled_from(["edge", "node", "graph"]))
    content = build(**numbers, methods=methods, target=target, iterations=data.draw(st.integers(1, 3)))
    read = Sketch.from_dict(yaml.safe_load(Sketch.from_dict(content).to_yaml()))
    assert read == Sketch.from_dict(content)
    architecture = Architecture.of_sketch(read)
    with torch.no_grad():
        assert model_of(architecture)(event()).shape[0] == {"edge": 30, "node": 12, "graph": 1}[target]


def test_the_numbers_are_those_of_the_network():
    content = build(3, 2, 1, 1, 1, 1, methods={"node_convolutions": ["attention", "GATConv", "mean"]})
    blocks = [step.block for step in Architecture.from_dict(content).graph.steps]
    assert [blocks.count(name) for name in ("attention", "aggregate", "readout", "pool", "unpool")] == [1, 1, 2, 2, 2]
    assert blocks.count("pyg") == 1 + 2  # and one on each smaller graph


def test_doublets_read_their_last_values_unless_these_only_weight_an_attention():
    features = {
        method: build(1, 2, methods={"node_convolutions": method})["architecture"]["edge2"]["features"]
        for method in ("mean", "attention")
    }
    assert features == {"mean": ["edge1"], "attention": ["doublet"]}


def test_iterations_make_a_loop_with_one_set_of_weights():
    once, thrice = (Architecture.from_dict(build(1, 1, iterations=n)) for n in (1, 3))
    assert [loop.iterations for loop in thrice.graph.loops] == [3] and not once.graph.loops
    assert {step.weights for step in thrice.graph.steps} == {step.weights for step in once.graph.steps}


def test_a_built_sketch_is_read_from_its_file(tmp_path: Path):
    content = build(1, 1, hyperparameters={"hidden": 8})
    path = tmp_path / "mine.yaml"
    path.write_text(Sketch.from_dict(content).to_yaml())
    assert Architecture.load(path) == Architecture.from_dict(content)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"node_convolutions": -1}, "node_convolutions: is -1; allowed: whole numbers from 0"),
        (
            {"methods": {"node_convolution": "mean"}},
            r"methods: has 'node_convolution'; allowed: .*mean node_convolutions",
        ),
        (
            {"methods": {"node_convolutions": "GATConf"}},
            "methods.node_convolutions: .* allowed: .*did you mean GATConv",
        ),
        (
            {"methods": {"node_convolutions": "unpool"}},
            "methods.node_convolutions: is 'unpool'; allowed: agg, attention",
        ),
        ({"methods": {"node_convolutions": ["mean"]}}, "methods.node_convolutions: has 1 for 2 layers"),
        ({"methods": {"node_convolutions": 3}}, "methods.node_convolutions: is 3; allowed: the name of a method, or a"),
        (
            {"methods": {"node_convolutions": ["mean", 3]}},
            "methods.node_convolutions: is .'mean', 3.; allowed: the name",
        ),
        ({"iterations": 0}, "^iterations: is 0; allowed: whole numbers from 1"),
        ({"iterations": "2"}, "^iterations: is '2'; allowed: whole numbers from 1"),
        ({"edge_convolutions": 0}, "no doublets have values to weight it; allowed: edge_convolutions from 1"),
        ({"node_poolings": 1, "methods": {"node_poolings": "top"}}, "is 'top'; allowed: diff, topk .did you mean topk"),
        ({"target": "hit"}, "target: is 'hit'; allowed: edge, graph, node"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments, message):
    with pytest.raises(InputError, match=message):
        build(**arguments)
