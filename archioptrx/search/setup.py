"""Everything of a search that can be checked before torch is imported, and all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from archioptrx.architecture import Architecture
from archioptrx.candidate import Candidate
from archioptrx.choices import Trace
from archioptrx.config import bundled, finish
from archioptrx.errors import ArchiOpTrXError
from archioptrx.experiment import Experiment, import_modules
from archioptrx.function_graph import FunctionGraph
from archioptrx.parameter_count import count_parameters
from archioptrx.samplers import make_sampler
from archioptrx.search.rules import Reference, Sampler
from archioptrx.search_space import SearchSpace
from archioptrx.settings import Constraints
from archioptrx.training import Training
from archioptrx.walk import WalkSpace

TRAINING_FIELDS = frozenset(field.name for field in fields(Training)) - {"seed", "threads"}
T = TypeVar("T")


@dataclass(frozen=True)
class Setup:
    """A checked search.

    Attributes
    ----------
    experiment
        What the file says.
    files
        Function graph and search space, to be copied into the run folder.
    space
        The walk.
    references
        Trials 0 … k.
    """

    experiment: Experiment
    files: Mapping[str, Path]
    space: WalkSpace
    references: tuple[Reference, ...]

    def sampler(self) -> Sampler:
        """A fresh sampler."""
        options = {key: value for key, value in self.experiment.sampler.items() if key != "name"}
        sampler: Sampler = make_sampler(
            self.experiment.sampler["name"], self.space, self.experiment.seed, dedup=self.experiment.dedup, **options
        )
        return sampler


def prepare(experiment: Experiment, run: Path | None = None) -> Setup:
    """Import the user's blocks, read function graph, search space and references, and make the sampler once.

    Parameters
    ----------
    run
        A run folder, whose own copies of function graph and search space are read.

    Raises
    ------
    InputError
        One line for every fault.
    """
    faults: list[str] = []
    _tried(faults, partial(import_modules, experiment.imports))
    names = {"function_graph": experiment.function_graph, "search_space": experiment.search_space}
    paths = {
        kind: run / f"{kind}.yaml" if run else _tried(faults, partial(bundled, f"{kind}s", name))
        for kind, name in names.items()
    }
    graph_file, space_file = paths["function_graph"], paths["search_space"]
    graph = None if graph_file is None else _tried(faults, partial(FunctionGraph.load, graph_file))
    space = None if space_file is None else _tried(faults, partial(SearchSpace.load, space_file))
    references = [_tried(faults, partial(_reference, name)) for name in experiment.references]
    if graph is not None and space is not None:
        faults += _hyperparameter_faults(experiment, graph, space)
    walk = None if faults or graph is None or space is None else _tried(faults, partial(WalkSpace, graph, space))
    if walk is None:
        finish(faults)
        raise AssertionError("a search without a space has a fault")
    files = {f"{kind}.yaml": path for kind, path in paths.items() if path is not None}
    setup = Setup(experiment, files, walk, tuple(r for r in references if r is not None))
    _tried(faults, setup.sampler)
    finish(faults)
    return setup


def _tried(faults: list[str], act: Callable[[], T]) -> T | None:
    try:
        return act()
    except ArchiOpTrXError as error:
        faults.extend(error.faults)
        return None


def _reference(name: str) -> Reference:
    path = bundled("experiments/architectures", name)
    found = Architecture.load(path)
    trace = getattr(found, "trace", None) or Trace(())
    return Reference(path.stem, Candidate(trace, found.graph, found.hyperparameters))


def _hyperparameter_faults(experiment: Experiment, graph: FunctionGraph, space: SearchSpace) -> list[str]:
    """Each hyperparameter must be used by the function graph, or be a legal setting of the training."""
    faults: list[str] = []
    for name, grid in space.grid.items():
        place = f"{experiment.search_space}: hyperparameters.{name}"
        if name in TRAINING_FIELDS:
            for value in grid.values:
                _tried(faults, partial(_setting, name, value))
        elif name not in graph.hyperparameters:
            known = ", ".join(sorted({*graph.hyperparameters, *TRAINING_FIELDS}))
            faults.append(f"{place}: is used neither by {graph.name} nor by training; legal: {known}")
    return faults


def _setting(name: str, value: Any) -> Training:
    return Training().but(**{name: value})


@dataclass(frozen=True)
class Limits:
    """Says why a candidate is beyond the constraints.

    Attributes
    ----------
    constraints
        Upper limits.
    widths
        Width of each source in the data set.
    target_width
        What the task asks for.
    """

    constraints: Constraints
    widths: Mapping[str, int]
    target_width: int

    def __call__(self, candidate: Candidate) -> str | None:
        """The first constraint that is broken, or None. What only torch can count is left to the worker."""
        graph, limits = candidate.graph, self.constraints
        known: list[tuple[str, int | None, Callable[[], int | None]]] = [
            ("steps", limits.steps, lambda: len(graph.steps)),
            ("executed", limits.executed, lambda: graph.executed),
            ("rounds", limits.rounds, lambda: graph.rounds),
            ("parameters", limits.parameters, lambda: self._parameters(candidate)),
        ]
        for name, limit, count in known:
            number = None if limit is None else count()
            if limit is not None and number is not None and number > limit:
                return f"{name} {number} > {limit}"
        return None

    def _parameters(self, candidate: Candidate) -> int | None:
        return count_parameters(candidate.graph, candidate.hyperparameters, self.widths, self.target_width)


@dataclass(frozen=True)
class Specs:
    """Makes the plain description of a training.

    Attributes
    ----------
    experiment
        What the file says.
    device
        `cpu` or `cuda`.
    """

    experiment: Experiment
    device: str

    def trial(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """Of a trial, from its line in `proposals.jsonl`."""
        constraints = self.experiment.constraints
        limits = {"seconds_per_step": constraints.seconds_per_step, "parameters": constraints.parameters}
        if line["reference"] is not None:
            # Whoever names an architecture wants to see it.
            limits = dict.fromkeys(limits)
        return self._spec(line, line["seed"], line["epochs"], limits, final=False)

    def retraining(self, line: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Of a retraining of that trial."""
        epochs = self.experiment.retrain.epochs or line["epochs"]
        return self._spec(line, seed, epochs, {"seconds_per_step": None, "parameters": None}, final=True)

    def training(self, hyperparameters: Mapping[str, Any], seed: int, epochs: int | None = None) -> Training:
        """The settings for a candidate: those of the file, then its own hyperparameters, then what is given here."""
        experiment = self.experiment
        own = {name: value for name, value in hyperparameters.items() if name in TRAINING_FIELDS}
        threads = experiment.training.threads or max(1, int(experiment.resources.cpus_per_trial))
        told = {"epochs": epochs} if epochs else {}
        return experiment.training.but(**{**own, **told, "seed": seed, "threads": threads})

    def _spec(
        self, line: Mapping[str, Any], seed: int, epochs: int, limits: Mapping[str, Any], final: bool
    ) -> dict[str, Any]:
        experiment = self.experiment
        return {
            "graph": line["graph"],
            "hyperparameters": line["hyperparameters"],
            "training": self.training(line["hyperparameters"], seed, epochs).to_dict(),
            "task": dict(experiment.task),
            "objective": {"metric": experiment.objective.metric, "mode": experiment.objective.mode},
            "imports": list(experiment.imports),
            "device": self.device,
            "limits": dict(limits),
            "final": final,
        }
