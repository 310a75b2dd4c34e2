"""Computation graphs: the rules, the printed form, plain data, the schedule of the talk's recursive network."""

import json
from dataclasses import replace

import pytest
import yaml

from archioptrx.core.errors import GraphError, InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import Hyperparameter, Width
from archioptrx.graphs.steps import BackEdge, DataType, Loop, Step
from archioptrx.sampling.samplers import RandomSampler

HIDDEN, HITS = Width.of("hidden"), Width.of("hits")
TYPES = (
    DataType("hits", "node", HITS, "x"),
    DataType("x", "node", HIDDEN),
    DataType("xs", "node", HIDDEN + HITS),
    DataType("score", "edge", Width.of("target")),
)
DEPTH = (("layers", Hyperparameter("depth")),)


def recursive() -> ComputationGraph:
    return ComputationGraph(
        types=TYPES,
        sources=("hits",),
        steps=(
            Step("encode", "mlp", (0,), "x", (("layers", 1),), "encode.0"),
            Step("shortcut", "concat", (1, 0), "xs"),
            Step("edge_net", "mlp", (2,), "score", DEPTH, "edge_net"),
            Step("attend", "attention", (2, 3), "x", DEPTH, "attend.0"),
        ),
        back_edges=(BackEdge(carried=4, head=1, iterations=4),),
        targets=(3,),
    )


def test_it_prints_as_a_person_would_write_it():
    assert str(recursive()) == (
        "x0 = encode(hits)                 node [hidden], layers=1\n"
        "5 passes, x0 <- x1 between:\n"
        "  xs0    = shortcut(x0, hits)     node [hidden + hits]\n"
        "  score0 = edge_net(xs0)          edge [target]\n"
        "  x1     = attend(xs0, score0)    node [hidden], not in the last pass\n"
        "-> score0"
    )


def test_the_recursive_network_of_the_talk():
    graph = recursive()
    assert graph.schedule == (0, Loop(heads=((1, 4),), iterations=4, forward=(1, 2), back=(3,)))
    assert (graph.executed, graph.rounds, graph.depth) == (1 + 5 * 2 + 4, 4, 3)
    assert graph.symbols == {"hidden", "depth"}
    graph.check_types()


def test_without_the_loop_what_is_only_for_it_is_pruned():
    graph = replace(recursive(), back_edges=()).pruned()
    assert [step.function for step in graph.steps] == ["encode", "shortcut", "edge_net"]
    assert graph.loops == ()


def test_a_back_edge_that_closes_no_loop_is_pruned():
    base = recursive()
    other = Step("encode", "mlp", (0,), "x", (("layers", 1),), "encode.1")
    graph = ComputationGraph(
        TYPES, ("hits",), (*base.steps, other), (BackEdge(carried=5, head=1, iterations=2),), (3,)
    ).pruned()
    assert graph.back_edges == ()
    assert len(graph.steps) == 3


def test_plain_data_and_networkx():
    graph = recursive()
    form = json.loads(json.dumps(graph.to_dict()))
    assert ComputationGraph.from_dict(form) == graph
    view = graph.to_networkx()
    assert view.nodes["score0"]["target"] and not view.nodes["xs0"]["target"]
    assert [d for *_, d in view.edges(data=True) if d["kind"] == "back"] == [{"kind": "back", "iterations": 4}]


def test_plain_data_of_sampled_graphs_round_trips(tracking):
    sampler = RandomSampler(tracking, 5)
    for number in range(300):
        graph = sampler.draw(number, 0).graph
        again = ComputationGraph.from_dict(yaml.safe_load(json.dumps(graph.to_dict())))
        assert again == graph
        assert again.fingerprint == graph.fingerprint
        assert str(again) == str(graph)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": (Step("encode", "mlp", (1,), "x"),)}, r"step 0 \(encode\): reads value 1; allowed: 0 to 0"),
        ({"steps": (Step("encode", "mlq", (0,), "x"),)}, r"block: is 'mlq'; allowed: add, .* \(did you mean mlp\?\)"),
        ({"steps": (Step("encode", "mlp", (0,), "y"),)}, "type: is 'y'; allowed: hits, score, x, xs"),
        ({"targets": (0,)}, "target: is value 0; allowed: results of steps, 1 to 4"),
        ({"targets": (3, 3)}, "allowed: one or more different values"),
        ({"targets": ()}, "allowed: one or more different values"),
        ({"back_edges": (BackEdge(4, 9, 1),)}, "back edge: is value 9"),
        ({"back_edges": (BackEdge(3, 1, 1),)}, "allowed: two different values of one type"),
        ({"back_edges": (BackEdge(4, 1, 0),)}, "1 iteration or more"),
        ({"back_edges": (BackEdge(4, 1, 1), BackEdge(4, 1, 1))}, "one a head"),
        ({"back_edges": (BackEdge(1, 1, 1),)}, "two different values"),
    ],
)
def test_a_broken_rule_is_named(change, message):
    with pytest.raises(GraphError, match=message):
        replace(recursive(), **change)


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("params", {"layers": 0}, "xs0 = edge_net: layers is 0; allowed: a whole number from 1"),
        ("params", {"depth": 1}, "edge_net: mlp has no parameter depth"),
        ("block", "gru", "edge_net: gru has no parameter layers"),
        ("block", "mlpp", "g: steps[2].block: is 'mlpp'"),
        ("inputs", ["nothing"], "g: steps[2].inputs: no earlier value is named 'nothing'; allowed: hits, x0, xs0"),
        ("value", "xs0", "g: steps[2].value: is 'xs0', which stands for an earlier value"),
        ("colour", "red", "g: steps[2].colour: is unknown"),
    ],
)
def test_faults_of_a_file_are_told_in_one_line(key, value, fault):
    form = recursive().to_dict()
    form["steps"][2][key] = value
    with pytest.raises(InputError) as error:
        ComputationGraph.from_dict(form, "g")
    assert fault.removeprefix("xs0 = ") in str(error.value)
    assert all("\n" not in line for line in error.value.faults)


def test_widths_that_do_not_fit_are_named():
    form = recursive().to_dict()
    form["types"]["xs"]["width"] = {"hidden": 2}
    with pytest.raises(InputError, match=r"xs0 = shortcut: gives width hidden \+ hits; allowed: 2\*hidden"):
        ComputationGraph.from_dict(form, "g")


def test_an_architecture_file_is_complete(tmp_path):
    architecture = Architecture(recursive(), {"hidden": 64, "depth": 4}, "mine", "about it")
    architecture.save(tmp_path / "a.yaml")
    read = Architecture.load(tmp_path / "a.yaml")
    assert read == architecture
    assert (read.name, read.about, read.trace) == ("mine", "about it", None)
    assert f"# fingerprint {architecture.graph.fingerprint}" in (tmp_path / "a.yaml").read_text()


def test_an_architecture_without_a_value_for_a_symbol_is_refused():
    form = Architecture(recursive(), {"hidden": 64}).to_dict()
    with pytest.raises(InputError, match=r"a\.yaml: hyperparameters\.depth: is missing, the graph refers to it"):
        Architecture.from_dict(form, "a.yaml")
