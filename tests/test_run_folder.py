"""The run folder: what a crash can leave, who may write, what is refused."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_search import PROPOSAL, small

from archioptrx.core.errors import InputError
from archioptrx.core.files import Journal, new_folder, next_folder, plain, refuse_used, write_atomically
from archioptrx.runs.run_folder import RunFolder

TRIAL = {
    **{"proposal": 0, "id": "0000", "fingerprint": "f", "hyperparameters": {}, "status": "finished", "score": 0.5},
    **{"epochs": 1, "curve": [0.5], "metrics": {}, "parameters": 7, "seconds": 1.0, "error": None, "seed": 1},
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    source = tmp_path / "graph.yaml"
    source.write_text("name: g\n")
    return RunFolder.create(tmp_path / "run", small(), {"seed": 0}, {"function_graph.yaml": source})


def test_a_truncated_last_line_is_dropped_and_then_removed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": 2}\n{"id": 3, "sco')
    journal = Journal(path)
    assert [row["id"] for row in journal.read()] == [1, 2]
    journal.append({"id": 4})
    journal.close()
    assert path.read_bytes() == b'{"id": 1}\n{"id": 2}\n{"id": 4}\n'


def test_a_line_without_its_newline_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": 2}')
    assert len(Journal(path).read()) == 1


def test_a_changed_line_is_the_users_fault(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": 1}\nhello\n')
    with pytest.raises(InputError, match="line 2: is not JSON"):
        Journal(path).read()


def test_numbers_become_json() -> None:
    content = {"a": np.float32(0.5), "b": float("nan"), "c": (np.int64(3), [float("inf")]), 4: "é"}
    assert json.loads(json.dumps(plain(content))) == {"a": 0.5, "b": None, "c": [3, [None]], "4": "é"}


def test_create_keeps_everything(run: RunFolder) -> None:
    assert run.experiment() == small()
    assert run.environment() == {"seed": 0}
    assert (run.path / "function_graph.yaml").read_text() == "name: g\n"
    assert run.rows() == [] and run.proposals.read() == []


def test_the_largest_number_of_workers_so_far_is_kept(run: RunFolder) -> None:
    for workers, most in ((4, 4), (1, 4), (6, 6)):
        run.update(small(resources__workers=workers))
        assert run.environment() == {"seed": 0, "workers": most}


def test_a_used_folder_is_refused(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds another search; allowed: --resume .*run"):
        RunFolder.create(run.path, small(), {}, {})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match="mine: holds other files"):
        refuse_used(tmp_path / "mine")
    with pytest.raises(InputError, match=r"graph.yaml: is a file"):
        refuse_used(tmp_path / "graph.yaml")


def test_what_appears_in_the_place_of_a_new_folder_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with pytest.raises(InputError, match="run: is in use"), new_folder(target):
        target.mkdir()
        (target / "theirs").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (target / "theirs").exists()


def test_a_replaced_folder_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    target = tmp_path / "best"
    for text in ("old", "new"):
        with new_folder(target, replace=True) as fresh:
            (fresh / "file").write_text(text)
    with pytest.raises(KeyError), new_folder(target, replace=True) as fresh:
        (fresh / "file").write_text("half")
        raise KeyError
    assert (target / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_one_process_writes(run: RunFolder) -> None:
    with run.locked(), pytest.raises(InputError, match=f"process {os.getpid()} is writing to it"), run.locked():
        pass
    with run.locked():
        pass


def test_the_lock_of_a_killed_process_is_free(run: RunFolder) -> None:
    code = (
        "import os, signal, sys; from archioptrx.runs.run_folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).locked(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(run.path)], check=False)
    assert (run.path / "lock").read_text().strip().isdecimal()
    with run.locked():
        pass


def test_rows_are_sorted_by_score(run: RunFolder) -> None:
    with run.locked():
        for number, score in enumerate((0.5, None, 0.9, 0.5)):
            run.proposals.append({**PROPOSAL, "proposal": number})
            run.trials.append({**TRIAL, "proposal": number, "score": score})
    assert [row["proposal"] for row in run.rows()] == [2, 0, 3, 1]


def test_a_trial_that_was_never_proposed_is_named(run: RunFolder) -> None:
    with run.locked():
        run.proposals.append(PROPOSAL)
        for number in (0, 1):
            run.trials.append({**TRIAL, "proposal": number, "score": 0.5})
    message = r"trials.jsonl: line 2: proposal 1 isn't in proposals.jsonl, or was refused; a file has been changed; "
    with pytest.raises(InputError, match=message):
        run.rows()
    with pytest.raises(InputError, match=message), run.locked():
        pass


def test_journals_that_do_not_go_together_are_named(run: RunFolder) -> None:
    with run.locked():
        run.proposals.append(PROPOSAL)
        run.proposals.append({**PROPOSAL, "proposal": 1})
        for number in (0, 1):
            run.trials.append({**TRIAL, "proposal": number, "score": 0.5})
        retraining = {"proposal": 9, "repeat": 0, "status": "finished", "score": 0.5}
        run.retrained.append({**retraining, "metrics": {}, "test": {}, "curve": []})
    trials, proposals = run.trials.path.read_text(), run.proposals.path.read_text()
    with pytest.raises(InputError, match=r"retrain.jsonl: line 1: proposal 9 isn't in proposals.jsonl"):
        run.retrainings()
    run.trials.path.write_text(trials + trials.splitlines(keepends=True)[1])
    with pytest.raises(InputError, match=r"trials.jsonl: line 3: proposal 1 stands twice; a file has been changed"):
        run.rows()
    run.trials.path.write_text(trials)
    run.proposals.path.write_text(proposals + '{"proposal": 1, "refused": "steps 9 > 8"}\n')
    with pytest.raises(InputError, match=r"trials.jsonl: line 2: proposal 1 isn't in proposals.jsonl"):
        run.rows()


def test_no_such_trial(run: RunFolder) -> None:
    with run.locked():
        run.proposals.append(PROPOSAL)
        run.proposals.append({**PROPOSAL, "proposal": 1})
        run.proposals.append({"proposal": 1, "refused": "steps 9 > 8"})
    assert run.proposal(1) == {**PROPOSAL, "proposal": 1}
    with pytest.raises(InputError, match=r"run/0007: no such trial; allowed: 0000 … 0001"):
        run.proposal(7)


def test_what_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no search"):
        RunFolder(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        RunFolder(tmp_path / "nowhere")


def test_next_folder_counts_on(tmp_path: Path) -> None:
    for name in ("quick-1", "quick-9", "quick-old", "other-12"):
        (tmp_path / name).mkdir()
    assert next_folder("quick", tmp_path).name == "quick-10"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "one")
    write_atomically(path, b"two")
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("journal", "change", "fault"),
    [
        ("trials", {"train_seconds": None}, "train_seconds is None"),
        ("trials", {"metrics": {"auc": 0.5, "cut": {}}}, "metrics.cut is {}"),
        ("trials", {"metrics": {"auc": True}}, "metrics.auc is True"),
        ("trials", {"curve": [0.1, "a"]}, "curve[1] is 'a'"),
        ("trials", {"curves": [[0.1, 0.2], None, [0.1, "a"]]}, "curves[2][1] is 'a'"),
        ("trials", {"started": "today"}, "started is 'today'"),
        ("trials", {"reference": 3}, "reference is 3"),
        ("proposals", {"size": {"executed": "many"}}, "size.executed is 'many'"),
        ("proposals", {"walk": {"loops": []}}, "walk.loops is []"),
        ("proposals", {"observed": [1, None]}, "observed[1] is None"),
        ("retrained", {"test": {"auc": "a"}}, "test.auc is 'a'"),
        ("retrained", {"seconds": None}, "seconds is None"),
        ("retrained", {"bins": {"pt": 3}}, "bins.pt is 3"),
        ("epochs", {"metrics": {"auc": "a"}}, "metrics.auc is 'a'"),
        ("epochs", {"memory": "a"}, "memory is 'a'"),
    ],
)
def test_a_key_of_another_type_is_named(run: RunFolder, journal: str, change: dict[str, Any], fault: str) -> None:
    retraining = {
        "proposal": 0,
        "repeat": 0,
        "status": "finished",
        "score": 0.5,
        "metrics": {},
        "test": {},
        "curve": [],
    }
    rows = {"trials": {**TRIAL, "score": 0.5}, "proposals": PROPOSAL, "retrained": retraining}
    row = rows.get(journal, {"proposal": 0, "epoch": 1, "score": None})
    file: Journal = getattr(run, journal)
    with closing(file):
        file.append(row)
        assert file.read() == [row]
        file.append({**row, **change})
    with pytest.raises(InputError) as error:
        file.read()
    assert str(error.value) == f"{file.path}: line 2: {fault}; the file has been changed"
