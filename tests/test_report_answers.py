"""Figures of answers that aren't yes or no: they show what the task's own scores say."""

import json
import re

import numpy as np
import pytest
import torch
from graphs import toy

from archioptrx.core.errors import InputError
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.report import task_figures as answers
from archioptrx.report.held_out import HeldOut
from archioptrx.report.registry import FIGURES
from archioptrx.tasks import make_task
from archioptrx.tasks.node_embedding import pairs_of
from archioptrx.tasks.track_count import track_numbers


@pytest.fixture(scope="module")
def graphs():
    data = toy(6).graphs
    return [batch_graphs(data[:4]), batch_graphs(data[4:])]


def held_out(graphs, outputs):
    """What the figures read of a model's answers: `model` and `metrics` are nothing that they look at."""
    return HeldOut(None, graphs, graphs, outputs, [[output] for output in outputs], {})


def figures(task, outputs, graphs):
    """The figures as plotly gets them, by heading."""
    drawn = answers.figures_of("", task, outputs, held_out(graphs, outputs))
    return {name: json.loads(re.search(r"<script[^>]*>(.*)</script>", html, re.S)[1]) for name, html in drawn.items()}


def test_residuals_have_the_bias_and_resolution_of_evaluate(graphs):
    task = make_task({"name": "node_regression", "parameters": ["charge_over_pt", "phi"]})
    torch.manual_seed(0)
    outputs = [task.perfect(graph) + 0.3 * torch.randn_like(task.perfect(graph)) for graph in graphs]
    printed = task.metrics(outputs, graphs)
    drawn = figures(task, outputs, graphs)
    assert list(drawn) == [
        "Predicted and true charge/pT",
        "Residuals of charge/pT",
        "Predicted and true φ",
        "Residuals of φ",
    ]
    for label, name in (("charge/pT", "charge_over_pt"), ("φ", "phi")):
        [line] = drawn[f"Residuals of {label}"]["data"]
        assert line["name"] == f"bias {printed[f'bias_{name}']:.3g}, resolution {printed[f'resolution_{name}']:.3g}"
        assert sum(line["y"][:-1]) == printed["hits"]
        assert np.sum(drawn[f"Predicted and true {label}"]["data"][0]["customdata"]) <= printed["hits"]


def test_perfect_parameters_lie_on_the_diagonal(graphs):
    task = make_task({"name": "node_regression", "parameters": ["eta"]})
    drawn = figures(task, [task.perfect(graph) for graph in graphs], graphs)
    counts = np.array(drawn["Predicted and true η"]["data"][0]["customdata"])
    assert counts.sum() > 0 and counts.sum() == np.trace(counts)


def test_distances_count_all_pairs_on_the_right_side(graphs):
    task = make_task({"name": "node_embedding", "dimension": 2})
    drawn = figures(task, [task.perfect(graph) for graph in graphs], graphs)
    same, other = drawn["Distances of hits"]["data"]
    pairs = torch.cat([pairs_of(graph)[1] for graph in graphs])
    assert same["y"][0] == int(pairs.sum()) and not any(same["y"][1:])
    assert sum(count or 0 for count in other["y"][:-1]) == int((~pairs).sum())
    ends = zip(other["x"][1:], other["y"][:-1], strict=True)
    assert [count for end, count in ends if end <= task.threshold] == [None] * 5


def test_a_point_for_each_graph_says_its_number_of_tracks(graphs):
    task = make_task({"name": "track_count"})
    truth = torch.cat([track_numbers(graph, task.options.hits) for graph in graphs]).tolist()
    _, points = figures(task, [task.perfect(graph) for graph in graphs], graphs)["Numbers of tracks"]["data"]
    assert sum(points["customdata"]) == len(truth) == 6
    assert sorted(np.repeat(points["x"], points["customdata"])) == sorted(truth)
    assert points["y"] == pytest.approx(points["x"])


def test_slots_that_are_accepted_are_counted(graphs):
    task = make_task({"name": "track_set", "slots": 30})
    outputs = [task.perfect(graph) for graph in graphs]
    _, points = figures(task, outputs, graphs)["Numbers of tracks"]["data"]
    assert points["x"] == points["y"] and sum(points["customdata"]) == 6
    _, none = figures(task, [task.constant(graph) - 1 for graph in graphs], graphs)["Numbers of tracks"]["data"]
    assert set(none["y"]) == {0}


def test_events_of_noise_alone_have_no_figures(graphs):
    noise = [batch_graphs([toy(1).graphs[0]])]
    noise[0].pid[:] = 0
    noise[0].edge_index = noise[0].edge_index[:, :0]
    for name in ("node_regression", "node_embedding"):
        task = make_task({"name": name})
        assert figures(task, [task.constant(noise[0])], noise) == {}
        assert figures(task, [task.constant(graphs[0])], graphs[:1]) != {}


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda task, outputs, graphs: 1 / 0, "raised ZeroDivisionError: division by zero; --debug"),
        (lambda task, outputs, graphs: {"A heading": 3}, r"gave \{'A heading': 3\}; allowed: TaskFigure by heading"),
    ],
)
def test_faulty_figures_of_an_own_task_are_named(graphs, make, fault):
    task = make_task("node_regression")
    task.name = "own_task"
    assert figures(task, [task.constant(graph) for graph in graphs], graphs) == {}
    FIGURES.register("own_task", make, "own_module")
    try:
        with pytest.raises(InputError, match=f"^report figures own_task: {fault}"):
            figures(task, [task.constant(graph) for graph in graphs], graphs)
    finally:
        del FIGURES._parts["own_task"], FIGURES._modules["own_task"]
