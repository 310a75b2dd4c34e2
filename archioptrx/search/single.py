"""Training of one architecture to the end: its choice, its settings, and the model folder."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from archioptrx.core.config import finish
from archioptrx.core.errors import InputError, TrialError
from archioptrx.core.files import plain
from archioptrx.core.overrides import read_assignments
from archioptrx.core.processors import threads
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.experiment import Experiment, parse_experiment
from archioptrx.runs.experiment_sections import Budget
from archioptrx.runs.loggers import Tracking, numbers_of
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.alarm import TimeIsUp, call_until
from archioptrx.search.records import OF_EPOCH
from archioptrx.search.repetition import Repetition
from archioptrx.search.setup import Specs
from archioptrx.search.space import load_architecture
from archioptrx.training.trial_log import as_lines
from archioptrx.training.trial_spec import TrialSpec

if TYPE_CHECKING:
    from archioptrx.search.run import Events
    from archioptrx.tasks.task import Task

T = TypeVar("T")

KEYS = {
    **{"data": "data.path", "test": "test", "epochs": "training.epochs", "time": "budget.time"},
    **{"seed": "seed", "track": "track"},
}
"""Key of the experiment for each option."""
OF_SEARCH = dict.fromkeys(("retrain.epochs", "budget.time", "budget.trial_time"))
"""Keys of a search that don't hold for a training after it."""


@dataclass(frozen=True)
class SingleTraining:
    """A single training: the architecture, a name for it, the experiment it belongs to, and a trial's own seed.

    `trial`: run folder and line of the proposal that is repeated as it was; None: nothing is. `track`: trackers.
    """

    architecture: Architecture
    name: str
    experiment: Experiment
    seed: int
    trial: tuple[RunFolder, dict[str, Any]] | None = None
    track: tuple[str, ...] = ()


def choose(args: argparse.Namespace) -> SingleTraining:
    """Find the architecture, and the experiment with the settings of its training.

    Raises
    ------
    InputError
        One line for every fault.
    """
    overrides = {KEYS[flag]: value for flag in KEYS if (value := getattr(args, flag)) is not None}
    options = {KEYS[flag]: f"--{flag}" for flag in KEYS}
    finish(read_assignments(args.set, overrides, options))
    as_it_was = not overrides.keys() - {KEYS["time"], KEYS["track"]}
    overrides.setdefault(KEYS["track"], "none")
    trial = of_run(args.architecture)
    if trial is None:
        experiment = parse_experiment(usual(), "train", options, overrides)
        loaded = load_architecture(args.architecture)
        return SingleTraining(loaded, Path(args.architecture).stem, experiment, experiment.seed, track=experiment.track)
    folder, line = trial
    overrides = {**OF_SEARCH, **overrides}
    overrides.setdefault("training.epochs", line["epochs"])
    experiment = parse_experiment(folder.document(), folder.place, options, overrides)
    architecture = Architecture(ComputationGraph.from_dict(line["graph"]), line["hyperparameters"])
    seed = experiment.seed if KEYS["seed"] in overrides else line["seed"]
    name = f"{experiment.name}-{line['proposal']:04d}"
    return SingleTraining(architecture, name, experiment, seed, trial if as_it_was else None, experiment.track)


def of_run(name: str) -> tuple[RunFolder, dict[str, Any]] | None:
    """A run and a trial of it, where `name` is RUN or RUN/ID; None: it is an architecture."""
    path = Path(name)
    if (path / "experiment.yaml").is_file():
        folder = RunFolder(path)
        if (winner := folder.winner()) is not None and winner["proposal"] is not None:
            return folder, folder.proposal(winner["proposal"])
        rows = folder.rows()
        if not rows or rows[0]["score"] is None:
            raise InputError(f"{name}: no trial has a score yet; allowed: archioptrx search --resume {name}")
        return folder, folder.proposal(rows[0]["proposal"])
    if (path.parent / "experiment.yaml").is_file() and path.suffix != ".yaml" and not path.exists():
        folder = RunFolder(path.parent)
        if not path.name.isdecimal():
            raise InputError(
                f"{name}: {path.name!r} is no trial; allowed: a number, see archioptrx inspect {path.parent}"
            )
        return folder, folder.proposal(int(path.name))
    return None


def usual() -> dict[str, Any]:
    """Experiment of an architecture without one of its own: all defaults, with all threads that are allowed."""
    return {"name": "train", "resources": {"cpus_per_trial": threads()}}


def _announce(name: str, task: Task, events: Events, number: int | None, threads_option: str) -> None:
    """Print split, warnings, and number of threads."""
    from archioptrx.models.events import cautions

    print(f"{name}: {events.data.splits.rule}", file=sys.stderr)
    for text in cautions(task, events.data.splits, events.data.metadata):
        print(f"{name}: {text}", file=sys.stderr)
    if number:
        hint = f" ({threads_option} changes that)" if threads_option else ""
        print(f"{name}: {number} thread{'s' * (number > 1)}{hint}", file=sys.stderr)


