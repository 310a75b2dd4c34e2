"""Searches with several goals, or with a metric set against a cost, and what the commands say of them."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_search import Crash, crashing, lines, proposed, quiet, results, searched, small
from test_search import Listening

from archioptrx.commands import inspect, train
from archioptrx.commands.search import main as search
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.leaderboard import pareto_front, worth_training_again
from archioptrx.runs.run_folder import RunFolder
from archioptrx.runs.text import graphs_of, spread_text, table_text
from archioptrx.sampling.samplers.ranking import dominates
from archioptrx.search.final_report import final_text
from archioptrx.search.loop import Trials
from archioptrx.search.pareto import retrained_text, spreads
from archioptrx.search.run import check_events, load_events, new_run, rules_of
from archioptrx.search.schedule import Fifo, StoppingAsha
from archioptrx.search.setup import Specs, prepare
from archioptrx.training.trial import messages

GOALS: dict[str, Any] = {"objective": ["auc", "parameters"], "sampler": {"name": "evolution", "initial": 3}}


def tiny(**overrides: Any) -> Any:
    return small(**{**GOALS, "budget__trials": 6, "retrain__top": 2, **overrides})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of AUC and parameters that nothing disturbed."""
    folder = tmp_path_factory.mktemp("goals") / "whole"
    searched(folder, tiny())
    return folder


def test_rows_have_a_score_of_each_goal(whole: Path) -> None:
    for row in lines(whole / "trials.jsonl"):
        metrics = row["metrics"]
        assert row["scores"] == [metrics["auc"], -metrics["parameters"]]
        assert row["score"] == row["scores"][0] == max(row["curve"])
        assert [scores[0] for scores in row["curves"]] == row["curve"]
        assert metrics["parameters"] == row["parameters"] and metrics["latency"] > 0
        best = row["curve"].index(row["score"]) + 1
        assert 0 < metrics["seconds_per_epoch"] * best <= row["train_seconds"] * (1 + 1e-9)


@pytest.mark.parametrize("after", [5, 9, 20])
def test_a_search_that_died_goes_on_to_the_same_front(whole: Path, tmp_path: Path, after: int) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Crash):
        searched(folder, tiny(), crashing(after))
    # The front of a search that died is that of the trials that had ended.
    rows = lines(folder / "trials.jsonl")
    front = {row["proposal"] for row in pareto_front(RunFolder(folder).rows())}
    assert front == {r["proposal"] for r in rows if not any(dominates(o["scores"], r["scores"]) for o in rows)}
    searched(folder, tiny())
    assert results(folder) == results(whole) and proposed(folder) == proposed(whole)
    fronts = [[row["scores"] for row in pareto_front(RunFolder(run).rows())] for run in (folder, whole)]
    assert fronts[0] == fronts[1] and fronts[0]
    assert json.loads((folder / "best/metrics.json").read_text()) == json.loads(
        (whole / "best/metrics.json").read_text()
    )


def test_a_search_with_pruning_goes_on_from_what_its_rungs_were(tmp_path: Path) -> None:
    experiment = tiny(scheduler={"name": "asha"}, budget__trials=8, training__epochs=3, retrain__seeds=1)
    with pytest.raises(Crash):
        searched(tmp_path / "run", experiment, crashing(12))
    before = lines(tmp_path / "run" / "trials.jsonl")
    searched(tmp_path / "run", experiment)
    searched(tmp_path / "whole", experiment)
    assert lines(tmp_path / "run" / "trials.jsonl")[: len(before)] == before
    rows = RunFolder(tmp_path / "run").last_rows()
    assert len(rows) == 8
    assert {row["status"] for row in rows} == {"finished", "pruned"}
    # One trial at a time in this process: the rungs of before make the same decisions.
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def test_sampler_and_rungs_hear_of_every_goal(tmp_path: Path) -> None:
    experiment = tiny(scheduler={"name": "asha"}, constraints={})
    setup, events = prepare(experiment), load_events(experiment)
    rules = rules_of(setup, events, Specs(experiment, "cpu"), check_events(setup, events), None)
    listening, rungs = Listening(setup.sampler()), StoppingAsha(1, 2.0)
    with new_run(tmp_path / "run", setup, events).locked() as folder:
        trials = Trials(folder, Listening(setup.sampler()), Fifo(), rules, (), quiet())
        job = trials.next()
        assert job is not None
        for message in messages(job.spec, events.data):
            trials.message(job.key, message)
        resumed = Trials(folder, listening, rungs, rules, (), quiet())
        resumed.next()
    (row,) = lines(tmp_path / "run" / "trials.jsonl")
    assert listening.observed == [(trials.candidates[0].key, tuple(row["scores"]), row["epochs"])]
    auc, size = row["curves"][0]
    # Two at the rung, one goes on: the better one in the first goal, unless the other one is nowhere better.
    assert rungs.prunes(1, 1, (auc - 0.1, size - 1.0))
    assert not rungs.prunes(2, 1, (auc + 0.1, size + 1.0))


