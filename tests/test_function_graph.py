"""Function graphs: both forms, the inference of widths, and every fault by its message."""

from dataclasses import replace

import networkx as nx
import pytest
import yaml

from archioptrx.core.config import bundled_names, parse_yaml
from archioptrx.core.errors import InputError
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.nodes import DataNode, FunctionNode
from archioptrx.graphs.signatures import Choice, Hyperparameter

TEXT = """
name: attention
data:
  hits:    {domain: node, field: x}
  doublet: {domain: edge, field: edge_attr}
  x:       {domain: node, width: {hyperparameter: hidden}, merge: [add, concat]}
  xs:      {domain: node}
  score:   {domain: edge, width: target, merge: [add]}
functions:
  encode:   {block: mlp, inputs: [hits], output: x, params: {layers: 1}}
  shortcut: {block: concat, inputs: [x, hits], output: xs}
  edge_net: {block: mlp, inputs: [xs], output: score, params: {layers: 4}, weights: shared}
  edge_geo: {block: mlp, inputs: [xs, doublet], output: score, params: {layers: {choice: [2, 3]}}, weight: 2.0}
  attend:   {block: attention, inputs: [xs, score], output: x, params: {layers: {hyperparameter: depth}}}
sources: [hits, doublet]
targets: [score]
"""


def build(text: str) -> FunctionGraph:
    return FunctionGraph.from_dict(parse_yaml(text, "f.yaml"), "f.yaml")


def faults_of(old: str, new: str) -> list[str]:
    assert old in TEXT
    with pytest.raises(InputError) as error:
        build(TEXT.replace(old, new))
    return list(error.value.faults)


@pytest.mark.parametrize("name", bundled_names("function_graphs"))
def test_both_forms_of_the_bundled_graphs_round_trip(name):
    graph = FunctionGraph.load(name)
    again = FunctionGraph.from_dict(yaml.safe_load(graph.to_yaml()))
    assert again == graph
    assert again.digest == graph.digest
    assert graph.name == name
    assert "#" in bundled_text(name).splitlines()[0]


def bundled_text(name: str) -> str:
    from archioptrx.core.config import bundled

    return bundled("function_graphs", name).read_text(encoding="utf-8")


def test_the_python_form_is_the_yaml_form():
    graph = FunctionGraph(
        name="attention",
        data=(
            DataNode("hits", "node", field="x"),
            DataNode("doublet", "edge", field="edge_attr"),
            DataNode("x", "node", Hyperparameter("hidden"), merge=("add", "concat")),
            DataNode("xs", "node"),
            DataNode("score", "edge", "target"),
        ),
        functions=(
            FunctionNode("encode", "mlp", ("hits",), "x", params=(("layers", 1),)),
            FunctionNode("shortcut", "concat", ("x", "hits"), "xs"),
            FunctionNode("edge_net", "mlp", ("xs",), "score", (("layers", 4),), weights="shared"),
            FunctionNode("edge_geo", "mlp", ("xs", "doublet"), "score", (("layers", Choice((2, 3))),), weight=2.0),
            FunctionNode("attend", "attention", ("xs", "score"), "x", (("layers", Hyperparameter("depth")),)),
        ),
        sources=("hits", "doublet"),
        targets=("score",),
    )
    assert graph == build(TEXT)
    assert graph.digest == build(TEXT).digest


def test_widths_are_inferred_and_hyperparameters_found():
    graph = build(TEXT)
    assert {name: str(width) for name, width in graph.width.items()} == {
        "hits": "hits",
        "doublet": "doublet",
        "x": "hidden",
        "xs": "hidden + hits",
        "score": "target",
    }
    assert graph.hyperparameters == ("depth", "hidden")
    assert graph.width["xs"].bind({"hidden": 64, "hits": 3}) == 67


