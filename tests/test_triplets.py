"""Triplet classification: scores, what is fixed and worsened, five classes, networks on two rungs, a model before."""

import json
import math
import random
import shutil

import numpy as np
import pytest
import torch
from graphs import toy
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ConstantOracle, PerfectOracle
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.testing import assert_close
from torch_geometric.data import Data

from archioptrx.commands.evaluate import main as evaluate
from archioptrx.commands.train import main as train
from archioptrx.core.errors import InputError
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.data.sources import load_dataset
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.models.model_folder import load_model
from archioptrx.networks.compile import compile_model
from archioptrx.runs.experiment import load_experiment
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace
from archioptrx.tasks import make_task
from archioptrx.tasks.classification_metrics import Cut
from archioptrx.tasks.comparison import Baseline, against_baseline, medals
from archioptrx.training.fit import evaluate_model, predict

TOY = {"source": "toy", "num_samples": 12}
WIDTHS = {"hits": 3, "doublet": 5, "triplet": 8}
TASK = make_task("triplet_classification")


def triplets(**options):
    return load_dataset({"source": "triplets", "of": TOY, **options})


def candidate(seed):
    """A network sampled from the bundled function graph."""
    draw = random.Random(seed)
    space = WalkSpace(FunctionGraph.load("triplets"), SearchSpace.load("small"))
    return space(lambda point, labels, weights: draw.choices(range(len(labels)), weights)[0])


def model_of(seed):
    network = candidate(seed)
    torch.manual_seed(seed)
    return compile_model(network.graph, network.hyperparameters, WIDTHS).double().eval()


def random_triplets(seed, nodes=9, edges=20, many=40):
    """Random hits, doublets and triplets, in any order."""
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def index(size, count):
        return torch.randint(0, size, (2, count), generator=generator)

    return Data(
        x=numbers(nodes, 3),
        edge_index=index(nodes, edges),
        edge_attr=numbers(edges, 5),
        triplet_index=index(edges, many),
        triplet_attr=numbers(many, 8),
    )


def test_the_perfect_oracle_scores_one_and_the_constant_one_half():
    graphs = triplets().graphs
    perfect, constant = (evaluate_model(oracle(TASK), TASK, graphs) for oracle in (PerfectOracle, ConstantOracle))
    assert perfect["auc"] == perfect["accuracy"] == perfect["purity_at_efficiency_0.98"] == 1.0
    assert (constant["auc"], constant["efficiency"]) == (0.5, 1.0)
    true = sum(int(g.y_triplet.sum()) for g in graphs)
    assert perfect["gold"] == true, "what is accepted is true, and a track doesn't branch"
    assert perfect["triplets"] == constant["triplets"] == sum(g.triplet_index.shape[1] for g in graphs)


def test_a_triplet_counts_as_an_edge_of_the_line_graph_does():
    line = load_dataset({"source": "line_graph", "of": TOY}).graphs
    both = triplets().graphs
    outputs = [torch.randn(g.num_edges, generator=torch.Generator().manual_seed(k)) for k, g in enumerate(line)]
    as_edges = make_task().metrics(outputs, line, bins=True)
    as_triplets = TASK.metrics(outputs, both, bins=True)
    assert as_triplets.pop("triplets") == as_edges.pop("edges")
    for name in ("auc", "loss", "gold", "silver", "bronze", "red", "blue", "purity_0.7"):
        assert as_triplets[name] == as_edges[name], name
    joined = TASK.metrics([torch.cat(outputs)], [batch_graphs(both)], bins=True)
    assert joined["loss"] == pytest.approx(as_triplets["loss"], rel=1e-6)
    assert {name: joined[name] for name in ("gold", "red", "pt", "eta")} == {
        name: as_triplets[name] for name in ("gold", "red", "pt", "eta")
    }


def test_the_loss_is_weighted_and_masked():
    graph = triplets().graphs[0]
    many = graph.triplet_index.shape[1]
    logits = torch.randn(many, generator=torch.Generator().manual_seed(1))
    assert_close(TASK.loss(logits, graph), bce(logits, graph.y_triplet))
    graph.triplet_mask = torch.arange(many) % 3 > 0
    assert_close(TASK.loss(logits, graph), bce(logits[graph.triplet_mask], graph.y_triplet[graph.triplet_mask]))
    scores = TASK.metrics([logits], [graph], bins=True)
    assert scores["triplets"] == int(graph.triplet_mask.sum()) == sum(row["triplets"] for row in scores["pt"])
    counted = graph.triplet_mask & ((logits >= 0) | (graph.y_triplet > 0))
    assert sum(scores[name] for name in ("gold", "silver", "bronze", "red", "blue")) == int(counted.sum())
    graph.triplet_weight = torch.rand(many, generator=torch.Generator().manual_seed(2))
    weight = graph.triplet_weight * graph.triplet_mask
    assert_close(TASK.loss(logits, graph), bce(logits, graph.y_triplet, weight, reduction="sum") / weight.sum())


