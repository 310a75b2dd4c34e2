"""Metrics that judge edges, triplets, hits, events or tracks: bundled ones and a user's own are registered alike.

A user adds a metric with one decorated function, in a module that the experiment names under `imports`::

    @metric("fast_efficiency", of="edges")
    def fast_efficiency(rows):
        fast = rows.at_ends("pt")[0] > 2
        true = fast & rows.truth
        return (true & rows.accepted).sum() / true.sum() if true.any() else None

It is then computed with the metrics of every task that it judges: after each epoch, in `evaluate` and its bins, in
reports and in `compare`; an objective may name it. Metrics of tracks are computed after each epoch only where an
objective names one.

No torch here: an experiment file is checked without it. The module of a bundled metric is imported when the metric is
asked for. Metrics that only one task has (resolutions of its parameters, scores of its clusters) are no parts: their
names depend on the task's options, and they are computed together; the task's options list them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from typing import Any, TypeVar

from archioptrx.core.config import kind_of
from archioptrx.core.errors import RAISED_BY_CALL, ArchiOpTrXError, InputError, TrialError, did_you_mean, error_text
from archioptrx.core.plugins import Registry

EDGES, TRIPLETS, HITS, EVENTS, TRACKS = SUBJECTS = ("edges", "triplets", "hits", "events", "tracks")
"""Subjects of metrics."""
SHARE, LARGE, SMALL = BETTER = ("share", "large", "small")
"""Kinds of metrics by their good values: a share of 1 with 1 best; large ones; small ones."""
RESERVED = (
    *(
        "loss",
        "cut",
        "cut_logit",
        "edges",
        "triplets",
        "pairs",
        "graphs",
        "hits",
        "tracks",
        "particles",
        "true_fraction",
    ),
    *("matching", "pt", "eta", "parameters", "latency", "seconds_per_epoch"),
)
"""Names beside those of metrics: numbers of tasks, data and costs."""
OF_OTHERS = ("acts_", "acorn_", "gnn_tracking_")
"""Beginnings of the names of metrics by other projects' definitions, which texts show only where they are asked for."""
_ROWS = "archioptrx.tasks.classification_metrics"
_TRACKS = "archioptrx.tasks.tracks.metrics"
_NAMED = "archioptrx.tasks.tracks.named_metrics"

