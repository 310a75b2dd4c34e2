"""What trials cost, what failed and who descends from whom, by numbers that a person can check."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.runs.costs import Spent, running, saved_by_pruning, schedule_of
from archioptrx.runs.statistics import agreement, failures_of, folded, generations, passed_over


def row(number: int, start: float, end: float, **values: Any) -> dict[str, Any]:
    timing = {"proposal": number, "id": f"{number:04d}", "started": start, "ended": end, "status": "finished"}
    return timing | {"seconds": end - start, "train_seconds": end - start, "epochs": 2, "error": None} | values


TIMES = st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 20)), min_size=1, max_size=20)


@given(TIMES)
def test_no_two_trials_of_a_lane_overlap(times: list[tuple[float, float]]) -> None:
    schedule = schedule_of([row(n, start, start + length) for n, (start, length) in enumerate(times)])
    for lane in {span.lane for span in schedule.spans}:
        mine = [span for span in schedule.spans if span.lane == lane]
        assert all(earlier.end <= later.start + 1e-5 for earlier, later in pairwise(mine))
    most = max(sum(a.start <= b.start < a.end for a in schedule.spans) for b in schedule.spans)
    assert max(span.lane for span in schedule.spans) < most
    assert schedule.busy == pytest.approx(sum(length for _, length in times))


def test_a_pause_between_two_sessions_is_no_wall_time() -> None:
    schedule = schedule_of([row(0, 100, 110), row(1, 105, 120), row(2, 1120, 1130)])
    assert (schedule.wall, schedule.paused) == (30.0, 1000.0)
    assert [(span.lane, span.start, span.end) for span in schedule.spans] == [(0, 0, 10), (1, 5, 20), (0, 20, 30)]


def test_running_trials_over_time() -> None:
    spans = schedule_of([row(0, 0, 10), row(1, 5, 20)]).spans
    assert running(spans, 20.0, 4) == [1.0, 2.0, 1.0, 1.0]


def test_what_pruning_saved() -> None:
    pruned = row(0, 0, 9, status="pruned", epochs=3, train_seconds=6.0)
    rows = [pruned, row(1, 0, 9), row(2, 0, 1, status="pruned", epochs=0)]
    assert saved_by_pruning(rows, {0: 10, 1: 10, 2: 10}) == pytest.approx(7 * 2.0)


def test_spent_by_hand() -> None:
    spent = Spent.of([row(0, 0, 10, train_seconds=7.0), row(1, 0, 4)])
    assert (spent.trials, spent.epochs, spent.train, spent.rest, spent.seconds) == (2, 4, 11.0, 3.0, 14.0)


def test_failures_are_told_by_cause() -> None:
    errors = ["shapes 3 and 64 differ", None, "shapes 5 and 128 differ", "worker died", "shapes 5 and 128 differ"]
    failures = failures_of([row(n, 0, 1, error=error) for n, error in enumerate(errors)])
    assert [(failure.cause, failure.trials) for failure in failures] == [
        ("shapes # and # differ", ("0000", "0002", "0004")),
        ("worker died", ("0003",)),
    ]
    assert failures[0].example == "shapes 3 and 64 differ"


def test_names_keep_their_numbers() -> None:
    assert folded("x0 = layer_2(e1): 1e-3, 64x3") == "x0 = layer_2(e1): #, #"


def test_what_was_passed_over_also_in_an_older_run_folder() -> None:
    lines = [{"draws": 3, "passed_over": {"duplicate": 4, "steps": 2}}, {"draws": 3}, {"draws": 0}]
    voided = [{"proposal": 1, "refused": "seconds_per_step 3 s > 1 s"}]
    assert passed_over(lines, voided) == {"duplicate": 4, "steps": 2, "constraint": 2, "seconds_per_step": 1}


def test_generations_of_a_family() -> None:
    parents = [None, 0, None, 1, 0]
    assert generations([{"proposal": n, "parent": parent} for n, parent in enumerate(parents)]) == {
        0: 0,
        1: 1,
        2: 0,
        3: 2,
        4: 1,
    }


def test_agreement_holds_the_true_correlation_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(0), 0
    for _ in range(400):
        first, noise = generator.normal(size=(2, 40))
        second = 0.5 * first + np.sqrt(0.75) * noise
        bounds = agreement(first.tolist(), second.tolist())
        assert bounds is not None
        held += bounds.low < 6 / np.pi * np.arcsin(0.25) < bounds.high  # Spearman's of a normal pair with Pearson's 0.5
    assert abs(held / 400 - 0.95) < 3 * (0.95 * 0.05 / 400) ** 0.5


def test_no_agreement_of_too_few_or_equal_numbers() -> None:
    assert agreement([1, 2, 3, 4], [1, 2, 3, 4]) is None
    assert agreement([1.0] * 9, list(range(9))) is None
    perfect = agreement([1, 2, 3, 4, 5], [2, 3, 4, 5, 9])
    assert perfect is not None and (perfect.rho, perfect.low) == (pytest.approx(1), pytest.approx(1))
