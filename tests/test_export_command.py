"""The command `export`, and what a person does with its files: in an environment of torch and numpy only."""

import importlib.metadata
import importlib.util
import subprocess
import venv
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from exported import SECTORS, TYPES, chain, saved, step
from packaging.requirements import Requirement
from test_inference import physical

from archioptrx import load
from archioptrx.commands import export, train
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import DataType
from archioptrx.models.events import own_splits
from archioptrx.models.export.check import random_event
from archioptrx.models.inference import transform
from archioptrx.models.model_folder import TrainedModel, load_model
from archioptrx.training.fit import predict

TOY = ("--set", "data={source: toy, num_samples: 12}", "--epochs", "1")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model on toy events."""
    folder = tmp_path_factory.mktemp("models") / "interaction"
    assert train.main(["interaction", *TOY, "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a virtual environment in which torch, numpy and what these two require are all that there is."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in required("torch", "numpy"):
        for top in {file.parts[0] for file in importlib.metadata.files(name) or ()} - {"..", "__pycache__"}:
            source = Path(str(importlib.metadata.distribution(name).locate_file(top)))
            if source.exists() and not (packages / top).exists():
                (packages / top).symlink_to(source)
    return folder / "bin" / "python"


def required(*names: str) -> set[str]:
    """Distributions and all that they require, without extras."""
    distributions: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in distributions:
            distributions.add(name)
            needs = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
            waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return distributions


def test_code_scores_the_same_where_only_torch_is_installed(
    model: Path, tmp_path: Path, bare_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same AUC to 1e-6, scores to 1e-5, on events that the model has not seen."""
    assert export.main([str(model), "--output", str(tmp_path / "tracker.py")]) == 0
    printed = capsys.readouterr().out
    shapes = "hits [N, 3], edge_index [2, E] -> score [E]"
    assert printed.splitlines()[0] == f"{tmp_path / 'tracker.py'} and tracker.pt: {shapes}"
    trained = load_model(model)
    graphs = own_splits(trained).test
    events = [physical(graph, trained.metadata) for graph in graphs]
    arrays = {f"{kind}{i}": value for i, event in enumerate(events) for kind, value in zip("he", event, strict=True)}
    np.savez(tmp_path / "events.npz", **arrays)
    (tmp_path / "use.py").write_text(USE)
    done = subprocess.run([bare_python, "-E", "use.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""
    scores = np.load(tmp_path / "scores.npz")
    logits = [torch.tensor(scores[f"l{i}"]) for i in range(len(graphs))]
    expected = [graph.in_file_order(out) for graph, out in zip(graphs, predict(trained.model, graphs), strict=True)]
    for i, (exported, original) in enumerate(zip(logits, expected, strict=True)):
        torch.testing.assert_close(exported, original, rtol=0, atol=1e-5)
        np.testing.assert_allclose(scores[f"p{i}"], original.sigmoid(), atol=1e-5)
    assert abs(auc(trained, logits) - auc(trained, expected)) <= 1e-6


USE = """
import importlib.util
import numpy as np
import torch
from tracker import load

for name in ("archioptrx", "torch_geometric", "ray", "scipy"):
    assert importlib.util.find_spec(name) is None, name
model, events = load(), np.load("events.npz")
found = {}
with torch.no_grad():
    for i in range(len(events.files) // 2):
        event = torch.tensor(events[f"h{i}"]), torch.tensor(events[f"e{i}"])
        found[f"p{i}"], found[f"l{i}"] = model(*event), model.logits(*event)
np.savez("scores.npz", **found)
"""


def auc(trained: TrainedModel, outputs: list[torch.Tensor]) -> float:
    graphs = own_splits(trained).test
    mine = [out[graph.edge_order] for graph, out in zip(graphs, outputs, strict=True)]
    value: float = trained.task.metrics(mine, graphs)["auc"]
    assert 0.5 < value < 1
    return value


def test_onnx_scores_the_same_on_events_not_seen(model: Path, tmp_path: Path) -> None:
    assert export.main([str(model), "--output", str(tmp_path / "tracker.onnx"), "--cut", "0.3"]) == 0
    run = onnxruntime.InferenceSession(tmp_path / "tracker.onnx", providers=["CPUExecutionProvider"])
    assert run.get_modelmeta().custom_metadata_map["cut"] == "0.3"
    trained = load_model(model)
    graphs = own_splits(trained).test
    assert len({graph.num_edges for graph in graphs}) > 1
    logits = []
    for graph in graphs:
        hits, edges = physical(graph, trained.metadata)
        logits.append(torch.tensor(run.run(["score_logit"], {"hits": hits, "edge_index": edges})[0]))
    expected = [graph.in_file_order(out) for graph, out in zip(graphs, predict(trained.model, graphs), strict=True)]
    for exported, original in zip(logits, expected, strict=True):
        torch.testing.assert_close(exported, original, rtol=0, atol=1e-5)
    assert abs(auc(trained, logits) - auc(trained, expected)) <= 1e-6


def test_several_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Edges have probabilities, coordinates of hits are what they are."""
    score, p = DataType("score", "edge", Width.of("target.score")), DataType("p", "node", Width.of("target.p"))
    steps = (step("mlp", (0, 1), "score", "classify"), step("mlp", (0,), "p", "embed"))
    graph = ComputationGraph((*TYPES[:2], score, p), ("hits", "doublet"), steps, (), (2, 3))
    targets = {"score": {"name": "edge_classification"}, "p": {"name": "node_embedding", "dimension": 3}}
    saved(tmp_path / "both", Architecture(graph, {}), task={"name": "several", "targets": targets})
    monkeypatch.chdir(tmp_path)
    assert export.main(["both", "--output", "both.py"]) == 0
    assert export.main(["both", "--output", "both.onnx"]) == 0
    assert "-> score [E], p [N, 3]" in capsys.readouterr().out
    hits, edges = random_event(np.random.default_rng(0), 3, 20, 90)
    loaded = load(tmp_path / "both")
    logits, points = (output.detach() for output in loaded.model(transform(hits, edges, loaded.metadata)))
    expected = {"score": logits.sigmoid(), "score_logit": logits, "p": points}
    spec = importlib.util.spec_from_file_location("both", "both.py")
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    outputs = code.load()(torch.tensor(hits), torch.tensor(edges))
    run = onnxruntime.InferenceSession("both.onnx", providers=["CPUExecutionProvider"])
    arrays = dict(zip(expected, run.run(list(expected), {"hits": hits, "edge_index": edges}), strict=True))
    assert [item.name for item in run.get_outputs()] == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(arrays[name], values, atol=1e-5)
    for output, name in zip(outputs, ("score", "p"), strict=True):
        torch.testing.assert_close(output, expected[name], rtol=0, atol=1e-5)


def test_an_architecture_file_alone_is_trained_again(model: Path, tmp_path: Path) -> None:
    """The same seed and data give the same weights."""
    (tmp_path / "architecture.yaml").write_bytes((model / "architecture.yaml").read_bytes())
    assert train.main([str(tmp_path / "architecture.yaml"), *TOY, "--output", str(tmp_path / "again")]) == 0
    first, again = load_model(model), load_model(tmp_path / "again")
    assert again.architecture.graph.fingerprint == first.architecture.graph.fingerprint
    state = again.model.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in first.model.state_dict().items())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    try:
        code = export.main(list(arguments))
    except SystemExit as end:
        code = end.code
    assert code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


def test_faults_are_one_line_each(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.pt").touch()
    name = str(model)
    assert refused(capsys, name, "--cut", "2") == ["--cut: is 2; allowed: between 0 and 1"]
    assert refused(capsys, name, "--output", "a.onnx", "--format", "python") == [
        "--output: is a.onnx; allowed: a name that ends in .py"
    ]
    assert refused(capsys, name, "--output", "old.txt") == [
        "--output: is old.txt; allowed: a name that ends in .py, .onnx, .pt or .pt2"
    ]
    assert refused(capsys, name, "--output", "my-model.py") == [
        "--output: 'my-model' can't be imported; allowed: letters, digits and _"
    ]
    assert refused(capsys, name, "--output", "no/a.py") == ["--output: there is no folder no"]
    assert refused(capsys, name, "--output", "old.py") == ["--output: old.pt is already there; allowed: a new file"]
    assert refused(capsys, "nothing")[0].startswith("nothing: no such folder; allowed: a folder that")
    assert refused(capsys, name, "--format", "java")[0].startswith(
        "--format: is 'java'; allowed: acts, onnx, pt2, python, "
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.pt"]


def test_what_the_file_needs_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    convolution = chain(step("pyg", (0,), "x", "conv", conv="GATConv"), step("mlp", (2,), "score", "classify"))
    saved(tmp_path / "conv", Architecture(convolution, {}))
    saved(tmp_path / "plain", Architecture.load("attention"))
    monkeypatch.chdir(tmp_path)
    assert export.main(["plain", "--output", "plain.py"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "needs torch alone"
    assert export.main(["conv", "--output", "conv.py"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "needs torch and torch_geometric"
    onnx = ["conv", "--format", "onnx"]
    assert refused(capsys, *onnx) == ["--format onnx: can't hold x0 = conv (GATConv); allowed: --format python"]


def test_the_default_is_code_in_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "best", Architecture.load("attention"), SECTORS)
    monkeypatch.chdir(tmp_path)
    assert export.main(["best"]) == 0
    assert {"model.py", "model.pt"} <= {path.name for path in tmp_path.iterdir()}
    assert "differs from the model by" in capsys.readouterr().out
    assert f"run {tmp_path.name}/best" in (tmp_path / "model.py").read_text()
