"""Checks of a search before torch is imported; all faults are reported together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from archioptrx.core.config import finish
from archioptrx.core.errors import ReplayError
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.graphs.shapes import TargetWidth
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.experiment_sections import Constraints, missing_trackers
from archioptrx.runs.loggers import LOGGERS
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.fixed_architecture import FixedSpace
from archioptrx.sampling.samplers import SAMPLERS, Proposer, Sampler, Screen, make_sampler
from archioptrx.sampling.samplers.screen import Values, check_screened
from archioptrx.sampling.samplers.variation import trace_in
from archioptrx.sampling.walk import WalkSpace
from archioptrx.search.earlier import EarlierRuns, earlier_warnings
from archioptrx.search.references import references_of
from archioptrx.search.rules import Reference
from archioptrx.search.space import SpaceEnds, make_space
from archioptrx.search.walk_space import TRAINING_FIELDS, tried
from archioptrx.training.settings import Training
from archioptrx.training.trial_spec import TrialLimits, TrialSpec


@dataclass(frozen=True)
class Setup:
    """A checked search.

    Attributes
    ----------
    experiment
        Settings of the experiment file.
    files
        Function graph and search space, to be copied into the run folder.
    space
        The walk, or the hyperparameters of one architecture.
    ends
        Sources and targets of its networks.
    references
        Trials 0 … k.
    earlier
        Trials of earlier searches.
    warnings
        Settings of the files that the search doesn't use.
    """

    experiment: Experiment
    files: Mapping[str, Path]
    space: WalkSpace | FixedSpace
    ends: SpaceEnds
    references: tuple[Reference, ...]
    earlier: EarlierRuns = field(default_factory=EarlierRuns)
    warnings: tuple[str, ...] = ()

    @property
    def longest(self) -> int:
        """Epochs of the longest trial: their number may be a hyperparameter."""
        grids = (grid for grid in self.space.search_space.hyperparameters if grid.name == "epochs")
        return max([self.experiment.training.epochs, *(int(value) for grid in grids for value in grid.values)])

    @property
    def identity(self) -> dict[str, Any]:
        """Description of the sampler."""
        return {
            "sampler": dict(self.experiment.sampler),
            "screen": asdict(self.experiment.screen),
            "dedup": self.experiment.dedup,
            "seed": self.experiment.seed,
            "files": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in self.files.items()},
            "references": [reference.candidate.key for reference in self.references],
            "earlier": hashlib.sha256(self.earlier.text.encode()).hexdigest() if self.earlier.rows else None,
        }

    def sampler(
        self,
        score: Callable[[Candidate], Values] | None = None,
        refuse: Callable[[Candidate], str | None] = lambda candidate: None,
    ) -> Sampler:
        """A fresh sampler.

        Parameters
        ----------
        score
            Score of the screen; None: without one.
        refuse
            Function that gives the constraint that a candidate breaks: the screen leaves it out.
        """
        experiment = self.experiment
        options = {key: value for key, value in experiment.sampler.items() if key != "name"}
        proposals = experiment.screen.proposals
        if proposals > 1:
            check_screened(experiment.sampler)

        def screened(inner: Proposer, is_new: Callable[[Candidate], bool]) -> Proposer:
            assert score is not None
            return Screen(
                inner, score, proposals, lambda candidate: not is_new(candidate) or refuse(candidate) is not None
            )

        sampler: Sampler = make_sampler(
            experiment.sampler["name"],
            self.space,
            experiment.seed,
            dedup=experiment.dedup,
            screen=screened if proposals > 1 and score is not None else None,
            **options,
        )
        sampler.begin([reference.candidate for reference in self.references], self.earlier.trials)
        return sampler


def prepare(experiment: Experiment, run: Path | None = None) -> Setup:
    """Read function graph, search space and references, and make the sampler once.

    Parameters
    ----------
    run
        A run folder, whose own copies of function graph (or architecture), search space and references are read.

    Raises
    ------
    InputError
        One line for every fault.
    """
    faults: list[str] = []
    space = make_space(experiment, run, faults)
    references = references_of(experiment, run, faults)
    if space is None:
        finish(faults)
        raise AssertionError("a search without a space has a fault")
    own = () if space.own is None else (Reference(space.ends.name, space.own),)
    tried(faults, partial(check_trackers, experiment.track))
    known = (*own, *(reference for reference in references if reference is not None))
    keys = [reference.candidate.key for reference in known]
    faults += [
        f"references: {reference.name}: is the same as another one; allowed: each architecture once"
        for place, reference in enumerate(known)
        if keys[place] in keys[:place]
    ]
    faults += _short_trainings(experiment, space.space, known)
    warnings = [*experiment.data.notes, *space.warnings, *_strange(space.space, known[len(own) :])]
    name = experiment.sampler["name"]
    if experiment.earlier_runs and not (name in SAMPLERS and hasattr(SAMPLERS.get(name), "begin")):
        warnings.append(f"earlier_runs: the sampler {name} learns nothing from them; gp and evolution do")
    earlier = tried(faults, partial(EarlierRuns.of, experiment, space.own is None, run)) or EarlierRuns()
    if not faults:
        warnings += earlier_warnings(earlier, experiment, space.space, run)
    setup = Setup(experiment, space.files, space.space, space.ends, known, earlier, tuple(warnings))
    if not faults:
        tried(faults, setup.sampler)
    finish(faults)
    return setup


def _short_trainings(
    experiment: Experiment, space: WalkSpace | FixedSpace, references: Sequence[Reference]
) -> list[str]:
    """Faults of trainings, trials or retrainings, whose epochs aren't a whole pass over the training graphs."""
    parts = experiment.training.epochs_per_pass
    epochs = {"retrain.epochs": experiment.retrain.epochs or parts}
    for grid in space.search_space.hyperparameters:
        if grid.name == "epochs":
            epochs["hyperparameters.epochs"] = int(min(grid.values))
    own = {f"references: {one.name}: epochs": one.candidate.hyperparameters.get("epochs", parts) for one in references}
    return [
        f"{place}: is {number}; allowed: at least training.epochs_per_pass, {parts}, or some graphs are never used"
        for place, number in {**epochs, **own}.items()
        if int(number) < parts
    ]


