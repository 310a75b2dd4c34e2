"""One definition of signal for edges, particles, bins and tracks."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from events import barrel_event

from archioptrx.commands import data, evaluate, train
from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset
from archioptrx.data.event import PARTICLE_COLUMNS
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.options.building import Cuts
from archioptrx.data.signal import Signal
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.hitgraphs import write
from archioptrx.report.comparison.compare import compare_models
from archioptrx.runs.experiment import parse_experiment
from archioptrx.search.run import cautions_of, check_events, load_events
from archioptrx.search.setup import prepare
from archioptrx.tasks import make_task
from archioptrx.tasks.tracks.metrics import Selection
from archioptrx.tasks.tracks.scores import event_tracks, track_scores

LOOSE = {"slope_max": 0.01, "z0_max": math.inf}


def graphs_of(event, **options):
    cuts = Cuts(**LOOSE, **options)
    metadata = building_metadata("test", cuts, options)
    return build(event, cuts, metadata), metadata


def at(pt):
    """An event whose particles all have exactly this pT."""
    event = barrel_event(3)
    momentum = event.momentum.copy()
    momentum[:, 0], momentum[:, 1] = pt, 0
    return replace(event, momentum=momentum)


@pytest.mark.parametrize("pt", [1.0, 0.7, 0.1, 0.9])
def test_at_exactly_the_limit_edges_and_particles_are_signal(pt):
    built, metadata = graphs_of(at(pt), signal_pt=pt)
    (graph,) = built.graphs
    assert graph.edge_mask.all()
    assert built.counts["signal_edges"] == built.counts["true_edges"] > 0
    task = make_task({"name": "edge_classification"})
    scores = track_scores(task, [task.perfect(graph)], [graph], Selection.of_signal(metadata.options), bins=True)
    everything = track_scores(task, [task.perfect(graph)], [graph])
    assert scores["particles"] == everything["particles"] > 0
    assert sum(row["particles"] for row in scores["pt"]) == scores["particles"]


@pytest.mark.parametrize("pt", [0.9, 0.7, 1.1])
def test_the_building_cuts_at_the_limit_as_the_signal_does(pt):
    """Files keep pT in float32, which may be below the limit by a rounding."""
    exact, rounded = at(pt), at(float(np.float32(pt)))
    everything = len(graphs_of(exact)[0].graphs[0].x)
    for event in (exact, rounded):
        built, _ = graphs_of(event, pt_min=pt, signal_pt=pt)
        (graph,) = built.graphs
        assert len(graph.x) == everything and graph.edge_mask.all()
        assert built.counts["signal_edges"] == built.counts["true_edges"] > 0
    above, _ = graphs_of(exact, pt_min=float(np.nextafter(np.float32(pt), np.float32(9))))
    assert not above.graphs[0].pid.any()


@pytest.mark.parametrize("signal", [{"signal_hits": 10}, {"signal_pt": 0.5}, {"signal_primary": True}])
def test_particles_that_count_are_those_whose_edges_are_not_masked(signal, tmp_path):
    built, metadata = graphs_of(barrel_event(5, tracks=12), **signal)
    (graph,) = built.graphs
    write(Dataset(built.graphs, metadata), tmp_path / "new")
    again = load_dataset({"source": "hitgraphs", "path": str(tmp_path / "new")})
    for checked, description in ((graph, metadata), (again.graphs[0], again.metadata)):
        (tracks,) = event_tracks([checked], [checked.pid])
        chosen = replace(Selection.of_signal(description.options), min_hits=1).of(tracks)
        true = checked.y > 0.5
        masked = checked.particle_index[checked.edge_index[1]][true & ~checked.edge_mask].numpy() - 1
        counting = checked.particle_index[checked.edge_index[1]][true & checked.edge_mask].numpy() - 1
        assert chosen[counting].all() and not chosen[masked].any()
        assert len(masked) and len(counting)


def test_hits_of_the_whole_event_decide_where_a_part_of_it_is_scored():
    built, metadata = graphs_of(barrel_event(5), signal_hits=8, phi_sectors=3)
    (tracks,) = event_tracks(built.graphs[:1], [built.graphs[0].pid], whole=False)
    chosen = replace(Selection.of_signal(metadata.options), min_hits=1).of(tracks)
    assert (chosen == ((tracks.event_hits >= 8) & (tracks.hits >= 1))).all() and chosen.any()
    assert (tracks.hits[chosen] < 8).any()


def test_a_line_graph_keeps_the_signal():
    of = {"source": "helix", "events": 2, "particles": 20, "signal_pt": 1.0, "signal_hits": 4}
    options = load_dataset({"source": "line_graph", "of": of}).metadata.options
    assert Signal.of_options(options) == Signal(1.0, 4)


@pytest.mark.parametrize("signal", [{"signal_pt": 1.0}, {"signal_hits": 9}, {"signal_primary": True}, {}])
def test_graphs_of_a_learned_embedding_keep_the_signal(signal):
    of = {"source": "helix", "events": 2, "particles": 20, "displaced": 0.5, **signal}
    learned = {"source": "learned", "of": of, "epochs": 1, "radius": 1.0, "neighbours": 6, "truth": "all"}
    dataset = load_dataset(learned)
    chosen = Signal.of_options(of)
    assert Signal.of_options(dataset.metadata.options) == chosen
    masked = 0
    for graph in dataset.graphs:
        pt, hits, vr = graph["particles"].numpy()[:, [PARTICLE_COLUMNS.index(name) for name in ("pt", "hits", "vr")]].T
        wanted = chosen.of(pt, hits, vr)[graph.particle_index[graph.edge_index[0]].numpy()]
        mask = graph.edge_mask.numpy() if signal else np.ones(graph.num_edges, bool)
        assert np.array_equal(mask, (graph.y.numpy() == 0) | wanted)
        masked += int((~mask).sum())
    assert (masked > 0) == bool(signal)
    counts = dataset.metadata.options["building"]
    assert counts.get("kept_signal_edges", counts["kept_edges"]) == counts["kept_edges"] - masked
    assert counts.get("signal_edges", counts["true_edges"]) <= counts["true_edges"]
    line = load_dataset({"source": "line_graph", "of": learned, "most": 10**6})
    assert Signal.of_options(line.metadata.options) == chosen
    assert bool(signal) == any(graph.get("edge_mask") is not None for graph in line.graphs)


def test_what_is_not_asked_for_may_be_unknown():
    unknown = np.full(3, np.nan)
    assert Signal().of(unknown, np.zeros(3), unknown).all()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of all particles and one of those from 1 GeV on, and events of all particles."""
    folder = tmp_path_factory.mktemp("models")
    few = ("--set", "data.source=helix", "--set", "data.events=8", "--set", "data.particles=60", "--epochs", "1")
    assert train.main(["message_passing", *few, "--output", str(folder / "all")]) == 0
    assert train.main(["message_passing", *few, "--set", "data.signal_pt=1.0", "--output", str(folder / "fast")]) == 0
    assert (
        data.main(["helix", "--events", "3", "--particles", "60", "--seed", "9", "--output", str(folder / "new")]) == 0
    )
    return folder


