"""Splits, fingerprints and scales."""

import pickle

import processes
import pytest
import torch
from graphs import random_dataset, random_graph, toy
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, Metadata, cut_sectors
from archioptrx.data.hitgraph import HitGraph


@given(st.integers(3, 12), st.integers(1, 3), st.integers(0, 5))
def test_no_event_is_in_two_parts_and_none_is_lost(events, sectors, seed):
    dataset = random_dataset(events, sectors)
    splits = dataset.split(seed=seed)
    names = [{g.event for g in part} for part in (splits.train, splits.validation, splits.test)]
    assert all(names)
    assert sum(map(len, names)) == events == len(set.union(*names))
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == events * sectors


def test_a_seed_gives_the_same_split_and_another_seed_another():
    dataset = random_dataset(20)
    parts = [[g.event for g in dataset.split(seed=seed).test] for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]


def test_split_and_fingerprint_are_the_same_in_another_process():
    code = (
        "from archioptrx.data.sources import load_dataset\n"
        "d = load_dataset({'source': 'toy', 'num_samples': 9})\n"
        "print(d.fingerprint, [g.event for g in d.split(seed=3).test])"
    )
    answer = processes.python(code)
    dataset = toy(9)
    assert answer.strip() == f"{dataset.fingerprint} {[g.event for g in dataset.split(seed=3).test]}"


def test_one_whole_event_is_cut_into_sectors_without_crossing_edges():
    graph = random_graph(1, hits=400, edges=3000)
    splits = Dataset((graph,), Metadata("test")).split()
    parts = [set(torch.cat([g.hit_id for g in p]).tolist()) for p in (splits.train, splits.validation, splits.test)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert "φ sectors without crossing edges (fewer than 3 events)" in splits.rule
    assert [len(p) for p in (splits.train, splits.validation, splits.test)] == [6, 1, 1]


def without_edges_at(graph, kept):
    """A graph with only those edges whose hits are all at angles that are `kept`, a function of the scaled φ."""
    start, end = graph.x[graph.edge_index, 1]
    mask = kept(start) & kept(end)
    fields = {name: graph[name][mask] for name in ("edge_attr", "y")} | {"edge_index": graph.edge_index[:, mask]}
    return HitGraph(**{**graph.to_dict(), **fields, "edge_order": torch.arange(int(mask.sum()))})


@pytest.mark.parametrize("kept", [lambda phi: phi < 0, lambda phi: phi > 0.2, lambda phi: phi.abs() < 0.5])
def test_sectors_without_edges_stay_with_others_and_keep_their_hits(kept):
    graph = without_edges_at(random_graph(1, hits=400, edges=3000), kept)
    splits = Dataset((graph,), Metadata("test")).split(0.3, 0.3)
    parts = (splits.train, splits.validation, splits.test)
    assert sorted(torch.cat([piece.hit_id for part in parts for piece in part]).tolist()) == sorted(
        graph.hit_id.tolist()
    )
    assert all(any(piece.num_edges for piece in part) for part in parts)


def test_sectors_are_recentred_and_keep_their_edge_features():
    graph = random_graph(1, hits=400, edges=3000)
    pieces = cut_sectors(graph, Metadata("test"), 8)
    assert all(p.x[:, 1].abs().max() <= 1 / 8 + 1e-6 for p in pieces)
    before = {tuple(graph.hit_id[e].tolist()): a for e, a in zip(graph.edge_index.T, graph.edge_attr, strict=True)}
    for piece in pieces:
        for ends, features in zip(piece.edge_index.T, piece.edge_attr, strict=True):
            assert torch.equal(features, before[tuple(piece.hit_id[ends].tolist())])


def test_few_events_with_sectors_are_divided_by_sector():
    splits = random_dataset(1, sectors=16).split()
    assert [len(p) for p in (splits.train, splits.validation, splits.test)] == [12, 2, 2]


def test_a_part_may_be_left_out():
    splits = random_dataset(5).split(test=0)
    assert [len(p) for p in (splits.train, splits.validation, splits.test)] == [4, 1, 0]


def test_test_events_of_their_own_come_in_the_scales_of_the_training_data():
    dataset = random_dataset(5)
    wide = Metadata("test", edge_scale=(1.0, 1.0, 1.0, 1.0, 1.0))
    other = Dataset(tuple(random_graph(99 + k, f"t{k}") for k in range(3)), wide)
    splits = dataset.split(test=other)
    assert [len(p) for p in (splits.train, splits.validation, splits.test)] == [4, 1, 3]
    physical = splits.test[0].edge_attr * torch.tensor(dataset.metadata.edge_scale)
    assert torch.allclose(physical, other.graphs[0].edge_attr, rtol=1e-5)


def test_test_events_may_not_be_among_the_training_events():
    dataset = random_dataset(5)
    with pytest.raises(InputError, match=r"^test: holds events of the training data: e001; allowed: other events$"):
        dataset.split(test=Dataset(dataset.graphs[1:2], dataset.metadata))


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.5, 0.5), (float("nan"), 0.1), (0.1, 1.0)])
def test_shares_out_of_range_are_refused(shares):
    with pytest.raises(InputError, match=r"allowed: 0 … 1, together below 1"):
        random_dataset(5).split(*shares)


