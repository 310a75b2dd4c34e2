"""Answers for whole events: track count and track set against answers by hand, oracles, invariances."""

import math

import numpy as np
import pytest
import torch
from graphs import toy
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ConstantOracle, PerfectOracle
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import huber_loss

from archioptrx.commands.evaluate import as_text
from archioptrx.core.errors import InputError
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.tasks import make_task
from archioptrx.tasks.options.meaning import differing_meaning
from archioptrx.tasks.track_count import track_numbers
from archioptrx.training.fit import evaluate_model


def counting(**options):
    return make_task({"name": "track_count", **options})


def listing(*parameters, **options):
    return make_task({"name": "track_set", "parameters": list(parameters or ("phi",)), **options})


# --- track count -----------------------------------------------------------------------------------------------------


def test_particles_with_enough_hits_are_counted_event_by_event():
    first, second = toy(2, event_size_min=3, event_size_max=3).graphs
    second.pid[second.pid == 2] = 0  # noise
    few = (first.pid == 1).nonzero().flatten()
    first.pid[few[2:]] = 0  # two hits are left
    batch = batch_graphs([first, second])
    assert track_numbers(batch, 3).tolist() == [2, 2]
    assert track_numbers(batch, 2).tolist() == [3, 2]
    assert track_numbers(batch, 100).tolist() == [0, 0]


def test_losses_of_counts():
    batch = batch_graphs(toy(3).graphs)
    truth = track_numbers(batch, 3).double()
    output = torch.tensor([0.3, 0.9, 2.0], dtype=torch.float64)
    assert torch.isclose(counting().loss(output, batch), huber_loss(output, truth / 10))
    expected = (output.exp() - truth / 5 * output).mean()
    assert torch.isclose(counting(loss="poisson", scale=5.0).loss(output, batch), expected)
    assert counting(loss="poisson").loss(torch.full((3,), 500.0), batch).isfinite()


def test_metrics_of_counts():
    graphs = toy(3).graphs
    truth = torch.cat([track_numbers(graph, 3) for graph in graphs])
    output = [(number + shift)[None] / 10 for number, shift in zip(truth, (0.0, 0.4, -2.0), strict=True)]
    metrics = counting().metrics(output, graphs)
    assert metrics["exact"] == pytest.approx(2 / 3)
    assert (metrics["mean_error"], metrics["bias"]) == (pytest.approx(0.8, abs=1e-5), pytest.approx(-1.6 / 3, abs=1e-5))
    assert metrics["rms"] == pytest.approx(math.sqrt((0.16 + 4) / 3), abs=1e-5)
    assert counting().metrics([], [])["explained"] is None


@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_oracles_of_the_count(loss):
    task, graphs = counting(loss=loss), toy(8).graphs
    perfect = evaluate_model(PerfectOracle(task), task, graphs)
    assert (perfect["explained"], perfect["exact"]) == (pytest.approx(1.0), 1.0)
    constant = evaluate_model(ConstantOracle(task), task, graphs)
    mean = float(np.mean([float(track_numbers(graph, 3)) for graph in graphs]))
    assert constant["bias"] == pytest.approx(10 - mean)
    assert constant["explained"] == 0.0


def test_events_without_particle_ids_are_refused_for_the_count():
    graph = toy(1).graphs[0]
    assert counting().data_fault(graph) is None
    del graph.pid
    assert "no particle ids (pid); allowed: a source that knows them" in counting().data_fault(graph)


# --- track set -------------------------------------------------------------------------------------------------------


def event_of(*angles):
    """A toy event whose particles start at these angles."""
    graph = toy(1, event_size_min=len(angles), event_size_max=len(angles)).graphs[0]
    graph["particles"][1:, 1] = torch.tensor(angles)
    return graph


def slots(*rows):
    """Output of one event: logit and angle of each slot."""
    parts = [(logit, math.sin(angle) / 0.7, math.cos(angle) / 0.7) for logit, angle in rows]
    return torch.tensor(parts).flatten()[None]


def test_slots_and_tracks_are_matched_at_the_least_cost():
    task, graph = listing(slots=3, parameter_weight=4.0), event_of(0.0, 1.0)
    output = slots((2.0, 1.1), (2.0, 3.0), (2.0, 0.1))
    logits, given_, truth = output.reshape(3, 3)[:, 0], output.reshape(3, 3)[:, 1:], next(task._truths(graph))
    match = task.match(logits, given_, truth)
    assert sorted(zip(match.slots.tolist(), match.tracks.tolist(), strict=True)) == [(0, 1), (2, 0)]
    pairs = huber_loss(given_[match.slots], truth[match.tracks], delta=0.5)
    expected = bce(logits, torch.tensor([1.0, 0.0, 1.0])) + 4 * pairs
    assert torch.isclose(task.loss(output, graph), expected)


def test_a_slot_that_surely_exists_is_matched_before_one_that_doesn_t():
    task, graph = listing(slots=2), event_of(0.5)
    output = slots((-6.0, 0.5), (6.0, 0.6))
    match = task.match(output.reshape(2, 3)[:, 0], output.reshape(2, 3)[:, 1:], next(task._truths(graph)))
    assert match.slots.tolist() == [1]


