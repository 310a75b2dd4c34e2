"""One search from its run folder to its winner: puts trials, retraining and a backend together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archioptrx.architecture import Architecture
from archioptrx.computation_graph import ComputationGraph
from archioptrx.dataset import Dataset, Metadata
from archioptrx.environment import environment
from archioptrx.errors import InputError, did_you_mean
from archioptrx.experiment import Experiment
from archioptrx.function_graph import FunctionGraph
from archioptrx.model_folder import Provenance, save_model
from archioptrx.run_folder import RunFolder
from archioptrx.search.loop import Rules, Trials
from archioptrx.search.progress import Progress
from archioptrx.search.retrain import Plan, Retraining, Winner
from archioptrx.search.schedule import make_schedule
from archioptrx.search.setup import Limits, Setup, Specs
from archioptrx.search.work import Backend, Phases
from archioptrx.sources import load_dataset
from archioptrx.tasks.task import Task
from archioptrx.trial import TrialData, task_of


@dataclass(frozen=True)
class Events:
    """The events of a search, and the fingerprint of the data set that they come from."""

    data: TrialData
    fingerprint: str


@dataclass(frozen=True)
class Found:
    """What a search found: its folder, the winner, and how often a candidate was refused, by reason."""

    folder: RunFolder
    winner: Winner
    refusals: Mapping[str, int]


def load_events(experiment: Experiment) -> Events:
    """Read and divide the data of an experiment.

    Raises
    ------
    InputError
        The data are wrong, or too few to be divided.
    """
    dataset = load_dataset(experiment.data)
    test: float | Dataset = experiment.split.test
    fingerprint = dataset.fingerprint
    if experiment.test is not None:
        test = load_dataset({**experiment.data, "path": experiment.test}, place="test")
        fingerprint += f"+{test.fingerprint}"
    splits = dataset.split(experiment.split.validation, test, experiment.split.seed)
    return Events(TrialData(splits, dataset.metadata), fingerprint)


def widths_of(graph: FunctionGraph, metadata: Metadata) -> dict[str, int]:
    """Width of each source of a function graph in a data set.

    Raises
    ------
    InputError
        The data set lacks a field that a source reads.
    """
    fields = {name: str(graph.node[name].field) for name in graph.sources}
    faults = [
        f"{graph.name}: data.{name}.field: the data have no {field}; {did_you_mean(field, metadata.widths)}"
        for name, field in fields.items()
        if field not in metadata.widths
    ]
    if faults:
        raise InputError(*faults)
    return {name: metadata.widths[field] for name, field in fields.items()}


def check_task(setup: Setup, task: Task) -> None:
    """Raise InputError if the function graph's targets aren't what the task is about."""
    graph = setup.space.function_graph
    wrong = [name for name in graph.targets if graph.node[name].domain != task.domain]
    if wrong or len(graph.targets) != 1:
        raise InputError(
            f"{graph.name}: targets: {', '.join(graph.targets)}; legal for {task.name}: one of domain {task.domain}"
        )


def metric_of(experiment: Experiment) -> str:
    """What the score is called."""
    return task_of(experiment.task, experiment.objective.metric, experiment.objective.mode).objective.metric


def new_run(path: Path, setup: Setup, events: Events) -> RunFolder:
    """Make the run folder of a search."""
    about = environment(
        data={"fingerprint": events.fingerprint, "split": events.data.splits.rule}, seed=setup.experiment.seed
    )
    return RunFolder.create(path, setup.experiment, about, setup.files)


def check_same_data(folder: RunFolder, events: Events) -> None:
    """Raise InputError if a search would go on with other data than it began with."""
    if folder.environment()["data"]["fingerprint"] != events.fingerprint:
        raise InputError(f"{folder.path}: was searched on other data; legal: the same data, or a new search")


def run_search(
    setup: Setup,
    events: Events,
    folder: RunFolder,
    backend: Callable[[TrialData], Backend],
    progress: Progress,
    deadline: float | None = None,
) -> Found:
    """Run a search, or the rest of one, to its winner. The folder must be locked.

    Parameters
    ----------
    backend
        Runs work on the events.
    deadline
        `time.monotonic()` at which trials stop; the retraining follows.

    Raises
    ------
    InputError
        No candidate is within the constraints, or all trials failed.
    """
    experiment = setup.experiment
    task = task_of(experiment.task, experiment.objective.metric, experiment.objective.mode)
    check_task(setup, task)
    specs = Specs(experiment, "cuda" if experiment.resources.gpus_per_trial else "cpu")
    for row in folder.trials.read():
        progress.take(row)
    trials: list[Trials] = []
    ends: list[Retraining] = []

    def first() -> Trials:
        rules = rules_of(setup, events, specs, task, deadline)
        schedule = make_schedule(experiment.scheduler)
        trials.append(Trials(folder, setup.sampler(), schedule, rules, setup.references, progress))
        return trials[0]

    def second() -> Retraining:
        retrain, workers = experiment.retrain, experiment.resources.workers
        plan = Plan(specs.retraining, retrain.top, retrain.seeds, workers, experiment.seed)
        ends.append(Retraining(folder, plan, progress))
        return ends[0]

    backend(events.data)(Phases([first, second]))
    winner = ends[0].winner()
    if not ends[0].in_place(winner):
        _save_best(folder, setup, events, specs, winner, ends[0].weights(winner))
    ends[0].clean()
    return Found(folder, winner, trials[0].refusals)


def rules_of(setup: Setup, events: Events, specs: Specs, task: Task, deadline: float | None) -> Rules:
    """What the loop is told."""
    experiment = setup.experiment
    workers = experiment.resources.workers
    widths = widths_of(setup.space.function_graph, events.data.metadata)
    return Rules(
        spec=specs.trial,
        refuse=Limits(experiment.constraints, widths, task.target_width),
        trials=experiment.budget.trials,
        epochs=experiment.training.epochs,
        workers=workers,
        # One spare trial for each worker but one: a long trial seldom keeps the others waiting.
        delay=2 * workers - 1 if experiment.scheduler.name == "fifo" else None,
        deadline=deadline,
        by_architecture=experiment.dedup == "architecture",
        seed=experiment.seed,
    )


def provenance_of(experiment: Experiment, events: Events, training: Mapping[str, Any]) -> Provenance:
    """Where a model of this experiment comes from."""
    return Provenance(
        data=dict(experiment.data),
        split=asdict(experiment.split),
        test=experiment.test,
        fingerprint=events.fingerprint,
        task=dict(experiment.task),
        training=training,
        imports=experiment.imports,
    )


def _save_best(folder: RunFolder, setup: Setup, events: Events, specs: Specs, winner: Winner, weights: bytes) -> None:
    line = folder.proposal(winner.proposal)
    rows = {(r["proposal"], r["repeat"]): r for r in folder.retrained.read()}
    row = rows[winner.proposal, winner.repeat]
    spec = specs.retraining(line, row["seed"])
    metrics = {
        "proposal": winner.proposal,
        "repeat": winner.repeat,
        "seeds": winner.seeds,
        "validation": asdict(winner.score),
        "test": {name: asdict(spread) for name, spread in winner.test.items()},
        "bins": row["bins"],
    }
    architecture = Architecture(ComputationGraph.from_dict(line["graph"]), line["hyperparameters"])
    provenance = provenance_of(setup.experiment, events, spec["training"])
    save_model(folder.best, architecture, weights, events.data.metadata, provenance, metrics, replace=True)
