"""Sector files of gnn_tracking: one event in several files whose hits overlap."""

import itertools
import math

import numpy as np
import pytest
import torch
from test_acorn import fault_of, read, saved
from test_predict import model
from test_sources import arrays

from archioptrx.commands import predict
from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, summary
from archioptrx.data.sources import load_dataset
from archioptrx.tasks import make_task
from archioptrx.tasks.tracks.scores import track_scores

RADII = np.array([30.0, 70.0, 115.0, 170.0])
TRACKS, SECTORS = 45, 5


def write_events(folder, events=4, hit_ids=False, name="data{event}_s{sector}"):
    """Straight tracks of four hits, and sectors that each share some with the next."""
    for event in range(events):
        random = np.random.default_rng(event)
        phi, z = random.uniform(-np.pi, np.pi, TRACKS), random.uniform(-1, 1, TRACKS)
        pid, layer = np.divmod(np.arange(4 * TRACKS), 4)
        x = np.stack([RADII[layer] / 1000, phi[pid] / math.pi, RADII[layer] * z[pid] / 1000], axis=1)
        edges = np.flatnonzero(layer < 3)
        for sector in range(SECTORS):
            middle = -math.pi + (sector + 0.5) * 2 * math.pi / SECTORS
            off = np.abs(np.remainder(phi[pid] - middle + math.pi, 2 * math.pi) - math.pi)
            inside = off < 1.2 * math.pi / SECTORS
            place = np.cumsum(inside) - 1
            own = edges[inside[edges]]
            both = np.stack([place[own], place[own + 1]])
            content = {
                "x": torch.tensor(x[inside], dtype=torch.float32),
                "edge_index": torch.tensor(np.concatenate([both, both[::-1]], axis=1)),
                "y": torch.ones(2 * len(own)),
                "particle_id": torch.tensor(pid[inside] + 1),
                "pt": torch.ones(int(inside.sum())),
            }
            if hit_ids:
                content["hit_id"] = torch.tensor(np.flatnonzero(inside))
            saved(folder / f"{name.format(event=event, sector=sector)}.pt", content)
    return folder


@pytest.mark.parametrize("hit_ids", [False, True])
def test_sectors_are_one_event_and_shared_hits_count_once(hit_ids, tmp_path):
    dataset = read(write_events(tmp_path / "a", hit_ids=hit_ids))
    assert dataset.events == tuple(f"data{event}" for event in range(4))
    assert [graph.sector for graph in dataset.graphs] == list(range(SECTORS)) * 4
    assert dataset.metadata.options["building"]["shared_hits"] > 0
    task = make_task({"name": "edge_classification"})
    first = dataset.graphs[:SECTORS]
    scores = track_scores(task, [task.perfect(graph) for graph in first], first)
    assert scores["particles"] == TRACKS
    facts = summary(dataset)
    assert (facts["hits"], facts["edges"], facts["true_fraction"]) == (4 * 4 * TRACKS, 4 * 3 * TRACKS, 1.0)
    assert facts["graphs"] == 4 * SECTORS
    hits = torch.cat([graph.hit_id for graph in first])
    assert len(hits) > 4 * TRACKS == len(hits.unique())
    assert scores["track_efficiency"] == 1.0


def test_sectors_of_an_event_are_in_one_part_of_a_split(tmp_path):
    dataset = read(write_events(tmp_path / "a"))
    splits = dataset.split(0.25, 0.25)
    parts = [{graph.event for graph in part} for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, parts)) == 4 == len(set.union(*parts))
    two = read(tmp_path / "a", events=2)
    assert len(two.graphs) == 2 * SECTORS
    with pytest.raises(
        InputError, match=r"^data: sectors of an event share hits, so that 2 events can't be divided by"
    ):
        two.split()


def test_other_names_are_told_by_a_pattern(tmp_path):
    folder = write_events(tmp_path / "a", events=2, name="run7-{event}-{sector}")
    assert len(read(folder).events) == 2 * SECTORS
    assert read(folder, names=r"(?P<event>run7-\d+)-(?P<sector>\d+)").events == ("run7-0", "run7-1")
    for wrong in ("(", r"(?P<event>.*)"):
        assert fault_of(folder, names=wrong).startswith(
            f"data: names: is {wrong!r}; allowed: a regular expression with"
        )
    assert "sector is 'run7'" in fault_of(folder, names=r"(?P<sector>run7)(?P<event>.*)")


def test_a_bad_sector_leaves_out_its_event(tmp_path):
    folder = write_events(tmp_path / "a")
    (folder / "data1_s2.pt").write_bytes(b"")
    dataset = read(folder, skip_bad=True)
    assert dataset.events == ("data0", "data2", "data3")
    assert dataset.metadata.options["skipped"] == 1


