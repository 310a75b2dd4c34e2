"""Retrainings that fail: the next best trials are trained again, and a search with a scored trial has a winner."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small_search import Crash, lines, searched, small

from archioptrx.commands import inspect, train
from archioptrx.core.errors import InputError
from archioptrx.models.model_folder import load_model
from archioptrx.report.content import Content
from archioptrx.report.summary import head_facts
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.final_report import final_text
from archioptrx.search.jobs import Work
from archioptrx.search.progress import Progress
from archioptrx.search.retrain import OWN_SEED
from archioptrx.training.trial import TrialData, messages


def failing(fails: Callable[[int, int], bool], dies: Callable[[int, int], bool] = lambda *_: False) -> Any:
    """A backend in which some retrainings fail, by the number of the trial and of the retraining; or it dies there."""

    def run(work: Work, data: TrialData) -> None:
        while not work.done:
            job = work.next()
            assert job is not None
            _, _, rest = job.key.partition("retrain-")
            number, _, repeat = rest.partition("-")
            if rest and dies(int(number), int(repeat)):
                raise Crash
            if rest and fails(int(number), int(repeat)):
                work.message(job.key, {"kind": "error", "error": "the loss is nan", "seconds": 1.0, "log": []})
                continue
            for message in messages(job.spec, data):
                if work.message(job.key, message):
                    break

    return run


def some(**overrides: Any) -> Any:
    return small(**{"budget__trials": 4, "training__epochs": 1, "retrain": {"top": 1, "seeds": 2}} | overrides)


def order(run: Path) -> list[int]:
    """Numbers of the trials, best first."""
    rows = lines(run / "trials.jsonl")
    return [row["proposal"] for row in sorted(rows, key=lambda row: -row["score"])]


def test_the_next_best_is_trained_again_where_the_best_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, failed = tmp_path / "run", set[int]()

    def first_two(number: int, repeat: int) -> bool:
        failed.update([number] if len(failed) < 2 else [])
        return number in failed

    result = searched(run, some(), failing(first_two))
    best, second, third, _ = order(run)
    retrained = [(row["proposal"], row["status"]) for row in lines(run / "retrain.jsonl")]
    assert retrained == [*[(best, "failed")] * 2, *[(second, "failed")] * 2, *[(third, "finished")] * 2]
    assert result.winner.proposal == third and result.winner.seeds == 2
    again = searched(run, some(), failing(lambda *_: True))
    assert again.winner == result.winner and len(lines(run / "retrain.jsonl")) == 6, "a resume has nothing to do"


def test_a_candidate_that_lost_a_seed_comes_after_those_with_all(tmp_path: Path) -> None:
    run, said = tmp_path / "run", io.StringIO()
    progress = Progress(Console(file=said, width=200), 4, 1, "auc")
    fails = failing(lambda number, repeat: repeat == 0 and number == order(run)[0])
    found = searched(run, some(retrain={"top": 2, "seeds": 2}), fails, progress=progress)
    best, second = order(run)[:2]
    assert (found.winner.proposal, found.winner.seeds, found.winner.failed) == (second, 2, 0)
    assert f"retrainings with a score: trial {best}: 1 of 2 (candidates with more come first)" in said.getvalue()


def test_a_winner_that_lost_a_seed_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    found = searched(run, some(), failing(lambda _, repeat: repeat == 0))
    assert (found.winner.proposal, found.winner.seeds, found.winner.failed) == (order(run)[0], 1, 1)
    assert "1 of 2 seeds, the others failed" in final_text(found, some())
    capsys.readouterr()
    assert inspect.main([str(run)]) == 0
    assert "trained under 1 of 2 seeds, the others failed; on test events" in capsys.readouterr().out
    assert "1 of 2 seeds, the others failed" in str(head_facts(Content.read(RunFolder(run))))


def test_a_resume_goes_on_with_the_next_best(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(Crash):
        searched(run, some(), failing(lambda *_: True, lambda number, _: number == order(run)[1]))
    best, second = order(run)[:2]
    assert [row["proposal"] for row in lines(run / "retrain.jsonl")] == [best, best]
    assert searched(run, some()).winner.proposal == second
    assert [row["proposal"] for row in lines(run / "retrain.jsonl")] == [best, best, second, second]


def test_where_every_retraining_fails_the_best_trial_is_repeated_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    experiment = some(retrain={"top": 1, "seeds": 1, "epochs": 3})
    result = searched(run, experiment, failing(lambda _, repeat: repeat != OWN_SEED))
    best = order(run)[0]
    assert (result.winner.proposal, result.winner.repeat, result.winner.seeds) == (best, OWN_SEED, 1)
    trial = next(row for row in lines(run / "trials.jsonl") if row["proposal"] == best)
    row = lines(run / "retrain.jsonl")[-1]
    assert [row[key] for key in ("score", "curve", "seed", "weights_digest")] == [
        trial[key] for key in ("score", "curve", "seed", "weights_digest")
    ]
    assert load_model(run).provenance.training == trial["training"]
    assert json.loads((run / "best" / "metrics.json").read_text())["repeat"] == OWN_SEED
    assert train.main([str(run), "--output", str(tmp_path / "model"), "--json"]) == 0
    capsys.readouterr()
    # With more trials, a retraining that has a score comes first.
    more = searched(run, some(budget__trials=5, retrain={"top": 5, "seeds": 1, "epochs": 3}))
    assert more.winner.repeat != OWN_SEED


def test_a_search_whose_trials_can_t_be_repeated_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="retrain: all trainings failed; the last one: the loss is nan"):
        searched(tmp_path / "run", some(budget__trials=2), failing(lambda *_: True))
    rows = lines(tmp_path / "run" / "retrain.jsonl")
    assert len(rows) == 2 * 2 + 1 and rows[-1]["repeat"] == OWN_SEED


def test_of_several_goals_any_trial_with_a_score_may_follow(tmp_path: Path) -> None:
    run = tmp_path / "run"
    goals = some(objective=["auc", "parameters"])
    failed: list[int] = []

    def all_but_the_last(number: int, repeat: int) -> bool:
        failed.extend([number] if number not in failed and len(failed) < 3 else [])
        return number in failed

    result = searched(run, goals, failing(all_but_the_last))
    assert result.winner.proposal not in failed and len(failed) == 3