def test_tracks_of_other_data_are_judged_by_the_signal_of_these_data_as_their_edges_are(models, capsys):
    particles = set()
    for name in ("all", "fast"):
        capsys.readouterr()
        assert evaluate.main([str(models / name), "--data", str(models / "new"), "--json"]) == 0
        particles.add(json.loads(capsys.readouterr().out)["tracks"]["particles"])
    assert len(particles) == 1


def test_models_of_two_signals_are_compared_on_one(models):
    found = compare_models([str(models / name) for name in ("all", "fast")], data=models / "new", resamples=100)
    efficiency = found.entries[1].differences["track_efficiency"]
    assert abs(efficiency.value) < 0.2, "two hardly trained models on the same particles"
    assert not any("those of all" in note for note in found.notes)


def test_a_model_that_builds_its_own_graphs_of_another_signal_is_named(models):
    found = compare_models([str(models / "all"), str(models / "fast")], resamples=100)
    assert "fast: its graphs are of another kind than those of all: signal_pt 1 (all: 0)" in found.notes


def without(folder, new, *lacking):
    """A copy of a folder of graphs whose files lack these arrays."""
    shutil.copytree(folder, new)
    for file in new.glob("*.npz"):
        with np.load(file) as content:
            arrays = {key: content[key] for key in content.files if key not in lacking}
        np.savez(file, **arrays)
    return new


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory):
    """Events with a signal that have no particles, and test events that have no truth either."""
    folder = tmp_path_factory.mktemp("unjudged")
    options = ["--particles", "20", "--detector", "barrel", "--signal-pt", "0.7", "--signal-primary"]
    for name, seed in (("all", "0"), ("other", "5")):
        made = ["helix", "--events", "4", "--seed", seed, *options, "--output", str(folder / name)]
        assert data.main(made) == 0
    lacking = ("particles", "particle_id", "particle_index", "pt")
    without(folder / "all", folder / "poor", *lacking)
    without(folder / "other", folder / "blind", "y", *lacking)
    return folder / "poor", folder / "blind"


SIGNALLESS = "lack what the signal needs of particles (pT, vertex): tracks are judged by all particles"
BLIND = "no edge that counts is true (files without truth?): loss, accuracy and purity have no meaning for the model"


def test_a_signal_that_the_data_can_not_decide_is_named_before_the_training(unjudged, tmp_path, capsys):
    poor, blind = map(str, unjudged)
    model = str(tmp_path / "m")
    arguments = ["--data", poor, "--set", f"test={blind}", "--epochs", "1", "--output", model]
    assert train.main(["message_passing", *arguments]) == 0
    said = capsys.readouterr().err.splitlines()
    expected = [f"validation events: {SIGNALLESS}", f"test events: {BLIND}", f"test events: {SIGNALLESS}"]
    texts = [line.partition(": ")[2] for line in said]
    assert [text for text in texts if text.startswith(("validation events: ", "test events: "))] == expected
    assert texts.index(expected[-1]) < min(place for place, line in enumerate(said) if line.startswith("epoch 1"))
    assert evaluate.main([model, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[-2:] == expected[1:]
    stored = json.loads((tmp_path / "m" / "metrics.json").read_text())["test"]
    assert stored["track_efficiency"]["mean"] == json.loads(out)["tracks"]["track_efficiency"]


def test_a_search_names_test_events_without_truth_and_refuses_those_that_lack_what_the_task_needs(unjudged):
    poor, blind = map(str, unjudged)
    document = {"name": "s", "data": {"source": "hitgraphs", "path": poor}, "test": blind}
    setup = prepare(parse_experiment(document, "s"))
    events = load_events(setup.experiment)
    check_events(setup, events)
    assert cautions_of(setup, events)[-2:] == [f"test events: {BLIND}", f"test events: {SIGNALLESS}"]
    rich = {**document, "data": {"source": "hitgraphs", "path": str(unjudged[0].parent / "all")}}
    regression = {**rich, "task": "node_regression", "function_graph": "hits"}
    setup = prepare(parse_experiment(regression, "s"))
    with pytest.raises(InputError, match=r"^test: the events have no particles; allowed"):
        check_events(setup, load_events(setup.experiment))