Compute = TypeVar("Compute", bound=Callable[..., Any])


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes
    ----------
    name
        Name in `evaluate` and in objectives.
    of
        Subjects that it judges, one or more of `SUBJECTS`.
    better
        One of `BETTER`.
    tasks
        Tasks that have it, of those with such answers; empty: all of them.
    compute
        Function that gives a number, or None where there is none (without a true edge, for example). For edges and
        triplets it gets a `ClassifiedRows`, for tracks a `FoundTracks`, else a `NetworkOutputs`. Where nothing is
        judged it isn't called.
    label
        Name in reports, which judge at the cut 0.5.
    headline
        True: reports show it among the first numbers; all others stand in `evaluate`.
    """

    name: str
    of: tuple[str, ...]
    better: str
    tasks: tuple[str, ...]
    compute: Callable[[Any], Any]
    label: str = ""
    headline: bool = True

    @property
    def about(self) -> str:
        """Docstring of the function."""
        return self.compute.__doc__ or ""

    def value(self, judged: Sized) -> float | None:
        """Compute it; None where nothing is judged: no rows, graphs or events.

        Raises
        ------
        TrialError
            The function raises an error, or gives no number: one line that names the metric.
        """
        if not len(judged):
            return None
        try:
            number = self.compute(judged)
        except ArchiOpTrXError:
            raise
        except RAISED_BY_CALL as error:  # a user's function may raise anything
            raise TrialError(f"metric {self.name}: raised {error_text(error)}") from error
        if number is None:
            return None
        allowed = "a finite number, or None where there is none"
        try:
            value = math.nan if isinstance(number, str | bool) else float(number)
        except OverflowError as error:
            raise TrialError(
                f"metric {self.name}: gave a whole number that no float holds; allowed: {allowed}"
            ) from error
        except (TypeError, ValueError, RuntimeError) as error:  # an array of several numbers, for example
            raise TrialError(f"metric {self.name}: gave {kind_of(number)}; allowed: {allowed}") from error
        if not math.isfinite(value):
            raise TrialError(f"metric {self.name}: gave {number!r}; allowed: {allowed}")
        if self.better == SHARE and not 0 <= value <= 1:
            raise TrialError(f"metric {self.name}: gave {value:g}, and is a share; allowed: 0 to 1, or better=LARGE")
        return value


METRICS: Registry[Metric] = Registry(
    "metric",
    {
        **dict.fromkeys(("auc", "average_precision", "accuracy", "efficiency", "purity"), _ROWS),
        **dict.fromkeys(("efficiency_0.7", "purity_0.7", "purity_at_efficiency_0.98"), _ROWS),
        **dict.fromkeys(("track_efficiency", "track_efficiency_physics"), _TRACKS),
        **dict.fromkeys(("track_fake_rate", "track_duplicate_rate", "track_completeness", "trackml_score"), _TRACKS),
        **dict.fromkeys(("colliderml_efficiency", "colliderml_fake_rate", "colliderml_duplicate_rate"), _TRACKS),
        **dict.fromkeys(("acts_efficiency", "acts_fake_rate", "acts_duplicate_rate", "acts_completeness"), _NAMED),
        **dict.fromkeys(("acorn_efficiency", "acorn_fake_rate", "acorn_duplicate_rate"), _NAMED),
        **dict.fromkeys(("gnn_tracking_double_majority", "gnn_tracking_lhc", "gnn_tracking_perfect"), _NAMED),
        "gnn_tracking_fake_rate": _NAMED,
    },
)


def metric(
    name: str,
    of: str | Sequence[str],
    better: str = SHARE,
    tasks: Sequence[str] = (),
    label: str = "",
    headline: bool = True,
) -> Callable[[Compute], Compute]:
    """Register a function as a metric; see `Metric` for the arguments. Without a label it has that of its name.

    Raises
    ------
    InputError
        An argument isn't allowed, or there is a metric of that name already.
    """
    subjects = (of,) if isinstance(of, str) else tuple(of)
    for key, values, allowed in (("of", subjects, SUBJECTS), ("better", (better,), BETTER)):
        for value in values:
            if value not in allowed:
                raise InputError(f"metric {name}: {key}: is {value!r}; {did_you_mean(value, allowed)}")

    if TRACKS in subjects and len(subjects) > 1:
        raise InputError(
            f"metric {name}: of: is {', '.join(subjects)}; allowed: {TRACKS} alone, for they are judged whole"
        )
    if name in RESERVED:
        raise InputError(f"metric {name}: is a number of the task, the data or the cost; allowed: another name")

    def decorate(compute: Compute) -> Compute:
        shown = label or name.replace("_", " ")
        known = Metric(name, subjects, better, tuple(tasks), compute, shown, headline)
        METRICS.register(name, known, compute.__module__)
        return compute

    return decorate


def metrics_of(task: str, *subjects: str) -> list[Metric]:
    """The metrics of a task's answers, bundled ones first, then a user's own in the order of their registration.

    Parameters
    ----------
    task
        Name of the task.
    subjects
        Kinds of its answers that are judged.
    """
    known = (METRICS.get(name) for name in METRICS.in_order())
    return [
        metric
        for metric in known
        if not set(subjects).isdisjoint(metric.of) and (not metric.tasks or task in metric.tasks)
    ]


def defined(value: Any) -> float | None:
    """The value of a metric as a number; None where it is undefined: missing, None, or not finite.

    >>> defined(0.5), defined(None), defined(math.nan), defined(10**400)
    (0.5, None, None, None)
    """
    try:
        return float(value) if value is not None and math.isfinite(value) else None
    except OverflowError:  # a whole number that no float holds
        return None


def names_of(metrics: Sequence[Metric], better: str) -> tuple[str, ...]:
    """Names of the metrics whose good values are of one kind."""
    return tuple(known.name for known in metrics if known.better == better)


@dataclass(frozen=True, eq=False)
class NetworkOutputs:
    """Outputs of a network and the graphs with their truth, for metrics of hits and events.

    Attributes
    ----------
    outputs
        Output for each graph or batch, as the task's loss gets it.
    graphs
        The hit graphs, or batches of them.
    cut
        Probability that accepts, or an `archioptrx.tasks.classification_metrics.Cut`.
    """

    outputs: Sequence[Any]
    graphs: Sequence[Any]
    cut: float

    def __len__(self) -> int:
        """Number of graphs or batches."""
        return len(self.graphs)
