"""Exports of networks with convolutions of torch_geometric."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from exported import chain, step, take, worst
from test_export_onnx import compared
from test_export_python import text_of

from archioptrx.computation_graph import BackEdge, ComputationGraph
from archioptrx.errors import InputError
from archioptrx.exports.check import random_event
from archioptrx.exports.code import WIDTH
from archioptrx.exports.onnx_file import write_onnx

LIMIT = 1e-5
SIZES = ((300, 2000), (20, 60), (5, 1), (3, 0), (1, 3), (1, 0))
CONVOLUTIONS = ("GCNConv", "GraphConv", "SAGEConv", "GATConv", "GATv2Conv", "GENConv", "TAGConv", "TransformerConv")


def formatted(folder: Path) -> str:
    """What ruff finds wrong with the files of a folder."""
    told = ""
    for options in (["format", "--check"], ["format", "--check", "--line-length", "120"], ["check"]):
        command = [sys.executable, "-m", "ruff", *options, "--isolated", "--no-cache", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        told += done.stdout * (done.returncode != 0)
    return told


def convolved(conv: str, *inputs: int, **arguments: Any) -> ComputationGraph:
    """A network with weights of edges, a convolution and a classifier."""
    return chain(
        step("mlp", (0,), "x", "encode"),  # 2
        step("mlp", (1,), "score", "weigh", output_activation="sigmoid"),  # 3
        step("pyg", inputs or (2,), "x", "conv", conv=conv, arguments=tuple(sorted(arguments.items()))),  # 4
        step("mlp", (4, 1), "score", "classify"),
    )


@pytest.mark.parametrize("conv", CONVOLUTIONS)
def test_convolutions(tmp_path: Path, conv: str) -> None:
    assert worst(take(convolved(conv), {}), tmp_path / "code.py") <= LIMIT


@pytest.mark.parametrize(
    ("conv", "inputs", "said"),
    [
        ("GATConv", (2, 1), "x1 = self.conv(x0, edge_index, edge_attr=doublet)  # [N, 4]"),
        ("CGConv", (2, 1), "self.conv = CGConv(4, dim=5)"),
        ("GCNConv", (2, 3), "x1 = self.conv(x0, edge_index, edge_weight=score0[:, 0])  # [N, 4]"),
    ],
)
def test_edge_features_of_convolutions(tmp_path: Path, conv: str, inputs: tuple[int, ...], said: str) -> None:
    one = take(convolved(conv, *inputs), {})
    assert worst(one, tmp_path / "code.py") <= LIMIT
    assert said in [line.strip() for line in text_of(one).splitlines()]


def test_arguments_imports_and_passes_of_convolutions(tmp_path: Path) -> None:
    """A convolution for each pass, with arguments too long for a line; a value called as a class of torch_geometric."""
    arguments = {
        "heads": 2,
        "concat": False,
        "negative_slope": 0.1,
        "aggr": "add",
        "add_self_loops": False,
        "bias": True,
    }
    graph = chain(
        step("mlp", (0,), "x", "GCNConv"),
        step("pyg", (2,), "x", "attend", True, conv="GATConv", arguments=tuple(sorted(arguments.items()))),
        step("pyg", (3,), "x", "spread", conv="GCNConv"),
        step("mlp", (4, 1), "score", "classify"),
        back=(BackEdge(4, 2, 2),),
    )
    one = take(graph, {})
    text = text_of(one)
    assert worst(one, tmp_path / "code.py") <= LIMIT
    assert "from torch_geometric.nn import GATConv, GCNConv\n" in text and "class GCNConv_2(nn.Module)" in text
    assert "Needs torch and torch_geometric." in text and text.count('aggr="add"') == 3
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
    one = take(convolved(conv), {})
    assert write_onnx(one, tmp_path / "model.onnx") <= LIMIT
    run = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    for size in SIZES:
        assert compared(one, run, *random_event(random, 3, *size)) <= LIMIT


@pytest.mark.parametrize("conv", ["GATConv", "TransformerConv"])
def test_convolutions_that_onnx_can_not_hold(tmp_path: Path, conv: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Torch can't export the first; onnxruntime can't run the second without edges."""
    with pytest.raises(
        InputError, match=rf"^--format onnx: x1 = conv: pyg {conv} can't be .*; legal: --format python$"
    ):
        write_onnx(take(convolved(conv), {}), tmp_path / "model.onnx")
    told = capfd.readouterr()
    assert told.out == told.err == ""
    assert not list(tmp_path.iterdir())
