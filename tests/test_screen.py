"""The zero-cost screen: which candidate it takes, and a search with it."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from letters import functions
from screens import is_new_not, screened
from small_search import SMALL, Crash, crashing, lines, proposed, results, searched, small, write_odd
from spaces import Words

from archioptrx.commands.search import main as search
from archioptrx.core.errors import InputError
from archioptrx.core.files import Journal
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.experiment_sections import PROXIES
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.samplers import EvolutionSampler, RandomSampler, Screen, make_sampler
from archioptrx.sampling.samplers.screen import ONE_BY_ONE, best, check_screened
from archioptrx.search.run import check_events, load_events
from archioptrx.search.screening import Measure, Screening
from archioptrx.search.setup import prepare
from archioptrx.testing import check_sampler
from archioptrx.training.trial import messages

WORDS = Words()
SCREENED: dict[str, Any] = {
    "screen__proposals": 4,
    "screen__proxy": "parameters+naswot",
    "budget__trials": 4,
    "training__epochs": 1,
    "retrain__seeds": 1,
}


def length(candidate: Any) -> list[float]:
    """A proxy that likes long words."""
    return [float(len(candidate.letters))]


# --- which one --------------------------------------------------------------------------------------------------------


def test_the_best_of_some_draws_is_taken() -> None:
    inner = RandomSampler(WORDS, 5)
    screen = Screen(inner, length, 6)
    for number in range(10):
        for attempt in (0, 1):
            drawn = [inner.draw(number, place) for place in range(6 * attempt, 6 * attempt + 6)]
            longest = max(len(word.letters) for word in drawn)
            assert screen.draw(number, attempt) == next(word for word in drawn if len(word.letters) == longest)


def test_one_proposal_is_no_screen() -> None:
    inner = RandomSampler(WORDS, 5)
    assert [Screen(inner, length, 1).draw(n, 0) for n in range(20)] == [inner.draw(n, 0) for n in range(20)]


def test_what_would_be_refused_is_not_scored_and_equal_ones_are_scored_once() -> None:
    scored: list[str] = []

    def score(candidate: Any) -> list[float]:
        scored.append(candidate.key)
        return length(candidate)

    few = Words(longest=2, alphabet="ab")
    screen = Screen(RandomSampler(few, 0), score, 30, lambda candidate: candidate.letters.startswith("a"))
    assert screen.draw(0, 0).letters.startswith("b")
    assert len(scored) == len(set(scored)) and not any(key.startswith("a") for key in scored)


def test_where_all_would_be_refused_the_first_is_given_unscored() -> None:
    def never(candidate: Any) -> list[float]:
        raise AssertionError("nothing is to be scored")

    inner = RandomSampler(WORDS, 5)
    assert Screen(inner, never, 4, lambda candidate: True).draw(3, 0) == inner.draw(3, 0)


def test_what_loses_may_come_again_and_what_is_taken_may_not() -> None:
    few = Words(longest=2, alphabet="ab", sizes=("one",))
    sampler = make_sampler("random", few, 1, screen=lambda inner, is_new: Screen(inner, length, 4, is_new_not(is_new)))
    words = [sampler.propose() for _ in range(7)]
    assert {word.letters for word in words[:6] if word} == {"a", "b", "aa", "ab", "ba", "bb"}
    assert words[6] is None
    assert len(words[0].letters) == 2


def test_scores_and_state_are_those_of_the_sampler_inside() -> None:
    screen, other = (Screen(EvolutionSampler(WORDS, 1), length, 3) for _ in range(2))
    screen.observe(screen.draw(0, 0), 0.5, 1)
    assert len(screen.state_dict()["observations"]) == 1
    other.load_state_dict(screen.state_dict())
    assert other.state_dict() == screen.state_dict() == screen.inner.state_dict()


def test_what_the_sampler_inside_has_learned_is_told() -> None:
    def with_screen(name: str, **options: Any) -> Any:
        return make_sampler(
            name, functions, screen=lambda inner, is_new: Screen(inner, lambda candidate: [0.0], 2), **options
        )

    sampler = with_screen("controller", batch=2, width=4)
    for number in range(2):
        sampler.observe(sampler.propose(), number / 2, 1)
    assert set(sampler.learned()) == {"a", "b", "c"}
    assert with_screen("random").learned() == {}


class Children(RandomSampler):
    """Each candidate is the child of its own first letter."""

    def draw(self, number: int, attempt: int) -> Any:
        candidate = super().draw(number, attempt)
        self.parent = candidate.letters[0]
        return candidate


def test_the_parent_is_that_of_the_candidate_that_is_taken() -> None:
    sampler = make_sampler("random", WORDS, 1)
    sampler.inner = Screen(Children(WORDS, 1), length, 6)
    proposals = [(sampler.propose(), sampler.parent) for _ in range(10)]
    assert all(candidate is not None and candidate.letters[0] == parent for candidate, parent in proposals)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=9))
def test_one_proxy_decides_by_its_largest_number(values: list[float | None]) -> None:
    numbers = [value for value in values if value is not None]
    expected = values.index(max(numbers)) if numbers else 0
    assert best([(value,) for value in values]) == expected


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=9))
def test_a_vote_counts_ranks_not_numbers_and_never_takes_what_another_beats_in_all(rows: list[tuple[int, int]]) -> None:
    taken = best(rows)
    assert best([(a**3, 1e6 * b) for a, b in rows]) == taken
    assert not any(a >= rows[taken][0] and b >= rows[taken][1] and (a, b) != rows[taken] for a, b in rows)


# --- conformance ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"), [("random", {}), ("evolution", {"initial": 8}), ("gp", {"initial": 8, "pool": 24})]
)
def test_a_screened_sampler_conforms(name: str, options: dict[str, Any]) -> None:
    check_sampler(screened, name=name, **options)


@pytest.mark.parametrize("name", ["exhaustive", "replay", "optuna:TPESampler"])
def test_samplers_that_propose_each_candidate_once_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"screen.proposals: sampler {name} .*; allowed: 1, or the sampler random"):
        check_screened({"name": name})
    with pytest.raises(InputError, match=r"screen.proposals: sampler evolution \(mode local_search\)"):
        check_screened({"name": "evolution", "mode": "local_search"})
    for allowed in ({"name": "evolution"}, {"name": "evolution", "mode": "ageing"}, {"name": "gp"}, {"name": "random"}):
        check_screened(allowed)
    assert set(ONE_BY_ONE) == {"exhaustive", "replay", "optuna", "local_search"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("screen.proposals=0",), "--set screen.proposals: is 0; allowed: 1 or more"),
        (("screen.proxy=synflow",), "--set screen.proxy: is 'synflow'; allowed: jacob_cov, naswot, parameters"),
        (("screen.proxy=naswot+",), "--set screen.proxy: is 'naswot+'; allowed: "),
        (("screen.proxy=naswot+naswot",), "--set screen.proxy: is 'naswot+naswot'; allowed: each proxy once"),
        (("screen.number=3",), "--set screen.number: is unknown; allowed: "),
        (("screen.proposals=2", "sampler.name=exhaustive"), "screen.proposals: sampler exhaustive proposes each"),
    ],
)
def test_a_fault_is_one_line(arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert search([part for argument in arguments for part in ("--set", argument)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(line) and printed.err.count("\n") == 1 and printed.out == ""


# --- a search with it -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A screened search that nothing disturbed."""
    folder = tmp_path_factory.mktemp("screen") / "whole"
    searched(folder, small(**SCREENED))
    return folder


