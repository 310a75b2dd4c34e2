"""Run one candidate: a specification in, messages out. The same in this process and in a worker of Ray.

Messages are plain data. Each has a `log`: times (seconds since 1970) and texts of what happened since the one before.
They are distinguished by `kind`:

`refused`
    The network has too many parameters, or a training step takes too long: `reason`.
`epoch`
    One epoch has ended: `epoch`, `score` (of the first goal, larger is better; None where a metric of the objective is
    undefined), `scores` (of each goal, where there are several), `best` (whether it has a score and no epoch before had
    a better one), `metrics` (on validation events, and costs of the network),
    `parameters`, `loss`, `learning_rate`, `gradient_norm`, `weight_norm` (see `training.fit.Report`), `train_seconds`
    (training and validation so far), `seconds` (all since the trial began), `memory` (bytes, peak of the process in
    this trial), `gpu_memory` (the same of tensors on a GPU, or None); of the best epoch so far: `weights_digest`, and
    where the spec says `keep` and the score is `keep_from` or above: `weights`; where it names the epoch among its
    `pauses`: `state`, bytes from which another worker goes on to the same numbers.
`end`
    The last epoch has ended: `seconds`, and where the spec says `final`: `test` (metrics on test events with
    the weights of the best epoch), `weights` (bytes of a state dict) and their `weights_digest`. Where it says
    `measure`, this is the only message: `seconds` and `latency` in ms.
`error`
    The trial failed, as it does where no epoch had a score: `error`, one line; `seconds`.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from archioptrx.core.errors import RAISED, TrialError, error_text
from archioptrx.data.dataset import Metadata, Splits
from archioptrx.data.hitgraph import HitGraph
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.networks.compile import Model, compile_model, source_widths
from archioptrx.tasks import task_from
from archioptrx.tasks.metrics import METRICS, TRACKS
from archioptrx.tasks.options import TaskOptions
from archioptrx.tasks.task import Task, TaskObjective
from archioptrx.tasks.tracks.scores import signal_selection, track_numbers
from archioptrx.training import peak_memory
from archioptrx.training.fit import Fitting, Further, Prepared, Report, evaluate_model, prepare
from archioptrx.training.measure import FEW, PASSES, latency, step_seconds
from archioptrx.training.objective import COSTS, Objective
from archioptrx.training.settings import Training
from archioptrx.training.trial_log import TrialLog
from archioptrx.training.trial_spec import TrialLimits, TrialSpec

DIGITS = 16
"""Length of the digest of weights."""
NORMS = ("loss", "learning_rate", "gradient_norm", "weight_norm")
"""Fields of a report that the message of an epoch has as they are."""


LimitedEpoch = Callable[[Callable[[], Report]], Report | None]
"""Function that calls an epoch, and gives None where its time is up."""


@dataclass(frozen=True)
class TrialData:
    """The events of a search and the meaning of their numbers; shared by all of its trials."""

    splits: Splits
    metadata: Metadata
    _prepared: dict[Any, Prepared] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def largest(self) -> HitGraph:
        """The graph with the most edges, of validation if there is any: on it the latency of a network is measured."""
        graphs = self.splits.validation or self.splits.train
        return max(graphs, key=lambda graph: graph.num_edges)

    def prepared(self, task: Task, training: Training, device: str) -> Prepared:
        """The events cut and joined for training, once for all trials of a worker that want the same."""
        key = (task.divisible, training.batch_size, training.edges_per_step, device)
        if key not in self._prepared:
            self._prepared.clear()  # one at a time: a search may vary what they are cut by
            self._prepared[key] = prepare(task, self.splits.train, self.splits.validation, training, device)
        return self._prepared[key]


def build(
    graph: ComputationGraph, hyperparameters: Mapping[str, Any], metadata: Metadata, task: Task, seed: int
) -> Model:
    """Compile an architecture with weights that the seed decides."""
    torch.manual_seed(seed)
    return compile_model(graph, hyperparameters, source_widths(graph, metadata), task.target_width)


def task_of(options: TaskOptions, objective: Objective) -> Task:
    """Make the task; the metric of the first goal says which of the epochs with a score is best."""
    task = task_from(options)
    needs = tuple(goal.metric for goal in objective.goals if goal.metric not in COSTS)  # costs are always there
    task.objective = TaskObjective(objective.first.metric, objective.first.mode, needs)
    return task


def weights_of(model: nn.Module) -> bytes:
    """A model's state dict as the bytes of a file that `torch.load(weights_only=True)` reads."""
    buffer = io.BytesIO()
    torch.save({name: value.detach().cpu() for name, value in model.state_dict().items()}, buffer)
    return buffer.getvalue()


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """Short SHA-256 of a state dict: its names, types, shapes and every bit of the numbers."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:DIGITS]


def messages(
    spec: TrialSpec, data: TrialData, limited: LimitedEpoch | None = None
) -> Generator[dict[str, Any], None, None]:
    """Run a trial; any error in it becomes its last message, so that the search goes on.

    Parameters
    ----------
    limited
        Function that calls each epoch, and gives None where the time is up: then the best weights so far are the final
        ones.
    """
    start, threads, log = time.perf_counter(), torch.get_num_threads(), TrialLog()
    try:
        # Sums depend on the number of threads: the same everywhere in a trial makes scores the same everywhere.
        torch.set_num_threads(spec.training.threads or threads)
        log.begin(spec.device, torch.get_num_threads())
        with closing(_Trial(spec, data, start, log).messages(limited)) as stream:
            while True:
                with log.hearing():
                    message = next(stream, None)
                if message is None:
                    return
                yield {**message, "log": log.taken()}
    except RAISED as error:
        yield failure(error, start, log)
    finally:
        torch.set_num_threads(threads)


def failure(error: BaseException, start: float, log: TrialLog) -> dict[str, Any]:
    """The last message of a trial that failed; `start`: time of its beginning by `time.perf_counter`."""
    log.failed(error)
    seconds = time.perf_counter() - start
    return {"kind": "error", "error": one_line(error), "seconds": seconds, "log": log.taken()}


def one_line(error: BaseException) -> str:
    """An error as one line: its kind and the first line of its text that isn't empty, or the code that raised it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return error_text(error)
    return lines[0] if isinstance(error, TrialError) else f"{type(error).__name__}: {lines[0]}"


