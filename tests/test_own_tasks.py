"""One file outside of the package adds a task and metrics; every command works with them, and names what is wrong."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from registries import restored
from small_search import SMALL, allow

from archioptrx.commands import compare, data, evaluate, export, inspect, predict, sample, search, train
from archioptrx.core.config import Fields
from archioptrx.core.errors import InputError, TrialError
from archioptrx.core.overrides import apply
from archioptrx.core.plugins import REGISTRIES
from archioptrx.data import description
from archioptrx.data import sources as data_sources
from archioptrx.runs import experiment as experiments
from archioptrx.runs import run_folder
from archioptrx.runs.experiment import parse_experiment
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search import single, study_run
from archioptrx.search.run import check_events, load_events
from archioptrx.search.setup import Specs, prepare
from archioptrx.tasks import describe_task, make_task
from archioptrx.tasks.metrics import LARGE, Metric, NetworkOutputs, metric
from archioptrx.tasks.options import headlines, registry
from archioptrx.training.trial import messages
from archioptrx.training.trial_spec import PackedSpec

MODULE = "own_tasks_of_a_test"
FILE = '''
"""A task of a lab, and its metrics."""

from dataclasses import dataclass

import torch
from torch.nn.functional import mse_loss

from archioptrx.report.registry import TaskFigure, task_figures
from archioptrx.tasks.metrics import LARGE, metric
from archioptrx.tasks.options import PlainTaskOptions, task
from archioptrx.tasks.task import Task, TaskObjective, mean_loss


@dataclass(frozen=True)
class RadiusOptions(PlainTaskOptions):
    name = "radius"
    judged = ("hits",)
    shares = ("near",)
    tolerance: float = 0.1


@task(RadiusOptions)
class Radius(Task):
    """How far from the beam line is a hit?"""

    domain = "node"
    target_width = 1
    objective = TaskObjective("near")

    def __init__(self, options):
        self.options = options

    def loss(self, output, batch):
        return mse_loss(output, batch.x[:, 0])

    def metrics(self, outputs, graphs, cut=0.5, bins=False):
        errors = [(o - g.x[:, 0]).abs() for o, g in zip(outputs, graphs, strict=True)]
        near = torch.cat(errors) < self.options.tolerance if errors else torch.zeros(0)
        loss = mean_loss(self, outputs, graphs, [len(one) for one in errors])
        return {"loss": loss, "near": float(near.float().mean()) if len(near) else None}

    def perfect(self, graph):
        return graph.x[:, 0]

    def constant(self, graph):
        return torch.zeros_like(graph.x[:, 0])


@metric("worst", of="hits", better="small", tasks=["radius"])
def worst(answers):
    """Largest error."""
    pairs = zip(answers.outputs, answers.graphs, strict=True)
    return max(float((output - graph.x[:, 0]).abs().max()) for output, graph in pairs)


@metric("margin", of="edges", better=LARGE)
def margin(edges):
    """How far apart the mean logits of true and of false edges are."""
    if edges.truth.all() or not edges.truth.any():
        return None
    return edges.logits[edges.truth].mean() - edges.logits[~edges.truth].mean()


@metric("slow_purity", of="edges")
def slow_purity(edges):
    """Purity of the edges of slow particles."""
    inner, outer = edges.at_ends("pt")
    assert len(inner) == len(outer) == len(edges.truth)
    chosen = edges.accepted & (inner < 1)
    return edges.truth[chosen].mean() if chosen.any() else None


@task_figures("edge_classification")
def figures(task, outputs, graphs):
    """How many edges there are."""
    import plotly.graph_objects as go

    return {"Edges of the lab": TaskFigure(go.Figure(), f"{sum(len(output) for output in outputs)} edges")}


@metric("longest", of="tracks", better=LARGE)
def longest(found):
    """Hits of the longest track."""
    return found.matched.size.max(initial=0)
'''
GRAPH = {
    "name": "radii",
    "data": {
        "hits": {"domain": "node", "field": "x"},
        "x": {"domain": "node", "width": {"hyperparameter": "hidden"}},
        "answer": {"domain": "node", "width": "target"},
    },
    "functions": {
        "encode": {"block": "mlp", "inputs": ["hits"], "output": "x", "params": {"layers": 1}},
        "again": {"block": "mlp", "inputs": ["x"], "output": "x", "params": {"layers": 1}},
        "tell": {"block": "mlp", "inputs": ["x"], "output": "answer", "params": {"layers": 1}},
    },
    "sources": ["hits"],
    "targets": ["answer"],
}
SPACE = {"name": "few", "hyperparameters": {"hidden": 8}, "walk": {"max_steps": 4, "max_walks": 1, "extra": [2]}}
TINY = {"budget.trials": 2, "training.epochs": 1, "retrain.seeds": 1, "track": "none", "keep.weights": "all"}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder with the module, in which the commands run; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    write_module(FILE)
    Path("radii.yaml").write_text(json.dumps(GRAPH))
    Path("few.yaml").write_text(json.dumps(SPACE))
    with restored(*REGISTRIES.values()):
        yield tmp_path
        sys.modules.pop(MODULE, None)


def write_module(text):
    """Write the module, as one that files may ask for."""
    Path(f"{MODULE}.py").write_text(text)
    allow(MODULE, Path())


def written(name, **changes):
    """An experiment file of a tiny search with the user's module."""
    document = apply(SMALL, {**TINY, "imports": [MODULE], **{k.replace("__", "."): v for k, v in changes.items()}})
    Path(f"{name}.yaml").write_text(json.dumps(document))
    return f"{name}.yaml"