def test_bins_are_those_of_the_outermost_and_the_innermost_hit():
    graph = triplets().graphs[0]
    inner, outer = TASK.rows.hits(graph)
    first, last = graph.triplet_index
    assert torch.equal(inner, graph.edge_index[0][first])
    assert torch.equal(outer, graph.edge_index[1][last])
    assert torch.equal(graph.edge_index[1][first], graph.edge_index[0][last])
    assert bool((graph.x[inner, 0] < graph.x[outer, 0]).all())


def medal(place, accepted, truth, rows, doublets):
    """The class of one triplet, in plain words."""
    inner, outer = rows[place]
    others = [rows[k] for k in range(len(rows)) if k != place and accepted[k]]
    contested = any(first == inner or second == outer for first, second in others)
    if truth[place]:
        return ("silver" if contested else "gold") if accepted[place] else "blue"
    if not accepted[place]:
        return None
    return "bronze" if doublets[inner] or doublets[outer] else "red"


@given(st.integers(0, 10**6), st.integers(0, 30), st.integers(1, 9))
def test_five_classes_divide_what_is_accepted_or_true(seed, many, doublets):
    numbers = np.random.default_rng(seed)
    accepted, truth = numbers.integers(0, 2, (2, many)).astype(bool)
    index = numbers.integers(0, doublets, (2, many))
    true = numbers.integers(0, 2, doublets).astype(bool)
    counts = medals(accepted, truth, index, true)
    rows = list(map(tuple, index.T.tolist()))
    classes = [medal(k, accepted, truth, rows, true) for k in range(many)]
    assert counts == {name: classes.count(name) for name in ("gold", "silver", "bronze", "red", "blue")}
    assert sum(counts.values()) == int((accepted | truth).sum())


def test_what_is_fixed_and_worsened():
    truth = np.array([1, 1, 1, 0, 0, 0, 1], bool)
    baseline = np.array([0.9, 0.4, 0.6, 0.5, 0.1, 0.7, 0.2], np.float32).astype(np.float64)
    accepted = np.array([1, 1, 0, 0, 1, 1, 0], bool)
    comparison = against_baseline(accepted, Baseline(baseline, logits=False), truth, 0.5)
    assert (comparison["fixed"], comparison["worsened"]) == (2, 2)
    assert comparison["baseline_accuracy"] == pytest.approx(3 / 7)
    assert comparison["baseline_auc"] == pytest.approx(7 / 12)
    assert (comparison["baseline_efficiency"], comparison["baseline_purity"]) == (0.5, 0.5)
    logits = Baseline(np.log(baseline) - np.log1p(-baseline), logits=True)
    assert against_baseline(accepted, logits, truth, 0.5) == comparison
    assert Baseline(baseline, logits=False).accepted(0.9)[0], "what stands exactly on the cut"
    assert Baseline(np.array([39.0, 40.0]), logits=True).accepted(Cut(40.0)).tolist() == [False, True]


def test_fixed_and_worsened_are_the_difference_of_right_answers():
    """Only in the full evaluation, and only where there is a baseline."""
    graphs = triplets().graphs
    outputs = []
    for seed, graph in enumerate(graphs):
        generator = torch.Generator().manual_seed(seed)
        graph.triplet_baseline = torch.rand(len(graph.y_triplet), generator=generator)
        outputs.append(torch.randn(len(graph.y_triplet), generator=generator))
    scores = TASK.metrics(outputs, graphs, cut=0.3, bins=True)
    right = round(scores["accuracy"] * scores["triplets"])
    before = sum(int(((g.triplet_baseline >= 0.3) == (g.y_triplet > 0.5)).sum()) for g in graphs)
    assert scores["baseline_accuracy"] == pytest.approx(before / scores["triplets"])
    assert scores["fixed"] - scores["worsened"] == right - before
    assert min(scores["fixed"], scores["worsened"]) > 0
    assert not {"fixed", "gold"} & set(TASK.metrics(outputs, graphs))
    del graphs[0].triplet_baseline
    assert "fixed" not in TASK.metrics(outputs, graphs, bins=True)


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_order_of_hits_doublets_and_triplets_does_not_matter(seed):
    model, data = model_of(seed), random_triplets(seed)
    generator = torch.Generator().manual_seed(seed)
    hits, edges, rows = (torch.randperm(size, generator=generator) for size in (9, 20, 40))
    moved = Data(
        x=data.x[hits],
        edge_index=hits.argsort()[data.edge_index][:, edges],
        edge_attr=data.edge_attr[edges],
        triplet_index=edges.argsort()[data.triplet_index][:, rows],
        triplet_attr=data.triplet_attr[rows],
    )
    assert_close(model(moved), model(data)[rows], rtol=1e-7, atol=1e-8)


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_a_batch_gives_what_its_graphs_give(seed):
    torch.manual_seed(seed)
    network = candidate(seed)
    model = compile_model(network.graph, network.hyperparameters, WIDTHS).eval()
    graphs = triplets().graphs[:4]
    batch, single = predict(model, [batch_graphs(graphs)])[0], torch.cat(predict(model, graphs))
    assert_close(batch, single, rtol=1e-3, atol=1e-4)


