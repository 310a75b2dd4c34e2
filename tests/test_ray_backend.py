"""The search on Ray: the same results as in this process, also when it is stopped; workers that die; no noise."""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import processes
import pytest
import yaml
from small_search import SMALL, allow, lines, proposed, results, searched, small, write_odd, write_only

from archioptrx.core.errors import InputError
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.ray_backend import _check_port, _join
from archioptrx.search.run import load_events, new_run
from archioptrx.search.setup import prepare

COMMAND = [sys.executable, "-m", "archioptrx.search"]


def write(folder: Path, **more: Any) -> Path:
    """Write the small experiment."""
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **more}))
    return path


def test_stopped_and_resumed_on_ray_is_the_same_as_in_one_go_without(tmp_path: Path) -> None:
    run = tmp_path / "run"
    sampler = {"name": "evolution", "initial": 3}
    more = {"budget": {"trials": 8}, "sampler": sampler}
    command = ["archioptrx", "search", str(write(tmp_path, **more)), "--output", str(run)]
    code, stderr = processes.interrupted(command, run / "trials.jsonl", count=2)
    assert code == 130
    assert stderr.splitlines()[-1] == f"stopped; go on with: archioptrx search --resume {run}"
    assert len(lines(run / "trials.jsonl")) < 8
    resumed = processes.call(["archioptrx", "search", "--resume", str(run), "--json"], tmp_path)
    assert len(json.loads(resumed.stdout)["trials"]) == 8
    searched(tmp_path / "local", small(budget__trials=8, sampler=sampler))
    assert results(run) == results(tmp_path / "local")
    assert proposed(run) == proposed(tmp_path / "local")
    best = [json.loads((folder / "best" / "metrics.json").read_text()) for folder in (run, tmp_path / "local")]
    assert best[0] == best[1]
    for line in (stderr + resumed.stderr).splitlines():
        assert re.match(
            r"searching in |\[\d+/\d+\] trial |measuring the latency |retraining the best: |stopped; ", line
        ), line


