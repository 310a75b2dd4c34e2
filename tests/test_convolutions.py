"""The block `pyg`: facts on the classes of torch_geometric, each class as a block, and faults that are found early."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from convolutions import BUILDABLE, OTHER, WIDTH, arguments, cases, shapes
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import conv as library

from archioptrx.core.errors import GraphError, InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.literals import frozen, thawed
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.graphs.signatures import SIGNATURES, Shape, Width
from archioptrx.graphs.signatures.convolutions import CONVOLUTIONS, EDGE_KEYWORDS, REQUIRED, PerceptronWidths
from archioptrx.graphs.signatures.domains import Kind
from archioptrx.graphs.steps import DataType, Step
from archioptrx.networks.blocks import ForwardPass, Topology, Value, build
from archioptrx.sampling.samplers import RandomSampler
from archioptrx.sampling.samplers.features import graph_features
from archioptrx.sampling.search_space import Grid, SearchSpace
from archioptrx.sampling.walk import WalkSpace

DOCS = Path(__file__).resolve().parents[1] / "docs"
sys.path.append(str(DOCS))

OWN_PARAMETERS = {"self", "args", "kwargs", "nn", "phi", "global_nn", "attn_nn", "act", "act_kwargs", "num_relations"}
"""Parameters of classes that take a module or function, or types of edges."""
FOR_A_LOSS = {"neg_sample_ratio", "edge_sample_ratio", "is_undirected"}
"""Parameters of SuperGATConv for a loss that the tasks don't have."""


def test_every_class_of_torch_geometric_is_known() -> None:
    assert set(CONVOLUTIONS) == {*library.__all__} - {"MessagePassing"}


@pytest.mark.parametrize("name", BUILDABLE)
def test_the_facts_are_those_of_the_class(name: str) -> None:
    facts, known = CONVOLUTIONS[name], inspect.signature(getattr(library, name).__init__).parameters
    fed = inspect.signature(getattr(library, name).forward).parameters
    for argument in facts.arguments:
        if argument.name not in known:
            assert argument.name == "aggr" and "kwargs" in known
        elif argument.name not in (facts.perceptrons or {}) and argument.name != "hidden_channels":
            default = known[argument.name].default
            assert argument.default is REQUIRED if default is inspect.Parameter.empty else argument.default == default
    given = {*facts.widths, *(facts.perceptrons or {}), *(argument.name for argument in facts.arguments)}
    assert given - {"aggr"} <= set(known)
    assert set(known) - given <= OWN_PARAMETERS | FOR_A_LOSS
    assert bool(facts.edges) == ("edge_attr" in fed or "edge_weight" in fed or name == "AntiSymmetricConv")
    assert not facts.edges or EDGE_KEYWORDS[facts.edges] in fed or name == "AntiSymmetricConv"
    assert (list(fed)[2] == "edge_index") == (not facts.second) or list(fed)[1:3] in (["x", "x_0"], ["x", "pos"])


