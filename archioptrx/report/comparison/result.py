"""Result of a comparison, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from archioptrx.report.comparison.decisions import Pair
from archioptrx.tasks.classification_metrics import logit

if TYPE_CHECKING:
    from archioptrx.report.comparison.pictures import Curves, Display


SEEDS = 3
"""Default number of trainings of an architecture."""


@dataclass(frozen=True)
class Number:
    """Metric with its interval.

    Attributes
    ----------
    value
        Value; None: it isn't defined, as the purity where nothing is accepted.
    low, high
        Ends of the 95 % interval; None where there are too few units.
    units
        Units that contribute to the metric, from which the interval comes; None: there is no interval.
    p
        Two-sided p value of a difference, under a true difference of 0.
    firm
        True: the difference is not 0 in the test of all differences together (Holm's correction).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    units: int | None = None
    p: float | None = None
    firm: bool = False

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
        True: an architecture without weights, which was trained for the comparison.
    seeds
        Trainings that its metrics are means over; with one, the intervals hold for these weights on other events, with
        several for other events and other trainings.
    task, fingerprint
        Name of the task; fingerprint of the architecture, empty for an algorithm that is no network.
    parameters
        Number of trained numbers; None, as other costs, for an algorithm that is no network.
    latency
        ms of a forward pass on the largest graph, the fastest of some; None: not measured.
    memory
        Bytes of the tensors of that pass at one time; see `memory.peak_memory`.
    epochs, train_seconds
        Epochs and seconds of its training, where recorded.
    cut
        Probability from which it accepts; None: it has none.
    metrics
        Metrics by name.
    differences
        Differences of the metrics from the first model, in the same resamples; empty for the first.
    bins
        Efficiency, fakes and duplicates of its tracks in bins, see `tasks.tracks.binned.in_bins`, where a definition is
        chosen; with several trainings means over them.
    seconds
        Mean seconds of each stage for an event, from measurements to tracks; empty where it isn't measured.
    """

    name: str
    place: str
    trained: bool
    seeds: int
    task: str
    fingerprint: str
    parameters: int | None
    latency: float | None
    memory: int | None
    epochs: int | None
    train_seconds: float | None
    cut: float | None
    metrics: Mapping[str, Number]
    differences: Mapping[str, Number]
    bins: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def network(self) -> bool:
        """Whether it is a network, not another algorithm."""
        return self.parameters is not None

    @property
    def total_seconds(self) -> float | None:
        """Seconds of all stages together; None: not measured."""
        return sum(self.seconds.values()) if self.seconds else None

    @property
    def title(self) -> str:
        """Name with the number of trainings."""
        return self.name if self.seeds == 1 else f"{self.name}, {self.seeds} seeds"


@dataclass(frozen=True)
class Comparison:
    """Comparison of models on the same events.

    Attributes
    ----------
    entries
        The models in the given order; differences are taken from the first.
    events, graphs, rows
        Numbers of events, graphs and rows; rows are edges or triplets that count, None where the task has none.
    origin
        Origin of the events, in words.
    what
        Kind of rows, such as `edges`.
    unit, units, resamples
        Kind of bootstrap units; the largest number of them that contribute to a metric; number of resamples. There are
        no intervals where `resamples` is 0.
    pairs
        Decisions of each two models with the same rows.
    device
        Device on which latency and memory were measured.
    notes
        Further remarks for the reader.
    judging
        Definition of the figures of tracks and their limits, in words; empty: none is chosen.
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
    judging: str = ""
    curves: Mapping[str, Curves] = field(default_factory=dict, repr=False, compare=False)
    display: Display | None = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> ComparedModel:
        """The model from which differences are taken."""
        return self.entries[0]

    @property
    def meaning(self) -> str:
        """Statement on the subject of the intervals: weights, or architectures."""
        several = [entry.title for entry in self.entries if entry.seeds > 1]
        single = [entry.name for entry in self.entries if entry.seeds == 1 and entry.network]
        others = [entry.name for entry in self.entries if not entry.network]
        texts = [f"{'; '.join(several)}: the architecture, with other seeds and on other events"] if several else []
        # A training with another seed differs as well: of 15 pairs of trainings of one network 13 are apart in AUC.
        texts += [f"{', '.join(single)}: these weights, on other events"] if single else []
        texts += [f"{', '.join(others)}: this algorithm, on other events"] if others else []
        return "intervals are about " + "; ".join(texts)

    @property
    def caution(self) -> str:
        """Remark on the number of differences; empty where none has an interval."""
        judged = [
            difference
            for entry in self.entries
            for difference in entry.differences.values()
            if difference.p is not None
        ]
        if not judged:
            return ""
        chance = f"{0.05 * len(judged):.2g}"
        apart, firm = sum(difference.apart for difference in judged), sum(difference.firm for difference in judged)
        return (
            f"*: holds for all {len(judged)} differences together (Holm's correction): {firm}; "
            f"intervals that exclude 0: {apart}, by chance about {chance}"
        )

    def pair(self, first: str, second: str) -> Pair | None:
        """Decisions of two models; None: they have different rows, or no binary target."""
        return next((pair for pair in self.pairs if (pair.first, pair.second) == (first, second)), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        names = ("events", "graphs", "rows", "origin", "what", "unit", "units", "resamples", "device")
        return {
            **{name: getattr(self, name) for name in names},
            "level": 0.95,
            "meaning": self.meaning if self.resamples else None,
            "caution": self.caution or None,
            "judging": self.judging or None,
            "models": [
                {**asdict(entry), "cut_logit": None if entry.cut is None else logit(entry.cut)}
                for entry in self.entries
            ],
            "pairs": [{**asdict(pair), "net": pair.net} for pair in self.pairs],
            "notes": list(self.notes),
        }


def names_of(entries: Sequence[ComparedModel]) -> list[str]:
    """Names of all metrics, in the order of their first occurrence."""
    return list(dict.fromkeys(name for entry in entries for name in entry.metrics))
