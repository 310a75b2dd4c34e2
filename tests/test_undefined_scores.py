"""A metric that an epoch doesn't have: that epoch has no score, and the trial fails only if no epoch has one.

`purity_0.7` is such a metric: it has no value as long as no edge passes 0.7. In these searches some networks have it
from the first epoch, some later, and some never.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from small_search import Crash, crashing, lines, results, searched, small
from test_fit import DATA, SmallNetwork, same, weights

from archioptrx.commands import evaluate, inspect, train
from archioptrx.runs.effects import best_curve_of
from archioptrx.runs.leaderboard import curve_of
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.schedule import StoppingAsha
from archioptrx.tasks import make_task
from archioptrx.tasks.task import TaskObjective
from archioptrx.training.fit import Fitting
from archioptrx.training.settings import Training


def late(**overrides: Any) -> Any:
    defaults = {"objective": "purity_0.7", "training__learning_rate": 0.01, "training__edges_per_step": 300}
    return small(**defaults | {"training__epochs": 4, "retrain": {"top": 3, "seeds": 1}} | overrides)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search in which scores come late."""
    folder = tmp_path_factory.mktemp("late") / "run"
    searched(folder, late())
    return folder


def test_a_trial_has_the_score_of_its_best_epoch_that_has_one(whole: Path) -> None:
    rows = lines(whole / "trials.jsonl")
    assert any(row["curve"][0] is None and row["score"] is not None for row in rows), "some scores come late"
    for row in rows:
        known = [score for score in row["curve"] if score is not None]
        assert row["score"] == max(known, default=None) == row["metrics"].get("purity_0.7")
        assert (row["status"] == "finished") == bool(known) == (row["weights_digest"] is not None)
        assert len(row["curve"]) == row["epochs"] == 4
        log = RunFolder(whole).log(row["id"]).read_text()
        assert ("score none" in log) == (None in row["curve"])


def test_the_line_of_an_epoch_without_a_score_has_none_and_is_never_the_best(whole: Path) -> None:
    epochs = lines(whole / "epochs.jsonl")
    assert {line["score"] is None for line in epochs} == {True, False}
    for line in epochs:
        assert line["metrics"]["purity_0.7"] == line["score"]
        assert line["metrics"]["auc"] > 0 and not (line["best"] and line["score"] is None)


def test_a_trial_without_any_score_fails_and_says_why(whole: Path) -> None:
    failed = [row for row in lines(whole / "trials.jsonl") if row["status"] == "failed"]
    assert failed, "some networks never have a score"
    assert {row["error"] for row in failed} == {"no score after 4 epochs: the validation purity_0.7 is undefined"}


