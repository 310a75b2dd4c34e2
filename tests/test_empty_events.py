"""Events without edges, with one hit, without any, and files without truth: legal wherever data are read or scored."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from graphs import toy
from test_acorn import matrix, prefixed, saved
from test_predict import event, model
from test_sources import arrays as npz
from test_sources import folder_of

import archioptrx
from archioptrx.commands import data, evaluate, predict, train
from archioptrx.data.dataset import make_graph
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.hitgraphs import write as write_npz
from archioptrx.data.sources.pickle_writing import write as write_samples
from archioptrx.data.sources.trackml import write_event
from archioptrx.models.predictions.pickle_predictions import sample_of
from archioptrx.report.comparison.statistics import RowStatistic
from archioptrx.report.comparison.units import PARTS, Units, units_of
from archioptrx.tasks import make_task
from archioptrx.tasks.tracks.scores import track_scores
from archioptrx.training.fit import Fitting
from archioptrx.training.settings import Training


def first_hits(whole, count):
    """The same event with so many of its hits; its particles stay."""
    fields = ("hit_id", "pos", "volume", "layer", "module", "pid", "weight")
    return replace(whole, **{name: getattr(whole, name)[:count] for name in fields})


@pytest.fixture
def events(tmp_path):
    """Three events: a usual one, one with a single hit, one without."""
    for number, count in ((6, None), (7, 1), (8, 0)):
        write_event(first_hits(event(f"event00000000{number}", seed=number), count), tmp_path / "events")
    return {"source": "trackml", "path": str(tmp_path / "events")}


def test_events_without_edges_are_read_scored_and_answered(events, tmp_path, capsys):
    dataset = load_dataset(events)
    assert [(len(graph.x), graph.num_edges > 0) for graph in dataset.graphs] == [
        (len(dataset.graphs[0].x), True),
        (1, False),
        (0, False),
    ]
    model(tmp_path / "m", events)
    assert data.main(["trackml", events["path"], "--plot", str(tmp_path / "events.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["events"] == 3
    assert evaluate.main([str(tmp_path / "m"), "--data", events["path"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["edges"] == dataset.graphs[0].num_edges
    assert predict.main([str(tmp_path / "m"), "--data", events["path"], "--output", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / "submission.csv")
    assert (table.event_id == 7).sum() == 1
    assert table[table.event_id == 7].track_id.tolist() == [0]


def test_a_number_of_an_event_with_one_hit_is_no_number_of_the_hit(events, tmp_path, capsys):
    trained = model(tmp_path / "m", events, "event", name="track_count")
    (target,) = trained.architecture.graph.targets
    name = trained.architecture.graph.type_of(target).name
    assert predict.main([str(tmp_path / "m"), "--data", events["path"], "--output", str(tmp_path / "out")]) == 0
    for number in (6, 7, 8):
        table = pd.read_csv(tmp_path / "out" / "outputs" / f"event00000000{number}-{name}.csv")
        assert list(table.columns) == ["sector", f"{name}_0"] and table.sector.tolist() == [0]
    samples = [
        sample_of(prediction, 1)
        for prediction in predict.predictions(trained, trained.task, load_dataset(events).graphs)
    ]
    assert [name in sample and name not in sample["hits"] for sample in samples] == [True] * 3


@pytest.mark.parametrize("kind", ["npz", "pickle", "trackml"])
def test_tasks_of_hits_answer_for_events_without_hits(kind, events, tmp_path, capsys):
    whole = load_dataset(events)
    folder = {"npz": "hitgraphs", "pickle": "pickle"}.get(kind)
    path = {"npz": tmp_path / "npz", "pickle": tmp_path / "samples.pickle", "trackml": tmp_path / "events"}[kind]
    if kind != "trackml":
        (write_npz if kind == "npz" else write_samples)(whole, path)
    spec = {"source": folder, "path": str(path)} if folder else events
    assert [len(graph.x) for graph in load_dataset(spec).graphs][1:] == [1, 0]
    model(tmp_path / "m", spec, "hits", name="node_embedding")
    out = tmp_path / "out"
    assert predict.main([str(tmp_path / "m"), "--data", str(path), "--output", str(out)]) == 0
    again = out if kind == "npz" else out / "samples.pickle" if kind == "pickle" else tmp_path / "events"
    assert load_dataset({**spec, "path": str(again)}).fingerprint == load_dataset(spec).fingerprint


@pytest.mark.parametrize("task", ["node_embedding", "node_regression"])
@pytest.mark.parametrize("width", [1, 6])
def test_tasks_of_hits_score_events_that_are_all_empty(task, width):
    graph = empty(toy(1).metadata, 0)
    options = {"dimension": width} if task == "node_embedding" else {}
    scored = make_task({"name": task, **options})
    for output in (scored.perfect(graph), scored.constant(graph)):
        scores = scored.scores([output], [graph], bins=True)
        assert scores["loss"] == 0
        assert scored.loss(output, graph) == 0


def test_models_are_compared_on_events_without_any_edge():
    graph = empty(toy(1).metadata, 3)
    assert units_of([graph], make_task({"name": "edge_classification"}).rows).number == 0
    units = Units(PARTS, (0,), number=4, parts=4)  # as of an architecture whose own graphs have no edges
    statistic = RowStatistic(make_task({"name": "edge_classification"}), [torch.zeros(0)], [graph], units, 0.5)
    assert set(statistic(np.ones(units.number, dtype=np.int64)).values()) == {None}


def test_particles_of_an_event_without_a_graph_s_hit_are_lost(tmp_path):
    usual, outside = event("event000000006"), event("event000000007")
    write_event(usual, tmp_path / "events")
    # All of its hits are in an endcap, and the graphs hold the barrel.
    write_event(
        replace(outside, volume=np.full_like(outside.volume, 9), layer=np.full_like(outside.layer, 2)),
        tmp_path / "events",
    )
    graphs = load_dataset({"source": "trackml", "path": str(tmp_path / "events")}).graphs
    assert [len(graph.x) > 0 for graph in graphs] == [True, False]
    task = make_task({"name": "edge_classification"})
    first, both = (track_scores(task, [task.perfect(graph) for graph in some], some) for some in (graphs[:1], graphs))
    assert both["track_efficiency_physics"] == first["track_efficiency_physics"] / 2 > 0
    assert both["trackml_score"] == first["trackml_score"] / 2


def empty(metadata, hits):
    fields = {"pt": np.zeros(hits), "hit_weight": np.zeros(hits), "particle_index": np.zeros(hits, int)}
    table = {"particle_id": [0], "particles": np.zeros((1, 8))}
    nothing = {"edge_index": np.zeros((2, 0), int), "y": np.zeros(0), "pid": np.zeros(hits)}
    return make_graph({"x": np.full((hits, 3), 0.3), **nothing, **fields, **table}, metadata, f"empty{hits}", 0)


@pytest.mark.parametrize("hits", [0, 1, 3])
def test_a_loaded_model_answers_and_trains_on_graphs_without_edges(hits, tmp_path):
    spec = {"source": "toy", "num_samples": 4}
    trained = model(tmp_path / "m", spec)
    graph = empty(trained.metadata, hits)
    loaded = archioptrx.load(tmp_path / "m")
    assert loaded.model(graph).shape == (0,)
    assert trained.task.tracks(loaded.model(graph), graph).tolist() == [-1] * hits
    graphs = toy(4).graphs
    fitting = Fitting(
        loaded.model, trained.task, [graph, graphs[0]], [graphs[1], graph], Training(epochs=1, batch_size=1)
    )
    assert np.isfinite(fitting.epoch().loss)


@pytest.mark.parametrize("nothing", [{"y": None}, {"y": np.zeros(5)}])
def test_npz_without_truth_is_predicted_and_evaluated(nothing, tmp_path, capsys):
    good = folder_of(tmp_path / "good")
    model(tmp_path / "m", {"source": "hitgraphs", "path": str(good), "sectors": 2})
    folder = tmp_path / "blind"
    folder.mkdir()
    np.savez(folder / "event9_g000.npz", **npz(**nothing))
    assert predict.main([str(tmp_path / "m"), "--data", str(folder), "--output", str(tmp_path / "out")]) == 0
    assert np.load(tmp_path / "out" / "event9_g000.npz")["score"].shape == (5,)
    capsys.readouterr()
    assert evaluate.main([str(tmp_path / "m"), "--data", str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["auc"] is None
    assert err == (
        f"{folder}: no edge that counts is true (files without truth?): loss, accuracy and purity have no meaning for "
        "the model\n"
    )


def test_training_without_truth_says_why_not_in_one_line(tmp_path, capsys):
    for k in range(4):
        (tmp_path / "blind").mkdir(exist_ok=True)
        np.savez(tmp_path / "blind" / f"event{k}_g000.npz", **npz(y=None))
    arguments = ["message_passing", "--data", str(tmp_path / "blind"), "--set", "data.sectors=1"]
    assert train.main([*arguments, "--output", str(tmp_path / "m")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        "data: training events: no edge that counts is true (files without truth?); allowed: events with true edges"
    )


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("hits", {"name": "node_embedding"}),
        ("hits", {"name": "node_regression", "parameters": ["phi"]}),
        ("event", {"name": "track_count"}),
        ("event", {"name": "track_set", "parameters": ["phi"]}),
    ],
)
def test_every_task_says_that_events_without_truth_have_no_scores(architecture, task, tmp_path, capsys):
    write_event(event("event000000007"), tmp_path / "events")
    trained = model(tmp_path / "m", {"source": "trackml", "path": str(tmp_path / "events")}, architecture, **task)
    blind = tmp_path / "blind"
    blind.mkdir()
    shutil.copy(tmp_path / "events" / "event000000007-hits.csv", blind)
    assert evaluate.main([str(tmp_path / "m"), "--data", str(blind), "--json"]) == 0
    names = ", purity and rates of tracks" if task["name"] == "node_embedding" else " and purity"
    assert capsys.readouterr().err.splitlines() == [
        f"{blind}: no hit is of a particle (files without truth?): loss, accuracy{names} have no meaning for the model"
    ]
    graphs = {
        name: load_dataset({"source": "trackml", "path": str(tmp_path / name)}).graphs for name in ("blind", "events")
    }
    refused = "no hit is of a particle (files without truth?); allowed: events with particles"
    assert trained.task.truth_fault(graphs["blind"]) == refused
    assert trained.task.truth_fault([*graphs["blind"], *graphs["events"]]) is None


def test_true_pairs_are_enough_for_an_embedding():
    graph = toy(1).graphs[0]
    graph.pid = torch.zeros_like(graph.pid)
    task = make_task({"name": "node_embedding"})
    assert task.truth_fault([graph]) is not None
    graph.loss_index, graph.y_loss = torch.tensor([[0], [1]]), torch.ones(1)
    assert task.truth_fault([graph]) is None


def test_acorn_without_truth_and_predictions_for_every_edge_of_the_file(tmp_path):
    file = saved(tmp_path / "a" / "e.pt", matrix(y=None))
    spec = {"source": "acorn", "path": str(file)}
    trained = model(tmp_path / "m", spec)
    assert load_dataset(spec).graphs[0].y.tolist() == [0] * 4
    assert predict.main([str(tmp_path / "m"), "--data", str(file), "--output", str(tmp_path / "out")]) == 0
    scores = torch.load(tmp_path / "out" / "e.pt", weights_only=False).scores
    assert len(scores) == 8 and torch.equal(scores[0::2], scores[1::2])
    no_edges = saved(
        tmp_path / "b" / "e.pt", prefixed(edge_index=torch.zeros(2, 0, dtype=torch.int64), edge_y=torch.zeros(0))
    )
    assert load_dataset({"source": "acorn", "path": str(no_edges)}).graphs[0].num_edges == 0
    assert trained.task.name == "edge_classification"


def test_npz_predictions_stand_for_every_edge_of_the_file_in_its_order(tmp_path):
    both = {"Ro_rows": np.array([1, 0, 1, 2, 2]), "Ri_rows": np.array([0, 1, 2, 2, 1]), "y": np.array([0, 1, 1, 0, 0])}
    folder = folder_of(tmp_path / "npz", both, names=("event1_g000", "event2_g000", "event3_g000"))
    model(tmp_path / "m", {"source": "hitgraphs", "path": str(folder), "sectors": 2})
    assert predict.main([str(tmp_path / "m"), "--data", str(folder), "--output", str(tmp_path / "out")]) == 0
    score = np.load(tmp_path / "out" / "event1_g000.npz")["score"]
    assert score[0] == score[1] > 0 and score[2] == score[4] > 0
    assert score[3] == 0, "an edge from a hit to itself"
