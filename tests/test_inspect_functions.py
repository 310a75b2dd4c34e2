"""`archioptrx inspect --functions` and `--draw`: counts by windows, what was learned, faults."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_search import PROPOSAL, small
from test_search_commands import faults

from archioptrx.commands import inspect
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.runs.function_statistics import probability_changes, windows_of
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.search.setup import prepare


def line(number: int, *functions: str) -> dict[str, Any]:
    return {"proposal": number, "graph": {"steps": [{"function": name} for name in functions]}}


def test_shares_by_window() -> None:
    lines = [line(0, "a"), line(1, "a", "b", "a"), line(3, "b"), line(4, "b")]
    learned = [{"proposal": 1, "functions": {"a": 0.5, "b": 0.5}}, {"proposal": 4, "functions": {"b": 0.9}}]
    early, late = windows_of(lines, learned, ["a", "b", "c"], 2)
    assert (early.first, early.last, late.first, late.last) == (0, 1, 3, 4)
    assert early.share == {"a": 1.0, "b": 0.5, "c": 0.0} and late.share == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert early.probability == {"a": 0.5, "b": 0.5} and late.probability == {"b": 0.9}


@given(st.integers(0, 60), st.integers(1, 9))
def test_windows_hold_each_proposal_once(total: int, count: int) -> None:
    windows = windows_of([line(number, "a") for number in range(total)], [], ["a"], count)
    assert [number for w in windows for number in range(w.first, w.last + 1)] == list(range(total))
    assert len(windows) == min(total, count)
    sizes = [window.proposals for window in windows]
    assert not sizes or max(sizes) - min(sizes) <= 1
    assert all(window.share == {"a": 1.0} and window.probability == {} for window in windows)


def test_changes_are_counted_from_the_first_that_is_known() -> None:
    learned: list[Mapping[str, Any]] = [{"functions": {"a": 0.5}}, {"functions": {"a": 0.4, "b": 0.1}}]
    learned.append({"functions": {"a": 0.45, "b": 0.7}})
    assert probability_changes(learned) == [("b", 0.1, 0.7), ("a", 0.5, 0.45)]
    assert probability_changes([]) == []


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run of eight proposals, one of them refused by its worker, none ended."""
    setup = prepare(small(sampler={"name": "controller"}))
    folder = RunFolder.create(tmp_path / "run", setup.experiment, {}, setup.files)
    for number in range(8):
        graph = setup.space(random_choices(number)).graph.to_dict()
        folder.proposals.append({**PROPOSAL, "proposal": number, "graph": graph})
    folder.proposals.append({"proposal": 7, "refused": "seconds_per_step 1 > 0.1"})
    folder.proposals.close()
    return folder


def learn(folder: RunFolder) -> None:
    for number, edge in ((3, 0.25), (6, 0.75)):
        folder.learned.append({"proposal": number, "functions": {"edge_net": edge, "classify": 0.5}})
    folder.learned.close()


def test_a_table_for_any_sampler(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main([str(folder.path), "--functions"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("share of the proposals that have each function, by number of the proposal\nfunction ")
    assert "probability" not in printed and "edge_update" in printed
    assert len(printed.splitlines()) == 2 + len(FunctionGraph.load("tracking").functions)


def test_a_table_of_what_was_learned(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    learn(folder)
    with (folder.path / "learned.jsonl").open("a") as file:
        file.write('{"proposal": 7, "func')
    assert inspect.main([str(folder.path), "--functions"]) == 0
    printed = capsys.readouterr().out
    last = printed[printed.index("controller: mean probability") :].splitlines()
    assert last[2].split()[0] == "edge_net" and last[2].split()[-2:] == ["0.75", "▃▃██"]
    assert last[3].split()[0] == "classify"
    assert inspect.main([str(folder.path), "--functions", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)["functions"]
    assert document["learned"][-1]["functions"]["edge_net"] == 0.75
    assert [window["proposals"] for window in document["windows"]] == [1, 2, 1, 1, 2, 1]


def test_one_line_of_it_by_default(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main([str(folder.path)]) == 0
    assert "learned" not in capsys.readouterr().out
    learn(folder)
    assert inspect.main([str(folder.path)]) == 0
    printed = capsys.readouterr().out
    assert "controller has learned: edge_net 0.25 → 0.75, classify 0.50 → 0.50; all: --functions\n" in printed


@pytest.mark.parametrize("learned", [False, True])
def test_the_function_graph_is_drawn(
    folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], learned: bool
) -> None:
    if learned:
        learn(folder)
    target = tmp_path / "deep" / "drawings"
    assert inspect.main([str(folder.path), "--draw", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["drawings"] == [str(target / f"functions.{k}") for k in ("svg", "png")]
    assert all((target / f"functions.{kind}").stat().st_size > 10_000 for kind in ("svg", "png"))
    assert inspect.main([str(folder.path), "--draw", str(target)]) == 0
    assert capsys.readouterr().out == f"drawn: {target / 'functions.svg'}\ndrawn: {target / 'functions.png'}\n"


def test_before_the_first_proposal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup = prepare(small())
    folder = RunFolder.create(tmp_path / "run", setup.experiment, {}, setup.files)
    assert inspect.main([str(folder.path), "--functions", "--draw", str(tmp_path / "d")]) == 0
    assert capsys.readouterr().out.startswith("no proposal yet\ndrawn: ")


def test_faults_are_one_line(folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    cases = [
        ((str(folder.path), "--draw", str(tmp_path / "file")), f"{tmp_path / 'file'}: is a file; allowed: a folder"),
        ((str(tmp_path / "none"), "--functions"), f"{tmp_path / 'none'}: is no folder; allowed: "),
        ((str(tmp_path), "--draw", str(tmp_path / "d")), f"{tmp_path}: holds no search; allowed: "),
    ]
    for arguments, start in cases:
        complaints = faults(capsys, *arguments, main=inspect.main)
        assert complaints[-1].startswith(start) and len(complaints) == 1
    assert not (tmp_path / "d").exists()


def test_a_run_without_a_function_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder.create(tmp_path / "run", small(), {}, {})
    complaints = faults(capsys, str(folder.path), "--functions", main=inspect.main)
    assert complaints == [f"{folder.path}: has no function graph: one architecture was searched; allowed: another run"]
