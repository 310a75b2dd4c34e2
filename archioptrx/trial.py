"""Run one candidate: plain data in, messages out. The same in this process and in a worker of Ray.

Messages are plain data, told apart by `kind`:

`refused`
    The network has too many parameters, or a training step takes too long: `reason`.
`epoch`
    One epoch has ended: `epoch`, `score` (larger is better), `metrics` (on validation events), `parameters`,
    `train_seconds` (training and validation so far), `seconds` (all since the trial began), `inherited` (`tensors` and
    `share` of the parameters that a parent's weights replaced, or None); where the spec says `keep` and the epoch is
    the best one so far: `weights`.
`end`
    The last epoch has ended: `seconds`, and where the spec says `final`: `test` (metrics on test events with
    the weights of the best epoch) and `weights` (bytes of a state dict).
`error`
    The trial failed: `error`, one line; `seconds`.
"""

from __future__ import annotations

import copy
import io
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from archioptrx.compile import Model, compile_model
from archioptrx.computation_graph import ComputationGraph
from archioptrx.dataset import Metadata, Splits
from archioptrx.errors import InputError, TrialError
from archioptrx.experiment import import_modules
from archioptrx.fit import Fitting, Prepared, evaluate_model, prepare
from archioptrx.hitgraph import batch_graphs
from archioptrx.tasks import make_task
from archioptrx.tasks.task import Objective, Task
from archioptrx.training import Training
from archioptrx.transfer import inherit


@dataclass(frozen=True)
class TrialData:
    """The events of a search and what their numbers mean; shared by all of its trials."""

    splits: Splits
    metadata: Metadata
    _prepared: dict[Any, Prepared] = field(default_factory=dict, repr=False, compare=False)

    def prepared(self, task: Task, training: Training, device: str) -> Prepared:
        """The events cut and joined for training, once for all trials of a worker that want the same."""
        key = (task.divisible, training.batch_size, training.edges_per_step, device)
        if key not in self._prepared:
            self._prepared.clear()  # one at a time: a search may vary what they are cut by
            self._prepared[key] = prepare(task, self.splits.train, self.splits.validation, training, device)
        return self._prepared[key]


def source_widths(graph: ComputationGraph, metadata: Metadata) -> dict[str, int]:
    """Width of each source of a computation graph in a data set.

    Raises
    ------
    InputError
        The data set lacks a field that a source reads.
    """
    widths = metadata.widths
    types = {one.name: one for one in graph.types}
    missing = [name for name in graph.sources if types[name].field not in widths]
    if missing:
        raise InputError(
            *(
                f"source {name}: the data set {metadata.source} has no {types[name].field}; legal: "
                + ", ".join(sorted(widths))
                for name in missing
            )
        )
    return {name: widths[str(types[name].field)] for name in graph.sources}


def build(
    graph: ComputationGraph, hyperparameters: Mapping[str, Any], metadata: Metadata, task: Task, seed: int
) -> Model:
    """Compile an architecture with weights that the seed decides."""
    torch.manual_seed(seed)
    return compile_model(graph, hyperparameters, source_widths(graph, metadata), task.target_width)


def task_of(spec: Mapping[str, Any], metric: str | None, mode: str) -> Task:
    """The task with the objective of an experiment, or with its own where that names no metric."""
    task = make_task(spec)
    if metric is not None:
        task.objective = Objective(metric, mode)
    return task


def step_seconds(fitting: Fitting) -> float:
    """Seconds of one training step (forward and backward) on the first batch, after one to warm up."""
    batch, model = batch_graphs(fitting.graphs[: fitting.batch_size]), fitting.model
    before = copy.deepcopy(model.state_dict())
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        loss = fitting.task.loss(model(batch), batch)
        torch.autograd.backward(loss)
        if batch.x.is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return seconds


