"""Exported Python code gives what the trained network gives, is formatted, and reads as a person would write it."""

import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import SECTORS, WHOLE, chain, everything, spoilt, step, take, worst
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from own_blocks import own_blocks
from strategies import computation_graph
from test_models import GRAPHS, sample
from torch import nn

from archioptrx.core.errors import InputError, TrialError
from archioptrx.data.dataset import Metadata
from archioptrx.data.doublets import ACORN_FEATURES
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import ACTIVATIONS, BUNDLED, Signature, Width
from archioptrx.graphs.source.helpers import HELPERS
from archioptrx.graphs.steps import DataType
from archioptrx.models.export.check import random_event
from archioptrx.models.export.files import write_python, written
from archioptrx.models.export.python import source
from archioptrx.models.export.trained import Take, about_file
from archioptrx.models.inference import transform
from archioptrx.networks.blocks import ForwardPass, Shape, Value, block

LIMIT = 1e-5
few = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def text_of(plan: Take) -> str:
    return source(plan.program, about_file(plan, "tracker"))


@given(st.sampled_from(GRAPHS), st.integers(0, 10**6))
@few
def test_sampled_networks(tmp_path: Path, name: str, seed: int) -> None:
    candidate = sample(name, seed)
    plan = take(candidate.graph, candidate.hyperparameters, (WHOLE, SECTORS)[seed % 2], seed)
    assert worst(plan, tmp_path / "code.py", seed) <= LIMIT


@given(st.integers(0, 10**9))
@example(101806427)  # a step outside a loop shares weights with one that has some of each pass
@few
def test_any_computation_graph(tmp_path: Path, seed: int) -> None:
    """Overlapping loops, useless ones, unused steps, weights shared and of each pass, several targets."""
    graph = computation_graph(random.Random(seed))
    assert worst(take(graph, {"hidden": 4}, seed=seed), tmp_path / "code.py", seed) <= LIMIT


def test_every_block_and_every_sum(tmp_path: Path) -> None:
    plan = take(everything(), {})
    assert {step.block for step in everything().steps} == set(BUNDLED) - {"pyg", "pool", "unpool"}
    assert worst(plan, tmp_path / "code.py") <= LIMIT


def test_all_bundled_blocks_are_written() -> None:
    assert [name for name, signature in BUNDLED.items() if signature.source is None] == []


@pytest.mark.parametrize("direction", ["both", "together"])
@pytest.mark.parametrize("width", [1, 4])
def test_attention_by_channel_and_by_edge(tmp_path: Path, width: int, direction: str) -> None:
    logits = "e" if width == 4 else "score"
    graph = chain(
        step("mlp", (0,), "x", "encode"),
        step("mlp", (1,), logits, "weigh"),
        step("attention", (2, 3), "x", "attend", layers=1, direction=direction),
        step("mlp", (4, 1), "score", "classify"),
    )
    assert worst(take(graph, {}), tmp_path / "code.py") <= LIMIT


@pytest.mark.parametrize("kind", [kind for kind in ACTIVATIONS if kind != "none"])
@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
def test_activations_and_norms(tmp_path: Path, kind: str, norm: str) -> None:
    graph = chain(
        step("mlp", (0,), "x", "encode", activation=kind, output_activation=kind, norm=norm, dropout=0.3),
        step("mlp", (2, 1), "score", "classify", activation=kind, norm=norm, layers=3),
    )
    plan = take(graph, {})
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    assert text_of(plan).count("nn.Dropout(0.3)") == 1


