"""Weights that a search keeps: of the best trials so far, at any moment; and models made of them."""

import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_search import Crash, crashing, lines, results, searched, small

import archioptrx
from archioptrx.core.errors import InputError, WriteError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.models.events import events_for, own_splits
from archioptrx.models.model_folder import load_model, trained_trial
from archioptrx.runs.experiment_sections import Keep
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.jobs import Work
from archioptrx.search.local_backend import run_locally
from archioptrx.search.retention import Retention
from archioptrx.training.fit import evaluate_model, predict
from archioptrx.training.trial import TrialData, build, weights_digest


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that keeps two."""
    folder = tmp_path_factory.mktemp("retention") / "whole"
    searched(folder, small(keep__weights=2))
    return folder


def best(folder: Path, count: int) -> list[int]:
    """Numbers of the best trials, sorted."""
    return sorted(row["proposal"] for row in RunFolder(folder).rows()[:count])


@pytest.mark.parametrize(("keep", "count"), [(1, 1), (3, 3), ("all", 5), (0, 0)])
def test_the_best_are_kept(keep: int | str, count: int, tmp_path: Path, whole: Path) -> None:
    searched(tmp_path / "run", small(keep__weights=keep))
    run = RunFolder(tmp_path / "run")
    assert run.kept() == best(run.path, count) and len(run.kept()) == count
    assert results(run.path) == results(whole)


def test_no_row_is_written_before_the_weights_are_there(tmp_path: Path) -> None:
    def blocked(work: Work, data: TrialData) -> None:
        (tmp_path / "run" / "weights").write_text("no folder")
        run_locally(work, data)

    with pytest.raises(WriteError, match=r"run/weights/0000\.pt: "):
        searched(tmp_path / "run", small(), blocked)
    assert lines(tmp_path / "run" / "trials.jsonl") == []


def test_kept_weights_are_those_of_the_row(whole: Path) -> None:
    rows = {row["proposal"]: row for row in lines(whole / "trials.jsonl")}
    for number in RunFolder(whole).kept():
        state = torch.load(RunFolder(whole).weights(number), weights_only=True)
        assert weights_digest(state) == rows[number]["weights_digest"]


def test_what_is_kept_under_asha_with_a_cost_in_the_score(tmp_path: Path) -> None:
    """The score of a later epoch that is better by the metric may be lower: the last one's weights count."""
    cost = {"metric": "auc", "cost": {"metric": "parameters", "per_doubling": 0.1}}
    more: dict[str, Any] = {"scheduler": {"name": "asha"}, "training__epochs": 3, "objective": cost}
    searched(tmp_path / "run", small(**more, budget__trials=8, keep__weights=3))
    run = RunFolder(tmp_path / "run")
    rows = {row["proposal"]: row for row in run.last_rows()}
    assert run.kept() == best(run.path, 3)
    for number in run.kept():
        assert weights_digest(torch.load(run.weights(number), weights_only=True)) == rows[number]["weights_digest"]


@pytest.mark.parametrize("after", [3, 6, 8, 11, 14])
def test_after_a_crash_the_same_are_kept(whole: Path, tmp_path: Path, after: int) -> None:
    run = RunFolder(whole) if after < 0 else None
    with pytest.raises(Crash):
        searched(tmp_path / "run", small(keep__weights=2), crashing(after))
    run = RunFolder(tmp_path / "run")
    ended = [row["proposal"] for row in run.trials.read()]
    assert run.kept() == best(run.path, 2) and len(run.kept()) == min(2, len(ended))
    (run.path / "weights").mkdir(exist_ok=True)
    for left in ("0004.pt", "0099.pt", ".0001.pt.abcd_ef1"):  # whose line, or whose name, a crash has eaten
        (run.path / "weights" / left).write_bytes(b"half")
    searched(run.path, small(keep__weights=2))
    assert run.kept() == RunFolder(whole).kept()
    assert {file.name for file in (run.path / "weights").iterdir()} == {f"{n:04d}.pt" for n in run.kept()}
    for number in run.kept():
        resumed, undisturbed = (torch.load(RunFolder(f).weights(number), weights_only=True) for f in (run.path, whole))
        assert weights_digest(resumed) == weights_digest(undisturbed)


def test_a_trial_that_can_not_be_among_the_best_sends_no_weights(tmp_path: Path) -> None:
    sent: list[tuple[str, float, bool, float]] = []

    def noting(work: Work, data: TrialData) -> None:
        class Ears:
            done = property(lambda self: work.done)
            next = staticmethod(lambda: work.next())

            @staticmethod
            def message(key: str, message: dict[str, Any]) -> bool:
                if message["kind"] == "epoch" and not key.startswith("retrain") and message["best"]:
                    rows = lines(tmp_path / "run" / "trials.jsonl")
                    so_far = max((row["score"] for row in rows), default=-math.inf)
                    sent.append((key, message["score"], "weights" in message, so_far))
                return work.message(key, message)

        run_locally(Ears(), data)  # type: ignore[arg-type]

    searched(tmp_path / "run", small(), noting)
    assert [with_weights for *_, with_weights, _ in sent] == [score >= so_far for _, score, _, so_far in sent]
    assert {with_weights for *_, with_weights, _ in sent} == {True, False}


SCORES = st.lists(st.one_of(st.none(), st.sampled_from([0.1, 0.5, 0.7, 0.9])), min_size=1, max_size=12)