def radii(name, **changes):
    """The same with the user's task."""
    files = {"function_graph": "radii.yaml", "search_space": "few.yaml", "constraints": {}, "dedup": "hyperparameters"}
    return written(name, task={"name": "radius", "tolerance": 0.2}, **files, **changes)


def output_of(main, line, capsys):
    """Standard output of a command that has to go well."""
    code = main(line.split())
    output = capsys.readouterr()
    assert code == 0, output.err
    return output.out


def fault_of(main, line, capsys):
    """The one line by which a command refuses."""
    assert main(line.split()) == 2
    refusal = capsys.readouterr().err
    assert refusal.count("\n") == 1, refusal
    return refusal


def test_an_own_task_goes_through_all_commands(lab, capsys):
    shown = output_of(sample.main, f"radii.yaml --search-space few.yaml --imports {MODULE} --count 2", capsys)
    assert "tell(" in shown
    name = radii("radii-search", objective="worst")
    dry = output_of(search.main, f"{name} --dry-run", capsys)
    assert "whole search" in dry
    output_of(search.main, f"{name} --backend local --output run", capsys)
    rows = RunFolder("run").trials.read()
    assert [row["score"] for row in rows] == [-row["metrics"]["worst"] for row in rows]
    best = json.loads(output_of(evaluate.main, "run --json", capsys))
    assert 0 <= best["near"] <= 1 and best["worst"] > 0
    assert set(json.loads(output_of(evaluate.main, "run/0 --json", capsys))) == set(best)
    output_of(train.main, "run/0 --output again", capsys)
    assert json.loads(Path("again/metrics.json").read_text())["test"]["worst"]["mean"] > 0
    assert "worst" in output_of(compare.main, "run/0 run/1", capsys)
    output_of(inspect.main, "run --html run.html", capsys)
    assert "near" in Path("run.html").read_text()
    output_of(data.main, "toy --num-samples 2 --output events", capsys)
    assert "2 events" in output_of(predict.main, "run --data events --output predicted", capsys)
    assert fault_of(predict.main, "run --data events --output cut --cut 0.5", capsys).startswith("--cut: radius has no")
    assert "answer" in output_of(export.main, "run --output network.py", capsys)


def test_an_own_metric_of_edges_is_an_objective(lab, capsys):
    name = written("edges", objective=["margin", "slow_purity"])
    output_of(search.main, f"{name} --backend local --output run", capsys)
    for row in RunFolder("run").trials.read():
        assert row["scores"] == [row["metrics"]["margin"], row["metrics"]["slow_purity"]]
        assert "longest" not in row["metrics"], "tracks are found in each epoch only for an objective"
    evaluation = json.loads(output_of(evaluate.main, "run --json", capsys))
    assert {"margin", "slow_purity"} <= set(evaluation) and evaluation["tracks"]["longest"] >= 3
    tested = json.loads(Path("run/best/metrics.json").read_text())["test"]
    assert tested["margin"]["mean"] == pytest.approx(evaluation["margin"])
    models = json.loads(output_of(compare.main, "run/0 run/1 --resamples 100 --json", capsys))["models"]
    number = models[0]["metrics"]["margin"]
    whole = json.loads(output_of(evaluate.main, "run/0 --json", capsys))
    assert number["value"] == pytest.approx(whole["margin"])
    assert models[0]["metrics"]["longest"]["value"] == whole["tracks"]["longest"]
    output_of(inspect.main, "run --html run.html", capsys)
    page = Path("run.html").read_text()
    assert "slow purity" in page and "Edges of the lab" in page


def test_an_own_metric_of_tracks_is_an_objective(lab, capsys):
    output_of(search.main, f"{written('tracks', objective='longest')} --backend local --output run", capsys)
    assert all(row["score"] == row["metrics"]["longest"] >= 0 for row in RunFolder("run").trials.read())


