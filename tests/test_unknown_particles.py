"""Particles whose momentum and vertex aren't known: NaN from the reader on, never a pT of 0."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from colliderml_tables import rows_of, write_tables
from events import barrel_event
from graphs import graph_faults
from test_guard import fault
from test_predict import model

from archioptrx.commands import compare, data, evaluate, train
from archioptrx.core.errors import InputError
from archioptrx.data.dataset import cut_sectors
from archioptrx.data.event import PARTICLE_COLUMNS, UNKNOWABLE
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.hitgraph import batch_graphs
from archioptrx.data.options.building import Cuts
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.sources.trackml import write_event
from archioptrx.tasks import make_task
from archioptrx.tasks.tracks.metrics import Selection
from archioptrx.tasks.tracks.scores import track_scores

LOOSE = {"slope_max": 0.01, "z0_max": 1000.0}
UNLISTED = 2
"""Particles of each ColliderML event that its table lacks."""
REFUSED = "the momentum of no particle is known; allowed: events with the table of particles (momentum, vertex, charge)"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """TrackML events with the tables of particles, and others without."""
    folder = tmp_path_factory.mktemp("events")
    for number in range(4):
        write_event(barrel_event(number, name=f"event00000000{number}"), folder / "rich")
        write_event(barrel_event(number + 4, name=f"event00000000{number + 4}"), folder / "poor")
    for file in (folder / "poor").glob("*particles*"):
        file.unlink()
    return folder


def trackml(path, **options):
    return {"source": "trackml", "path": str(path), **LOOSE, **options}


def unlisted(path, **options):
    """ColliderML events that lack some of their particles."""
    rows = [rows_of(barrel_event(seed, name="e"), seed) for seed in range(3)]
    for _, particles in rows:
        for name, values in particles.items():
            if isinstance(values, list):
                particles[name] = values[UNLISTED:]
    write_tables(path, rows)
    return load_dataset({"source": "colliderml", "path": str(path), **LOOSE, **options})


def unknown(graph):
    return graph["particles"][:, 0].isnan()


def test_what_is_not_known_is_nan_in_every_form(folders, tmp_path):
    poor, rich = (load_dataset(trackml(folders / name)).graphs[0] for name in ("poor", "rich"))
    assert poor["particles"][1:, :6].isnan().all() and poor["particles"][:, 6:].isfinite().all()
    assert not poor["particles"][0].any() and not poor.pt.any()
    assert PARTICLE_COLUMNS[:6] == UNKNOWABLE
    assert rich["particles"].isfinite().all()
    dataset = unlisted(tmp_path / "some")
    write(dataset, tmp_path / "npz")
    built = ["colliderml", str(tmp_path / "some"), "--slope-max", "0.01", "--z0-max", "1000"]
    assert data.main([*built, "--output", str(tmp_path / "built")]) == 0
    again = [load_dataset({"source": "hitgraphs", "path": str(tmp_path / name)}) for name in ("npz", "built")]
    for graphs in (dataset.graphs, *(other.graphs for other in again)):
        for graph in graphs:
            assert graph_faults(graph) == []
            assert unknown(graph).sum() == UNLISTED
            assert not graph.pt[unknown(graph)[graph.particle_index]].any()
    for part in cut_sectors(dataset.graphs[0], dataset.metadata, 2):
        assert unknown(part).sum() == UNLISTED


def test_hits_of_an_unknown_vertex_are_joined_by_their_distance_from_the_origin():
    event = barrel_event(1)
    nothing = np.full_like(event.vertex, math.nan)
    blind = replace(event, momentum=nothing, vertex=nothing, charge=nothing[:, 0])
    cuts = Cuts(**LOOSE)
    ours, theirs = (
        build(one, cuts, building_metadata("test", cuts, {}))
        for one in (blind, replace(event, vertex=0 * event.vertex))
    )
    assert ours.counts == theirs.counts and torch.equal(ours.graphs[0].y, theirs.graphs[0].y)
    assert ours.counts["true_edges"] > 30


@pytest.mark.parametrize("where", [(0, 0), (1, 0), (1, 6), (2, 5)])
def test_the_guard_allows_nan_for_a_whole_particle_alone(where):
    table = np.zeros((3, 8))
    table[2, :6] = np.nan
    particles = {
        "particle_id": np.arange(3),
        "particle_index": np.zeros(4, int),
        "pid": np.zeros(4, int),
        "y": np.zeros(3),
    }
    table[where] = np.inf if where[0] == 2 else np.nan
    assert fault(**particles, particles=table) == (
        f"particles holds {6 if where[0] == 2 else 1} NaN or infinite numbers; allowed: finite ones, or NaN in all of "
        "pt, φ, η, z0, vr, charge of a particle"
    )


@pytest.mark.parametrize(
    "task", [{"name": "node_regression", "parameters": ["charge_over_pt", "phi"]}, {"name": "track_set"}]
)
def test_unknown_parameters_are_in_no_loss_and_no_score(task, tmp_path):
    task = make_task(task)
    graph = unlisted(tmp_path).graphs[0]
    assert task.data_fault(graph) is None and task.truth_fault([graph]) is None
    noise = graph.clone()  # the same graph, in which hits of the unknown ones are noise
    hidden = unknown(graph)[graph.particle_index]
    assert hidden.sum() > 5
    noise.pid, noise.particle_index = (torch.where(hidden, 0, graph[name]) for name in ("pid", "particle_index"))
    output = task.constant(graph).requires_grad_()
    loss = task.loss(output, batch_graphs([graph]))
    loss.backward()
    assert torch.equal(loss, task.loss(output, batch_graphs([noise]))) and output.grad.isfinite().all()
    for given in (output, task.perfect(graph)):
        assert task.metrics([given], [graph]) == task.metrics([given], [noise])


def test_events_without_momenta_are_refused_in_one_line(folders, tmp_path, capsys):
    spec = trackml(folders / "rich")
    task = {"name": "node_regression", "parameters": ["phi"]}
    for name, architecture, of in (
        ("hits", "hits", task),
        ("set", "event", {"name": "track_set", "parameters": ["phi"]}),
    ):
        trained = model(tmp_path / name, spec, architecture, **of)
        capsys.readouterr()
        assert evaluate.main([str(tmp_path / name), "--data", str(folders / "poor")]) == 2
        assert capsys.readouterr().err.splitlines() == [f"--data: {REFUSED}"]
        assert trained.task.truth_fault(load_dataset(trackml(folders / "poor")).graphs) == REFUSED
    arguments = ["hits", "--data", str(folders / "poor"), "--set", "data.source=trackml", "--epochs", "1"]
    arguments += ["--set", f"task={json.dumps(task)}", "--output", str(tmp_path / "m")]
    assert train.main(arguments) == 2
    assert f"data: {REFUSED}" in capsys.readouterr().err.splitlines()


def test_no_particle_of_unknown_momentum_stands_in_a_bin_or_beyond_a_limit(folders, tmp_path, capsys):
    model(tmp_path / "m", trackml(folders / "rich"))
    arguments = [str(tmp_path / "m"), "--data", str(folders / "poor")]
    assert evaluate.main([*arguments, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["tracks"]["particles"] > 10 and "pt" not in scores["tracks"] and "pt" not in scores
    assert evaluate.main([*arguments, "--pt-min", "1"]) == 2
    assert "4 events: no pT of a particle is known; allowed: without a limit of it" in capsys.readouterr().err
    model(tmp_path / "other", trackml(folders / "rich"))
    page = tmp_path / "page.html"
    assert compare.main([str(tmp_path / "m"), str(tmp_path / "other"), *arguments[1:], "--html", str(page)]) == 0
    assert page.is_file()


def test_bins_hold_the_known_particles_alone(tmp_path):
    dataset = unlisted(tmp_path)
    task = make_task({"name": "edge_classification"})
    answers = [task.perfect(graph) for graph in dataset.graphs]
    scores = track_scores(task, answers, dataset.graphs, bins=True)
    in_bins = sum(row["particles"] for row in scores["pt"])
    assert 0 < in_bins == scores["particles"] - UNLISTED * len(dataset.graphs)
    rows = task.metrics(answers, dataset.graphs, bins=True)
    hidden = [unknown(graph)[graph.particle_index[graph.edge_index[0]]].sum() for graph in dataset.graphs]
    assert sum(row["edges"] for row in rows["pt"]) == rows["edges"] - int(sum(hidden)) < rows["edges"]


@pytest.mark.parametrize("signal", [{"signal_primary": True}, {"signal_pt": 0.01}])
def test_particles_of_unknown_vertex_or_momentum_are_no_signal(signal, tmp_path):
    dataset = unlisted(tmp_path, **signal)
    task = make_task({"name": "edge_classification"})
    for graph in dataset.graphs:
        hidden = unknown(graph)[graph.particle_index[graph.edge_index[1]]] & (graph.y > 0.5)
        assert hidden.any() and not graph.edge_mask[hidden].any()
    answers = [task.perfect(graph) for graph in dataset.graphs]
    selection = Selection.of_signal(dataset.metadata.options)
    judged = track_scores(task, answers, dataset.graphs, selection)
    assert 0 < judged["particles"] <= track_scores(task, answers, dataset.graphs)["particles"] - 3 * UNLISTED


def test_a_least_momentum_removes_hits_of_unknown_ones(tmp_path):
    graph = unlisted(tmp_path, pt_min=1e-6).graphs[0]
    assert not unknown(graph)[graph.particle_index].any()
    assert unknown(graph).sum() == UNLISTED


def test_an_event_of_unknown_momenta_is_not_written_as_trackml(tmp_path):
    event = barrel_event(1)
    with pytest.raises(InputError, match="the momentum of a particle isn't known; allowed"):
        write_event(replace(event, momentum=np.full_like(event.momentum, math.nan)), tmp_path)


def test_a_metric_of_your_own_sees_which_pt_is_unknown(tmp_path):
    graphs = unlisted(tmp_path).graphs
    for graph in (*graphs, batch_graphs(list(graphs))):
        known, index = graph.known_pt(), graph.particle_index
        unknown = graph["particles"][index, PARTICLE_COLUMNS.index("pt")].isnan()
        assert unknown.any() and known.isnan().equal(unknown)
        assert (graph.pt[unknown] == 0).all() and known[~unknown].equal(graph.pt[~unknown])
        assert (known[graph.pid == 0] == 0).all()