def test_a_search_keeps_what_it_screened(whole: Path) -> None:
    screen_rows = {row["key"]: row for row in lines(whole / "screen.jsonl")}
    assert len(screen_rows) == len(lines(whole / "screen.jsonl")) > 4
    assert all(set(row["values"]) == {"parameters", "naswot"} and row["error"] is None for row in screen_rows.values())
    for line in lines(whole / "proposals.jsonl"):
        hyperparameters = "".join(f" {k}={v}" for k, v in sorted(line["hyperparameters"].items()))
        assert line["screened"] == screen_rows[line["fingerprint"] + hyperparameters]["values"]


def test_candidates_beyond_a_constraint_are_not_screened(whole: Path) -> None:
    assert [line["draws"] for line in lines(whole / "proposals.jsonl")] == [1, 1, 1, 1]
    assert max(row["parameters"] for row in lines(whole / "trials.jsonl")) <= 8000


def test_the_screen_of_a_search_knows_its_constraints() -> None:
    scored: list[Candidate] = []

    def score(candidate: Candidate) -> list[float]:
        scored.append(candidate)
        return [0.0]

    def refuse(candidate: Candidate) -> str | None:
        return "steps" if len(candidate.graph.steps) > 8 else None

    sampler = prepare(small(**SCREENED)).sampler(score, refuse)
    taken = [sampler.propose() for _ in range(4)]
    assert len(scored) > 4
    assert not any(map(refuse, [*scored, *taken]))


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_a_screened_search_that_died_goes_on_to_the_same_end(whole: Path, tmp_path: Path, after: int) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Crash):
        searched(folder, small(**SCREENED), crashing(after))
    before = lines(folder / "screen.jsonl")
    with (folder / "screen.jsonl").open("ab") as file:
        file.write(b'{"key": "00')
    searched(folder, small(**SCREENED))
    assert results(folder) == results(whole) and proposed(folder) == proposed(whole)
    after_all = lines(folder / "screen.jsonl")
    assert after_all[: len(before)] == before
    assert [(row["key"], row["values"]) for row in after_all] == [
        (row["key"], row["values"]) for row in lines(whole / "screen.jsonl")
    ]


