"""Space of a search, read from its files with all faults reported. No torch here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from archioptrx.core.config import bundled
from archioptrx.core.errors import did_you_mean
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.sketches.sketch import DEFAULTS
from archioptrx.runs.experiment import Experiment
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.fixed_architecture import FixedSpace
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace
from archioptrx.search.walk_space import TRAINING_FIELDS, check_settings, tried, unused, walk_space

FOLDERS = {
    "architecture": "experiments/architectures",
    "function_graph": "function_graphs",
    "search_space": "search_spaces",
}


def load_architecture(name: str | Path) -> Architecture:
    """Read an architecture or a sketch; a hyperparameter that has no effect is named on stderr.

    A model folder's own file may have some: the search space of its search had them.

    Raises
    ------
    InputError
        See `Architecture.load`.
    """
    path = bundled(FOLDERS["architecture"], name)
    architecture = Architecture.load(path)
    known = {*architecture.graph.symbols, *TRAINING_FIELDS, *DEFAULTS}
    unknown = [] if (path.parent / "weights.pt").is_file() else sorted({*architecture.hyperparameters} - known)
    for key in unknown:
        print(f"{path}: hyperparameters.{key}: has no effect; {did_you_mean(key, known)}", file=sys.stderr)
    return architecture


@dataclass(frozen=True)
class SpaceEnds:
    """Inputs and targets of the networks of a space.

    Attributes
    ----------
    name
        Name of the function graph or architecture.
    sources
        Field of the data that each source is filled from, by name.
    targets
        Name and domain of each target.
    """

    name: str
    sources: Mapping[str, str]
    targets: tuple[tuple[str, str], ...]

    @classmethod
    def of_function_graph(cls, graph: FunctionGraph) -> SpaceEnds:
        """Inputs and targets of all networks that a walk can give."""
        sources = {name: str(graph.node[name].field) for name in graph.sources}
        return cls(graph.name, sources, tuple((name, graph.node[name].domain) for name in graph.targets))

    @classmethod
    def of_network(cls, graph: ComputationGraph, name: str) -> SpaceEnds:
        """Inputs and targets of one network."""
        types = [graph.type_of(value) for value in graph.targets]
        sources = {name: str(graph.type[name].field) for name in graph.sources}
        return cls(name, sources, tuple((node.name, node.domain) for node in types))


@dataclass(frozen=True)
class SearchedSpace:
    """Space with its files.

    Attributes
    ----------
    files
        Paths by their name in a run folder.
    space, ends
        The space to sample from; its inputs and targets.
    own
        Candidate of the first trial, where there is one.
    warnings
        Hyperparameters of the search space that nothing uses.
    """

    files: Mapping[str, Path]
    space: WalkSpace | FixedSpace
    ends: SpaceEnds
    own: Candidate | None = None
    warnings: tuple[str, ...] = ()


def make_space(experiment: Experiment, run: Path | None, faults: list[str]) -> SearchedSpace | None:
    """Read the files of a space, or the copies in a run folder; None, and `faults` filled, where they are wrong.

    Blocks of the user have been imported before.
    """
    kind = "architecture" if experiment.architecture else "function_graph"
    names = {kind: experiment.architecture or experiment.function_graph, "search_space": experiment.search_space}
    paths = [
        run / f"{kind}.yaml" if run else tried(faults, partial(bundled, FOLDERS[kind], name))
        for kind, name in names.items()
    ]
    description_path, space_path = paths
    space = None if space_path is None else tried(faults, partial(SearchSpace.load, space_path))
    load: Any = load_architecture if run is None else Architecture.load
    read: Any = load if experiment.architecture else FunctionGraph.load
    description = None if description_path is None else tried(faults, partial(read, description_path))
    if space is None or description is None or space_path is None or description_path is None:
        return None
    make: Any = _fixed if experiment.architecture else _walk
    files = {f"{kind}.yaml": description_path, "search_space.yaml": space_path}
    searched: SearchedSpace | None = tried(faults, partial(make, experiment, files, description, space))
    return searched


def _walk(experiment: Experiment, files: Mapping[str, Path], graph: FunctionGraph, space: SearchSpace) -> SearchedSpace:
    """Space of all architectures of a function graph."""
    walk, warnings = walk_space(graph, space, experiment.search_space)
    return SearchedSpace(files, walk, SpaceEnds.of_function_graph(graph), warnings=warnings)


def _fixed(
    experiment: Experiment, files: Mapping[str, Path], architecture: Architecture, space: SearchSpace
) -> SearchedSpace:
    """Space of the hyperparameters of one architecture."""
    check_settings(space)
    fixed = FixedSpace(architecture, space, TRAINING_FIELDS)
    name = architecture.name or Path(str(experiment.architecture)).stem
    used = {*architecture.graph.symbols, *TRAINING_FIELDS}
    warnings = unused(fixed.left_out, used, name, experiment.search_space)
    return SearchedSpace(files, fixed, SpaceEnds.of_network(architecture.graph, name), fixed.own(), warnings)
