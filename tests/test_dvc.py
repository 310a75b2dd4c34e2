"""The bundled dvc.yaml, run by the real dvc in a git repository of its own: data, search, trained model, report."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from multiprocessing.connection import Listener
from pathlib import Path

import processes
import pytest
import yaml

from archioptrx.runs.run_folder import RunFolder

pytestmark = pytest.mark.skipif(importlib.util.find_spec("dvc") is None, reason="needs the extra `dvc`")
ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "data": {"events": 9, "particles": 12, "seed": 0},
    "search": {"experiment": "small.yaml", "trials": 1, "epochs": 1, "seed": 0},
    "train": {"epochs": 1},
}


def installed(folder: Path) -> Path:
    """A folder of programs with `archioptrx` in it, which `processes` runs for this process, without Ray."""
    folder.mkdir()
    listener = Listener(family="AF_UNIX")

    def serve() -> None:
        while True:
            with listener.accept() as caller:
                words, place = caller.recv()
                local = ["--backend", "local"] if words[:1] == ["search"] else []
                done = processes.call(["archioptrx", *words, *local], Path(place))
                caller.send((done.returncode, done.stdout, done.stderr))

    threading.Thread(target=serve, daemon=True).start()
    command = folder / "archioptrx"
    command.write_text(f"#!{sys.executable} -S\n{CALL.format(listener.address)}")
    command.chmod(0o755)
    return folder


CALL = """
import os, sys
from multiprocessing.connection import Client

with Client({!r}) as program:
    program.send((sys.argv[1:], os.getcwd()))
    code, out, err = program.recv()
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class Project:
    """A git repository with the pipeline in it, and a shell in which `archioptrx` is a command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        for name in ("dvc.yaml", "params.yaml"):
            shutil.copy(ROOT / name, self.folder)
        small = {"name": "small", "search_space": "small", "retrain": {"top": 1, "seeds": 1}}
        (self.folder / "small.yaml").write_text(yaml.safe_dump(small))
        self.environment = {
            "PATH": f"{installed(folder / 'bin')}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "HOME": str(folder / "home"),
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "DVC_NO_ANALYTICS": "1",
            "CI": "1",  # dvc asks for no newer version of itself
        }
        self.run("git", "init", "-q")
        self.dvc("init", "-q")

    def run(self, *command: str) -> str:
        """Run a command that has to go well; what it printed."""
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, env=self.environment, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        """Run dvc."""
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def write_parameters(self, **parameters: object) -> None:
        """Write params.yaml with some values changed; `__` stands between section and name."""
        content = {section: dict(values) for section, values in SMALL.items()}
        for key, value in parameters.items():
            section, name = key.split("__")
            content[section][name] = value
        (self.folder / "params.yaml").write_text(yaml.safe_dump(content))

    def repro(self) -> list[str]:
        """Reproduce; the stages that ran."""
        return re.findall(r"^Running stage '(\w+)'", self.dvc("repro"), re.MULTILINE)

    def changed(self) -> set[str]:
        """Stages that dvc says are to run again by themselves."""
        return set(json.loads(self.dvc("status", "--json")))


def test_the_bundled_parameters_are_those_of_the_test():
    shown = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert {section: set(values) for section, values in shown.items()} == {s: set(v) for s, v in SMALL.items()}


def test_a_project_is_reproduced_once_and_again_only_where_something_changed(tmp_path):
    project = Project(tmp_path)
    project.write_parameters()
    assert project.repro() == ["data", "search", "train", "report"]
    folder = project.folder
    run = RunFolder(folder / "run")
    assert len(run.rows()) == 1
    assert run.experiment().data.content["path"] == str(folder / "events")
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")[:200].lower()
    shown = json.loads(project.dvc("metrics", "show", "--json"))[""]["data"]["evaluation.json"]["data"]
    assert shown["auc"] == json.loads((folder / "evaluation.json").read_text())["auc"]
    ignored = set((folder / ".gitignore").read_text().split())
    assert ignored == {"/events", "/run", "/model", "/report.html"}  # dvc keeps them, git their hashes

    assert project.repro() == []
    project.write_parameters(data__seed=1, search__seed=1)
    assert project.changed() == {"data", "search"}  # what follows them is found changed when their files are
    project.write_parameters(train__epochs=2)
    assert project.repro() == ["train", "report"]
