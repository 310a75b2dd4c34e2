"""The command `predict`: untrained models on small files of every form; what is written is what the model says."""

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from acts_files import write_acts
from test_acorn import columns, saved

from archioptrx.commands import predict
from archioptrx.core.errors import InputError
from archioptrx.data.description import DataDescription
from archioptrx.data.event import Event
from archioptrx.data.sources import check_spec, load_dataset
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.sources.pickle_writing import write as write_samples
from archioptrx.data.sources.trackml import write_event
from archioptrx.graphs.architecture import Architecture
from archioptrx.models.export.trained import probabilities
from archioptrx.models.model_folder import Provenance, load_model, save_model
from archioptrx.models.predictions.prediction import Prediction
from archioptrx.models.predictions.submission import write_predictions
from archioptrx.tasks import describe_task, make_task
from archioptrx.training.fit import predict as outputs_of
from archioptrx.training.trial import build, weights_of

RADII = {2: 32.0, 4: 72.0, 6: 116.0, 8: 172.0}


def event(name="event000000007", particles=12, seed=0):
    """Straight tracks through four layers of the pixel barrel, hits of noise, and a hit in an endcap that no graph has;
    hits stand in random order."""
    random = np.random.default_rng(seed)
    rows = []
    for pid in [*range(1, particles + 1), 0, 0, 0]:
        phi, slope = random.uniform(-3, 3), random.uniform(-1, 1)
        layers = RADII if pid else dict([random.permutation(list(RADII.items())).tolist()[0]])
        rows += [(r * np.cos(phi), r * np.sin(phi), r * slope, 8, int(layer), pid) for layer, r in layers.items()]
    rows.append((50.0, 0.0, 600.0, 9, 2, 1))
    x, y, z, volume, layer, pid = np.array([rows[i] for i in random.permutation(len(rows))]).T
    count, whole = len(rows), lambda values: np.asarray(values).astype(np.int64)
    return Event(
        name=name,
        hit_id=random.permutation(count) + 100,
        pos=np.stack([x, y, z], axis=1),
        volume=whole(volume),
        layer=whole(layer),
        module=np.ones(count, dtype=np.int64),
        pid=whole(pid),
        weight=(pid > 0) / (pid > 0).sum(),
        particle_id=np.arange(1, particles + 1),
        momentum=np.ones((particles, 3)),
        vertex=np.zeros((particles, 3)),
        charge=np.ones(particles),
    )


def test_only_logits_become_probabilities(tmp_path):
    """A task says of its outputs that they are logits; those of another task of edges are written as they are."""
    graphs = load_dataset({"source": "toy", "num_samples": 1}).graphs
    trained = model(tmp_path / "model", {"source": "toy", "num_samples": 1})
    (output,) = outputs_of(trained.model, [graphs[0]])
    (scored,) = predict.predictions(trained, trained.task, graphs)
    assert torch.equal(scored.scores, output.sigmoid())
    trained.task.logits = False
    (plain,) = predict.predictions(trained, trained.task, graphs)
    assert torch.equal(plain.scores, output)
    assert probabilities(trained.task, 1) == (False,)
    trained.task.target_width = 2
    with pytest.raises(InputError, match="predict: edge_classification has 2 numbers for each edge; allowed: 1"):
        list(predict.predictions(trained, trained.task, graphs))


def model(folder, data, architecture="message_passing", **task):
    """An untrained model for a data set, in a folder."""
    architecture, dataset = Architecture.load(architecture), load_dataset(data)
    task = {"name": "edge_classification", **task}
    network = build(architecture.graph, architecture.hyperparameters, dataset.metadata, make_task(task), seed=1)
    split = {"validation": 0.2, "test": 0.2, "seed": 0}
    provenance = Provenance(DataDescription(data), split, None, dataset.fingerprint, describe_task(task), {})
    save_model(folder, architecture, weights_of(network), dataset.metadata, provenance, {})
    return load_model(folder)


def answers(trained, graph):
    """Scores in the file's order of edges, and tracks."""
    output = outputs_of(trained.model, [graph])[0]
    return graph.in_file_order(output.sigmoid()).numpy(), trained.task.tracks(output, graph).numpy()


def parts(labels, names):
    """Names of the hits of each track."""
    return {frozenset(names[labels == label].tolist()) for label in set(labels.tolist())}