def test_too_few_events_are_refused():
    with pytest.raises(InputError, match=r"^data: 0 φ sectors .* can't be divided into 3 parts"):
        Dataset((random_graph(1, hits=2, edges=1),), Metadata("test")).split()


def test_the_fingerprint_knows_content_and_not_order():
    dataset = random_dataset(4)
    turned = Dataset(dataset.graphs[::-1], dataset.metadata)
    assert dataset.fingerprint == turned.fingerprint == pickle.loads(pickle.dumps(dataset)).fingerprint
    changed = pickle.loads(pickle.dumps(dataset.graphs))
    changed[2].y[0] = 1 - changed[2].y[0]
    assert Dataset(changed, dataset.metadata).fingerprint != dataset.fingerprint
    assert Dataset(dataset.graphs, Metadata("test", sectors=2)).fingerprint != dataset.fingerprint


def test_scales_of_another_data_set():
    dataset = random_dataset(3)
    other = Metadata("test", node_scale=(500.0, 1.0, 250.0))
    scaled = dataset.scaled_like(other)
    physical = torch.tensor(dataset.metadata.node_scale) * dataset.graphs[0].x
    assert torch.allclose(scaled.graphs[0].x * torch.tensor(other.node_scale), physical, rtol=1e-5)
    assert scaled.metadata.node_scale == other.node_scale
    assert dataset.scaled_like(dataset.metadata) is dataset


def test_other_features_are_refused():
    charged = Metadata("test", node_features=("r", "φ", "z", "charge"), node_scale=(1.0,) * 4)
    with pytest.raises(InputError, match=r"^data: has the node_features r, φ, z; allowed here: r, φ, z, charge$"):
        random_dataset(3).scaled_like(charged)


def test_metadata_round_trip():
    metadata = Metadata("test", sectors=4, options={"a": 1})
    assert Metadata.from_dict(metadata.to_dict()) == metadata
    assert metadata.widths == {"x": 3, "pos": 3, "edge_attr": 5}


def test_the_split_names_its_events_and_warns_of_single_ones():
    splits = random_dataset(3).split()
    train, validation, test = (part[0].event for part in (splits.train, splits.validation, splits.test))
    assert splits.rule == f"by events, seed 0: 1 training ({train}), 1 validation ({validation}), 1 test ({test})"
    assert splits.caution.startswith("training, validation and test have one event: their scores depend on which event")
    some = random_dataset(12).split(validation=0.3, test=0.05)
    assert f"({some.train[0].event} …)" in some.rule
    assert some.caution.startswith("test has one event: its score depends on which event")
    assert random_dataset(20).split().caution == ""


def test_few_events_are_divided_by_sector_where_asked_for():
    graphs = tuple(random_graph(k, f"e{k}", hits=400, edges=3000) for k in range(3))
    splits = Dataset(graphs, Metadata("test")).split(by="sectors")
    assert splits.rule == "by φ sectors without crossing edges, seed 0: 16 training, 4 validation, 4 test"
    assert {graph.event for graph in splits.train} == {"e0", "e1", "e2"}
    assert not splits.whole_test
    assert splits.caution == "all parts are sectors of the same 3 events: their scores are not those of other events"
