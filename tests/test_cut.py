"""The cut is a logit: whatever a network's scores are, the cut for an efficiency has that efficiency."""

import copy
import json
import math
import pickle

import pytest
import torch
from graphs import random_graph
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from archioptrx.core.errors import InputError
from archioptrx.core.files import plain
from archioptrx.report.comparison.pictures import curves_of
from archioptrx.tasks import make_task
from archioptrx.tasks.classification_metrics import Cut, cut_text, logit
from archioptrx.training.fit import evaluate_model


def of_scores(scale: float) -> tuple[list[torch.Tensor], list[object]]:
    """Logits of about this size, and their graphs: most true edges are above most false ones."""
    generator = torch.Generator().manual_seed(3)
    graphs = [random_graph(seed, hits=20, edges=90) for seed in (1, 2)]
    return [scale + torch.randn(90, generator=generator) + 2 * graph.y for graph in graphs], graphs


@pytest.mark.parametrize("scale", [0.0, 20.0, 38.0, 800.0, -20.0, -38.0, -800.0])
@pytest.mark.parametrize("efficiency", [0.3, 0.98, 1.0])
def test_the_cut_for_an_efficiency_has_it_at_any_size_of_the_scores(scale: float, efficiency: float) -> None:
    task = make_task()
    outputs, graphs = of_scores(scale)
    cut = task.cut(outputs, graphs, efficiency)
    scores = task.metrics(outputs, graphs, cut=cut)
    true = sum(float(graph.y.sum()) for graph in graphs)
    assert efficiency <= scores["efficiency"] < efficiency + 1 / true + 1e-9
    logits = torch.cat(outputs).double()
    assert scores["cut_logit"] == logit(cut) == float(logits[logits >= logit(cut)].min())
    curves = curves_of(logits.numpy(), torch.cat([g.y for g in graphs]).numpy() > 0.5, cut)
    assert curves.at_cut[0] == pytest.approx(scores["efficiency"])


def test_a_model_with_large_scores_is_evaluated_at_its_cut() -> None:
    class Large(nn.Module):
        def forward(self, graph: object) -> torch.Tensor:
            return 60 + 3 * graph.edge_attr[:, 0] + graph.y

    graphs = [random_graph(seed, hits=20, edges=90) for seed in (1, 2)]
    task, model = make_task(), Large()
    cut = task.cut([model(graph) for graph in graphs], graphs, 0.98)
    scores = evaluate_model(model, task, graphs, cut=cut)
    assert 1 - scores["cut"] < 1e-15 and scores["cut_logit"] > 50
    assert 0.98 <= scores["efficiency"] < 1.0
    both = make_task({"name": "several", "targets": {"score": "edge_classification", "count": "track_count"}})
    outputs = [(model(graph), torch.zeros(1)) for graph in graphs]
    assert both.scores(outputs, graphs, cut=cut)["score.efficiency"] == scores["efficiency"]


@given(st.floats(-700, 700))
def test_a_cut_is_a_probability_that_keeps_its_logit(value: float) -> None:
    cut = Cut(value)
    for same in (cut, copy.deepcopy(cut), pickle.loads(pickle.dumps(cut))):
        assert logit(same) == value and same == cut and hash(same) == hash(cut)
    assert 0 < cut < 1 and logit(float(cut)) <= value, "as a probability it accepts what the logit accepts"
    assert json.loads(json.dumps(plain({"cut": cut}))) == {"cut": float(cut)}
    if abs(value) < 10:
        assert logit(float(cut)) == pytest.approx(value, abs=1e-9)


def test_cuts_are_told_apart_where_their_probabilities_are_equal() -> None:
    assert 1 - 1e-15 < float(Cut(40.0)) == float(Cut(41.0)) < 1
    assert Cut(40.0) != Cut(41.0) and Cut(0.0) == 0.5 == Cut(0.0)
    assert [cut_text(cut) for cut in (0.5, Cut(40.0), Cut(-40.0))] == ["0.5", "a logit of 40", "a logit of -40"]


@pytest.mark.parametrize("wrong", [0.0, 1.0, -1.0, 2.0, math.nan])
def test_a_probability_that_has_no_logit_is_refused(wrong: float) -> None:
    with pytest.raises(InputError, match=r"cut: is .*; allowed: between 0 and 1"):
        logit(wrong)
    for name in ("edge_classification", {"name": "track_set", "slots": 4}):
        with pytest.raises(InputError, match=r"cut: is .*; allowed: between 0 and 1"):
            make_task(name).metrics([], [], cut=wrong)
