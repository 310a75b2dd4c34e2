"""Exports for Acts, Triton and torch's own runtimes give what the network gives, run as their consumers run them."""

import ast
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from exported import TYPES, WHOLE, chain, saved, step, take
from numpy.typing import NDArray

from archioptrx.commands import export
from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Metadata
from archioptrx.data.doublets import ACORN_FEATURES
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.models.export import EXPORTERS
from archioptrx.models.export.check import random_event
from archioptrx.models.export.form import Scaled
from archioptrx.models.export.script_file import loaded
from archioptrx.models.export.trained import Take
from archioptrx.models.export.triton import config
from archioptrx.models.inference import transform

LIMIT = 1e-5
SIZES = ((900, 4000), (60, 300), (2, 1), (5, 0))
FEATURES = {"node_features": ("r", "φ", "z", "cells"), "node_scale": (900.0, math.pi, 1000.0, 10.0)}
COLUMNS = Metadata("test", **FEATURES)
NETWORK = chain(
    step("mlp", (0,), "x", "encode", layers=1),
    step("mlp", (2, 1), "e", "relate", layers=1, output_activation="relu"),
    step("aggregate", (3,), "x", reduce="sum"),
    step("mlp", (2, 4), "x", "update", layers=1),
    step("mlp", (5, 1), "score", "classify", layers=1),
)
NO_GEOMETRY = chain(
    step("mlp", (0,), "e", "relate", layers=1, output_activation="relu"),
    step("aggregate", (2,), "x", reduce="max"),
    step("mlp", (0, 3), "score", "classify", layers=1),
)
Array = NDArray[Any]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Take, Path]:
    """A network with all files that need no compiler."""
    plan, folder = take(NETWORK, {}, COLUMNS), tmp_path_factory.mktemp("exports")
    for kind, name in (
        ("acts", "acts.onnx"),
        ("acts", "script.pt"),
        ("torchscript", "plain.pt"),
        ("triton", "onnx"),
        ("triton_torchscript", "torch"),
    ):
        assert EXPORTERS.get(kind)(plan, folder / name) is not None
    return plan, folder


def acts_features(settings: dict[str, Any], hits: Array) -> Array:
    """Node features as Acts makes them: single precision, divided by its scales."""
    r, phi, z, cells = hits.T
    known = {"R": r, "Phi": phi, "Z": z, "Eta": np.arcsinh(z / r), "CellCount": cells}
    columns = [known[name].astype(np.float32) for name in settings["nodeFeatures"]]
    return np.stack(columns, axis=1) / np.array(settings["featureScales"], np.float32)


def acts_edge_features(x: Array, edges: Array) -> Array:
    """Edge features as Acts makes them, edge by edge, in single precision."""
    rows, pi = [], np.float32(math.pi)
    for start, end in edges.T:
        dr, phi, dz, deta = (x[end] - x[start])[:4]
        turned = pi * phi
        turned += -2 * pi if turned > pi else 2 * pi if turned < -pi else np.float32(0)
        dphi = turned / pi
        slope = np.clip(dphi / dr, np.float32(-100), np.float32(100)) if dr != 0 else np.float32(0)
        rows.append((dr, dphi, dz, deta, slope, np.float32(0.5) * (x[end, 0] + x[start, 0]) * slope))
    return np.array(rows, np.float32).reshape(-1, 6)


def events() -> Iterator[tuple[Array, Array]]:
    """Hits and edges of several sizes, and of an event in which all edges lead into one hit."""
    random = np.random.default_rng(1)
    for hits, edges in SIZES:
        yield random_event(random, 4, hits, edges)
    hits, edges = random_event(random, 4, 50, 400)
    edges[1] = 7
    yield hits, edges


def seen(x: Array, settings: dict[str, Any]) -> Array:
    """The hits in physical units that scaled columns stand for."""
    physical = x.astype(np.float64) * settings["featureScales"]
    return physical[:, [settings["nodeFeatures"].index(name) for name in ("R", "Phi", "Z", "CellCount")]]


def logits_of(plan: Take, hits: Array, edges: Array) -> Array:
    with torch.no_grad():
        logits: Array = plan.trained.model(transform(hits, edges, plan.trained.metadata)).numpy()
    return logits


def probabilities(logits: Array) -> Array:
    return torch.tensor(logits).sigmoid().numpy()