def test_a_retraining_is_judged_by_its_best_epoch(tmp_path: Path) -> None:
    # With this learning rate the first epochs are far from the last ones.
    steep = {"training__epochs": 4, "training__learning_rate": 0.01, "budget__trials": 2, "retrain__top": 1}
    result = searched(tmp_path / "run", tiny(**steep, retrain__seeds=2))
    for row in lines(tmp_path / "run" / "retrain.jsonl"):
        line = result.folder.proposal(row["proposal"])
        spec = Specs(tiny(**steep), "cpu").retraining(line, ComputationGraph.from_dict(line["graph"]), row["seed"])
        reports = [m for m in messages(spec, load_events(tiny(**steep)).data) if m["kind"] == "epoch"]
        scores = [report["score"] for report in reports]
        assert row["score"] == max(scores) > scores[0]
        assert row["metrics"]["auc"] == row["score"]


def test_the_winner_has_the_best_mean_of_the_first_goal(whole: Path) -> None:
    again = lines(whole / "retrain.jsonl")
    top = worth_training_again(lines(whole / "trials.jsonl"))[:2]
    assert {row["proposal"] for row in again} == {row["proposal"] for row in top} and len(top) == 2
    means = {n: sum(r["score"] for r in again if r["proposal"] == n) for n in (row["proposal"] for row in top)}
    assert json.loads((whole / "best/metrics.json").read_text())["proposal"] == max(means, key=means.__getitem__)
    for row in again:
        assert row["metrics"]["auc"] == row["score"] and row["metrics"]["parameters"] > 0


def test_the_report_has_the_front_and_the_goals_of_the_retrained(whole: Path) -> None:
    result = searched(whole, tiny())
    printed = final_text(result, tiny())
    rows = result.folder.rows()
    assert (
        f"front 1 is the Pareto front: {len(pareto_front(rows))} of 6 trials with scores; auc up, parameters down"
        in printed
    )
    head = printed.splitlines()[0].split()
    assert head[:4] == ["front", "trial", "auc", "parameters"] and head.count("parameters") == 1
    assert printed.splitlines()[1].split()[:2] == ["1", rows[0]["id"]], "the best in the first goal leads"
    table = printed[printed.index("trained again") :].splitlines()
    chosen = {row["proposal"] for row in lines(whole / "retrain.jsonl")}
    shown = [line for line in table if "±" in line]
    assert {int(line.split()[1]) for line in shown} == chosen
    assert [int(line.split()[1]) for line in shown if line.endswith("best")] == [result.winner.proposal]
    auc = result.winner.test["auc"]
    assert spread_text(auc.mean, auc.deviation, result.winner.seeds) in "".join(shown)
    assert f"archioptrx train {whole}/TRIAL" in printed
    assert max(map(len, printed.splitlines())) <= 120


