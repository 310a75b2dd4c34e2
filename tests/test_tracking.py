"""Trackers, by the files that the real TensorBoard and wandb read."""

import json
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
import yaml
from registries import restored
from small_search import SMALL, Crash, crashing, lines, results, searched, small
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from wandb.proto import wandb_internal_pb2

from archioptrx.commands.search import main as search
from archioptrx.core.errors import InputError
from archioptrx.runs.experiment_sections import missing_trackers
from archioptrx.runs.loggers import LOGGERS, Tracking, logger, numbers_of
from archioptrx.runs.loggers import wandb_runs as wandb_runs_module
from archioptrx.runs.loggers.wandb_runs import WandbRuns
from archioptrx.runs.run_folder import RunFolder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A search that both listened to, offline whatever the environment of the tests says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_API_KEY", raising=False)
        patch.delenv("WANDB_MODE", raising=False)
        folder = tmp_path_factory.mktemp("tracking") / "whole"
        searched(folder, small(track=["tensorboard", "wandb"], budget__trials=3, retrain__seeds=1))
        yield folder


def events_of(folder: Path, trial: str) -> EventAccumulator:
    """What TensorBoard reads of a trial."""
    accumulator = EventAccumulator(str(folder / "tensorboard" / trial))
    accumulator.Reload()
    return accumulator


def as_epochs(events: EventAccumulator) -> list[dict[str, float]]:
    """Scalars by epoch."""
    tags = events.Tags()["scalars"]
    steps = sorted({event.step for tag in tags for event in events.Scalars(tag)})
    return [{tag: e.value for tag in tags for e in events.Scalars(tag) if e.step == step} for step in steps]


def test_tensorboard_has_the_numbers_of_each_epoch(whole: Path) -> None:
    curves = RunFolder(whole).curves()
    assert len(curves) == 3
    for number, curve in curves.items():
        expected = [{key: np.float32(value) for key, value in numbers_of(line).items()} for line in curve]
        assert as_epochs(events_of(whole, f"{number:04d}")) == expected
        assert {"score", "loss", "learning_rate", "weight_norm", "memory", "metrics/auc"} <= set(expected[0])


def test_tensorboard_has_hyperparameters_and_architecture(whole: Path) -> None:
    for row in lines(whole / "trials.jsonl"):
        events = events_of(whole, row["id"])
        content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
        assert start.hparams["hyperparameters.hidden"].number_value == row["hyperparameters"]["hidden"]
        assert start.hparams["training.seed"].number_value == row["seed"]
        assert start.hparams["data"].string_value == RunFolder(whole).environment()["data"]["fingerprint"]
        (text,) = events.Tensors("architecture")
        assert "-> score" in text.tensor_proto.string_val[0].decode()
        (end,) = events.Tensors("end")
        assert f"weights_digest: {row['weights_digest']}" in end.tensor_proto.string_val[0].decode()


def test_the_best_are_tracked_when_they_are_trained_again(whole: Path) -> None:
    (row,) = lines(whole / "retrain.jsonl")
    epochs = as_epochs(events_of(whole, f"{row['proposal']:04d}-0"))
    assert [epoch["score"] for epoch in epochs] == [np.float32(score) for score in row["curve"]]
    assert len(row["weights_digest"]) == 16
    assert (whole / "logs" / f"{row['proposal']:04d}-0.log").is_file()


def records_of(path: Path) -> Iterator[wandb_internal_pb2.Record]:
    """Records of a `.wandb` file: LevelDB's log format (blocks of 32 KiB, records may span several), own header."""
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:  # no room for a header: zeros up to the next block
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        part = data[place + 7 : place + 7 + length]
        whole, place = (part if kind in (1, 2) else whole + part), place + 7 + length
        if kind in (1, 4):  # all of it, or its last part
            yield wandb_internal_pb2.Record.FromString(whole)


def wandb_runs(folder: Path) -> dict[str, list[wandb_internal_pb2.Record]]:
    """Records by the name of a run. wandb's own process may write the last of them after the run has ended here."""
    runs = {}
    for path in (folder / "wandb").glob("offline-run-*/*.wandb"):
        deadline = time.monotonic() + 60
        while not any(record.HasField("exit") for record in records_of(path)):
            assert time.monotonic() < deadline, f"{path} has no end"
            os.sched_yield()
        records = list(records_of(path))
        name = next(record.run.display_name for record in records if record.HasField("run"))
        runs[name] = records
    return runs