def test_the_networkx_view_is_bipartite():
    view = build(TEXT).to_networkx()
    kinds = nx.get_node_attributes(view, "kind")
    assert all(kinds[a] != kinds[b] for a, b in view.edges)
    assert view.edges["hits", ("shortcut",)]["slot"] == 1


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        (
            "block: attention",
            "block: atention",
            ["f.yaml: functions.attend.block: is 'atention'; allowed: add, aggregate, attention, broadcast, concat, "
             "gate, gru, identity, mean, mlp, norm, pool, pyg, readout, unpool (did you mean attention?)"],
        ),
        ("width: target", "witdh: target", ["f.yaml: data.score.witdh: is unknown; allowed: domain, field, merge, width (did you mean width?)"]),
        ("domain: edge, width", "domain: egde, width", ["f.yaml: data.score.domain: is 'egde'; allowed: edge, graph, node, pooled, triplet (did you mean edge?)"]),
        ("inputs: [xs, score]", "inputs: [xs, scores]", ["f.yaml: functions.attend.inputs: no data node is named 'scores'; allowed: doublet, hits, score, x, xs (did you mean score?)"]),
        ("inputs: [xs, score]", "inputs: [xs, x]", ["f.yaml: functions.attend: attention can't take node and node to node; allowed: node and edge to node, edge and triplet to edge"]),
        ("inputs: [xs, score]", "inputs: [xs]", ["f.yaml: functions.attend: attention takes 2 inputs (values, logits of the rung above), not 1"]),
        ("layers: 4", "layres: 4", ["f.yaml: functions.edge_net.params.layres: mlp has no such parameter; allowed: activation, dropout, hidden, layers, norm, output_activation (did you mean layers?)"]),
        ("layers: 4", "layers: 0", ["f.yaml: functions.edge_net.params.layers: is 0; allowed: a whole number from 1"]),
        ("layers: 4", "dropout: 1.0", ["f.yaml: functions.edge_net.params.dropout: is 1.0; allowed: a number from 0 below 1"]),
        ("layers: 4", "activation: rely", ["f.yaml: functions.edge_net.params.activation: is 'rely'; allowed: elu, gelu, leaky_relu, none, relu, sigmoid, silu, tanh (did you mean relu?)"]),
        ("choice: [2, 3]", "choice: []", ["f.yaml: functions.edge_geo.params.layers.choice: is empty; allowed: a list of values"]),
        ("choice: [2, 3]", "choice: [2, x]", ["f.yaml: functions.edge_geo.params.layers: is 'x'; allowed: a whole number from 1"]),
        ("xs:      {domain: node}", "xs:      {domain: node, width: 8}", ["f.yaml: functions.shortcut: gives width hidden + hits, but data node xs has 8"]),
        ("x:       {domain: node, width: {hyperparameter: hidden}", "x:       {domain: node", ["f.yaml: data.x.width: is missing and can't be inferred; allowed: a whole number, target, {hyperparameter: NAME}",
         "f.yaml: data.xs.width: is missing and can't be inferred; allowed: a whole number, target, {hyperparameter: NAME}"]),
        ("{hyperparameter: hidden}", "{hyperparameter: hits}", ["f.yaml: data.x.width: the hyperparameter hits has the name of a source or of the target's width"]),
        ("hits:    {domain: node, field: x}", "hits:    {domain: node}", ["f.yaml: data.hits.field: is missing; allowed: the field of the data set that fills this source (x, edge_attr …)"]),
        ("sources: [hits, doublet]", "sources: [hits]", ["f.yaml: data.doublet.field: is 'edge_attr'; allowed: for sources only (add doublet to sources?)"]),
        ("targets: [score]", "targets: [scores]", ["f.yaml: targets: no data node is named 'scores'; allowed: doublet, hits, score, x, xs (did you mean score?)"]),
        ("targets: [score]", "targets: [hits]", ["f.yaml: targets: hits is a source; allowed: a data node that functions produce"]),
        ("targets: [score]", "targets: []", ["f.yaml: targets: is empty; allowed: one data node or more"]),
        ("output: x, params: {layers: 1}", "output: hits, params: {layers: 1}", ["f.yaml: functions.encode.output: hits is a source; allowed: a data node that the data set doesn't fill"]),
        ("inputs: [hits], output: x", "inputs: [score], output: x", ["f.yaml: functions.encode: mlp can't turn edge values into node values; allowed: aggregate it first"]),
        ("inputs: [hits], output: x", "inputs: [xs], output: x", [
            "f.yaml: data.x: can't be made from the sources: encode needs xs, attend needs xs, attend needs score",
            "f.yaml: data.xs: can't be made from the sources: shortcut needs x",
            "f.yaml: targets: no walk can reach score: edge_net needs xs, edge_geo needs xs"]),
        ("  score:   {", "  spare:   {domain: node, width: 3}\n  score:   {", ["f.yaml: data.spare: can't be made from the sources: nothing produces it; allowed: a function with this output, or a source"]),
        ("weights: shared", "weights: tied", ["f.yaml: functions.edge_net.weights: is 'tied'; allowed: own, shared"]),
        ("merge: [add]", "merge: [sum]", ["f.yaml: data.score.merge: has 'sum'; allowed: add, concat"]),
    ],
)  # fmt: skip
def test_every_fault_is_told_in_one_line(old, new, faults):
    assert faults_of(old, new) == faults


def test_any_data_node_that_is_made_may_be_the_target():
    assert build(TEXT.replace("targets: [score]", "targets: [xs]")).targets == ("xs",)


def test_several_faults_are_told_at_once():
    faults = faults_of("layers: 4}, weights: shared", "layers: 0, norm: 3}, weights: shared")
    assert len(faults) == 2


def test_a_data_node_that_leads_nowhere_is_a_fault():
    graph = build(TEXT)
    aside = (DataNode("aside", "node", 3),)
    with pytest.raises(InputError, match=r"data\.aside: nothing uses it; allowed: each data node leads to a target"):
        replace(
            graph, data=graph.data + aside, functions=(*graph.functions, FunctionNode("f", "mlp", ("hits",), "aside"))
        )


def test_names_must_be_names_and_stand_once():
    graph = build(TEXT)
    with pytest.raises(InputError, match="encode: stands for several nodes; allowed: one node a name"):
        graph.with_functions(FunctionNode("encode", "mlp", ("hits",), "x"))
    with pytest.raises(InputError, match="'a b': is no name"):
        graph.with_functions(FunctionNode("a b", "mlp", ("hits",), "x"))
