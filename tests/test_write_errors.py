"""A full or read-only disk, and what stands in the way: one line, exit code 2, and the run goes on later."""

import contextlib
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from graphs import toy
from small_search import SMALL, lines

from archioptrx.commands import compare, data, evaluate, export, inspect, predict, search, train
from archioptrx.core.config import Fields
from archioptrx.core.errors import InputError, WriteError
from archioptrx.core.files import Journal, check_writable, new_folder, writing
from archioptrx.core.overrides import apply
from archioptrx.data.hitgraph import subgraph
from archioptrx.data.options import FatrasOptions, HelixOptions
from archioptrx.data.sources.fatras import write_csv as write_acts
from archioptrx.data.sources.helix import write_csv
from archioptrx.data.sources.hitgraphs import write as write_hitgraphs
from archioptrx.data.sources.pickle_writing import write as write_pickle

ROOT = Path(__file__).resolve().parents[1]
TINY = {"budget.trials": 2, "training.epochs": 1, "retrain": {"top": 1, "seeds": 1}, "track": "none", "keep.weights": 1}


@pytest.fixture
def run(run, tmp_path, monkeypatch):
    """The run in the current folder, beside a file that stands in the way."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    return Path("run")


COMMANDS = {
    "search": (search.main, "quickstart --backend local --set data.num_samples=16 --output file/x"),
    "train": (train.main, "run/0 --output file/x"),
    "compare": (compare.main, "run interaction --output file/x"),
    "predict": (predict.main, "run --data events --output file/x"),
    "draw": (inspect.main, "run --draw file/x"),
    "html": (inspect.main, "run --html file/x.html"),
    "data": (data.main, "toy --num-samples 2 --output file/x"),
    "plot": (data.main, "toy --num-samples 2 --plot file/x.png"),
    "pickle": (data.main, "pickle --write file/x.pickle --of {source: toy, num_samples: 2}"),
    "export": (export.main, "run --output file/x.py"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_where_a_folder_is_needed(run, capsys, name):
    main, line = COMMANDS[name]
    if name == "predict":
        data.main(shlex.split("toy --num-samples 2 --output events"))
        capsys.readouterr()
    arguments = line.split(" ", 4) if name == "pickle" else line.split()
    assert main(arguments) == 2
    error = capsys.readouterr().err.splitlines()
    assert "file" in error[-1] and not [text for text in error if "epoch 1" in text or "Traceback" in text], error


DERIVED = {
    "html": (inspect.main, "run --html own.html", "own.html"),
    "comparison": (compare.main, "run --html own.html", "own.html"),
    "drawing": (inspect.main, "interaction --draw .", "interaction.svg"),
    "png": (inspect.main, "interaction --draw .", "interaction.png"),
    "data": (data.main, "toy --num-samples 2 --plot own.png", "own.png"),
    "efficiency": (evaluate.main, "run --plot own.png", "own.png"),
}


@pytest.mark.parametrize("name", DERIVED)
def test_a_file_that_is_no_page_or_picture_of_our_own_is_not_replaced(run, capsys, name):
    main, line, file = DERIVED[name]
    foreign = b"<html>my notes on archioptrx</html>\n" * 200
    Path(file).write_bytes(foreign)
    assert main(line.split()) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint == f"{file}: exists already, and archioptrx didn't write it; allowed: another name"
    assert Path(file).read_bytes() == foreign


IN_NAMESPACE = """
set -e
mount -t tmpfs -o size=120k none disk
cd disk
{python} -m archioptrx search ../tiny.yaml --backend local --output run || echo "code $?"
mount -o remount,ro .
{python} -m archioptrx search --resume run --backend local || echo "code $?"
{python} -m archioptrx inspect run > /dev/null && echo shown
mount -o remount,rw,size=20m .
{python} -m archioptrx search --resume run --backend local > /dev/null && echo done
"""


@pytest.mark.long
def test_a_full_and_a_read_only_disk(tmp_path):
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a namespace of its own, to mount a small disk")
    (tmp_path / "disk").mkdir()
    document = apply(SMALL, {**TINY, "budget.trials": 4, "keep.weights": "all"})
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(document))
    script = IN_NAMESPACE.format(python=sys.executable)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["code 2", "code 2", "shown", "done"], done.stderr
    complaints = [line for line in done.stderr.splitlines() if "can't be written" in line]
    assert len(complaints) == 2 and "Traceback" not in done.stderr
    assert (
        ": can't be written: no space left on device; allowed: a disk with room; ended trials are saved"
        in complaints[0]
    )
    assert complaints[0].endswith("go on with: archioptrx search --resume run")
    assert complaints[1].startswith("run/lock: can't be written: read-only file system; ")


@contextlib.contextmanager
def files_of_at_most(size):
    """A disk on which files can't grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_part_of_a_data_set_is_left_where_the_disk_is_full(tmp_path):
    """A part of the files, without their metadata, would be read: fewer events, other scales."""
    graphs = toy(2)
    small = replace(graphs, graphs=(subgraph(graphs.graphs[0], torch.arange(110) < 5), graphs.graphs[1]))
    few = HelixOptions(events=2, particles=10)
    for write, place in (
        (lambda place: write_hitgraphs(small, place), tmp_path / "npz"),
        (lambda place: write_pickle(small, place), tmp_path / "events.pickle"),
        (lambda place: write_csv(few, place), tmp_path / "csv"),
    ):
        with files_of_at_most(4000), pytest.raises(WriteError, match="can't be written: file too large"):
            write(place)
        assert list(tmp_path.iterdir()) == []
        write(place)
        assert place.exists()
        shutil.rmtree(place) if place.is_dir() else place.unlink()


