"""The comparison of a study: its figures against rows made by hand."""

from typing import Any

import pytest

from archioptrx.search.study import combinations
from archioptrx.search.study_comparison import SearchOutcome, outcome_of, seed_differences, seed_groups

ONE = combinations({"sampler.name": ["random"], "seed": [0]})[0]


def row(proposal: int, score: float | None, fingerprint: str = "", parameters: int | None = 10) -> dict[str, Any]:
    return {"proposal": proposal, "score": score, "fingerprint": fingerprint or str(proposal), "parameters": parameters}


def outcomes(scores: dict[str, list[float | None]], seeds: list[int]) -> list[SearchOutcome]:
    """Searches that differ in nothing but their best score; None: not ended."""
    searches = []
    for combination in combinations({"sampler.name": list(scores), "seed": seeds}):
        score = scores[combination.values["sampler.name"]][combination.values["seed"]]
        figures = {"all": score, "test": None}
        searches.append(SearchOutcome(combination, score is not None, (score,), figures))
    return searches


def test_the_best_so_far_is_in_the_order_of_proposals() -> None:
    # In the order in which they ended; trial 1 failed, and costs a trial all the same.
    rows = [row(0, 0.5), row(2, 0.9), row(1, None, parameters=None), row(4, 0.95), row(3, 0.7, "2"), row(5, 0.6)]
    winner = {"proposal": 4, "validation": {"mean": 0.94}, "test": {"auc": {"mean": 0.93}, "loss": {"mean": 1.0}}}
    outcome = outcome_of(ONE, rows, 6, "auc", winner, 12.5)
    assert outcome.curve == (0.5, 0.5, 0.9, 0.9, 0.95, 0.95)
    assert outcome.figures == {
        "quarter": 0.5,  # after two of six
        "half": 0.9,
        "all": 0.95,
        "validation": 0.94,
        "test": 0.93,
        "parameters": 10,
        "architectures": 5,
        "seconds": 12.5,
    }
    assert outcome.ended


def test_a_search_that_ran_out_of_architectures_stays_where_it_was() -> None:
    outcome = outcome_of(ONE, [row(0, 0.5), row(1, 0.6)], 8, "auc", None, None)
    assert (outcome.figures["quarter"], outcome.figures["half"], outcome.figures["all"]) == (0.6, 0.6, 0.6)
    assert not outcome.ended and outcome.figures["validation"] is None


def test_a_search_without_a_trial_has_no_figures() -> None:
    outcome = outcome_of(ONE, [], 8, "auc", None, None)
    assert outcome.curve == () and outcome.figures["all"] is None and outcome.figures["architectures"] == 0


def test_rows_by_all_keys_but_the_seed() -> None:
    rows = seed_groups(outcomes({"random": [0.1, 0.2, 0.6], "gp": [0.3, 0.5, None]}, [0, 1, 2]), "study")
    assert [(group.label, group.searches, group.numbers("all")) for group in rows] == [
        ("random", 3, [0.1, 0.2, 0.6]),
        ("gp", 3, [0.3, 0.5]),
    ]
    assert [dict(group.values) for group in rows] == [{"sampler.name": "random"}, {"sampler.name": "gp"}]
    assert rows[0].numbers("test") == [] and rows[0].differences == {}


def test_differences_are_paired_by_seed() -> None:
    """0.2 and 0.3 on the two seeds that both have: mean 0.25, deviation 0.1/√2, standard error 0.05."""
    second = seed_groups(outcomes({"random": [0.1, 0.2, 0.9], "gp": [0.3, 0.5, None]}, [0, 1, 2]), "study")[1]
    difference = second.differences["all"]
    assert difference.mean == pytest.approx(0.25)
    assert difference.error == pytest.approx(0.05)
    assert difference.seeds == 2 and difference.larger
    assert "test" not in second.differences


@pytest.mark.parametrize(
    ("others", "larger"),
    [
        ([0.3, 0.3, 0.3], True),  # 0.1, 0.1, 0.1: no error at all
        ([0.2, 0.2, 0.2], False),  # no difference
        ([0.1, 0.1, 0.4], False),  # -0.1, -0.1, 0.2: mean 0
        ([0.1, 0.1, 0.1], True),  # worse is a difference too
    ],
)
def test_when_a_difference_is_larger_than_its_error(others: list[float | None], larger: bool) -> None:
    searches = outcomes({"first": [0.2, 0.2, 0.2], "second": others}, [0, 1, 2])
    difference = seed_differences(searches[3:], searches[:3])["all"]
    assert difference.larger is larger


def test_one_seed_says_nothing_of_the_error() -> None:
    searches = outcomes({"first": [0.2], "second": [0.9]}, [0])
    difference = seed_differences(searches[1:], searches[:1])["all"]
    assert difference.mean == pytest.approx(0.7) and difference.error is None and not difference.larger


def test_a_study_of_seeds_alone_is_one_row() -> None:
    searches = [
        SearchOutcome(combination, True, (0.5,), {"all": 0.5}) for combination in combinations({"seed": [0, 1]})
    ]
    assert [(group.label, len(group.outcomes)) for group in seed_groups(searches, "mine")] == [("mine", 2)]


def test_scores_of_different_events_are_not_compared() -> None:
    searches = [
        SearchOutcome(combination, True, (0.5,), {"all": 0.5 + number}, str(combination.values["split.seed"]))
        for number, combination in enumerate(combinations({"split.seed": [0, 1], "sampler.name": ["random", "gp"]}))
    ]
    rows = seed_groups(searches, "mine")
    assert [(row.label, row.reference) for row in rows] == [
        ("0-random", None),
        ("0-gp", "0-random"),
        ("1-random", None),
        ("1-gp", "1-random"),
    ]
    assert [row.differences.get("all") and row.differences["all"].mean for row in rows] == [None, 1.0, None, 1.0]
