"""Sketch files: the network that they outline, their grammar, what is said of a wrong one."""

import random
import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from literal_sketches import Literal, random_sketch
from reference_networks import reference
from torch_geometric.data import Data

from archioptrx.core.errors import InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.sketches.layer import SketchLayer
from archioptrx.graphs.sketches.methods import BUILDABLE, CONVOLUTIONS, POOLINGS, SOURCES
from archioptrx.graphs.sketches.sketch import Sketch
from archioptrx.networks.compile import compile_model

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "sketch.yaml"
WIDTHS = {"hits": 3, "doublet": 5}


def event(hits: int = 12, doublets: int = 30) -> Data:
    generator = torch.Generator().manual_seed(7)
    return Data(
        x=torch.randn(hits, 3, generator=generator, dtype=torch.float64),
        edge_index=torch.randint(0, hits, (2, doublets), generator=generator),
        edge_attr=torch.randn(doublets, 5, generator=generator, dtype=torch.float64),
    )


def model_of(architecture: Architecture) -> torch.nn.Module:
    torch.manual_seed(1)
    return compile_model(architecture.graph, architecture.hyperparameters, WIDTHS).double()


def sketch(pipeline: list[str], loops: dict | None = None, **layers: dict) -> dict:
    """A sketch of the talk's layers, of which some are others."""
    talk = yaml.safe_load(EXAMPLE.read_text())["architecture"] | layers
    names = {*pipeline, *(name for loop in (loops or {}).values() for name in loop["pipeline"])}
    used = {name: layer for name, layer in talk.items() if name in names}
    return {"pipeline": pipeline, "architecture": used, "loops": loops or {}}


def network(*args, **layers):
    return Architecture.from_dict(sketch(*args, **layers)).graph


def fault(content: dict) -> str:
    with pytest.raises(InputError) as caught:
        Architecture.from_dict(content, "mine.yaml")
    assert len(caught.value.faults) == 1, caught.value
    return str(caught.value)


def test_the_talks_example_is_the_recursive_attention_network():
    ours, reference_ = Architecture.load(EXAMPLE), Architecture.load("attention_recursive")
    assert ours.graph.fingerprint == reference_.graph.fingerprint
    assert ours.hyperparameters == reference_.hyperparameters
    assert ours.graph.executed == reference_.graph.executed  # no step runs twice


def test_with_equal_weights_it_gives_what_the_network_written_by_hand_gives():
    ours = Architecture.load(EXAMPLE)
    model = compile_model(ours.graph, ours.hyperparameters | {"hidden": 8}, WIDTHS).double()
    plain = reference("recursive_attention", hidden=8, iterations=4)[1].double()
    names = {"input": "encode", "edgenet": "edge_net.0", "nodenet": "attend.0"}
    state = {}
    for name, tensor in model.state_dict().items():
        layer, _, rest = name.partition(".")
        state[f"{names[layer]}.{rest}"] = tensor
    plain.load_state_dict(state)  # none is missing or left over: edgenet has one set inside and behind the loop
    data = event()
    torch.testing.assert_close(model(data), plain(data), rtol=0, atol=1e-10)


REFUSED = r"hasn't run yet|: reads .*, elsewhere|: its value|don't agree| names '|: has '|stands in no pipeline"
"""What is said of random sketches that no network could follow; any other refusal is a fault of ours."""


@settings(max_examples=150)
@given(st.randoms(use_true_random=False))
def test_a_sketch_computes_what_it_says_literally(rng: random.Random):
    """Loops as they stand, layer by layer, in plain torch, against the network with back edges."""
    content = random_sketch(rng)
    try:
        architecture = Architecture.from_dict(content)
    except InputError as error:
        assert re.search(REFUSED, str(error)), error
        assume(False)
    model, data = model_of(architecture), event()
    literal = Literal(content, model.state_dict())
    torch.testing.assert_close(model(data), literal(data), rtol=0, atol=1e-9)
    assert len(architecture.graph.steps) <= 4 * literal.runs


