"""Node embedding and node regression: losses and metrics against answers by hand, oracles, invariances."""

import math

import numpy as np
import pytest
import torch
from graphs import random_graph, toy
from hypothesis import given
from hypothesis import strategies as st
from oracles import ConstantOracle, PerfectOracle
from torch.nn.functional import hinge_embedding_loss, huber_loss

from archioptrx.core.errors import InputError, TrialError
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.tasks import make_task
from archioptrx.tasks.node_embedding import pairs_of, random_pairs
from archioptrx.tasks.options.parameters import PARAMETERS
from archioptrx.tasks.parameters import explained, residuals, scaled, scores
from archioptrx.tasks.tracks.clusters import alone, cluster, cluster_scores
from archioptrx.tasks.tracks.scores import track_scores
from archioptrx.training.fit import evaluate_model


def embedding(**options):
    return make_task({"name": "node_embedding", **options})


def regression(*parameters, **options):
    return make_task({"name": "node_regression", "parameters": list(parameters), **options})


def with_pairs():
    """A graph of random hits whose loss graph is four pairs."""
    graph = random_graph(1)
    graph.pid = torch.tensor([1, 1, 2, 2, 0, 0, 1, 2, 3, 3, 3, 0])
    graph.loss_index = torch.tensor([[0, 0, 4, 8], [1, 2, 5, 9]])
    return graph


# --- node embedding --------------------------------------------------------------------------------------------------


def test_the_loss_is_torch_s_hinge_embedding_loss():
    graph = with_pairs()
    points = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))
    first, second = graph.loss_index
    squared = (points[first] - points[second]).square().sum(1)
    sign = torch.tensor([1.0, -1.0, -1.0, 1.0])  # two hits of noise are no particle
    assert torch.isclose(embedding().loss(points, graph), hinge_embedding_loss(squared, sign, 1.0))
    plain = embedding(distance="plain", margin=2.5)
    assert torch.isclose(plain.loss(points, graph), hinge_embedding_loss(squared.sqrt(), sign, 2.5))


def test_told_truth_of_pairs_comes_before_that_of_particles():
    graph = with_pairs()
    assert pairs_of(graph)[1].tolist() == [True, False, False, True]
    graph.y_loss = torch.tensor([0.0, 1.0, 0.0, 1.0])
    assert pairs_of(graph)[1].tolist() == [False, True, False, True]
    del graph.loss_index, graph.y_loss
    assert pairs_of(graph)[0] is graph.edge_index


def test_pairs_are_right_on_their_side_of_the_threshold():
    graph = with_pairs()
    points = torch.zeros(12, 2)
    points[1, 0], points[2, 0], points[5, 0], points[9, 0] = 0.5, 0.8, 0.6, 0.9
    # Squared distances 0.25 (true), 0.64 (false), 0.36 (false), 0.81 (true); the threshold is half of the margin.
    metrics = embedding().metrics([points], [graph])
    assert (metrics["pair_accuracy"], metrics["pairs"], metrics["true_fraction"]) == (0.5, 4, 0.5)
    assert embedding(threshold=0.3).metrics([points], [graph])["pair_accuracy"] == 0.75
    assert metrics["pair_auc"] == 0.5
    assert "v_measure" not in metrics
    assert "v_measure" in embedding(cluster="always").metrics([points], [graph])
    assert "v_measure" in embedding().metrics([points], [graph], bins=True)


