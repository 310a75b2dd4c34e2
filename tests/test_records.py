"""What a search writes while it runs: epochs, logs in words; after a crash too."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from small_search import Crash, crashing, lines, searched, small, write_odd

from archioptrx.runs.run_folder import RunFolder
from archioptrx.training.trial_log import TrialLog, as_lines


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nothing disturbed."""
    folder = tmp_path_factory.mktemp("records") / "whole"
    searched(folder, small())
    return folder


def scores_of(folder: Path) -> dict[int, list[float]]:
    """By proposal the score of each epoch, as the journal of epochs has it."""
    return {number: [line["score"] for line in curve] for number, curve in RunFolder(folder).curves().items()}


def test_each_epoch_has_its_line(whole: Path) -> None:
    rows = lines(whole / "trials.jsonl")
    assert len(lines(whole / "epochs.jsonl")) == sum(row["epochs"] for row in rows)
    assert scores_of(whole) == {row["proposal"]: row["curve"] for row in rows}
    for row in rows:
        curve = RunFolder(whole).curves()[row["proposal"]]
        assert [line["epoch"] for line in curve] == [1, 2]
        best = next(line for line in reversed(curve) if line["best"])
        assert best["metrics"] == row["metrics"]
        assert all(0 < line["gradient_norm"] < 1e3 and 0 < line["weight_norm"] < 1e3 for line in curve)
        assert curve[0]["learning_rate"] > curve[1]["learning_rate"] > 0
        assert curve[0]["loss"] > 0 and curve[0]["metrics"]["loss"] != curve[0]["loss"]
        assert 0 < curve[0]["train_seconds"] < curve[1]["train_seconds"] < curve[1]["seconds"] <= row["seconds"]
        assert all(2**24 < line["memory"] < 2**40 and line["gpu_memory"] is None for line in curve)


@pytest.mark.parametrize("after", [1, 4, 7])
def test_after_a_crash_the_last_line_of_an_epoch_counts(whole: Path, tmp_path: Path, after: int) -> None:
    with pytest.raises(Crash):
        searched(tmp_path / "run", small(), crashing(after))
    before = len(lines(tmp_path / "run" / "epochs.jsonl"))
    with (tmp_path / "run" / "epochs.jsonl").open("ab") as file:
        file.write(b'{"proposal": 0, "ep')
    searched(tmp_path / "run", small())
    assert scores_of(tmp_path / "run") == scores_of(whole)
    assert len(lines(tmp_path / "run" / "epochs.jsonl")) == len(lines(whole / "epochs.jsonl")) + before % 2


def test_a_trial_that_runs_again_voids_what_was_there_of_it(whole: Path) -> None:
    folder = RunFolder(whole)
    text = (whole / "epochs.jsonl").read_bytes()
    try:
        folder.epochs.append({"proposal": 0, "epoch": 1, "score": 0.125})
        folder.epochs.append({"proposal": 7, "epoch": 1, "score": 0.25})
        assert [line["score"] for line in folder.curves()[0]] == [0.125]
        assert len(folder.curves()[1]) == 2 and len(folder.curves()[7]) == 1
    finally:
        folder.epochs.close()
        (whole / "epochs.jsonl").write_bytes(text)


def test_the_row_says_what_it_was_trained_with(whole: Path) -> None:
    for row in lines(whole / "trials.jsonl"):
        assert row["training"]["epochs"] == 2 and row["training"]["seed"] == row["seed"]
        assert row["training"]["threads"] == 1 and row["device"] == "cpu"
        assert len(row["weights_digest"]) == 16
    assert len({row["weights_digest"] for row in lines(whole / "trials.jsonl")}) == 5


def test_the_log_says_what_happened(whole: Path) -> None:
    for row in lines(whole / "trials.jsonl"):
        log = RunFolder(whole).log(row["id"]).read_text().splitlines()
        texts = [line.split("  ", 1)[1] for line in log]
        assert texts[0] == f"trial {row['id']} is given to a worker"
        assert "hidden=" in texts[1] and "epochs=2" in texts[2]
        assert "process" in texts[3] and "1 thread" in texts[3]
        assert texts[4] == f"{row['parameters']:,} parameters"
        assert texts[5].startswith(f"epoch 1: score {row['curve'][0]:.6g}, the best so far; loss ")
        assert texts[7] == f"finished: score {row['score']:.6g}, weights {row['weights_digest']}"
        # Then the latency of a search with several workers.
        assert texts[-1].startswith("latency ") and texts[-1].endswith(" ms, measured alone")


def test_a_failed_trial_leaves_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    odd = write_odd(tmp_path, "raising", "exploding")
    searched(tmp_path / "run", small(**odd, budget__trials=10, training__epochs=1))
    failed = [row for row in lines(tmp_path / "run" / "trials.jsonl") if row["status"] == "failed"]
    raised = next(row for row in failed if "this block never works" in row["error"])
    log = RunFolder(tmp_path / "run").log(raised["id"]).read_text()
    assert 'odd_blocks.py", line' in log and 'raise ValueError("this block never works")' in log
    assert log.splitlines()[-1].endswith(f"  failed: {raised['error']}")
    assert raised["weights_digest"] is None


def test_warnings_of_a_trial_are_in_its_log_once() -> None:
    log = TrialLog()
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        for _ in range(2):
            with log.hearing():
                warnings.warn("too steep", UserWarning, stacklevel=1)
        warnings.warn("outside", UserWarning, stacklevel=1)
    notes = log.taken()
    assert len(notes) == 1 and notes[0][1].startswith("UserWarning: too steep (")
    assert [str(warning.message) for warning in shown] == ["too steep", "outside"]
    assert log.taken() == []


def test_further_lines_of_a_note_are_indented() -> None:
    notes: list[Any] = [(0.0, "one"), (1.25, "two\nthree")]
    text = as_lines(notes).splitlines()
    assert [line[23:] for line in (text[0], text[1])] == ["  one", "  two"] and text[2] == "    three"
    assert text[1][19:23] == ".250"