ROUND = {
    "relate": {"type": "edge", "convolution": "end_concatenation", "features": ["doublet"], "mlp": True},
    "score": {"type": "edge", "convolution": "end_concatenation", "features": ["doublet"], "mlp": True},
}
TALK = {"loop1": {"pipeline": ["edgenet", "nodenet", "shortcut"], "iterations": 4}}


@pytest.mark.parametrize(
    ("pipeline", "loop"),
    [
        (["input", "loop1", "shortcut", "edgenet"], ["shortcut", "edgenet", "nodenet"]),
        (["input", "shortcut", "edgenet", "loop1"], ["nodenet", "shortcut", "edgenet"]),
    ],
)
def test_it_makes_no_difference_where_a_loop_begins(pipeline, loop):
    turned = network(pipeline, {"loop1": {"pipeline": loop, "iterations": 4}})
    assert turned.fingerprint == Architecture.load("attention_recursive").graph.fingerprint


def test_the_number_of_iterations_counts():
    fewer = network(["input", "shortcut", "loop1", "edgenet"], {"loop1": TALK["loop1"] | {"iterations": 3}})
    assert fewer.fingerprint != Architecture.load("attention_recursive").graph.fingerprint
    assert [loop.iterations for loop in fewer.loops] == [3]


def test_a_loop_whose_parts_depend_one_way_is_written_out():
    """The sums read each turn's hits, the hits never the sums: as back edges one loop would run after the other."""
    layers = {
        "grow": {"type": "node", "mlp": True},
        "start": {"type": "edge", "mlp": True},
        "sum_up": {"type": "edge", "convolution": "end_concatenation", "features": ["edge"], "mlp": True},
        "score": {"type": "edge", "mlp": True},
    }
    loops = {"loop1": {"pipeline": ["grow", "sum_up"], "iterations": 3}}
    graph = network(["input", "start", "loop1", "score"], loops, **layers)
    assert graph.loops == ()
    assert [step.function for step in graph.steps].count("sum_up") == 3


def test_a_loop_that_is_written_out_may_be_longer_than_a_stack_is_deep():
    layers = {
        "grow": {"type": "node", "mlp": True},
        "start": {"type": "edge", "mlp": True},
        "fade": {"type": "edge", "mlp": True},
        "score": {"type": "edge", "convolution": "end_concatenation", "features": ["edge"], "mlp": True},
    }
    loops = {"loop1": {"pipeline": ["grow", "fade"], "iterations": 1200}}
    graph = network(["input", "start", "loop1", "score"], loops, **layers)
    assert [step.function for step in graph.steps].count("fade") == 1200


def test_what_a_loop_made_last_is_seen_behind_it():
    """`relate` is no head, nothing reads it in the next turn: its last value is that of the last turn."""
    tell = {"type": "edge", "features": ["relate"], "mlp": True}
    pull = {"type": "node", "convolution": {"mean": "relate"}, "mlp": {"layers": 2}}
    loops = {"loop1": {"pipeline": ["relate", "pull"], "iterations": 3}}
    graph = network(["input", "loop1", "tell"], loops, relate=ROUND["relate"], tell=tell, pull=pull)
    times = {step.function: graph.passes[index] for index, step in enumerate(graph.steps)}
    assert (times["relate"], times["pull"], times["tell"]) == (3, 2, 1)  # the third `pull` is seen by nobody


def test_a_name_has_one_set_of_weights_and_another_name_has_its_own():
    same = network(["input", "edgenet", "nodenet", "edgenet"])
    assert [step.weights for step in same.steps] == ["input", "edgenet", "nodenet", "edgenet"]
    last = {"type": "edge", "convolution": "end_concatenation", "mlp": True}
    other = network(["input", "edgenet", "nodenet", "classify"], classify=last)
    assert other.steps[-1].weights == "classify"


