"""Trials that don't end by themselves: time limits in both backends, and blocks that end the program."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_search import allow, lines, quiet, results, searched, small, write_only

from archioptrx.commands import train
from archioptrx.commands.search import main as search
from archioptrx.core.errors import InputError
from archioptrx.core.plugins import import_modules, user_modules
from archioptrx.models.model_folder import load_model
from archioptrx.runs.experiment import parse_experiment
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.jobs import TrialJob, Work
from archioptrx.search.local_backend import run_locally
from archioptrx.search.retrain import Retraining
from archioptrx.training.trial import TrialData, messages, weights_digest


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an experiment whose networks all have a certain odd block."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def experiment(block: str, **overrides: Any) -> Any:
        return small(**{**write_only(tmp_path, block), "budget__trials": 2, **overrides})

    return experiment


def stopping(after: int) -> Any:
    """A backend in which the time of the first job is over after so many messages."""

    def run(work: Work, data: TrialData) -> None:
        job = work.next()
        assert job is not None
        for count, message in enumerate(messages(job.spec, data)):
            if count == after:
                assert work.message(job.key, {"kind": "stopped", "seconds": 1.0, "log": []})
                break
            assert not work.message(job.key, message)
        run_locally(work, data)

    return run


def test_a_trial_that_hangs_is_ended_and_the_search_goes_on(only: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"all 2 trials failed; the last one: no score within 0\.2 s \(budget\.trial_"):
        searched(tmp_path / "run", only("hanging", budget__trial_time=0.2))
    assert [row["epochs"] for row in lines(tmp_path / "run" / "trials.jsonl")] == [0, 0]


def test_a_trial_whose_time_is_over_keeps_the_score_it_has(tmp_path: Path) -> None:
    experiment = small(budget__trials=2, training__epochs=3, retrain__seeds=1, budget__trial_time="1h")
    searched(tmp_path / "run", experiment, stopping(after=2))
    first, second = lines(tmp_path / "run" / "trials.jsonl")
    assert (first["status"], first["epochs"]) == ("pruned", 2) and first["score"] == max(first["curve"])
    assert (second["status"], second["epochs"]) == ("finished", 3)


def test_the_end_of_the_time_leaves_a_trial_without_a_score_to_a_resume(tmp_path: Path) -> None:
    experiment = small(budget__trials=2, retrain__seeds=1)
    searched(tmp_path / "whole", experiment)

    def late(work: Any, data: TrialData) -> None:
        job = work.next()
        trials = work._now
        trials.rules = replace(trials.rules, deadline=time.monotonic())
        assert work.message(job.key, {"kind": "stopped", "seconds": 1.0, "log": []})
        assert trials.done and not trials.rows
        run_locally(work, data)

    with pytest.raises(InputError, match="no trial has ended"):
        searched(tmp_path / "run", experiment, late)
    assert lines(tmp_path / "run" / "proposals.jsonl") and not lines(tmp_path / "run" / "trials.jsonl")
    assert "a resume runs it again" in RunFolder(tmp_path / "run").log("0000").read_text()
    searched(tmp_path / "run", experiment)
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def test_a_limit_is_the_trial_s_or_the_search_s() -> None:
    job = TrialJob("a", None, limit=10.0, deadline=25.0)  # type: ignore[arg-type]
    assert [job.until(start) for start in (0.0, 20.0)] == [10.0, 25.0]
    assert TrialJob("a", None).until(3.0) == float("inf")  # type: ignore[arg-type]


def test_a_retraining_has_the_time_of_its_epochs(tmp_path: Path) -> None:
    budget, retrain = {"trials": 1, "trial_time": "1h"}, {"top": 1, "seeds": 1, "epochs": 6}
    experiment = small(budget=budget, retrain=retrain, resources={"workers": 1})
    jobs: list[TrialJob] = []

    def watching(work: Any, data: TrialData) -> None:
        handed = work.next

        def watched() -> TrialJob | None:
            job = handed()
            jobs.extend([job] if job else [])
            return job  # type: ignore[no-any-return]

        work.next = watched
        run_locally(work, data)

    searched(tmp_path / "run", experiment, watching)
    assert [(job.spec.training.epochs, job.limit) for job in jobs] == [(2, 3600.0), (6, 3 * 3600.0)]


def test_a_retraining_that_hangs_has_failed(tmp_path: Path) -> None:
    experiment = small(budget={"trials": 1, "trial_time": "1h"}, retrain={"top": 1, "seeds": 2})

    def run(work: Any, data: TrialData) -> None:
        while not isinstance(work._now, Retraining):
            job = work.next()
            for message in messages(job.spec, data):
                work.message(job.key, message)
            assert not work.done
        job = work.next()
        assert work.message(job.key, {"kind": "stopped", "seconds": 1.0, "log": []})
        run_locally(work, data)

    result = searched(tmp_path / "run", experiment, run)
    rows = lines(tmp_path / "run" / "retrain.jsonl")
    assert [row["status"] for row in rows] == ["failed", "finished"] and result.winner.repeat == 1
    assert rows[0]["error"] == "not ended within 1 h 0 min (budget.trial_time)"


def test_another_thread_ends_a_trial_between_its_epochs(tmp_path: Path) -> None:
    experiment = small(budget={"trials": 1}, training__epochs=50, retrain={"top": 1, "seeds": 1, "epochs": 1})
    deadline = time.monotonic() + 0.5
    errors: list[BaseException] = []

    def run() -> None:
        try:
            searched(tmp_path / "run", experiment, deadline=deadline)
        except InputError as error:  # on a slow machine not one epoch ends in this time
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    for row in lines(tmp_path / "run" / "trials.jsonl"):
        assert row["status"] == "pruned"
    assert all("no trial has ended" in str(error) for error in errors)


def test_a_block_that_ends_the_program_fails_its_trial(
    only: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"all 2 trials failed; the last one: step e0 = leaving.*SystemExit: 0"):
        searched(tmp_path / "run", only("leaving"))


@pytest.mark.parametrize(("block", "place"), [("closing", "step e0 = closing"), ("closing_backward", "raised")])
def test_a_block_that_raises_the_end_of_a_generator_fails_its_trial(only: Any, tmp_path: Path, block: str, place: str):
    with pytest.raises(InputError, match=rf"all 2 trials failed; the last one: {place}.*GeneratorExit"):
        searched(tmp_path / "run", only(block))


def test_a_block_that_raises_what_ctrl_c_raises_stops_the_search(only: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "run", only("interrupting"))


def test_a_module_or_another_part_that_ends_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(InputError, match="imports: script: can't be imported: SystemExit: 0"):
        import_modules(["script"])
    monkeypatch.setattr("archioptrx.commands.search.prepare", lambda *_: exit())
    assert search(["--dry-run"]) == 2
    assert "SystemExit" in capsys.readouterr().err


def test_the_option_and_the_key(tmp_path: Path) -> None:
    assert parse_experiment({"name": "a", "budget": {"trial_time": "1h30m"}}, "a.yaml").budget.trial_time == 5400
    assert parse_experiment({"name": "a"}, "a.yaml").to_dict()["budget"] == {
        "trials": 12,
        "time": None,
        "trial_time": None,
    }
    with pytest.raises(InputError, match=r"a\.yaml: budget\.trial_time: is 'soon'; allowed: a time above 0 such as 4h"):
        parse_experiment({"name": "a", "budget": {"trial_time": "soon"}}, "a.yaml")
    few = ["--backend", "local", "--trials", "1", "--epochs", "1", "--set", "data.num_samples=16"]
    options = ["--set", "retrain.seeds=1", "--output", str(tmp_path / "run"), "--trial-time", "2h"]
    assert search([*few, *options]) == 0
    assert RunFolder(tmp_path / "run").experiment().budget.trial_time == 7200
    assert search(["--resume", str(tmp_path / "run"), "--backend", "local", "--trial-time", "3h"]) == 0
    assert RunFolder(tmp_path / "run").experiment().budget.trial_time == 10800


LATE = """
import torch
from torch import nn

