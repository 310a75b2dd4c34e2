"""The hits of a line graph: its tracks are scored as those of the plain graph, on all hits of the event."""

from functools import cache

import numpy as np
import pytest
import torch
from graphs import graph_faults
from torch_geometric.data import Batch

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, Metadata, cut_sectors, make_graph
from archioptrx.data.hitgraph import CHAIN_HIT_FIELDS, HitGraph, batch_graphs, graph_digest, subgraph
from archioptrx.data.plot import count_tracks
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.storage.graph_file import GraphFile, GraphWriter
from archioptrx.data.triplets import Doublets, line_graph, line_metadata
from archioptrx.tasks import make_task
from archioptrx.tasks.tracks.finding import numbered
from archioptrx.tasks.tracks.metrics import track_metrics
from archioptrx.tasks.tracks.scores import event_tracks, hit_labels, track_scores

HELIX = {"source": "helix", "events": 2, "particles": 25, "seed": 3, "skip_layers": 1}
TASK = make_task()


@cache
def plain(sectors: int = 1) -> Dataset:
    """Events with noise, weights, and particles that have no true doublet."""
    return load_dataset({**HELIX, "phi_sectors": sectors})


@cache
def lines(sectors: int = 1, rungs: int = 1) -> Dataset:
    """Their line graphs, or the line graphs of these."""
    of = {**HELIX, "phi_sectors": sectors}
    for _ in range(rungs):
        of = {"source": "line_graph", "of": of}
    return load_dataset(of)


def perfect_labels(graphs):
    return [TASK.tracks(TASK.perfect(graph), graph) for graph in graphs]


def on_plain(graphs, labelled, labels):
    """Tracks of a line graph's hits as labels of the hits of the plain graphs."""
    moved = []
    for graph, line, line_labels in zip(graphs, labelled, labels, strict=True):
        of = dict(zip(*(values.tolist() for values in hit_labels([line], [line_labels])), strict=True))
        moved.append(torch.tensor([of.get(hit, -1) for hit in graph.hit_id.tolist()]))
    return moved


def same_events(first, second):
    """Whether two lists of events have the same hits, truth, tracks and metrics."""
    for event, other in zip(first, second, strict=True):
        assert event.name == other.name
        for name in ("particle", "weight", "hits", "weights", "pt", "eta", "vr"):
            np.testing.assert_array_equal(getattr(event, name), getattr(other, name), name)
        assert same_partition(event.labels, other.labels)
    assert track_metrics(first, bins=True) == track_metrics(second, bins=True)


def same_partition(labels, others):
    """Whether tracks have the same hits, whatever their numbers."""
    pairs = set(zip(labels.tolist(), others.tolist(), strict=True))
    inside = labels >= 0
    return (inside == (others >= 0)).all() and len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)


def test_the_events_have_all_that_is_to_be_counted():
    """Noise, weights, and particles of three hits or more that no true doublet names."""
    for graph, line in zip(plain().graphs, lines().graphs, strict=True):
        named = set(line.pid.tolist())
        ids, counts = torch.unique(graph.pid[graph.pid != 0], return_counts=True)
        assert [pid for pid, count in zip(ids.tolist(), counts.tolist(), strict=True) if pid not in named]
        assert bool((graph.pid == 0).any()) and len(graph.hit_weight.unique()) > 3
        assert not set(graph.hit_id.tolist()) <= set(line.chain.flatten().tolist())


@pytest.mark.parametrize("sectors", [1, 3])
@pytest.mark.parametrize("rungs", [1, 2])
def test_tracks_of_a_line_graph_are_scored_as_those_of_the_plain_graph(sectors, rungs):
    graphs, line = plain(sectors).graphs, lines(sectors, rungs).graphs
    labels = perfect_labels(line)
    scored = event_tracks(line, labels)
    same_events(scored, event_tracks(graphs, on_plain(graphs, line, labels)))
    same_events(event_tracks(line, labels, whole=False), event_tracks(graphs, on_plain(graphs, line, labels), False))
    assert 0 < track_metrics(scored)["track_efficiency"] < 1 and 0 < track_metrics(scored)["trackml_score"] < 1


def test_perfect_triplets_give_the_tracks_of_perfect_doublets():
    """Without completion, for which a line graph lacks the places of its hits."""
    task = make_task({"name": "edge_classification", "tracks": {"complete": False}})
    scores = [track_scores(task, [task.perfect(g) for g in data.graphs], data.graphs) for data in (plain(), lines())]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("rungs", [1, 2])