def test_such_a_run_is_shown_and_its_best_is_trained_again_exactly(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in ([], ["--html", str(tmp_path / "page.html")]):
        assert inspect.main([str(whole), *options]) == 0
    row = next(row for row in lines(whole / "trials.jsonl") if row["curve"][0] is None and row["score"] is not None)
    assert inspect.main([str(whole), "--fingerprint", row["fingerprint"][:12]]) == 0
    assert "–, " in capsys.readouterr().out
    assert train.main([f"{whole}/{row['id']}", "--output", str(tmp_path / "model"), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["validation"]["mean"] == row["score"] and "exactly" in printed.err
    assert "epoch 1: validation score –; " in printed.err
    assert evaluate.main([str(tmp_path / "model"), "--json"]) == 0


def test_of_several_goals_an_epoch_needs_every_one(tmp_path: Path) -> None:
    goals = late(objective=["auc", "purity_0.7"], sampler={"name": "evolution", "initial": 3})
    searched(tmp_path / "run", goals)
    rows = lines(tmp_path / "run" / "trials.jsonl")
    assert any(row["score"] is not None and None in row["curve"] for row in rows)
    for row in rows:
        assert [scores and scores[0] for scores in row["curves"]] == row["curve"]
        known = [scores for scores in row["curves"] if scores is not None]
        assert row["scores"] == max(known, default=None, key=lambda scores: scores[0])
        if known:
            assert [row["metrics"][name] for name in ("auc", "purity_0.7")] == row["scores"]
    assert inspect.main([str(tmp_path / "run"), "--html", str(tmp_path / "page.html")]) == 0


def test_a_search_with_pruning_dies_and_decides_as_before(tmp_path: Path) -> None:
    pruning = late(scheduler={"name": "asha", "reduction_factor": 6}, training__epochs=3, seed=3)
    with pytest.raises(Crash):
        searched(tmp_path / "run", pruning, crashing(9))
    searched(tmp_path / "run", pruning)
    searched(tmp_path / "whole", pruning)
    assert results(tmp_path / "run") == results(tmp_path / "whole")
    rows = RunFolder(tmp_path / "whole").last_rows()
    pruned = [row for row in rows if row["epochs"] < 3]
    assert {row["score"] is None for row in pruned} == {True, False}
    for row in pruned:
        assert row["status"] == ("failed" if row["score"] is None else "pruned")
        assert (row["error"] or "").startswith("no score after " if row["score"] is None else "")


def test_with_asha_no_score_counts_as_the_worst() -> None:
    rungs = StoppingAsha(1, 2.0)
    assert not rungs.prunes(0, 1, 0.1)
    assert rungs.prunes(1, 1, None)
    assert not rungs.prunes(2, 1, 0.2)
    alone = StoppingAsha(1, 2.0)
    assert not alone.prunes(0, 1, None), "none is better"
    assert not alone.prunes(1, 1, 0.1)
    assert not alone.prunes(0, 2, 0.3) and alone.prunes(2, 2, None), "a later epoch has one"
    goals = StoppingAsha(1, 2.0)
    assert not goals.prunes(0, 1, (0.1, -3.0))
    assert goals.prunes(1, 1, None)


def test_asha_remembers_epochs_without_a_score() -> None:
    row = {"curve": [None, 0.4], "curves": [None, [0.4, -3.0]]}
    assert curve_of(row) == [None, (0.4, -3.0)] and curve_of({"curve": [None, 0.4]}) == [None, 0.4]
    assert best_curve_of(row, 0) == [-math.inf, 0.4] and best_curve_of(row, 1) == [-math.inf, -3.0]
    live, resumed = StoppingAsha(1, 2.0), StoppingAsha(1, 2.0)
    for epoch, score in enumerate([None, 0.4], 1):
        live.prunes(0, epoch, score)
    resumed.remember(0, [None, 0.4])
    assert [rungs.prunes(1, 2, 0.3) for rungs in (live, resumed)] == [True, True]


@pytest.mark.parametrize("direction", ["max", "min"])
def test_the_weights_are_those_of_an_epoch_with_a_score(direction: str) -> None:
    model, task, values = SmallNetwork(), make_task(), iter([None, 0.9, None, math.nan])
    task.objective = TaskObjective("late", direction)

    def further(*_: Any) -> dict[str, Any]:
        return {"late": next(values)}

    settings = Training(epochs=4, edges_per_step=500)
    fitting = Fitting(model, task, DATA.train, DATA.validation, settings, further=further)
    reports, after = [], []
    while not fitting.done:
        reports.append(fitting.epoch())
        after.append(weights(model))
    fitting.close()
    assert [report.best for report in reports] == [True, True, False, False]
    assert same(weights(model), after[1])


def test_an_objective_is_undefined_where_a_number_that_it_needs_is() -> None:
    objective = TaskObjective("auc", needs=("purity_0.7",))
    assert objective.value({"auc": 0.9, "purity_0.7": 0.5}) == 0.9
    assert objective.value({"auc": 0.9, "purity_0.7": None}) is None
    assert objective.value({"auc": math.nan, "purity_0.7": 0.5}) is None