def items(entries: Any) -> dict[str, Any]:
    """Keys and values of a history or a summary."""
    return {entry.key or ".".join(entry.nested_key): json.loads(entry.value_json) for entry in entries}


def test_wandb_has_config_metrics_and_summary(whole: Path) -> None:
    runs = wandb_runs(whole)
    again = [f"whole-{row['proposal']:04d}-{row['repeat']}" for row in lines(whole / "retrain.jsonl")]
    assert sorted(runs) == sorted(["whole-0000", "whole-0001", "whole-0002", *again])
    for row in lines(whole / "trials.jsonl"):
        records = runs[f"whole-{row['id']}"]
        run = next(record.run for record in records if record.HasField("run"))
        config = {entry.key: json.loads(entry.value_json) for entry in run.config.update}
        assert (run.run_group, run.project) == ("whole", "archioptrx")
        assert config["hyperparameters"] == row["hyperparameters"] and config["training"] == row["training"]
        assert "-> score" in config["architecture"]
        history = [items(r.history.item) for r in records if r.HasField("history")]
        expected = [numbers_of(line) for line in RunFolder(whole).curves()[row["proposal"]]]
        assert [{key: h[key] for key in e} for h, e in zip(history, expected, strict=True)] == expected
        assert [h["_step"] for h in history] == [1, 2]
        summary: dict[str, Any] = {}
        for record in records:
            summary |= items(record.summary.update)
        assert summary["status"] == "finished" and summary["score"] == row["score"]
        assert summary["weights_digest"] == row["weights_digest"]


def test_tracking_changes_no_result(whole: Path, tmp_path: Path) -> None:
    searched(tmp_path / "run", small(track="none", budget__trials=3, retrain__seeds=1))
    assert results(tmp_path / "run") == results(whole)
    assert not (tmp_path / "run" / "tensorboard").exists() and not (tmp_path / "run" / "wandb").exists()


def test_a_trial_that_runs_again_is_tracked_again(whole: Path, tmp_path: Path) -> None:
    more: dict[str, Any] = {"track": "tensorboard", "budget__trials": 3, "retrain__seeds": 1}
    with pytest.raises(Crash):
        searched(tmp_path / "run", small(**more), crashing(4))
    assert len(as_epochs(events_of(tmp_path / "run", "0001"))) == 1
    searched(tmp_path / "run", small(**more))
    for trial in ("0000", "0001", "0002"):
        resumed, undisturbed = (as_epochs(events_of(folder, trial)) for folder in (tmp_path / "run", whole))
        assert [epoch["metrics/auc"] for epoch in resumed] == [epoch["metrics/auc"] for epoch in undisturbed]


class Failing:
    """A tracker that fails at one call."""

    def __init__(self, root: Path) -> None:
        self.heard: list[str] = []

    def started(self, trial: str, config: Any, architecture: str) -> None:
        self.heard.append(trial)

    def epoch(self, trial: str, epoch: int, numbers: Any) -> None:
        raise OSError("the disk\nis full")

    def ended(self, trial: str, status: str, summary: Any) -> None:
        self.heard.append(status)

    def close(self) -> None:
        self.heard.append("closed")


def test_a_tracker_that_fails_is_left_out_and_said_once(tmp_path: Path) -> None:
    trackers: list[Failing] = []
    notes: list[str] = []
    with restored(LOGGERS):
        logger("failing")(lambda root: trackers.append(Failing(root)) or trackers[-1])  # type: ignore[func-returns-value]
        tracking = Tracking(["tensorboard", "failing"], tmp_path, notes.append)
        tracking.started("0000", {}, "")
    for epoch in (1, 2):
        tracking.epoch("0000", epoch, {"loss": 0.5})
    tracking.ended("0000", "finished", {})
    tracking.close()
    assert notes == ["--track failing: is off from here on: OSError: the disk is full"]
    assert trackers[0].heard == ["0000"]
    assert len(as_epochs(events_of(tmp_path, "0000"))) == 2
    assert not tracking.on


def absent(root: Path) -> Any:
    """A logger whose package isn't there."""
    import no_such_package_of_a_test

    return no_such_package_of_a_test.Logger(root)


def silent(root: Path) -> object:
    """A logger that lacks all methods."""
    return object()


