"""Processors and threads: by what binds the process, by a container's quota, by OMP_NUM_THREADS."""

import os
from pathlib import Path

import processes
import pytest

from archioptrx.commands import evaluate
from archioptrx.core import processors
from archioptrx.core.errors import InputError


def quota(folder: Path, monkeypatch: pytest.MonkeyPatch, group: str = "", **files: str) -> int:
    """Processors where these files of a control group are all there are."""
    (folder / group).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / group / name.replace("_", ".", 1)).write_text(text)
    monkeypatch.setattr(processors, "GROUPS", folder)
    monkeypatch.setattr(processors, "OWN_GROUPS", folder / "cgroup")
    return processors.processors()


@pytest.mark.parametrize(
    ("own", "group", "files"),
    [
        ("0::/slice/job\n", "slice/job", {"cpu_max": "100000 100000"}),
        ("0::/slice/job\n", "slice", {"cpu_max": "100000 100000"}),
        (
            "5:cpuset:/other\n4:cpu,cpuacct:/job\n",
            "cpu/job",
            {"cpu_cfs_quota_us": "50000", "cpu_cfs_period_us": "100000"},
        ),
    ],
)
def test_a_quota_of_a_group_within_a_group_limits_processors(tmp_path, monkeypatch, own, group, files):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text("400000 100000")
    (tmp_path / "cgroup").write_text(own)
    assert quota(tmp_path, monkeypatch, group, **files) == 1
    (tmp_path / "cgroup").write_text("0::/elsewhere\n")
    assert processors.processors() == 4


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"cpu_max": "max 100000"}, None),
        ({"cpu_max": "100000 100000\n"}, 1),
        ({"cpu_max": "50000 100000"}, 1),
        ({"cpu_max": "9900000 100000"}, None),  # more than there are
        ({"cpu_cfs_quota_us": "-1", "cpu_cfs_period_us": "100000"}, None),
        ({"cpu_cfs_quota_us": "100000", "cpu_cfs_period_us": "100000"}, 1),
        ({"cpu_max": "no number"}, None),
    ],
)
def test_a_quota_limits_processors(tmp_path, monkeypatch, files, expected):
    whole = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert quota(tmp_path, monkeypatch, **files) == (expected or whole)


@pytest.mark.parametrize(("value", "expected"), [("1", 1), ("7", 7), (" 2 ", 2), ("3,1", 3), ("", None)])
def test_the_variable_says_how_many_threads(monkeypatch, value, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert processors.threads() == (expected or processors.processors())


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_wrong_variable_is_named(monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(InputError, match=rf"^OMP_NUM_THREADS: is '{value}'; allowed: a whole number from 1$"):
        processors.threads()


@pytest.mark.parametrize(
    ("files", "variable", "expected"),
    [
        ({"cpu_max": "100000 100000"}, "", "1"),
        ({"cpu_max": "100000 100000"}, "3", "3"),
        ({"cpu_max": "max 100000"}, "", ""),
        ({}, "", ""),
    ],
)
def test_every_command_hands_a_quota_on_to_libraries(tmp_path, monkeypatch, capsys, files, variable, expected):
    quota(tmp_path, monkeypatch, **files)
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert evaluate.main([str(tmp_path / "missing")]) == 2
    assert os.environ["OMP_NUM_THREADS"] == expected


def test_train_uses_as_many_threads_as_the_variable_says(tmp_path):
    command = "archioptrx train attention --epochs 1 --set data.num_samples=9 --output model"
    done = processes.call(command, tmp_path, {"OMP_NUM_THREADS": "1"})
    assert "attention: 1 thread (--set resources.cpus_per_trial=N changes that)\n" in done.stderr
    assert ", cpu, 1 thread\n" in (tmp_path / "model" / "log.txt").read_text()
