"""The search in this process: proposals, rows, replay, failures, retraining."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import processes
import pytest
import yaml
from small_search import SMALL, Crash, crashing, lines, proposed, quiet, results, searched, small, write_odd, write_only

from archioptrx.core.config import bundled
from archioptrx.core.errors import InputError
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.final_report import final_json, final_text
from archioptrx.search.jobs import TrialJob, Work
from archioptrx.search.local_backend import run_locally
from archioptrx.search.loop import Trials
from archioptrx.search.retrain import choose_winner
from archioptrx.search.rules import trial_seed
from archioptrx.search.run import check_events, load_events, new_run, rules_of
from archioptrx.search.schedule import Fifo, StoppingAsha
from archioptrx.search.setup import Specs, prepare
from archioptrx.search.winner import SeedSpread
from archioptrx.tasks import make_task
from archioptrx.training.settings import Training
from archioptrx.training.trial import TrialData, messages


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nothing disturbed."""
    folder = tmp_path_factory.mktemp("search") / "whole"
    searched(folder, small())
    return folder


def test_a_search_has_its_rows(whole: Path) -> None:
    rows = lines(whole / "trials.jsonl")
    assert [row["proposal"] for row in rows] == [0, 1, 2, 3, 4]
    assert len({row["fingerprint"] for row in rows}) == 5
    for row in rows:
        assert row["status"] == "finished" and row["error"] is None
        assert row["epochs"] == len(row["curve"]) == 2
        assert row["score"] == max(row["curve"]) == row["metrics"]["auc"]
        assert 0 < row["train_seconds"] <= row["seconds"] <= row["ended"] - row["started"] + 0.1
        assert row["parameters"] <= 8000


def test_best_is_a_model_that_scores_as_reported(whole: Path) -> None:
    from archioptrx.models.events import events_for
    from archioptrx.models.model_folder import load_model
    from archioptrx.training.fit import evaluate_model

    model = load_model(whole)
    row = next(r for r in lines(whole / "retrain.jsonl") if r["repeat"] == model.metrics["repeat"])
    scores = evaluate_model(model.model, model.task, events_for(model, None)[0])
    assert scores["auc"] == pytest.approx(row["test"]["auc"], abs=1e-6)
    assert model.metrics["test"]["auc"]["mean"] == pytest.approx(
        sum(r["test"]["auc"] for r in lines(whole / "retrain.jsonl")) / 2
    )
    assert not (whole / "retrain").exists()


@pytest.mark.parametrize("after", [0, 1, 4, 8, 14, 16, 20])
def test_a_search_that_died_goes_on_to_the_same_end(whole: Path, tmp_path: Path, after: int) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Crash):
        searched(folder, small(), crashing(after))
    with (folder / "trials.jsonl").open("ab") as file:
        file.write(b'{"id": "00')
    searched(folder, small())
    assert results(folder) == results(whole)
    assert proposed(folder) == proposed(whole)
    metrics = [json.loads((run / "best" / "metrics.json").read_text()) for run in (folder, whole)]
    assert metrics[0] == metrics[1]
    assert len(lines(folder / "retrain.jsonl")) == 2


def test_a_search_that_has_ended_does_nothing_more(whole: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (whole / "best").iterdir()}

    def never(work: Work, data: TrialData) -> None:
        raise AssertionError("nothing is left to do")

    searched(whole, small(), never)
    assert {path.name: path.stat().st_mtime_ns for path in (whole / "best").iterdir()} == before


def test_more_trials_go_on_where_it_ended(tmp_path: Path) -> None:
    searched(tmp_path / "short", small(budget__trials=3))
    searched(tmp_path / "short", small(budget__trials=5))
    searched(tmp_path / "long", small(budget__trials=5))
    assert results(tmp_path / "short") == results(tmp_path / "long")
    best = [json.loads((tmp_path / name / "best" / "metrics.json").read_text()) for name in ("short", "long")]
    assert best[0] == best[1]


def test_a_proposal_knows_results_up_to_a_fixed_distance(whole: Path) -> None:
    observed = [line["observed"] for line in lines(whole / "proposals.jsonl")]
    assert observed == [[], [], [], [0], [1]]


