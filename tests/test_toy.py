"""The toy detector: its tracks, edges and truth."""

import math

import numpy as np
import torch
from graphs import graph_faults, toy
from hypothesis import given, settings
from hypothesis import strategies as st

from archioptrx.data.options import ToyOptions
from archioptrx.data.sources.toy import WINDOW, largest_step


@given(st.integers(0, 50))
@settings(max_examples=10)
def test_toy_tracks_are_circles_through_the_origin(seed):
    graph = toy(1, seed=seed).graphs[0]
    r, phi = graph.x[:, 0].double() * 1000, graph.x[:, 1].double() * math.pi
    radius = graph.pt.double() / (0.3e-3 * 2)
    for pid in graph.pid.unique():
        mine = graph.pid == pid
        bend = torch.asin(r[mine] / (2 * radius[mine]))
        spread = [(phi[mine] + sign * bend).max() - (phi[mine] + sign * bend).min() for sign in (1, -1)]
        assert min(spread) < 1e-4, "φ0 is the same for all hits of a track"
        assert abs(phi[mine][r[mine].argmin()]) <= 0.35 * math.pi + 0.05
    assert set(np.round(r.numpy()).astype(int)) <= set(range(100, 1001, 100))


def test_toy_edges_join_adjacent_layers_and_true_ones_one_track():
    dataset = toy(20)
    for graph in dataset.graphs:
        layer = torch.round(graph.x[:, 0] * 10)
        start, end = graph.edge_index
        assert torch.all(layer[end] - layer[start] == 1)
        assert torch.equal(graph.y > 0.5, graph.pid[start] == graph.pid[end])
        assert int(graph.y.sum()) == 9 * len(graph.pid.unique()), "every consecutive pair is a candidate"
        assert graph_faults(graph) == []
    step = max(float(g.edge_attr[:, 1].abs().max()) * dataset.metadata.edge_scale[1] for g in dataset.graphs)
    assert 0.9 < step / (WINDOW * largest_step(ToyOptions())) <= 1.00001, "candidates fill their window"
    tracks = {len(g.pid.unique()) for g in toy(200).graphs}
    assert tracks == set(range(4, 13))


def test_toy_tracks_end_where_they_turn_back():
    graph = toy(5, curve_min=2.0, curve_max=3.0).graphs[0]
    assert float(graph.x[:, 0].max()) * 10 <= 6
    assert len(graph.x) < 10 * len(graph.pid.unique())


def test_toy_geometry_alone_can_t_separate_the_edges():
    dataset = toy(100)
    slope = torch.cat([g.edge_attr[:, 3] for g in dataset.graphs]).abs()
    truth = torch.cat([g.y for g in dataset.graphs]) > 0.5
    inside = slope <= slope[truth].max()
    assert 0.6 < float(truth[inside].float().mean()) < 0.9


def test_the_same_seed_gives_the_same_toy_data():
    assert toy(5).fingerprint == toy(5).fingerprint != toy(5, seed=1).fingerprint