def train(choice: SingleTraining, events: Events, folder: Path, threads_option: str = "") -> Mapping[str, Any]:
    """Train, write the model folder and give its metrics.

    Parameters
    ----------
    threads_option
        Option by which the user can set another number of threads, for the message; "": none.

    Raises
    ------
    InputError
        Network, task and data don't suit each other.
    TrialError
        The training failed.
    """
    from archioptrx.models.model_folder import provenance_of, save_model
    from archioptrx.runs.environment import environment
    from archioptrx.search.run import check_network
    from archioptrx.training.trial import task_of

    architecture, experiment = choice.architecture, choice.experiment
    task = task_of(experiment.task.options, experiment.objective)
    check_network(task, choice.name, architecture.graph, architecture.hyperparameters, events.data)
    again = None if choice.trial is None else Repetition.of(*choice.trial)
    spec = spec_of(choice, again)
    _announce(choice.name, task, events, spec.training.threads, threads_option)
    for text in again.obstacles(spec, events.fingerprint) if again else ():
        print(text, file=sys.stderr)
    course = follow(choice, spec, events, folder)
    facts = environment(experiment=experiment.to_dict(), seed=choice.seed, weights_digest=course.end["weights_digest"])
    verdict = again and not course.stopped and again.verdict(course.scores, facts["weights_digest"], facts["versions"])
    if verdict:
        print(verdict[1], file=sys.stderr)
    test = course.end["test"]
    metrics = {
        "proposal": None,
        "repeat": None,
        "seeds": 1,
        "seed": choice.seed,
        "validation": {"mean": course.best["score"], "deviation": 0.0},
        "test": {k: {"mean": v, "deviation": 0.0} for k, v in test.items() if isinstance(v, int | float)},
        "bins": {k: v for k, v in test.items() if isinstance(v, list)},
        "train_seconds": course.end["train_seconds"],
    }
    if again and verdict:
        metrics["repeats"] = {"run": str(again.folder.path.resolve()), "trial": again.name, "exactly": verdict[0]}
    provenance = provenance_of(experiment, events.fingerprint, spec.training.to_dict())
    files = {
        "environment.json": json.dumps(plain(facts), indent=2, ensure_ascii=False) + "\n",
        "epochs.jsonl": "".join(json.dumps(plain(row), ensure_ascii=False) + "\n" for row in course.epochs),
        "log.txt": course.log,
    }
    metadata = events.data.metadata
    save_model(folder, architecture, course.end["weights"], metadata, provenance, metrics, files=files)
    return metrics


def spec_of(choice: SingleTraining, again: Repetition | None) -> TrialSpec:
    """The specification of the training."""
    import torch

    experiment = choice.experiment
    best = "cuda" if torch.cuda.is_available() else "cpu"
    if again is not None:
        then = again.row.get("device", "cpu") if again.row else "cuda" if experiment.resources.gpus_per_trial else "cpu"
        return again.spec(Specs(experiment, best if then == "cuda" else "cpu"), choice.architecture.graph)
    return Specs(experiment, best).single(choice.architecture, choice.seed)


@dataclass
class TrainingRecord:
    """Results of a training: rows as in `epochs.jsonl`, the message of the best epoch, the last one, its log.

    `stopped`: its time was up before its last epoch.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: Mapping[str, Any] = field(default_factory=dict)
    end: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""
    stopped: bool = False

    @property
    def scores(self) -> list[float | None]:
        """Score after each epoch; None for an epoch without one."""
        return [row["score"] for row in self.epochs]


@dataclass
class TimeLimit:
    """Time limit of a training. Called with an epoch, it gives None, and is `over`, where the time is up."""

    end: float
    over: bool = False

    @classmethod
    def of(cls, budget: Budget) -> TimeLimit:
        """The limit of an experiment; `trial_time` is one of this training, too."""
        limits = [limit for limit in (budget.time, budget.trial_time) if limit is not None]
        return cls(time.monotonic() + min(limits, default=math.inf))

    def __call__(self, epoch: Callable[[], T]) -> T | None:
        try:
            return call_until(epoch, self.end)
        except TimeIsUp:
            self.over = True
            return None


def follow(choice: SingleTraining, spec: TrialSpec, events: Events, folder: Path) -> TrainingRecord:
    """Train, show each epoch on stderr, and pass it to the trackers. Raises TrialError if the training fails."""
    from archioptrx.runs.text import duration_text, score_text
    from archioptrx.training.trial import messages

    course, limit = TrainingRecord(), TimeLimit.of(choice.experiment.budget)
    with closing(Tracking(choice.track, folder.parent, partial(print, file=sys.stderr))) as tracking:
        config = {"hyperparameters": spec.hyperparameters, **spec.to_dict(), "data": events.fingerprint}
        tracking.started(folder.name, config, str(choice.architecture.graph))
        for message in messages(spec, events.data, limit):
            course.log += as_lines(message["log"])
            if message["kind"] == "error":
                tracking.ended(folder.name, "failed", {"error": message["error"]})
                raise TrialError(f"{choice.name}: {message['error']}")
            if message["kind"] == "epoch":
                course.best = message if message["best"] else course.best
                course.epochs.append({key: message[key] for key in OF_EPOCH if key in message})
                tracking.epoch(folder.name, message["epoch"], numbers_of(course.epochs[-1]))
                tail = f"{message['parameters']:,} parameters, {duration_text(message['train_seconds'])}"
                score = score_text(message["score"])
                print(f"epoch {message['epoch']}: validation score {score}; {tail}", file=sys.stderr)
            course.end = message
        course.stopped = limit.over
        if limit.over:
            ended, planned = len(course.epochs), spec.training.epochs
            kept = f"the model has the weights of epoch {course.best['epoch']}"
            print(f"{choice.name}: its time is up after {ended} of {planned} epochs; {kept}", file=sys.stderr)
        summary = {"score": course.best["score"], "weights_digest": course.end["weights_digest"]}
        tracking.ended(folder.name, "finished", summary)
    return course