def test_output_that_takes_nothing():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "archioptrx", "parts", "sampler"],
            stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "output: can't be read or written: no space left on device\n")


def test_closed_output_ends_no_command(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "archioptrx", "data", "helix", "--events", "1", "--output", str(tmp_path / "x")]
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(words)} >&-"], stderr=subprocess.PIPE, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, f"written to {tmp_path / 'x'}\n")
    assert (tmp_path / "x" / "metadata.json").is_file()


def test_a_journal_whose_line_does_not_fit(tmp_path):
    journal = Journal(tmp_path / "rows.jsonl")
    journal.append({"a": 1})
    with files_of_at_most(12), pytest.raises(WriteError, match=r"rows\.jsonl: can't be written: "):
        journal.append({"a": 2})  # as on a full disk: a part of the line is written
    journal.close()
    assert journal.read() == [{"a": 1}]
    journal.append({"a": 3})
    assert journal.read() == [{"a": 1}, {"a": 3}]
    journal.close()
    with pytest.raises(WriteError, match="not a directory; allowed: a path"), writing(tmp_path):
        (tmp_path / "x").touch()
        (tmp_path / "x" / "y").write_text("")
    with pytest.raises(WriteError, match="x/y/z: can't be written"):
        check_writable(tmp_path / "x" / "y" / "z")
    check_writable(tmp_path / "new" / "model")
    assert not (tmp_path / "new" / "model").exists()


@pytest.mark.parametrize("make", [lambda: Path("link").symlink_to("here"), lambda: os.chdir("here")])
def test_an_empty_folder_that_must_stay_is_filled(make, tmp_path, monkeypatch):
    """A link to it, or the folder in which one works: no other folder can take its place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    make()
    target = Path("link") if Path("link").is_symlink() else Path(".")
    check_writable(target)
    with new_folder(target) as fresh:
        (fresh / "a").write_text("1")
        (fresh / "b").mkdir()
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["a", "b"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "link") == ["here"]
    with pytest.raises(InputError, match="is in use; allowed: a new or empty folder"), new_folder(target) as fresh:
        (fresh / "a").write_text("2")
    assert (tmp_path / "here" / "a").read_text() == "1"


def test_finished_work_that_can_not_be_moved_is_kept(tmp_path, monkeypatch):
    """A link to a full disk: what was moved is there, the rest where it was made."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    move = shutil.move

    def full(source, target):
        if source.name == "b":
            raise OSError(28, "No space left on device")
        return move(source, target)

    monkeypatch.setattr(shutil, "move", full)
    with pytest.raises(WriteError) as error, new_folder(tmp_path / "link") as fresh:
        (fresh / "a").write_text("1")
        (fresh / "b").write_text("2")
    assert error.value.faults[0].startswith(
        f"{tmp_path / 'link'}: can't be written: no space left on device; allowed: move the rest from {fresh}, "
    )
    assert (tmp_path / "disk" / "a").read_text() == "1" and (fresh / "b").read_text() == "2"


