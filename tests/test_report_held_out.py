"""Displays and curves of the best model: what they show is what `evaluate` says and what the model answers."""

import json

import numpy as np
import pytest
import torch
from graphs import random_arrays
from small_search import searched, small

from archioptrx import evaluate
from archioptrx.dataset import Metadata, make_graph
from archioptrx.fit import predict
from archioptrx.model_folder import load_model
from archioptrx.report import best_model, curves, displays, held_out
from archioptrx.report.held_out import Answers, evaluated


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run folder of a search for one network with a loop."""
    folder = tmp_path_factory.mktemp("runs") / "recursive"
    told = {"architecture": "attention_recursive", "search_space": "hyperparameters", "budget__trials": 1}
    searched(folder, small(**told, constraints={}, retrain={"top": 1, "seeds": 1}))
    return folder


@pytest.fixture(scope="module")
def held(run):
    return evaluated(load_model(run))


@pytest.fixture(scope="module")
def answers(held):
    [found] = Answers.all_of(held)
    return found


def told_by_evaluate(run, capsys):
    assert evaluate.main([str(run), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_numbers_are_those_of_evaluate(run, held, answers, capsys):
    told = told_by_evaluate(run, capsys)
    last = answers.by_pass()[-1]
    assert {name: last[name] for name in ("auc", "efficiency", "purity")} == {
        name: told[name] for name in ("auc", "efficiency", "purity")
    }
    assert told["efficiency"] > 0 and held.metrics["eta"] == told["eta"]
    rates = curves.Rates.of(answers.logits, answers.truth)
    assert rates.efficiency[rates.cut] == told["efficiency"] and rates.purity[rates.cut] == pytest.approx(
        told["purity"]
    )
    shown = best_model.facts(held)
    assert shown["AUC"] == f"{told['auc']:.5f}" and shown["purity at 0.5"] == f"{told['purity']:.5f}"


def test_last_pass_is_the_answer_of_the_model_and_there_is_one_pass_more_than_iterations(held, answers):
    iterations = held.model.architecture.graph.loops[-1].iterations
    assert len(answers.passes) == iterations + 1 > 2
    alone = torch.cat(predict(held.model.model, held.graphs)).double().numpy()
    np.testing.assert_allclose(answers.passes[-1], alone, atol=1e-5)
    assert not np.allclose(answers.passes[0], alone, atol=1e-3)


def test_lines_of_each_class_are_the_confusion_matrix(held, answers):
    for event in displays.chosen_events(held, answers):
        places = [k for k, graph in enumerate(held.graphs) if graph.event == event.name]
        rows = np.concatenate([np.arange(*answers.spans[place]) for place in places])
        for turn, logits in enumerate(answers.passes):
            accepted, truth = logits[rows] >= 0, answers.truth[rows]
            found = np.bincount(event.classes[turn], minlength=4)
            wanted = [(truth & accepted).sum(), (~truth & accepted).sum(), (truth & ~accepted).sum()]
            assert found[1:].tolist() == wanted
            scores = 1 / (1 + np.exp(-logits[rows]))
            drawn = (event.darkness[turn] > 0).sum()
            assert drawn == (scores >= 0.01).sum()


def test_letters_say_class_and_darkness_of_each_pass(held, answers):
    event = displays.chosen_events(held, answers)[0]
    plain = event.plain()
    for turn, letters in enumerate(plain["passes"]):
        codes = np.array([ord(letter) - 48 for letter in letters])
        np.testing.assert_array_equal(codes // 8, event.classes[turn])
        np.testing.assert_array_equal(codes % 8, event.darkness[turn])
    assert len(plain["passes"]) == len(answers.passes)


def test_events_are_the_median_the_largest_and_the_smallest():
    graphs = [
        make_graph(random_arrays(k, edges=n), Metadata("test"), name, sector)
        for k, (name, sector, n) in enumerate([("a", 0, 10), ("a", 1, 30), ("b", 0, 20), ("c", 0, 50), ("d", 0, 5)])
    ]
    found = held_out.events_by_size(graphs, len(graphs))
    assert found == [("a", [0, 1], "median size"), ("c", [3], "the largest"), ("d", [4], "the smallest")]
    assert [name for name, _, _ in held_out.events_by_size(graphs, 3)] == ["a", "b"]
