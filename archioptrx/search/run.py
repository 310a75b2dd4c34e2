"""Run of one search from its run folder to its winner: joins trials, retraining and a backend."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from archioptrx.core.config import finish
from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.core.files import plain
from archioptrx.core.reading import reading
from archioptrx.data.dataset import Metadata
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Trace
from archioptrx.graphs.shapes import target_symbols, value_faults
from archioptrx.models.events import cautions, load_splits
from archioptrx.models.model_folder import provenance_of, save_model
from archioptrx.runs.environment import environment
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.loggers import Tracking
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.samplers import Sampler
from archioptrx.search.earlier import FILE as EARLIER_FILE
from archioptrx.search.jobs import Backend, Phases
from archioptrx.search.loop import Trials
from archioptrx.search.measuring import Measuring
from archioptrx.search.progress import Progress
from archioptrx.search.records import Records
from archioptrx.search.references import FILE as REFERENCES
from archioptrx.search.references import references_text
from archioptrx.search.repetition import repeated
from archioptrx.search.retrain import Retraining, RetrainingPlan
from archioptrx.search.rules import Rules
from archioptrx.search.sampler_state import Keeper, SnapshotError
from archioptrx.search.schedule import make_schedule
from archioptrx.search.screening import make_screening
from archioptrx.search.setup import ConstraintCheck, Setup, Specs
from archioptrx.search.space import SpaceEnds
from archioptrx.search.winner import Winner, metrics_of
from archioptrx.tasks.task import Task
from archioptrx.training.fit import check_parts, prepare, step_starts
from archioptrx.training.proxies import unfit
from archioptrx.training.settings import Training
from archioptrx.training.trial import TrialData, task_of


@dataclass(frozen=True)
class Events:
    """Events of a search, and the fingerprint of their data set."""

    data: TrialData
    fingerprint: str


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes
    ----------
    folder, winner
        The run folder; the candidate in its `best/`.
    refusals
        Number of refused candidates, by reason.
    exhausted
        True: it ended before its budget because nothing new can be drawn, so more trials would find nothing.
    """

    folder: RunFolder
    winner: Winner
    refusals: Mapping[str, int]
    exhausted: bool = False


def load_events(experiment: Experiment) -> Events:
    """Read and divide the data of an experiment; see `load_splits`."""
    metadata, splits, fingerprint = load_splits(experiment.data, asdict(experiment.split), experiment.test)
    return Events(TrialData(splits, metadata), fingerprint)


def widths_of(ends: SpaceEnds, metadata: Metadata) -> dict[str, int]:
    """Width of each source of a space in a data set.

    Raises
    ------
    InputError
        The data set lacks a field that a source reads.
    """
    faults = [
        f"{ends.name}: data.{name}.field: the data have no {field}; {did_you_mean(field, metadata.widths)}"
        for name, field in ends.sources.items()
        if field not in metadata.widths
    ]
    if faults:
        raise InputError(*faults)
    return {name: metadata.widths[field] for name, field in ends.sources.items()}


def check_events(setup: Setup, events: Events) -> Task:
    """Check a search against its data, which needs torch; gives the task of the search.

    Raises
    ------
    InputError
        The data lack a field, or the networks have other targets than the task.
    """
    experiment = setup.experiment
    task = task_of(experiment.task.options, experiment.objective)
    check_fit(task, setup.ends, events.data)
    widths = widths_of(setup.ends, events.data.metadata)
    setup.space.check_fits({**target_symbols(task.target_width), **widths})
    for reference in setup.references:
        check_network(task, reference.name, reference.candidate.graph, reference.candidate.hyperparameters, events.data)
    _check_parts(experiment.training, task, events)
    proxies = experiment.screen.proxies if experiment.screen.proposals > 1 else ()
    finish([fault for proxy in proxies if (fault := unfit(proxy, task))])
    return task


def check_network(
    task: Task, name: str, graph: ComputationGraph, hyperparameters: Mapping[str, Any], data: TrialData
) -> None:
    """Check that one network, task and data suit each other; see `check_fit`.

    Raises
    ------
    InputError
        Also where a step doesn't allow the widths that it gets.
    """
    ends = SpaceEnds.of_network(graph, name)
    check_fit(task, ends, data)
    numbers = {**hyperparameters, **target_symbols(task.target_width), **widths_of(ends, data.metadata)}
    finish([f"{name}: {fault}" for fault in value_faults(graph, numbers)])


def _check_parts(training: Training, task: Task, events: Events) -> None:
    """Refuse epochs that would have no step, before trials fail by them."""
    if training.epochs_per_pass > 1:
        ready = prepare(task, events.data.splits.train, (), training)
        check_parts(training, len(step_starts(len(ready.graphs), ready.batch_size, training)))


