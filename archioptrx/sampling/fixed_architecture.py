"""A space of one architecture: only its hyperparameters, and those of its training, are decided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.decisions import Choose, Decision, Point, Trace
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.fit import check_fits, steps_of
from archioptrx.sampling.search_space import Grid, SearchSpace


class FixedSpace:
    """The candidates of one architecture: `space(choose) -> Candidate`, as with the walk of a function graph.

    Parameters
    ----------
    architecture
        The network. A hyperparameter that the search space doesn't have keeps the value of the architecture file.
    search_space
        The values of each hyperparameter. Its `walk` is not used.
    training
        Names of the hyperparameters that are settings of the training.

    Attributes
    ----------
    grids
        Hyperparameters that are decided, in the order of the search space.
    left_out
        Hyperparameters of the search space that neither this architecture nor the training knows.

    Raises
    ------
    InputError
        No hyperparameter with several values is one of this architecture or of its training, or a step doesn't allow a
        value.
    """

    def __init__(self, architecture: Architecture, search_space: SearchSpace, training: frozenset[str]) -> None:
        self.architecture, self.search_space = architecture, search_space
        known = architecture.graph.symbols | training
        self.grids: tuple[Grid, ...] = tuple(g for g in search_space.hyperparameters if g.name in known)
        self.left_out = tuple(g.name for g in search_space.hyperparameters if g.name not in known)
        if not any(len(grid.values) > 1 for grid in self.grids):
            names = ", ".join(sorted(known))
            raise InputError(
                f"search space {search_space.name}: hyperparameters: none with several values is one of "
                f"{architecture.name or 'this architecture'} or of its training; allowed: {names}"
            )

        self.check_fits({})

    def check_fits(self, numbers: Mapping[str, int]) -> None:
        """Raise InputError where a value of a hyperparameter doesn't suit a step.

        Parameters
        ----------
        numbers
            Widths of sources and targets, where the data are known.
        """
        values = {**self.architecture.hyperparameters, **numbers}
        check_fits(steps_of(self.architecture.graph), replace(self.search_space, hyperparameters=self.grids), values)

    @property
    def size(self) -> int:
        """Number of candidates."""
        return math.prod(len(grid.values) for grid in self.grids)

    def __call__(self, choose: Choose) -> Candidate:
        """Decide every hyperparameter."""
        decisions: list[Decision] = []
        values: dict[str, Any] = dict(self.architecture.hyperparameters)
        for grid in self.grids:
            index = 0
            if len(grid.values) > 1:
                labels = grid.labels
                index = choose(Point("hyperparameter", grid.name), labels, grid.weights)
                decisions.append(Decision("hyperparameter", grid.name, labels[index]))
            values[grid.name] = grid.values[index]
        return Candidate(self._trace(decisions), self.architecture.graph, values)

    def own(self) -> Candidate:
        """The architecture with the values of its file; with an empty trace where the space doesn't have them all."""
        values = self.architecture.hyperparameters
        varied = [grid for grid in self.grids if len(grid.values) > 1]
        decisions = [
            Decision("hyperparameter", grid.name, grid.labels[grid.values.index(values[grid.name])])
            for grid in varied
            if values.get(grid.name) in grid.values
        ]
        complete = len(decisions) == len(varied)
        return Candidate(self._trace(decisions if complete else []), self.architecture.graph, dict(values))

    def _trace(self, decisions: list[Decision]) -> Trace:
        return Trace(tuple(decisions), f"architecture {self.architecture.graph.fingerprint}", self.search_space.digest)
