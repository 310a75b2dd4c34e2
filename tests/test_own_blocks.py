"""Blocks of a user's own: in a file outside the package, through all commands; faulty ones give one clear line."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import processes
import pytest
import torch
from exported import WHOLE, chain, step, take, worst
from own_blocks import own_blocks
from torch import nn

from archioptrx.core.errors import ArchiOpTrXError, GraphError, InputError, TrialError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.linear_fusion import pending_steps
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.graphs.shapes import shapes
from archioptrx.graphs.signatures import SIGNATURES, Parameter, Signature
from archioptrx.graphs.source.step import Expression, LayerSource
from archioptrx.models.export.check import random_event
from archioptrx.models.export.files import write_python
from archioptrx.models.export.onnx_file import write_onnx
from archioptrx.models.inference import transform
from archioptrx.models.model_folder import load_model
from archioptrx.networks.blocks import BLOCKS, Value, block
from archioptrx.networks.blocks.mlp import MLP
from archioptrx.networks.compile import Model, compile_model

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = {"hits": 3, "doublet": 5}
LIMIT = 1e-5


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    with own_blocks():
        yield


def call(folder: Path, command: str) -> str:
    """What a command prints, in a folder and a process of its own."""
    return processes.run(f"archioptrx {command}", folder)


def test_a_block_of_a_users_own_goes_through_all_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("custom_block.py", "custom_block.yaml"):
        (tmp_path / name).write_text((ROOT / "examples" / name).read_text())
    tiny = "--set data.num_samples=9 --epochs 1"
    sampled = json.loads(call(tmp_path, "sample custom_block.yaml --imports custom_block --count 2 --json"))
    assert len({candidate["fingerprint"] for candidate in sampled}) == 2
    own = "--function-graph custom_block.yaml --set imports=[custom_block] --set constraints.parameters=100000"
    small = f"{tiny} --trials 2 --backend local --set 'retrain={{top: 1, seeds: 1}}' --set scheduler.name=fifo"
    call(tmp_path, f"search quickstart {own} {small} --output run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "trials.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows if row["status"] != "finished"] == []
    call(tmp_path, f"train run {tiny} --output model")
    assert 0 <= json.loads(call(tmp_path, "evaluate model --json"))["auc"] <= 1
    call(tmp_path, "data toy --num-samples 2 --output events")
    call(tmp_path, "predict model --data events --output scores")
    for path in ("plain.py", "plain.onnx"):
        call(tmp_path, f"export model --output {path}")
    assert "class Difference(nn.Module)" in (tmp_path / "plain.py").read_text()

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    model, architecture, metadata = loaded(tmp_path / "model")
    graph, hyperparameters = architecture.graph, architecture.hyperparameters
    counted = count_parameters(graph, hyperparameters, model.source_widths)
    assert (
        counted
        == sum(weight.numel() for weight in model.parameters())
        == rows_of(rows, graph.fingerprint)["parameters"]
    )
    plain = importlib.import_module("plain").load()
    session = onnxruntime.InferenceSession(tmp_path / "plain.onnx", providers=["CPUExecutionProvider"])
    hits, edges = random_event(np.random.default_rng(1), 3, 30, 90)
    with torch.no_grad():
        expected = model(transform(hits, edges, metadata))
        code = plain.logits(torch.tensor(hits), torch.tensor(edges))
    onnx = session.run(["score_logit"], {"hits": hits, "edge_index": edges})[0]
    torch.testing.assert_close(code, expected, rtol=LIMIT, atol=LIMIT)
    torch.testing.assert_close(torch.tensor(onnx), expected, rtol=LIMIT, atol=LIMIT)


def loaded(folder: Path) -> tuple[Model, Any, Any]:
    """Network, architecture and scales of a model folder."""
    trained = load_model(folder)
    assert isinstance(trained.model, Model)
    return trained.model, trained.architecture, trained.metadata


def rows_of(rows: list[dict[str, Any]], fingerprint: str) -> dict[str, Any]:
    """The trial of an architecture."""
    return next(row for row in rows if row["fingerprint"] == fingerprint)


def test_the_blocks_in_the_guide_work() -> None:
    text = (ROOT / "docs" / "guides" / "block.md").read_text()
    short, inherited = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(short.split("@block")[1].strip().splitlines()) <= 15
    for code in (short, inherited):
        exec(compile(code, "block.md", "exec"), {"__name__": "guide"})
    graph = chain(
        step("mlp", (0,), "x", "encode"),
        step("negate", (2,), "x"),
        step("small_start", (3,), "x", "more", layers=2, hidden=5),
        step("mlp", (4, 1), "score", "classify"),
    )
    model = compile_model(graph, {}, WIDTHS)
    assert count_parameters(graph, {}, WIDTHS) == sum(weight.numel() for weight in model.parameters())


def registered(name: str = "own", **properties: Any) -> None:
    """Register a block that multiplies each channel by a weight."""

    class Weighted(nn.Module):
        def __init__(self, inputs, output):  # type: ignore[no-untyped-def]
            super().__init__()
            self.weight = nn.Parameter(torch.full((output.width,), 2.0))

        def forward(self, values, run):  # type: ignore[no-untyped-def]
            return self.weight * values[0].tensor()

    defaults = {"accepts": lambda domains, output: None, "width": lambda widths, parameters: widths[0]}
    block(Signature(name, **(defaults | properties)))(Weighted)


def network(block_name: str = "own") -> ComputationGraph:
    """A network with a step of an own block."""
    return chain(
        step("mlp", (0,), "x", "encode"),
        step(block_name, (2,), "x", "weigh"),
        step("mlp", (3, 1), "score", "classify"),
    )


CODE = """
class Weighted(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * x
"""


def weighted(code: str = CODE, name: str = "Weighted") -> Any:
    """A source with a class of its own."""
    return lambda step: LayerSource(f"{name}({step.output.width})", step.codes, helpers={name: code})


def test_a_count_makes_networks_countable() -> None:
    registered()
    assert count_parameters(network(), {}, WIDTHS) is None
    registered(count=lambda inputs, output, parameters: output.width)
    model = compile_model(network(), {}, WIDTHS)
    assert count_parameters(network(), {}, WIDTHS) == sum(weight.numel() for weight in model.parameters())


def test_a_block_that_inherits_is_counted_fused_and_exported_as_its_parent(tmp_path: Path) -> None:
    class Mine(MLP):
        pass

    block(replace(SIGNATURES["mlp"], name="mine"))(Mine)

    class Through(nn.Module):
        def __init__(self, inputs, output):  # type: ignore[no-untyped-def]
            super().__init__()

        def forward(self, values, run):  # type: ignore[no-untyped-def]
            assert values[0].pieces[0].weight is not None  # the layer comes here pending
            return Value(values[0].pieces)

    block(replace(SIGNATURES["identity"], name="through", neutral=False))(Through)
    steps = [
        step("mine", (0, 1), "e", "relate", layers=2, hidden=4),
        step("through", (2,), "e"),
        step("aggregate", (3,), "x"),
        step("mine", (4, 1), "score", "classify", layers=1),
    ]
    graph = chain(*steps)
    parents = {"mine": "mlp", "through": "identity"}
    bundled = chain(*(replace(old, block=parents.get(old.block, old.block)) for old in steps))
    for variant in (graph, bundled):
        assert pending_steps(variant, shapes(variant, {}, WIDTHS), {}) == {0}
    assert count_parameters(graph, {}, WIDTHS) == count_parameters(bundled, {}, WIDTHS)
    assert graph.fingerprint != bundled.fingerprint
    assert worst(take(graph, {}), tmp_path / "code.py") <= LIMIT
    block(replace(SIGNATURES["through"], passes_on=None))(Through)
    assert pending_steps(graph, shapes(graph, {}, WIDTHS), {}) == frozenset()


def test_helpers_of_a_block_have_their_names_alone(tmp_path: Path) -> None:
    """A function and a value that are called as a helper's class get other names."""
    registered(source=weighted())
    graph = chain(
        step("mlp", (0,), "x", "Weighted"),
        step("own", (2,), "x", "own_0"),
        step("own", (3,), "x", "own_1"),
        step("mlp", (4, 1), "score", "classify"),
    )
    graph = replace(graph, types=tuple(replace(t, name="Weighted") if t.name == "m" else t for t in graph.types))
    plan = take(graph, {})
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    text = (tmp_path / "code.py").read_text()
    assert text.count("class Weighted(nn.Module)") == 1 and "class Weighted_2(nn.Module)" in text


def test_an_expression_is_written_in_python_and_onnx(tmp_path: Path) -> None:
    class Twice(nn.Module):
        def __init__(self, inputs, output):  # type: ignore[no-untyped-def]
            super().__init__()

        def forward(self, values, run):  # type: ignore[no-untyped-def]
            return 2 * values[0].tensor()

    signature = replace(SIGNATURES["identity"], name="twice", neutral=False, passes_on=None)
    block(replace(signature, source=lambda step: Expression(f"2 * {step.codes[0]}")))(Twice)
    graph = chain(step("mlp", (0,), "x", "encode"), step("twice", (2,), "x"), step("mlp", (3, 1), "score", "classify"))
    assert write_python(take(graph, {}), tmp_path / "model.py") <= LIMIT
    assert write_onnx(take(graph, {}), tmp_path / "model.onnx") <= LIMIT
    assert "x1 = 2 * x0  # [N, 4]" in (tmp_path / "model.py").read_text()


def fault(kind: type[ArchiOpTrXError], action: Any) -> str:
    """The one line of an error."""
    with pytest.raises(kind) as caught:
        action()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_name_of_another_block_is_refused() -> None:
    class Mine(nn.Module):
        pass

    same = {"accepts": lambda domains, output: None, "width": lambda widths, parameters: None}
    message = fault(InputError, lambda: block(Signature("mlp", **same))(Mine))
    assert message == "block mlp: is the name of a bundled block; allowed: another name"
    assert SIGNATURES["mlp"] is BLOCKS.get("mlp").signature  # type: ignore[attr-defined]
    block(Signature("mine", **same))(Mine)
    Mine.__module__ = "elsewhere"
    message = fault(InputError, lambda: block(Signature("mine", **same))(Mine))
    assert message == f"block mine: is registered by {__name__} already; allowed in elsewhere: another name"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"name": ""}, "block: its name is ''; allowed: a text"),
        ({"width": 4}, "block own: width is 4; allowed: a function"),
        ({"count": 4}, "block own: count is 4; allowed: a function, or None"),
        ({"parameters": ("power",)}, "block own: parameters is ('power',); allowed: a tuple of Parameter"),
    ],
)
def test_a_faulty_signature_is_refused(properties: dict[str, Any], message: str) -> None:
    assert fault(InputError, lambda: registered(**properties)) == message


