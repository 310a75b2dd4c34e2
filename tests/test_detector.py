"""The layers of the TrackML detector, and which of them follow each other on a track."""

import numpy as np
import pytest

from archioptrx.data.graph_construction import true_pairs
from archioptrx.data.simulation.detector import BARREL, SURFACES, layer_numbers, layer_pairs
from archioptrx.data.sources.event_files import find_events
from archioptrx.data.sources.trackml import read_event


def test_the_layers_are_those_of_the_challenge():
    assert len(SURFACES) == 48
    assert [(s.volume, s.layer) for s in SURFACES[:BARREL]][::9] == [(8, 2), (17, 4)]
    numbers = layer_numbers(np.array([8, 17, 8, 99, -1]), np.array([2, 4, 3, 2, 2]))
    assert numbers.tolist() == [0, 9, -1, -1, -1]
    mirrored = {-s.place: s.layer for s in SURFACES if s.volume == 12}
    upper = {s.place: 14 - s.layer for s in SURFACES if s.volume == 14}
    assert mirrored == upper


def test_endcap_pairs_look_the_same_from_both_sides():
    other = {7: 9, 9: 7, 12: 14, 14: 12, 16: 18, 18: 16}
    mirror = []
    for s in SURFACES:
        place = s.place if s.barrel else -s.place
        twin = [k for k, t in enumerate(SURFACES) if t.volume == other.get(s.volume, s.volume) and t.place == place]
        mirror += twin
    pairs = set(layer_pairs("all"))
    assert {(mirror[a], mirror[b]) for a, b in pairs} == pairs
    assert pairs < set(layer_pairs("all", 1))
    assert set(layer_pairs("barrel")) < pairs


def test_the_pairs_of_layers_hold_the_true_pairs_of_a_real_event(shared_data):
    """The figures that the docstring of `layer_pairs` names."""
    event, _ = read_event(find_events(shared_data / "trackml/event000000001-hits.csv.gz")[0])
    layer = layer_numbers(event.volume, event.layer)
    fields = event.particle_fields()
    vertex = np.vstack([np.zeros(3), event.vertex])[fields["particle_index"]]
    true, overlaps = true_pairs(fields["particle_index"], layer, np.linalg.norm(event.pos - vertex, axis=1))
    shares = []
    for skip in (0, 1):
        pairs = set(layer_pairs("all", skip)) | {(b, a) for a, b in layer_pairs("all", skip)}
        shares.append(np.mean([tuple(pair) in pairs for pair in layer[true].T.tolist()]))
    assert [len(layer_pairs("all", skip)) for skip in (0, 1)] == [114, 189]
    assert (true.shape[1], overlaps) == (3113, 1117)
    assert shares == pytest.approx([0.9888, 0.9974], abs=1e-4)
