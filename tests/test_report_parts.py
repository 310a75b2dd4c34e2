"""What the report's figures are made of, without a browser."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from archioptrx.report.axes import log_axis, missing_to_one, score_views
from archioptrx.report.page import script_json
from archioptrx.report.pareto import front_of_points
from archioptrx.report.scores import wall_times
from archioptrx.training.objective import Goal

NUMBERS = st.integers(-3, 3).map(float)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12), st.booleans(), st.booleans())
def test_the_front_is_what_nothing_beats(values: list[tuple[float, float]], right: bool, up: bool) -> None:
    points = [(i, x, y) for i, (x, y) in enumerate(values)]
    signed = [(x if right else -x, y if up else -y) for x, y in values]
    unbeaten = {
        point
        for point in signed
        if not any(other != point and other[0] >= point[0] and other[1] >= point[1] for other in signed)
    }
    front = front_of_points(points, (right, up))
    assert {signed[i] for i, _, _ in front} == unbeaten and len(front) == len(unbeaten)
    assert [x for _, x, _ in front] == sorted(x for _, x, _ in front)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=10))
def test_what_lacks_to_one_can_stand_on_a_log_axis(values: list[float | None]) -> None:
    errors = missing_to_one(values)
    assert [error is None for error in errors] == [value is None for value in values]
    assert all(error > 0 for error in errors if error is not None)
    pairs = [(v, e) for v, e in zip(values, errors, strict=True) if v is not None and e is not None]
    for (v, e), (w, f) in itertools.combinations(pairs, 2):
        assert v <= w or e <= f


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=10))
def test_a_log_axis_has_ticks_around_its_values(values: list[float]) -> None:
    axis = log_axis(values, "title")
    assert axis["tickvals"] == sorted(axis["tickvals"]) and len(axis["tickvals"]) >= 1
    assert [float(text.replace(",", "")) for text in axis["ticktext"]] == axis["tickvals"]
    inside = [tick for tick in axis["tickvals"] if min(values) <= tick <= max(values)]
    assert len(inside) >= 2 or max(values) <= (1 + 1e-9) * min(values)


def test_only_shares_can_be_turned() -> None:
    assert [view.label for view in score_views(Goal("auc"), "auc", [[0.5, 0.99]])] == ["1 − auc, log", "auc"]
    assert [view.label for view in score_views(Goal("auc"), "auc", [[0.5, 0.7]])] == ["auc", "1 − auc, log"]
    assert score_views(Goal("loss", "min"), "-loss", [[-0.5, -0.1]]) == []
    assert score_views(Goal("logit"), "logit", [[0.5, 1.5]]) == []


def test_wall_time_is_told_in_a_unit_that_fits() -> None:
    rows = [{"started": 100.0, "ended": 160.0}, {"started": 110.0, "ended": 100.0 + 7200}]
    assert wall_times(rows) == ([0.0167, 2.0], "hours")
    assert wall_times(rows[:1]) == ([60.0], "seconds")


def test_data_in_a_script_can_not_end_it() -> None:
    assert "<" not in script_json({"</script><b>": "<!--"})
