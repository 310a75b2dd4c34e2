"""Several targets at once: function graph, compiled model, loss, metrics, training and the search's checks."""

import json
import random
from dataclasses import dataclass

import pytest
import torch
import yaml
from graphs import toy
from oracles import ConstantOracle, PerfectOracle
from registries import restored

from archioptrx.core.errors import InputError
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.graphs.signatures import Width
from archioptrx.networks.compile import compile_model
from archioptrx.runs.experiment import parse_experiment
from archioptrx.runs.experiment_sections import PROXIES
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace
from archioptrx.tasks import make_task
from archioptrx.tasks.options.base import PlainTaskOptions
from archioptrx.tasks.options.registry import TASKS, read_task, task
from archioptrx.training.fit import evaluate_model, fit
from archioptrx.training.proxies import unfit
from archioptrx.training.settings import Training

TASK = {
    "name": "several",
    "targets": {
        "score": {"name": "edge_classification"},
        "parameters": {"name": "node_regression", "parameters": ["phi", "charge_over_pt"], "weight": 0.5},
    },
}
GRAPH = """
name: both
data:
  hits:       {domain: node, field: x}
  doublet:    {domain: edge, field: edge_attr}
  x:          {domain: node, width: 8}
  score:      {domain: edge, width: {target: score}}
  parameters: {domain: node, width: {target: parameters}}
functions:
  encode: {block: mlp, inputs: [hits], output: x, params: {layers: 1, output_activation: relu}}
  attend: {block: attention, inputs: [x, score], output: x, params: {layers: 1}}
  edges:  {block: mlp, inputs: [x, doublet], output: score, params: {layers: 2, hidden: 8}}
  nodes:  {block: mlp, inputs: [x], output: parameters, params: {layers: 2, hidden: 8}}
sources: [hits, doublet]
targets: [score, parameters]
"""
WIDTHS = {"hits": 3, "doublet": 5}


def both() -> FunctionGraph:
    return FunctionGraph.from_dict(yaml.safe_load(GRAPH))


def sampled(seed: int = 0):
    """A computation graph of both targets."""
    limits = {"max_steps": 10, "max_walks": 2}
    space = WalkSpace(both(), SearchSpace.from_dict({"name": "s", "hyperparameters": {}, "walk": limits}))
    rng = random.Random(seed)
    return space(lambda point, options, weights: rng.randrange(len(options))).graph


def model(graph=None):
    torch.manual_seed(0)
    return compile_model(graph or sampled(), {}, WIDTHS, make_task(TASK).target_width)


def test_the_width_of_one_target_is_named_and_round_trips():
    graph = both()
    assert graph.width["score"] == Width.of("target.score")
    again = FunctionGraph.from_dict(yaml.safe_load(graph.to_yaml()))
    assert again == graph and again.digest == graph.digest
    assert graph.to_dict()["data"]["parameters"]["width"] == {"target": "parameters"}
    sampled_graph = sampled()
    assert (
        type(sampled_graph).from_dict(json.loads(json.dumps(sampled_graph.to_dict()))).fingerprint
        == sampled_graph.fingerprint
    )
    assert sampled_graph.symbols == frozenset()


def test_a_target_that_is_none_is_named():
    document = yaml.safe_load(GRAPH)
    document["data"]["score"]["width"] = {"target": "scores"}
    with pytest.raises(InputError, match=r"data.score.width: no target is named 'scores'; allowed: .*mean score"):
        FunctionGraph.from_dict(document)


def test_a_model_gives_each_target_in_order_and_its_width():
    graph = toy(1).graphs[0]
    score, parameters = model()(graph)
    assert score.shape == (graph.num_edges,)
    assert parameters.shape == (len(graph.x), 3)
    widths = make_task(TASK).target_width
    counted = sum(p.numel() for p in model().parameters())
    assert count_parameters(sampled(), {}, WIDTHS, widths) == counted


def test_one_width_for_all_targets_is_their_common_one():
    document = yaml.safe_load(GRAPH)
    document["data"]["score"]["width"] = "target"
    graph = FunctionGraph.from_dict(document)
    space = WalkSpace(graph, SearchSpace.from_dict({"name": "s", "hyperparameters": {}}))
    candidate = space(lambda point, options, weights: 0)
    network = compile_model(candidate.graph, {}, WIDTHS, {"score": 1, "parameters": 1})
    assert [output.dim() for output in network(toy(1).graphs[0])] == [1, 1]
    with pytest.raises(InputError, match="width target: target has no value"):
        compile_model(candidate.graph, {}, WIDTHS, {"score": 1, "parameters": 3})