@given(SCORES, st.one_of(st.none(), st.integers(0, 4)), st.randoms(use_true_random=False))
def test_at_any_moment_the_best_are_there(
    tmp_path_factory: pytest.TempPathFactory, scores: Any, count: Any, draw: Any
) -> None:
    """Trials end in any order; a trial may be written and its line be lost, then the next search removes the file."""
    path = tmp_path_factory.mktemp("kept")
    (path / "experiment.yaml").touch()
    folder, rows = RunFolder(path), list[dict[str, Any]]()
    order = list(enumerate(scores))
    draw.shuffle(order)
    retention = Retention(folder, Keep(count))
    for number, score in order:
        row = {"proposal": number, "score": score, "status": "failed" if score is None else "finished"}
        instructions = retention.wanted()
        sends = score is not None and bool(instructions) and score >= instructions.get("keep_from", -math.inf)
        retention.store(row, b"w" if sends else None)
        if draw.random() < 0.2:  # killed before the line: begun anew, and run again
            retention = Retention(folder, Keep(count))
            retention.known(rows)
            retention.tidy()
            assert number not in folder.kept()
            retention.store(row, b"w" if sends else None)
        rows.append(row)
        retention.displaced(row)
        ranked = sorted((r for r in rows if r["score"] is not None), key=lambda r: (-r["score"], r["proposal"]))
        expected = {r["proposal"] for r in (ranked if count is None else ranked[:count])}
        assert set(folder.kept()) == expected


def calls_of(work: Callable[[], object]) -> int:
    """How many functions, Python's and C's, a piece of work calls."""
    calls: list[str] = []
    sys.setprofile(lambda frame, event, argument: calls.append(event) if event in ("call", "c_call") else None)
    try:
        work()
    finally:
        sys.setprofile(None)
    return len(calls)


@pytest.mark.parametrize("keep", [Keep(None), Keep(3)])
def test_a_trial_costs_the_same_after_many_others(tmp_path: Path, keep: Keep) -> None:
    (tmp_path / "experiment.yaml").touch()
    retention = Retention(RunFolder(tmp_path), keep)

    def trial(number: int) -> None:
        row = {"proposal": number, "score": float(number), "status": "finished"}
        retention.store(row, b"w")
        retention.displaced(row)

    costs = [calls_of(partial(trial, number)) for number in range(200)]
    assert costs[199] <= costs[10] + 2 and costs[10] > 0  # a temporary name may be taken


def test_a_paused_trial_that_fails_leaves_the_weights_of_others(tmp_path: Path) -> None:
    """It was the best, and others would have been removed for it."""
    (tmp_path / "experiment.yaml").touch()
    folder = RunFolder(tmp_path)
    retention = Retention(folder, Keep(1))
    first = {"proposal": 0, "score": 0.9, "status": "pruned"}
    for row, pauses in (
        (first, True),
        ({"proposal": 1, "score": 0.8, "status": "pruned"}, True),
        ({"proposal": 2, "score": 0.7, "status": "finished"}, False),
        ({"proposal": 3, "score": 0.6, "status": "finished"}, False),
    ):
        retention.store(row, b"weights", pauses=pauses)
        retention.displaced(row)
    assert folder.kept() == [0, 1, 2]
    failed = {**first, "score": None, "status": "failed"}
    retention.store(failed, None, first)
    retention.displaced(failed)
    assert folder.kept() == [1, 2]
    retention.settle()
    assert folder.kept() == [1]


def test_a_kept_trial_is_a_model(whole: Path) -> None:
    number = RunFolder(whole).rows()[0]["proposal"]
    row = RunFolder(whole).rows()[0]
    trained = trained_trial(RunFolder(whole), number)
    batches = own_splits(trained).validation
    assert trained.task.metrics(predict(trained.model, batches), batches)["auc"] == pytest.approx(
        row["score"], abs=1e-6
    )
    assert trained.provenance.training == row["training"]
    by_name = load_model(f"{whole}/{number}")
    scores = [evaluate_model(m.model, m.task, events_for(m, None)[0])["auc"] for m in (trained, by_name)]
    assert scores[0] == scores[1] != row["score"]
    loaded = archioptrx.load(f"{whole}/{number:04d}")
    assert weights_digest(loaded.model.state_dict()) == row["weights_digest"]
    fresh = build(
        ComputationGraph.from_dict(RunFolder(whole).proposal(number)["graph"]),
        row["hyperparameters"],
        loaded.metadata,
        loaded.task,
        row["seed"],
    )
    assert weights_digest(fresh.state_dict()) != row["weights_digest"]


def test_a_trial_whose_weights_are_gone_says_which_are_there(whole: Path) -> None:
    run = RunFolder(whole)
    lost = next(number for number in range(5) if number not in run.kept())
    kept_ids = ", ".join(f"{number:04d}" for number in run.kept())
    with pytest.raises(InputError) as caught:
        load_model(f"{whole}/{lost}")
    place = f"{whole}/{lost:04d}"
    assert caught.value.faults == (
        f"{place}: its weights are not kept (kept: {kept_ids}); allowed: archioptrx train {place} makes them again",
    )
    with pytest.raises(InputError, match="0007: no such trial; allowed: 0000 … 0004"):
        load_model(f"{whole}/7")


def test_how_many_are_kept_is_checked() -> None:
    for value, text in [
        (-1, "is -1; allowed: 0 or more"),
        ("most", "is 'most'; allowed: all"),
        (1.5, "is 1.5; allowed: "),
    ]:
        with pytest.raises(InputError, match=f"keep.weights: {text}"):
            small(keep__weights=value)
    assert small(keep__weights="all").keep == Keep(None)
    assert small(keep__weights="all").to_dict()["keep"] == {"weights": "all"}
