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