def test_losses_are_weighted_and_metrics_carry_the_target_s_name():
    graphs = toy(3).graphs
    task = make_task(TASK)
    network = model().eval()
    outputs = [tuple(output.detach() for output in network(graph)) for graph in graphs]
    edges = make_task("edge_classification")
    nodes = make_task({"name": "node_regression", "parameters": ["phi", "charge_over_pt"]})
    expected = edges.loss(outputs[0][0], graphs[0]) + 0.5 * nodes.loss(outputs[0][1], graphs[0])
    assert torch.isclose(task.loss(outputs[0], graphs[0]), expected)
    metrics = task.metrics(outputs, graphs)
    alone = (
        edges.metrics([score for score, _ in outputs], graphs),
        nodes.metrics([parameters for _, parameters in outputs], graphs),
    )
    assert metrics["score.auc"] == alone[0]["auc"]
    assert metrics["parameters.resolution_phi"] == alone[1]["resolution_phi"]
    assert metrics["loss"] == pytest.approx(alone[0]["loss"] + 0.5 * alone[1]["loss"])
    assert task.objective.metric == "score.auc"


def test_oracles_of_several_targets():
    graphs = toy(3).graphs
    task = make_task(TASK)
    perfect = evaluate_model(PerfectOracle(task), task, graphs)
    constant = evaluate_model(ConstantOracle(task), task, graphs)
    assert (perfect["score.auc"], perfect["parameters.explained"]) == (1.0, pytest.approx(1.0))
    assert (constant["score.auc"], constant["parameters.explained"]) == (0.5, 0.0)


def test_training_improves_both_targets():
    graphs = toy(24).graphs
    task = make_task(TASK)
    network = model()
    before = evaluate_model(network, task, graphs[16:])
    list(fit(network, task, graphs[:16], graphs[16:], Training(epochs=4)))
    after = evaluate_model(network, task, graphs[16:])
    for name in ("score.loss", "parameters.loss"):
        assert after[name] < before[name], name


def test_what_an_objective_can_name():
    experiment = parse_experiment({"name": "e", "task": TASK}, "e")
    assert experiment.objective.first.metric == "score.auc"
    explicit = parse_experiment({"name": "e", "task": TASK, "objective": "parameters.rms_phi"}, "e")
    assert explicit.objective.first.mode == "min"
    with pytest.raises(InputError, match=r"objective.metric: is 'auc'; allowed: .*parameters.explained, .*score.auc"):
        parse_experiment({"name": "e", "task": TASK, "objective": "auc"}, "e")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"score": "edge_classification"}, "t.targets: are 1; allowed: a task for each of two targets or more"),
        (
            {"a": {"name": "several", "targets": {}}, "b": "edge_classification"},
            "t.targets.a.name: several stands inside several; allowed: a task with one target",
        ),
        (
            {"a": {"name": "node_regression", "parameters": ["pt"]}, "b": "edge_classification"},
            "t.targets.a.parameters[0]: is 'pt'; allowed: charge, charge_over_pt, eta, inverse_pt, phi, z0",
        ),
        ({"a": {"weight": -1}, "b": {}}, "t.targets.a.weight: is -1.0; allowed: 0 or more, 1000000.0 or less"),
    ],
)
def test_wrong_descriptions_are_named(targets, message):
    with pytest.raises(InputError) as error:
        make_task({"name": "several", "targets": targets}, "f: t")
    assert error.value.faults[0].startswith(f"f: {message}")


def test_a_task_says_which_targets_it_wants():
    task = make_task(TASK)
    assert task.misfit([("score", "edge"), ("parameters", "node")]) is None
    expected = "score (edge), parameters (node), in this order"
    assert task.misfit([("parameters", "node"), ("score", "edge")]) == expected
    assert make_task().misfit([("score", "edge"), ("parameters", "node")]) == "one of domain edge"


@pytest.mark.parametrize(
    ("task", "refused"),
    [
        (TASK, {"jacob_cov", "naswot"}),
        ({"name": "node_embedding"}, set()),
        ({"name": "node_regression"}, set()),
        ({"name": "track_count"}, {"jacob_cov"}),
        ({"name": "track_set"}, {"jacob_cov"}),
        ({"name": "edge_classification"}, set()),
    ],
)
def test_proxies_that_can_t_judge_a_task_are_refused(task, refused):
    task_object = make_task(task)
    assert {name for name in PROXIES if unfit(name, task_object)} == refused


def test_a_weight_that_is_an_option_of_the_task_too_is_refused():
    @dataclass(frozen=True)
    class NoiseOptions(PlainTaskOptions):
        name = "noise"
        weight: float = 1.0

    with restored(TASKS):
        task(NoiseOptions)(lambda options: None)
        faults: list[str] = []
        targets = {"score": "edge_classification", "noise": {"name": "noise", "weight": 2.0}}
        read_task({"name": "several", "targets": targets}, "task", faults)
    (fault,) = faults
    assert fault.startswith("task: targets.noise.weight: is an option of noise too; allowed: none here, or a task with")