def assert_close(found: Array, expected: Array) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=LIMIT * max(1.0, np.abs(expected).max(initial=0)))


@pytest.mark.parametrize("threads", [1, 4])
def test_onnx_as_acts_runs_it(exports: tuple[Take, Path], threads: int) -> None:
    """Inputs by place, in single precision; one output [E, 1], the logit; edges in an order of their own."""
    plan, folder = exports
    settings = json.loads((folder / "acts.json").read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    run = onnxruntime.InferenceSession(folder / "acts.onnx", options, providers=["CPUExecutionProvider"])
    names = [item.name for item in run.get_inputs()]
    assert [item.type for item in run.get_inputs()] == ["tensor(float)", "tensor(int64)", "tensor(float)"]
    assert [(item.name, item.type, item.shape) for item in run.get_outputs()] == [
        ("output", "tensor(float)", ["edges", 1])
    ]
    constants = onnx.load(folder / "acts.onnx").graph.initializer
    digits = {float(onnx.numpy_helper.to_array(one)) for one in constants if one.data_type == 11 and not one.dims}
    assert {math.pi, 2 * math.pi, float(np.float32(math.pi)) * 2**20} <= digits
    for hits, edges in events():
        x = acts_features(settings, hits)
        given = x, edges, acts_edge_features(x, edges)
        (output,) = run.run(None, dict(zip(names, given, strict=True)))
        assert output.shape == (edges.shape[1], 1)
        assert_close(output[:, 0], logits_of(plan, seen(x, settings), edges))
        order = np.random.default_rng(2).permutation(edges.shape[1])
        further = np.hstack([x, x])  # columns for another stage
        again = run.run(None, dict(zip(names, (further, edges[:, order], given[2][order]), strict=True)))[0]
        assert_close(again, output[order])


@pytest.fixture(scope="module")
def acorn_exports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Take, Path]:
    """A network that reads the six features of acorn and Acts."""
    folder = tmp_path_factory.mktemp("acorn")
    plan = take(NETWORK, {}, COLUMNS.with_edge_features(tuple(ACORN_FEATURES)))
    EXPORTERS.get("onnx")(plan, folder / "plain.onnx")
    EXPORTERS.get("acts")(plan, folder / "acts.onnx")
    return plan, folder


def test_all_six_features_in_onnx(acorn_exports: tuple[Take, Path]) -> None:
    """Of η, too, which onnxruntime can't compute by Asinh in double precision."""
    plan, folder = acorn_exports
    plain, acts = (onnxruntime.InferenceSession(folder / name) for name in ("plain.onnx", "acts.onnx"))
    settings = json.loads((folder / "acts.json").read_text())
    for hits, edges in events():
        logit = plain.run(["score_logit"], {"hits": hits, "edge_index": edges})[0]
        assert_close(logit, logits_of(plan, hits, edges))
        x = acts_features(settings, hits)
        given = {"x": x, "edge_index": edges, "edge_attr": acts_edge_features(x, edges)}
        assert_close(acts.run(None, given)[0][:, 0], logits_of(plan, seen(x, settings), edges))


def test_settings_for_acts(exports: tuple[Take, Path]) -> None:
    """The four features of its graph builders first; the Python file says the same as the JSON."""
    folder = exports[1]
    settings = json.loads((folder / "script.json").read_text())
    assert settings["nodeFeatures"] == ["R", "Phi", "Z", "Eta", "CellCount"]
    assert settings["featureScales"] == [1000.0, float(np.float32(math.pi)), 1000.0, 1.0, 10.0]
    assert settings["edgeFeatures"] == ["dr", "dphi", "dz", "deta", "phislope", "rphislope"]
    values = {
        statement.targets[0].id: statement.value
        for statement in ast.parse((folder / "script.py").read_text()).body
        if isinstance(statement, ast.Assign)
    }
    assert [item.attr for item in values["nodeFeatures"].elts] == settings["nodeFeatures"]
    assert ast.literal_eval(values["featureScales"]) == settings["featureScales"]
    assert ast.literal_eval(values["cut"]) == settings["cut"] == 0.5
    classifier = dict(
        zip((key.value for key in values["edgeClassifier"].keys), values["edgeClassifier"].values, strict=True)
    )
    assert "script.pt" in ast.unparse(classifier["modelPath"]) and classifier["useEdgeFeatures"].value is True
    other = (folder / "acts.py").read_text()
    assert "OnnxEdgeClassifier" in other and "useEdgeFeatures" not in other


