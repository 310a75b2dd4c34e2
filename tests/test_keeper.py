"""What a sampler knows, kept in the run folder: a resume from it is exact, and what doesn't fit is not used."""

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from small_search import lines, proposed, quiet, small

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.samplers import registry
from archioptrx.search.loop import Trials
from archioptrx.search.rules import Rules
from archioptrx.search.run import trials_of
from archioptrx.search.sampler_state import EVERY, read_snapshot
from archioptrx.search.setup import prepare
from archioptrx.tasks import describe_task
from archioptrx.training.objective import Goal, Objective
from archioptrx.training.settings import Training
from archioptrx.training.trial_spec import TrialSpec

OPTIONS: dict[str, dict[str, Any]] = {
    "evolution": {"initial": 4, "population": 8, "tournament": 3},
    "gp": {"initial": 4, "pool": 24},
    "controller": {"batch": 4, "width": 8},
}
"""Options of the samplers that need smaller ones for a short search."""
SAMPLERS: dict[str, dict[str, Any]] = {
    name: {"name": name, **OPTIONS.get(name, {})}
    for name in (*registry.SAMPLERS, "optuna:TPESampler")
    if name != "replay"  # it proposes the traces that it is given
}
TRIALS = 26
TRAINING = (Training(), describe_task({"name": "edge_classification"}), Objective((Goal("auc"),)))


class Notes(list[str]):
    """A listener that writes down what a person is told."""

    def __init__(self) -> None:
        super().__init__()
        self.view = quiet(TRIALS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.view, name)

    def note(self, text: str) -> None:
        self.append(text)


def scripted(graph: ComputationGraph, number: int) -> float | None:
    """A score that an architecture has without training; some fail."""
    return None if number % 7 == 3 else 1 - 1 / (2 + len(graph.steps) + 10 * graph.rounds)


def rules(trials: int) -> Rules:
    """Of two workers, every ninth draw refused."""
    return Rules(
        spec=lambda line, graph: TrialSpec(graph, line["hyperparameters"], *TRAINING),
        refuse=lambda candidate: "odd 1 > 0" if int(candidate.fingerprint[:4], 16) % 9 == 0 else None,
        trials=trials,
        epochs=1,
        longest=1,
        workers=2,
        delay=3,
        deadline=None,
        by_architecture=True,
        seed=0,
    )


def experiment(name: str) -> Experiment:
    return small(sampler=SAMPLERS[name], references=["interaction"])


def run(
    path: Path, name: str, trials: int = TRIALS, notes: Notes | None = None, each: Callable[[], None] | None = None
) -> Trials:
    """Search, or go on, with scripted scores; `each` is called after everything that happens."""
    setup = prepare(experiment(name), path if path.exists() else None)
    folder = RunFolder(path) if path.exists() else RunFolder.create(path, setup.experiment, {}, setup.files)
    with folder.locked():
        work = trials_of(setup, folder, rules(trials), setup.sampler, notes if notes is not None else Notes())
        going: list[Any] = []
        while not work.done:
            while job := work.next():
                going.append(job)
                if each:
                    each()
            job = going.pop()  # the last one first: results come out of order
            score = scripted(job.spec.graph, int(job.key))
            counts = {"parameters": 1, "train_seconds": 0.0, "memory": 0}
            counts |= dict.fromkeys(("loss", "learning_rate", "gradient_norm", "weight_norm"), 1.0)
            epoch = {"kind": "epoch", "epoch": 1, "score": score, "best": True, "metrics": {}, **counts}
            if score is not None:
                work.message(job.key, epoch)
            work.message(job.key, {"kind": "error" if score is None else "end", "error": "no", "seconds": 0.0})
            if each:
                each()
    return work


