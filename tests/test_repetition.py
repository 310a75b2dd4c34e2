"""`train RUN/ID` repeats a trial bit for bit on CPU, whatever became of it; and says so, or what differs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small_search import lines, searched, small, write_odd

from archioptrx.commands.train import main as train
from archioptrx.commands.train import parser
from archioptrx.core.files import write_atomically
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.jobs import Work
from archioptrx.search.local_backend import run_locally
from archioptrx.search.single import SingleTraining, choose
from archioptrx.training.trial import TrialData, weights_digest

ASHA: dict[str, Any] = {
    "scheduler": {"name": "asha"},
    "sampler": {"name": "evolution", "initial": 3},
    "training": {"epochs": 3, "learning_rate": 0.01},
    "resources__cpus_per_trial": 2,
    "retrain": {"top": 1, "seeds": 1, "epochs": 1},
    "budget__trials": 5,
}


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with pruned trials, two threads, and other epochs for the retraining."""
    folder = tmp_path_factory.mktemp("repetition") / "pruned"
    searched(folder, small(**ASHA))
    return folder


def again(run: Path, number: int, output: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    """Train a trial once more; exit code and stderr."""
    capsys.readouterr()
    code = train([f"{run}/{number}", "--output", str(output), *more])
    return code, capsys.readouterr().err


def same(run: Path, number: int, model: Path) -> bool:
    """Whether scores and weights of a model folder are those of the trial, to the last bit."""
    row = next(row for row in RunFolder(run).last_rows() if row["proposal"] == number)
    curve = [line["score"] for line in lines(model / "epochs.jsonl")]
    digest = weights_digest(torch.load(model / "weights.pt", weights_only=True))
    return curve == row["curve"] and digest == row["weights_digest"]


def test_every_trial_of_a_search_is_repeated(pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = RunFolder(pruned).last_rows()
    assert {row["status"] for row in rows} == {"finished", "pruned"}
    for row in rows:
        number = row["proposal"]
        code, printed = again(pruned, number, tmp_path / row["id"], capsys)
        assert code == 0 and same(pruned, number, tmp_path / row["id"])
        verdict = f"repeats trial {row['id']} exactly: the same score after each epoch, the same weights "
        assert printed.splitlines()[-1] == verdict + row["weights_digest"]
        environment = json.loads((tmp_path / row["id"] / "environment.json").read_text())
        assert environment["weights_digest"] == row["weights_digest"] and environment["seed"] == row["seed"]
        metrics = json.loads((tmp_path / row["id"] / "metrics.json").read_text())
        assert metrics["repeats"] == {"run": str(pruned), "trial": f"trial {row['id']}", "exactly": True}


def test_a_trial_that_a_worker_of_ray_trained_is_repeated_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def on_ray(work: Work, data: TrialData) -> None:
        from archioptrx.search.ray_backend import run_on_ray

        run_on_ray(work, data, experiment.resources)

    # By this seed trials 1 and 2 are the best after an epoch: they pause, and go on in a worker that has run another.
    asha = {"name": "asha", "type": "promotion", "reduction_factor": 4}
    more = {"scheduler": asha, "training__epochs": 4, "retrain": {"top": 1, "seeds": 1, "epochs": 1}}
    experiment = small(seed=4, budget__trials=5, **more, keep__weights=3)
    searched(tmp_path / "run", experiment, on_ray)
    rows = RunFolder(tmp_path / "run").ended()
    assert {row["proposal"] for row in rows if row["epochs"] == 4} == {1, 2}
    assert any("parts" in row for row in rows)
    for number in (1, 2, 3):
        assert again(tmp_path / "run", number, tmp_path / f"model{number}", capsys)[0] == 0
        assert same(tmp_path / "run", number, tmp_path / f"model{number}")
        curve = RunFolder(tmp_path / "run").curves()[number]
        mine = lines(tmp_path / f"model{number}" / "epochs.jsonl")
        for name in ("loss", "gradient_norm", "weight_norm", "learning_rate"):
            assert [line[name] for line in curve] == [line[name] for line in mine]


def copy(run: Path, target: Path) -> Path:
    shutil.copytree(run, target)
    return target


def test_a_trial_of_an_earlier_version_that_began_with_weights_of_another_says_so(
    pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy(pruned, tmp_path / "run")
    rows = lines(run / "trials.jsonl")
    rows[-1] |= {"inherited": {"parent": "0001", "tensors": 4, "share": 0.5}}
    (run / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, printed = again(run, rows[-1]["proposal"], tmp_path / "model", capsys)
    line = f"trial {rows[-1]['id']} began with weights of trial 0001: this one begins with fresh ones"
    assert line in printed.splitlines()


def test_what_else_can_differ_is_named(pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = copy(pruned, tmp_path / "run")
    environment = json.loads((run / "environment.json").read_text())
    environment["versions"]["torch"], environment["data"]["fingerprint"] = "1.0", "of other data"
    write_atomically(run / "environment.json", json.dumps(environment))
    rows = RunFolder(run).last_rows()
    rows[0] |= {"device": "cuda", "weights_digest": "0" * 16, "curve": [0.25, *rows[0]["curve"][1:]]}
    (run / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, printed = again(run, rows[0]["proposal"], tmp_path / "model", capsys)
    name, here = f"trial {rows[0]['id']}", "cuda" if torch.cuda.is_available() else "cpu"
    assert (f"{name} was trained on cuda, this one on {here}" in printed) == (here == "cpu")
    assert "the data have changed since the search" in printed.splitlines()
    last = printed.splitlines()[-1]
    assert last.startswith(f"differs from {name}: epoch 1 ") and " ≠ 0.25" in last
    assert last.endswith(f"; since then: torch 1.0 → {torch.__version__.split('+')[0]}") or "torch 1.0 → " in last


def test_measured_seconds_in_the_score_are_no_difference_of_the_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objective = {"metric": "auc", "cost": {"metric": "seconds_per_epoch"}}
    searched(tmp_path / "run", small(objective=objective, budget__trials=1, retrain__seeds=1))
    _, printed = again(tmp_path / "run", 0, tmp_path / "model", capsys)
    digest = lines(tmp_path / "run" / "trials.jsonl")[0]["weights_digest"]
    assert printed.splitlines()[-1] == (
        f"the same weights as trial 0000: {digest}; only numbers measured in seconds differ"
    )


def test_other_epochs_or_another_seed_are_no_repetition(
    pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = next(row["proposal"] for row in lines(pruned / "trials.jsonl") if row["status"] == "pruned")
    for place, (more, epochs) in enumerate([(("--epochs", "3"), 3), (("--epochs", "2", "--seed", "5"), 2)]):
        code, printed = again(pruned, number, tmp_path / str(place), capsys, *more)
        assert code == 0 and "repeats" not in printed and "differs" not in printed
        assert len(lines(tmp_path / str(place) / "epochs.jsonl")) == epochs


def test_the_key_of_an_option_acts_as_the_option(pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--set seed`, `--set track` do what `--seed` and `--track` do; both together are refused."""

    def chosen(*arguments: str) -> SingleTraining:
        return choose(parser().parse_args(arguments))

    for of in ("interaction", f"{pruned}/0"):
        assert chosen(of, "--set", "seed=7").seed == chosen(of, "--seed", "7").seed == 7
        assert chosen(of, "--set", "track=tensorboard").track == chosen(of, "--track", "tensorboard").track
        assert chosen(of).track == ()
    assert train(["interaction", "--seed", "1", "--set", "seed=2", "--epochs", "2", "--set", "training.epochs=3"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "--set seed: --seed gives it too; allowed: one of the two",
        "--set training.epochs: --epochs gives it too; allowed: one of the two",
    ]


def test_a_trial_that_failed_fails_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    odd = write_odd(tmp_path, "raising", "exploding")
    searched(tmp_path / "run", small(**odd, budget__trials=10, training__epochs=1), run_locally)
    row = next(row for row in lines(tmp_path / "run" / "trials.jsonl") if row["status"] == "failed")
    code, printed = again(tmp_path / "run", row["proposal"], tmp_path / "model", capsys)
    assert code == 2 and printed.splitlines()[-1].endswith(f": {row['error']}")
    assert not (tmp_path / "model").exists()


def test_train_is_tracked_beside_the_model(pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from test_tracking import as_epochs, events_of

    assert again(pruned, 0, tmp_path / "model", capsys, "--track", "tensorboard")[0] == 0
    scores = [epoch["score"] for epoch in as_epochs(events_of(tmp_path, "model"))]
    assert scores == pytest.approx([line["score"] for line in lines(tmp_path / "model" / "epochs.jsonl")])
    assert again(pruned, 0, tmp_path / "other", capsys, "--track", "none")[0] == 0
    assert not (tmp_path / "tensorboard" / "other").exists()
    assert again(pruned, 0, tmp_path / "third", capsys, "--track", "mlflow") == (
        2,
        "--track: is 'mlflow'; allowed: none, tensorboard, wandb\n",
    )