def test_another_seed_gives_other_proposals(whole: Path, tmp_path: Path) -> None:
    searched(tmp_path / "run", small(seed=1))
    assert not {r[1] for r in results(tmp_path / "run")} & {r[1] for r in results(whole)}


def test_references_are_the_first_trials(tmp_path: Path) -> None:
    references = ["interaction", "message_passing"]
    searched(tmp_path / "run", small(budget__trials=3, references=references, training__epochs=1, retrain__seeds=1))
    rows = lines(tmp_path / "run" / "trials.jsonl")
    assert [row["reference"] for row in rows] == [*references, None]
    assert len({row["fingerprint"] for row in rows}) == 3


def test_a_run_keeps_its_references(tmp_path, monkeypatch):
    """It goes on when their files have moved; one whose list of references was changed is refused."""
    file = tmp_path / "mine.yaml"
    file.write_text(bundled("experiments/architectures", "interaction").read_text())
    monkeypatch.chdir(tmp_path)
    experiment = small(references=["mine.yaml", "message_passing"])
    first = prepare(experiment)
    place = new_run(tmp_path / "run", first, load_events(experiment))
    file.unlink()
    again = prepare(place.experiment(), place.path)
    assert [reference.name for reference in again.references] == ["mine", "message_passing"]
    assert again.references == first.references and again.identity == first.identity
    document = (tmp_path / "run" / "experiment.yaml").read_text()
    (tmp_path / "run" / "experiment.yaml").write_text(document.replace("message_passing", "attention"))
    with pytest.raises(
        InputError, match=r"experiment\.yaml: references: was changed since the search began; allowed: "
    ):
        prepare(RunFolder(place.path).experiment(), place.path)


def test_failed_trials_are_recorded_and_the_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    odd = write_odd(tmp_path, "raising", "exploding")
    result = searched(tmp_path / "run", small(**odd, budget__trials=10, training__epochs=1))
    rows = lines(tmp_path / "run" / "trials.jsonl")
    failed = [row for row in rows if row["status"] == "failed"]
    errors = " | ".join(row["error"] for row in failed)
    assert "this block never works" in errors and "raising" in errors
    assert "the loss is nan" in errors
    assert all(row["score"] is None and "\n" not in row["error"] for row in failed)
    assert 0 < len(failed) < len(rows) == 10
    assert result.winner.proposal not in {row["proposal"] for row in failed}


def test_a_search_in_which_all_trials_fail_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"all 2 trials failed; the last one: .*this block never works"):
        searched(tmp_path / "run", small(**write_only(tmp_path, "raising"), budget__trials=2))
    assert len(lines(tmp_path / "run" / "trials.jsonl")) == 2


def test_constraints_refuse_before_training(tmp_path: Path) -> None:
    result = searched(tmp_path / "run", small(constraints__steps=4, constraints__rounds=1, budget__trials=4))
    graphs = [line["graph"] for line in lines(tmp_path / "run" / "proposals.jsonl")]
    assert all(len(graph["steps"]) <= 4 for graph in graphs)
    assert set(result.refusals) <= {"steps", "rounds", "executed", "parameters"}
    assert sum(result.refusals.values()) == sum(
        line["draws"] - 1 for line in lines(tmp_path / "run" / "proposals.jsonl")
    )