@pytest.fixture(params=[1, 3])
def trackml(request, tmp_path):
    """Two events, and the description that builds their graphs, whole or in three sectors."""
    for number in (7, 8):
        write_event(event(f"event00000000{number}", seed=number), tmp_path / "events")
    return {"source": "trackml", "path": str(tmp_path / "events"), "phi_sectors": request.param}


def test_a_submission_names_every_hit_in_the_order_of_the_file(trackml, tmp_path, capsys):
    trained = model(tmp_path / "m", trackml)
    assert predict.main([str(tmp_path / "m"), "--data", trackml["path"], "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith(f"2 events, {2 * trackml['phi_sectors']} graphs, 102 hits, ")
    table = pd.read_csv(tmp_path / "out" / "submission.csv")
    assert list(table.columns) == ["event_id", "hit_id", "track_id"]
    graphs = load_dataset(trackml).graphs
    for number in (7, 8):
        name = f"event00000000{number}"
        mine, hits = table[table.event_id == number], pd.read_csv(tmp_path / "events" / f"{name}-hits.csv")
        assert mine.hit_id.tolist() == hits.hit_id.tolist()
        of_event = [graph for graph in graphs if graph.event == name]
        expected = set()
        for graph in of_event:
            labels = answers(trained, graph)[1]
            expected |= parts(labels[labels >= 0], graph.hit_id.numpy()[labels >= 0])
        in_tracks = mine[mine.track_id > 0]
        assert parts(in_tracks.track_id.to_numpy(), in_tracks.hit_id.to_numpy()) == expected != set()
        assert sorted(in_tracks.track_id.unique()) == list(range(1, len(expected) + 1))
        outside = hits[hits.volume_id == 9].hit_id
        assert (mine[mine.hit_id.isin(outside)].track_id == 0).all() and len(outside) == 1
        edges = pd.read_csv(tmp_path / "out" / "scores" / f"{name}.csv")
        known = {}
        for graph in of_event:
            inner, outer = graph.in_file_order(graph.hit_id[graph.edge_index].T).T.tolist()
            known |= dict(zip(zip(inner, outer, strict=True), answers(trained, graph)[0].tolist(), strict=True))
        assert list(zip(edges.inner_hit_id, edges.outer_hit_id, strict=True)) == list(known)
        assert edges.score.tolist() == pytest.approx(list(known.values()), rel=1e-4)


def test_a_submission_for_acts_names_measurements(tmp_path, capsys):
    folder = tmp_path / "events"
    for number in (7, 8):
        write_acts(event(f"event00000000{number}", seed=number), folder)
    spec = {"source": "acts", "path": str(folder), "noise": "drop"}
    model(tmp_path / "m", spec)
    for part in ("measurement-simhit-map", "hits", "particles_simulated"):
        for file in folder.glob(f"*-{part}.csv"):
            file.unlink()
    assert predict.main([str(tmp_path / "m"), "--data", str(folder), "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.startswith("the events have no truth and no particles: built with noise keep\n")
    table = pd.read_csv(tmp_path / "out" / "submission.csv")
    assert list(table.columns) == ["event_id", "measurement_id", "track_id"]
    for number in (7, 8):
        name, mine = f"event00000000{number}", table[table.event_id == number]
        measurements = pd.read_csv(folder / f"{name}-measurements.csv")
        assert mine.measurement_id.tolist() == measurements.measurement_id.tolist() and mine.track_id.max() > 0
        edges = pd.read_csv(tmp_path / "out" / "scores" / f"{name}.csv")
        assert list(edges.columns) == ["inner_measurement_id", "outer_measurement_id", "score"]


def test_proto_tracks_name_measurements_whatever_their_order(tmp_path, capsys):
    """The ids of the file don't count on in its order, and there is no truth; packed files are unpacked."""
    folder, name = tmp_path / "events", "event000000007"
    shuffled = {"measurements": lambda table: table.sample(frac=1, random_state=1)}
    write_acts(event(name, seed=7), folder, **shuffled)
    trained = model(tmp_path / "m", {"source": "acts", "path": str(folder)})
    for part in ("measurement-simhit-map", "hits", "particles_simulated"):
        (folder / f"{name}-{part}.csv").unlink()
    plain = (folder / f"{name}-measurements.csv").read_bytes()
    (folder / f"{name}-measurements.csv").unlink()
    (folder / f"{name}-measurements.csv.gz").write_bytes(gzip.compress(plain))
    arguments = [str(tmp_path / "m"), "--data", str(folder), "--format", "acts", "--output", str(tmp_path / "out")]
    assert predict.main(arguments) == 0
    assert capsys.readouterr().out.endswith(f"fit the tracks (pyacts): python {tmp_path / 'out' / 'fit.py'}\n")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        f"{name}-measurements.csv",
        f"{name}-prototracks.csv",
        "fit.py",
    ]
    assert (tmp_path / "out" / f"{name}-measurements.csv").read_bytes() == plain
    table = pd.read_csv(tmp_path / "out" / f"{name}-prototracks.csv")
    measurements = pd.read_csv(tmp_path / "out" / f"{name}-measurements.csv", encoding="latin-1")
    assert not measurements.measurement_id.is_monotonic_increasing
    of_each = measurements.set_index("measurement_id").loc[table.measurementId]
    np.testing.assert_allclose(table[[*"xyz"]], of_each[["global_x", "global_y", "global_z"]], rtol=1e-8)
    (graph,) = load_dataset({"source": "acts", "path": str(folder), "noise": "keep"}).graphs
    labels = answers(trained, graph)[1]
    found = parts(labels[labels >= 0], graph.hit_id.numpy()[labels >= 0])
    assert parts(table.trackId.to_numpy(), table.measurementId.to_numpy()) == found != set()
    distance = np.linalg.norm(table[[*"xyz"]], axis=1)
    assert (np.diff(distance)[np.diff(table.trackId) == 0] > 0).all()


def test_proto_tracks_need_measurements_and_tracks(trackml, tmp_path, capsys):
    model(tmp_path / "m", trackml)
    arguments = ["--data", trackml["path"], "--format", "acts", "--output", str(tmp_path / "out")]
    assert predict.main([str(tmp_path / "m"), *arguments]) == 2
    assert capsys.readouterr().err == (
        "--format: acts needs measurement ids, and the hits of trackml have none; "
        "allowed: --data PATH of CSV files of Acts, as data fatras --csv writes them\n"
    )
    write_acts(event(), tmp_path / "acts")
    acts = {"source": "acts", "path": str(tmp_path / "acts")}
    model(tmp_path / "n", acts, "event", name="track_count")
    arguments = ["--data", acts["path"], "--format", "acts", "--output", str(tmp_path / "out")]
    assert predict.main([str(tmp_path / "n"), *arguments]) == 2
    fault = "--format: acts needs tracks, and this model makes none; allowed: without --format"
    assert capsys.readouterr().err.splitlines()[-1] == fault and not (tmp_path / "out").exists()


def test_events_without_truth(trackml, tmp_path, capsys):
    model(tmp_path / "m", {**trackml, "noise": "drop", "signal_pt": 1.0})
    for part in ("truth", "particles"):
        for file in (tmp_path / "events").glob(f"*-{part}.csv"):
            file.unlink()
    assert predict.main([str(tmp_path / "m"), "--data", trackml["path"], "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.startswith(
        "the events have no truth and no particles: built with noise keep, signal_pt 0\n"
    )
    assert len(pd.read_csv(tmp_path / "out" / "submission.csv")) == 2 * 52


def test_line_graphs_of_events_without_truth(trackml, capsys):
    described = DataDescription({"source": "line_graph", "of": {**trackml, "overlaps": "drop"}})
    assert predict.without_truth(described) == described
    for file in (Path(trackml["path"])).glob("*-truth.csv"):
        file.unlink()
    assert predict.without_truth(described).content["of"]["overlaps"] == "every"
    assert capsys.readouterr().err == "the events have no truth: built with overlaps every\n"


def test_a_bad_event_is_left_out(trackml, tmp_path, capsys):
    model(tmp_path / "m", trackml)
    bad = tmp_path / "events" / "event000000008-hits.csv"
    bad.rename(bad.with_suffix(".csv.gz"))
    printed = [str(tmp_path / "m"), "--data", trackml["path"], "--output", str(tmp_path / "out"), "--json"]
    assert predict.main(printed) == 2
    assert "event000000008-hits.csv.gz: can't be read" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert predict.main([*printed, "--skip-bad"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["events"], summary["skipped"]) == (1, 1)
    assert set(pd.read_csv(tmp_path / "out" / "submission.csv").event_id) == {7}


def test_hit_graphs_keep_all_that_they_have(trackml, tmp_path):
    whole = {**trackml, "phi_sectors": 1}
    write(load_dataset(whole), tmp_path / "graphs")
    for file in (tmp_path / "graphs").glob("*.npz"):  # as a stranger may have written it: edges in any order
        with np.load(file) as content:
            arrays = dict(content)
        order = np.random.default_rng(3).permutation(len(arrays["y"]))
        arrays |= {key: arrays[key][order] for key in ("Ri_rows", "Ro_rows", "y")}
        np.savez_compressed(file, **arrays, mine=np.arange(3))
    data = {"source": "hitgraphs", "path": str(tmp_path / "graphs")}
    trained = model(tmp_path / "m", data)
    assert predict.main([str(tmp_path / "m"), "--data", data["path"], "--output", str(tmp_path / "out")]) == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir())[-1] == "metadata.json"
    for graph in load_dataset(data).graphs:
        name = f"{graph.event}_g000.npz"
        with np.load(tmp_path / "graphs" / name) as before, np.load(tmp_path / "out" / name) as after:
            assert set(after.files) == {*before.files, "score", "track"}
            assert all(np.array_equal(before[key], after[key]) for key in before.files)
            scores, tracks = answers(trained, graph)
            assert after["score"].tolist() == pytest.approx(scores.tolist(), rel=1e-5)
            assert after["track"].tolist() == tracks.tolist()
            # Said once more with the file's own columns: the score of an edge is that of its two hits.
            hits = map(tuple, graph.hit_id[graph.edge_index].T.tolist())
            pairs = dict(zip(hits, scores[graph.edge_order], strict=True))
            ends = zip(before["hit_id"][before["Ro_rows"]], before["hit_id"][before["Ri_rows"]], strict=True)
            assert [pairs[pair] for pair in ends] == pytest.approx(after["score"].tolist(), rel=1e-5)


def test_files_of_acorn(tmp_path):
    file = saved(tmp_path / "data" / "event1.pyg", columns())
    packed = tmp_path / "data" / "testset" / "event2.pyg.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(file.read_bytes()))
    data = {"source": "acorn", "path": str(tmp_path / "data")}
    trained = model(tmp_path / "m", data)
    assert predict.main([str(tmp_path / "m"), "--data", data["path"], "--output", str(tmp_path / "out")]) == 0
    written = torch.load(tmp_path / "out" / "event1.pyg", weights_only=False)
    scores, tracks = answers(trained, load_dataset(data).graphs[0])
    assert written.labels.tolist() == written.hit_track_labels.tolist() == tracks.tolist()
    assert written.time_taken > 0
    again = load_dataset({"source": "acorn", "path": str(tmp_path / "out" / "testset" / "event2.pyg.gz")})
    assert again.graphs[0].edge_index.tolist() == load_dataset(data).graphs[0].edge_index.tolist()
    for folder, event in (("tracks", "event1"), ("testset_tracks", "event2")):
        lines = (tmp_path / "out" / folder / f"{event}.txt").read_text().splitlines()
        assert {frozenset(map(int, line.split())) for line in lines} == parts(tracks, np.arange(5, 10)) - parts(
            tracks[tracks < 0], np.arange(5, 10)[tracks < 0]
        )
    assert written.scores.tolist() == pytest.approx(scores.tolist(), rel=1e-5)


def test_samples_of_the_notebook(tmp_path):
    file = tmp_path / "samples.pickle"
    write_samples(load_dataset({"source": "toy", "num_samples": 3}), file)
    data = {"source": "pickle", "path": str(file)}
    trained = model(tmp_path / "m", data)
    assert predict.main([str(tmp_path / "m"), "--data", str(file), "--output", str(tmp_path / "out")]) == 0
    before, after = pickle.loads(file.read_bytes()), pickle.loads((tmp_path / "out" / "samples.pickle").read_bytes())
    assert len(before) == len(after) == 3
    for old, new, graph in zip(before, after, load_dataset(data).graphs, strict=True):
        scores, tracks = answers(trained, graph)
        assert new["hits"]["hit_id"].tolist() == old["hits"]["hit_id"].tolist()
        assert new["hits"]["track"].tolist() == tracks.tolist()
        index = graph.in_file_order(graph.edge_index.T).T.tolist()
        known = dict(zip(zip(*index, strict=True), scores.tolist(), strict=True))
        for hit, (others, values) in enumerate(zip(old["graphs"]["pred"], new["graphs"]["score"], strict=True)):
            expected = [
                known[pair] if (pair := (hit, other)) in known else known[other, hit] for other in others.tolist()
            ]
            assert values.tolist() == pytest.approx(expected, rel=1e-5)
    # What the network found doesn't hinder reading the samples again.
    again = load_dataset({"source": "pickle", "path": str(tmp_path / "out")})
    assert again.fingerprint == load_dataset(data).fingerprint


def test_another_cut_gives_other_tracks(trackml, tmp_path):
    model(tmp_path / "m", trackml)
    printed = [str(tmp_path / "m"), "--data", trackml["path"], "--cut", "0.999", "--output", str(tmp_path / "out")]
    assert predict.main(printed) == 0
    assert (pd.read_csv(tmp_path / "out" / "submission.csv").track_id == 0).all()


def test_faults(trackml, tmp_path, capsys):
    model(tmp_path / "m", trackml)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    arguments = [str(tmp_path / "m"), "--data", trackml["path"]]
    assert predict.main([*arguments, "--output", str(tmp_path / "full"), "--cut", "1.5"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "--cut: is 1.5; allowed: between 0 and 1",
        f"{tmp_path / 'full'}: already holds something; allowed: a new or empty folder",
    ]
    missing = str(tmp_path / "missing")
    assert predict.main([str(tmp_path / "m"), "--data", missing, "--output", str(tmp_path / "out")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_events_that_have_gone_are_named(trackml, tmp_path):
    (toy,) = load_dataset({"source": "toy", "num_samples": 1}).graphs
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="events: no longer holds toy000000; allowed: the events that were read"):
        write_predictions([Prediction(toy, None, None, {})], check_spec(trackml, "data", []), tmp_path / "out")


def test_what_networks_say_of_hits_and_graphs(trackml, tmp_path):
    graphs = [graph for graph in load_dataset(trackml).graphs if graph.event == "event000000007"]
    outputs = [{"point": graph.x[:, :2], "number": torch.tensor([2.0 + graph.sector])} for graph in graphs]
    domains = {"point": "node", "number": "graph"}
    pairs = zip(graphs, outputs, strict=True)
    predictions = [Prediction(graph, None, None, output, domains=domains) for graph, output in pairs]
    (tmp_path / "out").mkdir()
    write_predictions(predictions, check_spec(trackml, "data", []), tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["outputs"]
    points = pd.read_csv(tmp_path / "out" / "outputs" / "event000000007-point.csv")
    assert points.hit_id.tolist() == torch.cat([graph.hit_id for graph in graphs]).tolist()
    assert points.point_1.tolist() == pytest.approx(torch.cat([graph.x[:, 1] for graph in graphs]).tolist(), abs=1e-5)
    numbers = pd.read_csv(tmp_path / "out" / "outputs" / "event000000007-number.csv")
    assert numbers.to_numpy().tolist() == [[graph.sector, 2.0 + graph.sector] for graph in graphs]


def test_an_output_without_its_domain_is_refused():
    (toy,) = load_dataset({"source": "toy", "num_samples": 1}).graphs
    with pytest.raises(ValueError, match="domains: number; allowed: one domain for each of the outputs"):
        Prediction(toy, None, None, {"number": torch.zeros(1)})


def test_graphs_made_of_others_are_written_as_submissions_alone():
    inner = {"source": "hitgraphs", "path": "a"}
    derived, toy = DataDescription({"source": "line_graph", "of": inner}), DataDescription({"source": "toy"})
    with pytest.raises(InputError, match="that writes for graphs of line_graph; allowed: acts, colliderml, trackml"):
        predict.writer_of(derived)
    assert predict.writer_of(DataDescription(inner))[0] == "hitgraphs"
    with pytest.raises(InputError, match="the source toy has no prediction writer; allowed: acorn, acts, colliderml"):
        predict.writer_of(toy)