@pytest.mark.parametrize(
    ("mlp", "params"),
    [
        (True, {"layers": "depth", "activation": "activation"}),
        (None, {"layers": "depth", "activation": "activation"}),
        (3, {"layers": 3, "activation": "activation"}),
        ([16, 16], {"layers": 3, "hidden": 16, "activation": "activation"}),
        ([], {"layers": 1}),
        ({"layers": {"hyperparameter": "d"}}, {"layers": "d", "activation": "activation"}),
    ],
)  # fmt: skip
def test_the_forms_of_a_perceptron(mlp, params):
    layer = {"type": "edge", "convolution": "end_concatenation", "mlp": mlp}
    content = sketch(["input", "edgenet"], edgenet=layer) | {"hyperparameters": {"d": 2}}
    step = Architecture.from_dict(content).graph.steps[-1]
    assert {key: getattr(value, "name", value) for key, value in step.params} == params


def test_sizes_that_differ_become_a_step_each():
    layer = {"type": "edge", "convolution": "end_concatenation", "mlp": [16, 8]}
    steps = network(["input", "edgenet"], edgenet=layer).steps
    assert [step.weights for step in steps] == ["input", "edgenet.mlp0", "edgenet.mlp1", "edgenet.mlp2"]


@pytest.mark.parametrize(
    ("layer", "blocks"),
    [
        ({"convolution": "agg", "mlp": True}, ["aggregate", "mlp"]),
        ({"convolution": {"max": "relate"}}, ["aggregate", "concat"]),
        ({"convolution": {"attention": "relate"}, "features": ["input"], "mlp": True}, ["concat", "attention"]),
        ({"features": ["relate", "hits"], "mlp": True}, ["aggregate", "mlp"]),
        ({"convolution": "GCNConv"}, ["pyg"]),
        ({"convolution": {"GATConv": {"heads": 2}}, "features": ["doublet"], "mlp": True}, ["pyg", "mlp"]),
        ({"convolution": {"shortcut_addition": "input"}, "mlp": True}, ["add", "mlp"]),
        ({"convolution": {"shortcut_gru": "input"}}, ["gru"]),
        ({"convolution": "shortcut_concatenation", "features": ["doublet"], "mlp": True}, ["aggregate", "mlp"]),
    ],
)
def test_each_method_of_a_hits_layer(layer, blocks):
    architecture = Architecture.from_dict(
        sketch(["input", "relate", "tell", "score"], tell={"type": "node"} | layer, **ROUND)
    )
    assert [step.block for step in architecture.graph.steps if step.function.startswith("tell")] == blocks
    assert model_of(architecture)(event()).shape == (30,)


@pytest.mark.parametrize("pooling", ["agg", "mean", "std"])
def test_the_pooling_of_an_edge_layer_says_how_hits_take_its_values(pooling):
    layers = ROUND | {
        "relate": ROUND["relate"] | {"pooling": pooling},
        "tell": {"type": "node", "convolution": "agg", "mlp": True},
    }
    steps = network(["input", "relate", "tell", "score"], **layers).steps
    assert dict(steps[2].params)["reduce"] == {"agg": "sum"}.get(pooling, pooling)


def test_the_event_is_told_to_its_hits():
    whole = {"type": "graph", "convolution": "mean", "mlp": True}
    back = {"type": "node", "features": ["node", "graph"]}
    architecture = Architecture.from_dict(sketch(["input", "whole", "back", "score"], whole=whole, back=back, **ROUND))
    assert [s.block for s in architecture.graph.steps] == ["mlp", "readout", "mlp", "broadcast", "concat", "mlp"]
    assert model_of(architecture)(event()).shape == (30,)


@pytest.mark.parametrize("pooling", ["topk", {"topk": {"ratio": 0.7}}, "edge", {"diff": {"clusters": 4}}])
def test_hits_are_pooled_and_led_back(pooling):
    small = {"type": "node", "pooling": pooling, "mlp": True}
    inner = {"type": "node", "convolution": "GraphConv"}
    up = {"type": "node", "convolution": "unpool", "features": ["input"], "mlp": True}
    layers = {"small": small, "inner": inner, "up": up, **ROUND}
    architecture = Architecture.from_dict(sketch(["input", "small", "inner", "up", "score"], **layers))
    blocks = ["mlp", "mlp", "pool", "pyg", "unpool", "mlp", "mlp"]
    assert [step.block for step in architecture.graph.steps] == blocks
    assert model_of(architecture)(event()).shape == (30,)