def test_a_batch_of_line_graphs_is_its_graphs(rungs):
    graphs = list(lines(1, rungs).graphs)
    batch = batch_graphs(graphs)
    assert batch.chain_hit_batch.tolist() == [k for k, g in enumerate(graphs) for _ in g.chain_hit_id]
    same_events(event_tracks([batch], perfect_labels([batch])), event_tracks(graphs, perfect_labels(graphs)))
    theirs = Batch.from_data_list(graphs)
    assert all(torch.equal(theirs[name], batch[name]) for name in CHAIN_HIT_FIELDS)


def test_predicted_tracks_name_every_hit_of_the_graph():
    graph, line = plain().graphs[0], lines().graphs[0]
    for labels in (perfect_labels([line])[0], torch.full((len(line.x),), -1)):
        ids, tracks = hit_labels([line], [labels])
        assert ids.tolist() == graph.hit_id.tolist()
        assert set(ids[tracks >= 0].tolist()) == set(line.chain[labels >= 0].flatten().tolist())


def test_an_event_without_a_doublet_still_has_its_particles():
    graph = plain().graphs[0]
    doublets = Doublets(graph, plain().metadata, np.zeros(graph.num_edges, bool))
    line = line_graph(doublets, line_metadata(plain().metadata, False))
    (event,) = event_tracks([line], [torch.zeros(0, dtype=torch.int64)])
    assert event.labels.tolist() == [-1] * len(graph.x)
    assert track_metrics([event])["track_efficiency"] == track_metrics([event])["trackml_score"] == 0.0


def test_a_line_graph_without_the_table_counts_the_hits_of_its_doublets():
    line = lines().graphs[0]
    bare = HitGraph(**{key: value for key, value in line.to_dict().items() if key not in CHAIN_HIT_FIELDS})
    (event,) = event_tracks([bare], perfect_labels([bare]))
    assert len(event.labels) == len(line.chain.unique())
    assert set(event.weight.tolist()) == {0.0, 1.0}
    batch = batch_graphs([bare, bare])
    assert batch.get("chain_hit_batch") is None and len(event_tracks([batch], perfect_labels([batch]))) == 1


def test_a_part_keeps_the_hits_of_its_chains():
    line = lines().graphs[0]
    for piece in (subgraph(line, line.x[:, 1] > 0), *cut_sectors(line, lines().metadata, 4)):
        assert graph_faults(piece) == []
        assert set(piece.chain_hit_id.tolist()) == set(piece.chain.flatten().tolist())
        rows = torch.isin(line.chain_hit_id, piece.chain)
        assert all(torch.equal(piece[name], line[name][rows]) for name in CHAIN_HIT_FIELDS)
        (event,) = event_tracks([piece], perfect_labels([piece]), whole=False)
        assert event.hits.sum() == (event.particle >= 0).sum(), "the hits that are given"


def test_the_table_survives_files(tmp_path):
    data = lines(1, 2)
    write(data, tmp_path / "data")
    again = load_dataset({"source": "hitgraphs", "path": str(tmp_path / "data")})
    with GraphWriter(tmp_path / "graphs") as file:
        entries = [file.add(graph) for graph in data.graphs]
    mapped = GraphFile(tmp_path / "graphs", file.size)
    for graph, other, entry in zip(data.graphs, again.graphs, entries, strict=True):
        assert graph_digest(other) == graph_digest(graph) == graph_digest(mapped.read(entry))
        changed = graph.clone()
        changed.chain_hit_weight = graph.chain_hit_weight + 1
        assert graph_digest(changed) != graph_digest(graph)


def test_the_hits_of_a_line_graph_name_its_tracks_in_pictures():
    for graph, line in zip(plain().graphs, lines().graphs, strict=True):
        assert count_tracks([line]) == count_tracks([graph])


OWN = {
    "x": np.array([[0.1, 0, 0], [0.2, 0, 0]]),
    "edge_index": np.array([[0], [1]]),
    "y": [1],
    "pid": [7, 7],
    "chain": np.array([[1, 2], [2, 3]]),
    "chain_hit_id": np.array([1, 2, 3, 9]),
    "chain_hit_pid": np.array([7, 7, 7, 0]),
    "chain_hit_pt": np.array([1.0, 1, 1, 0]),
    "chain_hit_weight": np.ones(4),
    "chain_hit_z": np.zeros(4),
}
PARTICLES = {"particle_id": np.array([0, 7]), "particles": np.zeros((2, 8)), "particle_index": np.array([1, 1])}


def own(**changes):
    return make_graph({**OWN, **changes}, Metadata("own"), "a", 0)


