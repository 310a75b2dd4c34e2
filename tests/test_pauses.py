"""Trials that pause and go on: the rule, the training's numbers, the search's records, crashes."""

import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registries import restored
from small_search import Crash, crashing, lines, quiet, results, searched, small

from archioptrx.core.errors import InputError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.costs import schedule_of
from archioptrx.runs.experiment_sections import Keep
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.samplers import SAMPLERS, sampler
from archioptrx.search.pauses import MOST, Pauses
from archioptrx.search.repetition import Repetition
from archioptrx.search.retention import Retention
from archioptrx.search.run import check_events, load_events, rules_of, trials_of
from archioptrx.search.schedule import Asha
from archioptrx.search.setup import Specs, prepare
from archioptrx.training.trial import messages

TIMES = ("seconds", "train_seconds", "memory", "gpu_memory", "log", "state", "weights")
PAUSING: dict[str, Any] = {
    "scheduler": {"name": "asha", "type": "promotion", "reduction_factor": 2},
    "sampler": {"name": "evolution", "initial": 3},
    "training__epochs": 6,
    "training__epochs_per_pass": 2,
    "training__edges_per_step": 300,
    "training__learning_rate": 0.01,
    "budget__trials": 10,
    "keep__weights": 3,
    "retrain": {"top": 1, "seeds": 1, "epochs": 2},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with trials that pause, and of which some go on."""
    folder = tmp_path_factory.mktemp("pauses") / "whole"
    searched(folder, small(**PAUSING))
    return folder


# --- the rule ---------------------------------------------------------------------------------------------------------


def test_a_trial_goes_on_once_enough_others_have_reached_its_rung() -> None:
    asha = Asha(1, 3.0)
    assert asha.prunes(0, 1, 0.5) and asha.promoted() is None, "the first has no rival"
    assert asha.prunes(1, 1, 0.4) and asha.promoted() is None
    assert asha.prunes(2, 1, 0.3) and asha.promoted() == 0, "the best of three"
    assert asha.promoted() is None, "it runs"
    assert not asha.prunes(0, 2, 0.6) and asha.prunes(0, 3, 0.6), "epoch 3 is a rung, and nobody else is there"
    assert not asha.prunes(3, 1, 0.9), "the best of four needn't pause"
    assert asha.prunes(3, 3, 0.8)
    assert asha.prunes(4, 1, 0.2) and asha.promoted() is None, "two of five would be too many"
    assert asha.prunes(5, 1, 0.1) and asha.promoted() is None, "the best two of six are beyond"
    for trial in (6, 7, 8):
        asha.prunes(trial, 1, 0.0)
    assert asha.promoted() == 1, "overtaken at first, the third best of nine goes on"
    assert asha.prunes(1, 3, 0.41) and asha.promoted() == 3, "the highest rung comes first"


def test_equal_scores_are_as_many_as_others() -> None:
    asha, going_on = Asha(1, 3.0), 0
    for trial in range(30):
        going_on += not asha.prunes(trial, 1, 0.5)
        while asha.promoted() is not None:
            going_on += 1
    assert going_on == 10


def test_at_the_end_the_best_of_each_rung_go_on() -> None:
    asha = Asha(1, 3.0)
    assert asha.prunes(0, 1, 0.5) and asha.promoted() is None and asha.promoted(closing=True) == 0
    assert not asha.prunes(0, 3, 0.6, closing=True)
    assert asha.prunes(1, 1, 0.4, closing=True)
    assert asha.promoted(closing=True) is None


def test_what_has_ended_or_lost_its_state_does_not_go_on() -> None:
    asha = Asha(1, 2.0)
    for trial in range(4):
        asha.prunes(trial, 1, 1.0 - trial)
    asha.drop(0)
    assert asha.promoted() == 1
    assert asha.promoted() is None


@given(st.lists(st.tuples(st.integers(0, 7), st.floats(0, 1)), max_size=60), st.sampled_from([2.0, 3.0, 4.0]))
def test_after_a_resume_the_rungs_are_those_of_before(steps: list[tuple[int, float]], factor: float) -> None:
    """Whatever trials did, new rungs that remember their curves choose the same trial, until none is left."""
    live, curves, running = Asha(1, factor), dict[int, list[float]](), set[int]()
    for trial, score in steps:
        if trial in curves and trial not in running:
            continue
        running.add(trial)
        curves.setdefault(trial, []).append(score)
        if live.prunes(trial, len(curves[trial]), score):
            running.remove(trial)
            going_on = live.promoted()
            running |= set() if going_on is None else {going_on}
    resumed = Asha(1, factor)
    for trial, curve in curves.items():
        resumed.remember(trial, curve, paused=trial not in running)
    for closing in (False, True):
        order = [[rungs.promoted(closing) for _ in curves] for rungs in (live, resumed)]
        assert order[0] == order[1] and len(set(order[0]) - {None}) == len([x for x in order[0] if x is not None])


# --- the training -----------------------------------------------------------------------------------------------------


def numbers(message: dict[str, Any]) -> dict[str, Any]:
    """What a message says, apart from times and memory."""
    rest = {key: value for key, value in message.items() if key not in TIMES}
    if "metrics" in rest:
        rest["metrics"] = {k: v for k, v in rest["metrics"].items() if k not in ("latency", "seconds_per_epoch")}
    return rest


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_paused_training_goes_on_to_the_same_numbers(whole: Path, schedule: str) -> None:
    """In another process, as it were: of the first part only the bytes of its state are left."""
    folder, experiment = RunFolder(whole), small(**PAUSING)
    data = load_events(experiment).data
    line = folder.proposal(0)
    spec = Specs(experiment, "cpu").trial(line, ComputationGraph.from_dict(line["graph"]))
    training = spec.training.but(schedule=schedule, patience=2, weight_decay=0.01, warmup=0.5)
    spec = replace(spec, keep=True, training=training, hyperparameters={**spec.hyperparameters, "dropout": 0.3})
    at_once = [numbers(message) for message in messages(spec, data)]
    parts, state = [], None
    for pause in (1, 3, None):
        pauses = () if pause is None else (pause,)
        for message in messages(replace(spec, pauses=pauses, state=state), data):
            assert ("state" in message) == (message["kind"] == "epoch" and message["epoch"] == pause)
            parts.append(numbers(message))
            if "state" in message:
                state = message["state"]
                break
    assert parts == at_once and parts[-1]["kind"] == "end"


# --- the search -------------------------------------------------------------------------------------------------------


def test_a_trial_that_went_on_has_the_curve_of_an_undisturbed_one(whole: Path) -> None:
    folder, experiment = RunFolder(whole), small(**PAUSING)
    all_lines, rows = folder.trials.read(), folder.ended()
    further = {row["proposal"] for row in all_lines if "parts" in row}
    assert further and len(all_lines) > len(rows) == 10
    assert {row["status"] for row in rows} == {"finished", "pruned"}
    data = load_events(experiment).data
    for row in rows:
        spec = Repetition.of(folder, folder.proposal(row["proposal"])).spec(
            Specs(experiment, "cpu"), ComputationGraph.from_dict(folder.proposal(row["proposal"])["graph"])
        )
        epochs = [message for message in messages(spec, data) if message["kind"] == "epoch"]
        assert [message["score"] for message in epochs] == row["curve"]
        assert [m for m in epochs if m["best"]][-1]["weights_digest"] == row["weights_digest"]
        assert row["score"] == max(row["curve"]) == row["metrics"]["auc"]


def test_epochs_are_spent_on_the_best(whole: Path) -> None:
    """Rungs of 1, 2 and 4 epochs, one in two goes on: at most half of a rung, rounded up at the end, are above it."""
    counts = Counter(row["epochs"] for row in RunFolder(whole).ended())
    reached = [sum(n for epochs, n in counts.items() if epochs >= at) for at in (1, 2, 4, 6)]
    assert reached[0] == 10 and reached[-1] >= 1
    assert all(above <= -(-below // 2) for below, above in itertools.pairwise(reached))


def test_only_paused_trials_have_a_state(whole: Path) -> None:
    pruned = {f"{r['id']}-{r['epochs']}.pt" for r in RunFolder(whole).ended() if r["status"] == "pruned"}
    assert {file.name for file in (whole / "paused").iterdir()} == pruned


def test_each_part_is_a_span_of_the_time_line(whole: Path) -> None:
    rows = RunFolder(whole).ended()
    spans = schedule_of(rows).spans
    assert len(spans) == len(RunFolder(whole).trials.read())
    for row in rows:
        if "parts" in row:
            starts, ends = zip(*row["parts"], strict=True)
            assert (row["started"], row["ended"]) == (starts[0], ends[-1])
            assert 0 < row["train_seconds"] <= row["seconds"] <= sum(ends) - sum(starts) + 0.1
    ordered = sorted(spans, key=lambda span: span.start)
    assert all(a.end <= b.start + 1e-3 for a, b in itertools.pairwise(ordered)), "one worker runs one at a time"


@pytest.mark.parametrize("after", [2, 5, 9, 14, 18, 22, 27])
def test_a_search_that_died_goes_on_to_the_same_end(whole: Path, tmp_path: Path, after: int) -> None:
    with pytest.raises(Crash):
        searched(tmp_path / "run", small(**PAUSING), crashing(after))
    for name in (".0001-1.pt.abcd_ef1", "0001-99.pt"):  # what a crash may leave
        (tmp_path / "run" / "paused").mkdir(exist_ok=True)
        (tmp_path / "run" / "paused" / name).write_bytes(b"half")
    searched(tmp_path / "run", small(**PAUSING))
    assert results(tmp_path / "run") == results(whole)
    observed = [[line["observed"] for line in lines(run / "proposals.jsonl")] for run in (tmp_path / "run", whole)]
    assert observed[0] == observed[1]
    files = [sorted(file.name for file in (run / "paused").iterdir()) for run in (tmp_path / "run", whole)]
    assert files[0] == files[1]
    assert RunFolder(tmp_path / "run").kept() == RunFolder(whole).kept()


def test_more_trials_let_paused_ones_go_on(tmp_path: Path) -> None:
    searched(tmp_path / "run", small(**PAUSING | {"budget__trials": 4}))
    before = {row["proposal"]: row["epochs"] for row in RunFolder(tmp_path / "run").ended()}
    searched(tmp_path / "run", small(**PAUSING | {"budget__trials": 12}))
    after = {row["proposal"]: row["epochs"] for row in RunFolder(tmp_path / "run").ended()}
    assert any(after[number] > epochs for number, epochs in before.items())


def test_a_state_that_is_gone_lets_another_trial_go_on(tmp_path: Path) -> None:
    with pytest.raises(Crash):
        searched(tmp_path / "run", small(**PAUSING), crashing(6))
    for file in (tmp_path / "run" / "paused").iterdir():
        file.unlink()
    stuck = {row["proposal"]: row["epochs"] for row in RunFolder(tmp_path / "run").ended() if row["status"] == "pruned"}
    searched(tmp_path / "run", small(**PAUSING))
    rows = {row["proposal"]: row for row in RunFolder(tmp_path / "run").ended()}
    assert stuck and all(rows[number]["epochs"] == epochs for number, epochs in stuck.items())
    assert any(row["status"] == "finished" for row in rows.values())


def test_a_state_is_read_once_and_goes_to_the_trial_that_it_was_read_for(tmp_path: Path) -> None:
    """What is decided by a state goes on with that very state, also where its file is lost in between."""
    run, experiment = tmp_path / "run", small(**PAUSING)
    with pytest.raises(Crash):
        searched(run, experiment, crashing(6))
    setup, events = prepare(experiment, run), load_events(experiment)
    rules = rules_of(setup, events, Specs(experiment, "cpu"), check_events(setup, events), None)
    with RunFolder(run).locked() as folder:
        rules = replace(rules, trials=len(folder.last_rows()))  # no new trial begins: paused ones go on
        trials = trials_of(setup, folder, rules, setup.sampler, quiet())
        assert not trials.done
        for file in (run / "paused").iterdir():
            file.unlink()
        job = trials.next()
    assert job is not None and job.spec.state is not None


@pytest.mark.parametrize("damage", ["cut", "swapped"])
def test_a_state_that_is_damaged_or_of_another_trial_harms_no_trial(tmp_path: Path, damage: str) -> None:
    run = tmp_path / "run"
    with pytest.raises(Crash):
        searched(run, small(**PAUSING), crashing(6))
    first, second = sorted(file for file in (run / "paused").iterdir() if file.stem.endswith("-1"))[:2]
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[0][:-100] if damage == "cut" else contents[1])
    second.write_bytes(b"" if damage == "cut" else contents[0])
    before = {row["proposal"]: row for row in RunFolder(run).ended()}
    notes: list[str] = []
    progress = quiet(10)
    progress.note = notes.append  # type: ignore[method-assign]
    searched(run, small(**PAUSING), progress=progress)
    rows = {row["proposal"]: row for row in RunFolder(run).ended()}
    for file in (first, second):
        number = int(file.name[:4])
        keys = ("status", "epochs", "curve", "weights_digest")
        assert [rows[number][key] for key in keys] == [before[number][key] for key in keys]
        assert rows[number]["status"] == "pruned"
    assert any(f"{first}: is damaged, or of another trial" in note for note in notes)
    assert any(row["status"] == "finished" for row in rows.values())


def test_weights_of_a_part_whose_line_was_lost_are_removed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    searched(run, small(**PAUSING))
    folder = RunFolder(run)
    rows = folder.trials.read()
    last = next(row for row in reversed(rows) if "parts" in row and row["proposal"] in folder.kept())
    left = [row for row in rows if row["proposal"] != last["proposal"]]
    first = next(row for row in rows if row["proposal"] == last["proposal"])
    assert first["weights_digest"] != last["weights_digest"]
    (run / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*left, first]))
    retention = Retention(folder, Keep(3))
    retention.known(folder.last_rows())
    retention.tidy(folder.last_rows())
    assert last["proposal"] not in folder.kept()


def test_a_trial_whose_patience_ends_at_a_rung_has_ended(tmp_path: Path) -> None:
    more = {"training__patience": 1, "training__epochs_per_pass": 1, "training__learning_rate": 0.3}
    searched(tmp_path / "run", small(**PAUSING | more | {"budget__trials": 12}))
    rows = RunFolder(tmp_path / "run").ended()
    out = [row for row in rows if row["epochs"] in (2, 4) and row["curve"][-1] <= max(row["curve"][:-1])]
    assert out and all(row["status"] == "finished" for row in out)


@restored(SAMPLERS)
def test_the_sampler_receives_every_result_in_order(tmp_path: Path) -> None:
    received = list[tuple[str, int]]()

    @sampler("attentive")
    class Attentive:
        OPTIONS = ()

        def __init__(self, space: Any, seed: int = 0) -> None:
            from archioptrx.sampling.samplers.random import RandomSampler

            self.inner = RandomSampler(space, seed)

        def draw(self, number: int, attempt: int) -> Any:
            return self.inner.draw(number, attempt)

        def observe(self, candidate: Any, score: Any, epochs: int) -> None:
            received.append((candidate.fingerprint, epochs))

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: Any) -> None:
            pass

    experiment = small(**PAUSING | {"sampler": {"name": "attentive"}})
    searched(tmp_path / "run", experiment)
    rows = lines(tmp_path / "run" / "trials.jsonl")
    known = [(row["fingerprint"], 6 if row["status"] == "finished" else row["epochs"]) for row in rows]
    received = [seen for seen in received if seen[1] > 0]  # without those that a constraint refused
    assert received == known[: len(received)] and len(received) > 10
    observed = [number for line in lines(tmp_path / "run" / "proposals.jsonl") for number in line["observed"]]
    assert observed == [row["proposal"] for row in rows][: len(observed)]
    assert max(Counter(observed).values()) > 1


def test_a_row_may_only_be_replaced_by_its_continuation(whole: Path, tmp_path: Path) -> None:
    rows = lines(whole / "trials.jsonl")
    finished = next(row for row in rows if row["status"] == "finished")
    paused = next(row for row in rows if row["status"] == "pruned")
    for second in (finished, {**paused, "curve": [0.1234, 0.5], "epochs": 2}):
        path = tmp_path / "run"
        path.mkdir(exist_ok=True)
        for name in ("experiment.yaml", "proposals.jsonl", "environment.json"):
            (path / name).write_text((whole / name).read_text())
        (path / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, second]))
        with pytest.raises(InputError, match=rf"line {len(rows) + 1}: proposal {second['proposal']} stands twice"):
            RunFolder(path).ended()


def test_states_of_many_paused_trials_do_not_fill_the_disk(tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").touch()
    pauses, lost, of_it = Pauses(RunFolder(tmp_path)), list[int](), {"fingerprint": "f", "seed": 1}
    for number in range(MOST + 20):
        row = {"proposal": number, "score": number / 100, "epochs": 2, "status": "pruned", **of_it}
        pauses.store(row, {"proposal": number}, b"state")
        lost += pauses.displaced(row, None)
    assert lost == list(range(20)), "the worst"
    assert len(list((tmp_path / "paused").iterdir())) == len(pauses.lines) == MOST
