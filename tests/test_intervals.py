"""Intervals of few events: their coverage by simulation, their bounds, and what goes into them."""

from copy import copy

import numpy as np
import pytest
import torch
from graphs import toy
from scipy.stats import bootstrap, t, ttest_1samp

from archioptrx.data.hitgraph import subgraph
from archioptrx.data.sources import load_dataset
from archioptrx.report.comparison.bootstrap import Replicates, over_seeds, replicate, resamples
from archioptrx.report.comparison.intervals import (
    DIFFERENCE,
    LOG,
    LOG_ODDS,
    PLAIN,
    Spread,
    bca_interval,
    spread_of,
    student_interval,
)
from archioptrx.report.comparison.result import Number
from archioptrx.report.comparison.text import interval_text
from archioptrx.report.comparison.units import EVENTS, PARTS, scored_graphs, units_of
from archioptrx.tasks import make_task
from benchmarks.interval_coverage import METRICS, coverage

EDGES = make_task().rows


def test_the_bootstrap_part_is_that_of_scipy():
    # The same draws and the same rule: our statistic counts units by weights where scipy takes indices.
    values = np.random.default_rng(1).exponential(size=15)
    theirs = bootstrap((values,), np.mean, n_resamples=500, method="BCa", rng=np.random.default_rng(2))
    without = np.array([np.delete(values, k).mean() for k in range(len(values))])
    ours = bca_interval(values.mean(), theirs.bootstrap_distribution, without.mean() - without, 1.9599639845)
    assert ours == pytest.approx((theirs.confidence_interval.low, theirs.confidence_interval.high), rel=1e-9)


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


@pytest.mark.parametrize("name", ["mean", "share 0.95", "share 0.999", "share 0.99 of 26", "difference of shares"])
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


@pytest.mark.parametrize(
    ("value", "scale", "low", "high"),
    [
        (0.0, LOG_ODDS, 0.0, 0.026),
        (1.0, LOG_ODDS, 0.974, 1.0),
        (-0.2, LOG_ODDS, -0.226, -0.174),
        (0.0, LOG, 0.0, 0.026),
        (0.99, DIFFERENCE, 0.964, 1.0),
        (-0.99, DIFFERENCE, -1.0, -0.964),
    ],
)
def test_an_interval_at_a_bound_ends_there(value, scale, low, high):
    """Where the scale has no place for the value: a share without odds, a difference."""
    spread = Spread(0.01, 5, 1.0)
    assert student_interval(value, spread, scale) == pytest.approx((low, high), abs=5e-4)


def test_a_difference_of_shares_lies_within_one():
    apart = np.linspace(-0.05, 0.05, 5)
    rare, common = (Replicates(v, np.full(9, v), v + turn * apart, LOG_ODDS) for v, turn in ((0.03, -1), (0.97, 1)))
    assert common.minus(rare).interval[1] == 1.0


def trainings(random, events, seeds=3):
    """A metric of several trainings of one network: seeds differ, events differ, and seeds differ on single events."""
    values = random.normal(0.9, 0.01, (seeds, 1)) + events + random.normal(0, 0.005, (seeds, len(events)))
    draws, number = resamples(len(events), 300, 0), len(events)
    return [Replicates(float(row.mean()), draws @ row / number, (row.sum() - row) / (number - 1)) for row in values]


def test_trainings_of_one_network_are_marked_in_one_of_twenty():
    random = np.random.default_rng(3)
    weights = architectures = firm = 0
    for seed in range(300):
        events = random.normal(0, 0.02, 9)  # hard for one is hard for all
        first, second = trainings(random, events), trainings(random, events)
        low, high = second[0].minus(first[0]).interval
        weights += not low <= 0 <= high
        means = [over_seeds(seeds, resamples(3, 300, seed + place)) for place, seeds in enumerate((first, second))]
        difference = means[1].minus(means[0])
        assert difference.value == pytest.approx(means[1].value - means[0].value)
        low, high = difference.interval
        architectures += not low <= 0 <= high
        firm += difference.spread.p(difference.value) < 0.05
    # Two trainings do differ, on any events: an interval of other events alone says nothing about the network.
    assert weights > 150
    assert architectures <= firm <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)


def test_a_real_difference_of_networks_is_seen():
    random = np.random.default_rng(4)
    events = random.normal(0, 0.02, 9)
    draws = resamples(3, 300, 1)
    plain, shifted = (over_seeds(trainings(random, events + shift), draws) for shift in (0.0, 0.1))
    low, high = shifted.minus(plain).interval
    assert 0 < low < 0.1 < high < 0.2


