"""A search in which children start from their parent's weights: what is kept, what is told, what a crash leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from small_search import SMALL, Crash, crashing, lines, results, searched, small

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.networks.compile import compile_model, source_widths
from archioptrx.search.jobs import Work
from archioptrx.search.local_backend import run_locally
from archioptrx.search.run import load_events
from archioptrx.search.setup import Specs
from archioptrx.tasks import make_task
from archioptrx.training.fit import predict
from archioptrx.training.trial import TrialData, messages

HEIRS: dict[str, Any] = {"sampler": {"name": "evolution", "initial": 2, "inherit": True}, "budget__trials": 7}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nothing disturbed."""
    folder = tmp_path_factory.mktemp("heirs") / "whole"
    searched(folder, small(**HEIRS))
    return folder


def kin(folder: Path) -> list[tuple[Any, ...]]:
    """Who is whose child, and what it got."""
    rows = sorted(lines(folder / "trials.jsonl"), key=lambda row: row["proposal"])
    return [
        (line["proposal"], line["parent"], row["inherited"])
        for line, row in zip(lines(folder / "proposals.jsonl"), rows, strict=True)
    ]


def kept(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """All weights, by file."""
    return {file.name: torch.load(file, weights_only=True) for file in sorted((folder / "weights").iterdir())}


def same(one: Path, other: Path) -> bool:
    """Whether two searches are the same bit for bit."""
    mine, its = kept(one), kept(other)
    equal = mine.keys() == its.keys() and all(mine[f].keys() == its[f].keys() for f in mine)
    equal = equal and all(torch.equal(mine[f][key], its[f][key]) for f in mine for key in mine[f])
    return equal and results(one) == results(other) and kin(one) == kin(other)


def test_a_child_has_a_parent_that_the_sampler_knew_and_says_what_it_got(whole: Path) -> None:
    known: set[int] = set()
    for line, (number, parent, inherited) in zip(lines(whole / "proposals.jsonl"), kin(whole), strict=True):
        known.update(line["observed"])
        assert parent is None or parent in known
        if parent is None:
            assert inherited is None
        else:
            assert inherited["parent"] == f"{parent:04d}" and 0 <= inherited["share"] <= 1
            assert number >= 2
    shares = [inherited["share"] for _, _, inherited in kin(whole) if inherited]
    assert len(shares) >= 3 and max(shares) > 0.5


@pytest.mark.parametrize("scheduler", ["fifo", "asha"])
def test_the_weights_of_each_ended_trial_are_those_of_its_best_epoch(scheduler: str, tmp_path: Path) -> None:
    experiment = small(**{**HEIRS, "scheduler__name": scheduler, "training__epochs": 3, "retrain__seeds": 1})
    searched(tmp_path / "run", experiment)
    data, task = load_events(experiment).data, make_task()
    batches = data.splits.validation
    proposals = {line["proposal"]: line for line in lines(tmp_path / "run" / "proposals.jsonl")}
    rows = lines(tmp_path / "run" / "trials.jsonl")
    assert ("pruned" in {row["status"] for row in rows}) == (scheduler == "asha")
    assert sorted(kept(tmp_path / "run")) == [f"{n:04d}.pt" for n in range(7)]
    for row in rows:
        graph = ComputationGraph.from_dict(proposals[row["proposal"]]["graph"])
        model = compile_model(graph, row["hyperparameters"], source_widths(graph, data.metadata))
        model.load_state_dict(kept(tmp_path / "run")[f"{row['id']}.pt"])
        assert task.metrics(predict(model, batches), batches)["auc"] == pytest.approx(row["score"], abs=1e-6)


def test_a_child_that_learns_nothing_scores_as_its_parent(whole: Path) -> None:
    experiment = small(**HEIRS, training__learning_rate=1e-9, training__epochs=1)
    line, row = lines(whole / "proposals.jsonl")[0], lines(whole / "trials.jsonl")[0]
    data = load_events(experiment).data
    parent = {"graph": line["graph"], "weights": (whole / "weights" / "0000.pt").read_bytes()}
    spec = {**Specs(experiment, "cpu").trial({**line, "epochs": 1}), "keep": True}
    heir, stranger = (list(messages({**spec, **more}, data)) for more in ({"parent": parent}, {}))
    assert heir[0]["score"] == pytest.approx(row["score"], abs=1e-6)
    assert heir[0]["inherited"]["share"] == 1
    assert stranger[0]["inherited"] is None and abs(stranger[0]["score"] - row["score"]) > 0.01
    assert "weights" in heir[0] and "weights" not in heir[-1]


@pytest.mark.parametrize("after", [3, 7, 12, 17])
def test_a_search_that_died_goes_on_with_the_same_weights(whole: Path, tmp_path: Path, after: int) -> None:
    with pytest.raises(Crash):
        searched(tmp_path / "run", small(**HEIRS), crashing(after))
    searched(tmp_path / "run", small(**HEIRS))
    assert same(tmp_path / "run", whole)


def test_sigkill_and_resume_bit_for_bit(whole: Path, tmp_path: Path) -> None:
    """Kill the process itself as soon as its fourth row is on disk."""
    experiment = {**SMALL, "sampler": HEIRS["sampler"], "budget": {"trials": 7}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(experiment))
    run = tmp_path / "run"
    command = [sys.executable, "-m", "archioptrx.search", "--backend", "local"]
    process = subprocess.Popen([*command, str(tmp_path / "small.yaml"), "--output", str(run)], stderr=subprocess.PIPE)
    rows = run / "trials.jsonl"
    while process.poll() is None and not (rows.exists() and rows.read_bytes().count(b"\n") >= 4):
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 4 <= rows.read_bytes().count(b"\n") <= 7
    told = subprocess.run([*command, "--resume", str(run), "--json"], capture_output=True, text=True, check=True)
    assert len(json.loads(told.stdout)["trials"]) == 7
    assert same(run, whole)


def without_last_rows(whole: Path, run: Path, rows: int) -> None:
    """A copy of a run that died in the trial after so many rows."""
    shutil.copytree(whole, run)
    shutil.rmtree(run / "best")
    (run / "retrain.jsonl").unlink()
    for name, count in (("trials.jsonl", rows), ("proposals.jsonl", rows + 1)):
        text = (run / name).read_text().splitlines(keepends=True)
        (run / name).write_text("".join(text[:count]))


def test_weights_whose_row_was_lost_are_made_again(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    without_last_rows(whole, run, 4)
    (run / "weights" / "0004.pt").write_bytes(b"of another life")
    searched(run, small(**HEIRS))
    assert same(run, whole)


def test_a_child_whose_parent_left_no_weights_starts_fresh_and_the_row_says_so(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    number, parent, _ = next(one for one in kin(whole) if one[1] is not None)
    without_last_rows(whole, run, number)
    (run / "weights" / f"{parent:04d}.pt").unlink()
    searched(run, small(**HEIRS))
    assert kin(run)[number] == (number, parent, None)
    assert results(run)[number][4] != results(whole)[number][4]
    line = lines(run / "proposals.jsonl")[number]
    fresh = list(messages(Specs(small(**HEIRS), "cpu").trial(line), load_events(small(**HEIRS)).data))
    assert [message["score"] for message in fresh[:-1]] == results(run)[number][4]


def test_no_row_is_written_before_the_weights_are_there(tmp_path: Path) -> None:
    def blocked(work: Work, data: TrialData) -> None:
        (tmp_path / "run" / "weights").write_text("no folder")
        run_locally(work, data)

    with pytest.raises(FileExistsError):
        searched(tmp_path / "run", small(**HEIRS), blocked)
    assert lines(tmp_path / "run" / "trials.jsonl") == []


def test_the_best_are_trained_again_from_the_seed_and_one_is_kept_without_the_option(tmp_path: Path) -> None:
    told: dict[str, dict[str, Any]] = {}

    def noting(work: Work, data: TrialData) -> None:
        while not work.done:
            job = work.next()
            assert job is not None
            told[job.key] = job.spec
            for message in messages(job.spec, data):
                if work.message(job.key, message):
                    break

    searched(tmp_path / "heirs", small(**{**HEIRS, "budget__trials": 5}), noting)
    assert {"parent" in told[str(n)] for n in range(3, 5)} == {True}
    assert all("parent" not in spec and "keep" not in spec for key, spec in told.items() if key.startswith("retrain"))
    sampler = {"name": "evolution", "initial": 2}
    searched(tmp_path / "others", small(sampler=sampler, budget__trials=5), noting)
    assert len(kept(tmp_path / "others")) == 1
    assert [inherited for *_, inherited in kin(tmp_path / "others")] == [None] * 5
    assert all("parent" not in spec for spec in told.values())
