"""Line graphs: which doublets meet, a triplet's truth and features, quadruplets, what is kept for the way back."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import graph_faults, random_arrays, toy
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.doublets import edge_features
from archioptrx.data.hitgraph import batch_graphs, graph_digest, subgraph
from archioptrx.data.sources import check_spec, load_dataset, resolved, with_path
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.triplet_counts import counts
from archioptrx.data.triplets import Doublets, adjacent, line_graph, line_metadata, triplet_metadata, with_triplets

PLAIN = Metadata("test", node_scale=(1.0,) * 3, edge_scale=(1.0,) * 5)


def pairs_one_by_one(index):
    """What `adjacent` gives, in plain Python."""
    edges = list(zip(*index, strict=True))
    return [(i, j) for i, (_, end) in enumerate(edges) for j, (start, _) in enumerate(edges) if end == start]


def cross():
    """Two tracks that meet in the space between: hits 0 1 2 3 of one, 4 5 6 7 of the other, all pairs of layers."""
    r, phi = [100.0, 200.0, 300.0, 400.0], 0.01
    nodes = [(radius, sign * (phi - k * 0.008), 10.0 * k) for sign in (1, -1) for k, radius in enumerate(r)]
    edges = [(a, b) for k in range(3) for a, b in itertools.product((k, k + 4), (k + 1, k + 5))]
    pid = np.repeat([7, 9], 4)
    true = [pid[a] == pid[b] for a, b in edges]
    return {"x": np.array(nodes), "edge_index": np.array(edges).T, "y": true, "pid": pid, "hit_id": 10 + np.arange(8)}


def doublets_of(arrays, metadata=PLAIN, kept=None, score=None):
    graph = make_graph(arrays, metadata, "e", 0)
    kept = np.ones(graph.num_edges, dtype=bool) if kept is None else kept
    return Doublets(graph, metadata, kept, {} if score is None else {"baseline": score})


@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 2**31))
def test_adjacent_edges_are_those_that_a_slow_search_finds(nodes, edges, seed):
    index = np.random.default_rng(seed).integers(0, nodes, (2, edges))
    assert list(map(tuple, adjacent(index, nodes).T.tolist())) == pairs_one_by_one(index.tolist())


def test_more_triplets_than_are_legal_are_counted_before_they_are_made():
    star = np.stack([np.arange(2000), np.full(2000, 2000)])
    index = np.concatenate([star, np.flip(star, axis=0)], axis=1)
    with pytest.raises(InputError, match=r"^4,002,000 pairs of doublets share a hit; allowed: 1,000 or fewer, by a "):
        adjacent(index, 2001, 1000)


def test_triplets_of_two_crossing_tracks():
    doublets = doublets_of(cross())
    graph = line_graph(doublets, line_metadata(PLAIN, scored=False))
    assert graph_faults(graph) == []
    assert (len(graph.x), graph.num_edges) == (12, 2 * 2 * 2 * 2)
    chains = {tuple(row) for row, true in zip(_hits(graph), graph.y.tolist(), strict=True) if true}
    assert chains == {(10, 11, 12), (11, 12, 13), (14, 15, 16), (15, 16, 17)}
    assert sorted(graph.pid.tolist()) == [0] * 6 + [7] * 3 + [9] * 3
    assert graph.hit_id.tolist() == doublets.graph.edge_order.tolist()


def _hits(graph):
    """Hit ids of each triplet, inner to outer."""
    start, end = graph.edge_index
    return torch.cat([graph.chain[start], graph.chain[end][:, -1:]], dim=1).tolist()


def test_features_of_a_triplet_worked_out_by_hand():
    arrays = {
        "x": np.array([[100.0, 3.0, 0.0], [150.0, 3.1, 20.0], [250.0, -3.08, 70.0]]),
        "edge_index": np.array([[0, 1], [1, 2]]),
        "y": [1, 1],
    }
    metadata = line_metadata(PLAIN, scored=False)
    graph = line_graph(doublets_of(arrays), metadata)
    x = graph.x.double() * torch.tensor(metadata.node_scale)
    step = 2 * math.pi - 6.18
    first = [125, 3.05, 10, 50, 0.1, 20, 0.002, -40, 0.4]
    second = [200, 3.1 + step / 2, 45, 100, step, 50, step / 100, -55, 0.5]
    second[1] -= 2 * math.pi
    assert_close(x, torch.tensor([first, second], dtype=torch.float64), rtol=1e-5, atol=1e-6)
    edge = dict(
        zip(metadata.edge_features, graph.edge_attr[0].double() * torch.tensor(metadata.edge_scale), strict=True)
    )
    wide = (0.1 + step) / 2
    expected = {"Δr": 75, "Δφ": wide, "Δz": 35, "Δφ/Δr": wide / 75, "z0": 10 - 125 * 35 / 75}
    expected |= {"Δ(Δφ/Δr)": step / 100 - 0.002, "Δ(Δz/Δr)": 0.1, "Δz0": -15}
    assert list(edge) == list(expected)
    for name, value in expected.items():
        assert float(edge[name]) == pytest.approx(value, rel=1e-4, abs=1e-8), name
    assert graph.y.tolist() == [1]


def test_a_straight_helix_has_no_kink():
    r = np.array([50.0, 120, 260])
    arrays = {"x": np.stack([r, 1 + 2e-4 * r, 5 + 0.7 * r], axis=1), "edge_index": np.array([[0, 1], [1, 2]])}
    graph = line_graph(doublets_of(arrays | {"y": [1, 1]}), line_metadata(PLAIN, scored=False))
    assert graph.edge_attr[0, 5:].abs().max() < 1e-3


def test_doublets_below_the_cut_are_no_nodes_and_the_smaller_score_is_the_baseline():
    random = np.random.default_rng(3)
    score = random.uniform(size=12)
    doublets = doublets_of(cross(), kept=score >= 0.4, score=score)
    graph = line_graph(doublets, line_metadata(PLAIN, scored=True))
    assert len(graph.x) == int((score >= 0.4).sum())
    assert_close(graph.x[:, -1].double(), torch.tensor(score[score >= 0.4]), rtol=1e-6, atol=0)
    ends = graph.x[:, -1][graph.edge_index]
    assert torch.equal(graph.baseline, ends.min(dim=0).values)
    for cut in (0.5, 0.8):
        assert torch.equal(graph.baseline >= cut, (ends >= cut).all(dim=0)), "accepted if both doublets are"


def test_weights_and_masks_of_doublets_become_those_of_triplets():
    arrays = cross()
    arrays |= {"edge_weight": np.arange(12) / 4, "edge_mask": np.arange(12) % 5 > 0}
    graph = line_graph(doublets_of(arrays), line_metadata(PLAIN, scored=False))
    hit_id = graph.hit_id[graph.edge_index]  # the doublets' places in the arrays
    assert_close(graph.edge_weight, hit_id.min(dim=0).values / 4)
    assert torch.equal(graph.edge_mask, (hit_id % 5 > 0).all(dim=0))


def test_two_true_doublets_of_different_particles_are_no_true_triplet():
    arrays = {"x": np.array([[10.0, 0, 0], [20, 0, 0], [30, 0, 0]]), "edge_index": np.array([[0, 1], [1, 2]])}
    for pid, true in (([4, 4, 4], 1.0), ([4, 5, 5], 0.0), (None, 1.0)):
        graph = line_graph(doublets_of(arrays | {"y": [1, 1], "pid": pid}), line_metadata(PLAIN, scored=False))
        assert graph.y.tolist() == [true]


@given(st.integers(0, 10**6))
def test_a_line_graph_doesn_t_depend_on_the_order_of_hits_and_doublets(seed):
    random = np.random.default_rng(seed)
    arrays = random_arrays(seed)
    arrays["x"] *= [100, 1, 100]  # mm
    hits, edges = random.permutation(12), random.permutation(30)
    place = np.argsort(hits)
    moved = {k: v[hits] for k, v in arrays.items() if k not in ("edge_index", "y")}
    moved |= {"edge_index": place[arrays["edge_index"]][:, edges], "y": arrays["y"][edges]}
    metadata = line_metadata(PLAIN, scored=False)
    original, reordered = (line_graph(doublets_of(a), metadata) for a in (arrays, moved))
    assert sorted(_rows(original, range(30))) == sorted(_rows(reordered, edges))


def _rows(graph, names):
    """Each triplet by the names of its two doublets, with its truth and features."""
    named = torch.tensor(np.asarray(names))[graph.hit_id]
    columns = torch.cat(
        [named[graph.edge_index].T.double(), graph.y[:, None].double(), graph.edge_attr.double()], dim=1
    )
    return [tuple(row) for row in columns.tolist()]


def test_the_line_graph_of_a_line_graph_has_quadruplets():
    dataset = load_dataset(
        {"source": "line_graph", "of": {"source": "line_graph", "of": {"source": "toy", "num_samples": 3}}}
    )
    for graph, hits in zip(dataset.graphs, toy(3).graphs, strict=True):
        assert graph_faults(graph) == []
        edges = [tuple(e) for e in hits.edge_index.T.tolist()]
        after = {a: [c for b, c in edges if b == a] for a, _ in edges}
        chains = {(a, b, c, d) for a, b in edges for c in after.get(b, ()) for d in after.get(c, ())}
        assert {tuple(row) for row in _hits(graph)} == chains
        assert graph.num_edges == len(chains)
        pid = dict(zip(hits.hit_id.tolist(), hits.pid.tolist(), strict=True))
        for chain, true in zip(_hits(graph), graph.y.tolist(), strict=True):
            assert true == (len({pid[hit] for hit in chain}) == 1)


def test_triplets_beside_the_doublets_are_the_line_graph_s_edges():
    score = np.random.default_rng(1).uniform(size=12)
    doublets = doublets_of(cross(), kept=score > 0.2, score=score)
    line = line_graph(doublets, line_metadata(PLAIN, scored=True))
    graph = with_triplets(doublets, triplet_metadata(PLAIN, scored=True))
    assert graph_faults(graph) == []
    assert graph.num_edges == len(line.x)
    for triplet_key, line_key in (("triplet_index", "edge_index"), ("triplet_attr", "edge_attr"), ("y_triplet", "y")):
        assert torch.equal(graph[triplet_key], line[line_key])
    assert torch.equal(graph.triplet_baseline, line.baseline)
    assert torch.equal(graph.baseline, line.x[:, -1])
    assert torch.equal(graph.edge_attr[:, -1], graph.baseline)
    inner, outer = graph.triplet_index
    assert torch.equal(graph.edge_index[1, inner], graph.edge_index[0, outer])
    assert sorted(graph.edge_order.tolist()) == list(range(graph.num_edges))


def test_a_batch_of_triplets_is_its_graphs():
    graphs = load_dataset({"source": "triplets", "of": {"source": "toy", "num_samples": 3}}).graphs
    batch = batch_graphs(graphs)
    before = 0
    for number, graph in enumerate(graphs):
        of = batch.batch[batch.edge_index[0, batch.triplet_index[0]]] == number
        assert torch.equal(batch.triplet_index[:, of] - before, graph.triplet_index)
        assert torch.equal(batch.triplet_attr[of], graph.triplet_attr)
        before += graph.num_edges
    part = subgraph(graphs[0], graphs[0].x[:, 1] > 0)
    assert torch.equal(part.edge_index[1, part.triplet_index[0]], part.edge_index[0, part.triplet_index[1]])


def test_counts_say_what_there_is():
    for source in ("line_graph", "triplets"):
        dataset = load_dataset({"source": source, "of": {"source": "toy", "num_samples": 4}})
        counts = dataset.metadata.options["building"]
        events = toy(4).graphs
        assert counts["doublets"] == counts["kept_doublets"] == sum(g.num_edges for g in events)
        assert counts["true_doublets"] == sum(float(g.y.sum()) for g in events)
        pairs = [pairs_one_by_one(g.edge_index.tolist()) for g in events]
        assert counts["kept_triplets"] == sum(map(len, pairs))
        true = sum(float(g.y[a] * g.y[b]) for g, rows in zip(events, pairs, strict=True) for a, b in rows)
        assert counts["true_triplets"] == counts["kept_true_triplets"] == true


def triples(edges):
    """Hits of all pairs of edges that share one."""
    return {(a, b, d) for (a, b), (c, d) in itertools.product(edges, repeat=2) if b == c}


def test_doublets_and_triplets_of_overlapping_sectors_count_once():
    graph = toy(1).graphs[0]
    layer = graph.x[:, 0].unique(return_inverse=True)[1]
    parts = [subgraph(graph, layers) for layers in (layer <= 2, layer >= 2, layer <= 1)]
    of_parts = [set(zip(*part.hit_id[part.edge_index].tolist(), strict=True)) for part in parts]
    in_parts = set.union(*map(triples, of_parts))
    every = set.union(*of_parts)
    pid = dict(zip(graph.hit_id.tolist(), graph.pid.tolist(), strict=True))
    edges = zip(*graph.hit_id[graph.edge_index].tolist(), strict=True)
    true = {edge for edge, y in zip(edges, graph.y.tolist(), strict=True) if y} & every
    true_triples = {(a, b, c) for a, b, c in triples(true) if pid[a] == pid[b]}
    doublets = [Doublets(part, PLAIN, np.ones(part.num_edges, dtype=bool)) for part in parts]
    numbers = counts(doublets, [adjacent(part.edge_index.numpy(), len(part.x)) for part in parts])
    assert numbers == {
        "doublets": len(every),
        "true_doublets": len(true),
        "kept_doublets": len(every),
        "kept_true_doublets": len(true),
        "true_triplets": len(true_triples),
        "kept_triplets": len(in_parts),
        "kept_true_triplets": len(true_triples & in_parts),
    }
    assert sum(map(len, of_parts)) > len(every), "the sectors overlap"
    assert len(in_parts) < len(triples(every)), "some triplets are in no sector"


def test_the_events_of_a_line_graph_are_divided_like_those_of_its_source():
    inner, outer = toy(20), load_dataset({"source": "line_graph", "of": {"source": "toy", "num_samples": 20}})
    for seed in (0, 5):
        inner_splits, outer_splits = inner.split(seed=seed), outer.split(seed=seed)
        for part in ("train", "validation", "test"):
            assert [g.event for g in getattr(inner_splits, part)] == [g.event for g in getattr(outer_splits, part)]


def test_scores_that_the_data_bring_along_are_cut(tmp_path):
    graph = make_graph(cross() | {"baseline": np.linspace(0, 1, 12)}, PLAIN, "e", 0)
    score = graph.baseline.numpy()
    folder = tmp_path / "data"
    write(Dataset((graph,), PLAIN), folder)
    spec = {"source": "line_graph", "of": {"source": "hitgraphs", "path": str(folder)}, "cut": 0.5}
    line = load_dataset(spec).graphs[0]
    assert torch.equal(line.x[:, -1], torch.tensor(score[score >= 0.5]))
    assert torch.equal(line.baseline, line.x[:, -1][line.edge_index].min(dim=0).values), "a probability stays one"


@pytest.mark.parametrize("source", ["line_graph", "triplets"])
def test_logits_of_an_earlier_network_are_passed_on_and_stored(source, tmp_path):
    logits = np.linspace(-30, 80, 12)
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    write(Dataset((make_graph(cross() | {"baseline_logit": logits}, PLAIN, "e", 0),), PLAIN), inner)
    spec = {"source": source, "of": {"source": "hitgraphs", "path": str(inner)}, "cut_logit": 20}
    dataset = load_dataset(spec)
    write(dataset, outer)
    graph, again = dataset.graphs[0], load_dataset({"source": "hitgraphs", "path": str(outer)}).graphs[0]
    assert graph_digest(again) == graph_digest(graph)
    of_doublets = graph.baseline_logit if source == "triplets" else graph.baseline_logit.new_tensor(logits)
    name = {"line_graph": "baseline_logit", "triplets": "triplet_baseline_logit"}[source]
    rows = {"line_graph": graph.hit_id[graph.edge_index], "triplets": graph.get("triplet_index")}[source]
    assert torch.equal(graph[name], of_doublets[rows].min(dim=0).values)
    assert graph[name].min() >= 20
    assert graph[name].unique().tolist() == [20, 30, 40], "as probabilities all would be 1"


def test_scales_of_triplets_follow_a_model():
    dataset = load_dataset({"source": "triplets", "of": {"source": "toy", "num_samples": 3}})
    other = replace(dataset.metadata, triplet_scale=(2.0,) * 8)
    scaled = dataset.scaled_like(other)
    physical = [d.graphs[0].triplet_attr * torch.tensor(d.metadata.triplet_scale) for d in (dataset, scaled)]
    assert_close(*physical)
    assert scaled.metadata.triplet_scale == (2.0,) * 8
    assert dataset.fingerprint != scaled.fingerprint
    assert Dataset(dataset.graphs, other).fingerprint != dataset.fingerprint, "the same numbers mean something else"
    with pytest.raises(InputError, match=r"^data: has the triplet_features none; allowed here: Δr, Δφ, "):
        toy(3).scaled_like(replace(dataset.metadata, edge_features=toy(3).metadata.edge_features))


def test_an_edge_feature_that_nothing_gives_is_named():
    with pytest.raises(ValueError, match=r"^edge feature score can't be computed; allowed: Δr, .*z0, .*, Δr, Δφ, Δz$"):
        edge_features(("Δr", "score"), np.zeros((2, 3)), ("r", "φ", "z"), np.array([[0], [1]]))


def test_paths_inside_are_made_absolute_and_data_go_to_the_innermost_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = {"source": "triplets", "model": "m", "of": {"source": "hitgraphs", "path": "p"}}
    full = resolved(content)
    assert (full["model"], full["of"]["path"]) == (str(tmp_path / "m"), str(tmp_path / "p"))
    assert with_path(content, "q")["of"] == {"source": "hitgraphs", "path": "q"}


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"of": {"source": "toyy"}}, "data: of.source: is 'toyy'; allowed: "),
        ({"of": {"source": "toy", "num_samples": 0}}, "data: of.num_samples: is 0; allowed: 1 or more"),
        ({"of": {}}, "data: of: describes no data; allowed: {source: NAME, …}, a YAML file of that, or a path"),
        ({"cut": 2}, "data: cut: is 2.0; allowed: 0 or more, 1 or less"),
        ({"model": "nowhere"}, "data: model: nowhere: no such folder; allowed: one that `archioptrx train` or"),
        ({"most": 0}, "data: most: is 0; allowed: 1 or more"),
        ({"num_samples": 3}, "data: num_samples: is unknown; allowed: cut, cut_logit, model, most, of, source"),
    ],
)
def test_wrong_descriptions_are_named(spec, fault):
    faults: list[str] = []
    assert check_spec({"source": "line_graph", "of": {"source": "toy"}, **spec}, "data", faults) is None
    assert len(faults) == 1
    assert faults[0].startswith(fault)


def test_too_many_triplets_name_the_event():
    with pytest.raises(
        InputError, match=r"^toy000000 sector 0: \d+ pairs of doublets share a hit; allowed: 10 or fewer"
    ):
        load_dataset({"source": "line_graph", "of": {"source": "toy", "num_samples": 1}, "most": 10})


@pytest.mark.parametrize("source", ["line_graph", "triplets"])
def test_written_data_are_read_as_they_were(source, tmp_path):
    dataset = load_dataset({"source": source, "of": {"source": "toy", "num_samples": 3}})
    write(dataset, tmp_path / "data")
    again = load_dataset({"source": "hitgraphs", "path": str(tmp_path / "data")})
    assert again.fingerprint == dataset.fingerprint
    assert again.metadata.triplet_features == dataset.metadata.triplet_features


def test_a_triplet_of_no_edge_in_a_file_is_named(tmp_path):
    write(load_dataset({"source": "triplets", "of": {"source": "toy", "num_samples": 1}}), tmp_path / "data")
    (file,) = (tmp_path / "data").glob("*.npz")
    with np.load(file) as content:
        arrays = dict(content)
    edges = len(arrays["y"])
    arrays["triplets"][2, 1] = edges
    np.savez(file, **arrays)
    with pytest.raises(
        InputError, match=rf"triplets points outside the {edges} edges \({edges}\); allowed: 0 … {edges - 1}$"
    ):
        load_dataset({"source": "hitgraphs", "path": str(tmp_path / "data")})


def test_the_command_makes_a_line_graph_of_any_source(tmp_path, capsys):
    assert main(["toy", "--num-samples", "3", "--output", str(tmp_path / "toy")]) == 0
    capsys.readouterr()
    summaries = []
    for of in ("{source: toy, num_samples: 3}", str(tmp_path / "toy")):
        assert main(["line_graph", "--of", of, "--json"]) == 0
        summaries.append(json.loads(capsys.readouterr().out))
    assert summaries[0]["fingerprint"] == summaries[1]["fingerprint"]
    assert summaries[0]["metadata"]["options"]["building"]["true_triplets"] > 0
    assert main(["line_graph", "--of", "{source: toyy}"]) == 2
    assert capsys.readouterr().err.startswith("data: of.source: is 'toyy'; allowed: ")