def test_a_worker_that_dies_is_a_failed_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # What lies in the working folder isn't taken for a library.
    (tmp_path / "torch_geometric.py").write_text("raise SystemExit('a file of the working folder runs')")
    odd = write_odd(tmp_path, "dying", "raising")
    (tmp_path / "sockets_of_a_test.py").write_text(SOCKETS)
    allow("sockets_of_a_test", tmp_path)
    more = {"imports": [*odd.pop("imports"), "sockets_of_a_test"], "track": ["sockets"], **odd}
    path = write(tmp_path, **more, training={"epochs": 1}, budget={"trials": 6})
    done = processes.call(["archioptrx", "search", str(path), "--output", "run", "--json"], tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["trials"]
    errors = [row["error"] for row in rows if row["status"] == "failed"]
    assert len(rows) == 6
    assert [error for error in errors if error.startswith("the worker died")]
    assert [error for error in errors if "this block never works" in error]
    assert any(row["status"] == "finished" for row in rows)
    if Path("/proc/net/tcp").exists():
        addresses = set((tmp_path / "run" / "sockets.txt").read_text().split())
        assert addresses and addresses <= LOOPBACK


SOCKETS = """
import os
import re
from glob import glob

from archioptrx.runs.loggers import logger


def parent_of(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def is_ours(process):
    while process > 1:
        if process == os.getpid():
            return True
        process = parent_of(process)
    return False


def sockets():
    for link in glob("/proc/[0-9]*/fd/*"):
        try:
            found = re.fullmatch(r"socket:\\[(\\d+)\\]", os.readlink(link))
        except OSError:
            continue
        if found and is_ours(int(link.split("/")[2])):
            yield found[1]


@logger("sockets")
class Sockets:
    def __init__(self, root):
        self.root = root

    def started(self, trial, config, architecture):
        ours = set(sockets())
        for kind in ("tcp", "tcp6", "udp", "udp6"):
            with open(f"/proc/net/{kind}") as table, open(self.root / "sockets.txt", "a") as record:
                for line in table.readlines()[1:]:
                    columns = line.split()
                    if columns[9] in ours:
                        listens = columns[3] == "0A"
                        ends = [end.partition(":")[0] for end in columns[1 : 2 if listens else 3]]
                        record.write("".join(f"{end}\\n" for end in ends if listens or int(end, 16)))

    def epoch(self, trial, epoch, numbers):
        pass

    def ended(self, trial, status, summary):
        pass

    def close(self):
        pass
"""
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same in IPv6, and ::1, as Linux lists them."""


@pytest.mark.long
def test_no_process_of_a_search_connects_to_another_machine(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    trace = ["strace", "-f", "-qq", "-e", "trace=connect,bind,sendto,sendmmsg", "-e", "signal=none"]
    command = [*trace, "-o", str(tmp_path / "calls"), *COMMAND, str(write(tmp_path)), "--output", str(tmp_path / "run")]
    subprocess.run(command, check=True, capture_output=True)
    calls = [line for line in (tmp_path / "calls").read_text(errors="replace").splitlines() if "AF_INET" in line]
    assert calls and [line for line in calls if "127.0.0.1" not in line and '"::1"' not in line] == []


def test_a_worker_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, **write_only(tmp_path, "hanging"), budget={"trials": 1, "trial_time": 0.5})
    done = processes.call(["archioptrx", "search", str(path), "--output", "run"], tmp_path)
    assert done.returncode == 2
    assert "run: all 1 trials failed; the last one: no score within 0.5 s (budget.trial_time)\n" in done.stderr
    assert "the worker is killed: its time is over" in RunFolder(tmp_path / "run").log("0000").read_text()


@pytest.mark.long
def test_killed_at_fifty_moments(tmp_path: Path) -> None:
    """SIGKILL at random moments, again and again, until the search is over: nothing lost and nothing twice."""

    draw = random.Random(0)
    kills = 0
    searched(tmp_path / "local", small(budget__trials=8))
    start = time.monotonic()
    whole = [*COMMAND, str(write(tmp_path, budget={"trials": 8})), "--output", str(tmp_path / "whole")]
    subprocess.run([*whole, "--backend", "local"], check=True, capture_output=True)
    seconds = time.monotonic() - start  # moments within what this machine takes
    for attempt in range(100):
        run = tmp_path / f"run{attempt}"
        command = [*COMMAND, str(write(tmp_path, budget={"trials": 8})), "--output", str(run), "--backend", "local"]
        for _ in range(8):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(timeout=draw.uniform(0.4, 1.1) * seconds)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
            if (run / "experiment.yaml").exists():
                command = [*COMMAND, "--resume", str(run), "--backend", "local"]
        if process.returncode != 0:  # killed each time: now it may end
            subprocess.run(command, check=True, capture_output=True)
        assert results(run) == results(tmp_path / "local")
        assert proposed(run) == proposed(tmp_path / "local")
        if kills >= 50:
            break
    assert kills >= 50


def test_a_cluster_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(InputError, match=f"--address {address}: no Ray cluster answers: .*refused"):
            _check_port(address, address)
        monkeypatch.setenv("RAY_ADDRESS", address)  # the cluster that Ray finds
        with pytest.raises(InputError, match=rf"--address auto: .* answers at .*:{address[10:]}: .*refused"):
            _join("auto", {})


@pytest.mark.long
def test_a_search_joins_a_cluster_that_runs(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    head = ["ray", "start", "--head", f"--port={address.split(':')[1]}", "--num-cpus=2", "--include-dashboard=false"]
    subprocess.run([*head, "--disable-usage-stats"], env=environment, check=True, capture_output=True)
    try:
        command = [*COMMAND, str(write(tmp_path)), "--output", str(tmp_path / "run"), "--address", address]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["ray", "stop"], env=environment, check=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(lines(tmp_path / "run" / "trials.jsonl")) == SMALL["budget"]["trials"]
    assert "gcs_client" not in done.stderr


def test_a_record_that_can_not_be_written_ends_the_search(tmp_path: Path) -> None:
    experiment = small(budget__trials=2, training__epochs=1, keep={"weights": "all"})
    setup = prepare(experiment)
    new_run(tmp_path / "run", setup, load_events(experiment))
    (tmp_path / "run" / "weights").touch()  # where a folder is needed
    done = processes.call(["archioptrx", "search", "--resume", str(tmp_path / "run")], tmp_path)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert re.search(
        r"weights/000\d\.pt: can't be written: file exists; .* go on with: archioptrx search --resume", last
    )
    assert not lines(tmp_path / "run" / "trials.jsonl")