from archioptrx.graphs.signatures import Signature
from archioptrx.networks.blocks import block
from archioptrx.search.alarm import TimeIsUp


@block(Signature("late_LAST", accepts=lambda domains, output: None, width=lambda widths, parameters: widths[0]))
class Late(nn.Module):
    def __init__(self, inputs, output):
        super().__init__()
        self.weight, self.steps = nn.Parameter(torch.ones(1)), 0

    def forward(self, values, run):
        self.steps += self.training
        if self.training and self.steps > LAST:
            raise TimeIsUp
        return values[0].tensor() * self.weight
"""


ARCHITECTURE = """
name: late
hyperparameters: {}
graph:
  types:
    doublet: {domain: edge, width: {doublet: 1}, field: edge_attr}
    e: {domain: edge, width: {doublet: 1}}
    score: {domain: edge, width: {target: 1}}
  sources: [doublet]
  steps:
  - {value: e0, type: e, function: late, block: late_LAST, inputs: [doublet], weights: late.0}
  - {value: score0, type: score, function: classify, block: mlp, inputs: [e0], params: {layers: 1}, weights: classify.0}
  targets: [score0]
"""


def trained_late(folder: Path, last: int, *options: str) -> int:
    """Train a network whose time is up after so many epochs, as if an alarm had rung in it; each has one step."""
    module = f"late_blocks_{last}"
    (folder / f"{module}.py").write_text(LATE.replace("LAST", str(last)))
    allow(module, folder)
    (folder / "late.yaml").write_text(ARCHITECTURE.replace("LAST", str(last)))
    settings = ["data.num_samples=16", "training.batch_size=16", f"imports=[{module}]"]
    told = [word for setting in settings for word in ("--set", setting)]
    return train.main([str(folder / "late.yaml"), "--output", str(folder / "model"), *told, *options])


def test_a_training_whose_time_is_up_keeps_its_best_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert trained_late(tmp_path, 2, "--epochs", "5", "--time", "1h") == 0
    said = capsys.readouterr().err
    assert "late: its time is up after 2 of 5 epochs; the model has the weights of epoch 1" in said
    assert len(lines(tmp_path / "model" / "epochs.jsonl")) == 2
    facts = json.loads((tmp_path / "model" / "environment.json").read_text())
    with user_modules(["late_blocks_2"]):
        assert weights_digest(load_model(tmp_path / "model").model.state_dict()) == facts["weights_digest"]


def test_a_training_without_an_epoch_in_its_time_has_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert trained_late(tmp_path, 0, "--time", "1h") == 2
    assert capsys.readouterr().err.splitlines()[-1] == "late: no epoch has ended within the time limit"
    assert not (tmp_path / "model").exists()


def test_a_network_that_hangs_in_the_screen_is_the_worst(only: Any, tmp_path: Path) -> None:
    screened = only("hanging", budget__trial_time=0.2, budget__trials=1, screen={"proposals": 2, "proxy": "jacob_cov"})
    with pytest.raises(InputError, match=r"all 1 trials failed; the last one: no score within 0\.2 s"):
        searched(tmp_path / "run", screened)
    rows = lines(tmp_path / "run" / "screen.jsonl")
    assert rows and {(row["error"], *row["values"].values()) for row in rows} == {
        ("ended by a limit of the time", None)
    }


def test_a_trial_that_is_not_run_leaves_the_live_view() -> None:
    view = quiet()
    view.running[3] = "starts"
    view.dropped(3, "trial 3 is not run: parameters 9 > 8")
    assert view.running == {}
