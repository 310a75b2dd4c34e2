"""Graphs that HEP.TrkX published are read as they are."""

import torch

from archioptrx.data.sources import load_dataset


def test_real_sector_graphs(shared_data):
    dataset = load_dataset({"path": str(shared_data / "hitgraphs")})
    assert (len(dataset.events), len(dataset.graphs), dataset.metadata.sectors) == (60, 240, 4)
    assert sum(g.num_edges for g in dataset.graphs) == 1_050_732
    for graph in dataset.graphs[::40]:
        slope, z0 = (graph.edge_attr[:, 3:] * torch.tensor(dataset.metadata.edge_scale[3:])).abs().max(dim=0).values
        assert 9e-4 < slope < 1.0001e-3, "the cuts that the graphs were built with: |Δφ/Δr| < 0.001 …"
        assert 190 < z0 < 200.01, "… and |z0| < 200 mm"


def test_real_whole_events(shared_data):
    dataset = load_dataset({"path": str(shared_data / "hitgraphs_hard")})
    assert (len(dataset.graphs), dataset.metadata.sectors) == (24, 1)
    assert all(int(g.pid.min()) >= 1 for g in dataset.graphs)
    for graph in dataset.graphs[::8]:
        same = graph.pid[graph.edge_index[0]] == graph.pid[graph.edge_index[1]]
        assert bool(same[graph.y > 0.5].all())
        assert float(graph.edge_attr[:, 3].abs().max()) * 3e-4 < 1e-3, "Δφ wraps around"


def test_real_graphs_of_half_sectors(shared_data):
    dataset = load_dataset({"path": str(shared_data / "hitgraphs_nocut")})
    assert (len(dataset.graphs), dataset.metadata.sectors) == (16, 8)
    assert "by φ sectors" in dataset.split().rule
