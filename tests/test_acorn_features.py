"""The twelve features of hits and the six of edges that acorn uses, in every source that has hits."""

import math

import numpy as np
import pytest
import torch
from events import barrel_event
from test_acorn import PHI, R, Z, columns, prefixed, read, saved

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import cut_sectors
from archioptrx.data.doublets import ACORN_FEATURES, acorn_features
from archioptrx.data.options import SOURCES, options_of
from archioptrx.data.options.building import CLUSTERS
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.sources.pickle_writing import write as write_samples
from archioptrx.data.sources.trackml import write_event

TWELVE = ["eta", *CLUSTERS]


def test_the_six_features_by_hand():
    nodes = np.array([[100.0, 3.0, 50.0], [200.0, -3.0, 80.0], [100.0, 3.0, 50.0], [100.0, 2.0, 50.0]])
    edges = np.array([[0, 0, 0], [1, 2, 3]])
    dphi = (2 * math.pi - 6) / math.pi
    deta = math.asinh(0.4) - math.asinh(0.5)
    first, equal, level = acorn_features(nodes, edges)
    np.testing.assert_allclose(first, [0.1, dphi, 0.03, deta, dphi / 0.1, 0.15 * dphi / 0.1])
    assert equal.tolist() == [0] * 6
    np.testing.assert_allclose(level, [0, -1 / math.pi, 0, 0, -100, -10])


def files(name, folder):
    """A description of some data of a source."""
    toy = load_dataset({"source": "toy", "num_samples": 2})
    if name == "trackml":
        write_event(barrel_event(), folder)
    elif name == "hitgraphs":
        write(toy, folder / "graphs")
        return {"path": str(folder / "graphs")}
    elif name == "pickle":
        write_samples(toy, folder / "a.pickle")
    elif name == "acorn":
        saved(folder / "event1.pyg", columns())
    elif name in ("toy", "helix"):
        return {"toy": {"num_samples": 2}, "helix": {"events": 2, "particles": 20}}[name]
    return {"path": str(folder)}


@pytest.mark.parametrize("name", ["acorn", "helix", "hitgraphs", "pickle", "toy", "trackml"])
def test_every_source_gives_the_six_features(tmp_path, name):
    tmp_path.joinpath("data").mkdir()
    data = {"source": name, **files(name, tmp_path / "data")}
    usual = load_dataset(data)
    dataset = load_dataset({**data, "edge_features": ["phislope", "dr", "Δz"]})
    assert dataset.metadata.edge_features == ("phislope", "dr", "Δz")
    for one, other in zip(dataset.graphs, usual.graphs, strict=True):
        assert torch.equal(one.edge_index, other.edge_index)
        nodes = one.x[:, :3].double().numpy() * np.array(dataset.metadata.node_scale[:3])
        expected = acorn_features(nodes, one.edge_index.numpy())
        np.testing.assert_allclose(one.edge_attr[:, :2], expected[:, [4, 0]], rtol=1e-6, atol=1e-6)
        assert torch.equal(one.edge_attr[:, 2], other.edge_attr[:, 2])
    with pytest.raises(InputError, match="edge_features: has 'dφ'; allowed: "):
        load_dataset({**data, "edge_features": ["dφ"]})


def test_all_sources_of_hits_have_the_option():
    made_of_others = {"learned", "line_graph", "triplets"}
    have = {name for name in SOURCES if "edge_features" in options_of(name).__dataclass_fields__}
    assert have == {name for name in SOURCES if name not in SOURCES.own()} - made_of_others


def test_learned_graphs_have_the_features_of_their_source_and_line_graphs_need_the_usual_ones():
    inner = {"source": "toy", "num_samples": 6, "edge_features": list(ACORN_FEATURES)}
    learned = load_dataset({"source": "learned", "of": inner, "epochs": 1, "train_events": 2})
    assert learned.metadata.edge_features == ACORN_FEATURES
    with pytest.raises(InputError, match=r"data.of: its edges lack Δφ/Δr, z0; allowed: edge_features with Δφ/Δr, "):
        load_dataset({"source": "line_graph", "of": inner})


def test_the_twelve_features_of_hits(tmp_path):
    event = barrel_event()
    write_event(event, tmp_path)
    data = {"source": "trackml", "path": str(tmp_path), "slope_max": 0.002, "features": TWELVE}
    dataset = load_dataset(data)
    (graph,) = dataset.graphs
    assert dataset.metadata.node_features == ("r", "φ", "z", "η", *CLUSTERS)
    own = graph.x[:, [0, 1, 2, 3]] * torch.tensor([1, 1, 1, 2.0])
    np.testing.assert_allclose(graph.x[:, 4:8], own, rtol=1e-6)
    np.testing.assert_allclose(graph.x[:, 8:12], own, rtol=1e-6)
    for piece in cut_sectors(graph, dataset.metadata, 8):
        np.testing.assert_allclose(piece.x[:, 5], piece.x[:, 1], atol=1e-6)
    with pytest.raises(InputError, match="features: has the azimuth of a cluster; allowed with phi_sectors 1"):
        load_dataset({**data, "phi_sectors": 2})


def test_clusters_of_acorn_s_files_come_in_its_scales(tmp_path):
    clusters = dict(zip(CLUSTERS, (R, PHI, Z, Z / R, R, PHI, Z, Z / R), strict=True))
    content = prefixed(**{f"hit_{name}": torch.tensor(values) for name, values in clusters.items()})
    dataset = read(saved(tmp_path / "event1.pyg", content), columns=list(CLUSTERS))
    assert dataset.metadata.node_scale[3:7] == (1000.0, math.pi, 1000.0, 1.0)
    np.testing.assert_allclose(dataset.graphs[0].x[:, 3:6], dataset.graphs[0].x[:, :3], rtol=1e-6)
    np.testing.assert_allclose(dataset.graphs[0].x[:, 6], Z / R, rtol=1e-6)