def test_several_targets_have_the_metrics_of_each(lab):
    task = {"name": "several", "targets": {"score": "edge_classification", "answer": "radius"}}
    document = {"name": "x", "imports": [MODULE], "task": task, "objective": ["answer.near", "answer.worst", "longest"]}
    goals = parse_experiment(document, "x").objective.goals
    assert [goal.mode for goal in goals] == ["max", "min", "max"]
    graph = load_events(parse_experiment(SMALL, "small")).data.splits.test[0]
    several = make_task(task)
    scores = several.scores([several.perfect(graph)], [graph])
    assert scores["answer.worst"] == 0 and scores["score.margin"] == pytest.approx(20)
    shown = headlines(describe_task(task).options, [*scores, "longest", "track_duplicate_rate"])
    assert shown["score.auc"] == "score AUC" and shown["score.slow_purity"] == "score slow purity"
    assert {"answer.near", "answer.worst", "longest"} <= set(shown)
    assert not {"loss", "score.edges", "score.accuracy", "answer.loss", "track_duplicate_rate"} & set(shown)


SLOW_PURITY = "return edges.truth[chosen].mean() if chosen.any() else None"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return found.matched.size.max(initial=0)", "return 'long'", "metric longest: gave 'long'; allowed: a finite"),
        ("return found.matched.size.max(initial=0)", "return found.size", "metric longest: raised AttributeError: "),
        (SLOW_PURITY, "return 2", "metric slow_purity: gave 2, and is a share; allowed: 0 to 1"),
        (
            "return found.matched.size.max(initial=0)",
            "return 10**400",
            "metric longest: gave a whole number that no float",
        ),
        (SLOW_PURITY, "return float('nan')", "metric slow_purity: gave nan; allowed: a finite number"),
        (SLOW_PURITY, "return edges.truth", "metric slow_purity: gave ndarray; allowed: a finite"),
    ],
)
def test_a_faulty_metric_is_named_in_one_line(lab, capsys, old, new, message):
    output_of(search.main, f"{written('edges')} --backend local --output run", capsys)
    assert old in FILE
    write_module(FILE.replace(old, new))
    sys.modules.pop(MODULE)
    for name in ("longest", "slow_purity"):
        assert name in REGISTRIES["metric"].own()
    assert fault_of(evaluate.main, f"run --imports {MODULE}", capsys).startswith(message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "radius"', "", "imports: {m}: task RadiusOptions: name: is None; allowed: the task's name, a text"),
        ('judged = ("hits",)', 'judged = ("hit",)', "task radius: judged: is ('hit',); allowed: a tuple of edges, "),
        ('shares = ("near",)', 'shares = "near"', "task radius: shares: is 'near'; allowed: a tuple of texts"),
        ("self.options = options", "self.options = options.x", "task radius: raised AttributeError: "),
        (
            "class Radius(Task)",
            "class Radius",
            "task radius: is made as Radius; allowed: an archioptrx.tasks.task.Task",
        ),
        (
            'better="small"',
            'better="less"',
            "imports: {m}: metric worst: better: is 'less'; allowed: large, share, small",
        ),
        (
            '"worst", of="hits"',
            '"worst", of="hit"',
            "imports: {m}: metric worst: of: is 'hit'; allowed: edges, events, ",
        ),
        ('metric("worst"', 'metric("auc"', "imports: {m}: metric auc: is registered by archioptrx.tasks."),
        ('metric("worst"', 'metric("loss"', "imports: {m}: metric loss: is a number of the task, the data or the cost"),
        ('name = "radius"', 'name = "track_set"', "imports: {m}: task track_set: is registered by archioptrx.tasks."),
    ],
)
def test_a_faulty_part_is_named_in_one_line(lab, capsys, old, new, message):
    assert old in FILE
    write_module(FILE.replace(old, new))
    refusal = fault_of(search.main, f"{radii('bad')} --backend local --output run", capsys)
    assert refusal.startswith(message.format(m=MODULE)), refusal
    assert not Path("run").exists()


def test_options_of_an_own_task_are_checked_like_bundled_ones(lab, capsys):
    refusal = fault_of(search.main, f"{radii('bad')} --set task.tolerance=x", capsys)
    assert refusal == "--set task.tolerance: is 'x'; allowed: a number\n"
    refusal = fault_of(search.main, f"{radii('bad')} --set objective=wurst", capsys)
    assert refusal.startswith("--set objective.metric: is 'wurst'; allowed: ") and "(did you mean worst?)" in refusal