@pytest.mark.parametrize("rungs", [1, 2])
@pytest.mark.parametrize("hits", [1, 3, 8])
def test_particles_of_a_line_graph_are_those_of_the_plain_one(rungs, hits):
    count = make_task({"name": "track_count", "hits": hits})
    listed = make_task({"name": "track_set", "parameters": ["inverse_pt", "phi"], "hits": hits, "slots": 40})
    for task in (count, listed):
        answers = [
            torch.cat([task.perfect(graph) for graph in graphs])
            for graphs in (plain().graphs, lines(rungs=rungs).graphs, [batch_graphs(lines(rungs=rungs).graphs)])
        ]
        assert answers[0].abs().sum() > 0
        assert torch.equal(answers[0], answers[1]) and torch.equal(answers[1], answers[2])


def test_a_learned_graph_of_chains_keeps_their_hits():
    of = {"source": "line_graph", "of": HELIX}
    learned = load_dataset({"source": "learned", "of": of, "epochs": 1, "train_events": 1})
    for graph, line in zip(learned.graphs, lines().graphs, strict=True):
        for name in ("chain", *CHAIN_HIT_FIELDS):
            assert torch.equal(graph[name], line[name])
    truth = [graph.pid for graph in lines().graphs]
    with pytest.raises(
        InputError, match="its edges join chains of hits that don't overlap; allowed: a plain or a line"
    ):
        load_dataset({"source": "line_graph", "of": {"source": "learned", "of": of, "epochs": 1, "train_events": 1}})
    same_events(event_tracks(learned.graphs, truth), event_tracks(lines().graphs, truth))


def test_a_user_s_line_graph_may_have_the_table_or_not():
    assert own(**PARTICLES).chain_hit_pid.tolist() == [7, 7, 7, 0]
    assert graph_faults(own(**dict.fromkeys(CHAIN_HIT_FIELDS))) == []
    assert graph_faults(own(chain_hit_weight=None, chain_hit_z=None, chain_hit_pt=None)) == []
    (event,) = event_tracks([own()], [torch.zeros(2, dtype=torch.int64)])
    assert numbered(event.labels).tolist() == [0, 0, 0, -1]


def test_noise_of_a_table_is_marked_as_that_of_nodes():
    marked = {"chain_hit_pid": np.array([7, -1, 7, np.nan]), "chain_hit_pt": np.array([1, np.nan, 1, np.nan])}
    with pytest.warns(UserWarning, match="2 hits of particle -1 or NaN are noise"):
        graph = own(**marked)
    assert (graph.chain_hit_pid.tolist(), graph.chain_hit_pt.tolist()) == ([7, 0, 7, 0], [1, 0, 1, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chain_hit_id": np.array([1, 2, 3, 3])}, "chain_hit_id 3 stands 2 times; allowed: each once"),
        ({"chain_hit_id": np.array([1, 2, 4, 9])}, "chain holds 3, which chain_hit_id lacks; allowed: numbers of ch"),
        ({"chain_hit_id": None}, "the table of the hits of chains lacks chain_hit_id; allowed: "),
        ({"chain": None}, "the table of the hits of chains lacks chain; allowed: "),
        ({"chain_hit_pid": None}, "the table of the hits of chains lacks chain_hit_pid; allowed: "),
        ({"pid": None}, "the table of the hits of chains lacks pid; allowed: "),
        ({"chain_hit_pt": np.ones(3)}, "chain_hit_pt has 3 rows; allowed: one per hit of the chains, 4"),
        ({"chain_hit_z": np.ones((4, 1))}, "chain_hit_z has the shape [4, 1]; allowed: one number per hit of the cha"),
        ({"chain_hit_z": np.full(4, np.nan)}, "chain_hit_z holds 4 NaN or infinite numbers; allowed: finite ones"),
        ({"chain_hit_weight": -np.ones(4)}, "chain_hit_weight is -1 at hit of the chains 0; allowed: 0 or more"),
        ({"chain_hit_pid": np.array([7, -3, 7, 0])}, "chain_hit_pid is -3 at hit 1; allowed: 0 (noise; "),
        ({"chain_hit_pid": np.array([7, 8, 7, 0]), **PARTICLES}, "chain_hit_pid holds 8, which particle_id lacks; al"),
        ({"chain_hit_pid": np.array([[7], [7], [7], [0]])}, "chain_hit_pid has the shape [4, 1]; allowed: "),
        ({"chain_hit_id": np.array([1.5, 2, 3, 9])}, "chain_hit_id is 1.5 at hit of the chains 0; allowed: whole num"),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused(changes, message):
    with pytest.raises(InputError) as error:
        own(**changes)
    assert error.value.faults[0].removeprefix("a sector 0: ").startswith(message)