def check_fit(task: Task, ends: SpaceEnds, data: TrialData) -> None:
    """Check that networks, task and data suit each other.

    Raises
    ------
    InputError
        The data lack a field, or the networks have other targets than the task.
    """
    widths_of(ends, data.metadata)
    if allowed := task.misfit(ends.targets):
        names = ", ".join(f"{name} ({domain})" for name, domain in ends.targets)
        raise InputError(f"{ends.name}: targets: {names}; allowed for {task.name}: {allowed}")
    splits = data.splits
    places = (
        ("data", splits.train),
        ("data", splits.validation),
        ("test" if splits.test_metadata else "data", splits.test),
    )
    lacks = ((place, task.data_fault(graphs[0])) for place, graphs in places if len(graphs))
    finish(list(dict.fromkeys(f"{place}: {fault}" for place, fault in lacks if fault)))
    parts = (("training", data.splits.train), ("validation", data.splits.validation))
    faults = ((name, task.truth_fault(graphs)) for name, graphs in parts if len(graphs))
    finish([f"data: {name} events: {fault}" for name, fault in faults if fault])


def cautions_of(setup: Setup, events: Events) -> list[str]:
    """Warnings of scores of a search that mean less than they seem to; see `archioptrx.models.events.cautions`."""
    task = task_of(setup.experiment.task.options, setup.experiment.objective)
    return cautions(task, events.data.splits, events.data.metadata)


def new_run(path: Path, setup: Setup, events: Events) -> RunFolder:
    """Make the run folder of a search."""
    experiment, splits, metadata = setup.experiment, events.data.splits, events.data.metadata
    widths = metadata.widths | target_symbols(task_of(experiment.task.options, experiment.objective).target_width)
    data = {"fingerprint": events.fingerprint, "split": splits.rule, "metadata": metadata.to_dict()}
    kept = {key: experiment.to_dict().get(key) for key in OF_SCORES}
    began = {"experiment": kept, "workers": experiment.resources.workers, **_of_space(setup)}
    record = environment(data={**data, "widths": widths}, seed=experiment.seed, **began)
    texts = {EARLIER_FILE: setup.earlier.text} if setup.earlier.rows else {}
    texts |= {REFERENCES: references_text(experiment, setup.references)} if experiment.references else {}
    return RunFolder.create(path, setup.experiment, record, setup.files, texts)


def _kept(began: Any, now: Any) -> bool:
    """Whether what a section said still holds; what a later version adds to it isn't asked for."""
    if isinstance(began, Mapping) and isinstance(now, Mapping):
        return all(key in now and _kept(began[key], now[key]) for key in began)
    return bool(began == now)


def _of_space(setup: Setup) -> dict[str, Any]:
    """Digests of function graph and search space, and the references: what the sampler begins with."""
    return {key: setup.identity[key] for key in ("files", "references")}


OF_SCORES = ("task", "split", "training", "objective", "retrain")
"""Keys of an experiment by which its scores are what they are; the data have a fingerprint."""


def check_unchanged(folder: RunFolder, setup: Setup, events: Events) -> None:
    """Raise InputError if a resumed search would be another one than it began as.

    Its data are others, or somebody changed the experiment or the space in its folder.
    """
    if folder.fingerprint() != events.fingerprint:
        raise InputError(f"{folder.path}: was searched on other data; allowed: the same data, or a new search")
    record, now = folder.environment(), plain(setup.experiment.to_dict())
    began, files, of_now = record.get("experiment"), record.get("files"), _of_space(setup)
    faults = []
    if isinstance(began, Mapping):  # a run of an earlier version has no such record
        changed = [key for key in OF_SCORES if key in began and not _kept(began[key], now.get(key))]
        place = folder.path / "experiment.yaml"
        faults = [f"{place}: {key}: was changed since the search began; allowed: {began[key]}" for key in changed]
    if isinstance(files, Mapping):
        of_now = setup.identity["files"]
        names = [name for name in files if of_now.get(name) != files[name]]
        faults += [
            f"{folder.path / name}: was changed since the search began; allowed: as it was, or a new search"
            for name in names
        ]
    finish(faults)


def run_search(
    setup: Setup,
    events: Events,
    folder: RunFolder,
    backend: Backend,
    progress: Progress,
    deadline: float | None = None,
) -> SearchResult:
    """Run a search, or the rest of one, to its winner. The folder must be locked.

    Parameters
    ----------
    backend
        Function that runs the work.
    deadline
        `time.monotonic()` at which trials stop; the retraining follows.

    Raises
    ------
    InputError
        No candidate is within the constraints, or all trials failed.
    """
    experiment = setup.experiment
    task = check_events(setup, events)
    specs = Specs(experiment, "cuda" if experiment.resources.gpus_per_trial else "cpu")
    replaying = partial(_replaying, folder, bool(folder.proposals.read()))
    with replaying():
        for row in folder.last_rows():
            progress.count(row)
    trials: list[Trials] = []
    ends: list[Retraining] = []

    def first() -> Trials:
        make, rules = _proposing(setup, events, folder, specs, task, deadline)
        with replaying():
            trials.append(trials_of(setup, folder, rules, make, progress, records))
        return trials[0]

    def second() -> Measuring:
        records.retention.settle()
        with replaying():
            return Measuring(folder, specs.trial, progress, records)

    def third() -> Retraining:
        with replaying():
            ends.append(Retraining(folder, _retraining_plan(experiment, folder, specs), progress, records))
        return ends[0]

    with closing(Tracking(experiment.track, folder.path, progress.note)) as tracking:
        records = Records(folder, experiment.keep, tracking, {"data": events.fingerprint})
        work = Phases([first, second, third])
        if not work.done:
            backend(work, events.data)
    winner, unfinished = ends[0].winner(), ends[0].unfinished_text()
    if unfinished:
        progress.note(unfinished)
    if not ends[0].in_place(winner):
        _save_best(folder, setup, events, specs, winner, ends[0].weights(winner))
    ends[0].clean()
    return SearchResult(folder, winner, trials[0].refusals, trials[0].no_more_draws)


