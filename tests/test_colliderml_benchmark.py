"""ColliderML's benchmark: the rates, the submission, and all from a search to the submission on its tables."""

import itertools
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from colliderml_tables import benchmark, numbers, rows_of, write_tables
from events import barrel_event
from hypothesis import given
from hypothesis import strategies as st
from test_predict import model

from archioptrx.commands import evaluate, predict, search
from archioptrx.data.sources import load_dataset
from archioptrx.models.model_folder import load_model
from archioptrx.models.trained_numbers import trained_numbers
from archioptrx.report.comparison.statistics import TrackStatistic
from archioptrx.tasks.tracks.metrics import EventTracks, FoundTracks, Selection

DATA = {"source": "colliderml", "slope_max": 0.002, "z0_max": 400.0, "overlaps": "every", "phi_sectors": 2}


def rates(found):
    return [part / whole for part, whole in found.benchmark.values()]


def tracks_of(name, labels, particle, count, lost=0):
    """An event; the last particle has so many further hits that are in no graph."""
    hits = np.bincount(particle[particle >= 0], minlength=count)
    hits[-1] += lost
    blank = np.zeros(count)
    return EventTracks(name, labels, particle, np.ones(len(labels)), hits, hits.astype(float), blank, blank, blank)


def by_hand(events, lost):
    """The rates of the submission that `predict` writes, hit by hit."""
    rows, particle = [], {}
    for event, extra in zip(events, lost, strict=True):
        owners = [*event.particle.tolist(), *[len(event.hits) - 1] * extra]
        labels = [*event.labels.tolist(), *[-1] * extra]
        for hit, (track, pid) in enumerate(zip(labels, owners, strict=True)):
            rows.append((event.name, hit, track))
            particle[event.name, hit] = pid
    return benchmark(rows, particle)


hits = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 2)), min_size=1, max_size=14)


@given(st.lists(st.tuples(hits, st.integers(0, 3)), min_size=1, max_size=3))
def test_the_rates_are_those_of_a_count_hit_by_hit(content):
    events = []
    for number, (pairs, lost) in enumerate(content):
        labels, particle = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
        events.append(tracks_of(f"e{number}", labels, particle, 3, lost))
    found = FoundTracks(events, Selection())
    expected = by_hand(events, [lost for _, lost in content])
    np.testing.assert_allclose(rates(found), expected)
    # A resample of a comparison has the same from its sums.
    drawn = TrackStatistic(events, Selection())(np.ones(len(events), dtype=np.int64))
    assert [drawn[f"colliderml_{name}"] for name in found.benchmark] == pytest.approx(expected)


def test_hits_of_no_track_are_a_track_and_noise_is_a_particle():
    labels, particle = np.array([0, 0, -1, -1, 1, 1]), np.array([0, 0, 0, 1, -1, -1])
    found = FoundTracks([tracks_of("e", labels, particle, 2)], Selection())
    # Track 0 is right with 2 of 3 hits, track 1 with all hits of noise, and -1 is of no majority but a half: no fake.
    assert rates(found) == [(2 + 2 + 0) / 6, 0.0, 1 / 3]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Six events as ColliderML has them: noise, hits twice in a layer, hits that the cuts take away."""
    folder = tmp_path_factory.mktemp("colliderml")
    events = [barrel_event(seed, tracks=6, cells=False) for seed in range(6)]
    write_tables(folder, [rows_of(event, number) for number, event in enumerate(events)])
    return folder


def scored(table, tables):
    """The benchmark's rates of a submission, with the truth of the tables."""
    truth = pq.read_table(next(tables.rglob("*_tracker_hits/*.parquet")), columns=["event_id", "particle_id"])
    particle = {(row["event_id"], hit): pid for row in truth.to_pylist() for hit, pid in enumerate(row["particle_id"])}
    columns = (numbers(table[name]).tolist() for name in ("event_id", "hit_id", "track_id"))
    return benchmark(list(zip(*columns, strict=True)), particle)


def test_a_submission_has_every_hit_and_all_parameters(tables, tmp_path):
    trained = model(tmp_path / "m", {**DATA, "path": str(tables)})
    arguments = [str(tmp_path / "m"), "--data", str(tables), "--output", str(tmp_path / "out")]
    assert predict.main(arguments) == 0
    table = pq.read_table(tmp_path / "out" / "submission.parquet")
    assert table.column_names == ["event_id", "hit_id", "track_id", "n_params"]
    counts = [len(row["x"]) for row in pq.read_table(next(tables.rglob("*_tracker_hits/*.parquet"))).to_pylist()]
    assert numbers(table["event_id"]).tolist() == [event for event, count in enumerate(counts) for _ in range(count)]
    assert numbers(table["hit_id"]).tolist() == [hit for count in counts for hit in range(count)]
    parameters = sum(p.numel() for p in trained.model.parameters())
    assert set(numbers(table["n_params"])) == {parameters} == {trained_numbers(trained)}
    assert (tmp_path / "out" / "scores" / "event000000000.csv").exists()


def test_the_numbers_of_an_embedding_count_too(tables, tmp_path):
    inner = {**DATA, "path": str(tables)}
    data = {"source": "learned", "of": inner, "epochs": 1, "hidden": 4, "dimension": 2, "train_events": 1}
    trained = model(tmp_path / "m", data)
    network = sum(p.numel() for p in trained.model.parameters())
    embedding = load_dataset(data).metadata.options["embedding"]
    sizes = embedding["sizes"]
    assert trained_numbers(trained) == network + sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def test_from_a_search_to_a_submission(tables, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "out"
    settings = ("sampler={name: random}", "scheduler={name: fifo}", "objective=colliderml_efficiency")
    whole = ("retrain.seeds=1", "data.phi_sectors=1", "data.eta_sectors=1")
    options = [word for text in (*settings, *whole) for word in ("--set", text)]
    limits = ["--trials", "1", "--epochs", "1", "--backend", "local", "--output", str(run)]
    assert search.main(["tracking_small_10k", "--data", str(tables), *options, *limits]) == 0
    assert trained_numbers(load_model(run)) < 10_000
    capsys.readouterr()
    assert evaluate.main([str(run), "--data", str(tables), "--json"]) == 0
    tracks = json.loads(capsys.readouterr().out)["tracks"]
    assert predict.main([str(run), "--data", str(tables), "--output", str(out)]) == 0
    rates = [tracks[f"colliderml_{name}"] for name in ("efficiency", "fake_rate", "duplicate_rate")]
    assert rates == pytest.approx(scored(pq.read_table(out / "submission.parquet"), tables))


def test_in_many_sectors_the_rates_are_those_of_the_submission(tables, tmp_path, capsys):
    """Sectors that have hits and no edge are scored too: of their noise the benchmark makes a particle."""
    data, out = {**DATA, "path": str(tables), "phi_sectors": 16, "eta_sectors": 8}, tmp_path / "out"
    model(tmp_path / "m", data)
    assert any(len(graph.x) and not graph.num_edges for graph in load_dataset(data).graphs)
    assert evaluate.main([str(tmp_path / "m"), "--data", str(tables), "--json"]) == 0
    tracks = json.loads(capsys.readouterr().out)["tracks"]
    assert predict.main([str(tmp_path / "m"), "--data", str(tables), "--output", str(out)]) == 0
    table = pq.read_table(out / "submission.parquet")
    rates = [tracks[f"colliderml_{name}"] for name in ("efficiency", "fake_rate", "duplicate_rate")]
    assert rates == pytest.approx(scored(table, tables))
