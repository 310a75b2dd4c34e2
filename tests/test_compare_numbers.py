"""The numbers of a comparison: intervals, paired differences, changed decisions, memory."""

import numpy as np
import pytest
import torch
from graphs import metadata_of, random_arrays
from hypothesis import given
from hypothesis import strategies as st
from registries import restored
from scipy.stats import binomtest

from archioptrx.data.dataset import Dataset, make_graph
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.data.sources import load_dataset
from archioptrx.report.comparison.bootstrap import replicate, resamples
from archioptrx.report.comparison.decisions import compare_decisions, mcnemar
from archioptrx.report.comparison.memory import peak_memory
from archioptrx.report.comparison.pictures import display_of
from archioptrx.report.comparison.statistics import GraphStatistic, RowStatistic, TrackStatistic, judging_metrics
from archioptrx.report.comparison.units import EVENTS, GRAPHS, PARTS, units_of
from archioptrx.tasks import make_task
from archioptrx.tasks.metrics import METRICS, metric
from archioptrx.tasks.tracks.metrics import Selection, track_metrics
from archioptrx.tasks.tracks.scores import event_tracks
from archioptrx.training.measure import latencies

EDGES = make_task().rows


@pytest.fixture(scope="module")
def toy():
    return load_dataset({"source": "toy", "num_samples": 12, "seed": 3}).graphs


def noisy(graphs, spread, seed):
    """Logits of a classifier that knows the truth but for normal noise; some are equal."""
    random = np.random.default_rng(seed)
    return [
        torch.tensor((2 * g.y.numpy() - 1 + spread * random.normal(size=g.num_edges)).round(2), dtype=torch.float32)
        for g in graphs
    ]


def test_a_difference_is_narrower_than_its_parts_where_events_are_hard_for_both():
    hardness = np.random.default_rng(0).normal(size=30)
    draws = resamples(30, 400, 0)
    first, second = (
        replicate(lambda w, v=hardness + shift: {"mean": float(w @ v / w.sum())}, draws)["mean"]
        for shift in (0.0, 0.1 * np.random.default_rng(1).normal(size=30))
    )
    width = [high - low for low, high in (first.interval, second.interval, second.minus(first).interval)]
    assert width[2] < 0.3 * min(width[:2])


def test_no_interval_where_the_number_is_often_missing():
    values = np.arange(10.0)
    number = replicate(lambda w: {"x": None if w[0] == 0 else float(w @ values)}, resamples(10, 200, 0))["x"]
    assert number.value == 45.0
    assert number.interval is None  # the first unit is missing in a third of the resamples
    assert replicate(lambda w: {"x": float(w @ values)}, resamples(10, 200, 0))["x"].interval is not None


@given(st.integers(0, 2**20), st.sampled_from([0.3, 0.5, 0.7]))
def test_fast_metrics_are_the_tasks(seed, cut):
    """Units drawn k times give what the task says of graphs that stand k times."""
    graphs = load_dataset({"source": "toy", "num_samples": 5, "seed": 7}).graphs
    outputs, task = noisy(graphs, 2.0, seed), make_task()
    units = units_of(graphs * 2, None)  # ten graphs of five events are units one by one
    assert units.kind == GRAPHS
    weights = np.random.default_rng(seed).multinomial(10, np.full(10, 0.1))
    fast = RowStatistic(task, outputs * 2, graphs * 2, units, cut)(weights)
    slow = GraphStatistic(task, outputs * 2, graphs * 2, units, cut)(weights)
    assert slow == pytest.approx({name: fast[name] for name in slow}, rel=1e-6)
    assert set(fast) == set(slow)


def test_metrics_of_a_user_are_those_of_the_task(toy):
    """Of a resample they get what the task gives them: rows, values at their ends, ranking; only rates are quick."""
    outputs, task, units = noisy(toy, 2.0, 0), make_task(), units_of(toy, EDGES)
    weights = np.random.default_rng(4).multinomial(12, np.full(12, 1 / 12))
    assert RowStatistic(task, outputs, toy, units, 0.5).quick()
    with restored(METRICS):

        @metric("error_rate", of="edges", better="small", tasks=["edge_classification"])
        def error_rate(rows):
            return 1 - rows.rates["accuracy"]

        assert RowStatistic(task, outputs, toy, units, 0.5).quick()

        @metric("fast_purity", of="edges")
        def fast_purity(rows):
            chosen = (rows.at_ends("pt")[0] > 1) & rows.accepted
            return rows.truth[chosen].mean()

        statistic = RowStatistic(task, outputs, toy, units, 0.5)
        fast, slow = statistic(weights), GraphStatistic(task, outputs, toy, units, 0.5)(weights)
        assert not statistic.quick()
        assert 0 < fast["fast_purity"] < 1 and fast["error_rate"] == pytest.approx(1 - fast["accuracy"])
        assert fast == pytest.approx(slow, rel=1e-6)