def test_predictions_go_to_each_sector_s_own_file(tmp_path):
    folder = write_events(tmp_path / "a", events=3)
    model(tmp_path / "m", {"source": "acorn", "path": str(folder)})
    assert predict.main([str(tmp_path / "m"), "--data", str(folder), "--output", str(tmp_path / "out")]) == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == {file.name for file in folder.iterdir()}


def test_renamed_copies_of_training_events_are_no_test_events(tmp_path):
    dataset = read(write_events(tmp_path / "a"))
    renamed = read(write_events(tmp_path / "b", events=1, name="other{event}_s{sector}"))
    assert renamed.events == ("other0",)
    with pytest.raises(InputError, match=r"^test: holds events of the training data: other0; allowed: other events$"):
        dataset.split(test=renamed)
    other = Dataset(dataset.graphs[:SECTORS], dataset.metadata)
    rest = Dataset(dataset.graphs[SECTORS:], dataset.metadata)
    assert len(rest.split(test=other).test) == SECTORS


@pytest.mark.parametrize("source", ["line_graph", "triplets", "learned"])
def test_graphs_made_of_sectors_that_share_hits_are_not_divided_by_sector(source, tmp_path):
    of = {"source": "acorn", "path": str(write_events(tmp_path / "a", events=2))}
    dataset = load_dataset({"source": source, "of": of, **({"epochs": 1} if source == "learned" else {})})
    with pytest.raises(InputError, match=r"^data: sectors of an event share hits, so that 2 events can't be divided"):
        dataset.split()


def counted(graphs, radius_of):
    """Construction counts of learned graphs by sets of named hits: each edge of an event once."""
    sums = dict.fromkeys(("true_edges", "kept_edges", "edges", "particle_edges"), 0)
    for event in sorted({graph.event for graph in graphs}):
        edges, particle, radius = set(), {}, {}
        for graph in (graph for graph in graphs if graph.event == event):
            edges |= {frozenset(pair) for pair in graph.hit_id[graph.edge_index].T.tolist()}
            particle |= dict(zip(graph.hit_id.tolist(), graph.pid.tolist(), strict=True))
            radius |= dict(zip(graph.hit_id.tolist(), radius_of(graph), strict=True))
        true = set()
        for pid in set(particle.values()) - {0}:
            hits = sorted((hit for hit in particle if particle[hit] == pid), key=radius.__getitem__)
            true |= {frozenset(pair) for pair in itertools.pairwise(hits)}
        same = sum(len({particle[hit] for hit in edge}) == 1 and 0 not in map(particle.get, edge) for edge in edges)
        event_counts = {"true_edges": len(true), "kept_edges": len(true & edges), "edges": len(edges)}
        sums = {name: sums[name] + count for name, count in (event_counts | {"particle_edges": same}).items()}
    return sums


@pytest.mark.parametrize("source", ["acorn", "helix"])
def test_learned_edges_that_stand_in_several_sectors_count_once(source, tmp_path):
    """And true edges that cross from one sector to another are true, as in all other construction."""
    of = {"source": "helix", "events": 2, "particles": 20, "phi_sectors": 3}
    if source == "acorn":
        of = {"source": "acorn", "path": str(write_events(tmp_path / "a", events=2))}
    dataset = load_dataset({"source": "learned", "of": of, "epochs": 3})
    standing = sum(graph.num_edges for graph in dataset.graphs)
    counts = dataset.metadata.options["building"]
    assert counts == counted(dataset.graphs, lambda graph: graph.x[:, 0].tolist())
    assert (counts["edges"] < standing) == (source == "acorn")
    if source == "acorn":
        assert counts["true_edges"] == 2 * 3 * TRACKS


@pytest.mark.parametrize("source", ["hitgraphs", "line_graph"])
def test_hits_that_files_do_not_name_are_others_in_each_sector(source, tmp_path):
    """A detector without z: neither rows nor places tell hits of two sectors apart."""
    for sector in range(2):
        x = np.array([[0.1, -0.2, 0], [0.2, -0.15, 0], [0.3, -0.1, 0], [0.2, 0.4, 0]], np.float32)
        pid = np.array([7, 7, 7, 0]) + 10 * sector * np.array([1, 1, 1, 0])
        np.savez(tmp_path / f"event1_g00{sector}.npz", **arrays(X=x, pid=pid))
    files = {"source": "hitgraphs", "path": str(tmp_path)}
    graphs = load_dataset(files if source == "hitgraphs" else {"source": source, "of": files}).graphs
    task = make_task({"name": "edge_classification"})
    scores = track_scores(task, [task.perfect(graph) for graph in graphs], graphs)
    assert (scores["particles"], scores["tracks"], scores["track_efficiency"]) == (2, 2, 1.0)
