"""Latencies that are measured again after the trials, and what reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_search import lines, searched, small

from archioptrx.commands import inspect
from archioptrx.report.content import Content
from archioptrx.report.pareto import scored_points
from archioptrx.runs.latencies import with_latency
from archioptrx.runs.leaderboard import pareto_front
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.jobs import Work
from archioptrx.search.pareto import spreads
from archioptrx.training.objective import Goal, Objective, Price
from archioptrx.training.trial import TrialData, messages

GOALS = {"objective": ["auc", "latency"], "budget__trials": 4, "training__epochs": 1, "resources__workers": 2}


class SideBySide:
    """A backend that runs two jobs in turns, and records which jobs ran beside another one."""

    def __init__(self) -> None:
        self.beside: set[str] = set()
        self.jobs: list[str] = []

    def __call__(self, work: Work, data: TrialData) -> None:
        running: dict[str, Iterator[dict[str, Any]]] = {}
        while not work.done:
            while len(running) < 2 and (job := work.next()) is not None:
                running[job.key] = messages(job.spec, data)
                self.jobs.append(job.key)
            if len(running) > 1:
                self.beside.update(running)
            for key, stream in list(running.items()):
                if work.message(key, next(stream)):
                    del running[key]


@pytest.fixture(scope="module")
def backend() -> SideBySide:
    return SideBySide()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, backend: SideBySide) -> Path:
    folder = tmp_path_factory.mktemp("latencies") / "run"
    searched(folder, small(**GOALS), backend)
    return folder


def test_networks_of_several_workers_are_measured_again_one_at_a_time(run: Path, backend: SideBySide) -> None:
    trials = {row["proposal"] for row in lines(run / "trials.jsonl")}
    assert {line["proposal"] for line in lines(run / "latencies.jsonl")} == trials
    again = [key for key in backend.jobs if key.startswith("latency-")]
    assert len(again) == 4 and not backend.beside & set(again)
    assert {str(number) for number in trials} & backend.beside
    # After the trials, before the retraining, which is of the best by these figures.
    assert backend.jobs.index(again[-1]) < min(backend.jobs.index(key) for key in backend.jobs if "retrain" in key)
    assert "measured alone" in (run / "logs" / "0000.log").read_text()


def test_all_readers_use_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(run)
    alone = folder.latencies()
    as_trained = {row["proposal"]: row["metrics"]["latency"] for row in folder.trials.read()}
    assert alone != as_trained
    for row in (*folder.rows(), *Content.read(folder).rows):
        assert row["metrics"]["latency"] == alone[row["proposal"]]
        assert row["scores"] == [row["metrics"]["auc"], -alone[row["proposal"]]]
        assert row["curves"][-1][1] == pytest.approx(-alone[row["proposal"]])
    assert inspect.main([str(run), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {trial["goals"]["latency"] for trial in content["front"]} <= set(alone.values())
    for number, goals in spreads(folder, folder.experiment().objective).items():
        assert goals["latency"].mean == alone[number]


def test_no_trial_of_the_front_is_beaten(run: Path, tmp_path: Path) -> None:
    """One trial was slow only because of its neighbours: alone it beats what stood on the front without reason."""
    folder = RunFolder(shutil.copytree(run, tmp_path / "run"))
    rows = sorted(folder.trials.read(), key=lambda row: row["metrics"]["auc"])
    alone = {row["proposal"]: float(9 - place) for place, row in enumerate(rows)}  # the better, the faster
    folder.measured.path.write_text(
        "".join(json.dumps({"proposal": n, "latency": ms, "time": 0.0}) + "\n" for n, ms in alone.items())
    )
    front = pareto_front(RunFolder(folder.path).rows())
    assert {row["metrics"]["auc"] for row in front} == {rows[-1]["metrics"]["auc"]}


def test_a_resumed_search_measures_the_rest(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    journal = folder / "latencies.jsonl"
    first_lines = journal.read_text().splitlines(keepends=True)[:2]
    journal.write_text("".join(first_lines) + '{"proposal": ')  # killed while it wrote the third
    again = SideBySide()
    searched(folder, small(**GOALS), again)
    assert sorted(again.jobs) == sorted(f"latency-{line['proposal']}" for line in lines(run / "latencies.jsonl")[2:])
    assert journal.read_text().startswith("".join(first_lines)) and len(lines(journal)) == 4
    assert (folder / "trials.jsonl").read_text() == (run / "trials.jsonl").read_text()
    # Nothing is left to do.
    last = SideBySide()
    searched(folder, small(**GOALS), last)
    assert last.jobs == []


def test_one_worker_measures_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    searched(folder, small(**{**GOALS, "budget__trials": 2, "retrain__seeds": 2, "resources__workers": 1}))
    assert not (folder / "latencies.jsonl").exists()
    (of_trial,) = {row["metrics"]["latency"] for row in RunFolder(folder).retrainings()}
    winner = json.loads((folder / "best" / "metrics.json").read_text())["proposal"]
    assert of_trial == RunFolder(folder).latencies_of_networks()[winner], "not that of each retraining"


def test_a_failed_trial_is_on_no_front_of_the_page(run: Path, tmp_path: Path) -> None:
    """It has the metrics of its epochs, but they are no score."""
    folder = RunFolder(shutil.copytree(run, tmp_path / "run"))
    rows = folder.trials.read()
    best = max(rows, key=lambda row: row["metrics"]["auc"])
    best |= {"status": "failed", "score": None, "scores": None, "error": "the loss is nan"}
    folder.trials.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    content = Content.read(folder)
    places = [place for place, _, _ in scored_points(content, "latency", "auc")]
    assert sorted(content.rows[place]["proposal"] for place in places) == sorted(
        row["proposal"] for row in rows if row is not best
    )


def test_scores_of_another_latency() -> None:
    goal = Goal("auc", "max", Price("latency", 0.5))
    objective = Objective((goal,))
    metrics = {"auc": 0.9, "latency": 8.0}
    (score,) = objective.scores(metrics) or (0.0,)
    row = {"proposal": 0, "score": score, "metrics": metrics, "curve": [score - 0.2, score]}
    moved = with_latency(row, objective, 2.0)
    assert moved["score"] == pytest.approx(score + 2 * 0.5)  # two halvings
    assert moved["curve"] == pytest.approx([score + 0.8, score + 1.0])
    assert row["metrics"] is metrics and metrics["latency"] == 8.0
    plain = {"proposal": 0, "score": 0.9, "metrics": metrics, "curve": [0.9]}
    assert with_latency(plain, Objective((Goal("auc"),)), 2.0) == {**plain, "metrics": {"auc": 0.9, "latency": 2.0}}
    failed = {"proposal": 0, "score": None, "metrics": {}, "curve": []}
    assert with_latency(failed, objective, 2.0) == failed


def test_an_epoch_without_a_score_has_none_with_another_latency() -> None:
    objective = Objective((Goal("purity_0.7"), Goal("latency", "min")))
    metrics = {"purity_0.7": 0.5, "latency": 2.0}
    row = {"metrics": metrics, "score": 0.5, "curve": [None, 0.5], "scores": [0.5, -2.0], "curves": [None, [0.5, -2.0]]}
    moved = with_latency(row, objective, 1.0)
    assert (moved["curve"], moved["curves"]) == ([None, 0.5], [None, [0.5, -1.0]])
    priced = Objective((Goal("purity_0.7", price=Price("latency", 1.0)),))
    assert with_latency({"metrics": metrics, "score": -1.0, "curve": [None, -1.0]}, priced, 1.0)["curve"] == [None, 0.0]