def test_hyperparameters_that_are_left_out_have_usual_values():
    assert Architecture.from_dict(sketch(["input", "edgenet"])).hyperparameters == {
        "hidden": 32, "depth": 2, "activation": "relu",
    }  # fmt: skip


def test_a_sketch_is_its_yaml():
    read = Sketch.from_dict(yaml.safe_load(EXAMPLE.read_text()))
    assert Sketch.from_dict(yaml.safe_load(read.to_yaml())) == read


def layer(**keys) -> dict:
    return sketch(
        ["input", "edgenet"], edgenet={"type": "edge", "convolution": "end_concatenation", "mlp": True} | keys
    )


def node(**keys) -> dict:
    return sketch(["input", "edgenet", "nodenet", "edgenet"], nodenet={"type": "node"} | keys)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (layer(convolution="end_concatination"),
         "mine.yaml: architecture.edgenet.convolution: is 'end_concatination'; allowed: end_concatenation, "
         "shortcut_addition, shortcut_concatenation, shortcut_gru (did you mean end_concatenation?)"),
        (node(convolution="attenshun"),
         "mine.yaml: architecture.nodenet.convolution: is 'attenshun'; allowed: agg, attention, max, mean, "
         "shortcut_addition, shortcut_concatenation, shortcut_gru, softmax, std, sum, unpool, or a convolution of "
         "torch_geometric.nn by its class name, such as GATConv (did you mean attention?)"),
        (layer(pooling="aggr"),
         "mine.yaml: architecture.edgenet.pooling: is 'aggr'; allowed: agg, max, mean, softmax, std, sum "
         "(did you mean agg?)"),
        (layer(type="nod"),
         "mine.yaml: architecture.edgenet.type: is 'nod'; allowed: edge, graph, node (did you mean node?)"),
        (node(convolution={"attention": "edgnet"}, mlp=True),
         "mine.yaml: architecture.nodenet.convolution: attention names 'edgnet'; allowed: edgenet "
         "(did you mean edgenet?)"),
        (node(convolution="attention", mlp=True),
         "mine.yaml: architecture.nodenet.convolution: is an attention to nothing; allowed: {attention: NAME} with the "
         "name of an edge layer"),
        (node(convolution={"attention": "edgenet"}),
         "mine.yaml: architecture.nodenet.mlp: is missing, and an attention has one; "
         "allowed: mlp: true, the usual one, or a mapping"),
        (layer(mlp="no"), "mine.yaml: architecture.edgenet.mlp: is 'no'; allowed: true or false or a whole number or "
         "a list or a mapping or null"),
        (layer(mlp={"layer": 3}), "mine.yaml: architecture.edgenet.mlp.layer: is unknown; allowed: activation, "
         "dropout, hidden, layers, norm, output_activation (did you mean layers?)"),
        (layer(mlp=False), "mine.yaml: architecture.edgenet: node values don't become edge values by themselves; "
         "allowed: mlp: true"),
        (layer(features=["doublets"]),
         "mine.yaml: architecture.edgenet.features: has 'doublets'; allowed: doublet, edge, edgenet, graph, hits, "
         "input, learned, node, place (did you mean doublet?)"),
        (layer() | {"pipeline": ["input", "edge_net"]},
         "mine.yaml: pipeline: nothing is named 'edge_net'; allowed: edgenet, input (did you mean edgenet?)\n"
         "mine.yaml: architecture.edgenet: stands in no pipeline"),
        (sketch(["input", "shortcut"]),
         "mine.yaml: architecture.shortcut: runs last but gives node [hidden + hits]; allowed: as wide as the task "
         "needs, by mlp: true"),
        (sketch(["input", "nodenet", "edgenet"]),
         "mine.yaml: architecture.nodenet: edgenet hasn't run yet; allowed: names before it in the pipeline"),
        (sketch(["input", "shortcut", "edgenet", "nodenet", "edgenet"]),
         "mine.yaml: architecture.edgenet: reads node [hidden], elsewhere node [hidden + hits]; allowed: the same, or "
         "a layer of its own name"),
        (sketch(["input", "loop1", "edgenet"], {"loop1": {"pipeline": ["shortcut"], "iterations": 2}}),
         "mine.yaml: loops.loop1: its value node is node [hidden] at first, then node "
         "[hidden + hits]; allowed: the same in all iterations"),
        (sketch(["input", "loop1"], {"loop1": {"pipeline": ["loop1", "edgenet"], "iterations": 2}}),
         "mine.yaml: loops.loop1: runs inside itself; allowed: layers and other loops"),
        (sketch(["input", "loop1"], {"loop1": {"pipeline": ["edgenet"]}}),
         "mine.yaml: loops.loop1.iterations: is missing"),
    ],
)  # fmt: skip
def test_a_fault_is_a_line_that_names_what_is_legal(content, message):
    with pytest.raises(InputError) as caught:
        Architecture.from_dict(content, "mine.yaml")
    assert str(caught.value).startswith(message)
    assert len(caught.value.faults) == message.count("\n") + 1


