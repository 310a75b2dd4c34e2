"""Exports of networks with convolutions of torch_geometric and with poolings."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from convolutions import arguments, cases
from exported import chain, step, take, worst
from test_export_onnx import compared
from test_export_python import text_of

from archioptrx.core.errors import InputError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.literals import frozen
from archioptrx.graphs.signatures.convolutions import CONVOLUTIONS as LIBRARY
from archioptrx.graphs.signatures.convolutions import FEATURE, START
from archioptrx.graphs.source.text import WIDTH
from archioptrx.graphs.steps import BackEdge, Step
from archioptrx.models.export.check import Arrays, random_event
from archioptrx.models.export.files import written
from archioptrx.models.export.onnx_file import write_onnx
from archioptrx.models.inference import transform

LIMIT = 1e-5
SIZES = ((300, 2000), (20, 60), (5, 1), (3, 0), (1, 3), (1, 0))
CONVOLUTIONS = ("GCNConv", "GraphConv", "SAGEConv", "GATConv", "GATv2Conv", "GENConv", "TAGConv", "TransformerConv")


def formatted(folder: Path) -> str:
    """What ruff finds wrong with the files of a folder."""
    findings = ""
    for options in (["format", "--check"], ["format", "--check", "--line-length", "120"], ["check"]):
        command = [sys.executable, "-m", "ruff", *options, "--isolated", "--no-cache", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        findings += done.stdout * (done.returncode != 0)
    return findings


def convolved(conv: str, *inputs: int, direction: str = "both", **arguments: Any) -> ComputationGraph:
    """A network with weights of edges, a convolution and a classifier."""
    params = {"conv": conv, "arguments": frozen(arguments), "direction": direction}
    return chain(
        step("mlp", (0,), "x", "encode"),  # 2
        step("mlp", (1,), "score", "weigh", output_activation="sigmoid"),  # 3
        step("pyg", inputs or (2,), "x", "conv", **params),  # 4
        step("mlp", (4, 1), "score", "classify"),
    )


@pytest.mark.parametrize("conv", CONVOLUTIONS)
def test_convolutions(tmp_path: Path, conv: str) -> None:
    assert worst(take(convolved(conv), {}), tmp_path / "code.py") <= LIMIT


@pytest.mark.parametrize(
    ("conv", "inputs", "expected"),
    [
        ("GATConv", (2, 1), "x1 = self.conv(x0, edge_index, edge_attr=doublet)  # [N, 4]"),
        ("CGConv", (2, 1), "self.conv = CGConv(4, dim=5)"),
        ("GCNConv", (2, 3), "x1 = self.conv(x0, edge_index, edge_weight=score0[:, 0].sigmoid())  # [N, 4]"),
    ],
)
def test_edge_features_of_convolutions(tmp_path: Path, conv: str, inputs: tuple[int, ...], expected: str) -> None:
    plan = take(convolved(conv, *inputs, direction="in"), {})
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    assert expected in [line.strip() for line in text_of(plan).splitlines()]


def test_convolutions_in_both_directions(tmp_path: Path) -> None:
    plan = take(convolved("GATConv", 2, 1, heads=2), {})
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    lines = [line.strip() for line in text_of(plan).splitlines()]
    for line in (
        "self.back = GATConv(4, 2, edge_dim=5, heads=2)",
        "against = self.back(x, edge_index.flip(0), edge_attr=doublet)",
        "return along + against",
        "x1 = self.conv(x0, doublet, edge_index)  # [N, 4]",
    ):
        assert line in lines
    plan = take(convolved("GATConv", 2, 1, direction="together"), {})
    assert worst(plan, tmp_path / "together.py") <= LIMIT
    assert formatted(tmp_path) == ""


@pytest.mark.parametrize(("conv", "edges"), cases())
def test_each_convolution_is_exported(tmp_path: Path, conv: str, edges: bool) -> None:
    facts = LIBRARY[conv]
    own = arguments(conv, edges) | {"EGConv": {"num_heads": 4}, "MixHopConv": {"powers": [0, 2]}}.get(conv, {})
    second = {"": (), START: (2,)}.get(facts.second, (0,))
    inputs = (2, *second, *((1 if facts.edges == FEATURE else 3,) if edges else ()))
    assert worst(take(convolved(conv, *inputs, direction="out", **own), {}), tmp_path / "code.py") <= LIMIT


def test_arguments_imports_and_passes_of_convolutions(tmp_path: Path) -> None:
    """A convolution for each pass, with arguments too long for a line; a value called as a class of torch_geometric."""
    arguments = {
        "heads": 2,
        "concat": False,
        "negative_slope": 0.1,
        "aggr": "max",
        "add_self_loops": False,
        "bias": False,
    }
    graph = chain(
        step("mlp", (0,), "x", "GCNConv"),
        step("pyg", (2,), "x", "attend", True, conv="GATConv", arguments=frozen(arguments), direction="in"),
        step("pyg", (3,), "x", "spread", conv="GCNConv"),
        step("mlp", (4, 1), "score", "classify"),
        back=(BackEdge(4, 2, 2),),
    )
    plan = take(graph, {})
    text = text_of(plan)
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    assert "from torch_geometric.nn import GATConv, GCNConv\n" in text and "class GCNConv_2(nn.Module)" in text
    assert "Needs torch and torch_geometric." in text and text.count('aggr="max"') == 3
    code = text.split('"""', 2)[2]
    assert max(map(len, code.splitlines())) <= WIDTH
    assert formatted(tmp_path) == ""