def _strange(space: WalkSpace | FixedSpace, references: Sequence[Reference]) -> list[str]:
    """A warning for each reference that the space lacks."""
    warnings = []
    for reference in references:
        try:
            trace_in(space, reference.candidate)
        except ReplayError as error:
            known = bool(reference.candidate.trace.decisions)
            cause = f"the space lacks it (gp learns from it): {error}" if known else "its file has no decisions (trace)"
            warnings.append(f"references: {reference.name} is tried, but samplers can't vary it, as {cause}")
    return warnings


def check_trackers(names: Sequence[str]) -> None:
    """Raise InputError if the package of a chosen logger isn't installed."""
    own = LOGGERS.own()
    packages = {
        name: LOGGERS.description(name).package if name in own else f'"archioptrx[{name}]"'
        for name in missing_trackers(names)
    }
    finish(
        [
            f"track: {name} is not installed; allowed: pip install {package}, or --track none"
            for name, package in packages.items()
        ]
    )


@dataclass(frozen=True)
class ConstraintCheck:
    """Check of candidates that gives the constraint that is broken.

    Attributes
    ----------
    constraints
        Upper limits.
    widths
        Width of each source in the data set.
    target_width
        Width of each target that the task needs.
    """

    constraints: Constraints
    widths: Mapping[str, int]
    target_width: TargetWidth

    def __call__(self, candidate: Candidate) -> str | None:
        """The first constraint that is broken, or None. Numbers that only torch can count are checked by the worker."""
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
    """Maker of the specifications of trainings.

    Attributes
    ----------
    experiment
        Settings of the experiment file.
    device
        `cpu` or `cuda`.
    """

    experiment: Experiment
    device: str

    def trial(self, line: Mapping[str, Any], graph: ComputationGraph) -> TrialSpec:
        """Specification of a trial, from its line in `proposals.jsonl` and the graph of that line."""
        constraints = self.experiment.constraints
        # Whoever names an architecture wants to see it, within the constraints or not.
        named = line["reference"] is not None
        limits = TrialLimits() if named else TrialLimits(constraints.seconds_per_step, constraints.parameters)
        training = self.training(line["hyperparameters"], line["seed"], line["epochs"])
        return self._spec(graph, line["hyperparameters"], training, limits, final=False)

    def retraining(self, line: Mapping[str, Any], graph: ComputationGraph, seed: int) -> TrialSpec:
        """Specification of a retraining of that trial."""
        training = self.training(line["hyperparameters"], seed, self.experiment.retrain.epochs or line["epochs"])
        return self._spec(graph, line["hyperparameters"], training, TrialLimits(), final=True)

    def single(self, architecture: Architecture, seed: int) -> TrialSpec:
        """Specification of the training of an architecture that no search has proposed."""
        epochs = self.experiment.retrain.epochs or self.experiment.training.epochs
        training = self.training(architecture.hyperparameters, seed, epochs)
        return self._spec(architecture.graph, architecture.hyperparameters, training, TrialLimits(), final=True)

    def training(self, hyperparameters: Mapping[str, Any], seed: int, epochs: int | None = None) -> Training:
        """Settings for a candidate: those of the file, then its own hyperparameters, then the arguments."""
        experiment = self.experiment
        own = {name: value for name, value in hyperparameters.items() if name in TRAINING_FIELDS}
        threads = experiment.training.threads or max(1, int(experiment.resources.cpus_per_trial))
        extra = {"epochs": epochs} if epochs else {}
        return experiment.training.but(**{**own, **extra, "seed": seed, "threads": threads})

    def _spec(
        self,
        graph: ComputationGraph,
        hyperparameters: Mapping[str, Any],
        training: Training,
        limits: TrialLimits,
        final: bool,
    ) -> TrialSpec:
        experiment = self.experiment
        return TrialSpec(
            graph=graph,
            hyperparameters=dict(hyperparameters),
            training=training,
            task=experiment.task,
            objective=experiment.objective,
            imports=experiment.imports,
            device=self.device,
            limits=limits,
            final=final,
        )
