"""The tasks by name: a class of options that is read without torch, and a class or function that makes the task.

Options of bundled tasks stand in this package and register themselves; the modules that implement these tasks import
torch, and are imported when a task is made. A user's task is one file with both::

    @dataclass(frozen=True)
    class HitNoiseOptions(PlainTaskOptions):
        name = "hit_noise"                       # task: {name: hit_noise, weight: 2.0}
        shares = ("noise_accuracy",)
        weight: float = 1.0

    @task(HitNoiseOptions)
    class HitNoise(Task):
        def __init__(self, options): ...

`examples/custom_task.py` is one in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from archioptrx.core.config import Fields, kind_of
from archioptrx.core.errors import InputError
from archioptrx.core.plugins import Decorated, DescribedRegistry
from archioptrx.tasks.metrics import LARGE, RESERVED, SHARE, SMALL, SUBJECTS, TRACKS, Metric, metrics_of, names_of
from archioptrx.tasks.options.base import TaskOptions

Options = TypeVar("Options", bound=TaskOptions)

TASKS: DescribedRegistry[Callable[[Any], Any], type[TaskOptions]] = DescribedRegistry("task")
"""Classes or functions that make a task of its options, each described by the class of the options."""


def task_options(options: type[Options]) -> type[Options]:
    """Register the options of a bundled task under their name; a module of that name makes the task."""
    TASKS.describe(options.name, f"archioptrx.tasks.{options.name}", options)
    return options


def task(options: type[TaskOptions]) -> Callable[[Decorated], Decorated]:
    """Register a class or a function that makes a task of its options, under the name of the options.

    Parameters
    ----------
    options
        A frozen dataclass; see `TaskOptions`.

    Raises
    ------
    InputError
        The class lacks something, or another module has registered that name.
    """
    name = getattr(options, "name", None)
    if not isinstance(name, str):
        raise InputError(f"task {options.__name__}: name: is {name!r}; allowed: the task's name, a text")
    lacking = [attribute for attribute in ("shares", "losses", "judged", "read") if not hasattr(options, attribute)]
    if lacking:
        raise InputError(f"task {name}: its options have no {', no '.join(lacking)}; allowed: a class of TaskOptions")
    return TASKS.describing(name, options)


def _check_names(task: str, key: str, value: object, allowed: tuple[str, ...] = ()) -> None:
    """Raise InputError unless a value is a tuple of texts, of the allowed ones where there are any."""
    texts = isinstance(value, tuple) and all(isinstance(text, str) for text in value)
    if not texts or (allowed and not set(value) <= set(allowed)):  # type: ignore[call-overload]
        kind = f"a tuple of {', '.join(allowed)}" if allowed else "a tuple of texts"
        raise InputError(f"task {task}: {key}: is {value!r}; allowed: {kind}")


@dataclass(frozen=True)
class TaskDescription:
    """A task as an experiment describes it, read and checked.

    Attributes
    ----------
    content
        The description as plain data: the task's name and the options that are given.
    options
        All options.
    """

    content: Mapping[str, Any]
    options: TaskOptions

    @property
    def name(self) -> str:
        """The task's name."""
        return self.options.name

    def to_dict(self) -> dict[str, Any]:
        """Plain data for YAML and JSON."""
        return dict(self.content)


def read_task(content: Mapping[str, Any] | str, place: str, faults: list[str]) -> TaskOptions | None:
    """Read a task's description; faults are added to the list.

    Parameters
    ----------
    content
        A task's name, or `{name: edge_classification, **options}`.
    place
        Place where it stands, the start of each message.
    faults
        The list that faults are added to.
    """
    before = len(faults)
    fields = Fields({"name": content} if isinstance(content, str) else content, place, faults)
    name = fields.take("name", str, "edge_classification", choices=TASKS)
    if len(faults) > before:
        return None
    kind = TASKS.description(name)
    with TASKS.guarded(name):
        options = kind.read(fields)
        if not isinstance(options, kind):
            raise InputError(f"task {name}: its options are read as {kind_of(options)}; allowed: {kind.__name__}")
    fields.rest()
    if len(faults) > before:
        return None
    _check_names(name, "judged", options.judged, SUBJECTS)
    _check_names(name, "shares", options.shares)
    _check_names(name, "losses", options.losses)
    return options


@dataclass(frozen=True)
class ObjectiveMetrics:
    """Metrics of a task that a search may improve.

    Attributes
    ----------
    shares
        Metrics between 0 and 1 with 1 best; the first is the default.
    larges
        Other metrics that have to be large.
    losses
        Metrics that have to be small.
    """

    shares: tuple[str, ...] = ()
    larges: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Names of all metrics."""
        return (*self.shares, *self.larges, *self.losses)


def objective_metrics(options: TaskOptions) -> ObjectiveMetrics:
    """The metrics of a task that a search may improve: those that its options list, and those that judge its answers.

    For several targets: those of each after its target's name, `score.auc`, and those of tracks, which they make
    together.
    """
    targets: Sequence[Any] = getattr(options, "targets", ())
    inner = [(target.name, objective_metrics(target.options)) for target in targets]
    of_tracks = {metric.name for target in targets for metric in metrics_of(target.options.name, TRACKS)}

    def listed(kind: str, better: str, own: tuple[str, ...] = ()) -> tuple[str, ...]:
        named = (
            f"{target}.{name}" for target, known in inner for name in getattr(known, kind) if name not in of_tracks
        )
        return (*own, *named, *names_of(metrics_judging(options), better))

    return ObjectiveMetrics(
        listed("shares", SHARE, options.shares), listed("larges", LARGE), listed("losses", SMALL, options.losses)
    )


def headlines(options: TaskOptions, names: Iterable[str]) -> dict[str, str]:
    """Choose the numbers that reports show first.

    They are the metrics that judge the answers, unless they are no `headline`; and of the task's own numbers those with
    `labels` in its options, or all where it has no labels.

    Parameters
    ----------
    names
        Names of the numbers.

    Returns
    -------
    Label by name; of several targets behind the target's name.
    """
    metric_names = list(names)
    targets: Sequence[Any] = getattr(options, "targets", ())
    of_targets: dict[str, str] = {}
    for target in targets:
        inside = [name.removeprefix(f"{target.name}.") for name in metric_names if name.startswith(f"{target.name}.")]
        shown = headlines(target.options, inside)
        of_targets |= {f"{target.name}.{name}": f"{target.name} {label}" for name, label in shown.items()}
    labels = dict(getattr(options, "labels", {}))
    if not labels and not targets:
        labels = {name: name.replace("_", " ") for name in metric_names if name not in RESERVED}
    metrics = metrics_judging(options)
    labels = {name: label for name, label in labels.items() if name not in {metric.name for metric in metrics}}
    labels |= of_targets | {metric.name: metric.label for metric in metrics if metric.headline}
    return {name: labels[name] for name in metric_names if name in labels}


def metrics_judging(options: TaskOptions) -> list[Metric]:
    """The registered metrics of a task's answers."""
    return metrics_of(options.name, *options.judged)
