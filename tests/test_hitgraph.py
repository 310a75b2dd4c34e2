"""The data contract: order of edges, batches, particle ids, pickles."""

import pickle

import numpy as np
import pytest
import torch
from graphs import graph_faults, random_arrays, random_graph
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch

from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.data.hitgraph import batch_graphs, sorted_graph, subgraph


def with_triplets(seed: int):
    arrays = random_arrays(seed)
    arrays["triplet_index"] = np.random.default_rng(seed).integers(0, 30, (2, 9))
    arrays["y_triplet"] = np.arange(9) % 2
    pairs = np.stack(np.triu_indices(12, 1))
    arrays["loss_index"] = np.random.default_rng(seed).permutation(pairs, axis=1)[:, :7]
    arrays["y_loss"] = np.arange(7) % 2
    arrays["embedding"] = np.random.default_rng(seed).random((12, 2))
    return arrays, make_graph(arrays, Metadata("test"), f"e{seed}", 0)


@given(st.integers(0, 10_000))
def test_edges_are_sorted_and_come_back_in_the_callers_order(seed):
    arrays, graph = random_arrays(seed), random_graph(seed)
    assert (graph.edge_index[1].diff() >= 0).all()
    assert np.array_equal(graph.in_file_order(graph.edge_index.T).T, arrays["edge_index"])
    assert np.array_equal(graph.in_file_order(graph.y), arrays["y"])
    same_end = graph.edge_index[1].diff() == 0
    assert (graph.edge_order.diff()[same_end] > 0).all(), "ties keep the caller's order"


def test_triplets_follow_the_sorted_edges():
    arrays, graph = with_triplets(3)
    ours = graph.edge_index[:, graph.triplet_index]
    assert np.array_equal(ours, arrays["edge_index"][:, arrays["triplet_index"]])


def test_a_batch_counts_hits_for_edges_and_edges_for_triplets():
    graphs = [with_triplets(seed)[1] for seed in (1, 2, 3)]
    batch = batch_graphs(graphs)
    for k, graph in enumerate(graphs):
        assert torch.equal(batch.edge_index[:, 30 * k : 30 * (k + 1)], graph.edge_index + 12 * k)
        assert torch.equal(batch.triplet_index[:, 9 * k : 9 * (k + 1)], graph.triplet_index + 30 * k)
        assert torch.equal(batch.loss_index[:, 7 * k : 7 * (k + 1)], graph.loss_index + 12 * k)
    assert batch.num_graphs == 3
    assert batch.ptr.tolist() == [0, 12, 24, 36]
    assert (batch.edge_index[1].diff() >= 0).all()
    assert torch.equal(batch.hit_id, torch.cat([g.hit_id for g in graphs]))


def test_our_batch_is_that_of_torch_geometric():
    graphs = [with_triplets(seed)[1] for seed in (4, 5)]
    ours, theirs = batch_graphs(graphs).to_dict(), Batch.from_data_list(graphs).to_dict()
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        if isinstance(ours[key], torch.Tensor):
            assert torch.equal(ours[key], value), key
        else:
            assert ours[key] == list(value), key


def test_particles_of_different_events_stay_apart_and_noise_stays_noise():
    first, second = random_graph(1, "a", 0), random_graph(2, "b", 0)
    same_event = random_graph(3, "a", 1)
    batch = batch_graphs([first, second, same_event])
    ids = batch.particles()
    assert torch.equal(ids == 0, batch.pid == 0)
    events = torch.tensor([0, 1, 0])[batch.batch]
    alike = (ids[:, None] == ids[None, :]) & (ids[:, None] > 0)
    expected = (events[:, None] == events[None, :]) & (batch.pid[:, None] == batch.pid[None, :])
    assert torch.equal(alike, expected & (batch.pid[:, None] > 0))


def test_particles_of_one_graph():
    graph = random_graph(1)
    graph.pid = torch.tensor([7, 0, 7, 9, 2**52, 0])
    assert graph.particles().tolist() == [1, 0, 1, 2, 3, 0]


def test_a_pickle_restores_every_field_and_owns_its_memory():
    graph = with_triplets(1)[1]
    buffers: list[pickle.PickleBuffer] = []
    restored = pickle.loads(pickle.dumps(graph, protocol=5, buffer_callback=buffers.append), buffers=buffers)
    assert set(restored.to_dict()) == set(graph.to_dict())
    assert all(torch.equal(graph[k], restored[k]) for k in graph.keys() if isinstance(graph[k], torch.Tensor))  # noqa: SIM118
    restored.x.zero_()
    assert graph.x.abs().sum() > 0


@given(st.integers(0, 1000))
def test_a_subgraph_keeps_the_edges_and_triplets_inside(seed):
    graph = with_triplets(seed)[1]
    keep = torch.tensor(np.random.default_rng(seed).random(12) < 0.7)
    part = subgraph(graph, keep)
    inside = keep[graph.edge_index].all(dim=0)
    assert torch.equal(part.hit_id[part.edge_index], graph.hit_id[graph.edge_index[:, inside]])
    assert torch.equal(part.y, graph.y[inside])
    assert sorted(part.edge_order.tolist()) == list(range(part.num_edges))
    whole = graph.hit_id[graph.edge_index[:, graph.triplet_index[:, inside[graph.triplet_index].all(dim=0)]]]
    assert torch.equal(part.hit_id[part.edge_index[:, part.triplet_index]], whole)
    pairs = keep[graph.loss_index].all(dim=0)
    assert torch.equal(part.hit_id[part.loss_index], graph.hit_id[graph.loss_index[:, pairs]])
    assert torch.equal(part.y_loss, graph.y_loss[pairs])
    assert torch.equal(part.embedding, graph.embedding[keep])


def test_where_hits_and_edges_are_equally_many_nothing_is_mixed_up():
    graph = random_graph(1, hits=30, edges=30)
    part = subgraph(graph, torch.arange(30) < 20)
    assert len(part.x) == len(part.pid) == 20
    assert len(part.y) == part.num_edges < 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": torch.zeros(3)}, "y has 3 rows; allowed: one per edge, 30"),
        ({"pid": torch.zeros(3)}, "pid has 3 rows; allowed: one per hit, 12"),
        ({"x": torch.full((12, 3), torch.nan)}, "x holds NaN or infinite numbers; allowed: finite ones"),
        ({"loss_index": torch.full((2, 7), 12)}, "loss_index points outside the 12 hits; allowed: 0 … 11"),
        (
            {"loss_index": torch.zeros((2, 7), dtype=torch.int64), "y_loss": torch.zeros(3)},
            "y_loss has 3 rows; allowed: one per pair of the loss, 7",
        ),
        ({"edge_index": torch.full((2, 30), 12)}, "edge_index points outside the 12 hits; allowed: 0 … 11"),
        (
            {"edge_index": torch.arange(30).flip(0)[None].expand(2, -1) % 12},
            "edge_index isn't sorted by destination; sorted_graph does it",
        ),
    ],
)
def test_faults_of_a_graph_are_named(change, message):
    graph = random_graph(1)
    assert graph_faults(graph) == []
    for key, value in change.items():
        graph[key] = value
    assert graph_faults(graph) == [message]


def test_hit_ids_are_counted_where_the_source_has_none():
    graph = sorted_graph({"x": torch.zeros(3, 3), "edge_index": torch.tensor([[0, 1], [1, 2]])}, "a", 0)
    assert graph.hit_id.tolist() == [0, 1, 2]