class Whole:
    """A search that nothing disturbed, and its folder as it was at every moment."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.path, self.moments = name, folder / "whole", folder / "moments"
        self.count = 0
        run(self.path, name, each=self._copy)

    def _copy(self) -> None:
        shutil.copytree(self.path, self.moments / str(self.count))
        self.count += 1

    def unlearned(self, target: Path) -> None:
        """Killed before the line of what was learned by the last proposal was on disk, and so before its snapshot."""
        state = target / "sampler.json"
        content, count = read_snapshot(state) if state.exists() else None, len(lines(target / "proposals.jsonl"))
        if (target / "learned.jsonl").exists() and (content is None or content["proposals"] < count):
            remaining = [line for line in learned(target) if line["proposal"] < count - 1]
            (target / "learned.jsonl").write_text("".join(json.dumps(line) + "\n" for line in remaining))

    def killed(self, target: Path, moment: int) -> Path:
        """The folder as a process left it that was killed then."""
        return Path(shutil.copytree(self.moments / str(moment), target))

    def tear(self, target: Path, torn: int) -> None:
        """Add so many bytes of the lines that were being written."""
        for name in ("proposals.jsonl", "trials.jsonl", "learned.jsonl"):
            if not (self.path / name).exists():
                continue
            content, part = (self.path / name).read_bytes(), target / name
            size = part.stat().st_size if part.exists() else 0
            rest = content[size:].partition(b"\n")[0]
            part.write_bytes(content[:size] + rest[: torn % (len(rest) + 1)])


@pytest.fixture(scope="module", params=list(SAMPLERS))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    yield Whole(tmp_path_factory.mktemp("kept"), request.param)


def learned(path: Path) -> list[dict[str, Any]]:
    return lines(path / "learned.jsonl") if (path / "learned.jsonl").exists() else []


def strip(rows: list[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["proposal"], row["fingerprint"], row["score"]) for row in rows]


def same(first: Path, second: Path) -> None:
    assert proposed(first) == proposed(second)
    assert learned(first) == learned(second)
    parents = [[line["parent"] for line in lines(path / "proposals.jsonl")] for path in (first, second)]
    assert parents[0] == parents[1]
    ends = [sorted(strip(lines(path / "trials.jsonl"))) for path in (first, second)]
    assert ends[0] == ends[1]


@settings(max_examples=6, deadline=None, phases=[Phase.generate])  # shrinking would take minutes
@given(data=st.data())
def test_a_search_killed_at_any_moment_proposes_the_same(
    whole: Whole, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    moment, torn = data.draw(st.integers(0, whole.count - 1)), data.draw(st.integers(0, 5000))
    target = whole.killed(tmp_path_factory.mktemp("killed") / "run", moment)
    if data.draw(st.booleans()):
        whole.unlearned(target)
    whole.tear(target, torn)
    notes = Notes()
    run(target, whole.name, notes=notes)
    assert notes == []
    same(target, whole.path)


def test_a_resume_from_the_state_redraws_only_the_rest(whole: Whole, tmp_path: Path) -> None:
    """What the snapshot stands for isn't drawn again: a wrong fingerprint in its lines would be found otherwise."""
    target = whole.killed(tmp_path / "run", whole.count - 8)
    content = read_snapshot(target / "sampler.json")
    assert content is not None and content["proposals"] >= 2 * EVERY
    before = (target / "sampler.json").stat().st_mtime_ns
    work = run(target, whole.name, trials=1)
    assert (target / "sampler.json").stat().st_mtime_ns == before
    redrawn = [n for n, candidate in work.candidates.items() if candidate.events and n > 0]
    assert sorted(redrawn) == list(range(content["proposals"], len(lines(target / "proposals.jsonl"))))


def damages() -> dict[str, Callable[[Path], Any]]:
    def half(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-40])

    def changed(path: Path) -> None:
        path.write_bytes(path.read_bytes().replace(b'"number": 2', b'"number": 3', 1))

    def empty(path: Path) -> None:
        path.write_bytes(b"")

    return {"half": half, "changed": changed, "empty": empty}


@pytest.fixture(scope="module")
def evolution(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory.mktemp("evolution"), "evolution")


