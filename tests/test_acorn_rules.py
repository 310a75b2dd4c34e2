"""Rules of acorn's YAML files on an event: weights, hard cuts and targets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_acorn import EDGES, columns, prefixed, read, saved
from test_predict import model

from archioptrx.commands import predict
from archioptrx.core.errors import InputError
from archioptrx.data.options.acorn_rules import Condition, read_rules

CTD = """
stage: edge_classifier
weighting:
  - {weight: 0.1, conditions: {y: False}}
  - {weight: 0., conditions: {y: True}}
  - weight: 1.
    conditions:
      y: True
      pt: [1, .inf]
      pdgId: [not_in, [11, -11]]
      primary: True
"""


def written(folder, text):
    (folder / "acorn.yaml").write_text(text)
    return str(folder / "acorn.yaml")


def graph_of(folder, text, content):
    return read(saved(folder / "event1.pyg", content), acorn_config=written(folder, text)).graphs[0]


def in_order(graph, name):
    return graph.in_file_order(graph[name]).tolist()


TRACKS = {"pdgId": torch.tensor([211, 11]), "primary": torch.tensor([1, 1])}


@pytest.mark.parametrize("form", [columns, prefixed])
def test_the_last_rule_that_holds_decides(tmp_path, form):
    """Of the true edges 0-1 is a pion's and 1-2 an electron's, in the scheme with prefixes and in the other."""
    prefix = "track_particle_" if form is prefixed else ""
    graph = graph_of(tmp_path, CTD, form(**{f"{prefix}{name}": values for name, values in TRACKS.items()}))
    assert in_order(graph, "edge_weight") == pytest.approx([1, 0, 0.1, 0.1])
    assert in_order(graph, "edge_mask") == [True, False, True, True]
    assert in_order(graph, "y") == [1, 1, 0, 0]


def test_without_a_rule_true_edges_weigh_nothing_and_a_negative_weight_is_false(tmp_path):
    text = "weighting: [{weight: -2, conditions: {pdgId: [is, 11]}}, {weight: 3, conditions: {r: [60, 80], y: False}}]"
    graph = graph_of(tmp_path, text, columns(**TRACKS))
    # Edge 0-1 has no rule; 1-2 is the electron's; 4-1 and 3-2 are false, and of these only 1 and 3 lie at 70 mm.
    assert in_order(graph, "edge_weight") == [0, 2, 1, 1]
    assert in_order(graph, "edge_mask") == [False, True, True, True]
    assert in_order(graph, "y") == [1, 0, 0, 0]


def test_the_map_of_the_file_says_which_edge_a_true_edge_is(tmp_path):
    text = "weighting: [{weight: 1, conditions: {pdgId: 11}}]"
    for name in ("truth_map", "track_to_edge_map"):
        content = columns(**TRACKS, **{name: torch.tensor([-1, 2])})
        assert in_order(graph_of(tmp_path, text, content), "edge_weight") == [0, 0, 1, 1]
    wrong = columns(**TRACKS, truth_map=torch.tensor([0, 4]))
    with pytest.raises(InputError, match="truth_map points outside the 4 edges; allowed: -1 … 3"):
        graph_of(tmp_path, text, wrong)


BOTH = {"edge_index": torch.tensor(np.concatenate([EDGES, EDGES[::-1]], axis=1)), "edge_score": torch.arange(8) / 8.0}
ONE_SIDED = [True, True, False, False, False, False, False, False]


@pytest.mark.parametrize("truth", [ONE_SIDED, [True, True, False, False] * 2])
@pytest.mark.parametrize("with_map", [True, False])
def test_both_directions_of_a_pair_have_one_answer(tmp_path, truth, with_map):
    """The map names one direction of each true pair; the truth stands in one or in both."""
    content = columns(**TRACKS, **BOTH, y=torch.tensor(truth))
    if with_map:
        content["truth_map"] = torch.tensor([0, 1])
    answers = {
        "weighting: [{weight: -0.5, conditions: {pdgId: 11}}]": ([0, 0.5, 1, 1], [0, 1, 1, 1], [1, 0, 0, 0]),
        "weighting: [{weight: 5, conditions: {y: False}}, {weight: 2, conditions: {y: True}}]": (
            [2, 2, 5, 5],
            [1, 1, 1, 1],
            [1, 1, 0, 0],
        ),
        # Of the pair 0-1 one direction has a score of 0, of 1-2 one has 0.125; the others are larger.
        "weighting: [{weight: -3, conditions: {edge_score: [0, 0.01]}}]": ([3, 0, 1, 1], [1, 0, 1, 1], [0, 1, 0, 0]),
    }
    for text, (weights, mask, y) in answers.items():
        graph = graph_of(tmp_path, text, content)
        assert in_order(graph, "edge_weight") == weights
        assert in_order(graph, "edge_mask") == mask
        assert in_order(graph, "y") == y
    graph = graph_of(tmp_path, "target_tracks: {pdgId: 211}", content)
    assert in_order(graph, "edge_mask") == [True, False, True, True]


def test_hard_cuts_leave_edges_between_hits_of_passing_tracks(tmp_path):
    graph = graph_of(tmp_path, "hard_cuts: {pdgId: [in, [211]]}", columns(**TRACKS))
    assert len(graph.x) == 5
    assert graph.edge_index.T.tolist() == [[0, 1]]
    with pytest.raises(InputError, match="hard_cuts: r has 5 rows; allowed: one per true edge"):
        graph_of(tmp_path, "hard_cuts: {r: [0, 100]}", columns(**TRACKS))


def test_true_edges_that_are_no_target_are_masked(tmp_path):
    graph = graph_of(tmp_path, "target_tracks: {pt: [1, .inf], pdgId: [not_in, [11, -11]]}", columns(**TRACKS))
    assert in_order(graph, "edge_mask") == [True, False, True, True]
    assert graph.get("edge_weight") is None


@pytest.mark.parametrize("form", [columns, prefixed])
@pytest.mark.parametrize("name", ["track_particle_eta", "eta_particle"])
def test_the_eta_of_a_particle_is_never_that_of_hits(tmp_path, form, name):
    column, hits = ("track_particle_eta", "hit_eta") if form is prefixed else ("eta_particle", "eta")
    content = form(**{column: torch.tensor([9.0, 0.0]), hits: torch.tensor([0.0, 0, 9, 9, 9])})
    graph = graph_of(tmp_path, f"target_tracks: {{{name}: [-4, 4]}}", content)
    assert in_order(graph, "edge_mask") == [False, True, True, True]
    del content[column]
    with pytest.raises(InputError, match=f"lacks {name}, which a rule of acorn names"):
        graph_of(tmp_path, f"target_tracks: {{{name}: [-4, 4]}}", content)


def test_a_particle_of_a_rule_is_that_of_true_edges(tmp_path):
    content = prefixed(hit_particle_id=torch.tensor([7, 7, 7, 7, 7]), track_particle_id=torch.tensor([7, 7]))
    graph = graph_of(tmp_path, "weighting: [{weight: 3, conditions: {particle_id: [not_in, [0]]}}]", content)
    assert in_order(graph, "edge_weight") == [3, 3, 1, 1]


def test_a_column_of_true_edges_is_known_by_its_name_where_there_are_as_many_edges(tmp_path):
    tracks = torch.tensor([[0, 1, 0, 3], [1, 2, 4, 4]])
    content = columns(track_edges=tracks, pt=torch.tensor([0.1, 2, 2, 2]), particle_id=torch.tensor([7, 7, 7, 7]))
    graph = graph_of(tmp_path, "weighting: [{weight: 2, conditions: {pt: [1, .inf]}}]", content)
    assert in_order(graph, "edge_weight") == [0, 2, 1, 1]


def test_predictions_are_made_for_every_edge_whatever_the_rules_are(tmp_path, capsys):
    saved(tmp_path / "data" / "event1.pyg", columns(**TRACKS))
    data = {"source": "acorn", "path": str(tmp_path / "data")}
    data["acorn_config"] = written(tmp_path, "hard_cuts: {pdgId: 211}")
    model(tmp_path / "m", data)
    assert predict.main([str(tmp_path / "m"), "--data", data["path"], "--output", str(tmp_path / "out")]) == 0
    assert torch.load(tmp_path / "out" / "event1.pyg", weights_only=False).scores.shape == (EDGES.shape[1],)
    assert "of another kind" not in capsys.readouterr().err


def test_every_test_of_a_condition(tmp_path):
    text = (
        "hard_cuts: {a: true, b: 2, c: [0, .inf], d: [is_not, 3], e: [in, [1, 2]], f: [within, 1, 2], "
        "g: [not_within, [1, 2]], h: [not_in, 4, 5]}"
    )
    tests = [(c.test, c.values) for c in read_rules_of(tmp_path, text).hard_cuts]
    assert tests == [
        ("is", (1,)),
        ("is", (2,)),
        ("within", (0, np.inf)),
        ("is_not", (3,)),
        ("in", (1, 2)),
        ("within", (1, 2)),
        ("not_within", (1, 2)),
        ("not_in", (4, 5)),
    ]
    assert read_rules_of(tmp_path, CTD).weighting[0].conditions == (Condition("y", "is", (0.0,)),)


def read_rules_of(folder, text):
    return read_rules(Path(written(folder, text)))


WRONG = {
    "stage: gnn": "has no rules; allowed: a YAML file of acorn with weighting, hard_cuts, target_tracks",
    "weighting: {weight: 1}": "weighting: is {'weight': 1}; allowed: a list of weights with conditions",
    "weighting: [{conditions: {}}]": "weighting[0]: is {'conditions': {}}; allowed: {weight: NUMBER, conditions: …}",
    "hard_cuts: [1]": "hard_cuts: is [1]; allowed: conditions by the names of columns",
    "hard_cuts: {pt: [1]}": "hard_cuts: pt: is [1]; allowed: true, a number, [low, high], or one of is, is_not, in",
    "hard_cuts: {pt: [near, 3]}": "hard_cuts: pt: is ['near', 3]; allowed: true, a number",
    "hard_cuts: {pt: x}": "hard_cuts: pt: is 'x'; allowed: true, a number",
}


@pytest.mark.parametrize("text", WRONG)
def test_rules_that_cannot_be_understood_are_named(tmp_path, text):
    config = written(tmp_path, text)
    with pytest.raises(InputError) as error:
        read(saved(tmp_path / "event1.pyg", columns()), acorn_config=config)
    (fault,) = error.value.faults
    assert fault.startswith(f"data: acorn_config: {config}: {WRONG[text]}")


def test_a_column_that_no_file_has_is_named(tmp_path):
    with pytest.raises(InputError, match=r"event1.pyg: lacks charge, which a rule of acorn names; allowed: files with"):
        graph_of(tmp_path, "target_tracks: {charge: 1}", columns())