def test_one_training_has_no_spread_of_seeds():
    single = trainings(np.random.default_rng(0), np.zeros(9), 1)
    assert over_seeds(single, resamples(1, 300, 0)) is single[0]


def shares(rows, right):
    """Share of right rows of events that have so many."""
    rows, right = np.array(rows, float), np.array(right, float)
    draws = resamples(len(rows), 300, 0)
    return replicate(lambda w: {"x": float(w @ right / (w @ rows)) if w @ rows else None}, draws, {"x": LOG_ODDS})["x"]


def test_events_that_say_nothing_about_a_metric_do_not_count():
    rows, right = [100, 80, 120, 90], [96, 70, 119, 88]
    full, partly = shares(rows, right), shares([*rows, 0, 0, 0, 0], [*right, 0, 0, 0, 0])
    assert partly.spread == full.spread and full.spread.free == 2
    assert len(partly.apart) == 4 and partly.interval is not None
    two = shares([100, 80, 0, 0, 0, 0], [96, 70, 0, 0, 0, 0])
    assert two.value is not None and two.spread is None and two.interval is None
    others = shares([0, 0, *rows, 50, 60], [0, 0, *right, 45, 40])
    assert len(others.minus(partly).apart) == 8, "one of the two says something about each event"
    assert len(over_seeds([partly, partly], resamples(2, 300, 0)).apart) == 4
    assert len(shares([10, 10, 10], [4, 5, 6]).apart) == 3, "the second has just the share of all"


def test_intervals_of_fewer_events_than_promised_still_cover():
    random, covered, known = np.random.default_rng(5), 0, 0
    for _ in range(200):
        rows = np.append(random.poisson(200, 3), np.zeros(3, int))
        right = random.binomial(rows, random.beta(19 * 20, 20, 6))
        if (interval := shares(rows, right).interval) is not None:
            known += 1
            covered += interval[0] <= 0.95 <= interval[1]
    assert known > 150
    assert covered / known >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / known)


def test_units_are_chosen_by_the_graphs_that_have_something_to_score():
    graphs = list(toy(12).graphs)

    def kind(empty):
        without = [subgraph(g, torch.zeros(len(g.x), dtype=bool)) for g in graphs[:empty]]
        return units_of(without + graphs[empty:], EDGES)

    assert [kind(empty).kind for empty in (0, 6, 7)] == [EVENTS, EVENTS, PARTS]
    assert (kind(6).number, kind(7).parts, kind(12).number) == (12, 4, 0)


def test_triplets_are_scored_where_there_are_triplets_that_count():
    """Edges alone give nothing to score, and neither do rows that a mask takes away."""
    rows = make_task({"name": "triplet_classification"}).rows
    graphs = list(load_dataset({"source": "triplets", "of": {"source": "toy", "num_samples": 8}}).graphs)
    assert units_of(graphs, rows).kind == EVENTS
    masked = [copy(graph) for graph in graphs]
    for graph in masked[3:]:
        graph[rows.mask] = torch.zeros(graph[rows.index].shape[1], dtype=torch.bool)
    assert all(graph.num_edges for graph in masked)
    assert units_of(masked, rows).kind == PARTS and len(scored_graphs(masked, rows)) == 3


def test_an_interval_of_fewer_events_says_of_how_many():
    number = Number(0.5, 0.4, 0.6, units=4)
    assert interval_text(number, 20, digits=2) == "0.40…0.60 of 4"
    assert interval_text(number, 4, digits=2) == "0.40…0.60"


def equal_events(share, units):
    """Share of right rows, of events that all have the same."""
    right, rows = np.full(units, share * 26), np.full(units, 26.0)
    return replicate(lambda w: {"x": float(w @ right) / float(w @ rows)}, resamples(units, 100, 0), {"x": LOG_ODDS})[
        "x"
    ]


@pytest.mark.parametrize("share", [0.0, 0.7, 0.9, 1.0])
def test_where_all_events_have_the_same_share_nothing_is_known_of_its_interval(share):
    """Of 8 events of 26 rows, all of them right, the true share may well be 0.99: an interval 1 … 1 would not cover."""
    same = equal_events(share, 8)
    assert same.interval is None and same.spread is None
    draws = resamples(3, 100, 0)
    assert over_seeds([same] * 3, draws).interval is None, "trainings that all give the same"
    for units in range(3, 14):  # sums are rounded
        assert equal_events(share, units).interval is None
    assert same.minus(same).interval is None and same.minus(same).value == 0


def test_no_interval_of_two_events():
    assert replicate(lambda w: {"x": float(w @ [1.0, 2.0])}, resamples(2, 100, 0))["x"].interval is None
