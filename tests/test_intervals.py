"""Intervals of few events: their coverage by simulation, their bounds, and what goes into them."""

import numpy as np
import pytest
from scipy.stats import bootstrap, t, ttest_1samp

from archioptrx.report.comparison.bootstrap import Replicates, replicate, resamples
from archioptrx.report.comparison.intervals import LOG, LOG_ODDS, PLAIN, bca_interval, spread_of, student_interval
from benchmarks.interval_coverage import METRICS, coverage


def test_the_bootstrap_part_is_that_of_scipy():
    # The same draws and the same rule: our statistic counts units by weights where scipy takes indices.
    values = np.random.default_rng(1).exponential(size=15)
    found = bootstrap((values,), np.mean, n_resamples=500, method="BCa", rng=np.random.default_rng(2))
    without = np.array([np.delete(values, k).mean() for k in range(len(values))])
    ours = bca_interval(values.mean(), found.bootstrap_distribution, without.mean() - without, 1.9599639845)
    assert ours == pytest.approx((found.confidence_interval.low, found.confidence_interval.high), rel=1e-9)


def test_the_error_is_that_of_a_mean_but_for_the_correction():
    values = np.random.default_rng(1).normal(size=9)
    apart = Replicates(0.0, np.zeros(1), np.array([np.delete(values, k).mean() for k in range(9)])).apart
    events, seeds = spread_of(apart, ()), spread_of(np.zeros(9), (apart,))
    usual = values.std(ddof=1) / 3
    assert (events.error, events.free) == pytest.approx((usual * np.sqrt(9 / 8), 7))
    # Of seeds alone it is the t test.
    assert (seeds.error, seeds.free) == pytest.approx((usual, 8))
    assert seeds.p(values.mean()) == pytest.approx(ttest_1samp(values, 0).pvalue)
    assert seeds.quantile == pytest.approx(t.ppf(0.975, 8))


@pytest.mark.parametrize("name", ["mean", "share 0.95", "share 0.999", "difference of shares"])
@pytest.mark.parametrize("units", [6, 12])
def test_intervals_of_few_events_cover(name, units):
    """0.93 or more, see docs/report_statistics.md; of 400 simulations, less three standard deviations."""
    ours, plain = coverage(METRICS[name], units, 400, 300)
    assert ours >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / 400)
    assert plain < ours


@pytest.mark.long
@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("units", [6, 8, 12, 20])
def test_intervals_cover(name, units):
    ours, _ = coverage(METRICS[name], units, 2000)
    assert ours >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / 2000)


@pytest.mark.parametrize(("scale", "value"), [(LOG_ODDS, 0.999), (LOG_ODDS, 0.001), (LOG, 0.001)])
def test_an_interval_keeps_the_bounds_of_a_share_and_of_a_loss(scale, value):
    spread = spread_of(np.full(6, 0.001), ())
    low, high = student_interval(value, spread, scale)
    assert 0 < low < value < high and (scale == LOG or high < 1)
    plain = student_interval(value, spread, PLAIN)
    assert plain[0] <= 0 or plain[1] >= 1


@pytest.mark.parametrize("value", [0.0, 1.0, -0.2])
def test_a_share_without_odds_has_the_plain_interval(value):
    spread = spread_of(np.full(6, 0.001), ())
    assert student_interval(value, spread, LOG_ODDS) == student_interval(value, spread, PLAIN)


def test_no_interval_of_two_events():
    assert replicate(lambda w: {"x": float(w @ [1.0, 2.0])}, resamples(2, 100, 0))["x"].interval is None