def test_masked_edges_do_not_count(toy):
    graphs = [graph.clone() for graph in toy]
    for graph in graphs:
        graph.edge_mask = torch.arange(graph.num_edges) % 3 > 0
    units, task, outputs = units_of(graphs, EDGES), make_task(), noisy(graphs, 1.0, 0)
    fast = RowStatistic(task, outputs, graphs, units, 0.5)(np.ones(units.number, dtype=np.int64))
    assert fast == pytest.approx(judging_metrics(task.metrics(outputs, graphs)), rel=1e-6)


def test_units_are_events_then_graphs_then_parts(toy):
    assert (units_of(toy, EDGES).kind, units_of(toy, EDGES).number) == (EVENTS, 12)
    few = units_of(toy[:3], EDGES)
    assert (few.kind, few.number, few.parts) == (PARTS, 18, 6)
    assert units_of(toy[:3], None).kind == ""
    # Parts are ranges of φ that hold equally many edges.
    rows = make_task().rows
    units = few.of_rows(1, toy[1], rows)
    assert set(units) == set(range(6, 12))
    counts = np.bincount(units)[6:]
    assert counts.max() - counts.min() <= 1
    phi = toy[1].x[toy[1].edge_index[0], 1].numpy()
    assert phi[units == 6].max() <= phi[units == 7].min()


def test_track_metrics_are_sums_over_events(toy):
    task, selection = make_task(), Selection(pt_min=1.0)
    labels = [task.tracks(output, graph) for output, graph in zip(noisy(toy, 2.0, 1), toy, strict=True)]
    events = event_tracks(toy, labels)
    metrics = TrackStatistic(events, selection)(np.ones(len(events), dtype=np.int64))
    whole = track_metrics(events, selection)
    assert 0 < metrics["track_fake_rate"] < 1 and 0 < metrics["track_efficiency"] < 1
    assert metrics == pytest.approx({name: whole[name] for name in metrics})


def test_fixes_and_worsens_by_hand():
    truth = np.array([1, 1, 1, 0, 0, 0, 0], dtype=bool)
    first = np.array([1, 0, 0, 0, 1, 1, 0], dtype=bool)  # wrong: 1, 2, 4, 5
    second = np.array([0, 1, 0, 0, 0, 1, 1], dtype=bool)  # wrong: 0, 2, 5, 6
    pair = compare_decisions("a", "b", first, second, truth)
    assert (pair.fixes, pair.worsens, pair.both_wrong, pair.both_right, pair.rows) == (2, 2, 2, 1, 7)
    assert pair.net == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=40))
def test_exchanged_models_are_a_mirror(rows):
    first, second, truth = np.array(rows, dtype=bool).reshape(-1, 3).T
    forward, back = compare_decisions("a", "b", first, second, truth), compare_decisions("b", "a", second, first, truth)
    assert (forward.fixes, forward.worsens, forward.net, forward.p) == (back.worsens, back.fixes, -back.net, back.p)
    assert forward.fixes + forward.worsens + forward.both_right + forward.both_wrong == len(rows)


@pytest.mark.parametrize(("fixes", "worsens"), [(389, 10), (3, 5), (4, 4), (0, 1), (1000, 1100)])
def test_mcnemar_is_a_binomial_test(fixes, worsens):
    assert mcnemar(fixes, worsens) == pytest.approx(binomtest(fixes, fixes + worsens).pvalue, rel=1e-9)
    assert mcnemar(0, 0) == 1.0


class Wide(torch.nn.Module):
    """Makes [N, width] twice, and holds both at one time."""

    def __init__(self, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3, width))

    def forward(self, graph):
        first = graph.x @ self.weight
        second = first.view(-1).relu().view_as(first)
        del first
        return second.sum(dim=1)


def test_memory_is_that_of_the_tensors(toy):
    graph = batch_graphs([toy[0]])
    hits = len(graph.x)
    # 4 bytes: two of [N, width] live at one time; the view takes nothing, and the sum comes when the first is gone.
    assert peak_memory(Wide(100), graph) == 4 * hits * 200
    assert peak_memory(Wide(200), graph) == 2 * peak_memory(Wide(100), graph)


def test_latencies_are_of_all_models(toy):
    graph = batch_graphs([toy[0]])
    milliseconds = latencies([Wide(1), Wide(2)], [graph, graph])
    assert len(milliseconds) == 2
    assert all(0 < ms < float("inf") for ms in milliseconds)


def test_the_picture_has_a_sector_where_it_is():
    """Four φ sectors of one event, each turned to φ = 0 for the model: the third is beyond φ = 0."""
    arrays = random_arrays(3, hits=40, edges=80)
    graphs = [make_graph(arrays, metadata_of(4), "e", sector) for sector in range(4)]
    ends = 80 * np.arange(5)
    right = np.ones(320, dtype=bool)
    changed = right.copy()
    changed[ends[3] : ends[3] + 5] = False
    display = display_of(Dataset(graphs, metadata_of(4)), right, changed, right, ("a", "b"))
    assert display.event == "e, sector 3" and (display.state == 2).sum() == 5
    x, y = graphs[3].pos[:, :2].double().numpy().T
    turn = 3 * np.pi / 4
    expected = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1)
    np.testing.assert_allclose(display.hits, expected, atol=1e-9)
