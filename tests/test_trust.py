"""Code that a file asks for runs only when the person says so; a run of one's own works from everywhere.

The modules here set a flag, a file, when they are imported.
"""

import json
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from registries import restored
from small_search import SMALL

import archioptrx
from archioptrx.commands import compare, evaluate, export, inspect, predict, search, train
from archioptrx.commands import data as data_command
from archioptrx.core.errors import InputError
from archioptrx.core.own_modules import FINDER, find
from archioptrx.core.trust import is_trusted, remember

MODULE = "flag_of_a_test"
CODE = """
import os
from helper_of_a_test import FLAG
with open(os.environ["FLAG"], "a") as file:
    file.write(__name__ + FLAG)
"""
TINY = {
    "budget": {"trials": 1},
    "training": {"epochs": 1},
    "retrain": {"top": 1, "seeds": 1},
    "keep": {"weights": "all"},
}


def forget() -> None:
    """Begin as a new process does."""
    for name in [name for name in sys.modules if name.endswith("_of_a_test")]:
        del sys.modules[name]


def write_module(folder: Path, helper: str = "FLAG = ' ran'") -> None:
    (folder / f"{MODULE}.py").write_text(CODE)
    (folder / "helper_of_a_test.py").write_text(helper)


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A folder as a stranger sends it: modules, an experiment, its run, and a model."""
    folder = tmp_path_factory.mktemp("strange")
    write_module(folder)
    experiment = {**SMALL, **TINY, "imports": [MODULE], "data": {"source": "toy", "num_samples": 9}}
    (folder / "strange.yaml").write_text(yaml.safe_dump(experiment))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("FLAG", str(folder / "flag"))
        patch.setenv("ARCHIOPTRX_TRUST", str(folder / "of_the_stranger"))
        forget()
        assert search.main(["strange.yaml", "--backend", "local", "--output", "run", "--imports", MODULE]) == 0
        assert train.main(["run/0", "--output", "model"]) == 0
    (folder / "flag").unlink()
    forget()
    return folder


@pytest.fixture
def here(strange, tmp_path, monkeypatch):
    """The stranger's folder among one's own, in which the commands run; nothing has been trusted."""
    folder = Path(shutil.copytree(strange, tmp_path / "strange"))
    (folder / "of_the_stranger").unlink()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FLAG", str(tmp_path / "flag"))
    monkeypatch.setenv("ARCHIOPTRX_TRUST", str(tmp_path / "trusted"))
    forget()
    with restored():
        yield folder
    forget()


COMMANDS = {
    "evaluate a model": (evaluate.main, "model"),
    "evaluate a trial": (evaluate.main, "run/0"),
    "export": (export.main, "run --output {out}.py"),
    "predict": (predict.main, "model --data . --output {out}"),
    "compare": (compare.main, "run model"),
    "compare with an architecture": (compare.main, "model interaction --output {out}"),
    "inspect": (inspect.main, "run"),
    "inspect --html": (inspect.main, "run --html {out}"),
    "inspect --functions": (inspect.main, "run --functions"),
    "train": (train.main, "run/0 --output {out}"),
    "resume": (search.main, "--resume run --backend local"),
    "search": (search.main, "strange.yaml --backend local --output {out}"),
    "search --dry-run": (search.main, "strange.yaml --dry-run"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_runs_the_code_of_a_stranger(here, tmp_path, capsys, name):
    main, line = COMMANDS[name]
    assert main(line.format(out=tmp_path / "out").split()) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == (2 if name == "compare" else 1)  # a line for each model
    for error in errors:
        assert (
            f"imports: {MODULE} is code (" in error and "allowed: --trust" in error and f"--imports {MODULE}" in error
        )
    assert not (tmp_path / "flag").exists() and not (tmp_path / "out").exists()


def test_nor_does_load(here, tmp_path):
    with pytest.raises(InputError, match=r"^model/metadata\.json: imports: .* is code \(model/modules/flag"):
        archioptrx.load("model")
    assert not (tmp_path / "flag").exists()
    assert archioptrx.load("model", trust=True).model is not None
    assert (tmp_path / "flag").read_text() == f"{MODULE} ran"
    forget()
    assert archioptrx.load("model").model is not None  # it is remembered


def test_consent_is_to_the_source_with_all_that_it_imports(here, tmp_path, capsys):
    assert inspect.main(["run", "--trust"]) == 0
    forget()
    assert evaluate.main(["model", "--json"]) == 0  # the same source
    forget()
    (here / "model" / "modules" / "helper_of_a_test.py").write_text("FLAG = ' changed'")
    capsys.readouterr()
    assert evaluate.main(["model"]) == 2
    assert "is code (" in capsys.readouterr().err
    assert (tmp_path / "flag").read_text() == 2 * f"{MODULE} ran"


def test_one_s_own_run_works_from_everywhere_and_later(here, tmp_path, monkeypatch, capsys):
    assert (
        search.main(["strange.yaml", "--backend", "local", "--output", str(tmp_path / "mine"), "--imports", MODULE])
        == 0
    )
    forget()
    (here / f"{MODULE}.py").write_text("raise ValueError('changed')")
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(["mine"]) == 0
    forget()
    assert search.main(["--resume", "mine", "--backend", "local", "--trials", "2"]) == 0
    assert sorted(file.name for file in (tmp_path / "mine" / "modules").iterdir()) == [
        f"{MODULE}.py",
        "helper_of_a_test.py",
    ]
    forget()
    capsys.readouterr()
    monkeypatch.chdir(here)
    assert evaluate.main(["../mine", "--imports", MODULE]) == 2  # the module that is named is the one here
    assert capsys.readouterr().err == f"imports: {MODULE}: can't be imported: ValueError: changed\n"


def test_a_module_beside_the_experiment_is_found_and_named(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in (f"--imports {MODULE}", f"--set imports=[{MODULE}]", ""):
        assert search.main(["strange/strange.yaml", "--dry-run", *line.split()]) == 0
        forget()


def test_a_named_module_belongs_to_the_experiment(here, tmp_path):
    out = str(tmp_path / "out")
    assert (
        train.main(
            ["interaction", "--set", "data.num_samples=9", "--epochs", "1", "--output", out, "--imports", MODULE]
        )
        == 0
    )
    facts = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert facts["imports"] == [MODULE]
    assert (tmp_path / "out" / "modules" / f"{MODULE}.py").read_text() == CODE


def test_the_first_name_that_fails_ends_it(here, tmp_path, capsys):
    (here / "good_of_a_test.py").write_text(CODE)
    assert inspect.main(["run", "--imports", "no_such", "good_of_a_test"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("imports: no_such: can't be imported: ModuleNotFoundError") and error.count("\n") == 1
    assert not (tmp_path / "flag").exists()


def test_libraries_come_before_the_working_folder(here, tmp_path):
    """Neither a module of one's own nor a command takes a file of the working folder for a library."""
    for name in ("yaml", "numpy", "wandb", "helper_of_a_test"):
        (here / f"{name}.py").write_text(CODE.replace("from helper_of_a_test", "FLAG = '' #"))
    (here / f"{MODULE}.py").write_text("import yaml, numpy, helper_of_a_test")
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    for start in (["archioptrx", "parts"], ["archioptrx.search", "--dry-run"]):
        done = subprocess.run(
            [sys.executable, "-m", *start, "--imports", MODULE],
            cwd=here, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "flag").read_text() == "helper_of_a_test"
        (tmp_path / "flag").unlink()