def test_every_rung_is_reached():
    """Over some samples all functions of the bundled graph are used; gradients reach each of its sources."""
    functions = {function.name for function in FunctionGraph.load("triplets").functions}
    used, reached = set(), set()
    for seed in range(60):
        if functions <= used and len(reached) == 3:
            break
        network = candidate(seed)
        used |= {step.function for step in network.graph.steps}
        data = random_triplets(seed)
        fields = {"x": data.x, "edge_attr": data.edge_attr, "triplet_attr": data.triplet_attr}
        for tensor in fields.values():
            tensor.requires_grad_()
        model_of(seed)(data).square().sum().backward()
        reached |= {name for name, tensor in fields.items() if tensor.grad is not None and bool(tensor.grad.any())}
    assert functions <= used
    assert reached == {"x", "edge_attr", "triplet_attr"}


@pytest.fixture(scope="module")
def doublet_model(tmp_path_factory):
    """A classifier of doublets, trained for a moment."""
    folder = tmp_path_factory.mktemp("models") / "doublets"
    options = ["--set", "data.num_samples=12", "--set", "training.threads=1", "--epochs", "2"]
    assert train(["interaction", *options, "--output", str(folder)]) == 0
    return folder


def test_a_model_scores_the_doublets(doublet_model):
    model = load_model(doublet_model)
    events = toy(12).scaled_like(model.metadata).graphs
    dataset = triplets(model=str(doublet_model), cut=0.5)
    assert dataset.metadata.options["model"]["same_data"] is True
    for graph, event in zip(dataset.graphs, events, strict=True):
        answers = predict(model.model, [event])[0]
        assert torch.equal(graph.baseline_logit, answers[answers >= 0])
        assert_close(graph.edge_attr[:, -1], graph.baseline_logit.sigmoid())
        ends = graph.baseline_logit[graph.triplet_index]
        assert torch.equal(graph.triplet_baseline_logit, ends.min(dim=0).values)
        assert graph.get("baseline") is None
    counts = dataset.metadata.options["building"]
    assert 0 < counts["kept_doublets"] < counts["doublets"]
    assert counts["kept_true_triplets"] < counts["true_triplets"]
    assert counts["true_triplets"] == triplets().metadata.options["building"]["true_triplets"]
    other = triplets(model=str(doublet_model), cut=0.5, of={"source": "toy", "num_samples": 11})
    assert other.metadata.options["model"]["same_data"] is False


@pytest.mark.parametrize("source", ["triplets", "line_graph"])
def test_doublets_of_another_kind_than_those_of_the_model_are_named(source, doublet_model, capsys):
    spec = {"source": source, "model": str(doublet_model), "cut": 0.5}
    load_dataset({**spec, "of": {"source": "toy", "num_samples": 3}})
    assert "of another kind" not in capsys.readouterr().err
    load_dataset({**spec, "of": {"source": "helix", "events": 1, "particles": 10, "detector": "barrel"}})
    kind = (
        f"data.model: {doublet_model}: data.of: is of another kind than the training data: source helix (training: toy)"
    )
    assert kind in capsys.readouterr().err


def test_the_cut_may_be_a_logit(doublet_model):
    model = load_model(doublet_model)
    events = toy(12).scaled_like(model.metadata).graphs
    logits = [predict(model.model, [event])[0] for event in events]
    level = float(torch.cat(logits).median())
    dataset = triplets(model=str(doublet_model), cut_logit=level)
    for graph, answers in zip(dataset.graphs, logits, strict=True):
        assert torch.equal(graph.baseline_logit, answers[answers.double() >= level])
    assert dataset.metadata.options["cut_logit"] == level
    assert dataset.metadata.options["cut"] == pytest.approx(1 / (1 + math.exp(-level)))
    assert "cut_logit" not in triplets(model=str(doublet_model)).metadata.options
    none = triplets(model=str(doublet_model), cut_logit=50.0)
    assert {graph.num_edges for graph in none.graphs} == {0}, "the probability of that cut is as good as 1"
    every = [triplets(model=str(doublet_model), cut=cut).metadata.options["building"] for cut in (0.0, 1.0)]
    assert every[0]["kept_doublets"] == every[0]["doublets"]
    assert every[1]["kept_doublets"] == 0