def event(seed: int, hits: int, edges: int, name: str, edge_input: bool) -> tuple[Data, list[Tensor]]:
    """A graph, and values for the inputs of a class, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    inputs, _ = shapes(name, edge_input)
    graph = Data(num_nodes=hits, edge_index=torch.randint(0, max(hits, 1), (2, edges), generator=generator))
    rows = {"node": hits, "edge": edges}
    return graph, [torch.randn(rows[d], w, generator=generator, dtype=torch.float64) for d, w in inputs]


def result(module: nn.Module, graph: Data, values: list[Tensor]) -> Tensor:
    return module([Value.of(value) for value in values], ForwardPass(Topology(graph)))


@pytest.mark.parametrize(("name", "edge_input"), cases())
def test_each_class_is_a_block(name: str, edge_input: bool) -> None:
    """The class by hand, no order of rows, no mixing of events, events without edges or hits, gradients."""
    torch.manual_seed(0)
    inputs, output = shapes(name, edge_input)
    params = {"conv": name, "arguments": arguments(name, edge_input)}
    module = build("pyg", inputs, output, params).double().eval()
    graph, values = event(1, 7, 12, name, edge_input)
    both = result(module, graph, values)
    assert both.shape == (7, output.width) and bool(torch.isfinite(both).all())
    nodes, edges = values[: module.nodes], values[module.nodes :]
    squashed = edges if module.use == "feature" else [rows[:, 0].sigmoid() for rows in edges]
    features = dict(zip([EDGE_KEYWORDS.get(module.use)], squashed, strict=False))
    along, against = graph.edge_index, graph.edge_index.flip(0)
    torch.testing.assert_close(both, module.conv(*nodes, along, **features) + module.back(*nodes, against, **features))
    order, back = torch.randperm(7), torch.randperm(12)
    place = order.argsort()
    turned = Data(num_nodes=7, edge_index=place[graph.edge_index][:, back])
    again = result(module, turned, [*(rows[order] for rows in nodes), *(rows[back] for rows in edges)])
    torch.testing.assert_close(again, both[order])
    other, others = event(2, 4, 0, name, edge_input)  # without an edge
    together = Data(num_nodes=11, edge_index=torch.cat([graph.edge_index, other.edge_index + 7], dim=1))
    batch = result(module, together, [torch.cat(pair) for pair in zip(values, others, strict=True)])
    torch.testing.assert_close(batch, torch.cat([both, result(module, other, others)]))
    assert result(module, *event(3, 0, 0, name, edge_input)).shape == (0, output.width)
    module.train()
    rows = [value.requires_grad_() for value in values]
    result(module, graph, rows).square().sum().backward()
    assert all(value.grad is not None for value in rows[:1])


def variants(name: str, edge_input: bool) -> list[dict[str, Any]]:
    """Arguments of a class that a function graph may have: each switch turned, each choice taken."""
    facts, least, (inputs, output) = CONVOLUTIONS[name], arguments(name, edge_input), shapes(name, edge_input)
    *before, after = (Kind(shape.domain, Width.of(shape.width)) for shape in (*inputs, output))
    given = [least]
    for parameter in facts.arguments:
        values: list[Any] = [not parameter.default] if bool in parameter.types else [*parameter.choices]
        listed = list in parameter.types and str not in parameter.types
        given += [least | {parameter.name: [value] if listed else value} for value in values]
    faults = SIGNATURES["pyg"].faults
    return [some for some in given if not list(faults(before, after, {"conv": name, "arguments": frozen(some)}))]


@pytest.mark.parametrize(("name", "edge_input"), cases())
def test_each_class_learns_from_graphs_of_few_hits(name: str, edge_input: bool) -> None:
    """Whatever its arguments: without hits, of one hit, without edges, with one edge."""
    inputs, output = shapes(name, edge_input)
    for given in variants(name, edge_input):
        module = build("pyg", inputs, output, {"conv": name, "arguments": given, "direction": "in"}).double()
        for hits, edges in ((0, 0), (1, 0), (2, 0), (2, 1), (6, 20)):
            graph, values = event(3, hits, edges, name, edge_input)
            learned = result(module, graph, [value.requires_grad_() for value in values])
            assert bool(torch.isfinite(learned).all()), given
            if learned.requires_grad:
                learned.square().sum().backward()
            numbers = [row.grad for row in [*module.parameters(), *values] if row.grad is not None]
            assert all(bool(torch.isfinite(row).all()) for row in numbers), given


@pytest.mark.parametrize("direction", ["in", "out", "together"])
def test_directions(direction: str) -> None:
    torch.manual_seed(0)
    params = {"conv": "SimpleConv", "direction": direction, "edge_activation": "none"}
    module = build("pyg", [Shape("node", 1), Shape("edge", 1)], Shape("node", 1), params)
    graph = Data(num_nodes=3, edge_index=torch.tensor([[0, 1], [1, 2]]))
    x, weights = torch.tensor([[1.0], [10.0], [100.0]]), torch.tensor([[2.0], [3.0]])
    expected = {"in": [0, 2, 30], "out": [20, 300, 0], "together": [20, 302, 30]}[direction]
    assert result(module, graph, [x, weights]).flatten().tolist() == expected


def test_a_signed_score_as_a_weight_is_squashed() -> None:
    """GCNConv divides by roots of sums of weights."""
    graph = Data(num_nodes=2, edge_index=torch.tensor([[0], [1]]))
    values = [torch.ones(2, 3), torch.tensor([[-2.0]])]
    inputs = [Shape("node", 3), Shape("edge", 1)]
    for activation, finite in (("sigmoid", True), ("none", False)):
        module = build("pyg", inputs, Shape("node", 4), {"conv": "GCNConv", "edge_activation": activation})
        assert bool(torch.isfinite(result(module, graph, values)).all()) == finite


@pytest.mark.parametrize(
    ("name", "given", "made"),
    [
        ("GATConv", {"heads": 4}, {"out_channels": 6, "heads": 4}),
        ("GATConv", {"heads": 4, "concat": False}, {"out_channels": 24, "concat": False, "heads": 4}),
        ("GATConv", {"heads": 4, "out_channels": 6}, {"out_channels": 6, "heads": 4}),
        ("FeaStConv", {"heads": 4}, {"out_channels": 24, "heads": 4}),
        ("GeneralConv", {"heads": 4}, {"out_channels": 24, "heads": 4}),
        ("MixHopConv", {}, {"out_channels": 8}),
        ("MixHopConv", {"powers": [0, 3]}, {"out_channels": 12, "powers": [0, 3]}),
        ("SAGEConv", {"aggr": ["mean", "max"]}, {"out_channels": 24, "aggr": ["mean", "max"]}),
        ("EdgeConv", {}, {"nn": PerceptronWidths((8, 24, 24))}),
        ("GINConv", {"nn": [16, 8]}, {"nn": PerceptronWidths((4, 16, 8, 24))}),
        ("GINConv", {"nn": [16]}, {"nn": PerceptronWidths((4, 16, 24))}),
    ],
)
def test_widths_heads_lists_and_modules(name: str, given: dict[str, Any], made: dict[str, Any]) -> None:
    module = build("pyg", [Shape("node", WIDTH)], Shape("node", OTHER), {"conv": name, "arguments": given})
    assert {key: value for key, value in module.arguments.items() if key != "in_channels"} == made


GRAPH = """
name: mine
data:
  hits: {domain: node, field: x}
  doublet: {domain: edge, field: edge_attr}
  x: {domain: node, width: {hyperparameter: hidden}}
  weight: {domain: edge, width: 1}
  score: {domain: edge, width: target}