@pytest.mark.parametrize(
    ("make", "fault"),
    [(absent, "ModuleNotFoundError: No module"), (silent, "InputError: object has no started, no epoch, no ended")],
)
def test_a_logger_that_can_not_be_made_stops_no_training(tmp_path: Path, make: Any, fault: str) -> None:
    notes: list[str] = []
    with restored(LOGGERS):
        logger("mine")(make)
        Tracking(["mine"], tmp_path, notes.append).started("0000", {}, "")
    assert len(notes) == 1 and notes[0].startswith(f"--track mine: is off from here on: {fault}")


def test_wandb_ends_what_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    runs = WandbRuns(tmp_path)
    runs.started("0000", {}, "")
    runs.epoch("0000", 1, {"loss": 0.5})
    runs.close()
    (records,) = wandb_runs(tmp_path).values()
    (code,) = [record.exit.exit_code for record in records if record.HasField("exit")]
    assert code == 1


class Dying(ThreadingHTTPServer):
    """As much of a wandb server as the beginning of a run takes; then `dead`, it hears and never answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.dead, self.gone = threading.Event(), threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    """One request to it."""

    server: Dying
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.dead.is_set():
            self.server.gone.wait()
            self.close_connection = True
            return
        project = {"id": "p", "name": "archioptrx", "entity": {"id": "e", "name": "somebody"}}
        bucket = {"bucket": {"id": "r", "name": "r", "displayName": "r", "historyLineCount": 0, "project": project}}
        data = {"upsertBucket": {**bucket, "inserted": True}} if b"upsertBucket" in request else {}
        answer = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def test_a_wandb_server_that_goes_away_stops_no_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """wandb itself would wait for it without end."""
    notes: list[str] = []
    with Dying() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.delenv("WANDB_MODE", raising=False)
        monkeypatch.setenv("WANDB_API_KEY", 40 * "a")
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setattr(wandb_runs_module, "AT_END", 1)
        wandb.teardown()  # it reads its environment once in a process
        tracking = Tracking(["wandb"], tmp_path, notes.append)
        tracking.started("0000", {}, "")
        assert tracking.on and notes == []
        server.dead.set()
        tracking.epoch("0000", 1, {"loss": 0.5})
        tracking.ended("0000", "finished", {})
        server.gone.set()
        server.shutdown()
    wandb.teardown()
    assert [note.partition(": Timed")[0] for note in notes] == ["--track wandb: is off from here on: TimeoutError"]
    assert not tracking.on


def test_names_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert small().track == ("tensorboard",) and small(track="none").track == () == small(track=[]).track
    assert small(track=["wandb", "tensorboard", "wandb"]).track == ("wandb", "tensorboard")
    for names, fault in [
        (["tensorbord"], "--track: is 'tensorbord'; allowed: none, tensorboard, wandb (did you mean tensorboard?)"),
        (["none", "wandb"], "--track: is none, wandb; allowed: none alone"),
    ]:
        assert search([*(part for name in names for part in ("--track", name)), "--output", str(tmp_path / "run")]) == 2
        assert capsys.readouterr().err.splitlines() == [fault]


def test_a_package_that_is_missing_is_said_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package there is no default either; a folder of its name isn't the package."""
    (tmp_path / "tensorboard").mkdir()
    for name in [module for module in sys.modules if module.partition(".")[0] in ("tensorboard", "wandb")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert missing_trackers(["tensorboard", "wandb"]) == ["tensorboard", "wandb"]
    assert small().track == ()
    from archioptrx.search.setup import check_trackers

    with pytest.raises(InputError, match=r'track: wandb is not installed; allowed: pip install "archioptrx\[wandb\]"'):
        check_trackers(["wandb"])


def test_a_resumed_search_can_be_tracked_otherwise(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**SMALL, "budget": {"trials": 2}, "training": {"epochs": 1}}))
    run = tmp_path / "run"
    local = ["--backend", "local", "--json"]
    assert search([str(tmp_path / "small.yaml"), "--output", str(run), "--track", "none", *local]) == 0
    assert not (run / "tensorboard").exists()
    assert search(["--resume", str(run), "--trials", "3", "--track", "tensorboard", *local]) == 0
    assert (run / "tensorboard" / "0002").is_dir() and not (run / "tensorboard" / "0001").exists()
    assert RunFolder(run).experiment().track == ("tensorboard",)
