"""A study as it runs: its folder, kills and resumes, the comparison at the end."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import processes
import pytest
import yaml
from small_search import SMALL, graph_with, lines, proposed, results, searched, small, write_odd
from test_search_commands import faults

from archioptrx.commands import evaluate, inspect, train
from archioptrx.commands.search import main as search
from archioptrx.core.files import hold
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.study_run import EventsOf

VARIED = {"sampler": [{"name": "random"}, {"name": "evolution", "initial": 2}], "seed": [0, 1]}
NAMES = ["random-0", "random-1", "evolution-0", "evolution-1"]
COMMAND = ["archioptrx", "search", "--backend", "local"]


def write(folder: Path, **more: Any) -> Path:
    """Write a small study."""
    path = folder / "small.yaml"
    path.write_text(
        yaml.safe_dump({**SMALL, "budget": {"trials": 4}, "training": {"epochs": 1}, "vary": VARIED, **more})
    )
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that nothing disturbed."""
    folder = tmp_path_factory.mktemp("study")
    assert search([str(write(folder)), "--backend", "local", "--output", str(folder / "study")]) == 0
    return folder / "study"


@pytest.fixture
def own(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A copy to change."""
    capsys.readouterr()  # what the study printed, where this is the first test
    for file in sorted(whole.rglob("*")):
        target = tmp_path / "study" / file.relative_to(whole)
        if file.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return tmp_path / "study"


def test_each_search_is_the_same_as_alone(whole: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in whole.iterdir() if path.is_dir()) == sorted(NAMES)
    for name, sampler, seed in (("random-1", {"name": "random"}, 1), ("evolution-0", VARIED["sampler"][1], 0)):
        alone = small(budget__trials=4, training__epochs=1, sampler=sampler, seed=seed)
        searched(tmp_path / name, alone)
        assert results(whole / name) == results(tmp_path / name)
        assert (whole / name / "best/metrics.json").read_text() == (tmp_path / name / "best/metrics.json").read_text()


def test_the_folder_says_what_was_run(whole: Path) -> None:
    document = yaml.safe_load((whole / "experiment.yaml").read_text())
    assert document["vary"] == VARIED and document["budget"]["trials"] == 4
    assert [line["search"] for line in lines(whole / "searches.jsonl")] == NAMES
    assert RunFolder(whole / "evolution-1").experiment().seed == 1


def test_sigkill_and_resume(whole: Path, tmp_path: Path) -> None:
    """Kill the process in the middle of the second search: what is resumed equals what nothing disturbed."""
    study = tmp_path / "study"
    rows = study / "random-1" / "trials.jsonl"
    processes.interrupted([*COMMAND, str(write(tmp_path)), "--output", str(study)], rows, 2, signal.SIGKILL)
    assert [line["search"] for line in lines(study / "searches.jsonl")] == ["random-0"]
    assert not (study / "evolution-0" / "best").exists()
    first = (study / "random-0" / "trials.jsonl").read_bytes()
    printed = processes.run([*COMMAND, "--resume", str(study), "--json"], tmp_path)
    assert (study / "random-0" / "trials.jsonl").read_bytes() == first
    for name in NAMES:
        assert results(study / name) == results(whole / name)
        assert proposed(study / name) == proposed(whole / name)
        assert (study / name / "best/metrics.json").read_text() == (whole / name / "best/metrics.json").read_text()
    assert [row["ended"] for row in json.loads(printed)["searches"]] == [True] * 4


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    study = tmp_path / "study"
    path = write(tmp_path, budget={"trials": 500})
    command = [*COMMAND, str(path), "--output", str(study)]
    code, stderr = processes.interrupted(command, study / "random-0" / "trials.jsonl", 2)
    assert code == 130
    assert stderr.splitlines()[-1] == f"stopped; go on with: archioptrx search --resume {study}"


def test_what_has_ended_is_only_read(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in own.rglob("*") if file.is_file() and file.name != "lock"}
    assert search(["--resume", str(own), "--backend", "local"]) == 0
    printed = capsys.readouterr()
    assert "after 1/4 of the trials" in printed.out and f"archioptrx inspect {own}" in printed.out
    assert printed.err == ""
    assert {file: file.read_bytes() for file in before} == before


def test_more_trials_go_on_in_every_search(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = results(own / "random-0")
    assert search(["--resume", str(own), "--backend", "local", "--trials", "5"]) == 0
    assert [len(lines(own / name / "trials.jsonl")) for name in NAMES] == [5] * 4
    assert results(own / "random-0")[:4] == before
    assert yaml.safe_load((own / "experiment.yaml").read_text())["budget"]["trials"] == 5


def test_a_varied_key_can_not_change_on_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, vary={"budget.trials": [1, 2]})
    study = tmp_path / "study"
    assert search([str(path), "--backend", "local", "--output", str(study)]) == 0
    capsys.readouterr()
    assert faults(capsys, "--resume", str(study), "--trials", "3") == [
        f"--trials: budget.trials is varied by {study / 'experiment.yaml'}"
    ]


def test_inspect_compares_what_has_ended(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = (own / "searches.jsonl").read_bytes().splitlines(keepends=True)
    (own / "searches.jsonl").write_bytes(b"".join(ended[:3]))
    assert inspect.main([str(own)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[2:4]] == [["random", "2"], ["evolution", "1"]]
    assert "1 of 2" in printed[3] and "±" in printed[2] and "±" not in printed[3]
    assert not printed[-1].startswith("*")  # one pair has no standard error
    assert "3 of 4 searches ended; mean ± sample standard deviation over seeds" in printed
    assert inspect.main([str(own), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [len(row["curve"]) for row in content["searches"]] == [4] * 4
    metrics = json.loads((own / "random-1/best/metrics.json").read_text())
    assert content["comparison"][0]["figures"]["test"]["values"][1] == metrics["test"]["auc"]["mean"]


@pytest.mark.parametrize("option", [("--fingerprint", "ab"), ("--functions",), ("--draw", "drawings")])
def test_what_inspect_does_for_one_search_alone(
    option: tuple[str, ...], own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert faults(capsys, str(own), *option, main=inspect.main) == [
        f"{option[0]}: is for one search of the study; allowed: archioptrx inspect {own / 'random-0'} …"
    ]


def test_of_a_metric_set_against_a_cost_the_test_shows_the_metric(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        content = yaml.safe_load((own / name / "experiment.yaml").read_text())
        content["objective"]["cost"] = "parameters"
        (own / name / "experiment.yaml").write_text(yaml.safe_dump(content))
    assert inspect.main([str(own), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["metric"], content["test_metric"]) == ("score", "auc")
    metrics = json.loads((own / "random-1/best/metrics.json").read_text())
    assert content["comparison"][0]["figures"]["test"]["values"][1] == metrics["test"]["auc"]["mean"]
    assert inspect.main([str(own)]) == 0
    printed = capsys.readouterr().out
    assert "best validation score so far" in printed and " test auc " in printed


@pytest.mark.parametrize("main", [train.main, evaluate.main])
def test_what_wants_one_search_refuses_a_study(main: Any, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults(capsys, str(own), main=main) == [
        f"{own}: holds a study of several searches; allowed: one of them, such as {own / 'evolution-0'}"
    ]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("searches.jsonl", '{"search": "random-0"}\n', "searches.jsonl: line 1: budget is missing; the file has been"),
        ("searches.jsonl", '{"search": 3, "budget": {}, "seconds": 1}\n', "searches.jsonl: line 1: search is 3; the"),
        ("experiment.yaml", "name: x\n", "experiment.yaml: lacks vary; the file has been changed"),
        ("experiment.yaml", "[1]\n", "experiment.yaml: lacks vary; the file has been changed"),
    ],
)
def test_a_damaged_study_is_refused_in_one_line(
    own: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, message: str
) -> None:
    (own / file).write_text(text)
    assert search(["--resume", str(own), "--backend", "local"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"{own}/{message}") or f"{own}/{message}" in last, last


def test_one_process_writes_to_a_study(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with hold(own):
        complaints = faults(capsys, "--resume", str(own))
    assert complaints == [f"{own}: process {os.getpid()} is writing to it; allowed: wait, or stop it"]


def test_who_may_not_write_changes_no_budget(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = own / "random-0"
    before = (run / "experiment.yaml").read_bytes()
    with hold(run):
        assert faults(capsys, "--resume", str(run), "--trials", "9")[0].startswith(f"{run}: process ")
        assert search(["--resume", str(own), "--time", "1h", "--backend", "local"]) == 2
    assert f"random-0: {run}: process " in capsys.readouterr().err
    assert (run / "experiment.yaml").read_bytes() == before


def test_a_search_without_a_winner_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    odd = write_odd(tmp_path, "raising")
    graph = yaml.safe_load((tmp_path / "odd.yaml").read_text())
    graph["functions"]["first"]["output"] = graph["functions"]["raising"]["inputs"][0] = "d"
    graph["data"]["d"] = graph["data"]["e"]
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(graph))
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(graph_with()))
    vary = {"function_graph": [odd.pop("function_graph"), "good.yaml"]}
    path = write(tmp_path, **odd, vary=vary, budget={"trials": 2})
    assert search([str(path), "--backend", "local", "--output", "study"]) == 2
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1].startswith("odd: study/odd: all 2 trials failed")
    assert "1 of 2 searches ended" in printed.out
    assert [line["search"] for line in lines(tmp_path / "study/searches.jsonl")] == ["good"]


def test_searches_of_other_events_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, vary={"split": {"seed": [0, 1]}, "seed": [0, 1]}, budget={"trials": 1})
    assert search([str(path), "--backend", "local", "--output", str(tmp_path / "study")]) == 0
    printed = capsys.readouterr()
    assert "warning: vary: split.seed: scores of different events aren't compared with each other" in printed.err
    assert "scores of other data or another split, not compared with each other: 0, 1" in printed.out
    assert "differs from" not in printed.out
    assert inspect.main([str(tmp_path / "study"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["comparison"]
    assert [row["differences"] for row in rows] == [{}, {}] and [row["reference"] for row in rows] == [None, None]


def test_data_are_read_once() -> None:
    events = EventsOf()
    assert events(small(seed=1)) is events(small(seed=2, sampler__name="gp"))
    assert events(small(data__seed=5)) is not events(small())


def test_a_dry_run_estimates_all(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert search([str(write(tmp_path)), "--dry-run", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content["searches"]) == 4
    assert content["hours"] == pytest.approx(4 * content["searches"][0]["hours"])
    assert search([str(write(tmp_path)), "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("whole study         4 searches, at most about ")
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_the_bundled_comparison_of_samplers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its file, on toy events, with two seeds, two trials and one epoch."""
    changes = {
        "data": {"source": "toy", "num_samples": 12},
        "vary.seed": [0, 1],
        "constraints": {"parameters": 3000, "executed": 8},
    }
    options = [text for key, value in changes.items() for text in ("--set", f"{key}={json.dumps(value)}")]
    output = ["--trials", "2", "--epochs", "1", "--backend", "local", "--output", str(tmp_path / "study"), "--json"]
    assert search(["samplers", *options, *output]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in content["comparison"]] == ["random", "evolution", "controller", "gp"]
    assert [len(row["figures"]["test"]["values"]) for row in content["comparison"]] == [2] * 4