def test_parents_from_before_the_state_are_known_after_a_resume(evolution: Whole, tmp_path: Path) -> None:
    moments = [evolution.moments / str(number) for number in range(evolution.count)]
    at = next(n for n, path in enumerate(moments) if len(lines(path / "proposals.jsonl")) == 2 * EVERY + 1)
    run(evolution.killed(tmp_path / "run", at), "evolution")
    parents, others = (
        [line["parent"] for line in lines(path / "proposals.jsonl")] for path in (tmp_path / "run", evolution.path)
    )
    assert parents == others
    assert any(parent is not None and parent < 2 * EVERY - 3 for parent in parents[2 * EVERY + 1 :])


@pytest.mark.parametrize("damage", damages().values(), ids=damages())
def test_a_damaged_state_is_not_used(evolution: Whole, tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    target, notes = evolution.killed(tmp_path / "run", evolution.count - 9), Notes()
    damage(target / "sampler.json")
    run(target, "evolution", notes=notes)
    assert notes == [f"{target / 'sampler.json'}: is damaged: all proposals are drawn again instead"]
    same(target, evolution.path)


def test_a_state_that_is_ahead_of_the_journals_is_not_used(evolution: Whole, tmp_path: Path) -> None:
    target, notes = evolution.killed(tmp_path / "run", 5), Notes()
    shutil.copyfile(evolution.path / "sampler.json", target / "sampler.json")
    run(target, "evolution", notes=notes)
    assert len(notes) == 1 and "is ahead of the journals, by " in notes[0]
    same(target, evolution.path)


def test_a_state_of_another_seed_or_history_is_not_used(evolution: Whole, tmp_path: Path) -> None:
    target, notes = evolution.killed(tmp_path / "run", evolution.count - 9), Notes()
    rewrite(target / "sampler.json", lambda content: content["identity"].update(seed=1))
    run(target, "evolution", notes=notes)
    assert len(notes) == 1 and "is of another sampler, seed, space or version" in notes[0]
    same(target, evolution.path)
    other, notes = evolution.killed(tmp_path / "other", evolution.count - 9), Notes()
    rows = lines(other / "trials.jsonl")
    scores = [row["score"] for row in rows]
    row = next(row for row in rows if row["score"] is not None and scores.count(row["score"]) == 1)
    row["score"] += 1e-9  # another history, but no other rank: all is drawn again as it was
    (other / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    setup, folder = prepare(experiment("evolution"), other), RunFolder(other)
    with folder.locked():
        trials_of(setup, folder, rules(TRIALS), setup.sampler, notes)
    assert len(notes) == 1 and "is of another history" in notes[0]


@pytest.mark.parametrize("fault", ["lacks a part", "is of another search"])
def test_a_state_that_does_not_hold_what_it_says_is_found_out(evolution: Whole, tmp_path: Path, fault: str) -> None:
    target, notes = evolution.killed(tmp_path / "run", evolution.count - 9), Notes()

    def spoil(content: dict[str, Any]) -> None:
        if fault == "lacks a part":
            del content["state"]["inner"]
        else:
            content["state"]["inner"]["observations"] = content["state"]["inner"]["observations"][:3]

    rewrite(target / "sampler.json", spoil)
    run(target, "evolution", notes=notes)
    assert len(notes) == 1 and "all proposals are drawn again" in notes[0]
    same(target, evolution.path)


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a snapshot, and make its checksum right again."""
    body = json.loads(path.read_bytes().partition(b"\n")[2])
    change(body)
    text = json.dumps(body)
    path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n")


def test_what_a_controller_has_learned_is_written_when_it_changes(tmp_path: Path) -> None:
    run(tmp_path / "run", "controller")
    rows = learned(tmp_path / "run")
    assert 2 <= len(rows) < TRIALS
    assert all(0 <= p <= 1 for row in rows for p in row["functions"].values())
    assert {"edge_net", "classify"} & set(rows[-1]["functions"])
    assert all(a["functions"] != b["functions"] for a, b in itertools.pairwise(rows))


def test_a_sampler_that_learns_nothing_writes_nothing(evolution: Whole) -> None:
    assert not (evolution.path / "learned.jsonl").exists()
