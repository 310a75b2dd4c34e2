"""Commands write and delete inside the folders they are given, whatever names and links a run or a model holds."""

import os
import shutil
from pathlib import Path

import pytest
import yaml
from graphs import toy

from archioptrx.commands import inspect, search
from archioptrx.core.errors import InputError
from archioptrx.core.files import clean_name, hold, new_folder, remove_files
from archioptrx.core.own_modules import keep_modules
from archioptrx.core.plugins import import_modules
from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.data.storage.cache import draft, locked, place
from archioptrx.graphs.architecture import Architecture
from archioptrx.runs.run_folder import RunFolder


@pytest.mark.parametrize(
    "name", ["weights", "logs", "retrain", "best", "modules", "tensorboard", "trials.jsonl", "lock", "logs/0000.log"]
)
def test_a_link_in_a_run_folder_is_refused_before_anything_is_written(run, tmp_path, capsys, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    for file in ("0000.pt", "0001.pt", ".0000.pt.x", "0000-0.pt", "mine.txt"):
        (outside / file).write_text("mine")
    before = {file.name: file.read_text() for file in outside.iterdir()}
    place = run / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(outside if not place.suffix and name != "lock" else outside / "mine.txt")
    assert search.main(["--resume", str(run), "--backend", "local", "--trials", "3"]) == 2
    error = capsys.readouterr().err
    assert (
        error.endswith(f"{place}: is a link; allowed: a file or folder of the run itself\n")
        and "Traceback" not in error
    )
    assert {file.name: file.read_text() for file in outside.iterdir()} == before


def test_a_study_and_its_runs_too(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "random-0").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"study/random-0: is a link; allowed: "), hold(tmp_path / "study"):
        raise AssertionError


def test_drawings_replace_links_and_leave_alone_what_they_lead_to(tmp_path):
    (tmp_path / "precious").write_text("mine")
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    for kind in ("svg", "png"):
        (drawings / f"interaction.{kind}").symlink_to(tmp_path / "precious")
    assert inspect.main(["interaction", "--draw", str(drawings)]) == 0
    assert (tmp_path / "precious").read_text() == "mine"
    assert (drawings / "interaction.svg").read_text().startswith("<svg")
    assert (drawings / "interaction.png").read_bytes().startswith(b"\x89PNG")


def test_sources_of_own_modules_stay_in_their_folder(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own_package_of_a_test").mkdir()
    (tmp_path / "mine" / "own_package_of_a_test" / "__init__.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    import_modules(("own_package_of_a_test",))
    (tmp_path / "precious.py").write_text("mine")
    run = tmp_path / "run"
    inner = run / "modules" / "own_package_of_a_test"
    inner.mkdir(parents=True)
    (inner / "__init__.py").symlink_to(tmp_path / "precious.py")
    keep_modules(run, ("own_package_of_a_test",))
    assert (tmp_path / "precious.py").read_text() == "mine" and (inner / "__init__.py").read_text() == "X = 1\n"
    shutil.rmtree(inner)
    inner.symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"modules/own_package_of_a_test: is a link; allowed: a folder of the run"):
        keep_modules(run, ("own_package_of_a_test",))


def test_a_name_of_data_leads_nowhere(tmp_path, monkeypatch):
    assert place("./../../evil", "0") is None
    monkeypatch.setenv("ARCHIOPTRX_CACHE", str(tmp_path / "cache"))
    for path in (place("./../../evil", "0"), draft("./../../evil", "0", True)):
        assert path.resolve().parent == tmp_path / "cache"
    with locked("./../../evil", "0"):
        assert not list(tmp_path.glob("*evil*"))
    with pytest.raises(ValueError, match=r"source is './../../evil'; allowed: a name without /"):
        Metadata("./../../evil")
    graph = toy(3).graphs[0]
    arrays = {name: graph[name].numpy() for name in ("x", "edge_index", "y")}
    with pytest.raises(InputError, match=r"event is '\.\./evil'; allowed: a name without /"):
        make_graph(arrays, Metadata("mine"), "../evil", 0)


def test_only_names_of_our_own_making_are_deleted(run):
    foreign = {"weights": ("notes.pt", "7.pt", ".hidden", "٣.pt"), "retrain": ("notes.txt", ".gitignore")}
    for folder, names in foreign.items():
        (run / folder).mkdir(exist_ok=True)
        for name in names:
            (run / folder / name).write_text("mine")
    (run / "weights" / ".0001.pt.abcdefgh").write_text("of a crash")
    (run / "retrain" / "0001-0.pt").write_text("of a retraining")
    assert search.main(["--resume", str(run), "--backend", "local", "--trials", "3"]) == 0
    for folder, names in foreign.items():
        assert all((run / folder / name).read_text() == "mine" for name in names)
    assert not (run / "weights" / ".0001.pt.abcdefgh").exists() and not (run / "retrain" / "0001-0.pt").exists()
    assert len(RunFolder(run).kept()) == 1


@pytest.mark.parametrize("name", ["../../x", "/tmp/of_a_test/x", "..", "a\\b/c", "\x1b[2J", "n" * 300, ""])
def test_a_drawing_stays_in_its_folder(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    content = {**Architecture.load("interaction").to_dict(), "name": name}
    Path("model.yaml").write_text(yaml.safe_dump(content))
    assert inspect.main(["model.yaml", "--draw", "a/b/drawings"]) == 0
    drawn = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert len(drawn) == 3 and "model.yaml" in drawn
    assert all(Path(file).parent == Path("a/b/drawings") for file in drawn if file != "model.yaml")
    assert not Path("/tmp/of_a_test").exists()


def test_clean_names():
    names = {
        "../../x": "x",
        "/etc/passwd": "etc_passwd",
        "a b": "a_b",
        "..": "unnamed",
        "": "unnamed",
        "µ-1.5": "µ-1.5",
    }
    assert {name: clean_name(name) for name in names} == names
    assert len(clean_name("n" * 300).encode()) <= 100 and len(clean_name("µ" * 300).encode()) <= 200


def test_removing_leaves_what_others_made(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "0000.pt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    remove_files(tmp_path / "link", r"\d+\.pt")
    assert (tmp_path / "outside" / "0000.pt").exists()
    remove_files(tmp_path / "missing", r".*")


def test_ray_s_old_folders_are_ours_alone(tmp_path, monkeypatch):
    backend = pytest.importorskip("archioptrx.search.ray_backend")
    ended = next(number for number in range(2**22 - 1, 0, -1) if not Path(f"/proc/{number}").exists())
    monkeypatch.setattr(backend.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(backend, "LONGEST_FOLDER", 1000)
    for name in (f"archioptrx-{ended}-abcd_123", f"archioptrx-{ended}-my-notes"):
        (tmp_path / name).mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / f"archioptrx-{ended}-abcd_124").symlink_to(outside)
    backend._own_folder()
    left = {path.name for path in tmp_path.iterdir()}
    assert f"archioptrx-{ended}-abcd_123" not in left
    assert {f"archioptrx-{ended}-my-notes", "outside", f"archioptrx-{ended}-abcd_124"} <= left


def test_a_folder_that_is_replaced_is_no_link(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine").touch()
    os.symlink(tmp_path / "outside", tmp_path / "best")
    with pytest.raises(InputError, match=r"best: is a link"), new_folder(tmp_path / "best", replace=True):
        pass
    assert (tmp_path / "outside" / "mine").exists()