def test_a_link_to_nothing_is_refused_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("missing")
    expected = "link: is a link to missing, which is missing; allowed: a folder, or a new path"
    assert train.main(["interaction", "--set", "data.num_samples=9", "--output", "link"]) == 2
    assert capsys.readouterr().err.splitlines() == [expected]
    assert data.main(["toy", "--num-samples", "2", "--output", "link"]) == 2
    assert expected in capsys.readouterr().err


def test_what_acts_could_not_write_is_no_event(tmp_path, capfd):
    pytest.importorskip("acts", reason="needs the extra `acts`")
    options = FatrasOptions.read(Fields({"events": 1, "particles": 10}, "data", []))
    for most in (3_000, 50_000):  # within its files, and after them
        with files_of_at_most(most), pytest.raises(WriteError, match="csv: can't be written: file too large"):
            write_acts(options, tmp_path / "csv")
        assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == ""


def changed_weights(best):
    state = torch.load(best / "weights.pt", weights_only=True)
    next(iter(state.values())).add_(1)
    torch.save(state, best / "weights.pt")


def other_activation(file):
    """An architecture with another value of a hyperparameter."""
    document = yaml.safe_load(file.read_text())
    values = document["hyperparameters"]
    values["activation"] = "tanh" if values["activation"] != "tanh" else "relu"
    return yaml.safe_dump(document)


def other_task(best):
    facts = json.loads((best / "metadata.json").read_text())
    facts["task"] = {"name": "edge_classification", "class_weight": 3.0}
    (best / "metadata.json").write_text(json.dumps(facts))


def other_scales(best):
    facts = json.loads((best / "metadata.json").read_text())
    facts["edge_scale"] = [9 * scale for scale in facts["edge_scale"]]
    (best / "metadata.json").write_text(json.dumps(facts))


def other_numbers(best):
    metrics = json.loads((best / "metrics.json").read_text())
    metrics["test"]["auc"]["mean"] = 0.99999
    (best / "metrics.json").write_text(json.dumps(metrics))


def fewer_numbers(best):
    metrics = json.loads((best / "metrics.json").read_text())
    del metrics["validation"]
    (best / "metrics.json").write_text(json.dumps(metrics))


DAMAGES = {
    "other weights": (changed_weights, "is damaged: its weights are others than those of the training"),
    "no weights": (lambda best: (best / "weights.pt").write_bytes(b"x"), "is damaged: run/best/weights.pt: holds no "),
    "a missing file": (lambda best: (best / "architecture.yaml").unlink(), "has no architecture.yaml"),
    "another network": (
        lambda best: (best / "architecture.yaml").write_text(other_activation(best / "architecture.yaml")),
        "is damaged: its architecture.yaml holds another network than the trial",
    ),
    "half a network": (
        lambda best: (best / "architecture.yaml").write_text((best / "architecture.yaml").read_text()[:300]),
        "is damaged: run/best",
    ),
    "another task": (other_task, "is damaged: its metadata.json names another task, split or data than the search"),
    "other scales": (other_scales, "is damaged: its metadata.json describes other data than those of the search"),
    "other numbers": (other_numbers, "its metrics.json has another test.auc.mean than the journals; it is made again"),
    "fewer numbers": (fewer_numbers, "its metrics.json has another validation than the journals; it is made again"),
    "no JSON": (lambda best: (best / "metrics.json").write_text("{"), "is damaged: run/best/metrics.json: is not JSON"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_resume_makes_a_damaged_winner_again(run, capsys, name):
    damage, message = DAMAGES[name]
    before = {file.name: file.read_bytes() for file in (run / "best").iterdir() if file.name != "environment.json"}
    damage(run / "best")
    assert search.main(["--resume", "run", "--backend", "local"]) == 0
    assert f"run/best: {message}" in capsys.readouterr().err
    after = {file.name: file.read_bytes() for file in (run / "best").iterdir() if file.name != "environment.json"}
    assert set(after) == set(before) and after["metrics.json"] == before["metrics.json"]
    assert len(lines(run / "retrain.jsonl")) == 1
