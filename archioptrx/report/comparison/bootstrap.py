"""Resamples of a metric, as if other events had been recorded. Plain numpy.

The *units* that are drawn with replacement are events, or parts of them (see `units`), because rows of one event aren't
independent. A resample gives each unit a whole number, how often it is drawn. All models get the same resamples, so
that their differences are paired: the difficulty of an event, common to all models, cancels in a difference.

`archioptrx.report.comparison.intervals` makes intervals of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.report.comparison.intervals import (
    DIFFERENCE,
    LOG_ODDS,
    PLAIN,
    Spread,
    bca_interval,
    spread_of,
    student_interval,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Numbers = Mapping[str, float | None]
Statistic = Callable[[Ints], Numbers]
"""Function of the count of each unit. Shapes: int64 [U] -> one number for each metric, None where it isn't defined."""

ROUNDING = 1e-12
"""Relative difference of two ratios of sums that rounding may make."""
_DEFINED = 0.9
"""Share of the resamples in which a metric must be defined; otherwise it has no interval."""


def resamples(units: int, number: int, seed: int) -> Ints:
    """Draw as many units as there are, with replacement.

    Parameters
    ----------
    units, number
        Number of units, and of resamples.
    seed
        Seed of numpy's generator: the same seed gives the same resamples.

    Returns
    -------
    int64 [number, units]
        Count of each unit in each resample; each row sums to `units`.
    """
    random = np.random.default_rng(seed)
    return random.multinomial(units, np.full(units, 1 / units), size=number).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Replicates:
    """A model's metric in each resample.

    Attributes
    ----------
    value
        The metric of the units as they are; None: it isn't defined.
    drawn : float64 [R]
        The metric in each resample, NaN where it isn't defined.
    without : float64 [U]
        The metric with one unit left out, for each unit (jackknife), NaN where it isn't defined.
    scale
        One of `SCALES`, see `intervals`.
    seeds : of float64 [S]
        For each architecture whose metric is a mean over trainings: the mean of the jackknife values (with one training
        left out) minus each of them.
    counted : bool [U] or None
        Units that contribute to the metric; an event without edges says nothing about their scores. None: all.
    """

    value: float | None
    drawn: Floats
    without: Floats
    scale: str = PLAIN
    seeds: tuple[Floats, ...] = ()
    counted: Bools | None = None

    def minus(self, other: Replicates) -> Replicates:
        """Difference in the same resamples; without interval where the two models have different resamples."""
        value = None if self.value is None or other.value is None else self.value - other.value
        if self.drawn.shape != other.drawn.shape or self.without.shape != other.without.shape:
            return Replicates(value, np.zeros(0), np.zeros(0))
        seeds = (*self.seeds, *(-apart for apart in other.seeds))
        scale = DIFFERENCE if self.scale == other.scale == LOG_ODDS else PLAIN
        counted = _counted_by_any([self, other])
        return Replicates(value, self.drawn - other.drawn, self.without - other.without, scale, seeds, counted)

    @property
    def apart(self) -> Floats:
        """Mean of the jackknife values minus each of them, of the units that contribute, where they are defined."""
        defined = np.isfinite(self.without)
        return _apart(self.without[defined if self.counted is None else defined & self.counted])

    @property
    def spread(self) -> Spread | None:
        """Standard error and degrees of freedom; None where the metric is undefined too often."""
        defined = np.isfinite(self.drawn).sum()
        if self.value is None or defined < max(1, _DEFINED * len(self.drawn)):
            return None
        return spread_of(self.apart, self.seeds)

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval: the wider end of the bootstrap and of Student's t; None as for `spread`."""
        if self.value is None or (spread := self.spread) is None:
            return None
        low, high = student_interval(self.value, spread, self.scale)
        drawn = self.drawn[np.isfinite(self.drawn)]
        apart = np.concatenate([self.apart, *self.seeds])
        resampled = bca_interval(self.value, drawn, apart, spread.quantile * spread.expansion)
        return min(low, resampled[0]), max(high, resampled[1])


def replicate(statistic: Statistic, draws: Ints, scales: Mapping[str, str] | None = None) -> dict[str, Replicates]:
    """Compute metrics for the units as they are, in each resample and with each unit left out.

    Parameters
    ----------
    draws : int64 [R, U]
        Resamples.
    scales
        Scale of each metric, see `intervals`; `PLAIN` for metrics without one.
    """
    units = draws.shape[1]
    whole = statistic(np.ones(units, dtype=np.int64))
    names = list(whole)
    resampled, without = (
        _not_rounded(_table(statistic, names, drawn), [whole[name] for name in names])
        for drawn in (draws, 1 - np.eye(units, dtype=np.int64))
    )
    # A unit contributes if it has a value of its own, or the others have another one without it: alone, an event of one
    # class has no AUC.
    alone = _table(statistic, names, np.eye(units, dtype=np.int64))
    target = np.array([np.nan if whole[name] is None else whole[name] for name in names], dtype=np.float64)
    counted = np.isfinite(alone) | (without != target)
    scales = scales or {}
    return {
        name: Replicates(whole[name], resampled[:, k], without[:, k], scales.get(name, PLAIN), counted=counted[:, k])
        for k, name in enumerate(names)
    }


def _not_rounded(values: Floats, whole: Sequence[float | None]) -> Floats:
    """Values that differ from that of all units by rounding alone become it: then it is seen that nothing varies.

    Shapes: [R, number of metrics] -> the same.
    """
    target = np.array([np.nan if value is None else value for value in whole], dtype=np.float64)
    return np.where(np.abs(values - target) <= ROUNDING * np.abs(target), target, values)


def over_seeds(parts: Sequence[Replicates], draws: Ints) -> Replicates:
    """Mean of a metric over trainings of one architecture with different seeds, which are resampled with the events.

    Parameters
    ----------
    parts
        The metric of each training, all of them in the same resamples of the events.
    draws : int64 [R, S]
        Resamples of the trainings.
    """
    if len(parts) == 1:
        return parts[0]
    drawn, without = (np.stack([getattr(part, name) for part in parts]) for name in ("drawn", "without"))
    scale, counted = parts[0].scale, _counted_by_any(parts)
    counts = draws[: drawn.shape[1]].T
    # A training that isn't drawn may be undefined there.
    sums = np.where(counts > 0, counts * drawn, 0.0).sum(axis=0)
    values = [part.value for part in parts if part.value is not None]
    if len(values) < len(parts):
        return Replicates(None, sums / len(parts), without.mean(axis=0), scale, counted=counted)
    # With one training left out, the mean deviates by this from the mean of all.
    seeds = -_apart(np.array(values)) / (len(values) - 1)
    return Replicates(float(np.mean(values)), sums / len(parts), without.mean(axis=0), scale, (seeds,), counted)


def _counted_by_any(parts: Sequence[Replicates]) -> Bools | None:
    """Units that contribute to one of several metrics; None: all."""
    known = [part.counted for part in parts if part.counted is not None]
    return np.logical_or.reduce(known) if len(known) == len(parts) else None


def _apart(values: Floats) -> Floats:
    """Mean of some values minus each of them; exactly 0 where all are equal, though the mean is rounded."""
    from_first = values - values[:1]
    return from_first.mean() - from_first if len(values) else from_first


def _table(statistic: Statistic, names: Sequence[str], draws: Ints) -> Floats:
    """Metrics of each draw. Shapes: [R, U] -> [R, number of metrics]; None becomes NaN."""
    rows = [statistic(draw) for draw in draws]
    values: list[list[Any]] = [[np.nan if row[name] is None else row[name] for name in names] for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(draws), len(names))