def weights_of(model: nn.Module) -> bytes:
    """A model's state dict as the bytes of a file that `torch.load(weights_only=True)` reads."""
    buffer = io.BytesIO()
    torch.save({name: value.detach().cpu() for name, value in model.state_dict().items()}, buffer)
    return buffer.getvalue()


def messages(spec: Mapping[str, Any], data: TrialData) -> Iterator[dict[str, Any]]:
    """Run a trial; whatever goes wrong in it is its last message, for the search goes on.

    Parameters
    ----------
    spec
        `graph`, `hyperparameters`, `training`, `task` as plain data, `objective` (metric, mode), `device`,
        `limits` (`seconds_per_step` and `parameters`, each a number or None), `final` (whether test metrics and weights
        are wanted), `imports`. Optional: `keep` (whether the weights of each better epoch are sent), `parent` (`graph`
        of another trial and its `weights`, from which this one starts where they agree).
    """
    start, threads = time.perf_counter(), torch.get_num_threads()
    try:
        # Sums depend on the number of threads: the same everywhere in a trial makes scores the same everywhere.
        torch.set_num_threads(spec["training"]["threads"] or threads)
        yield from _messages(spec, data, start)
    except Exception as error:
        yield {"kind": "error", "error": one_line(error), "seconds": time.perf_counter() - start}
    finally:
        torch.set_num_threads(threads)


def one_line(error: BaseException) -> str:
    """An error as one line: its kind and the first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else "no message"
    return text if isinstance(error, TrialError) else f"{type(error).__name__}: {text}"


def _messages(spec: Mapping[str, Any], data: TrialData, start: float) -> Iterator[dict[str, Any]]:
    import_modules(spec["imports"])
    training, task = Training(**spec["training"]), task_of(spec["task"], **spec["objective"])
    graph = ComputationGraph.from_dict(spec["graph"])
    model = build(graph, spec["hyperparameters"], data.metadata, task, training.seed).to(spec["device"])
    inherited = _inherited(model, spec.get("parent"))
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    train, validation, device = data.splits.train, data.splits.validation, spec["device"]
    ready = data.prepared(task, training, device)
    fitting = Fitting(model, task, train, validation, training, device, ready)
    try:
        if reason := _refusal(fitting, parameters, spec["limits"]):
            yield {"kind": "refused", "reason": reason}
            return
        train_seconds = 0.0
        while not fitting.done:
            report = fitting.epoch()
            train_seconds += report.seconds
            score = task.objective.value(report.metrics)
            if score is None or not math.isfinite(score):
                raise TrialError(f"epoch {report.epoch}: the validation {task.objective.metric} is {score}, no number")
            yield {
                "kind": "epoch",
                "epoch": report.epoch,
                "score": score,
                "metrics": dict(report.metrics),
                "parameters": parameters,
                "train_seconds": train_seconds,
                "seconds": time.perf_counter() - start,
                "inherited": inherited,
                **({"weights": weights_of(model)} if spec.get("keep") and report.best else {}),
            }
    finally:
        fitting.close()
    end: dict[str, Any] = {"kind": "end"}
    if spec["final"]:
        end["test"] = evaluate_model(model, task, data.splits.test, device=spec["device"])
        end["weights"] = weights_of(model)
    yield {**end, "train_seconds": train_seconds, "seconds": time.perf_counter() - start}


def _inherited(model: Model, parent: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Put a parent's weights into a fresh model; what was copied."""
    if parent is None:
        return None
    return asdict(inherit(model, ComputationGraph.from_dict(parent["graph"]), parent["weights"]))


def _refusal(fitting: Fitting, parameters: int, limits: Mapping[str, Any]) -> str | None:
    """Why a trial isn't run, or None."""
    if limits["parameters"] and parameters > limits["parameters"]:
        return f"parameters {parameters} > {limits['parameters']}"
    if limits["seconds_per_step"] and (seconds := step_seconds(fitting)) > limits["seconds_per_step"]:
        return f"seconds_per_step {seconds:.3g} > {limits['seconds_per_step']:g}"
    return None