def test_inspect_shows_the_front(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main([str(whole)]) == 0
    printed = capsys.readouterr().out
    assert "front 1 is the Pareto front: " in printed and "trained again: metrics on test events and costs\n" in printed
    assert inspect.main([str(whole), "--json", "--top", "1"]) == 0
    content = json.loads(capsys.readouterr().out)
    expected = pareto_front(lines(whole / "trials.jsonl"))
    assert [row["id"] for row in content["front"]] == [row["id"] for row in expected]
    assert content["front"][0]["goals"] == {name: expected[0]["metrics"][name] for name in ("auc", "parameters")}


def test_a_trial_of_several_goals_is_trained_again(
    whole: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    row = lines(whole / "trials.jsonl")[2]
    assert train.main([f"{whole}/{row['id']}", "--output", str(tmp_path / "model"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["validation"]["mean"] == row["score"]


def test_a_metric_set_against_a_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    combined = {"metric": "auc", "cost": {"metric": "parameters", "per_doubling": 0.5}}
    result = searched(tmp_path / "run", small(objective=combined, budget__trials=4, retrain__seeds=1))
    rows = lines(tmp_path / "run" / "trials.jsonl")
    for row in rows:
        auc, cost = row["metrics"]["auc"], row["metrics"]["parameters"]
        assert row["score"] == pytest.approx(math.log(auc / (1 - auc)) - 0.5 * math.log2(cost))
        assert "scores" not in row
    assert result.folder.rows()[0]["score"] == max(row["score"] for row in rows)
    assert inspect.main([str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:4] == ["trial", "score", "auc", "parameters"]
    assert inspect.main([str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["front"] is None


def test_the_report_has_single_blank_lines(whole: Path) -> None:
    text = final_text(searched(whole, tiny()), tiny())
    assert "\n\nbest: trial " in text and "\n\n\n" not in text


def test_a_failed_trial_stands_in_the_table_of_several_goals_of_which_the_second_has_a_price(whole: Path) -> None:
    plain = [{"metric": "auc"}, {"metric": "purity", "cost": "parameters"}]
    rows = [{**row, "metrics": {**row["metrics"], "purity": 0.5}} for row in lines(whole / "trials.jsonl")]
    failed = {**rows[0], "proposal": 1, "id": "0001", "status": "failed", "score": None, "scores": None, "metrics": {}}
    never = {key: value for key, value in failed.items() if key not in ("scores", "curves")}
    zero = {**rows[2], "score": 0.0, "scores": [0.0, 0.0], "metrics": {**rows[2]["metrics"], "auc": 0.0}}
    objective = small(objective=plain).objective
    shown = table_text(
        [zero, failed, {**never, "proposal": 3, "id": "0003"}], 9, objective, graphs_of(RunFolder(whole))
    )
    table = [line.split() for line in shown.splitlines()]
    assert table[0][:5] == ["front", "trial", "score", "auc", "purity"]
    assert table[1][:5] == ["1", "0002", "0.00000", "0.00000", "0.50000"]
    assert [line[2:5] for line in table[2:]] == [["–"] * 3] * 2


def test_a_goal_that_the_test_events_do_not_have_leaves_the_report_whole(whole: Path, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(whole, tmp_path / "run"))
    rows = lines(folder.retrained.path)
    rows[0]["test"]["auc"] = None
    folder.retrained.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    objective = tiny().objective
    goals = spreads(folder, objective)
    assert goals[rows[0]["proposal"]].keys() == {"parameters"}
    assert " – " in retrained_text(folder, objective, rows[0]["proposal"])


def test_a_loss_is_shown_as_it_is_and_ranked_small_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    searched(tmp_path / "run", small(objective="loss", budget__trials=3, training__epochs=1, retrain__seeds=1))
    assert inspect.main([str(tmp_path / "run")]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()[:4]]
    shown = [float(line[2]) for line in table[1:]]
    assert table[0][:2] == ["trial", "loss"] and shown == sorted(shown) and min(shown) > 0


@pytest.mark.parametrize("sampler", ["evolution", "optuna:NSGAIISampler", "gp", "random"])
def test_the_bundled_experiment_with_other_samplers(
    sampler: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--trials", "4", "--epochs", "1", "--set", "data.num_samples=16", "--set", "retrain.seeds=1"]
    options = [*few, "--sampler", sampler, "--backend", "local", "--output", str(tmp_path / "run"), "--json"]
    assert search(["pareto", *options]) == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content["trials"]) == 4 and content["front"]
    for row in content["trials"]:
        assert row["scores"] == [row["metrics"]["auc"], -row["metrics"]["parameters"], -row["metrics"]["latency"]]
        assert row["metrics"]["latency"] > 0
    assert set(next(iter(content["retrained"].values()))) == {"auc", "parameters", "latency"}


def test_a_dry_run_with_several_goals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search(["pareto", "--set", "data.num_samples=16", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trainings"] == 24
