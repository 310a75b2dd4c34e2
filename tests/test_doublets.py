"""Edge features against their definitions, wrap-around included."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.data.doublets import doublet_features, wrapped

angles = st.floats(-math.pi, math.pi)


@given(angles, st.floats(-0.5, 0.5), angles)
def test_a_rotation_of_the_detector_changes_no_feature(phi, step, rotation):
    nodes = np.array([[100.0, phi, 20.0], [180.0, phi + step, -30.0]])
    turned = nodes.copy()
    turned[:, 1] = np.remainder(nodes[:, 1] + rotation + math.pi, 2 * math.pi) - math.pi
    edge = np.array([[0], [1]])
    assert np.allclose(doublet_features(nodes, edge), doublet_features(turned, edge), atol=1e-9)
    assert np.allclose(doublet_features(turned, edge)[0, 1], step, atol=1e-9)


@given(st.floats(-50, 50), st.floats(0.5, 20))
def test_wrapping_gives_the_nearest_equal_angle(angle, period):
    result = float(wrapped(np.array(angle), period))
    assert abs(result) <= period / 2 * (1 + 1e-12)
    assert math.isclose(math.remainder(angle - result, period), 0, abs_tol=1e-9)


def test_features_of_one_edge():
    nodes = np.array([[50.0, 0.1, 30.0], [150.0, 0.13, 90.0]])
    features = doublet_features(nodes, np.array([[0], [1]]))
    assert np.allclose(features, [[100.0, 0.03, 60.0, 0.0003, 0.0]])


def test_hits_of_one_layer_give_finite_features():
    nodes = np.array([[50.0, 0.1, 30.0], [50.0, 0.2, 90.0], [50.4, 0.2, 90.0]])
    features = doublet_features(nodes, np.array([[0, 0, 2], [1, 2, 0]]))
    assert np.isfinite(features).all()
    assert np.allclose(features[:, 3], [0.1, 0.1, 0.1])


def test_the_number_of_sectors_sets_the_unit_of_phi():
    arrays = {"x": [[0.1, 0.9, 0], [0.2, -0.9, 0]], "edge_index": [[0], [1]], "y": [1]}
    whole = make_graph(arrays, Metadata("test", edge_scale=(1.0,) * 5), "a", 0)
    part = make_graph(
        arrays, Metadata("test", sectors=4, node_scale=(1e3, math.pi / 4, 1e3), edge_scale=(1.0,) * 5), "a", 0
    )
    assert math.isclose(float(whole.edge_attr[0, 1]), 0.2 * math.pi, rel_tol=1e-6)
    assert math.isclose(float(part.edge_attr[0, 1]), -1.8 * math.pi / 4, rel_tol=1e-6)