functions:
  encode: {block: mlp, inputs: [hits], output: x}
  weigh: {block: mlp, inputs: [doublet], output: weight}
  spread: {block: pyg, inputs: [x], output: x, params: {conv: GCNConv}}
  weighted: {block: pyg, inputs: [x, weight], output: x, params: {conv: GCNConv}}
  classify: {block: mlp, inputs: [x, weight], output: score}
sources: [hits, doublet]
targets: [score]
"""


def graph_of(text: str, spread: str) -> FunctionGraph:
    """The function graph with other parameters of `spread`."""
    first, second = text.split("{conv: GCNConv}", 1)
    return FunctionGraph.from_dict(yaml.safe_load(first + spread + second), "mine.yaml")


def space(*hidden: int) -> SearchSpace:
    return SearchSpace("small", (Grid("hidden", hidden),))


@pytest.mark.parametrize(
    ("params", "faults"),
    [
        ("{conv: GATConvv}", [r"conv: is 'GATConvv', no convolution of .*\(did you mean GATConv\?\)"]),
        ("{conv: HANConv}", ["conv: HANConv needs types of hits and edges, which no event has; allowed: AGNNConv"]),
        ("{conv: CGConv, arguments: {cached: true}}", ["CGConv: cached: is no argument; allowed: aggr, "]),
        ("{conv: {GCNConv: {cached: true}}}", ["GCNConv: cached: would keep the first event's edges"]),
        ("{conv: GINEConv}", ["GINEConv needs an edge input, features of the edges"]),
        ("{conv: FAConv}", ["FAConv needs a second node input, the values of an earlier layer"]),
        ("{conv: PointNetConv}", ["PointNetConv needs a second node input, coordinates of the hits"]),
        ("{conv: ChebConv}", ["ChebConv: K: is missing; allowed: a whole number from 1"]),
        ("{conv: {GATConv: {heads: two, colour: 1, flow: x}}}", [
            r"GATConv: colour: is no argument; allowed: add_self_loops, .*",
            "GATConv: flow: is given by the parameter direction",
            "GATConv: heads: is 'two'; allowed: a whole number from 1",
        ]),
        ("{conv: {SAGEConv: {aggr: [mean, mux]}}}", [r"aggr: is \['mean', 'mux'\]; .*did you mean mul\?\); or a list"]),
        ("{conv: {SAGEConv: {aggr: []}}}", [r"aggr: is \[\]; allowed: add"]),
        ("{conv: {GATConv: {negative_slope: .nan, dropout: .inf}}}", [
            "GATConv: dropout: is inf; allowed: a finite number from 0 below 1",
            "GATConv: negative_slope: is nan; allowed: a finite number",
        ]),
        *(
            (f"{{conv: {{PNAConv: {{aggregators: [mean], scalers: [identity], deg: {deg}}}}}}}", [fault])
            for deg, fault in {
                "[0]": "PNAConv has no hit with an edge in deg; allowed: a list whose item k",
                "[5]": "PNAConv has no hit with an edge in deg",
                "[5, 0, 0]": "PNAConv has no hit with an edge in deg",
                "[0, 10000000000000000]": "PNAConv has 10000000000000000 hits in deg; allowed: .* fewer than",
                "[]": r"PNAConv: deg: is \[\]",
                "[.nan]": r"PNAConv: deg: is \[nan\]",
                "[-1, 3]": r"PNAConv: deg: is \[-1, 3\]",
            }.items()
        ),
        ("{conv: {ClusterGCNConv: {add_self_loops: false}}}", ["ClusterGCNConv fails with add_self_loops: false"]),
        ("{conv: {FeaStConv: {add_self_loops: false}}}", ["FeaStConv fails with add_self_loops: false on events with"]),
        ("{conv: [GCNConv]}", [r"conv: is \['GCNConv'\]; allowed: a text or a mapping"]),
        ("{conv: GCNConv, arguments: 3}", ["arguments: is 3; allowed: a mapping"]),
        ("{conv: {GATConv: 3}}", [r"conv: is \{'GATConv': 3\}, no convolution"]),
        ("{conv: {SAGEConv: {}, GCNConv: {}}}", ["conv: is .*no convolution"]),
        ("{conv: GCNConv, direction: up}", ["direction: is 'up'; allowed: both, in, out, together"]),
        ("{conv: {choice: [CuGraphSAGEConv, NNConv]}}", ["pylibcugraphops", "NNConv needs an edge input"]),
    ],
)  # fmt: skip
def test_faults_are_found_when_a_function_graph_is_loaded(params: str, faults: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        graph_of(GRAPH, params)
    lines = [fault for fault in caught.value.faults if fault.startswith("mine.yaml: functions.spread")]
    assert len(lines) == len(faults) == len(caught.value.faults)
    for line, fault in zip(lines, faults, strict=True):
        assert re.search(fault, line), line


def test_every_fault_of_a_file_is_reported() -> None:
    text = GRAPH.replace(
        "[x, weight], output: x, params: {conv: GCNConv}", "[x, weight], output: x, params: {conv: AGNNConv}"
    )
    text = text.replace("inputs: [doublet]", "inputs: [doublett]")
    with pytest.raises(InputError) as caught:
        graph_of(text, "{conv: GCNConv, layers: 3}")
    assert [fault.split(": ")[1] for fault in caught.value.faults] == [
        "functions.weigh.inputs", "functions.spread.params.layers", "functions.weighted",
    ]  # fmt: skip
    with pytest.raises(InputError) as caught:
        graph_of(text.replace("doublett", "doublet"), "{conv: XConv}")
    assert [fault.split(": ")[1] for fault in caught.value.faults] == ["functions.spread", "functions.weighted"]


def test_a_wrong_direction_hides_no_other_fault() -> None:
    """Neither of the same function, nor of others, nor data nodes that lead nowhere."""
    text = GRAPH.replace(
        "output: x, params: {conv: GCNConv}}\n  classify", "output: x, params: {conv: XConv}}\n  classify"
    )
    text = text.replace("  score: {", "  spare: {domain: node, width: 3}\n  score: {")
    with pytest.raises(InputError) as caught:
        graph_of(text, "{conv: {GATConv: {heads: two}}, direction: up}")
    assert [fault.removeprefix("mine.yaml: ").split("; ")[0] for fault in caught.value.faults] == [
        "functions.spread.params.direction: is 'up'",
        "functions.spread: GATConv: heads: is 'two'",
        "functions.weighted: conv: XConv makes edges of its own to the nearest neighbours, instead of those of the "
        "event",
        "data.spare: can't be made from the sources: nothing produces it",
    ]


@pytest.mark.parametrize(
    ("params", "hidden", "fault"),
    [
        ("{conv: {GATConv: {heads: 4}}}", (8, 10), "hidden=10: functions.spread: GATConv can't divide its width 10 "
         "into 4 equal parts (heads); allowed: a multiple of 4"),
        ("{conv: EGConv}", (12,), "hidden=12: functions.spread: EGConv can't divide its width 12 by num_heads, 8; "
         "allowed: a multiple of 8"),
        ("{conv: {GCNConv: {out_channels: 8}}}", (8, 16), "hidden=16: functions.spread: GCNConv gives width 8 by "
         "out_channels; allowed: 16, or without out_channels"),
    ],
)  # fmt: skip
def test_widths_are_checked_with_the_search_space(params: str, hidden: tuple[int, ...], fault: str) -> None:
    with pytest.raises(InputError) as caught:
        WalkSpace(graph_of(GRAPH, params), space(*hidden))
    assert caught.value.faults == (f"search space small: {fault}",)


def test_a_weight_needs_one_channel_which_the_data_show() -> None:
    text = GRAPH.replace("inputs: [x, weight], output: x", "inputs: [x, doublet], output: x")
    walk = WalkSpace(graph_of(text, "{conv: GCNConv}"), space(8))
    walk.check_fits({"hits": 3, "doublet": 1})
    with pytest.raises(
        InputError, match=r"functions\.weighted: GCNConv takes a weight of width 1 for each edge, not 5"
    ):
        walk.check_fits({"hits": 3, "doublet": 5})


def test_a_choice_takes_class_and_arguments_together() -> None:
    graph = graph_of(GRAPH, "{conv: {choice: [SAGEConv, {GATv2Conv: {heads: 4, aggr: max}}]}, direction: in}")
    assert FunctionGraph.from_dict(yaml.safe_load(graph.to_yaml())) == graph
    sampler = RandomSampler(WalkSpace(graph, space(8)), 0)
    candidates = [sampler.draw(number, 0) for number in range(40)]
    labels = {d.label for c in candidates for d in c.trace.decisions if d.place == "spread.conv"}
    assert labels == {"SAGEConv", "{GATv2Conv: {aggr: max, heads: 4}}"}
    printed = "\n".join(str(candidate.graph) for candidate in candidates)
    assert "conv=SAGEConv, direction=in" in printed and "conv=GCNConv" in printed  # at its default, too
    assert "conv=GATv2Conv, arguments={aggr: max, heads: 4}, direction=in" in printed
    candidate = next(c for c in candidates if "GATv2Conv" in str(c.graph))
    assert ComputationGraph.from_dict(candidate.graph.to_dict()) == candidate.graph


def test_lists_and_mappings_differ() -> None:
    values = [{"a": 1}, [["a", 1]], {}, [], [1, 2]]
    assert len({frozen(value) for value in values}) == 5
    assert [thawed(frozen(value)) for value in values] == values
    assert one(conv={"SAGEConv": {"aggr": ["mean"]}}) != one(conv={"SAGEConv": {"aggr": "mean"}})


def one(**params: Any) -> ComputationGraph:
    """A network of one convolution."""
    types = (DataType("hits", "node", Width.of("hits"), "x"), DataType("x", "node", Width.of(8)))
    pairs = tuple(sorted((key, frozen(value)) for key, value in params.items()))
    return ComputationGraph(types, ("hits",), (Step("conv", "pyg", (0,), "x", pairs, "conv"),), (), (1,))


def test_ways_to_write_one_class_are_one_architecture() -> None:
    plain = one(conv="GATConv", arguments={"heads": 2}).fingerprint
    same = [{"conv": {"GATConv": {"heads": 2}}}, {"conv": {"GATConv": {"heads": 2, "dropout": 0, "concat": True}}},
            {"conv": "GATConv", "arguments": {"heads": 2}, "edge_activation": "none"}]  # fmt: skip
    assert {one(**params).fingerprint for params in same} == {plain}
    lists = [one(conv="SAGEConv", arguments={"aggr": aggr}).fingerprint for aggr in ("mean", ["mean"], ["mean", "max"])]
    others = [one(conv={"GATConv": {"heads": 4}}), one(conv="GATConv", arguments={"heads": 2}, direction="in")]
    assert len({plain, *lists, *(graph.fingerprint for graph in others)}) == 6


def test_an_activation_of_weights_that_are_not_there_is_no_part_of_a_network() -> None:
    plain, other = one(conv="GCNConv"), one(conv="GCNConv", edge_activation="none")
    assert other.fingerprint == plain.fingerprint and graph_features(other) == graph_features(plain)
    types = (DataType("hits", "node", Width.of("hits"), "x"), DataType("e", "edge", Width.of("e"), "edge_weight"),
             DataType("x", "node", Width.of(8)))  # fmt: skip
    weighted = {
        ComputationGraph(
            types, ("hits", "e"), (Step("conv", "pyg", (0, 1), "x", params, "conv"),), (), (2,)
        ).fingerprint
        for params in ((), (("edge_activation", "none"),))
    }
    assert len(weighted) == 2


def test_count_of_both_directions() -> None:
    for direction, sets in (("both", 2), ("in", 1), ("together", 1)):
        graph = one(conv="SAGEConv", direction=direction)
        assert count_parameters(graph, {}, {"hits": 3}) == sets * (2 * 3 * 8 + 8)
        module = build("pyg", [Shape("node", 3)], Shape("node", 8), {"conv": "SAGEConv", "direction": direction})
        assert sum(parameter.numel() for parameter in module.parameters()) == sets * (2 * 3 * 8 + 8)


def test_an_architecture_reports_all_faults() -> None:
    content = one(conv="GATConv", arguments={"heads": "two", "colour": 1}).to_dict()
    content["steps"][0]["params"]["direction"] = "up"
    with pytest.raises(InputError) as caught:
        Architecture.from_dict({"graph": content}, "mine.yaml")
    assert [fault.split("; ")[0] for fault in caught.value.faults] == [
        "mine.yaml: graph: x0 = conv: direction is 'up'",
        "mine.yaml: graph: x0 = conv: GATConv: colour: is no argument",
        "mine.yaml: graph: x0 = conv: GATConv: heads: is 'two'",
    ]


def test_a_class_that_fails_without_a_text_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strict(library.GCNConv):  # type: ignore[misc]
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            raise AssertionError

    monkeypatch.setattr("torch_geometric.nn.GCNConv", Strict)
    with pytest.raises(GraphError, match=r"fails: AssertionError at 'raise AssertionError'$"):
        build("pyg", [Shape("node", 3)], Shape("node", 4), {"conv": "GCNConv"})


def test_the_table_of_the_documentation_is_up_to_date() -> None:
    """Its classes are built by `test_each_class_is_a_block`."""
    import convolution_table

    page = (DOCS / "convolutions.md").read_text(encoding="utf-8")
    assert convolution_table.table() in page