@pytest.mark.parametrize("source", ["triplets", "line_graph"])
def test_the_baseline_of_a_sure_model_ranks_as_that_of_an_unsure_one(source, doublet_model, tmp_path):
    """Logits times a power of two, so exactly: in single precision the probabilities of most doublets are 1."""
    sure = tmp_path / "sure"
    shutil.copytree(doublet_model, sure)
    weights = torch.load(sure / "weights.pt", weights_only=True)
    torch.save({k: v * 2.0**14 if v.shape[:1] == (1,) else v for k, v in weights.items()}, sure / "weights.pt")
    task, scores = TASK if source == "triplets" else make_task(), []
    for folder in (doublet_model, sure):
        graphs = load_dataset({"source": source, "of": TOY, "model": str(folder), "cut": 0.0}).graphs
        rows = task.metrics([task.constant(graph) for graph in graphs], graphs, bins=True)
        scores.append({name: rows[name] for name in rows if name.startswith("baseline") or name == "fixed"})
        stored = torch.cat([graph[task.rows.baseline_logit] for graph in graphs])
    assert (stored.sigmoid() == 1).sum() > 20, "these would all be alike"
    assert stored[stored.sigmoid() == 1].unique().numel() > 5
    assert scores[0] == scores[1]
    assert 0.5 < scores[0]["baseline_auc"] < 1


def test_events_of_the_triplets_are_divided_as_the_model_s_were(doublet_model):
    from archioptrx.models.events import own_splits

    trained = own_splits(load_model(doublet_model))
    parts = triplets(model=str(doublet_model), cut=0.9).split()
    assert [g.event for g in parts.test] == [g.event for g in trained.test]
    assert not {g.event for g in parts.test} & {g.event for g in trained.train}


def test_a_model_trained_again_is_noticed(doublet_model, tmp_path):
    folder = tmp_path / "other"
    folder.symlink_to(doublet_model)
    before = triplets(model=str(folder)).graphs[0].baseline_logit
    folder.unlink()
    options = ["--set", "data.num_samples=12", "--set", "training.threads=1", "--epochs", "1", "--seed", "5"]
    assert train(["interaction", *options, "--output", str(folder)]) == 0
    after = triplets(model=str(folder)).graphs[0].baseline_logit
    assert before.shape != after.shape or not torch.equal(before, after)


def triplet_network(tmp_path):
    """An architecture file of the bundled function graph."""
    network = next(c for c in map(candidate, range(100)) if 4 <= len(c.graph.steps) <= 8)
    path = tmp_path / "network.yaml"
    Architecture(network.graph, network.hyperparameters).save(path)
    return path


def test_a_network_on_both_rungs_is_trained_and_evaluated_after_a_model(doublet_model, tmp_path, capsys):
    data = ["data.source=triplets", "data.of.source=toy", "data.of.num_samples=12", f"data.model={doublet_model}"]
    words = [*data, "task.name=triplet_classification", "training.threads=1"]
    options = [part for word in words for part in ("--set", word)]
    network = str(triplet_network(tmp_path))
    folder = tmp_path / "model"
    assert train([network, *options, "--epochs", "1", "--output", str(folder)]) == 0
    capsys.readouterr()
    assert evaluate([str(folder), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert {"fixed", "worsened", "baseline_auc", "gold", "silver", "bronze", "red", "blue"} <= set(scores)
    assert evaluate([str(folder), "--efficiency", "0.9"]) == 0
    assert "triplets" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"was trained for triplet_classification; allowed: edge_classification$"):
        triplets(model=str(folder))


def test_data_of_other_features_than_the_model_s_are_refused(doublet_model):
    of = {"source": "line_graph", "of": TOY}
    with pytest.raises(InputError, match=r"^data: has the node_features r, φ, z, Δr, .*; allowed here: r, φ, z$"):
        triplets(model=str(doublet_model), of=of)


@pytest.mark.parametrize("name", ["triplets", "line_graph"])
def test_the_bundled_experiments_are_on_geometry_alone_until_told_otherwise(name, doublet_model, tmp_path):
    experiment = load_experiment(name)
    assert experiment.data.content["model"] is None
    changed = load_experiment(name, {"data.model": str(doublet_model), "data.path": str(tmp_path)})
    assert changed.data.content["model"] == str(doublet_model)
    assert changed.data.content["of"] == {"source": "hitgraphs", "path": str(tmp_path)}
