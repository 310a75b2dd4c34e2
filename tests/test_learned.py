"""Graphs from a learned embedding: which edges they have, what the embedding may see, and where it travels."""

import dataclasses
import json
import pickle
from functools import cache

import numpy as np
import pytest
import torch
from graphs import graph_faults, random_dataset, toy
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.sources import load_dataset, with_path
from archioptrx.data.sources.embedding import (
    Embedding,
    EmbeddingInput,
    inputs_of,
    near_pairs,
    pair_loss,
    partners,
    true_pairs,
)
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.sources.learned import jobs_of
from archioptrx.data.sources.pickle_writing import write as write_pickle
from archioptrx.data.sources.stream import key_of

TOY = {"source": "toy", "num_samples": 10}
QUICK = {"source": "learned", "of": TOY, "epochs": 30, "dimension": 4}


@cache
def learned() -> Dataset:
    return load_dataset(QUICK)


def as_set(pairs):
    return {frozenset(pair) for pair in np.asarray(pairs).T.tolist()}


def test_edges_join_hits_within_the_radius_and_the_loss_has_the_missed_ones_too():
    dataset = learned()
    radius = dataset.metadata.options["embedding"]["radius"]
    sums = dict.fromkeys(("true_edges", "kept_edges", "edges", "particle_edges"), 0)
    for graph in dataset.graphs:
        assert graph_faults(graph) == []
        r, pid = graph.x[:, 0], graph.pid
        distance = torch.cdist(graph.embedding.double(), graph.embedding.double())
        near = torch.triu(distance <= radius, diagonal=1).nonzero().T
        predicted = as_set(graph.edge_index)
        assert predicted == as_set(near)
        assert (r[graph.edge_index[0]] < r[graph.edge_index[1]]).logical_or(graph.y == 0).all()
        # In the toy detector the hits of a track are on layers one after the other.
        layer = (r * 10).round().long()
        pairs = {(p, q) for p in range(len(r)) for q in range(len(r)) if pid[p] == pid[q] and layer[q] - layer[p] == 1}
        truth = {frozenset(pair) for pair in pairs}
        assert as_set(graph.edge_index[:, graph.y == 1]) == truth & predicted
        assert as_set(graph.loss_index) == truth | predicted
        assert len(graph.y_loss) == len(truth | predicted)
        assert torch.equal(graph.y_loss == 1, pid[graph.loss_index[0]] == pid[graph.loss_index[1]])
        counts = (
            len(truth),
            len(truth & predicted),
            len(predicted),
            sum(len({*pid[[*e]].tolist()}) == 1 for e in predicted),
        )
        sums = {name: sums[name] + count for name, count in zip(sums, counts, strict=True)}
    assert dataset.metadata.options["building"] == sums


def test_all_pairs_of_a_particle_may_be_true_and_the_loss_may_see_a_wider_radius():
    dataset = load_dataset({**QUICK, "epochs": 2, "truth": "all", "radius": 0.2, "loss_radius": 0.4})
    beyond, wrong = 0, 0
    for graph in dataset.graphs:
        assert graph_faults(graph) == []
        pid, rows = graph.pid, range(len(graph.pid))
        distance = torch.cdist(graph.embedding.double(), graph.embedding.double())
        predicted, near = (as_set(torch.triu(distance <= r, diagonal=1).nonzero().T) for r in (0.2, 0.4))
        truth = {frozenset((p, q)) for p in rows for q in rows if p < q and pid[p] == pid[q] != 0}
        assert as_set(graph.edge_index) == predicted
        assert as_set(graph.edge_index[:, graph.y == 1]) == truth & predicted
        assert as_set(graph.loss_index) == near | truth
        assert graph.loss_index.shape[1] == len(near | truth)
        assert as_set(graph.loss_index[:, graph.y_loss == 1]) == truth
        beyond, wrong = beyond + len(truth - near), wrong + len(near - predicted - truth)
    assert min(beyond, wrong) > 0