def test_what_is_no_block_is_refused() -> None:
    assert fault(InputError, lambda: block("mine")) == "block: got a str; allowed: a Signature"  # type: ignore[arg-type]
    signature = Signature("mine", lambda domains, output: None, lambda widths, parameters: None)
    message = fault(InputError, lambda: block(signature)(len))  # type: ignore[type-var]
    assert message == "block mine: is <built-in function len>; allowed: a class that inherits from nn.Module"


def test_rules_that_fail_are_named() -> None:
    for rule, message in (
        ({"accepts": lambda domains, output: domains[7]}, "own fails in its rule accepts: IndexError: "),
        ({"width": lambda widths, parameters: 4}, "own: its rule width gives 4; allowed: a Width, or None"),
    ):
        registered(**rule)
        with pytest.raises(GraphError, match=f"^x1 = weigh: {message}"):
            network().check_types()


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"count": lambda *arguments: 5}, "own: block own has 4 parameters, but its count gives 5"),
        ({"count": lambda *arguments: -1}, "block own: its count is -1; allowed: a whole number from 0, or None"),
        ({"count": lambda: 4}, "block own: its count fails: TypeError: .*"),
        ({"passes_on": lambda: True}, "block own: its passes_on fails: TypeError: .*"),
        (
            {"parameters": (Parameter("power", (int,), 2),)},
            r"own: block own can't be made: TypeError: .* unexpected keyword argument 'power'",
        ),
    ],
)
def test_a_block_that_can_not_be_compiled_is_named(properties: dict[str, Any], message: str) -> None:
    registered(**properties)
    graph = network()
    graph = replace(graph, steps=tuple(replace(old, function=old.block) for old in graph.steps))
    assert re.fullmatch(message, fault(GraphError, lambda: compile_model(graph, {}, WIDTHS)))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: x[:, :1], "gives [20, 1]; allowed: [20, 4]"),
        (lambda x: x[1:], "gives [19, 4]; allowed: [20, 4]"),
        (lambda x: x.sum(), "gives []; allowed: [rows, width]"),
        (lambda x: [x], "gives a list; allowed: a tensor [rows, width], or a Value"),
    ],
)
def test_a_result_of_another_shape_is_named(result: Any, message: str) -> None:
    class Odd(nn.Module):
        def __init__(self, inputs, output):  # type: ignore[no-untyped-def]
            super().__init__()

        def forward(self, values, run):  # type: ignore[no-untyped-def]
            return result(values[0].tensor())

    block(Signature("odd", lambda domains, output: None, lambda widths, parameters: widths[0]))(Odd)
    model = compile_model(network("odd"), {}, WIDTHS)
    event = transform(*random_event(np.random.default_rng(0), 3, 20, 40), WHOLE)
    line = fault(TrialError, lambda: model(event))
    assert line == (f"step x1 = weigh(x0), block odd: TypeError: {message}; inputs x0 node [4]; output node [4]")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda step: "x", "x1 = weigh: source of block own: gives a str; allowed: an Expression or a LayerSource"),
        (
            lambda step: LayerSource("Weighted(", step.codes),
            "x1 = weigh: source of block own: isn't Python: SyntaxError: .*",
        ),
        (lambda step: step.no_such, "block own: its source fails: AttributeError: .*"),
        (
            weighted("class Weighted(:"),
            "x1 = weigh: source of block own: helper Weighted isn't Python: SyntaxError: .*",
        ),
        (weighted(name="total"), "export: two different helpers are called total; allowed: different names"),
    ],
)
def test_a_source_that_is_no_code_is_named(source: Any, message: str) -> None:
    registered(source=source)
    assert re.fullmatch(message, fault(ArchiOpTrXError, lambda: take(network(), {})))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (weighted(CODE.replace("self.weight", "self.other")), r".*: RuntimeError: Error\(s\) in loading state_dict.*"),
        (weighted(CODE.replace("* x", "* y")), ".*: NameError: name 'y' is not defined"),
        (weighted(CODE.replace("* x", "* x[:, :1]").replace("self.weight *", "self.weight[:1] *")), ".*"),
        (weighted(CODE.replace("* x", "+ x")), "export: differs from the model by .*; nothing is written"),
    ],
)
def test_code_that_fails_is_refused(tmp_path: Path, source: Any, message: str) -> None:
    registered(source=source)
    for write, name in ((write_python, "model.py"), (write_onnx, "model.onnx")):
        line = fault(ArchiOpTrXError, partial(write, take(network(), {}), tmp_path / name))
        assert re.fullmatch(message, line), line
    assert not list(tmp_path.iterdir())