class Listening:
    """A sampler that notes what it observes."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.observed = inner, list[tuple[Any, ...]]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        self.observed.append((candidate.key, score, epochs))
        self.inner.observe(candidate, score, epochs)


@pytest.mark.parametrize("limits", [{"steps": 5}, {"seconds_per_step": 1e-6}])
def test_the_sampler_hears_of_what_a_constraint_refused(tmp_path: Path, limits: Mapping[str, Any]) -> None:
    """By the loop before a trial, or by the worker; and a replay tells the same in the same order."""
    experiment = small(constraints=limits, budget__trials=20)
    setup, events = prepare(experiment), load_events(experiment)
    rules = rules_of(setup, events, Specs(experiment, "cpu"), check_events(setup, events), None)
    first, again = Listening(setup.sampler()), Listening(setup.sampler())
    with new_run(tmp_path / "run", setup, events).locked() as folder:
        trials = Trials(folder, first, Fifo(), rules, (), quiet())
        for _ in range(8):
            job = trials.next()
            assert job is not None
            for message in messages(job.spec, events.data):
                trials.message(job.key, message)
        Trials(folder, again, Fifo(), rules, (), quiet())
    refused = [observation for observation in first.observed if observation[1:] == (None, 0)]
    assert len(refused) >= 3
    assert again.observed == first.observed


def test_a_resumed_search_tells_the_refusal_that_was_last(tmp_path: Path) -> None:
    experiment = small(constraints={"seconds_per_step": 1e-6}, scheduler__name="asha")
    setup, events = prepare(experiment), load_events(experiment)
    rules = rules_of(setup, events, Specs(experiment, "cpu"), check_events(setup, events), None)
    again = Listening(setup.sampler())
    with new_run(tmp_path / "run", setup, events).locked() as folder:
        trials = Trials(folder, setup.sampler(), Fifo(), rules, (), quiet())
        job = trials.next()
        assert job is not None
        for message in messages(job.spec, events.data):
            trials.message(job.key, message)
        Trials(folder, again, Fifo(), rules, (), quiet()).next()
    assert again.observed == [(trials.candidates[0].key, None, 0)]


def test_a_trial_that_fails_in_its_first_epoch_is_told_as_failed_not_as_refused(tmp_path: Path) -> None:
    experiment = small()
    setup, events = prepare(experiment), load_events(experiment)
    rules = rules_of(setup, events, Specs(experiment, "cpu"), check_events(setup, events), None)
    listening, error = Listening(setup.sampler()), {"kind": "error", "error": "no memory", "seconds": 1.0}
    with new_run(tmp_path / "run", setup, events).locked() as folder:
        trials = Trials(folder, listening, Fifo(), replace(rules, delay=1), (), quiet())
        for _ in range(2):
            job = trials.next()
            assert job is not None
            trials.message(job.key, dict(error))
    assert trials.rows[0]["epochs"] == 0
    key = trials.candidates[0].key
    assert [observation for observation in listening.observed if observation[0] == key] == [(key, None, 1)]


def test_other_hyperparameters_than_those_that_were_proposed_are_found_out(tmp_path: Path) -> None:
    experiment = small(architecture="interaction", search_space="hyperparameters", constraints={})
    setup, events = prepare(experiment), load_events(experiment)
    rules = rules_of(setup, events, Specs(experiment, "cpu"), check_events(setup, events), None)
    path = tmp_path / "run"
    with new_run(path, setup, events).locked() as folder:
        trials = Trials(folder, setup.sampler(), Fifo(), rules, setup.references, quiet())
        assert [trials.next() is not None for _ in range(2)] == [True, True]
    first, last = lines(path / "proposals.jsonl")
    assert first["reference"] and first["fingerprint"] == last["fingerprint"]
    Trials(RunFolder(path), setup.sampler(), Fifo(), rules, setup.references, quiet())
    last["hyperparameters"]["hidden"] += 1
    (path / "proposals.jsonl").write_text(f"{json.dumps(first)}\n{json.dumps(last)}\n")
    with pytest.raises(InputError, match="proposal 1 can't be drawn again"):
        Trials(RunFolder(path), setup.sampler(), Fifo(), rules, setup.references, quiet())


def test_constraints_that_nothing_meets(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"constraints: 1000 draws in a row were refused: parameters \(\d+\)"):
        searched(tmp_path / "run", small(constraints={"parameters": 1}))


def test_a_step_that_takes_too_long_is_refused_by_the_worker(tmp_path: Path) -> None:
    with pytest.raises(Crash):  # else the search would go on until its space is exhausted
        searched(tmp_path / "run", small(constraints__seconds_per_step=1e-6), crashing(after=2))
    proposals = lines(tmp_path / "run" / "proposals.jsonl")
    assert [line["refused"].split()[0] for line in proposals if "refused" in line] == ["seconds_per_step"] * 2
    assert lines(tmp_path / "run" / "trials.jsonl") == []


def test_a_space_that_is_exhausted_ends_the_search(tmp_path: Path) -> None:
    space = {"name": "one", "hyperparameters": {"hidden": 4, "depth": 1, "activation": "relu"}}
    space["walk"] = {"max_steps": 4, "max_walks": 1, "extra": [0]}
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(space))
    experiment = small(search_space=str(tmp_path / "one.yaml"), budget__trials=500, training__epochs=1)
    result = searched(tmp_path / "run", experiment)
    assert result.exhausted and "--resume" not in final_text(result, experiment)
    assert json.loads(final_json(result, experiment))["exhausted"] is True
    rows = lines(tmp_path / "run" / "trials.jsonl")
    assert 0 < len(rows) < 500
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    again = searched(tmp_path / "run", experiment)
    assert again.exhausted and again.winner == result.winner
    enough = small(search_space=str(tmp_path / "one.yaml"), budget__trials=len(rows), training__epochs=1)
    as_many = searched(tmp_path / "run", enough)
    assert not as_many.exhausted and "--resume" in final_text(as_many, enough), "nobody has asked for one more"


def test_other_hyperparameters_of_a_reference_are_tried_when_no_architecture_is_left(tmp_path: Path) -> None:
    mlp = {"block": "mlp", "params": {"layers": 1}}
    graph = {
        "name": "one",
        "data": {
            "hits": {"domain": "node", "field": "x"},
            "x": {"domain": "node", "width": {"hyperparameter": "hidden"}},
            "score": {"domain": "edge", "width": "target"},
        },
        "functions": {
            "encode": {**mlp, "inputs": ["hits"], "output": "x"},
            "classify": {**mlp, "inputs": ["x"], "output": "score"},
        },
        "sources": ["hits"],
        "targets": ["score"],
    }
    space = {
        "name": "one",
        "hyperparameters": {"hidden": {"choice": [4, 8, 16]}},
        "walk": {"max_walks": 1, "extra": [0]},
    }
    for name, content in (("graph", graph), ("space", space)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    keys = {"function_graph": str(tmp_path / "graph.yaml"), "search_space": str(tmp_path / "space.yaml")}
    first = searched(tmp_path / "first", small(**keys, budget__trials=1, training__epochs=1))
    again = small(**keys, references=[str(first.folder.best)], budget__trials=9, training__epochs=1)
    rows = searched(tmp_path / "again", again).folder.rows()
    assert sorted(row["hyperparameters"]["hidden"] for row in rows) == [4, 8, 16]
    assert len({row["fingerprint"] for row in rows}) == 1


def test_time_stops_trials_with_the_score_they_have(tmp_path: Path) -> None:
    """The time is over when the first trial reports: the backend waits for it."""
    deadline = time.monotonic() + 1.0

    def late(work: Work, data: TrialData) -> None:
        job = work.next()
        assert job is not None
        for message in messages(job.spec, data):
            while time.monotonic() < deadline:
                os.sched_yield()
            if work.message(job.key, message):
                break
        run_locally(work, data)

    searched(tmp_path / "run", small(training__epochs=50, retrain__epochs=1), late, deadline)
    rows = lines(tmp_path / "run" / "trials.jsonl")
    assert [(row["status"], row["epochs"]) for row in rows] == [("pruned", 1)]


def test_epochs_without_a_step_are_refused_before_the_search(tmp_path: Path) -> None:
    experiment = small(training={"epochs": 60, "epochs_per_pass": 60})
    with pytest.raises(InputError, match=r"training: epochs_per_pass is 60; allowed: up to \d+, the steps of a pass"):
        searched(tmp_path / "run", experiment)
    assert not lines(tmp_path / "run" / "trials.jsonl")


def test_trainings_that_are_no_whole_pass_are_refused_before_the_search(tmp_path: Path) -> None:
    space = yaml.safe_load((Path(__file__).parents[1] / "search_spaces" / "small.yaml").read_text())
    space["hyperparameters"]["epochs"] = {"choice": [2, 4]}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    experiment = small(
        training={"epochs": 4, "epochs_per_pass": 3}, retrain={"epochs": 2}, search_space=str(tmp_path / "space.yaml")
    )
    with pytest.raises(InputError) as caught:
        prepare(experiment)
    rule = "is 2; allowed: at least training.epochs_per_pass, 3, or some graphs are never used"
    assert list(caught.value.faults) == [f"retrain.epochs: {rule}", f"hyperparameters.epochs: {rule}"]


def test_the_last_line_goes_on_with_a_search(tmp_path: Path) -> None:
    """More trials where their number ended it; as it is where the time did, which a resume has again."""
    experiment = small(budget__trials=2, training__epochs=1)
    result = searched(tmp_path / "run", experiment)
    assert final_text(result, experiment).endswith(f"search --resume {tmp_path / 'run'} --trials 4")
    ended_by_time = small(budget={"trials": 500, "time": 1.0}, training__epochs=1)
    assert final_text(result, ended_by_time).endswith(f"search --resume {tmp_path / 'run'}")


def test_a_time_in_which_no_trial_ends(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trial has ended; allowed: more --time"):
        searched(tmp_path / "run", small(), deadline=time.monotonic())


def test_a_changed_search_space_file_does_not_change_a_run(tmp_path: Path, whole: Path) -> None:
    space = Path(__file__).with_name("quick.yaml")
    own = tmp_path / "own.yaml"
    own.write_text(space.read_text())
    experiment = small(search_space=str(own))
    with pytest.raises(Crash):
        searched(tmp_path / "run", experiment, crashing(4))
    own.unlink()
    searched(tmp_path / "run", experiment)
    assert results(tmp_path / "run") == results(whole)


def test_stopping_asha_lets_the_best_third_go_on() -> None:
    asha = StoppingAsha(grace=1, factor=3.0)
    assert not asha.prunes(0, 1, 0.5)
    assert asha.prunes(1, 1, 0.4)
    assert not asha.prunes(2, 1, 0.6)
    assert not asha.prunes(2, 2, 0.1), "epoch 2 is no rung"
    assert not asha.prunes(2, 3, 0.2), "the best score so far counts: 0.6"
    assert asha.prunes(3, 1, 0.55) is False, "second of four: the best third, rounded up"
    assert asha.pauses(20) == () and asha.promoted() is None


def test_stopping_asha_remembers_the_trials_of_before() -> None:
    fresh, resumed = StoppingAsha(), StoppingAsha()
    resumed.remember(0, [0.9, 0.9, 0.95])
    assert not fresh.prunes(1, 1, 0.5)
    assert resumed.prunes(1, 1, 0.5)


def test_stopping_asha_prunes_in_a_search_and_never_at_the_last_epoch(tmp_path: Path) -> None:
    stopping = {"name": "asha", "type": "stopping"}
    searched(tmp_path / "run", small(scheduler=stopping, budget__trials=8, training__epochs=3))
    rows = lines(tmp_path / "run" / "trials.jsonl")
    assert {row["status"] for row in rows} == {"finished", "pruned"}
    assert len(rows) == 8
    assert all(row["epochs"] == (3 if row["status"] == "finished" else 1) for row in rows)
    assert not (tmp_path / "run" / "paused").exists()


def test_rungs_after_a_resume_are_those_of_before_where_trials_differ_in_epochs(tmp_path: Path) -> None:
    space = yaml.safe_load((Path(__file__).parents[1] / "search_spaces" / "small.yaml").read_text())
    space["hyperparameters"]["epochs"] = {"choice": [1, 3]}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    asha = {"name": "asha", "grace_epochs": 1, "reduction_factor": 2}
    options = {"search_space": str(tmp_path / "space.yaml"), "scheduler": asha, "budget__trials": 10, "seed": 1}
    experiment = small(**options, data__num_samples=12, retrain={"top": 1, "seeds": 1, "epochs": 1})
    searched(tmp_path / "whole", experiment)
    rows = RunFolder(tmp_path / "whole").last_rows()
    assert {row["epochs"] for row in rows if row["status"] == "finished"} == {1, 3}
    for after in (8, 12):
        with pytest.raises(Crash):
            searched(tmp_path / f"run{after}", experiment, crashing(after))
        searched(tmp_path / f"run{after}", experiment)
        assert results(tmp_path / f"run{after}") == results(tmp_path / "whole")


def row(proposal: int, repeat: int, score: float, test: float) -> Mapping[str, Any]:
    return {"proposal": proposal, "repeat": repeat, "score": score, "status": "finished", "test": {"auc": test}}


def test_the_winner_has_the_best_mean_and_gives_the_weights_of_its_best_seed() -> None:
    rows = [row(3, 0, 0.99, 0.7), row(3, 1, 0.80, 0.9), row(5, 0, 0.91, 0.6), row(5, 1, 0.93, 0.8)]
    winner = choose_winner(rows, [3, 5], 2)
    assert (winner.proposal, winner.repeat) == (5, 1)
    assert winner.test["auc"] == SeedSpread.of([0.6, 0.8])
    assert (winner.test["auc"].mean, winner.test["auc"].deviation) == pytest.approx((0.7, 0.02**0.5))


@pytest.mark.parametrize(("seeds", "winner"), [(3, 5), (2, 5), (1, 3)])
def test_a_candidate_with_a_score_of_more_seeds_comes_first(seeds: int, winner: int) -> None:
    failed = [{**row(3, repeat, 0.0, 0.0), "score": None, "status": "failed", "error": "nan"} for repeat in (1, 2)]
    rows = [row(3, 0, 0.99, 0.7), *failed, row(5, 0, 0.91, 0.6), row(5, 1, 0.93, 0.8), row(5, 2, 0.9, 0.8)]
    found = choose_winner(rows, [3, 5], seeds)
    assert (found.proposal, found.seeds, found.failed) == ((5, 3, 0) if winner == 5 else (3, 1, 2))


def test_a_metric_that_one_training_lacks_has_no_mean() -> None:
    """A task of the user's own may leave out what is undefined."""
    rows = [row(1, 0, 0.9, 0.9), row(1, 1, 0.8, 0.8)]
    rows[0]["test"]["own"] = 1.0
    assert list(choose_winner(rows, [1], 2).test) == ["auc"]