def test_written_samples_have_as_true_all_pairs_of_a_particle_but_no_other_pair_of_the_loss(tmp_path):
    dataset = load_dataset({**QUICK, "epochs": 2, "truth": "all", "radius": 0.2, "loss_radius": 0.4})
    write_pickle(dataset, tmp_path / "samples.pickle")
    for sample, graph in zip(pickle.loads((tmp_path / "samples.pickle").read_bytes()), dataset.graphs, strict=True):
        true = [sorted(neighbours.tolist()) for neighbours in sample["graphs"]["true"]]
        pid = graph.pid.tolist()
        assert true == [[q for q in range(len(pid)) if q != p and pid[q] == pid[p] != 0] for p in range(len(pid))]


def test_the_embedding_brings_hits_of_a_particle_together_in_events_that_it_never_saw():
    dataset = learned()
    others = [graph for graph in dataset.graphs if graph.event not in dataset.metadata.fitted_on]
    assert len(others) == 5
    true = sum(len(true_pairs(graph, dataset.metadata)[0]) for graph in others)
    kept_true = sum(float(graph.y.sum()) for graph in others)
    alike = sum(float((graph.pid[:, None] == graph.pid).sum()) / len(graph.pid) ** 2 for graph in others) / len(others)
    joined = sum(float(graph.y_loss[: graph.num_edges].mean()) for graph in others) / len(others)
    assert kept_true / true > 0.9
    assert joined > 4 * alike


def test_noise_is_of_no_particle(tmp_path):
    random = random_dataset(4)
    for graph in random.graphs:
        graph.y *= (graph.pid[graph.edge_index] > 0).all(dim=0)
    write(random, tmp_path / "events")
    dataset = load_dataset({"source": "learned", "of": str(tmp_path / "events"), "epochs": 1, "radius": 99.0})
    noise = [(graph.pid[graph.loss_index] == 0).all(dim=0).any() for graph in dataset.graphs]
    assert sum(noise) >= 2, "noise meets noise in these graphs"
    for graph in dataset.graphs:
        first, second = graph.pid[graph.loss_index]
        assert torch.equal(graph.y_loss == 1, (first == second) & (first > 0))
        assert (graph.pid[graph.edge_index[:, graph.y == 1]] > 0).all()


def test_fitted_events_are_training_events_whatever_the_seed():
    dataset = learned()
    assert len(dataset.metadata.fitted_on) == 5
    for seed in range(10):
        splits = dataset.split(0.15, 0.15, seed)
        assert {graph.event for graph in splits.train} >= set(dataset.metadata.fitted_on)
        assert len(splits.train) == 6
    tests = {frozenset(graph.event for graph in dataset.split(0.15, 0.15, seed).test) for seed in range(10)}
    assert len(tests) > 3
    message = (
        "was fitted on 5 events, and 4 are for training; allowed: a smaller train_events, or smaller shares in split"
    )
    with pytest.raises(InputError, match=message):
        dataset.split(0.3, 0.3, 0)


def test_with_too_few_events_the_split_says_what_the_embedding_saw():
    dataset = load_dataset({**QUICK, "of": {**TOY, "num_samples": 2, "max_angle": 6.2}, "epochs": 1, "radius": 9.0})
    assert dataset.metadata.fitted_on in (("toy000000",), ("toy000001",))
    assert "an embedding of the hits was fitted on events of all parts" in dataset.split(0.15, 0.15, 0).rule


def test_the_same_description_gives_the_same_data_on_any_number_of_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = load_dataset(QUICK)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert again.fingerprint == learned().fingerprint
    assert load_dataset({**QUICK, "seed": 1}).fingerprint != learned().fingerprint


