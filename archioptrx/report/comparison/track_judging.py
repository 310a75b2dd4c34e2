"""Judging of the tracks of a comparison: figures by a definition, overall and in bins, and the time for an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from archioptrx.report.comparison.bootstrap import Ints, Numbers, Replicates, replicate
from archioptrx.report.comparison.intervals import LOG, LOG_ODDS
from archioptrx.report.comparison.statistics import TrackStatistic
from archioptrx.tasks.tracks.binned import in_bins
from archioptrx.tasks.tracks.definitions import DEFINITIONS, Definition, Outcome
from archioptrx.tasks.tracks.metrics import EventTracks, Selection, ratio
from archioptrx.tasks.tracks.own_quantities import Frame

SECONDS = "seconds_per_event"
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

    def outcomes(self, events: Sequence[EventTracks], signal: Selection) -> list[Outcome]:
        """Tracks of each event, counted by the definition."""
        assert self.definition is not None
        selection = self.within(signal, events)
        return [self.definition.outcome(event, selection) for event in events]

    def in_bins(
        self, events: Sequence[EventTracks], signal: Selection, frame: Frame, trainings: int = 1
    ) -> dict[str, Any]:
        """Rates by the definition in bins, see `in_bins`."""
        return in_bins(events, self.outcomes(events, signal), frame, trainings)

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
    """Metrics of the tracks in all resamples, and where a definition is chosen its figures.

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
    return numbers | _figures(judging.outcomes(events, signal), judging.prefix, drawn)


def _figures(outcomes: Sequence[Outcome], prefix: str, draws: Ints) -> dict[str, Replicates]:
    """The rates of a definition."""
    names = list(outcomes[0].counts)
    counts = np.array([[outcome.counts[name] for name in names] for outcome in outcomes], dtype=np.float64)
    scales = {f"{prefix}{name}": LOG if name.startswith(RATES) else LOG_ODDS for name in names}
    return replicate(_Ratios(counts, [f"{prefix}{name}" for name in names]), draws, scales)


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


def time_replicates(seconds: Sequence[Mapping[str, float]], draws: Ints) -> dict[str, Replicates]:
    """Mean time for an event, of all stages together, in all resamples.

    Parameters
    ----------
    seconds
        Seconds of each stage, of each event.
    """
    counts = np.array([[sum(stages.values()), 1.0] for stages in seconds])[:, None]
    drawn = draws if draws.size else np.zeros((0, len(seconds)), np.int64)
    return replicate(_Ratios(counts, [SECONDS]), drawn, {SECONDS: LOG})
