"""Space of the walks on a function graph, as a search and `sample` make it: the settings of the training are known.

A file of its own, because `sample` needs nothing else of a search, and shall not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any, TypeVar

from archioptrx.core.config import finish
from archioptrx.core.errors import ArchiOpTrXError, did_you_mean
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace
from archioptrx.training.settings import Training

TRAINING_FIELDS = frozenset(field.name for field in fields(Training)) - {"seed", "threads", "epochs_per_pass"}
"""Hyperparameters that are settings of the training. Scores are compared by epochs, which are as long in all trials."""
T = TypeVar("T")


def tried(faults: list[str], act: Callable[[], T]) -> T | None:
    """Call `act`; its faults are added to `faults` instead of raised, and the result is None."""
    try:
        return act()
    except ArchiOpTrXError as error:
        faults.extend(error.faults)
        return None


def walk_space(graph: FunctionGraph, space: SearchSpace, place: str) -> tuple[WalkSpace, tuple[str, ...]]:
    """Space of the walks on a graph, and a warning for each hyperparameter that neither graph nor training uses.

    An unused hyperparameter isn't decided: its values would be different candidates of the same network.

    Parameters
    ----------
    place
        Name of the search space in messages.

    Raises
    ------
    InputError
        A hyperparameter is missing, or one of the training has a value that isn't allowed.
    """
    check_settings(space)
    used = {*graph.hyperparameters, *TRAINING_FIELDS}
    grids = tuple(grid for grid in space.hyperparameters if grid.name in used)
    warnings = unused([grid.name for grid in space.hyperparameters if grid.name not in used], used, graph.name, place)
    return WalkSpace(graph, replace(space, hyperparameters=grids)), warnings


def unused(names: Sequence[str], used: set[str], user: str, place: str) -> tuple[str, ...]:
    """A warning for each of these hyperparameters, which neither the user, a graph, nor the training has."""
    return tuple(
        f"{place}: hyperparameters.{name}: is not used: neither {user} nor the training has it; "
        f"{did_you_mean(name, sorted(used))}"
        for name in names
    )


def check_settings(space: SearchSpace) -> None:
    """Raise InputError where a hyperparameter of the training has a value that isn't allowed."""
    faults: list[str] = []
    for name in TRAINING_FIELDS & set(space.grid):
        for value in space.grid[name].values:
            tried(faults, partial(_setting, name, value))
    finish(faults)


def _setting(name: str, value: Any) -> Training:
    return Training().but(**{name: value})