def test_failed_retrainings_do_not_count() -> None:
    failed = {"proposal": 1, "repeat": 0, "score": None, "status": "failed", "error": "nan", "test": None}
    assert choose_winner([failed, row(2, 0, 0.5, 0.5)], [1, 2], 1).proposal == 2
    with pytest.raises(InputError, match=r"retrain: all trainings failed; .* nan"):
        choose_winner([failed], [1], 1)


def test_seeds_depend_on_their_numbers_alone() -> None:
    assert trial_seed(0, 1) == trial_seed(0, 1)
    assert len({trial_seed(s, p, r) for s in range(3) for p in range(5) for r in range(3)}) == 45


def test_sigkill_and_resume(whole: Path, tmp_path: Path) -> None:
    """Kill the process itself as soon as its second row is on disk."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    run = tmp_path / "run"
    rows, command = run / "trials.jsonl", "archioptrx search --backend local"
    code, _ = processes.interrupted(f"{command} {tmp_path}/small.yaml --output {run}", rows, 2, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert 2 <= rows.read_bytes().count(b"\n") <= 5
    resumed = processes.run(f"{command} --resume {run} --json", tmp_path)
    assert len(json.loads(resumed)["trials"]) == 5
    assert results(run) == results(whole)
    assert RunFolder(run).best.is_dir()


def test_a_worker_prepares_the_events_once() -> None:
    events = load_events(small())
    task, training = make_task({"name": "edge_classification"}), Training(edges_per_step=200)
    first = events.data.prepared(task, training, "cpu")
    assert events.data.prepared(task, training.but(learning_rate=0.1, epochs=9), "cpu") is first
    coarser = events.data.prepared(task, training.but(edges_per_step=2000), "cpu")
    assert coarser.batch_size > first.batch_size


def test_ctrl_c_while_a_trial_is_put_away_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it comes is chance; here it comes in the clean-up of a trial that was pruned."""

    def pruned(spec: object, data: object) -> Iterator[dict[str, object]]:
        try:
            yield {"kind": "epoch"}
        finally:
            signal.raise_signal(signal.SIGINT)

    class OneJob:
        done = False

        def next(self) -> TrialJob:
            return TrialJob("a", {})

        def message(self, key: str, message: dict[str, object]) -> bool:
            self.done = True
            return True

    monkeypatch.setattr("archioptrx.search.local_backend.messages", pruned)
    with pytest.raises(KeyboardInterrupt):
        run_locally(OneJob(), None)
