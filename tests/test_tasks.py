"""Edge classification: loss, scores, bins, oracles."""

import math

import numpy as np
import pytest
import torch
from graphs import random_graph, toy
from oracles import ConstantOracle, PerfectOracle
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from archioptrx.core.errors import InputError, TrialError
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.tasks import make_task
from archioptrx.tasks.edge_classification import EdgeClassification
from archioptrx.tasks.options import read_task
from archioptrx.tasks.task import TaskObjective
from archioptrx.training.fit import evaluate_model


def logits_for(graph, seed=0):
    return torch.randn(graph.num_edges, generator=torch.Generator().manual_seed(seed))


def test_the_perfect_oracle_scores_one_and_the_constant_one_half():
    graphs = toy(4).graphs
    perfect = evaluate_model(PerfectOracle(), make_task(), graphs)
    for name in ("auc", "average_precision", "accuracy", "efficiency", "purity", "efficiency_0.7", "purity_0.7"):
        assert perfect[name] == 1.0, name
    assert perfect["purity_at_efficiency_0.98"] == 1.0
    constant = evaluate_model(ConstantOracle(), make_task(), graphs)
    assert constant["auc"] == 0.5
    assert constant["average_precision"] == pytest.approx(constant["true_fraction"])
    assert (constant["efficiency"], constant["efficiency_0.7"]) == (1.0, 0.0), "0.5 reaches the cut of 0.5, not of 0.7"
    assert constant["purity_0.7"] is None


def test_scores_don_t_depend_on_batching():
    graphs = toy(7).graphs
    model = torch.nn.Linear(5, 1)

    def forward(data):
        return model(data.edge_attr).squeeze(1)

    module = torch.nn.Module()
    module.forward = forward
    alone, together = (evaluate_model(module, make_task(), graphs, batch_size=size) for size in (1, 7))
    assert alone["auc"] == pytest.approx(together["auc"], abs=1e-9)
    assert alone["loss"] == pytest.approx(together["loss"], rel=1e-5)
    assert [row["edges"] for row in alone["pt"]] == [row["edges"] for row in together["pt"]]


def test_the_loss_is_the_mean_cross_entropy():
    graph = random_graph(1)
    logits = logits_for(graph)
    assert torch.isclose(make_task().loss(logits, graph), bce(logits, graph.y))


def test_class_weights():
    graph = random_graph(1)
    logits = logits_for(graph)
    ratio = float((graph.y == 0).sum() / graph.y.sum())
    for weight, value in (("balanced", ratio), (3.0, 3.0), (2, 2.0)):
        loss = EdgeClassification(weight).loss(logits, graph)
        assert torch.isclose(loss, bce(logits, graph.y, pos_weight=torch.tensor(value)))
    graph.y[:] = 0
    assert torch.isclose(EdgeClassification("balanced").loss(logits, graph), bce(logits, graph.y))


@pytest.mark.parametrize("name", ["edge_classification", "triplet_classification"])
def test_a_class_weight_of_one_is_none(name: str):
    """1, 1.0 and none train in the same way: they are one option, with the same numbers bit by bit."""
    (usual, *others) = [
        read_task({"name": name, "class_weight": weight}, "task", []) for weight in ("none", 1, 1.0, None)
    ]
    assert all(other == usual for other in others)
    graph = random_graph(1)
    assert torch.equal(
        EdgeClassification(1.0).loss(logits_for(graph), graph), make_task().loss(logits_for(graph), graph)
    )
    assert EdgeClassification(1).class_weight == EdgeClassification().class_weight


def test_the_loss_of_weighted_and_masked_edges_doesn_t_depend_on_batching():
    graphs = [random_graph(seed) for seed in range(3)]
    for place, graph in enumerate(graphs):
        draws = torch.Generator().manual_seed(place)
        graph.edge_weight = (1 + 9 * place) * torch.rand(graph.num_edges, generator=draws)
        graph.edge_mask = torch.rand(graph.num_edges, generator=draws) > 0.3
    logits = [torch.randn(g.num_edges, generator=torch.Generator().manual_seed(9 + k)) for k, g in enumerate(graphs)]
    single = EdgeClassification().metrics(logits, graphs)
    assert single == pytest.approx(EdgeClassification().metrics([torch.cat(logits)], [batch_graphs(graphs)]))


def test_weights_and_masked_edges():
    graph = random_graph(1)
    logits = logits_for(graph)
    graph.edge_mask = torch.arange(30) < 20
    plain = bce(logits[:20], graph.y[:20])
    assert torch.isclose(make_task().loss(logits, graph), plain)
    scores = make_task().metrics([logits], [graph])
    assert scores["edges"] == 20
    assert scores["loss"] == pytest.approx(float(plain))
    graph.edge_weight = torch.cat([torch.full((10,), 2.0), torch.zeros(10), torch.full((10,), 5.0)])
    assert torch.isclose(make_task().loss(logits, graph), bce(logits[:10], graph.y[:10]))