class _Trial:
    """A trial while it runs.

    Parameters
    ----------
    start
        Time of its beginning by `time.perf_counter`.
    """

    def __init__(self, spec: TrialSpec, data: TrialData, start: float, log: TrialLog) -> None:
        self.spec, self.data, self.start, self.log = spec, data, start, log
        self.before = _read_state(spec.state)
        peak_memory.reset(spec.device)
        self.task = task_of(spec.task.options, spec.objective)
        model = build(spec.graph, spec.hyperparameters, data.metadata, self.task, spec.training.seed)
        self.model = model.to(spec.device)
        self.parameters = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        log.note(f"{self.parameters:,} parameters")

    def messages(self, limited: LimitedEpoch | None) -> Generator[dict[str, Any], None, None]:
        """Train, epoch by epoch; `limited`: see the function of this name."""
        spec, data = self.spec, self.data
        if spec.measure:
            yield self._measured()
            return
        ready = data.prepared(self.task, spec.training, spec.device)
        named = _names_tracks(spec.objective)
        validated = data.splits.validation, data.metadata, data.splits.whole_validation
        further = self._tracks(*validated) if named else None
        train, validation = data.splits.train, data.splits.validation
        fitting = Fitting(self.model, self.task, train, validation, spec.training, spec.device, ready, further)
        try:
            if self.before:
                fitting.load_state_dict(self.before["fitting"])
                self.log.note(f"goes on after {fitting.epochs} epochs")
            elif reason := _refusal(fitting, self.parameters, spec.limits):
                yield {"kind": "refused", "reason": reason}
                return
            costs = self.before["costs"] if self.before else self._costs()
            train_seconds, scored = self.before.get("train_seconds", 0.0), self.before.get("scored", False)
            while not fitting.done and (spec.stop is None or fitting.epochs < spec.stop):
                report = limited(fitting.epoch) if limited else fitting.epoch()
                if report is None:
                    break
                train_seconds += report.seconds
                message = self._epoch(report, costs, train_seconds)
                scored = scored or message["score"] is not None
                if report.epoch in spec.pauses:
                    message["state"] = self._state(fitting, costs, train_seconds, scored)
                yield message
            if not fitting.epochs:
                raise TrialError("no epoch has ended within the time limit")
            if not scored:
                raise TrialError(spec.objective.missing(message["metrics"], fitting.epochs))
        finally:
            fitting.close()
        seconds = {"train_seconds": train_seconds, "seconds": self._seconds()}
        yield {"kind": "end", **(self._final() if spec.final else {}), **seconds}

    def _seconds(self) -> float:
        """Seconds since the beginning, without the time of a pause."""
        return float(self.before.get("seconds", 0.0)) + time.perf_counter() - self.start

    def _state(self, fitting: Fitting, costs: Mapping[str, float], train_seconds: float, scored: bool) -> bytes:
        """State from which another worker goes on: costs are measured once, so all epochs have the same."""
        state = {"fitting": fitting.state_dict(), "costs": dict(costs), "scored": scored}
        buffer = io.BytesIO()
        torch.save({**state, "train_seconds": train_seconds, "seconds": self._seconds()}, buffer)
        return buffer.getvalue()

    def _tracks(self, graphs: Sequence[HitGraph], metadata: Metadata, whole: bool) -> Further:
        """Metrics of tracks of these events with their own metadata; `whole` as of `track_numbers`."""
        selection = signal_selection(graphs, metadata.options)
        return partial(track_numbers, self.task, selection=selection, whole=whole)

    def _measured(self) -> dict[str, Any]:
        """The only message of a network that is measured, not trained."""
        milliseconds = self._costs()["latency"]
        self.log.note(f"latency {milliseconds:.4g} ms, measured alone")
        return {"kind": "end", "latency": milliseconds, "seconds": time.perf_counter() - self.start}

    def _costs(self) -> dict[str, float]:
        """Metrics of the network's cost, measured before it is trained."""
        passes = PASSES if "latency" in self.spec.objective.metrics else FEW
        milliseconds = latency(self.model, self.data.largest, self.spec.device, self.spec.training.precision, passes)
        return {"parameters": self.parameters, "latency": milliseconds}

    def _epoch(self, report: Report, costs: Mapping[str, float], train_seconds: float) -> dict[str, Any]:
        """The message of an epoch."""
        metrics = {**report.metrics, **costs, "seconds_per_epoch": train_seconds / report.epoch}
        scores = _scores(self.spec.objective, metrics, report.best)
        return {
            "kind": "epoch",
            "epoch": report.epoch,
            **scores,
            "metrics": metrics,
            "parameters": self.parameters,
            **{name: getattr(report, name) for name in NORMS},
            "train_seconds": train_seconds,
            "seconds": self._seconds(),
            "memory": peak_memory.resident(),
            "gpu_memory": peak_memory.on_gpu(self.spec.device),
            **(_weights(self.model, self.spec, scores["score"]) if scores["best"] else {}),
        }

    def _final(self) -> dict[str, Any]:
        """Content of the last message of a final training: metrics on test events, and the weights."""
        splits = self.data.splits
        further = self._tracks(splits.test, splits.test_metadata or self.data.metadata, splits.whole_test)
        test = evaluate_model(self.model, self.task, splits.test, device=self.spec.device, further=further)
        weights = {"weights": weights_of(self.model), "weights_digest": weights_digest(self.model.state_dict())}
        return {"test": test, **weights}