def test_stale_bytecode_does_not_run(here, tmp_path):
    """Python itself would run bytecode whose date is that of the source."""
    source = here / "model" / "modules" / "helper_of_a_test.py"
    content = source.read_bytes()
    source.write_bytes(b"FLAG = ' odd'")  # of the same length
    assert source.stat().st_size == len(content)
    os.utime(source, (1, 1))
    py_compile.compile(str(source), doraise=True)
    source.write_bytes(content)
    os.utime(source, (1, 1))
    assert (source.parent / "__pycache__").is_dir()
    archioptrx.load("model", trust=True)
    assert (tmp_path / "flag").read_text() == f"{MODULE} ran"


def test_two_versions_of_a_module_are_refused_unless_one_is_named(here, capsys):
    (here / "model" / "modules" / "helper_of_a_test.py").write_text("FLAG = ' other'")
    assert compare.main(["run", "model", "--trust", "--resamples", "100"]) == 2
    assert "helper_of_a_test.py, which is imported already; allowed: --imports" in capsys.readouterr().err
    forget()
    assert compare.main(["run", "model", "--imports", MODULE, "--resamples", "100"]) == 0


@pytest.mark.parametrize("name", ["../x", "a b", "", ".", "a..b", "x\0y", "\x1b[2J", 5])
def test_names_that_are_none(here, capsys, name):
    facts = json.loads((here / "model" / "metadata.json").read_text())
    (here / "model" / "metadata.json").write_text(json.dumps({**facts, "imports": [name]}))
    assert evaluate.main(["model"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("model/metadata.json: imports[0]: is ") and error.count("\n") == 1


def test_installed_modules_need_a_yes_too(here, tmp_path, capsys):
    facts = json.loads((here / "model" / "metadata.json").read_text())
    (here / "model" / "metadata.json").write_text(json.dumps({**facts, "imports": ["this"]}))
    assert evaluate.main(["model"]) == 2
    assert "imports: this is code (" in capsys.readouterr().err
    assert "this" not in sys.modules


def test_a_package_and_one_without_init_are_own_modules(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for package, init in (("lab_of_a_test", True), ("parts_of_a_test", False)):
        (tmp_path / package / "inner").mkdir(parents=True)
        if init:
            (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "inner" / "deep.py").write_text("VALUE = 7")
        (tmp_path / package / "top.py").write_text("from .inner.deep import VALUE\nimport json")
        source = find(f"{package}.top", (), ())
        assert source is not None and source.folder == tmp_path
        FINDER.add(source)
        assert __import__(f"{package}.top", fromlist=["x"]).VALUE == 7
    forget()
    for name in [name for name in sys.modules if "_of_a_test." in name]:
        del sys.modules[name]


def test_a_trust_file_that_can_not_be_written_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARCHIOPTRX_TRUST", str(tmp_path / "file" / "trusted"))
    remember("0" * 64, "my_parts")
    assert not is_trusted("0" * 64)
    assert capsys.readouterr().err.startswith("imports: my_parts: isn't remembered: file exists")


def test_data_command_has_the_options(capsys):
    with pytest.raises(SystemExit):
        data_command.main(["toy", "--help"])
    assert "--trust" in capsys.readouterr().out