def layered(pipeline) -> dict:
    loops = {"loop1": {"pipeline": pipeline, "iterations": 2}}
    return {**sketch(["input", "edgenet"]), "pipeline": ["input", "loop1", "edgenet"], "loops": loops}


@pytest.mark.parametrize("pipeline", ["input", None, [], [1]])
def test_a_pipeline_that_is_no_list_of_names_is_one_fault(pipeline):
    for content, place in [
        ({**sketch(["input", "edgenet"]), "pipeline": pipeline}, "pipeline"),
        (layered(pipeline), "loops.loop1.pipeline"),
    ]:
        with pytest.raises(InputError) as caught:
            Architecture.from_dict(content, "mine.yaml")
        (fault,) = caught.value.faults
        assert fault.startswith(f"mine.yaml: {place}: is {pipeline!r}; allowed: a list")


def test_an_unknown_class_of_torch_geometric_names_the_known_ones():
    text = fault(node(convolution="GATConf"))
    assert "no convolution of torch_geometric.nn; allowed: " in text
    assert "GraphConv" in text and "did you mean GATConv?" in text


def test_the_convolutions_of_torch_geometric_are_those_that_the_block_takes():
    assert {"GCNConv", "GATv2Conv", "GINEConv"} <= set(BUILDABLE)
    layer = {"type": "node", "convolution": {"GATConv": {"heads": 2, "direction": "in"}}}
    (step,) = (step for step in network(["input", "tell"], tell=layer).steps if step.block == "pyg")
    assert dict(step.params) == {"conv": "GATConv", "arguments": (("heads", 2),), "direction": "in"}
    assert fault(node(convolution="HANConv")).startswith("mine.yaml: x1 = ")
    text = fault(node(convolution={"GATConv": {"heads": "two"}}))
    assert "GATConv: heads: is 'two'; allowed: a whole number from 1" in text


def test_the_documentation_names_every_key_and_method():
    text = (ROOT / "docs/sketches.md").read_text(encoding="utf-8")
    words = {name for names in (*CONVOLUTIONS.values(), *POOLINGS.values(), SOURCES) for name in names}
    words |= {field.name for field in fields(SketchLayer)} - {"name", "of", "arguments", "options"}
    words |= {field.name for field in fields(Sketch)} - {"layers", "content", "place"}
    printed = set(
        re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))))
    )
    assert words - printed == set()
    shown = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert yaml.safe_load(shown[1]) == {k: v for k, v in yaml.safe_load(EXAMPLE.read_text()).items() if k != "name"}


def test_the_documentation_shows_a_builder_that_works(tmp_path, monkeypatch):
    text = (ROOT / "docs/sketches.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], {})
    assert Architecture.load("mine.yaml").graph.rounds > 3