def test_torchscript_in_a_process_without_this_package(exports: tuple[Take, Path], tmp_path: Path) -> None:
    plan, folder = exports
    settings = json.loads((folder / "script.json").read_text())
    arrays, expected = {}, []
    for place, (hits, edges) in enumerate(events()):
        x = acts_features(settings, hits)
        expected.append((logits_of(plan, seen(x, settings), edges), logits_of(plan, hits, edges)))
        columns = np.delete(x, 3, axis=1)
        arrays |= {f"x{place}": x, f"i{place}": edges, f"f{place}": acts_edge_features(x, edges)}
        arrays |= {f"h{place}": hits, f"t{place}": columns}
    np.savez(tmp_path / "events.npz", **arrays)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", USE, str(folder), str(tmp_path), str(len(expected))],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    for place, (of_scaled, of_hits) in enumerate(expected):
        assert found[f"acts{place}"].shape == (len(of_scaled), 1)
        assert_close(found[f"acts{place}"][:, 0], of_scaled)
        assert_close(found[f"triton{place}"], of_scaled)
        assert_close(found[f"logits{place}"], of_hits)
        assert_close(found[f"plain{place}"], probabilities(of_hits))


USE = """
import sys
from pathlib import Path

sys.modules["archioptrx"] = None
import numpy as np
import torch

folder, here, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
acts, plain, triton = (torch.jit.load(folder / name) for name in ("script.pt", "plain.pt", "torch/1/model.pt"))
events, found = np.load(here / "events.npz"), {}
with torch.no_grad():
    for place in range(count):
        x, index, features, hits, columns = (torch.tensor(events[f"{key}{place}"]) for key in "xifht")
        found[f"acts{place}"] = acts(x, index, features)
        found[f"triton{place}"] = triton(columns, index)
        found[f"plain{place}"], found[f"logits{place}"] = plain(hits, index), plain.logits(hits, index)
np.savez(here / "found.npz", **{key: value.numpy() for key, value in found.items()})
"""