def test_a_metric_that_raises_fails_its_trial_in_one_line(lab, capsys):
    write_module(FILE.replace("chosen = edges.accepted", "chosen = edges.taken_by"))
    assert search.main(f"{written('edges')} --backend local --output run".split()) == 2
    errors = {row["error"] for row in RunFolder("run").trials.read()}
    assert len(errors) == 1 and errors.pop().startswith("epoch 1, validation: metric slow_purity: raised Attribute")


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("10**400", "is a whole number that no float holds"),
        ("'many'", "is 'many'; allowed: a number, or None where there is none"),
        ("True", "is True; allowed: a number, or None where there is none"),
    ],
)
def test_a_number_of_an_own_task_that_a_journal_cannot_hold_fails_its_trial_in_one_line(lab, capsys, number, fault):
    write_module(FILE.replace('return {"loss": loss,', f'return {{"loss": loss, "hits": {number},'))
    assert search.main(f"{radii('bad')} --backend local --output run".split()) == 2
    errors = {row["error"] for row in RunFolder("run").trials.read()}
    assert errors == {f"epoch 1, validation: task radius: metric hits: {fault}"}


def test_arguments_of_a_metric():
    for options, message in (
        ({"of": ("edges", "tracks")}, "metric m: of: is edges, tracks; allowed: tracks alone"),
        ({"of": "hits", "better": "big"}, "metric m: better: is 'big'; allowed: large, share, small"),
    ):
        with pytest.raises(InputError, match=message):
            metric("m", **options)
    large = Metric("m", ("hits",), LARGE, (), lambda answers: torch.tensor(7))
    assert large.value(NetworkOutputs([0], [0], 0.5)) == 7
    assert large.value(NetworkOutputs([], [], 0.5)) is None
    with pytest.raises(TrialError, match="metric m: gave True; allowed: a finite number"):
        Metric("m", ("hits",), LARGE, (), lambda answers: True).value(NetworkOutputs([0], [0], 0.5))


def test_imports_come_before_anything_else(lab):
    document = {"name": "x", "task": "radius", "objective": "worst", "imports": [MODULE]}
    assert parse_experiment(document, "x").task.options.tolerance == 0.1
    with pytest.raises(InputError, match=r"^imports: no_such: can't be imported: ModuleNotFoundError[^\n]*$"):
        parse_experiment({**document, "task": "no", "imports": ["no_such"]}, "x")
    with pytest.raises(InputError, match=r"^x: imports\[0\]: is 3; allowed: a text$"):
        parse_experiment({**document, "imports": [3]}, "x")


def counted(monkeypatch, counts, module, name):
    """Count the calls of a function where a module calls it."""
    function = getattr(module, name)

    def counting(*arguments, **options):
        counts[name] += 1
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, counting)


def test_what_was_parsed_travels_on(lab, capsys, monkeypatch):
    output_of(search.main, f"{written('edges')} --backend local --output run", capsys)
    output_of(data.main, "toy --num-samples 2 --output events", capsys)
    counts = Counter()
    for module in (run_folder, search, single, study_run):
        counted(monkeypatch, counts, module, "parse_experiment")
    for module in (experiments, registry):
        counted(monkeypatch, counts, module, "read_task")
    for module in (description, data_sources):
        counted(monkeypatch, counts, module, "check_spec")
    for main, line, checked in (
        (evaluate.main, "run/0 --json", 1),
        (evaluate.main, "run/0 --json --efficiency 0.9", 1),
        (predict.main, "run/0 --data events --output predicted", 2),  # of the training, and of the events
        (train.main, "run/0 --output again", 1),
        (search.main, "--resume run --backend local", 1),
    ):
        counts.clear()
        output_of(main, line, capsys)
        assert dict(counts) == {"parse_experiment": 1, "read_task": 1, "check_spec": checked}, line
    counts.clear()
    output_of(evaluate.main, "run --json", capsys)
    assert counts["parse_experiment"] == 0 and counts["check_spec"] == 1
    folder = RunFolder("run")
    assert folder.experiment() is folder.experiment()


def test_a_trial_parses_nothing(lab, monkeypatch):
    setup = prepare(
        parse_experiment(SMALL, "x", overrides={**TINY, "imports": [MODULE], "references": ["interaction"]})
    )
    events = load_events(setup.experiment)
    check_events(setup, events)
    (reference,) = setup.references
    line = {"reference": reference.name, "hyperparameters": reference.candidate.hyperparameters, "seed": 1, "epochs": 1}
    spec = Specs(setup.experiment, "cpu").trial(line, reference.candidate.graph)
    assert PackedSpec.of(spec).unpack() == spec

    def refused(*arguments):
        raise AssertionError(f"parses {arguments[2]}")

    monkeypatch.setattr(Fields, "__init__", refused)
    kinds = [message["kind"] for message in messages(spec, events.data)]
    assert kinds == ["epoch", "end"]