def test_a_graph_without_edges_has_no_loss_and_no_scores():
    graph = random_graph(1, edges=0)
    assert float(make_task().loss(torch.zeros(0), graph)) == 0
    assert make_task().metrics([torch.zeros(0)], [graph])["auc"] is None
    assert make_task().metrics([], [])["loss"] is None


def test_one_class_gives_none_instead_of_a_score():
    graph = random_graph(1)
    graph.y[:] = 1
    scores = make_task().metrics([logits_for(graph)], [graph])
    assert scores["auc"] is scores["average_precision"] is None
    assert scores["purity"] == 1.0
    assert make_task().objective.value(scores) is None


def test_scores_that_are_no_numbers_fail_the_trial():
    graph = random_graph(1)
    logits = logits_for(graph)
    logits[3] = math.nan
    with pytest.raises(TrialError, match=r"^1 of 30 scores aren't finite numbers$"):
        make_task().metrics([logits], [graph])


def test_large_logits_are_ranked_although_their_probabilities_are_equal():
    graph = random_graph(1)
    logits = 40.0 + graph.y + torch.rand(30, generator=torch.Generator().manual_seed(1)) / 2
    assert len(torch.sigmoid(logits).unique()) == 1
    assert make_task().metrics([logits], [graph])["auc"] == 1.0


@pytest.mark.parametrize("cut", [0.0, 1.0, -1.0, math.nan])
def test_a_cut_that_is_no_probability_is_refused(cut):
    with pytest.raises(InputError, match=r"^cut: is .*; allowed: between 0 and 1$"):
        make_task().metrics([], [], cut=cut)


def test_bins_of_eta_and_pt_divide_the_edges():
    graphs = [random_graph(k) for k in range(5)]
    outputs = [logits_for(g, k) for k, g in enumerate(graphs)]
    scores = make_task().metrics(outputs, graphs, cut=0.6, bins=True)
    for name in ("eta", "pt"):
        assert sum(row["edges"] for row in scores[name]) == scores["edges"] == 150
        assert all(row["cut"] == 0.6 for row in scores[name])
        assert all(row["to"] is None or row["from"] < row["to"] for row in scores[name])
    outer = np.concatenate([g.pos[g.edge_index[1]].numpy() for g in graphs])
    eta = np.abs(np.arcsinh(outer[:, 2] / np.hypot(outer[:, 0], outer[:, 1])))
    assert [row["edges"] for row in scores["eta"] if row["from"] == 0.5] == [int(((eta >= 0.5) & (eta < 1)).sum())]


def test_bins_need_the_quantity():
    graph = random_graph(1)
    del graph.pt
    scores = make_task().metrics([logits_for(graph)], [graph], bins=True)
    assert "eta" in scores
    assert "pt" not in scores


def test_a_batch_counts_like_its_graphs():
    graphs = [random_graph(k) for k in range(3)]
    outputs = [logits_for(g, k) for k, g in enumerate(graphs)]
    single = make_task().metrics(outputs, graphs, bins=True)
    joined = make_task().metrics([torch.cat(outputs)], [batch_graphs(graphs)], bins=True)
    assert single.pop("loss") == pytest.approx(joined.pop("loss"), rel=1e-6)
    assert single == joined


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("edge_clasification", "task: name: is 'edge_clasification'; allowed: edge_classification, "),
        (
            {"class_weight": "balance"},
            "task: class_weight: is 'balance'; allowed: balanced, none (did you mean balanced?)",
        ),
        ({"class_weight": -1}, "task: class_weight: is -1; allowed: above 0, none or balanced"),
        ({"weight": 1}, "task: weight: is unknown; allowed: class_weight, name"),
    ],
)
def test_wrong_descriptions_are_named(spec, message):
    with pytest.raises(InputError) as error:
        make_task(spec)
    assert error.value.faults[0].startswith(message)


def test_objective_turns_so_that_larger_is_better():
    assert TaskObjective("loss", "min").value({"loss": 0.3}) == -0.3
    assert TaskObjective("auc").value({"auc": 0.9}) == 0.9
    assert TaskObjective("auc").value({}) is None


def test_the_cut_for_an_efficiency_keeps_that_share_of_true_edges():
    generator = torch.Generator().manual_seed(3)
    graphs = [random_graph(seed, hits=20, edges=90) for seed in (1, 2)]
    outputs = [torch.randn(90, generator=generator) + graph.y for graph in graphs]
    task = EdgeClassification()
    for efficiency in (0.3, 0.8, 0.98, 1.0):
        cut = task.cut(outputs, graphs, efficiency)
        scores = task.metrics(outputs, graphs, cut=cut)
        true = sum(float(graph.y.sum()) for graph in graphs)
        assert efficiency <= scores["efficiency"] < efficiency + 1 / true + 1e-9
    for graph in graphs:
        graph.y = torch.zeros(90)
    assert task.cut(outputs, graphs, 0.9) is None