def test_only_classes_that_a_target_needs_are_imported() -> None:
    graph = chain(
        step("pyg", (0,), "x", "unused"),
        step("mlp", (0, 1), "score", "classify"),
    )
    text = text_of(take(graph, {}))
    assert "torch_geometric" not in text.split('"""', 2)[2] and "Needs torch alone." in text


@pytest.mark.parametrize("conv", ["GCNConv", "GraphConv", "GATv2Conv"])
def test_convolutions_in_onnx(tmp_path: Path, conv: str) -> None:
    plan = take(convolved(conv), {})
    assert write_onnx(plan, tmp_path / "model.onnx") <= LIMIT
    run = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    for size in SIZES:
        assert compared(plan, run, *random_event(random, 3, *size)) <= LIMIT


@pytest.mark.parametrize("conv", ["GATConv", "TransformerConv"])
def test_convolutions_that_onnx_can_not_hold(tmp_path: Path, conv: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Torch can't export the first; onnxruntime can't run the second without edges."""
    message = rf"^--format onnx: can't hold x1 = conv \({conv}\); allowed: --format python$"
    with pytest.raises(InputError, match=message):
        write_onnx(take(convolved(conv), {}), tmp_path / "model.onnx")
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
    assert not list(tmp_path.iterdir())


def around(method: str, *within: Step, back: tuple[BackEdge, ...] = (), **params: Any) -> ComputationGraph:
    """A network that pools its hits (value 3), works on the pooled ones (4 and more) and classifies the last value."""
    first = (step("mlp", (0,), "x", "encode"), step("pool", (2,), "c", "pool", method=method, **params))
    return chain(*first, *within, step("mlp", (len(within) + 3, 2, 1), "score", "classify"), back=back)


THERE = step("pyg", (3,), "c", "conv", conv="GraphConv", direction="in"), step("unpool", (4,), "x")
METHODS = {"topk": {"ratio": 0.6}, "edge": {}, "diff": {"clusters": 3}}


@pytest.mark.parametrize("method", METHODS)
def test_poolings(tmp_path: Path, method: str) -> None:
    """Hits have values of their own without edges, too."""
    plan = take(replace(around(method, *THERE, **METHODS[method]), targets=(5, 6)), {})
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    text = text_of(plan)
    call = {"topk": "TopKPooling(4, 0.6)", "edge": "EdgePooling(4)", "diff": "DiffPooling(4, 3)"}[method]
    for line in (
        f"self.pool = {call}",
        "c0, pooling = self.pool(x0, edge_index)  # [P, 4]",
        "c1 = self.conv(c0, pooling.edge_index)  # [P, 4]",
        "x1 = unpooled(c1, pooling)  # [N, 4]",
    ):
        assert line in [row.strip() for row in text.splitlines()]
    assert formatted(tmp_path) == ""


def test_torch_alone_where_pooled_hits_have_no_convolution(tmp_path: Path) -> None:
    """All blocks that work on pooled hits; a pooling whose values never return to the hits."""
    graph = around(
        "topk",
        step("mlp", (3,), "c", "think"),  # 4
        step("norm", (4,), "c", "norms", kind="graph"),  # 5
        step("gru", (5, 3), "c", "gate"),  # 6
        step("add", (6, 4), "c"),  # 7
        step("mean", (7, 3), "c"),  # 8
        step("readout", (8,), "g", reduce="max"),  # 9
        step("mlp", (8, 9), "c", "tell"),  # 10
        step("identity", (10,), "c"),  # 11
        step("readout", (11,), "g"),  # 12
    )
    plan = take(graph, {})
    text = text_of(plan)
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    assert "torch_geometric" not in text and "def unpooled" not in text and "def pooled" not in text
    assert "c0, _ = self.pool(x0, edge_index)" in text
    assert formatted(tmp_path) == ""


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.6, 0.7])
def test_as_many_hits_are_kept_as_in_training(tmp_path: Path, ratio: float) -> None:
    """0.6 · 25 is a bit more than 15 in single precision."""
    plan = take(around("topk", step("unpool", (3,), "x"), ratio=ratio), {})
    code = written(plan, tmp_path / "code.py").load()
    for hits in (10, 20, 25, 50, 75, 100):
        event = random_event(np.random.default_rng(hits), 3, hits, 60)
        expected = plan.trained.model(transform(*event, plan.trained.metadata))
        torch.testing.assert_close(code.logits(*map(torch.tensor, event)), expected, rtol=0, atol=LIMIT)


def tied(seed: int) -> tuple[Arrays, Arrays]:
    """An event with equal hits and with edges of equal scores: the only ones into a hit, repeated, there and back."""
    random = np.random.default_rng(seed)
    hits, _ = random_event(random, 3, 8, 0)
    chain = [(hit, hit + 1) for hit in range(15)]
    edges = np.array([*chain, (0, 8), (8, 0), (3, 3), (1, 9), (1, 9), (2, 10)]).T
    order = random.permutation(16)
    return np.concatenate([hits, hits[:5], hits[:3]])[order], order.argsort()[edges][:, random.permutation(21)]


@pytest.mark.parametrize("method", ["topk", "edge"])
def test_an_export_chooses_among_equal_hits_and_edges_as_the_model_does(tmp_path: Path, method: str) -> None:
    plan = take(around(method, *THERE, **METHODS[method]), {})
    code = written(plan, tmp_path / "code.py").load()
    for seed in range(40):
        event = tied(seed)
        expected = plan.trained.model(transform(*event, plan.trained.metadata))
        logits = code.logits(*map(torch.tensor, event))
        torch.testing.assert_close(logits, expected, rtol=0, atol=LIMIT)
        turned = code.logits(torch.tensor(event[0][::-1].copy()), torch.tensor(15 - event[1][:, ::-1]))
        torch.testing.assert_close(turned.flip(0), logits, rtol=0, atol=LIMIT)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("other", METHODS)
def test_a_loop_carries_the_values_of_another_pooling(tmp_path: Path, method: str, other: str) -> None:
    """In the first pass both poolings are one, and nothing has to be brought from one to the other."""
    graph = around(
        method,
        step("mlp", (3,), "c", "think"),  # 4, the head
        step("add", (3, 4), "c"),  # 5
        step("unpool", (5,), "x"),  # 6
        step("mlp", (6, 2), "x", "update"),  # 7
        step("pool", (7,), "c", "again", method=other, **METHODS[other]),  # 8
        step("mlp", (8,), "c", "thought"),  # 9
        step("add", (9, 4), "c"),  # 10
        step("mlp", (7, 6), "x", "join"),  # 11
        back=(BackEdge(10, 4, 2),),
        **METHODS[method],
    )
    plan = take(graph, {})
    lines = [row.strip() for row in text_of(plan).splitlines()]
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    assert {"c1 = self.think(c0)  # [P, 4]", "pooling_2 = pooling", "c1, pooling_2 = c5, pooling_3"} <= set(lines)
    assert "c2 = c0 + aligned(c1, pooling_2, pooling)  # [P, 4]" in lines
    assert formatted(tmp_path) == ""


def test_a_file_holds_no_function_that_it_does_not_call() -> None:
    """`torch.mean` isn't `mean`."""
    graph = chain(
        step("mlp", (0,), "x", "encode"),
        step("mlp", (0,), "x", "other"),
        step("mean", (2, 3), "x"),
        step("mlp", (4, 1), "score", "classify"),
    )
    text = text_of(take(graph, {}))
    assert "torch.mean(" in text and "def mean(" not in text


@pytest.mark.parametrize("method", ["topk", "diff"])
def test_poolings_in_onnx(tmp_path: Path, method: str) -> None:
    plan = take(around(method, *THERE, **METHODS[method]), {})
    assert write_onnx(plan, tmp_path / "model.onnx") <= LIMIT
    run = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    for event in (*(random_event(random, 3, *size) for size in (*SIZES, (25, 80))), *map(tied, range(20))):
        assert compared(plan, run, *event) <= LIMIT


def test_edge_pooling_is_refused_in_onnx(tmp_path: Path) -> None:
    message = r"^--format onnx: can't hold c0 = pool \(edge\), or c1 = conv \(GraphConv\); allowed: --format python$"
    with pytest.raises(InputError, match=message):
        write_onnx(take(around("edge", *THERE), {}), tmp_path / "model.onnx")
