"""Coverage of the intervals of `archioptrx compare` by simulation: `python -m benchmarks.interval_coverage --help`.

Events are drawn from a known distribution, so that the true value of each metric is known; counted is how often a 95 %
interval contains it. Beside ours: the plain BCa bootstrap. Only numpy, no networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archioptrx.report.comparison.bootstrap import Replicates, resamples
from archioptrx.report.comparison.intervals import LOG, LOG_ODDS, PLAIN, bca_interval

Array = NDArray[np.float64]
Random = np.random.Generator
BINS = 40
"""Bins of the logits, for the AUC."""


@dataclass(frozen=True)
class Metric:
    """A metric of simulated events.

    Attributes
    ----------
    events
        Function that draws the sums of each event. Shapes: -> [U, K].
    value
        Metric of sums over events. Shapes: [R, K] -> [R].
    scale
        Scale of its interval.
    """

    events: Callable[[int, Random], Array]
    value: Callable[[Array], Array]
    scale: str


def _sizes(number: int, random: Random) -> NDArray[np.int64]:
    """Edges of each event: log-normal, as in events of unequal pile-up."""
    return np.round(2000 * random.lognormal(0, 0.5, number)).astype(np.int64)


def _mean(number: int, random: Random) -> Array:
    return np.stack([random.normal(0.3, 0.05, number), np.ones(number)], axis=1)


def _skewed(number: int, random: Random) -> Array:
    return np.stack([random.lognormal(0, 0.5, number), np.ones(number)], axis=1)


def _ratio(number: int, random: Random) -> Array:
    size = _sizes(number, random)
    return np.stack([random.binomial(size, random.beta(57, 3, number)), size], axis=1).astype(np.float64)


def _near_one(number: int, random: Random) -> Array:
    size = _sizes(number, random)
    faults = random.binomial(size, 0.001 * random.gamma(2, 0.5, number))
    return np.stack([size - faults, size], axis=1).astype(np.float64)


def _few_rows(number: int, random: Random) -> Array:
    size = np.maximum(1, random.poisson(26, number))
    return np.stack([random.binomial(size, 0.99), size], axis=1).astype(np.float64)


def _two_ratios(number: int, random: Random) -> Array:
    size, hard = _sizes(number, random), random.normal(0, 0.5, number)
    rates = [1 / (1 + np.exp(-(mean + hard + random.normal(0, 0.15, number)))) for mean in (3.0, 3.2)]
    return np.stack([*(random.binomial(size, rate) for rate in rates), size], axis=1).astype(np.float64)


def _logits(*means: float) -> Callable[[int, Random], Array]:
    """Histograms of the logits of true and false edges, for each model; some events are hard for all models."""
    ends = np.linspace(-4, 10, BINS - 1)

    def draw(number: int, random: Random) -> Array:
        true = np.round(300 * random.lognormal(0, 0.5, number)).astype(np.int64)
        false = np.round(true * 2 * random.lognormal(0, 0.3, number)).astype(np.int64)
        hard = random.normal(0, 0.4, number)
        rows = np.zeros((number, len(means), 2, BINS))
        for event in range(number):
            for model, mean in enumerate(means):
                shift = mean + hard[event] + random.normal(0, 0.1)
                for kind, (middle, edges) in enumerate(((shift, true[event]), (0.0, false[event]))):
                    places = np.searchsorted(ends, random.normal(middle, 1, edges))
                    rows[event, model, kind] = np.bincount(places, minlength=BINS)
        return rows.reshape(number, -1)

    return draw


def _share(sums: Array) -> Array:
    return sums[:, 0] / sums[:, 1]


def _auc(sums: Array) -> Array:
    true, false = sums[:, :BINS], sums[:, BINS : 2 * BINS]
    below = np.cumsum(false, axis=1) - false
    result: Array = ((below + false / 2) * true).sum(axis=1) / (true.sum(axis=1) * false.sum(axis=1))
    return result


METRICS = {
    "mean": Metric(_mean, _share, PLAIN),
    "skewed loss": Metric(_skewed, _share, LOG),
    "share 0.95": Metric(_ratio, _share, LOG_ODDS),
    "share 0.999": Metric(_near_one, _share, LOG_ODDS),
    "share 0.99 of 26": Metric(_few_rows, _share, LOG_ODDS),
    "AUC 0.91": Metric(_logits(2.0), _auc, LOG_ODDS),
    "AUC 0.996": Metric(_logits(4.0), _auc, LOG_ODDS),
    "difference of shares": Metric(_two_ratios, lambda sums: (sums[:, 1] - sums[:, 0]) / sums[:, 2], PLAIN),
    "difference of AUCs": Metric(
        _logits(3.0, 3.05), lambda sums: _auc(sums[:, 2 * BINS :]) - _auc(sums[:, : 2 * BINS]), PLAIN
    ),
}


def true_value(metric: Metric) -> float:
    """Value of a metric of very many events."""
    total = sum(metric.events(5000, np.random.default_rng(seed)).sum(axis=0) for seed in range(8))
    return float(metric.value(np.atleast_2d(total))[0])


def replicates_of(metric: Metric, events: Array, number: int, seed: int) -> Replicates:
    """Metric of simulated events with all its resamples."""
    units = len(events)
    sums = [weights @ events for weights in (np.ones((1, units)), resamples(units, number, seed), 1 - np.eye(units))]
    whole, drawn, without = (metric.value(part) for part in sums)
    return Replicates(float(whole[0]), drawn, without, metric.scale)


def coverage(metric: Metric, units: int, times: int, number: int = 1000) -> tuple[float, float]:
    """Share of the intervals that contain the true value: ours, and the plain BCa bootstrap's.

    Simulations without an interval, in which all events have the same value, don't count.
    """
    truth, random = true_value(metric), np.random.default_rng(units)
    covered = []
    for seed in range(times):
        replicates = replicates_of(metric, metric.events(units, random), number, seed)
        if (ours := replicates.interval) is None:
            continue
        assert replicates.value is not None
        plain = bca_interval(replicates.value, replicates.drawn, replicates.apart, 1.959964)
        covered.append([low <= truth <= high for low, high in (ours, plain)])
    shares = np.mean(covered, axis=0)
    return float(shares[0]), float(shares[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table: a line for each metric, a column for each number of events."""
    parser = argparse.ArgumentParser(prog="benchmarks.interval_coverage", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[6, 8, 12, 20, 50])
    parser.add_argument("--times", type=int, default=2000, help="simulations of each (default: 2000)")
    args = parser.parse_args(arguments)
    print("| coverage | " + " | ".join(f"{units} events" for units in args.events) + " |")
    print("|---" * (1 + len(args.events)) + "|")
    for name, metric in METRICS.items():
        cells = [coverage(metric, units, args.times) for units in args.events]
        print(f"| {name} | " + " | ".join(f"{ours:.3f} ({plain:.3f})" for ours, plain in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
