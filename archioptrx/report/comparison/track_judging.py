"""Judging of the tracks of a comparison: figures by a definition, overall and in bins, and the time for an event."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from archioptrx.report.comparison.bootstrap import Ints, Numbers, Replicates, replicate
from archioptrx.report.comparison.intervals import LOG, LOG_ODDS
from archioptrx.report.comparison.statistics import TrackStatistic
from archioptrx.tasks.tracks.definitions import DEFINITIONS, Definition, Outcome
from archioptrx.tasks.tracks.metrics import ETA_BINS, PT_BINS, EventTracks, Selection, ratio

SECONDS = "seconds_per_event"
BIN = "bin "
"""Beginning of the names of efficiencies in bins, `bin pt 1 … 2`."""
RATES = ("fake", "duplicate")
"""Beginnings of the names of rates whose small values are good."""


@dataclass(frozen=True)
class TrackJudging:
    """How tracks are judged.

    Attributes
    ----------
    definition
        Definition whose figures are shown beside the usual metrics; None: these alone.
    limits
        Fields of `Selection` that replace those of the signal, and of the definition.
    """

    definition: Definition | None = None
    limits: Mapping[str, float] = field(default_factory=dict)

    def selection(self, signal: Selection) -> Selection:
        """Limits for the usual metrics."""
        return replace(signal, **self.limits)  # type: ignore[arg-type]

    def within(self, signal: Selection, events: Sequence[EventTracks]) -> Selection:
        """Limits for the figures of the definition.

        Raises
        ------
        InputError
            See `Selection.check`.
        """
        assert self.definition is not None
        selection: Selection = replace(self.definition.limits(signal, events), **self.limits)  # type: ignore[arg-type]
        selection.check(events)
        return selection

    @property
    def prefix(self) -> str:
        """Beginning of the names of the figures, with the style where it isn't the usual one."""
        assert self.definition is not None
        usual = self.definition.style in DEFINITIONS[self.definition.name].styles[:1] or not self.definition.style
        return f"{self.definition.name if usual else self.definition.label}_"


def track_replicates(
    events: Sequence[EventTracks],
    signal: Selection,
    judging: TrackJudging,
    task: str,
    draws: Ints,
    scales: Mapping[str, str],
) -> dict[str, Replicates]:
    """Metrics of the tracks in all resamples, and where a definition is chosen its figures and efficiencies in bins.

    Parameters
    ----------
    events
        Tracks of each event.
    signal
        Particles that count.
    task
        Name of the task that made the tracks.
    draws, scales
        See `replicate`; without draws there are no intervals.
    """
    drawn = draws if draws.size else np.zeros((0, len(events)), np.int64)
    numbers = replicate(TrackStatistic(events, judging.selection(signal), task), drawn, scales)
    if judging.definition is None:
        return numbers
    selection = judging.within(signal, events)
    outcomes = [judging.definition.outcome(event, selection) for event in events]
    return numbers | _figures(outcomes, judging.prefix, drawn) | _in_bins(outcomes, events, drawn)


def _figures(outcomes: Sequence[Outcome], prefix: str, draws: Ints) -> dict[str, Replicates]:
    """The rates of a definition."""
    names = list(outcomes[0].counts)
    counts = np.array([[outcome.counts[name] for name in names] for outcome in outcomes], dtype=np.float64)
    scales = {f"{prefix}{name}": LOG if name.startswith(RATES) else LOG_ODDS for name in names}
    return replicate(_Ratios(counts, [f"{prefix}{name}" for name in names]), draws, scales)


def _in_bins(outcomes: Sequence[Outcome], events: Sequence[EventTracks], draws: Ints) -> dict[str, Replicates]:
    """Efficiency of the definition in each bin of pT and |η| that holds a particle."""
    counts, names = [], []
    for quantity, limits in (("pt", PT_BINS), ("eta", ETA_BINS)):
        for low, high in itertools.pairwise(limits):
            of_bin = [
                _of_bin(outcome, np.abs(getattr(e, quantity)), low, high)
                for outcome, e in zip(outcomes, events, strict=True)
            ]
            if sum(whole for _, whole in of_bin):
                counts.append(of_bin)
                names.append(f"{BIN}{quantity} {low:g} … {'∞' if math.isinf(high) else f'{high:g}'}")
    array = np.array(counts, dtype=np.float64).reshape(len(names), len(events), 2).transpose(1, 0, 2)
    return replicate(_Ratios(array, names), draws, dict.fromkeys(names, LOG_ODDS))


def _of_bin(outcome: Outcome, values: np.ndarray, low: float, high: float) -> tuple[int, int]:
    inside = outcome.chosen & (values >= low) & (values < high)
    return int((outcome.found[inside] > 0).sum()), int(inside.sum())


class _Ratios:
    """Ratios of sums over events, as a statistic.

    Parameters
    ----------
    counts : [events, ratios, 2]
        Numerator and denominator of each ratio in each event.
    names
        Name of each ratio.
    """

    def __init__(self, counts: np.ndarray, names: Sequence[str]) -> None:
        self._counts, self._names = counts, names

    def __call__(self, weights: Ints) -> Numbers:
        sums = np.einsum("enk,e->nk", self._counts, weights).tolist()
        return {name: ratio(part, whole) for name, (part, whole) in zip(self._names, sums, strict=True)}


def time_replicates(seconds: Sequence[float], draws: Ints) -> dict[str, Replicates]:
    """Mean time for an event, in all resamples."""
    counts = np.stack([np.array(seconds), np.ones(len(seconds))], axis=1)[:, None]
    drawn = draws if draws.size else np.zeros((0, len(seconds)), np.int64)
    return replicate(_Ratios(counts, [SECONDS]), drawn, {SECONDS: LOG})