def test_a_models_embedding_meets_new_events_unchanged(tmp_path):
    trained = learned()
    write(toy(3, seed=9), tmp_path / "new")
    spec = with_path(QUICK, str(tmp_path / "new"))
    # Metadata travels with a model as JSON.
    like = Metadata.from_dict(json.loads(json.dumps(trained.metadata.to_dict())))
    new = load_dataset(spec, like=like)
    assert new.metadata.options["embedding"] == trained.metadata.options["embedding"]
    assert new.metadata.fitted_on == ()
    embedding = Embedding.from_dict(trained.metadata.options["embedding"])
    for graph in new.graphs:
        assert torch.allclose(graph.embedding, embedding(inputs_of(graph, trained.metadata)))
    with pytest.raises(InputError, match="the model wasn't trained on graphs of a learned embedding"):
        load_dataset(spec, like=toy(3).metadata)


def test_learned_data_are_written_and_read_again(tmp_path):
    dataset = learned()
    write(dataset, tmp_path / "npz")
    again = load_dataset({"source": "hitgraphs", "path": str(tmp_path / "npz")})
    assert again.fingerprint == dataset.fingerprint
    assert again.metadata.fitted_on == dataset.metadata.fitted_on
    write_pickle(dataset, tmp_path / "a.pickle")
    samples = load_dataset({"source": "pickle", "path": str(tmp_path / "a.pickle")})
    for old, new in zip(dataset.graphs, samples.graphs, strict=True):
        assert torch.equal(old.embedding, new.embedding)
        for index, truth in (("edge_index", "y"), ("loss_index", "y_loss")):
            assert as_set(old[index]) == as_set(new[index])
            assert as_set(old[index][:, old[truth] == 1]) == as_set(new[index][:, new[truth] == 1])


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12))
def test_the_nearest_neighbours_within_a_radius_are_found(seed, count, neighbours):
    places = np.random.default_rng(seed).random((count, 2))
    pairs = near_pairs(places, 0.5, neighbours)
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    expected = [
        (hit, other)
        for hit in range(count)
        for other in sorted(set(range(count)) - {hit}, key=lambda k: distance[hit, k])[:neighbours]
        if distance[hit, other] <= 0.5
    ]
    assert sorted(map(tuple, pairs.T.tolist())) == sorted(expected)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.integers(0, 99))
def test_partners_are_other_hits_of_the_same_particle(pids, seed):
    pid = np.array(pids)
    first, second = partners(pid, np.random.default_rng(seed))
    assert (pid[first] == pid[second]).all()
    assert (pid[first] > 0).all()
    assert (first != second).all()


def test_the_loss_is_that_of_the_paper():
    # Two hits of particle 1 at distance 3, two of others far away from all.
    places = torch.tensor([[0.0, 0], [3, 0], [50, 0], [0, 50]])
    hits = EmbeddingInput(torch.zeros(4, 1), np.array([1, 1, 2, 0]), np.array([[0], [1]]))
    assert float(pair_loss(places, hits, 5.0, np.random.default_rng(0))) == pytest.approx(9.0)
    # Particles 1 and 2 at distance 3 of margin 5: the mean of 25 - 9 over the pairs that are near.
    hits = EmbeddingInput(torch.zeros(2, 1), np.array([1, 2]), np.zeros((2, 0), dtype=np.int64))
    assert float(pair_loss(places[:2], hits, 5.0, np.random.default_rng(0))) == pytest.approx(16.0)
    # Nothing to compare.
    hits = EmbeddingInput(torch.zeros(1, 1), np.array([1]), np.zeros((2, 0), dtype=np.int64))
    assert float(pair_loss(places[:1], hits, 5.0, np.random.default_rng(0))) == 0.0


def test_an_embedding_survives_its_text():
    random = np.random.default_rng(0)
    shapes = ((6, 3), (3, 2))
    weights = tuple(torch.tensor(random.normal(size=shape), dtype=torch.float32) for shape in shapes)
    embedding = Embedding(weights, (torch.ones(3), torch.zeros(2)), 0.25)
    again = Embedding.from_dict(json.loads(json.dumps(embedding.to_dict())))
    inputs = torch.tensor(random.normal(size=(5, 6)), dtype=torch.float32)
    assert torch.equal(again(inputs), embedding(inputs))
    assert again.radius == 0.25