@settings(max_examples=30)
@given(st.permutations(range(5)), st.permutations(range(3)), st.integers(0, 99))
def test_neither_the_order_of_slots_nor_of_tracks_matters(slot_order, track_order, seed):
    task = listing("phi", "charge_over_pt", slots=5)
    generator = torch.Generator().manual_seed(seed)
    output = torch.randn(1, 20, generator=generator, dtype=torch.float64)
    moved = output.reshape(5, 4)[list(slot_order)].reshape(1, 20)
    graph, other = toy(1, event_size_min=3, event_size_max=3).graphs[0], toy(1, event_size_min=3, event_size_max=3)
    renamed = other.graphs[0]
    place = torch.tensor([0, *(1 + k for k in track_order)])
    renamed["particles"] = graph["particles"][place]
    renamed.particle_index = torch.argsort(place)[graph.particle_index]
    for loss in (task.loss(moved, graph), task.loss(output, renamed)):
        torch.testing.assert_close(loss, task.loss(output, graph))
    assert task.metrics([moved], [renamed]) == pytest.approx(task.metrics([output], [graph]))


def test_metrics_of_lists_by_hand():
    task, graph = listing(slots=4, tolerance=0.2), event_of(0.0, 1.0, 2.0)
    # Found; found; too far off; not accepted although it would be right.
    output = slots((3.0, 0.05), (3.0, 1.0), (3.0, -2.5), (-3.0, 2.0))
    metrics = task.metrics([output], [graph])
    assert (metrics["efficiency"], metrics["purity"], metrics["f1"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert metrics["fake_rate"] == pytest.approx(1 / 3)
    assert (metrics["count_error"], metrics["tracks"]) == (0.0, 3)
    looser = task.metrics([output], [graph], cut=0.01)
    assert (looser["efficiency"], looser["purity"], looser["count_error"]) == (1.0, 0.75, 1.0)
    nothing = task.metrics([output - 100], [graph])
    assert (nothing["efficiency"], nothing["purity"], nothing["explained"]) == (0.0, None, None)
    with pytest.raises(InputError, match=r"^cut: is 1; allowed: between 0 and 1$"):
        task.metrics([output], [graph], cut=1.0)


@pytest.mark.parametrize("delta", [0.01, 0.2, 5.0])
def test_metrics_match_by_the_tolerance_whatever_the_training_had(delta):
    generator = torch.Generator().manual_seed(3)
    graph = event_of(0.0, 0.4, 0.9, 1.3)
    output = torch.randn(1, 24, generator=generator)
    output[0, ::3] = 3.0
    trained, other = (listing(slots=8, tolerance=0.2, delta=value) for value in (delta, 0.7))
    metrics, expected = trained.metrics([output], [graph]), other.metrics([output], [graph])
    assert metrics.pop("loss") != expected.pop("loss")
    assert metrics == expected
    assert not differing_meaning(trained.options, other.options)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_an_answer_that_is_no_number_has_a_loss_that_is_none(wrong):
    """A training then stops and names the step."""
    task, graph = listing(slots=2), event_of(0.0, 1.0)
    output = slots((2.0, 1.1), (wrong, 3.0))
    assert not task.loss(output, graph).isfinite()


def test_more_tracks_than_slots_are_missed():
    task, graph = listing(slots=2), event_of(0.0, 1.0, 2.0)
    perfect = task.metrics([task.perfect(graph)], [graph])
    assert (perfect["efficiency"], perfect["purity"]) == (pytest.approx(2 / 3), 1.0)
    assert task.loss(task.perfect(graph), graph).isfinite()


def test_oracles_of_the_list():
    graphs = toy(5).graphs
    task = listing("phi", "charge_over_pt", slots=12)
    perfect = evaluate_model(PerfectOracle(task), task, graphs)
    assert (perfect["f1"], perfect["explained"], perfect["count_error"]) == (1.0, pytest.approx(1.0), 0.0)
    constant = evaluate_model(ConstantOracle(task), task, graphs)
    assert constant["f1"] == 0.0
    mean = float(np.mean([float(track_numbers(graph, 3)) for graph in graphs]))
    assert constant["count_error"] == pytest.approx(12 - mean)


def test_batches_count_like_their_graphs():
    graphs = toy(4).graphs
    for task in (counting(), listing(slots=6)):
        width = 1 if task.name == "track_count" else task.target_width
        rows = torch.randn(4, width, generator=torch.Generator().manual_seed(1))
        output = rows.squeeze(1) if width == 1 else rows
        alone = task.metrics([output[k : k + 1] for k in range(4)], graphs)
        assert alone == pytest.approx(task.metrics([output], [batch_graphs(graphs)]), rel=1e-5)


def test_the_number_of_tracks_of_a_task_is_printed_as_a_number():
    """Under its key stands a table where tracks are found from scores."""
    assert as_text({"loss": 0.5, "tracks": 42}, []).splitlines()[1:] == [
        "  loss                       0.50000",
        "  tracks                     42",
    ]
