"""Tracks of graphs, batches and sectors, brought together by event."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.data.event import PARTICLE_COLUMNS
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.data.sources import load_dataset
from archioptrx.data.triplets import Doublets, line_graph, line_metadata, triplet_metadata, with_triplets
from archioptrx.tasks import make_task
from archioptrx.tasks.options import objective_metrics, read_task
from archioptrx.tasks.options.tracks import TRACK_FINDERS
from archioptrx.tasks.tracks.metrics import Selection, track_metrics
from archioptrx.tasks.tracks.scores import event_tracks, track_scores


def graph(pid, hit_id, event="a", sector=0, table=True, z=0.1):
    """Hits outwards, each joined to the next; an edge is true within a particle. Particles 7 and 9 of 10 hits each in
    the event, of 2 and 0.5 GeV, in straight lines of different directions."""
    count, pid = len(pid), np.array(pid)
    edges = np.stack([np.arange(count - 1), np.arange(1, count)])
    rows = np.zeros((3, len(PARTICLE_COLUMNS)))
    for name, values in (("pt", [2.0, 0.5]), ("η", [0.5, -1.0]), ("hits", [10, 10]), ("weight", [1.0, 3.0])):
        rows[1:, PARTICLE_COLUMNS.index(name)] = values
    content = {
        "x": np.stack([np.linspace(0.1, 1, count), (pid - 7) / 10, np.full(count, z)], axis=1),
        "edge_index": edges,
        "y": (pid[edges[0]] == pid[edges[1]]) & (pid[edges[0]] > 0),
        "pid": pid,
        "hit_id": np.array(hit_id),
    }
    if table:
        content |= {"particle_id": [0, 7, 9], "particles": rows, "particle_index": np.searchsorted([0, 7, 9], pid)}
        content["hit_weight"] = np.choose(content["particle_index"], [0.0, 0.1, 0.3])
    return make_graph(content, Metadata("test"), event, sector)


def perfect(graphs):
    return [20 * part.y - 10 for part in graphs]


def test_an_event_of_two_sectors():
    # Particle 7: all of its 10 hits, in one track. Particle 9: 3 of its hits in each sector, two tracks of 3.
    first, second = graph([7] * 10 + [9] * 3, range(13)), graph([9] * 3 + [0], range(20, 24), sector=1)
    labels = [make_task().tracks(*perfect([part]), part) for part in (first, second)]
    (event,) = event_tracks([first, second], labels)
    assert event.labels.tolist() == [0] * 10 + [1] * 3 + [2] * 3 + [-1]
    assert event.hits.tolist() == [10, 10]
    scores = track_metrics([event])
    # 3 of the 6 given hits are no majority of particle 9, and its two tracks are one too many.
    assert scores["track_efficiency"] == scores["track_efficiency_physics"] == 0.5
    assert scores["track_duplicate_rate"] == 0.5
    assert scores["trackml_score"] == pytest.approx(1.0 / 4.0)
    assert (
        track_scores(make_task(), perfect([first, second]), [first, second], Selection(pt_min=1.0))["track_efficiency"]
        == 1.0
    )


def test_parts_of_events_know_the_hits_that_are_given():
    half = graph([7] * 4 + [9] * 4, range(8))
    scores = {whole: track_scores(make_task(), perfect([half]), [half], whole=whole) for whole in (True, False)}
    assert scores[True]["track_efficiency_physics"] == scores[True]["trackml_score"] == 0.0
    assert scores[False]["track_efficiency_physics"] == 1.0
    assert scores[False]["trackml_score"] == pytest.approx(1.0)
    assert scores[True]["track_efficiency"] == scores[False]["track_efficiency"] == 1.0


def test_a_batch_is_its_graphs():
    graphs = [
        graph([7] * 5 + [0] * 2 + [9] * 3, range(10)),
        graph([9] * 4, range(4), "b"),
        graph([7] * 3, [11, 12, 13]),
    ]
    task, batch = make_task(), batch_graphs(graphs)
    alone = track_scores(task, perfect(graphs), graphs, bins=True)
    assert track_scores(task, perfect([batch]), [batch], bins=True) == alone
    assert [event.name for event in event_tracks([batch], [torch.full((17,), -1)])] == ["a", "b"]


def test_sectors_that_overlap_share_hits():
    # Hits 3 and 4 are in both; the track of five hits has them, of the other one hit is left.
    first, second = graph([7] * 5, range(5)), graph([7] * 3, [3, 4, 5], sector=1)
    (event,) = event_tracks([first, second], [torch.zeros(5).long(), torch.zeros(3).long()])
    assert event.labels.tolist() == [0] * 5 + [1]


def test_hit_ids_that_are_rows_of_a_file():
    first, second = graph([7] * 3, range(3), table=False), graph([9] * 3, range(3), sector=1, table=False, z=-0.2)
    (event,) = event_tracks([first, second], [torch.zeros(3).long(), torch.zeros(3).long()])
    assert event.labels.tolist() == [0] * 3 + [1] * 3
    assert event.hits.tolist() == event.weights.tolist() == [3, 3]
    assert np.isnan(event.pt).all()


def test_without_the_table_pt_comes_from_the_hits():
    event_graph = graph([7] * 3 + [0], range(4), table=False)
    event_graph.pt = torch.tensor([1.5, 1.5, 1.5, 0.0])
    scores = track_scores(make_task(), perfect([event_graph]), [event_graph], Selection(pt_min=1.0), bins=True)
    assert (scores["particles"], scores["track_efficiency"]) == (1, 1.0)
    assert "eta" not in scores and scores["pt"][0]["from"] == 1.5
    with pytest.raises(InputError, match="no η of a particle is known"):
        track_scores(make_task(), perfect([event_graph]), [event_graph], Selection(eta_max=1.0))


def test_no_truth_no_scores():
    event_graph = graph([7] * 3, range(3))
    del event_graph["pid"]
    assert track_scores(make_task(), perfect([event_graph]), [event_graph]) == {}
    assert track_scores(make_task(), [], []) == {}


def test_tracks_of_a_line_graph_are_those_of_its_hits():
    event_graph = graph([7] * 5 + [9] * 4, range(30, 39))
    doublets = Doublets(event_graph, Metadata("test"), np.ones(event_graph.num_edges, dtype=bool))
    line = line_graph(doublets, line_metadata(Metadata("test"), scored=False))
    (event,) = event_tracks([line], [make_task().tracks(*perfect([line]), line)])
    assert event.labels.tolist() == [0] * 5 + [1] * 4
    assert event.particle.tolist() == [0] * 5 + [1] * 4


@pytest.mark.parametrize("method", list(TRACK_FINDERS))
def test_tracks_of_triplets_are_chains(method):
    event_graph, metadata = graph([7] * 5 + [9] * 4 + [0], range(10)), Metadata("test")
    doublets = Doublets(event_graph, metadata, np.ones(event_graph.num_edges, dtype=bool))
    both = with_triplets(doublets, triplet_metadata(metadata, scored=False))
    task = make_task({"name": "triplet_classification", "tracks": method})
    assert task.tracks(task.perfect(both), both).tolist() == [0] * 5 + [1] * 4 + [-1]
    assert task.tracks(task.constant(both) - 9, both).tolist() == [-1] * 10
    assert track_scores(task, [task.perfect(both)], [both])["track_efficiency"] == 1.0


def test_clusters_of_a_batch_are_those_of_its_graphs():
    graphs = [graph([7] * 5 + [9] * 4, range(9)), graph([7] * 4, range(4), "b")]
    task, batch = make_task("node_embedding"), batch_graphs(graphs)
    # Hits of both events lie at the same points, and are no track together.
    points = torch.cat([task.perfect(part) for part in graphs])
    assert task.tracks(points, batch).tolist() == [0] * 5 + [1] * 4 + [2] * 4


def test_several_targets_have_the_tracks_of_all():
    task = {"name": "several", "targets": {"score": "edge_classification", "point": "node_embedding"}}
    faults = []
    shares = objective_metrics(read_task(task, "task", faults)).shares
    assert not faults
    assert "score.auc" in shares and shares.count("track_efficiency") == 1
    assert not [name for name in shares if name.endswith(".track_efficiency")]


@pytest.mark.parametrize("method", list(TRACK_FINDERS))
def test_the_truth_finds_all_tracks(method):
    data = load_dataset({"source": "toy", "num_samples": 5})
    scores = track_scores(
        make_task({"name": "edge_classification", "tracks": method}), perfect(data.graphs), data.graphs
    )
    assert scores["track_efficiency"] > 0.99 and scores["track_fake_rate"] == 0.0
    nothing = track_scores(make_task(), [torch.full((g.num_edges,), -9.0) for g in data.graphs], data.graphs)
    assert nothing["track_efficiency"] == nothing["tracks"] == 0


def test_options_of_the_tracks():
    finding = make_task({"name": "edge_classification", "tracks": {"method": "components", "min_hits": 5}}).finding
    assert (finding.method, finding.cut, finding.min_hits) == ("components", 0.5, 5)
    with pytest.raises(InputError) as error:
        make_task({"name": "edge_classification", "tracks": {"method": "walk", "cut": 2, "follow": -1, "min_hits": 1}})
    assert len(error.value.faults) == 4
    with pytest.raises(InputError, match="follow: is unknown"):
        make_task({"name": "edge_classification", "tracks": {"method": "components", "follow": 0.3}})
    event_graph = graph([7] * 3 + [9] * 4, range(7))
    longer = make_task({"name": "edge_classification", "tracks": {"min_hits": 4}})
    assert longer.tracks(*perfect([event_graph]), event_graph).tolist() == [-1] * 3 + [0] * 4


@given(st.floats(0.05, 0.95))
def test_the_cut_is_a_probability(cut):
    event_graph = graph([7] * 4, range(4))
    task = make_task({"name": "edge_classification", "tracks": {"cut": cut}})
    logit = float(np.log(cut / (1 - cut)))
    assert task.tracks(torch.full((3,), logit + 0.01), event_graph).tolist() == [0] * 4
    assert task.tracks(torch.full((3,), logit - 0.01), event_graph).tolist() == [-1] * 4
