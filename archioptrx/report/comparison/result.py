"""Result of a comparison, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from archioptrx.report.comparison.decisions import Pair
from archioptrx.tasks.classification_metrics import logit

if TYPE_CHECKING:
    from archioptrx.report.comparison.pictures import Curves, Display


@dataclass(frozen=True)
class Number:
    """Metric with its interval.

    Attributes
    ----------
    value
        Value; None: it isn't defined, as the purity where nothing is accepted.
    low, high
        Ends of the 95 % interval; None where there are too few units.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def apart(self) -> bool:
        """Whether the interval of a difference excludes 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class ComparedModel:
    """Metrics and costs of one model.

    Attributes
    ----------
    name, place
        Short name; its folder, run or trial.
    trained
        Whether it was an architecture without weights and has been trained for the comparison.
    task, fingerprint
        Name of the task; of the architecture.
    parameters
        Trained numbers.
    latency
        ms of a forward pass on the largest graph, the fastest of some; None: not measured.
    memory
        Bytes of the tensors of that pass at one time; see `costs.peak_memory`.
    epochs, train_seconds
        Epochs and seconds of its training, where recorded.
    cut
        Probability from which it accepts.
    metrics
        Metrics by name.
    differences
        From the first model, in the same resamples; empty for that one.
    """

    name: str
    place: str
    trained: bool
    task: str
    fingerprint: str
    parameters: int
    latency: float | None
    memory: int
    epochs: int | None
    train_seconds: float | None
    cut: float
    metrics: Mapping[str, Number]
    differences: Mapping[str, Number]


@dataclass(frozen=True)
class Comparison:
    """Comparison of models on the same events.

    Attributes
    ----------
    entries
        The models as they were given; the first is what differences are from.
    events, graphs, rows
        Numbers of events, graphs and rows; rows are edges or triplets that count, None where the task has none.
    origin
        Origin of the events, in words.
    what
        Kind of rows, such as `edges`.
    unit, units, resamples
        Kind and number of bootstrap units, number of resamples; there are no intervals where `resamples` is 0.
    pairs
        Decisions of each two models with the same rows.
    device
        Device on which latency and memory were measured.
    notes
        Further remarks for the reader.
    curves, display
        Data for the page: ROC and purity over efficiency of each model; one event. Not part of the JSON.
    """

    entries: tuple[ComparedModel, ...]
    events: int
    graphs: int
    rows: int | None
    origin: str
    what: str
    unit: str
    units: int
    resamples: int
    pairs: tuple[Pair, ...]
    device: str
    notes: tuple[str, ...] = ()
    curves: Mapping[str, Curves] = field(default_factory=dict, repr=False, compare=False)
    display: Display | None = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> ComparedModel:
        """The model from which differences are taken."""
        return self.entries[0]

    def pair(self, first: str, second: str) -> Pair | None:
        """Decisions of two models; None: they have different rows, or no binary target."""
        return next((pair for pair in self.pairs if (pair.first, pair.second) == (first, second)), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        names = ("events", "graphs", "rows", "origin", "what", "unit", "units", "resamples", "device")
        return {
            **{name: getattr(self, name) for name in names},
            "level": 0.95,
            "models": [{**asdict(entry), "cut_logit": logit(entry.cut)} for entry in self.entries],
            "pairs": [{**asdict(pair), "net": pair.net} for pair in self.pairs],
            "notes": list(self.notes),
        }


def names_of(entries: Sequence[ComparedModel]) -> list[str]:
    """Names of all metrics, in the order of their first occurrence."""
    return list(dict.fromkeys(name for entry in entries for name in entry.metrics))