@given(st.floats(-3, 3), st.floats(0, 2 * math.pi))
def test_moving_and_turning_all_points_changes_nothing(shift, angle):
    graph = with_pairs()
    points = torch.randn(12, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    task = embedding(random_pairs=2)
    assert torch.isclose(task.validation_loss(points @ turn + shift, graph), task.validation_loss(points, graph))


def test_the_plain_distance_has_a_gradient_where_points_meet():
    graph = with_pairs()
    points = torch.zeros(12, 2, requires_grad=True)
    embedding(distance="plain").loss(points, graph).backward()
    assert points.grad.isfinite().all()
    assert points.grad.any()


def test_random_pairs_stay_in_their_event_and_depend_on_it_alone():
    graphs = toy(3).graphs
    batch = batch_graphs(graphs)
    pairs = random_pairs(batch, 4, fixed=True)
    assert pairs.shape == (2, 4 * len(batch.x))
    assert torch.equal(batch.batch[pairs[0]], batch.batch[pairs[1]])
    assert (pairs[0] != pairs[1]).all()
    assert torch.equal(pairs, random_pairs(batch, 4, fixed=True))
    assert len(torch.unique(pairs[1])) > 0.9 * len(batch.x), "all hits are drawn"


def test_oracles_of_the_embedding():
    graphs = toy(3).graphs
    for options in ({}, {"dimension": 1}, {"dimension": 5, "distance": "plain", "margin": 3.0}):
        task = embedding(**options)
        perfect = evaluate_model(PerfectOracle(task), task, graphs)
        for name in ("pair_accuracy", "pair_auc", "v_measure", "adjusted_rand"):
            assert perfect[name] == pytest.approx(1.0), name
        # torch's plain distance of two equal points isn't quite 0.
        assert perfect["loss"] == pytest.approx(0.0, abs=1e-5 if options.get("distance") == "plain" else 0.0)
        tracks = track_scores(task, [task.perfect(graph) for graph in graphs], graphs)
        assert (tracks["track_efficiency"], tracks["track_fake_rate"]) == (1.0, 0.0)
        assert tracks["trackml_score"] == pytest.approx(1.0)
        constant = evaluate_model(ConstantOracle(task), task, graphs)
        assert constant["pair_accuracy"] == constant["true_fraction"]
        assert (constant["pair_auc"], constant["clusters"]) == (0.5, 1.0)
        assert constant["v_measure"] == constant["adjusted_rand"] == 0.0
        nothing = track_scores(task, [task.constant(graph) for graph in graphs], graphs)
        assert nothing["track_efficiency"] == nothing["trackml_score"] == 0.0


def test_clusters_of_points():
    points = np.array([[0, 0], [0.05, 0], [0.1, 0], [1, 0], [1.05, 0], [5, 5]])
    assert cluster(points, 0.1, 2).tolist() == [0, 0, 0, 1, 1, -1]
    assert cluster(points, 0.1, 3).tolist() == [0, 0, 0, -1, -1, -1]
    assert cluster(points[:0], 0.1, 3).tolist() == []
    task, graph = embedding(min_samples=2), random_graph(1, hits=len(points))
    graph.pid = None  # whose the hits are isn't asked for
    assert task.tracks(torch.tensor(points), graph).tolist() == [0, 0, 0, 1, 1, -1]
    assert alone(np.array([0, -1, 0, -1])).tolist() == [0, 1, 0, 2]


def test_crowds_whose_pairs_would_fill_the_memory_are_one_cluster():
    """As before any training. All pairs of 50,000 hits in one place would need 20 GB; those here would need 0.4."""
    crowd = np.random.default_rng(0).normal(size=(5100, 2), scale=1e-3)
    both = np.concatenate([crowd, crowd + 5])
    assert (cluster(both, 0.1, 3) == 0).all()
    assert set(cluster(both[::10], 0.1, 3)) == {0, 1}


def test_scores_of_clusters_by_hand():
    labels = [np.array([0, 0, 0, 1, 1, -1, 1])]
    pid = [np.array([7, 7, 7, 9, 9, 9, 0])]
    result = cluster_scores(labels, pid)
    # Homogeneous; completeness = 1 - H(K|C) / H(K), clusters {3, 2, 1}: by hand.
    given_class = 0.5 * (-(2 / 3) * math.log(2 / 3) - (1 / 3) * math.log(1 / 3))
    whole = -(1 / 2) * math.log(1 / 2) - (1 / 3) * math.log(1 / 3) - (1 / 6) * math.log(1 / 6)
    completeness = 1 - given_class / whole
    assert result["v_measure"] == pytest.approx(2 * completeness / (1 + completeness))
    assert result["clusters"] == 2
    assert cluster_scores([np.array([0])], [np.array([0])])["v_measure"] is None
    lone = cluster_scores([np.array([0, 0, 0, -1, -1])], [np.array([7, 7, 7, 8, 9])])
    assert lone["v_measure"] == 1.0, "hits in no cluster stand each alone"


# --- node regression -------------------------------------------------------------------------------------------------


def test_parameters_are_scaled_as_documented():
    table = torch.tensor([[2.0, 0.5, 1.0, 25.0, 0.0, -1.0, 9, 1]], dtype=torch.float64)
    targets = scaled(table, ["inverse_pt", "charge_over_pt", "phi", "eta", "z0", "charge"])[0].tolist()
    expected = [(0.5 - 1) / 0.5, -0.5, math.sin(0.5) / 0.7, math.cos(0.5) / 0.7, 1 / 1.5, 0.5, -1.0]
    assert targets == pytest.approx(expected)


def test_the_loss_is_huber_s_on_hits_of_particles():
    graph = toy(1).graphs[0]
    graph.pid[:5] = 0
    task = regression("charge_over_pt", "phi", delta=0.3)
    output = torch.randn(len(graph.x), 3, generator=torch.Generator().manual_seed(1))
    truth = task.perfect(graph)
    assert torch.isclose(task.loss(output, graph), huber_loss(output[5:], truth[5:], delta=0.3))
    assert task.metrics([output], [graph])["hits"] == len(graph.x) - 5
    graph.pid[:] = 0
    assert float(task.loss(output, graph)) == 0.0
    assert task.metrics([output], [graph])["explained"] is None


@given(st.floats(-3, 3), st.floats(0.1, 3))
def test_resolution_and_bias_of_a_shifted_answer(shift, factor):
    truth = np.linspace(-1, 1, 401)[:, None]
    answers = truth + shift + factor * np.sin(np.arange(401) * 2.4)[:, None]
    shifted = scores(answers, truth, ["z0"])
    plain = scores(answers - shift, truth, ["z0"])
    assert shifted["bias_z0"] == pytest.approx(plain["bias_z0"] + 50 * shift, abs=1e-6)
    assert shifted["resolution_z0"] == pytest.approx(plain["resolution_z0"], abs=1e-6)


def test_resolution_is_half_of_the_middle_68_per_cent():
    truth = np.zeros((10001, 1))
    answers = np.linspace(-1, 1, 10001)[:, None]
    metrics = scores(answers, truth, ["eta"])
    assert metrics["resolution_eta"] == pytest.approx(0.68 * 1.5)
    assert metrics["rms_eta"] == pytest.approx(1.5 / math.sqrt(3), rel=1e-3)
    assert metrics["explained"] is None, "the truth is the same for all"


def test_angles_are_compared_round_the_circle():
    angle = np.array([[math.sin(3.1), math.cos(3.1)]]) / 0.7
    other = np.array([[math.sin(-3.1), math.cos(-3.1)]])  # only the direction of the two numbers counts
    assert residuals(PARAMETERS["phi"], angle, other)[0] == pytest.approx(6.2 - 2 * math.pi)


def test_explained_share():
    truth = np.array([[0.0], [1.0], [2.0]])
    assert explained(truth, truth) == 1.0
    assert explained(np.full((3, 1), 1.0), truth) == 0.0
    assert explained(-truth, truth) == 0.0
    assert explained(np.array([[0.0], [1.0], [1.0]]), truth) == 0.5


def test_oracles_of_the_regression():
    graphs = toy(4).graphs
    for names in (("phi",), ("charge",), ("inverse_pt", "charge_over_pt", "phi", "charge")):
        task = regression(*names)
        perfect = evaluate_model(PerfectOracle(task), task, graphs)
        assert perfect["explained"] == pytest.approx(1.0)
        assert all(abs(perfect[f"{kind}_{name}"]) < 1e-6 for kind in ("bias", "resolution", "rms") for name in names)
        constant = evaluate_model(ConstantOracle(task), task, graphs)
        assert constant["explained"] <= 0.02
    eta = regression("eta", "phi")  # a toy event is flat
    assert evaluate_model(PerfectOracle(eta), eta, graphs)["explained_eta"] is None


# --- both ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [embedding(cluster="always"), regression("phi", "charge")])
def test_scores_don_t_depend_on_batching(task):
    graphs = toy(5).graphs
    outputs = [torch.randn(len(g.x), task.target_width, generator=torch.Generator().manual_seed(i)) for i, g in
               enumerate(graphs)]  # fmt: skip
    one_by_one, together = task.metrics(outputs, graphs), task.metrics([torch.cat(outputs)], [batch_graphs(graphs)])
    assert one_by_one == pytest.approx(together, rel=1e-5)


@pytest.mark.parametrize("task", [embedding(), regression("phi")])
def test_answers_that_are_no_numbers_fail_the_trial(task):
    graph = toy(1).graphs[0]
    output = task.constant(graph)
    output[0, 0] = math.nan
    with pytest.raises(TrialError, match=r"^1 of \d+ numbers aren't finite$"):
        task.metrics([output], [graph])


def test_events_without_particles_are_refused_for_regression():
    assert "have no particles; allowed: a source that knows them" in regression("phi").data_fault(random_graph(1))
    assert regression("phi").data_fault(toy(1).graphs[0]) is None


def test_events_without_particle_ids_are_refused_for_embedding():
    graph = with_pairs()
    assert embedding().data_fault(graph) is None
    del graph.pid
    assert "no particle ids (pid); allowed: a source that knows them" in embedding().data_fault(graph)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "node_embedding", "dimension": 0}, "task: dimension: is 0; allowed: 1 or more"),
        ({"name": "node_embedding", "distance": "cosine"}, "task: distance: is 'cosine'; allowed: plain, squared"),
        (
            {"name": "node_regression", "parameters": []},
            "task: parameters: is empty; allowed: one or more of inverse_pt",
        ),
        ({"name": "node_regression", "parameters": ["phi", "phi"]}, "task: parameters[1]: phi stands twice"),
        ({"name": "node_regression", "parameters": [["phi"]]}, "task: parameters[0]: is ['phi']; allowed: charge, "),
        ({"name": "node_regression", "parameters": ["pfi"]}, "task: parameters[0]: is 'pfi'; allowed: charge, "),
    ],
)
def test_wrong_descriptions_are_named(spec, message):
    with pytest.raises(InputError) as error:
        make_task(spec)
    assert error.value.faults[0].startswith(message)