def test_a_replay_depends_on_the_journal_alone(tmp_path: Path) -> None:
    """Other numbers, as another machine might compute, would lead to other proposals."""
    folder = tmp_path / "run"
    with pytest.raises(Crash):
        searched(folder, small(**SCREENED), crashing(2))
    rows = lines(folder / "screen.jsonl")
    for row in rows:
        row["values"] = {name: -value for name, value in row["values"].items()}
    (folder / "screen.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match="can't be drawn again"):
        searched(folder, small(**SCREENED))


def test_values_that_are_known_are_not_measured_again(whole: Path) -> None:
    def never(candidate: Any, proxy: str) -> float:
        raise AssertionError("known already")

    setup = prepare(RunFolder(whole).experiment(), whole)
    keys = {row["key"] for row in lines(whole / "screen.jsonl")}
    with closing(Journal(whole / "screen.jsonl")) as journal:
        screening = Screening(journal, never, ("parameters", "naswot"))
        # The others are beyond a constraint of the search.
        sampler = setup.sampler(screening, lambda candidate: None if candidate.key in keys else "not screened")
        candidate = sampler.propose()
    assert candidate is not None and candidate.fingerprint == lines(whole / "proposals.jsonl")[0]["fingerprint"]


def test_training_does_not_notice_the_screen(whole: Path) -> None:
    """The same candidate under the same seed gives the same scores in a process that screens nothing."""
    from archioptrx.search.setup import Specs

    experiment = RunFolder(whole).experiment()
    row, line = lines(whole / "trials.jsonl")[1], lines(whole / "proposals.jsonl")[1]
    spec = Specs(experiment, "cpu").trial(line, ComputationGraph.from_dict(line["graph"]))
    sent = list(messages(spec, load_events(experiment).data))
    assert [message["score"] for message in sent if message["kind"] == "epoch"] == row["curve"]


def test_measuring_puts_generator_and_threads_back(whole: Path) -> None:
    experiment = RunFolder(whole).experiment()
    setup, events = prepare(experiment, whole), load_events(experiment)
    candidate = RandomSampler(setup.space, 0).draw(0, 0)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    measure = Measure(events.data, check_events(setup, events), 0, threads + 1)
    first = [measure(candidate, proxy) for proxy in PROXIES]
    assert torch.equal(before, torch.get_rng_state()) and torch.get_num_threads() == threads
    torch.manual_seed(99)
    assert [measure(candidate, proxy) for proxy in PROXIES] == first
    other = Measure(events.data, check_events(setup, events), 1, threads + 1)
    assert other(candidate, "naswot") != first[0]


def test_networks_that_fail_are_the_worst_and_the_journal_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    odd = write_odd(tmp_path, "raising")
    searched(tmp_path / "run", small(**odd, **{**SCREENED, "budget__trials": 2}))
    bad = [row for row in lines(tmp_path / "run" / "screen.jsonl") if row["error"]]
    assert bad and all("this block never works" in row["error"] for row in bad)
    assert all(value is None for row in bad for value in row["values"].values())
    assert lines(tmp_path / "run" / "trials.jsonl")[0]["status"] == "finished"


def test_without_a_screen_nothing_is_written_of_it(tmp_path: Path) -> None:
    searched(tmp_path / "run", small(budget__trials=1, training__epochs=1, retrain__seeds=1))
    assert not (tmp_path / "run" / "screen.jsonl").exists()
    assert lines(tmp_path / "run" / "proposals.jsonl")[0]["screened"] is None


def test_the_end_says_what_the_screen_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.yaml"
    content = {**SMALL, "budget": {"trials": 2}, "training": {"epochs": 1}, "screen": {"proposals": 3}}
    path.write_text(yaml.safe_dump({**content, "references": ["interaction"]}))
    folder = tmp_path / "run"
    assert search([str(path), "--backend", "local", "--output", str(folder)]) == 0
    text = capsys.readouterr().out
    count = len(lines(folder / "screen.jsonl"))
    assert f"screened by jacob_cov: {count} candidates for 1 proposals (3 drawn for each), " in text
    assert [line["screened"] is None for line in lines(folder / "proposals.jsonl")] == [True, False]
    assert search(["--resume", str(folder), "--backend", "local", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)["screen"]
    assert summary["scored"] == count and summary["proposals"] == 1 and summary["seconds"] > 0
