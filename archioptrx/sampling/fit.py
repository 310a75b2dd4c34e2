"""Check of a space: every value of its hyperparameters suits the blocks that it is for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archioptrx.core.config import finish
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.shapes import faults_at, step_kinds
from archioptrx.graphs.signatures import Hyperparameter, Kind, Signature
from archioptrx.sampling.search_space import SearchSpace

MOST = 4096
"""Combinations of values that are tried for one function; beyond them each hyperparameter is tried by itself."""
Application = tuple[str, Signature, tuple[Kind, ...], tuple[Mapping[str, Any], ...]]
"""Place, signature, kinds of the inputs and of the output, and sets of parameters."""


def applications(graph: FunctionGraph) -> list[Application]:
    """Functions of a function graph with their widths and parameters."""
    rows: list[Application] = []
    for function in graph.functions:
        names = (*function.inputs, function.output)
        kinds = tuple(Kind(graph.node[name].domain, graph.width[name]) for name in names)
        rows.append((f"functions.{function.name}", function.signature, kinds, tuple(function.variants())))
    return rows


def steps_of(graph: ComputationGraph) -> list[Application]:
    """Steps of one network with their widths and parameters."""
    rows: list[Application] = []
    for step, name in zip(graph.steps, graph.values[len(graph.sources) :], strict=True):
        rows.append((f"{name} = {step.function}", step.signature, step_kinds(graph, step), (dict(step.params),)))
    return rows


def check_fits(users: Sequence[Application], space: SearchSpace, values: Mapping[str, Any]) -> None:
    """Raise InputError where a value of the search space doesn't suit a block.

    Parameters
    ----------
    users
        Functions or steps.
    values
        Values of symbols that the search space doesn't have: other hyperparameters; widths of sources and targets,
        where the data are known.
    """
    rows = (fault for user in users for fault in _faults(user, space, values))
    finish(list(dict.fromkeys(f"search space {space.name}: {fault}" for fault in rows)))


def _faults(user: Application, space: SearchSpace, known: Mapping[str, Any]) -> Iterator[str]:
    place, signature, kinds, variants = user
    for parameters in variants:
        names = sorted(name for name in _symbols(signature, kinds, parameters) if name in space.grid)
        seen: set[str] = set()
        for values in _combinations([space.grid[name].values for name in names]):
            chosen = dict(zip(names, values, strict=True))
            for fault in faults_at(signature, kinds[:-1], kinds[-1], parameters, {**known, **chosen}):
                if fault not in seen:  # the first combination that shows it
                    seen.add(fault)
                    where = "".join(f"{name}={value}, " for name, value in chosen.items()).removesuffix(", ")
                    yield f"{where}: {place}: {fault}" if where else f"{place}: {fault}"


def _symbols(signature: Signature, kinds: Sequence[Kind], parameters: Mapping[str, Any]) -> set[str]:
    """Names of the symbols that widths and parameters of an application refer to."""
    widths = {symbol for kind in kinds for symbol, _ in kind.width.terms}
    values = signature.complete(parameters).values()
    return widths | {value.name for value in values if isinstance(value, Hyperparameter)}


def _combinations(grids: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    if math.prod(map(len, grids)) <= MOST:
        return itertools.product(*grids)
    first = [values[0] for values in grids]
    rows = ((*first[:place], value, *first[place + 1 :]) for place, values in enumerate(grids) for value in values)
    return iter(rows)