def _read_state(state: bytes | None) -> dict[str, Any]:
    """Content of the state of a paused training; empty: it begins."""
    if state is None:
        return {}
    content: dict[str, Any] = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
    return content


def _names_tracks(objective: Objective) -> bool:
    """Whether an objective names a metric of tracks; of several targets, these stand without a target's name."""
    return any(name in METRICS and TRACKS in METRICS.get(name).of for name in objective.metrics)


def _scores(objective: Objective, metrics: Mapping[str, Any], best: bool) -> dict[str, Any]:
    """Scores of an epoch in a message; `best`: whether the training keeps its weights, with a score or without."""
    scores = objective.scores(metrics)
    several = {"scores": scores and list(scores)} if objective.several else {}
    return {"score": scores and scores[0], **several, "best": best and scores is not None}


def _weights(model: Model, spec: TrialSpec, score: float) -> dict[str, Any]:
    """Weights in the message of a better epoch."""
    sends = spec.keep and (spec.keep_from is None or score >= spec.keep_from)
    digest = {"weights_digest": weights_digest(model.state_dict())}
    return {**digest, "weights": weights_of(model)} if sends else digest


def _refusal(fitting: Fitting, parameters: int, limits: TrialLimits) -> str | None:
    """Reason why a trial isn't run, or None."""
    if limits.parameters and parameters > limits.parameters:
        return f"parameters {parameters} > {limits.parameters}"
    if limits.seconds_per_step and (seconds := step_seconds(fitting)) > limits.seconds_per_step:
        return f"seconds_per_step {seconds:.3g} > {limits.seconds_per_step:g}"
    return None