def _proposing(
    setup: Setup, events: Events, folder: RunFolder, specs: Specs, task: Task, deadline: float | None
) -> tuple[Callable[[], Sampler], Rules]:
    """Function that makes the sampler, with the screen where there is one, and the settings of the loop."""
    rules = rules_of(setup, events, specs, task, deadline)
    if setup.experiment.screen.proposals == 1:
        return setup.sampler, rules
    screening = make_screening(folder.screened, setup.experiment, specs, events.data, task, deadline)
    return partial(setup.sampler, screening, rules.refuse), replace(rules, screened=screening.known)


def _retraining_plan(experiment: Experiment, folder: RunFolder, specs: Specs) -> RetrainingPlan:
    retrain, workers = experiment.retrain, experiment.resources.workers
    again, limit = partial(repeated, folder, specs), experiment.budget.trial_time
    return RetrainingPlan(specs.retraining, again, retrain.top, retrain.seeds, workers, experiment.seed, limit)


def _replaying(folder: RunFolder, resumed: bool) -> AbstractContextManager[None]:
    """Context in which a resumed search replays its journals: whatever is wrong in them is one line."""
    return reading(str(folder.path)) if resumed else nullcontext()


def trials_of(
    setup: Setup,
    folder: RunFolder,
    rules: Rules,
    make: Callable[[], Sampler],
    progress: Progress,
    records: Records | None = None,
) -> Trials:
    """Trials of a run folder, from the sampler's snapshot where a valid one exists."""

    def trials_with(trusting: bool) -> Trials:
        keeper = Keeper(folder, setup.identity, progress.note, trusting)
        schedule = make_schedule(setup.experiment.scheduler)
        return Trials(folder, make(), schedule, rules, setup.references, progress, keeper, records)

    try:
        return trials_with(trusting=True)
    except SnapshotError as error:
        progress.note(f"{error}; all proposals are drawn again instead of going on from {folder.path}/sampler.json")
        return trials_with(trusting=False)


def rules_of(setup: Setup, events: Events, specs: Specs, task: Task, deadline: float | None) -> Rules:
    """Settings of the loop for this search."""
    experiment = setup.experiment
    workers = experiment.resources.workers
    widths = widths_of(setup.ends, events.data.metadata)
    return Rules(
        spec=specs.trial,
        refuse=ConstraintCheck(experiment.constraints, widths, task.target_width),
        trials=experiment.budget.trials,
        epochs=experiment.training.epochs,
        longest=setup.longest,
        workers=workers,
        # With w workers, w trials run and w - 1 more may be proposed: a long trial seldom keeps the others waiting.
        delay=2 * workers - 1 if experiment.scheduler.name == "fifo" else None,
        deadline=deadline,
        trial_time=experiment.budget.trial_time,
        by_architecture=experiment.dedup == "architecture",
        seed=experiment.seed,
    )


def _save_best(folder: RunFolder, setup: Setup, events: Events, specs: Specs, winner: Winner, weights: bytes) -> None:
    line = folder.proposal(winner.proposal)
    rows = {(r["proposal"], r["repeat"]): r for r in folder.retrained.read()}
    row = rows[winner.proposal, winner.repeat]
    metrics = metrics_of(winner, row["bins"])
    trace = Trace.from_json(line["trace"])
    graph = ComputationGraph.from_dict(line["graph"])
    architecture = Architecture(graph, line["hyperparameters"], trace=trace if trace.decisions else None)
    training = row.get("training") or specs.retraining(line, architecture.graph, row["seed"]).training.to_dict()
    provenance = provenance_of(setup.experiment, events.fingerprint, training)
    record = {**folder.environment(), "run": str(folder.path.resolve()), "experiment": setup.experiment.to_dict()}
    record |= {"seed": row["seed"], "weights_digest": row.get("weights_digest")}
    files = {"environment.json": json.dumps(plain(record), indent=2, ensure_ascii=False) + "\n"}
    save_model(folder.best, architecture, weights, events.data.metadata, provenance, metrics, True, files)