def test_triton_finds_what_its_configuration_says(exports: tuple[Take, Path]) -> None:
    plan, folder = exports
    text = (folder / "onnx" / "config.pbtxt").read_text()
    assert 'name: "onnx"' in text and 'platform: "onnxruntime_onnx"' in text and "max_batch_size: 0" in text
    tensors = re.findall(r'\{ name: "(\w+)" data_type: TYPE_(\w+) dims: \[ ([^\]]+) \] \}', text)
    assert tensors == [
        ("INPUT__0", "FP32", "-1, 4"),
        ("INPUT__1", "INT64", "2, -1"),
        ("OUTPUT__0", "FP32", "-1"),
    ]
    run = onnxruntime.InferenceSession(folder / "onnx" / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    assert [item.name for item in (*run.get_inputs(), *run.get_outputs())] == [name for name, _, _ in tensors]
    scales = np.array([float(number) for number in re.findall(r" / (\d+\.\d+)", text)])
    for hits, edges in events():
        x = (hits / scales).astype(np.float32)
        (output,) = run.run(None, {"INPUT__0": x, "INPUT__1": edges})
        assert_close(output, logits_of(plan, x.astype(np.float64) * scales, edges))
    other = (folder / "torch" / "config.pbtxt").read_text()
    assert 'platform: "pytorch_libtorch"' in other and 'name: "torch"' in other


@pytest.mark.parametrize("kind", ["triton", "triton_torchscript"])
@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\x1bb"])
def test_a_name_that_needs_escapes_is_no_name_of_a_triton_model(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--output: the folder's name is .*; allowed: a name without quotes, backsl"):
        EXPORTERS.get(kind)(take(NO_GEOMETRY, {}, COLUMNS), tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_names_in_comments_of_a_configuration_stay_in_their_line() -> None:
    columns = replace(COLUMNS, node_features=("r", "φ", "z", 'a\nname: "b"\r\x85\u2028c'))
    plan = take(NO_GEOMETRY, {}, columns)
    form = Scaled((0, 1, 2, 3), (1.0, 1.0, 1.0, 1.0), edges=False)
    lines = re.split(r"[\r\n\x85\u2028]", config(plan, form, "model", "onnxruntime_onnx"))
    assert [line.split(":")[0] for line in lines if "name" in line and not line.startswith(("#", " "))] == ["name"]


def test_a_network_without_features_of_edges_has_two_inputs(tmp_path: Path) -> None:
    plan = take(NO_GEOMETRY, {})
    text = EXPORTERS.get("acts")(plan, tmp_path / "model.pt")
    assert "x [N, 4], edge_index [2, E] -> output" in text
    settings = json.loads((tmp_path / "model.json").read_text())
    assert settings["edgeFeatures"] == [] and [item["name"] for item in settings["inputs"]] == ["x", "edge_index"]
    hits, edges = random_event(np.random.default_rng(0), 3, 30, 90)
    x = torch.tensor(hits / settings["featureScales"][:3], dtype=torch.float32)
    network = loaded((tmp_path / "model.pt").read_bytes())
    output = network(x, torch.tensor(edges)).detach().numpy()
    for wrong in (-1, 30):
        with pytest.raises((RuntimeError, IndexError), match="out of bounds"):
            network(x, torch.tensor([[0, wrong], [1, 2]]))
    assert_close(output[:, 0], logits_of(plan, x.double().numpy() * settings["featureScales"][:3], edges))


REFUSED = {
    "another task": (
        {"task": {"name": "node_embedding", "dimension": 4}},
        ("--output", "a.onnx", "--format", "acts"),
        "--format acts: the task node_embedding gives x [N, 4]; allowed: edge_classification, score [E]",
    ),
    "another task, Triton": (
        {"task": {"name": "node_embedding", "dimension": 4}},
        ("--format", "triton"),
        "--format triton: the task node_embedding gives x [N, 4]; allowed: edge_classification, score [E]",
    ),
    "a column that Acts lacks": (
        {"metadata": replace(COLUMNS, node_features=("r", "φ", "z", "x3"))},
        ("--format", "acts"),
        "--format acts: Acts can't make x3 of hits; allowed: r, φ, z, η, eta, x, y, cells, charge, ",
    ),
    "a column twice": (
        {"metadata": replace(WHOLE, node_features=("r", "φ", "z", "eta", "η"), node_scale=(1.0,) * 5)},
        ("--format", "acts"),
        "--format acts: Eta stands twice in the hits; allowed: once",
    ),
    "other units": (
        {"metadata": replace(WHOLE, own_units=True)},
        ("--format", "triton_torchscript"),
        "--format triton_torchscript: the lengths of the training data are in units of their own; allowed: mm",
    ),
    "another ending": (
        {},
        ("--format", "acts", "--output", "a.txt"),
        "--output: is a.txt; allowed: a name that ends in .onnx or .pt",
    ),
    "a file that is there": (
        {},
        ("--format", "acts", "--output", "taken.pt"),
        "--output: taken.json is already there; allowed: a new file",
    ),
    "a folder that is there": (
        {},
        ("--format", "triton", "--output", "model"),
        "--output: model is already there; allowed: a new file",
    ),
    "no compiler": (
        {},
        ("--format", "pt2"),
        "--format pt2: there is no C++ compiler; allowed: one of g++, clang++, c++, or CXX",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, and nothing is written."""
    made, arguments, message = REFUSED[case]
    steps = (step("mlp", (0,), "x", "embed", layers=1),)
    graph = ComputationGraph(TYPES, ("hits", "doublet"), steps, (), (2,)) if "task" in made else NO_GEOMETRY
    saved(tmp_path / "model", Architecture(graph, {}), **made)
    (tmp_path / "taken.json").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    before = sorted(path.name for path in tmp_path.iterdir())
    if "--output" not in arguments:
        arguments = (*arguments, "--output", f"new{EXPORTERS.description(arguments[1]).suffix}")
    assert export.main(["model", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith(message)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.long
def test_compiled_by_aotinductor(tmp_path: Path) -> None:
    """Hits in double precision, several sizes; it takes a C++ compiler about half a minute."""
    plan = take(NETWORK, {}, COLUMNS)
    EXPORTERS.get("pt2")(plan, tmp_path / "model.pt2")
    package = torch._inductor.aoti_load_package(str(tmp_path / "model.pt2"))
    for hits, edges in events():
        score, logit = package(torch.tensor(hits), torch.tensor(edges))
        expected = logits_of(plan, hits, edges)
        assert_close(logit.numpy(), expected)
        assert_close(score.numpy(), probabilities(expected))
