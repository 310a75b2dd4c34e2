"""Training of a network: a generator of one report per epoch, which leaves the best weights in the model."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archioptrx.core.errors import InputError, TrialError
from archioptrx.data.batches import batched, cut, graphs_for, on_device
from archioptrx.data.hitgraph import HitGraph, batch_graphs
from archioptrx.tasks.metrics import defined
from archioptrx.tasks.task import Task, apply_to
from archioptrx.training.optimizer import make_optimizer, rate_factor
from archioptrx.training.settings import Training

EDGES_PER_EVALUATION = 16000
CHECK_EVERY = 25
"""Steps between looks at the loss: on a GPU each look waits for it."""

Further = Callable[[Sequence[Any], Sequence[HitGraph]], dict[str, Any]]
"""Metrics of outputs, one per batch."""


@dataclass(frozen=True)
class Prepared:
    """Graphs prepared for training, for several trainings on the same events.

    Attributes
    ----------
    graphs
        Graphs of training, large ones cut where the task allows it, on the device.
    batch_size
        Graphs per step.
    batches
        Batches of validation, on the device.
    """

    graphs: Sequence[HitGraph]
    batch_size: int
    batches: Sequence[HitGraph]


def prepare(
    task: Task,
    train: Sequence[HitGraph],
    validation: Sequence[HitGraph],
    training: Training,
    device: str | torch.device = "cpu",
) -> Prepared:
    """Cut, join and move graphs. Of the training only `batch_size` and `edges_per_step` matter.

    Graphs on disk stay there: they are joined and moved step by step.
    """
    device = torch.device(device)
    if training.batch_size is None and task.divisible:
        train = cut(train, training.edges_per_step)
    size = training.batch_size or graphs_for(train, training.edges_per_step)
    batches = batched(on_device(validation, device), graphs_for(validation, EDGES_PER_EVALUATION))
    return Prepared(on_device(train, device), size, batches)


def step_starts(count: int, size: int, training: Training) -> range:
    """First place of each step of a pass over so many graphs, `size` a step."""
    if training.drop_last and count >= size:
        count -= count % size
    return range(0, count, size)


def check_parts(training: Training, steps: int) -> None:
    """Raise InputError where an epoch of a pass would have no step."""
    if training.epochs_per_pass > steps:
        rule = f"allowed: up to {steps}, the steps of a pass over the training graphs"
        raise InputError(f"training: epochs_per_pass is {training.epochs_per_pass}; {rule}")


@dataclass(frozen=True)
class Report:
    """Results of one epoch.

    Attributes
    ----------
    epoch
        1, 2, …
    loss
        Mean training loss of the epoch's steps.
    metrics
        Metrics of the task on the validation graphs (empty without any).
    best
        True: it is the best epoch so far by the task's objective; while no epoch has a score, by the loss.
    learning_rate
        Learning rate after the epoch's last step.
    gradient_norm
        Mean norm of the gradient over the steps, before clipping.
    weight_norm
        L2 norm of all parameters after the epoch.
    steps
        Steps of this epoch.
    train_seconds, seconds
        Time for the steps alone, and with validation.
    """

    epoch: int
    loss: float
    metrics: dict[str, Any]
    best: bool
    learning_rate: float
    gradient_norm: float
    weight_norm: float
    steps: int
    train_seconds: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def fit(
    model: nn.Module,
    task: Task,
    train: Sequence[HitGraph],
    validation: Sequence[HitGraph],
    training: Training | None = None,
    device: str | torch.device = "cpu",
    state: dict[str, Any] | None = None,
) -> Iterator[Report]:
    """Train a model in place.

    Parameters
    ----------
    model
        Called as `model(batch) -> Tensor`, a tuple of them for several targets; moved to the device.
    task
        Task with loss, metrics and the objective that chooses the best epoch.
    train, validation
        Graphs, in memory or on disk. Without validation graphs the training loss decides.
    training
        Settings; None means the defaults.
    device
        Device to train on.
    state
        State that `Fitting.state_dict` gave after some epoch: training goes on from there, to the same numbers.

    Yields
    ------
    One report per epoch. When the generator ends, or is closed early, the model holds the best epoch's weights.

    Raises
    ------
    InputError
        There is nothing to train with, or the precision doesn't suit the device.
    TrialError
        The loss or a score isn't a number; epoch and step are named.
    """
    fitting = Fitting(model, task, train, validation, training or Training(), device)
    if state is not None:
        fitting.load_state_dict(state)
    try:
        while not fitting.done:
            yield fitting.epoch()
    finally:
        fitting.close()


class Fitting:
    """The state of one training: `fit`, with epochs that the caller runs one by one.

    Call `epoch()` until `done`, then `close()`. Parameters: see `fit`; `prepared` is what `prepare` made of the same
    graphs and settings, where that is at hand; `further` gives metrics beside the task's, such as those of tracks.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        train: Sequence[HitGraph],
        validation: Sequence[HitGraph],
        training: Training,
        device: str | torch.device = "cpu",
        prepared: Prepared | None = None,
        further: Further | None = None,
    ) -> None:
        self.model, self.task, self.training, self.device = model, task, training, torch.device(device)
        self.further = further
        if not train:
            raise InputError("training: has no graphs; allowed: at least one")
        if training.precision != "float32" and self.device.type != "cuda":
            raise InputError(f"training: precision {training.precision} needs CUDA; allowed here: float32")
        ready = prepared or prepare(task, train, validation, training, self.device)
        self.graphs, self.batch_size, self.batches = ready.graphs, ready.batch_size, ready.batches
        check_parts(training, len(self._starts))
        self._threads = torch.get_num_threads()
        if training.threads:
            torch.set_num_threads(training.threads)
        model.to(self.device)
        self.optimizer = make_optimizer(model, training)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=training.precision == "float16")
        self.shuffler = torch.Generator().manual_seed(training.seed)
        self._dropout = _seeded_state(training.seed, self.device)
        self.epochs, self.waited, self.best_value = 0, 0, (False, -math.inf)
        self._order: list[int] = []  # the graphs in the order of the present pass
        self.best_weights = copy.deepcopy(model.state_dict())

    @property
    def done(self) -> bool:
        """Whether all epochs have run, or the patience is exhausted."""
        patience = self.training.patience
        return self.epochs >= self.training.epochs or (patience is not None and self.waited >= patience)

    @property
    def steps_per_epoch(self) -> int:
        """Steps that one epoch takes; of the epochs of a pass the one with most."""
        return math.ceil(len(self._starts) / self.training.epochs_per_pass)

    @property
    def _starts(self) -> range:
        """First place of each step of a pass in the shuffled graphs."""
        return step_starts(len(self.graphs), self.batch_size, self.training)

    def epoch(self) -> Report:
        """Train for one epoch and validate."""
        start = time.perf_counter()
        losses, norms = self._train()
        loss, norm = float(losses.mean()), float(norms.mean())
        train_seconds = time.perf_counter() - start
        metrics: dict[str, Any] = {}
        if self.batches:
            try:
                outputs = predict(self.model, self.batches, self.training.precision)
                metrics = self.task.scores(outputs, self.batches)
                metrics |= self.further(outputs, self.batches) if self.further else {}
            except TrialError as error:
                raise TrialError(*(f"epoch {self.epochs + 1}, validation: {f}" for f in error.faults)) from error
        self.epochs += 1
        best = self._remember(metrics, loss)
        rate, weights = self.optimizer.param_groups[0]["lr"], weight_norm(self.model)
        seconds = time.perf_counter() - start
        return Report(self.epochs, loss, metrics, best, rate, norm, weights, len(losses), train_seconds, seconds)

    def close(self) -> None:
        """Put the best weights into the model, and the number of threads back."""
        self.model.load_state_dict(self.best_weights)
        self.model.eval()
        torch.set_num_threads(self._threads)

    def state_dict(self) -> dict[str, Any]:
        """State from which the training can be continued, apart from the arguments."""
        return copy.deepcopy(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "shuffler": self.shuffler.get_state(),
                "dropout": self._dropout,
                "best": (self.best_value, self.best_weights),
                "epochs": (self.epochs, self.waited),
                "order": self._order,
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.shuffler.set_state(state["shuffler"])
        self._dropout = state["dropout"]
        self.best_value, self.best_weights = copy.deepcopy(state["best"])
        self.epochs, self.waited = state["epochs"]
        self._order = list(state["order"])

    def _train(self) -> tuple[Tensor, Tensor]:
        """Take the steps of one epoch. Shapes: losses [steps], gradient norms [steps]."""
        self.model.train()
        losses: list[Tensor] = []
        norms: list[Tensor] = []
        starts, parts = self._starts, self.training.epochs_per_pass
        passes, part = divmod(self.epochs, parts)
        if part == 0:
            self._order = torch.randperm(len(self.graphs), generator=self.shuffler).tolist()
        begin, end = (len(starts) * place // parts for place in (part, part + 1))
        with self._own_randomness():
            for number in range(begin, end):
                graphs = self._order[starts[number] : starts[number] + self.batch_size]
                batch = batch_graphs([self.graphs[i] for i in graphs])
                loss, norm = self._step(batch, passes * len(starts) + number)
                losses.append(loss)
                norms.append(norm)
                if self.device.type == "cpu" or len(losses) % CHECK_EVERY == 0:
                    self._check(losses)
        self._check(losses)
        return torch.stack(losses), torch.stack(norms)

    def _step(self, batch: HitGraph, number: int) -> tuple[Tensor, Tensor]:
        """Take one step: loss, gradient, clipping, new weights."""
        training = self.training
        steps_per_epoch = len(self._starts) / training.epochs_per_pass
        for group in self.optimizer.param_groups:
            group["lr"] = training.learning_rate * rate_factor(training, number, steps_per_epoch)
        self.optimizer.zero_grad(set_to_none=True)
        with _autocast(self.device, training.precision):
            output = self.model(batch)
        loss = self.task.loss(apply_to(output, _at_least_single), batch)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        limit = math.inf if training.gradient_clip is None else training.gradient_clip
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach(), norm.detach()

    def _check(self, losses: list[Tensor]) -> None:
        """Look at the losses since the last look."""
        recent = torch.stack(losses[-CHECK_EVERY:]) if self.device.type != "cpu" else losses[-1][None]
        bad = torch.nonzero(~torch.isfinite(recent)).flatten().tolist()
        if bad:
            step = len(losses) - len(recent) + bad[0] + 1
            raise TrialError(f"epoch {self.epochs + 1}, step {step}: the loss is {float(recent[bad[0]])}")

    def _remember(self, metrics: dict[str, Any], loss: float) -> bool:
        """Keep the weights if this epoch is the best one: of those with a score, or by its loss while none has one."""
        score = self.task.objective.value(metrics)
        if score is None:  # no validation graphs, only one class in them, nothing above the cut …
            known = defined(metrics.get("loss"))
            value = (False, -(loss if known is None else known))
        else:
            value = (True, score)
        if value <= self.best_value:
            self.waited += 1
            return False
        self.best_value, self.waited = value, 0
        self.best_weights = copy.deepcopy(self.model.state_dict())
        return True

    @contextlib.contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Draw dropout from this training's own stream, and leave torch's global one as it was."""
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cuda):
            torch.set_rng_state(self._dropout[0])
            if self._dropout[1] is not None:
                torch.cuda.set_rng_state(self._dropout[1], self.device)
            yield
            self._dropout = _random_state(self.device)


def weight_norm(model: nn.Module) -> float:
    """L2 norm of all parameters together; 0 without any."""
    norms = [torch.linalg.vector_norm(p.detach().float()) for p in model.parameters()]
    return float(torch.linalg.vector_norm(torch.stack(norms))) if norms else 0.0


def evaluate_model(
    model: nn.Module,
    task: Task,
    graphs: Sequence[HitGraph],
    cut: float = 0.5,
    batch_size: int | None = None,
    device: str | torch.device = "cpu",
    bins: bool = True,
    further: Further | None = None,
) -> dict[str, Any]:
    """Score a model on graphs.

    Parameters
    ----------
    model, task, graphs, device
        See `fit`.
    cut
        Probability at which a row counts as accepted, or a `Cut`.
    batch_size
        Graphs at once; None: about 16,000 edges.
    bins
        Add scores per bin, see `Task.metrics`.
    further
        Function that gives metrics beside the task's.
    """
    device = torch.device(device)
    size = batch_size or graphs_for(graphs, EDGES_PER_EVALUATION)
    batches = batched(on_device(graphs, device), size)
    outputs = predict(model.to(device), batches)
    scores = task.scores(outputs, batches, cut=cut, bins=bins)
    return scores | (further(outputs, batches) if further else {})


def predict(model: nn.Module, batches: Sequence[HitGraph], precision: str = "float32") -> list[Any]:
    """Run a model without training it; one output per graph or batch, in single precision or double."""
    before = model.training
    model.eval()
    with torch.no_grad():
        outputs: list[Any] = []
        for batch in batches:
            with _autocast(batch.x.device, precision):
                outputs.append(apply_to(model(batch), _at_least_single))
    model.train(before)
    return outputs


def _at_least_single(output: Tensor) -> Tensor:
    """Turn half precision into single precision; a network in double precision keeps its own."""
    return output if output.dtype == torch.float64 else output.float()


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    kind = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast(device.type, dtype=kind, enabled=precision != "float32")


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), cuda


def _seeded_state(seed: int, device: torch.device) -> tuple[Tensor, Tensor | None]:
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        return _random_state(device)
