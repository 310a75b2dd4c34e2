"""Displays and curves of the best model: what they show is what `evaluate` says and what the model answers."""

import base64
import gzip
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import random_arrays
from hypothesis import given
from hypothesis import strategies as st
from small_search import recursive_run

from archioptrx.commands import evaluate
from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.models.model_folder import load_model
from archioptrx.report import best_model, held_out
from archioptrx.report import classification as rates
from archioptrx.report import event_displays as displays
from archioptrx.report.content import Content
from archioptrx.report.held_out import BinaryTarget, evaluate_held_out
from archioptrx.runs.run_folder import RunFolder
from archioptrx.training.fit import predict


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return recursive_run(tmp_path_factory.mktemp("runs") / "recursive")


@pytest.fixture(scope="module")
def held(run):
    return evaluate_held_out(load_model(run))


@pytest.fixture(scope="module")
def answers(held):
    [target] = BinaryTarget.all_of(held)
    return target


def told_by_evaluate(run, capsys):
    assert evaluate.main([str(run), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_numbers_are_those_of_evaluate(run, held, answers, capsys):
    evaluation = told_by_evaluate(run, capsys)
    last = answers.by_pass()[-1]
    assert {name: last[name] for name in ("auc", "efficiency", "purity")} == {
        name: evaluation[name] for name in ("auc", "efficiency", "purity")
    }
    assert evaluation["efficiency"] > 0 and held.metrics["eta"] == evaluation["eta"]
    curve = rates.Rates.of(answers.logits, answers.truth)
    assert curve.efficiency[curve.cut] == evaluation["efficiency"] and curve.purity[curve.cut] == pytest.approx(
        evaluation["purity"]
    )
    shown = best_model.metric_facts(held)
    assert shown["AUC"] == f"{evaluation['auc']:.5f}" and shown["purity at cut 0.5"] == f"{evaluation['purity']:.5f}"


def test_rates_of_tracks_are_those_of_evaluate(run, held, capsys):
    """Of the usual metrics, and by the definition of the objective; the ceiling is beside them."""
    told = told_by_evaluate(run, capsys)
    for metrics, label in (((), "Technical efficiency"), (("auc", "acts_fake_rate"), "As acts:double (particles: pT")):
        [part] = best_model.track_parts(held, metrics)
        assert part.title == "Tracks" and part.description.startswith(label)
        assert list(part.figures) == ["Efficiency of tracks", "Fake rate of tracks", "Duplicate rate of tracks"]
    usual = figure_in(best_model.track_parts(held, ())[0].figures["Fake rate of tracks"])
    views = {view["label"]: view["data"] for view in usual["views"]}
    rows = told["tracks"]["of_tracks"]["eta"]
    assert views["|η|"][0]["y"] == [row["fake_rate"] for row in rows]
    assert list(views) == ["pT", "|η|", "φ", "z"]
    assert [trace["name"] for trace in usual["data"]] == ["model", "ceiling"]
    assert sum(row["tracks"] for row in rows) == told["tracks"]["tracks"]
    mean = np.average([row["fake_rate"] for row in rows], weights=[row["tracks"] for row in rows])
    assert mean == pytest.approx(told["tracks"]["track_fake_rate"])


def figure_in(markup):
    """Figure of an element of the page."""
    kind, content = re.search(r'<script type="application/(json|gzip)"[^>]*>(.*)</script>', str(markup), re.S).groups()
    return json.loads(content if kind == "json" else gzip.decompress(base64.b64decode(content)))


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
            counts = np.bincount(event.classes[turn], minlength=4)
            expected = [(truth & accepted).sum(), (~truth & accepted).sum(), (truth & ~accepted).sum()]
            assert counts[1:].tolist() == expected
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
    chosen = held_out.events_by_size(graphs, len(graphs))
    assert chosen == [("a", [0, 1], "median size"), ("c", [3], "the largest"), ("d", [4], "the smallest")]
    assert [name for name, _, _ in held_out.events_by_size(graphs, 3)] == ["a", "b"]


def test_the_winner_is_shown_or_the_best_trial_before_there_is_one(run):
    content = Content.read(RunFolder(run))
    assert best_model.shown_trial(content) == (0, "The winner, trial 0000")
    before = replace(content)
    before.__dict__["winner"] = None
    assert best_model.shown_trial(before) == (0, "The best trial so far, 0000")
    section = best_model.section(before)
    assert section is not None and section.description.startswith("The best trial so far, 0000, on ")
    assert "event-display" in section.body
    nothing = replace(content, rows=[])
    nothing.__dict__["winner"] = None
    assert best_model.section(nothing) is None


def test_events_that_have_changed_leave_one_line(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    metadata = json.loads((copy / "best" / "metadata.json").read_text())
    (copy / "best" / "metadata.json").write_text(json.dumps({**metadata, "fingerprint": "0" * 64}))
    section = best_model.section(Content.read(RunFolder(copy)))
    assert section is not None
    line = "The winner, trial 0000 can&#39;t be shown: data: have changed since the training."
    assert section.body.strip() == f'<p class="empty">{line}</p>'


def test_passes_are_kept_as_far_as_there_is_room(run, held, answers, monkeypatch):
    monkeypatch.setattr(held_out, "EDGES_PER_EVALUATION", 1)  # a batch for each graph
    little = evaluate_held_out(load_model(run), most=1)
    [target] = BinaryTarget.all_of(little)
    assert len(little.batches) == len(held.graphs) > len(little.passes) == 1
    assert len(target.passes) == len(answers.passes) and target.drawable == 1 < answers.drawable == len(held.graphs)
    np.testing.assert_allclose(target.logits, answers.logits, atol=1e-5)
    first = {graph.event for graph in held.graphs[:1]}
    assert {event.name for event in displays.chosen_events(little, target)} == first


logits = st.lists(st.sampled_from([-6.0, -3.0, -1.0, -0.1, 0.0, 0.1, 2.0, 5.0]), min_size=2, max_size=40)


@given(logits, st.data())
def test_a_curve_goes_from_nothing_to_all_and_through_the_cut(values, data):
    values = np.array(values)
    truth = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    truth[:2] = [True, False]
    curve = rates.Rates.of(values, truth)
    assert (curve.efficiency[0], curve.false[0], curve.efficiency[-1], curve.false[-1]) == (0, 0, 1, 1)
    assert curve.efficiency[curve.cut] == (truth & (values >= 0)).sum() / truth.sum()
    assert curve.false[curve.cut] == (~truth & (values >= 0)).sum() / (~truth).sum()


@given(st.integers(1, 3000), st.integers(0, 10), st.integers(10, 600))
def test_a_thinned_curve_keeps_its_ends_and_order(points, seed, most):
    steps = np.random.default_rng(seed).random((2, points)) ** 8
    places = rates.curve_places(np.cumsum(steps[0]), np.cumsum(steps[1]), most)
    assert places[0] == 0 and places[-1] == points - 1 and len(places) <= most
    assert (np.diff(places) > 0).all()
    assert points > most or len(places) == points


def test_a_curve_of_many_points_is_thinned_to_500_and_no_gap_is_wide():
    x = np.linspace(0, 1, 100_000)
    places = rates.curve_places(x, x**9)
    assert 400 < len(places) <= 500
    assert np.hypot(np.diff(x[places]), np.diff(x[places] ** 9)).max() < 0.02
