"""Exported ONNX gives in onnxruntime what the trained network gives, whatever the sizes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from exported import SECTORS, TYPES, WHOLE, everything, spoilt, step, take
from test_export_python import GATHERING, parts

from archioptrx.core.errors import TrialError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.source.helpers import FLAT, HELPERS
from archioptrx.graphs.steps import DataType
from archioptrx.models.export.check import random_event
from archioptrx.models.export.onnx_file import write_onnx
from archioptrx.models.export.trained import Take
from archioptrx.models.inference import transform

LIMIT = 1e-5
RUNS = 100


WIDE = (DataType("messages", "edge", Width.of(64)), DataType("sums", "node", Width.of(64)))
"""As wide as it takes until onnxruntime lets several threads work on 10,000 rows."""
SMALL = ComputationGraph(
    (*TYPES, *WIDE),
    ("hits", "doublet"),
    (
        step("mlp", (0,), "x", "encode", layers=1),
        step("mlp", (2, 1), "messages", "relate", layers=1, output_activation="relu"),
        step("aggregate", (3,), "sums"),
        step("mlp", (2, 4), "x", "update", layers=1, output_activation="relu"),
        step("mlp", (5, 2), "score", "classify", layers=1),
    ),
    (),
    (6,),
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Take, Path]:
    """A small network that sums over edges, with its file."""
    plan, path = take(SMALL, {}), tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(plan, path)
    return plan, path


@pytest.fixture(scope="module")
def attention(tmp_path_factory: pytest.TempPathFactory) -> tuple[Take, Path]:
    """A network on sectors, with its file."""
    plan, path = take(*parts("attention"), SECTORS), tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(plan, path)
    return plan, path


def session(plan: Take, path: Path) -> onnxruntime.InferenceSession:
    assert write_onnx(plan, path) <= LIMIT
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def compared(plan: Take, run: onnxruntime.InferenceSession, hits: Any, edges: Any) -> float:
    """The largest difference of the logits, relative to the largest; probabilities and sizes are checked."""
    score, logit = run.run(None, {"hits": hits, "edge_index": edges})
    with torch.no_grad():
        expected = plan.trained.model(transform(hits, edges, plan.trained.metadata)).numpy()
    assert score.shape == logit.shape == expected.shape == (edges.shape[1],)
    np.testing.assert_allclose(score, 1 / (1 + np.exp(-logit.astype(np.float64))), atol=1e-6)
    scale = max(1.0, np.abs(expected).max(initial=0))
    return float(np.abs(logit - expected).max(initial=0) / scale)


def assert_any_size(plan: Take, run: onnxruntime.InferenceSession) -> None:
    """The same values for graphs of many sizes; in the last one all edges lead into one hit."""
    random = np.random.default_rng(0)
    for hits, edges in ((1500, 6000), (300, 2000), (20, 60), (5, 1), (3, 0), (1, 3), (1, 0)):
        assert compared(plan, run, *random_event(random, 3, hits, edges)) <= LIMIT
    hits, edges = random_event(random, 3, 400, 2000)
    edges[1] = 7
    assert compared(plan, run, hits, edges) <= LIMIT


@pytest.mark.parametrize("name", ["everything", "attention_recursive", "interaction"])
def test_any_size_and_many_edges_in_one_hit(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    graph, hyperparameters = (everything(), {}) if name == "everything" else parts(name)
    plan = take(graph, hyperparameters, SECTORS if name == "attention_recursive" else WHOLE)
    run = session(plan, tmp_path / "model.onnx")
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
    assert_any_size(plan, run)


def test_no_message_is_lost_by_several_threads(small: tuple[Take, Path]) -> None:
    """All edges lead into one hit, where threads that add up at once would lose some: `ScatterND` does."""
    plan, path = small
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 4
    run = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    hits, edges = random_event(np.random.default_rng(0), 3, 400, 10_000)
    edges[1] = 7
    assert compared(plan, run, hits, edges) <= LIMIT
    feed = {"hits": hits, "edge_index": edges}
    (first,) = run.run(["score_logit"], feed)
    assert all(np.array_equal(run.run(["score_logit"], feed)[0], first) for _ in range(RUNS))


def test_rows_are_multiplied_before_they_are_gathered(small: tuple[Take, Path]) -> None:
    """No row of an edge with both of its hits is made, and none is gathered by the slow operator; no weight is left."""
    graph = onnx.load(small[1]).graph
    makers = {name: node for node in graph.node for name in node.output}
    assert {node.op_type for node in graph.node}.isdisjoint({"GatherND", "ScatterND"})
    joined = [makers[node.input[0]] for node in graph.node if node.op_type == "Gemm" and node.input[0] in makers]
    of_hits = [node for node in joined if node.op_type == "Concat"]
    assert len(of_hits) == 1  # update, whose parts are rows of hits already
    used = {name for node in graph.node for name in node.input}
    assert {constant.name for constant in graph.initializer} <= used


@pytest.mark.parametrize("name", sorted(FLAT))
def test_the_form_for_onnx_has_the_same_values(name: str) -> None:
    rows, index = torch.randn(50, 3), torch.randint(0, 6, (50,))
    results = []
    for text in (HELPERS[name], FLAT[name]):
        space: dict[str, Any] = {"torch": torch}
        exec(text, space)
        results.append([space[name](rows, index, 8), space[name](rows[:0], index[:0], 2)])
    torch.testing.assert_close(*results)


def test_no_digit_of_a_double_is_lost(attention: tuple[Take, Path]) -> None:
    """2π in single precision would shift Δφ of every edge across ±π."""
    constants = onnx.load(attention[1]).graph.initializer
    doubles = {
        float(onnx.numpy_helper.to_array(constant))
        for constant in constants
        if constant.data_type == 11 and not constant.dims
    }
    assert {2 * np.pi, np.pi / 2, np.pi / 4, 1000.0} <= doubles


def test_metadata_says_what_the_numbers_mean(attention: tuple[Take, Path]) -> None:
    plan, path = attention
    run = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = run.get_modelmeta().custom_metadata_map
    assert [(item.name, item.type, item.shape) for item in run.get_inputs()] == [
        ("hits", "tensor(double)", ["hits", 3]),
        ("edge_index", "tensor(int64)", [2, "edges"]),
    ]
    assert [(item.name, item.shape) for item in run.get_outputs()] == [("score", ["edges"]), ("score_logit", ["edges"])]
    assert json.loads(metadata["hits"])[1] == {"name": "φ", "unit": "rad", "scale": np.pi / 4}
    assert metadata["fingerprint"] == plan.trained.architecture.graph.fingerprint
    assert (metadata["sectors"], metadata["cut"], metadata["run"]) == ("4", "0.5", "first/best")
    assert "4 φ sectors" in metadata["phi"] and "`middle`" not in metadata["phi"]


def test_an_edge_to_a_hit_that_is_not_there_is_refused(tmp_path: Path) -> None:
    run = session(take(GATHERING, {}), tmp_path / "model.onnx")
    hits, _ = random_event(np.random.default_rng(0), 3, 4, 2)
    for wrong in (-1, 4):
        with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="out of data bounds"):
            run.run(None, {"hits": hits, "edge_index": np.array([[0, wrong], [1, 2]])})


def test_a_wrong_file_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"differs from the model by .*; nothing is written"):
        write_onnx(spoilt(take(SMALL, {})), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
