"""Particles of an event, and how they travel with a graph, a part of it and a batch."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, Metadata, cut_sectors, make_graph
from archioptrx.data.event import PARTICLE_COLUMNS, Event
from archioptrx.data.hitgraph import batch_graphs, subgraph
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.hitgraphs import write


def event(pids, ids=(3, 8)):
    count = len(pids)
    angle = np.linspace(0, 1, count)
    return Event(
        name="e",
        hit_id=np.arange(count) + 1,
        pos=np.stack([30 * np.cos(angle), 30 * np.sin(angle), angle], axis=1),
        volume=np.full(count, 8),
        layer=np.full(count, 2),
        module=np.zeros(count, dtype=np.int64),
        pid=np.array(pids),
        weight=np.where(np.array(pids) == 0, 0.0, 0.25),
        particle_id=np.array(ids),
        momentum=np.array([[3.0, 4.0, 0.0], [0.0, 1.0, np.sinh(2.0)]])[: len(ids)],
        vertex=np.array([[0.3, 0.4, 5.0], [0.0, 0.0, -7.0]])[: len(ids)],
        charge=np.array([1.0, -1.0])[: len(ids)],
    )


def graph(pids):
    raw_event = event(pids)
    x = np.stack([raw_event.r / 1000, raw_event.phi / np.pi, raw_event.pos[:, 2] / 1000], axis=1)
    content = {
        "x": x,
        "edge_index": np.array([[0], [1]]),
        "y": np.ones(1),
        "pid": raw_event.pid,
        **raw_event.particle_fields(),
    }
    return make_graph(content, Metadata("test"), "e", 0)


def test_the_table_of_particles_has_the_documented_columns():
    fields = event([3, 8, 8, 0]).particle_fields()
    noise, *table = fields["particles"]
    assert fields["particle_id"].tolist() == [0, 3, 8]
    assert noise.tolist() == [0.0] * len(PARTICLE_COLUMNS)
    expected = [5.0, np.arctan2(4, 3), 0.0, 5.0, 0.5, 1.0, 1.0, 0.25]
    np.testing.assert_allclose(table[0], expected, atol=1e-12)
    np.testing.assert_allclose(table[1], [1.0, np.pi / 2, 2.0, -7.0, 0.0, -1.0, 2.0, 0.5], atol=1e-12)


def test_hits_without_a_particle_and_events_without_particles_point_at_noise():
    assert event([8, 0, 3]).particle_fields()["particle_index"].tolist() == [2, 0, 1]
    assert event([0, 0], ids=()).particle_fields()["particle_index"].tolist() == [0, 0]


def test_a_part_and_a_batch_keep_pointing_at_the_right_particle():
    whole = graph([3, 8, 0, 8])
    part = subgraph(whole, torch.tensor([False, True, True, True]))
    batch = batch_graphs([whole, part])
    assert batch.particle_index.tolist() == [1, 2, 0, 2, 5, 3, 5]
    assert batch.particle_batch.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(batch.particle_id[batch.particle_index], batch.pid)
    theirs = Batch.from_data_list([whole, part])
    assert torch.equal(theirs.particle_index, batch.particle_index)


def test_positions_and_particles_turn_with_the_sectors_that_an_event_is_cut_into():
    angles = np.array([-3.0, -2.9, 0.2, 0.3, 3.0, 3.1])
    r = np.array([32.0, 72.0] * 3)
    content = {
        "x": np.stack([r / 1000, angles / np.pi, np.zeros(6)], axis=1),
        "edge_index": np.array([[0, 2, 4], [1, 3, 5]]),
        "y": np.ones(3),
        "pid": np.array([1, 1, 2, 2, 3, 3]),
        "particle_index": np.array([1, 1, 2, 2, 3, 3]),
        "particle_id": np.arange(4),
        "particles": np.zeros((4, len(PARTICLE_COLUMNS))),
    }
    phi = PARTICLE_COLUMNS.index("φ")
    content["particles"][1:, phi] = angles[::2]
    metadata = Metadata("test")
    whole = make_graph(content, metadata, "e", 0)
    pieces = cut_sectors(whole, metadata, 8)
    assert [piece.sector for piece in pieces] == [0, 4, 7]
    for piece, pid in zip(pieces, (1, 2, 3), strict=True):
        hits = piece.x[:, 1].double() * np.pi
        torch.testing.assert_close(torch.atan2(piece.pos[:, 1], piece.pos[:, 0]).double(), hits, atol=1e-5, rtol=0)
        assert np.allclose(torch.hypot(piece.pos[:, 0], piece.pos[:, 1]), [32, 72])
        # The first hit of each particle lies in its direction; the others may be beyond ±π.
        torch.testing.assert_close(piece["particles"][pid, phi].double(), hits[0], atol=1e-5, rtol=0)
        assert piece["particles"].abs().max() <= np.pi and not piece["particles"][0].any()
    assert torch.equal(whole["particles"][1:, phi], torch.tensor(angles[::2], dtype=torch.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"particles": None}, "(lacks particles|points outside the 0 particles)"),
        ({"particles": np.zeros((3, 5))}, r"particles has the shape \[3, 5\]; allowed: \[particles, 8\]"),
        ({"particle_id": np.array([0, 8, 3])}, "particle_id isn't in order; allowed: 0 for noise, then increasing ids"),
        ({"particle_id": np.array([1, 3, 8])}, "particle_id isn't in order"),
        ({"particle_index": np.array([1, 2, 0, 3])}, "particle_index points outside the 3 particles"),
        ({"particle_index": np.array([2, 1, 0, 2])}, r"pid isn't particle_id\[particle_index\]; allowed: the same"),
    ],
)
def test_a_file_s_table_of_particles_is_checked(change, message, tmp_path):
    write(Dataset((graph([3, 8, 0, 8]),), Metadata("test", sectors=1)), tmp_path / "d")
    data = {"source": "hitgraphs", "path": str(tmp_path / "d")}
    assert torch.equal(load_dataset(data).graphs[0].particle_index, torch.tensor([1, 2, 0, 2]))
    (file,) = (tmp_path / "d").glob("*.npz")
    with np.load(file) as content:
        arrays = {key: value for key, value in {**content, **change}.items() if value is not None}
    np.savez(file, **arrays)
    with pytest.raises(InputError, match=message):
        load_dataset(data)
