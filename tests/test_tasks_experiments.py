"""The bundled experiment of each further task: what its network reaches between the constant and the perfect oracle."""

from pathlib import Path

import processes
import pytest
import torch
from oracles import ConstantOracle, PerfectOracle

from archioptrx.core.config import bundled, read_yaml
from archioptrx.graphs.architecture import Architecture
from archioptrx.runs.experiment import load_experiment, parse_experiment
from archioptrx.sampling.samplers.variation import trace_in
from archioptrx.search.run import check_events, load_events
from archioptrx.search.setup import prepare
from archioptrx.training.fit import evaluate_model, fit
from archioptrx.training.trial import build, task_of

EXPERIMENTS = ("embedding", "regression", "counting", "track_set", "several")


@pytest.mark.parametrize("name", (*EXPERIMENTS, "notebook"))
def test_the_experiment_can_begin(name):
    """Everything but the events' number as in the file."""
    few = {"data.events": 12} if name != "notebook" else {"data.of.events": 12, "data.train_events": 4}
    experiment = load_experiment(name, {**few, "split.validation": 0.2, "split.test": 0.2})
    setup, events = prepare(experiment), load_events(experiment)
    task = check_events(setup, events)
    first = setup.references[0].candidate
    model = build(first.graph, first.hyperparameters, events.data.metadata, task, 0)
    metrics = evaluate_model(model, task, events.data.splits.test)
    assert metrics[experiment.objective.first.metric] is not None


def bundled_experiments():
    return sorted(path.stem for path in (Path(__file__).parent.parent / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("name", bundled_experiments())
def test_references_can_be_varied_within_the_constraints(name):
    """A reference that the space lacks, or that a constraint refuses, can't be improved by a search."""
    document = read_yaml(Path(bundled("experiments", name)))
    if document["data"]["source"] in ("hitgraphs", "trackml", "colliderml"):
        document["data"]["path"] = "."
    document.pop("vary", None)
    experiment = parse_experiment(document, name)
    setup = prepare(experiment)
    assert not [warning for warning in setup.warnings if warning.startswith("references")]
    for reference in setup.references:
        graph, limits = reference.candidate.graph, experiment.constraints
        assert trace_in(setup.space, reference.candidate).decisions
        assert limits.executed is None or graph.executed <= limits.executed
        assert limits.steps is None or len(graph.steps) <= limits.steps


@pytest.mark.long
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_half_of_the_gap_is_closed(name, capsys):
    experiment = load_experiment(name)
    data = load_events(experiment).data
    task = task_of(experiment.task.options, experiment.objective)
    network = Architecture.load(experiment.references[0])
    torch.set_num_threads(1)
    model = build(network.graph, network.hyperparameters, data.metadata, task, 0)
    training = experiment.training.but(learning_rate=network.hyperparameters["learning_rate"])
    for _ in fit(model, task, data.splits.train, data.splits.validation, training):
        pass
    metric = experiment.objective.first.metric
    oracles = (ConstantOracle(task), PerfectOracle(task))
    low, high, score = (evaluate_model(predictor, task, data.splits.test)[metric] for predictor in (*oracles, model))
    share = (score - low) / (high - low)
    with capsys.disabled():
        print(f"\n{name}: {metric} {score:.4f}, constant {low:.4f}, perfect {high:.4f}, gap closed {share:.1%}")
    assert share >= 0.5


def test_the_notebooks_accuracy_is_printed_beside_ours():
    root = Path(__file__).parent.parent
    lines = processes.run("python examples/notebook.py 12", root).splitlines()
    assert lines[0].split("  ")[-1] == "accuracy in the notebook"
    assert [line.split()[0] for line in lines[1:]] == [str(epoch) for epoch in range(1, 11)]
    assert lines[1].split()[-1] == "75.9%" and lines[10].split()[-1] == "95.9%"
    assert all(0 < float(line.split()[1].rstrip("%")) < 100 for line in lines[1:])
