"""Values of hyperparameters in a search space: which are refused, and that a trace can tell them apart."""

from __future__ import annotations

from typing import Any

import pytest

from archioptrx.core.errors import InputError
from archioptrx.sampling.search_space import SearchSpace


def space(form: Any, **walk: Any) -> SearchSpace:
    return SearchSpace.from_dict({"name": "a", "hyperparameters": {"lr": form}, "walk": walk}, "a.yaml")


@pytest.mark.parametrize("values", [[], [1, 1.0], [1, True], [[1]], [None]])
def test_a_list_without_different_values_is_refused(values: list[Any]) -> None:
    with pytest.raises(InputError) as error:
        space({"choice": values})
    place = "a.yaml: hyperparameters.lr.choice"
    assert error.value.faults == (f"{place}: is {values!r}; allowed: a list of different numbers or texts",)


@pytest.mark.parametrize("values", [[1, "1"], ["0.5", 0.5], [True, "True"]])
def test_values_that_are_written_alike_are_refused(values: list[Any]) -> None:
    with pytest.raises(
        InputError, match=r"lr\.choice: is .*; allowed: values that aren't written alike, such as 1 and '1'"
    ):
        space({"choice": values})


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ((0.0012345671, 0.0012345672, 0.25), ("0.0012345671", "0.0012345672", "0.25")),
        ((1, 1.0000001), ("1", "1.0000001")),
        ((1000000.0, 1000001.0), ("1000000.0", "1000001.0")),
        ((0.0012345671, 1e6, 1.0), ("0.00123457", "1e+06", "1")),  # as they stand in traces of before
    ],
)
def test_labels_have_more_digits_where_six_are_too_few(values: tuple[Any, ...], labels: tuple[str, ...]) -> None:
    assert space({"choice": list(values)}).grid["lr"].labels == labels


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("ends", [(0.0012345671, 0.0012345672), (1.0, 1.0000000000000004), (0.001, 0.1)])
def test_each_value_of_a_range_has_a_label_of_its_own(ends: tuple[float, float], scale: str) -> None:
    grid = space({"range": list(ends), "scale": scale}).grid["lr"]
    assert len(set(grid.labels)) == len(set(grid.values)) == len(grid.values)
    assert all(ends[0] <= value <= ends[1] for value in grid.values)
    assert len(grid.values) == 8 or ends[0] == 1.0  # there are three numbers from end to end


def test_a_prior_whose_sum_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match=r"lr\.prior: is .*; allowed: 2 numbers from 0 on, .* with a finite sum"):
        space({"choice": [1, 2], "prior": [1e308, 1e308]})


def test_a_number_of_iterations_stands_once() -> None:
    with pytest.raises(
        InputError, match=r"walk\.iterations: is \[1, 1\]; allowed: a list of different whole numbers from 1"
    ):
        space(1, iterations=[1, 1])
    assert space(1, extra=[1, 1]).walk.extra == (1, 1)