def test_format_and_lint(tmp_path: Path) -> None:
    """As ruff and black write it, at their own line length and at ours; nothing unused."""
    for seed in range(12):
        graph = computation_graph(random.Random(seed))
        (tmp_path / f"any{seed}.py").write_text(text_of(take(graph, {"hidden": 4}, SECTORS)))
    for name in GRAPHS:
        for seed in range(8):
            candidate = sample(name, seed)
            (tmp_path / f"{name}{seed}.py").write_text(text_of(take(candidate.graph, candidate.hyperparameters)))
    (tmp_path / "everything.py").write_text(text_of(take(everything(), {}, SECTORS)))
    for options in (
        ["format", "--isolated", "--check"],
        ["format", "--isolated", "--check", "--line-length", "120"],
        ["check", "--isolated"],
        ["check", "--config", str(Path(__file__).parents[1] / "pyproject.toml")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *options, "--no-cache", str(tmp_path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


def test_the_reference_reads_as_a_person_would_write_it() -> None:
    plan = take(*parts("attention_recursive"), SECTORS)
    text = text_of(plan)
    loop = """\
        x0 = self.encode(hits)  # [N, 64]
        # 5 passes, x0 <- x1 between.
        for turn in range(5):
            xs0 = torch.cat([x0, hits], dim=1)  # [N, 67]
            score0 = self.edge_net(xs0, start, end)  # [E, 1]
            if turn < 4:
                x1 = self.attend(xs0, score0, start, end)  # [N, 64]
                x0 = x1
        return score0.squeeze(1)
"""
    assert loop in text
    graph = plan.trained.architecture.graph
    facts = (f"fingerprint {graph.fingerprint}", "run first/best", "4 φ sectors", "class EdgeNet(nn.Module)")
    assert all(part in text for part in (*facts, *str(graph).splitlines()))
    imports = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imports == {"math", "pathlib", "torch"}


def parts(name: str) -> tuple[ComputationGraph, dict[str, object]]:
    architecture = Architecture.load(name)
    return architecture.graph, dict(architecture.hyperparameters)


def test_probabilities_and_logits(tmp_path: Path) -> None:
    code = written(take(*parts("attention")), tmp_path / "code.py").load()
    hits, edges = map(torch.tensor, random_event(np.random.default_rng(0), 3, 20, 50))
    torch.testing.assert_close(code(hits, edges), code.logits(hits, edges).sigmoid())


def test_several_targets_of_other_domains(tmp_path: Path) -> None:
    """What isn't a classification is given as it is."""
    graph = chain(step("mlp", (0,), "x", "encode"), step("mlp", (0, 1), "score", "classify"), targets=(2, 3))
    plan = take(graph, {})
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    code = written(plan, tmp_path / "code.py").load()
    hits, edges = map(torch.tensor, random_event(np.random.default_rng(0), 3, 20, 50))
    coordinates, scores = code(hits, edges)
    assert coordinates.shape == (20, 4) and scores.shape == (50,)


def test_names_that_python_or_torch_has_already(tmp_path: Path) -> None:
    types = (
        DataType("edge_index", "node", Width.of("edge_index"), "x"),
        DataType("hits", "edge", Width.of("hits"), "edge_attr"),
        DataType("self", "edge", Width.of(3)),
        DataType("class", "edge", Width.of("target")),
    )
    steps = (
        step("mlp", (0, 1), "self", "train"),
        step("mlp", (0, 0, 2), "self", "forward"),
        step("mlp", (2, 3), "class", 'a "b" c\\'),
    )
    graph = ComputationGraph(types, ("edge_index", "hits"), steps, (), (4,))
    assert worst(take(graph, {}), tmp_path / "code.py") <= LIMIT


def test_the_order_of_edges_does_not_matter(tmp_path: Path) -> None:
    code = written(take(*parts("interaction")), tmp_path / "code.py").load()
    hits, edges = map(torch.tensor, random_event(np.random.default_rng(0), 3, 20, 90))
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(code(hits, edges[:, order]), code(hits, edges)[order])


@pytest.mark.parametrize("sectors", [3, 4])
def test_each_hit_is_counted_from_the_middle_of_its_sector(tmp_path: Path, sectors: int) -> None:
    """A sector turned by its width gives the same; φ that is counted from its middle already is told so."""
    metadata = Metadata("test", node_scale=(1000.0, np.pi / sectors, 1000.0), sectors=sectors)
    plan = take(*parts("attention"), metadata)
    code = written(plan, tmp_path / "code.py").load()
    random = np.random.default_rng(1)
    hits, edges = random_event(random, 3, 30, 90)
    hits[:, 1] = random.uniform(-0.99, 0.99, 30) * np.pi / sectors
    expected = code.logits(torch.tensor(hits), torch.tensor(edges), middle=0.0)
    torch.testing.assert_close(plan.trained.model(transform(hits, edges, metadata, 0.0)), expected, rtol=0, atol=LIMIT)
    for place in range(sectors):
        turned = hits.copy()
        turned[:, 1] += -np.pi + (2 * place + 1) * np.pi / sectors
        logits = code.logits(torch.tensor(turned), torch.tensor(edges))
        torch.testing.assert_close(logits, expected, rtol=0, atol=LIMIT)
    shifted = code.logits(torch.tensor(hits + np.array([0, np.pi / sectors / 2, 0])), torch.tensor(edges), middle=0.0)
    assert not torch.allclose(shifted, expected, atol=1e-3)


def test_whole_events_take_any_range_of_phi(tmp_path: Path) -> None:
    code = written(take(*parts("attention")), tmp_path / "code.py").load()
    hits, edges = random_event(np.random.default_rng(1), 3, 30, 90)
    expected = code.logits(torch.tensor(hits), torch.tensor(edges))
    hits[:, 1] %= 2 * np.pi
    torch.testing.assert_close(code.logits(torch.tensor(hits), torch.tensor(edges)), expected, rtol=0, atol=LIMIT)


def test_further_columns_of_hits(tmp_path: Path) -> None:
    metadata = Metadata("test", ("r", "φ", "z", "cells", "charge"), (1000.0, np.pi, 1000.0, 8.0, 0.5))
    plan = take(*parts("attention"), metadata)
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    assert "cells" in text_of(plan) and "hits[:, 4] / 0.5" in text_of(plan)


@pytest.mark.parametrize(
    "names", [("Δφ",), ("Δz", "Δcells"), ("z0",), ("Δφ/Δr", "Δr"), ("Δ(Δ)", "Δcells", "z0", "Δφ"), ACORN_FEATURES]
)
def test_other_edge_features(tmp_path: Path, names: tuple[str, ...]) -> None:
    scale = tuple(0.5 + place for place in range(len(names)))
    metadata = Metadata("test", ("r", "φ", "z", "cells", "Δ"), (1000.0, np.pi, 1000.0, 8.0, 0.5), names, scale)
    plan = take(*parts("interaction"), metadata)
    assert worst(plan, tmp_path / "code.py") <= LIMIT
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", str(tmp_path / "code.py")], check=False
    )
    assert checked.returncode == 0
    with pytest.raises(InputError, match=r"^edge_attr: score can't be computed from the hits; allowed in an export: "):
        take(*parts("interaction"), replace(metadata, edge_features=("score",), edge_scale=(1.0,)))


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_steps_in_units_of_a_source(tmp_path: Path, scale: float) -> None:
    """Of edges with |Δr| below 1 only those below a thousandth of the scale have another divisor."""
    metadata = Metadata(
        "test", node_scale=(scale, np.pi, scale), edge_scale=(scale, 1.0, scale, 1.0, scale), own_units=True
    )
    plan = take(*parts("interaction"), metadata)
    assert f"torch.where(dr.abs() < {scale / 1000!r}, one, dr)" in text_of(plan)
    code = written(plan, tmp_path / "code.py").load()
    hits, edges = random_event(np.random.default_rng(1), 3, 30, 90)
    hits[:, [0, 2]] *= scale / 1000
    hits[edges[1, :9], 0] = hits[edges[0, :9], 0] + scale / 3000
    expected = plan.trained.model(transform(hits, edges, metadata))
    torch.testing.assert_close(code.logits(torch.tensor(hits), torch.tensor(edges)), expected, rtol=0, atol=LIMIT)


GATHERING = chain(step("mlp", (0, 1), "score", "classify"))
"""A network that only reads the hits of its edges: nothing in it would refuse a negative index by itself."""


def test_an_edge_to_a_hit_that_is_not_there_is_refused(tmp_path: Path) -> None:
    code = written(take(GATHERING, {}), tmp_path / "code.py").load()
    hits, _ = random_event(np.random.default_rng(0), 3, 4, 2)
    for wrong in (-1, 4):
        with pytest.raises(IndexError, match="out of bounds"):
            code(torch.tensor(hits), torch.tensor([[0, wrong], [1, 2]]))


def test_a_largest_value_of_0_has_its_whole_gradient() -> None:
    """Networks are trained further in this form; half of the gradient would go to the 0 of empty groups."""
    space: dict[str, Any] = {"torch": torch}
    exec(HELPERS["largest"], space)
    rows = torch.tensor([[0.0], [-1.0], [3.0]], requires_grad=True)
    largest = space["largest"](rows, torch.tensor([0, 0, 2]), 3)
    assert largest.tolist() == [[0], [0], [3]]
    largest.sum().backward()
    assert rows.grad is not None and rows.grad.tolist() == [[1], [0], [1]]


def test_a_wrong_file_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"differs from the model by .*; nothing is written"):
        write_python(spoilt(take(*parts("attention"))), tmp_path / "tracker.py")
    assert not list(tmp_path.iterdir())


@own_blocks()
def test_what_can_not_be_exported_is_named() -> None:
    signature = Signature("test_twice", lambda domains, output: None, lambda widths, parameters: None)

    @block(signature)
    class Twice(nn.Module):
        def __init__(self, inputs: Sequence[Shape], output: Shape) -> None:
            super().__init__()

        def forward(self, values: Sequence[Value], run: ForwardPass) -> torch.Tensor:
            return 2 * values[0].tensor()[:, :1].expand(-1, 4)

    own = chain(step("test_twice", (0,), "x", "twice"), step("mlp", (2,), "score", "classify"))
    message = (
        r"^x0 = twice: block test_twice has no source in its signature, thus no plain form; allowed in an export: add, "
        r".*; archioptrx\.load runs any block in Python$"
    )
    with pytest.raises(InputError, match=message):
        take(own, {})
    types = (DataType("seen", "node", Width.of("seen"), "embedding"), DataType("score", "edge", Width.of("target")))
    learned = ComputationGraph(types, ("seen",), (step("mlp", (0,), "score", "classify"),), (), (1,))
    with pytest.raises(InputError, match=r"^source seen: reads embedding, which hits and edges alone don't give"):
        take(learned, {}, Metadata("test", embedding=4))