def test_an_embedding_that_is_made_again_is_known_to_the_cache():
    again = [Embedding.from_dict(learned().metadata.options["embedding"]) for _ in range(2)]
    assert key_of([], again[0]) == key_of([], again[1])
    other = dataclasses.replace(again[1], radius=again[1].radius + 1)
    assert key_of([], again[0]) != key_of([], other)


def test_a_job_for_a_worker_carries_one_event():
    graphs = toy(20).graphs
    jobs = jobs_of(graphs)
    assert [graph.event for job in jobs for graph in job.content] == [graph.event for graph in graphs]
    assert len(pickle.dumps(jobs[0])) < 2 * len(pickle.dumps(graphs[0]))
    assert len({job.key for job in jobs}) == 20


def test_angles_at_both_ends_of_the_circle_are_neighbours():
    graph = random_dataset(1).graphs[0]
    graph.x[0], graph.x[1] = torch.tensor([0.1, 0.9999, 0.2]), torch.tensor([0.1, -0.9999, 0.2])
    inputs = inputs_of(graph, Metadata("test"))
    assert (inputs[0] - inputs[1]).norm() < 1e-2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "data: of: describes no data; allowed: {source: NAME, …}, a YAML file of that, or a path"),
        ({"of": {"source": "tey"}}, "data: of.source: is 'tey'; allowed: "),
        ({"of": "nowhere.yaml"}, "nowhere.yaml: can't be read: "),
        ({"of": TOY, "epochs": 0}, "data: epochs: is 0; allowed: 1 or more"),
        ({"of": TOY, "efficiency": 2.0}, "data: efficiency: is 2.0; allowed: 0.01 or more, 1 or less"),
    ],
)
def test_faults_are_named(spec, message):
    with pytest.raises(InputError) as error:
        load_dataset({"source": "learned", **spec})
    assert error.value.faults[0].startswith(message)


def test_data_without_particles_are_refused(tmp_path):
    dataset = toy(3)
    for graph in dataset.graphs:
        graph.pid = None
    write(dataset, tmp_path / "events")
    with pytest.raises(
        InputError, match=r"data\.of: has no particle of each hit \(pid\); allowed: a source that knows"
    ):
        load_dataset({"source": "learned", "of": str(tmp_path / "events")})


def test_the_command_takes_a_path_or_yaml(tmp_path, capsys):
    write(toy(4), tmp_path / "events")
    file = tmp_path / "data.yaml"
    file.write_text(f"source: hitgraphs\npath: {tmp_path / 'events'}\n")
    printed = []
    for of in (str(tmp_path / "events"), str(file), f"{{path: {tmp_path / 'events'}}}"):
        assert main(["learned", "--of", of, "--epochs", "1", "--radius", "1.5", "--json"]) == 0
        printed.append(json.loads(capsys.readouterr().out)["fingerprint"])
    assert len(set(printed)) == 1
    assert main(["learned", "--of", str(file), "--epochs", "1", "--radius", "1.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 220
    assert any(line.startswith("building ") and line.endswith(" edges inside a particle") for line in lines)


@pytest.mark.parametrize("layers", [["line_graph"], ["triplets"], ["line_graph", "line_graph"]])
def test_triplets_of_a_model_have_the_embedding_of_its_training(layers):
    """It is not fitted on the events that the model is scored on."""
    trained, spec = learned().metadata.to_dict(), {**QUICK, "of": {**TOY, "num_samples": 4, "seed": 5}}
    known = QUICK
    for source in layers:
        known, spec = {"source": source, "of": known}, {"source": source, "of": spec}
    new = load_dataset(spec, like=load_dataset(known).metadata).metadata.to_dict()
    for _ in layers:
        new = new["options"]["of"]
    assert new["options"]["embedding"] == trained["options"]["embedding"]
    assert new["fitted_on"] == []
