"""The source `colliderml`: tables by its schema, in each layout; the same graphs as from TrackML; what is refused."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from colliderml_tables import PARTICLES, ending, rows_of, table, write_tables
from events import barrel_event
from graphs import graph_faults

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.data.simulation.detector import layer_pairs
from archioptrx.data.simulation.open_data_detector import OPEN_DATA, layers_at
from archioptrx.data.sources import load_dataset, parquet_rows, source_at, with_path
from archioptrx.data.sources.colliderml import parts_of
from archioptrx.data.sources.parquet_rows import Row, event_numbers, read_row
from archioptrx.data.sources.trackml import write_event

CUTS = {"slope_max": 0.002, "z0_max": 400.0}


def events(count=3):
    return [barrel_event(seed, name=f"event{seed + 5:09d}", cells=False) for seed in range(count)]


def rows(count=3):
    return [rows_of(event, seed + 5) for seed, event in enumerate(events(count))]


def read(path, **options):
    return load_dataset({"source": "colliderml", "path": str(path), **CUTS, **options})


def fault_of(path, **options):
    with pytest.raises(InputError) as error:
        read(path, **options)
    (fault,) = error.value.faults
    assert "\n" not in fault
    return fault.replace(f"{path}/data/ttbar_pu0_", "").replace("/train-00000-of-00001.parquet", "")


@pytest.mark.parametrize("options", [{}, {"phi_sectors": 3, "overlaps": "every", "signal_pt": 0.5, "pt_min": 0.1}])
def test_the_same_event_is_the_same_graph_as_from_trackml(tmp_path, options):
    (event,) = events(1)
    write_event(event, tmp_path / "csv")
    write_tables(tmp_path, [rows_of(event, 5)])
    theirs = load_dataset({"source": "trackml", "path": str(tmp_path / "csv"), **CUTS, **options})
    ours = read(tmp_path, **options)
    assert len(theirs.graphs) == len(ours.graphs) == options.get("phi_sectors", 1)
    for one, other in zip(theirs.graphs, ours.graphs, strict=True):
        assert graph_faults(other) == []
        assert other.event == "event000000005"
        assert one.edge_index.tolist() == other.edge_index.tolist()
        assert one.y.tolist() == other.y.tolist()
        np.testing.assert_allclose(one.x, other.x, atol=1e-5)
        assert event.hit_id[other.hit_id].tolist() == one.hit_id.tolist()
        assert other.pid.tolist() == one.pid.tolist()
        assert other.hit_weight.tolist() == (other.pid > 0).float().tolist()
        np.testing.assert_allclose(one["particles"][:, :7], other["particles"][:, :7], atol=1e-4)
    assert theirs.metadata.options["building"] == ours.metadata.options["building"]


def test_every_layout_gives_the_same_events(tmp_path):
    hits, particles = write_tables(tmp_path / "a", rows())
    expected = read(tmp_path / "a")
    assert expected.events == tuple(f"event{number:09d}" for number in (5, 6, 7))
    flat, library = tmp_path / "flat", tmp_path / "b" / "CERN__ColliderML-Release-1"
    for file, name in ((hits, "tracker_hits"), (particles, "particles")):
        for target in (
            flat / f"{name}_000000-001000.parquet",
            library / f"ttbar_pu0_{name}" / "data" / f"ttbar_pu0_{name}" / file.name,
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    files = (flat / "tracker_hits_000000-001000.parquet", hits, next(library.rglob("*_tracker_hits/train-*")))
    for path in (flat, library, hits.parent, *files):
        assert read(path).fingerprint == expected.fingerprint
        assert source_at(path) == "colliderml"
    assert source_at(tmp_path / "a") == source_at(tmp_path / "b") == "colliderml"


def test_one_of_several_data_sets_is_chosen(tmp_path):
    write_tables(tmp_path, rows(1))
    write_tables(tmp_path, rows(2), dataset="higgs_portal_pu200")
    allowed = "allowed: dataset higgs_portal_pu200, ttbar_pu0"
    assert fault_of(tmp_path) == f"{tmp_path}: holds 2 data sets; {allowed}"
    assert fault_of(tmp_path, dataset="zee_pu0") == f"{tmp_path}: holds no zee_pu0; {allowed}"
    assert len(read(tmp_path, dataset="higgs_portal_pu200").events) == 2
    assert len(read(tmp_path / "data" / "ttbar_pu0_tracker_hits").events) == 1


def test_a_range_of_events_is_read_and_forgotten_for_other_files(tmp_path):
    write_tables(tmp_path, rows())
    assert read(tmp_path, from_event=6).events == ("event000000006", "event000000007")
    assert read(tmp_path, below_event=7, events=1).events == ("event000000005",)
    fault = "holds no event from 8 on and below 9; allowed: numbers in 5 … 7"
    assert fault_of(tmp_path, from_event=8, below_event=9) == f"{tmp_path}: {fault}"
    spec = {"source": "colliderml", "path": "a", "below_event": 90_000, "dataset": "ttbar_pu200", "z0_max": 300}
    assert with_path(spec, "b.parquet") == {"source": "colliderml", "path": "b.parquet", "z0_max": 300}


def test_rows_are_read_one_by_one_in_any_order(tmp_path):
    file, _ = write_tables(tmp_path, rows(5), groups=3)
    places = event_numbers(file, tmp_path)
    assert [row.group for _, row in places] == [0, 0, 0, 1, 1]
    expected = {number: hits["x"] for number, hits in ((row["event_id"], row) for row, _ in rows(5))}
    for number, place in (places[k] for k in (2, 0, 1, 1, 4, 3)):
        np.testing.assert_array_equal(read_row(place, number, ("x", "y")).columns["x"], np.float32(expected[number]))


def test_events_without_truth_or_particles_are_good_for_predictions(tmp_path):
    hits, particles = write_tables(tmp_path, rows())
    particles.unlink()
    dataset = read(tmp_path)
    assert dataset.graphs[0].y.sum() > 0
    assert dataset.graphs[0]["particles"][1:, :6].isnan().all()
    assert fault_of(tmp_path, pt_min=1.0, events=1) == "event000000005: has no particles; allowed: pt_min 0"
    pq.write_table(pq.read_table(hits).drop_columns("particle_id"), hits)
    (graph,) = read(tmp_path, events=1).graphs
    assert not graph.y.any()
    assert not graph.pid.any()
    assert fault_of(tmp_path, noise="drop", events=1) == "event000000005: has no truth; allowed: noise keep"
    assert parts_of(type("Options", (), {"path": tmp_path, "dataset": ""})) == set()


def test_particle_0_is_a_particle_and_unlisted_ones_have_no_momentum(tmp_path):
    hits, particles = rows(1)[0]
    first = particles["particle_id"][0]
    hits["particle_id"] = [0 if pid == first else pid for pid in hits["particle_id"]]
    write_tables(tmp_path, [(hits, particles)])
    dataset = read(tmp_path)
    assert dataset.metadata.options["building"]["unlisted_hits"] == hits["particle_id"].count(0)
    (graph,) = dataset.graphs
    assert (graph.pid == 1).sum() == hits["particle_id"].count(0)
    assert not graph.pt[graph.pid == 1].any()
    assert graph.y[graph.pid[graph.edge_index[0]] == 1].sum() > 3


def test_an_event_without_hits_is_read(tmp_path):
    hits, particles = rows(1)[0]
    empty = {name: [] if isinstance(value, list) else value for name, value in hits.items()}
    write_tables(tmp_path, [(empty, particles), *rows(1)[1:]])
    (graph,) = read(tmp_path).graphs
    assert len(graph.x) == 0
    assert len(graph["particles"]) == len(particles["particle_id"]) + 1


def changed(place, name, value):
    """Rows of an event in which one number, or a whole list, is another."""
    both = rows(1)[0]
    if isinstance(value, list) or (value is None and name == "z"):
        both[place][name] = value
    else:
        both[place][name][3] = value
    return [both]


CHANGES = {
    "x is nan at hit 3; allowed: -100000 … 100000 mm": (0, "x", float("nan")),
    "x is missing at hit 3; allowed: a number": (0, "x", None),
    "volume_id is 99 at hit 3; allowed: 16 17 18 23 24 25 28 29 30, of the Open Data detector, or with layer_id": (
        *(0, "volume_id"),
        99,
    ),
    "particle_id 99 stands twice": (1, "particle_id", [99, 99, 1, 2, 3, 4, 5, 6]),
    "px is 1e+07 at particle 3; allowed: -100000 … 100000 GeV": (1, "px", 1e7),
    "its columns have different lengths (": (0, "y", [1.0]),
    "z is missing; allowed: a list of numbers, which may be empty": (0, "z", None),
    "particle_id is 9223372036854775807 at row 3; allowed: 0 … 9223372036854775806": (0, "particle_id", 2**63 - 1),
    "particle_id is 9223372036854775813 at hit 3": (0, "particle_id", 2**63 + 5),
    "lacks the particles of": (1, "particle_id", [10**6 + k for k in range(8)]),
}


@pytest.mark.parametrize("fault", CHANGES)
def test_a_bad_number_is_refused_with_file_and_event(tmp_path, fault):
    write_tables(tmp_path, changed(*CHANGES[fault]))
    place = "particles: event 5: " if CHANGES[fault][0] else "tracker_hits: event 5: "
    message = fault_of(tmp_path)
    assert message.startswith(place)
    assert fault in message


def test_a_hit_where_no_layer_is_is_refused(tmp_path):
    write_tables(tmp_path, changed(0, "x", 5000.0))
    assert "lies at r = 500" in (fault := fault_of(tmp_path))
    assert fault.endswith("mm, where no layer is; allowed: the layers of the Open Data detector")


def rewritten(file, change):
    pq.write_table(change(pq.read_table(file)), file)


def test_bad_files_and_tables_are_one_line_each(tmp_path):
    hits, particles = write_tables(tmp_path, rows())
    good = hits.read_bytes()
    for content, fault in (
        (good[:1000], "can't be read as Parquet ("),
        (b"", "is empty"),
        (b"x" * 99, "can't be read"),
    ):
        hits.write_bytes(content)
        assert fault_of(tmp_path).startswith(f"tracker_hits: {fault}")
    hits.write_bytes(good)
    rewritten(hits, lambda hits: hits.drop_columns("volume_id"))
    assert (
        fault_of(tmp_path, events=1)
        == "tracker_hits: lacks volume_id; allowed: the columns x, y, z, volume_id, particle_id"
    )
    rewritten(hits, lambda hits: hits.drop_columns("event_id"))
    assert fault_of(tmp_path) == "tracker_hits: has no column event_id of whole numbers; allowed: tables of ColliderML"
    hits.write_bytes(good)
    rewritten(hits, lambda hits: hits.set_column(1, "x", pa.array([["a"]] * 3)))
    fault = "tracker_hits: event 5: x holds lists of string; allowed: lists of numbers"
    assert fault_of(tmp_path, events=1) == fault
    rewritten(hits, lambda hits: hits.set_column(1, "x", pa.array([1.0, 2.0, 3.0])))
    fault = "tracker_hits: event 5: x holds double; allowed: a list of numbers for each event"
    assert fault_of(tmp_path, events=1) == fault
    hits.write_bytes(good)
    rewritten(particles, lambda particles: particles.slice(1))
    fault = f"{hits}: event 5: has no row in the table particles; allowed: one"
    assert fault_of(tmp_path).replace("tracker_hits", str(hits), 1) == fault
    assert read(tmp_path, skip_bad=True).events == ("event000000006", "event000000007")
    (hits.parent / "train-00001-of-00002.parquet").write_bytes(good)
    assert "event 5 stands twice, also in" in fault_of(tmp_path, from_event=6)


def test_a_file_that_ends_its_reader_is_one_line(tmp_path, monkeypatch):
    """No such file is kept here: a reader that ends in the same way stands in for it."""
    write_tables(tmp_path, rows())
    monkeypatch.setattr(parquet_rows, "_event_numbers", ending)
    with pytest.raises(InputError) as error:
        read(tmp_path)
    ended = "/train-00000-of-00001.parquet: ends the process that reads it (killed by signal 6); allowed: tables of C"
    assert len(error.value.faults) == 2 and all(ended in fault for fault in error.value.faults)
    monkeypatch.undo()
    assert len(read(tmp_path).events) == 3


def test_a_file_that_claims_too_much_is_not_read(tmp_path):
    zeros = pa.ListArray.from_arrays([0, 2**24 + 1], np.zeros(2**24 + 1, np.uint8))
    columns = pa.table({"event_id": pa.array([1], pa.uint32()), "volume_id": zeros})
    pq.write_table(columns, tmp_path / "tracker_hits.parquet")
    assert "claims 16,777,217 numbers in" in fault_of(tmp_path)


def test_other_tables_and_folders_are_named(tmp_path):
    pq.write_table(table([rows(1)[0][1]], PARTICLES), tmp_path / "particles.parquet")
    assert fault_of(tmp_path).startswith(f"{tmp_path}: holds no table tracker_hits; allowed: a folder of")
    file = tmp_path / "particles.parquet"
    assert fault_of(file).startswith(f"{file}: is no file of the table tracker_hits; allowed: ")
    with pytest.raises(InputError, match="no such file or folder"):
        read(tmp_path / "none")


def test_tables_that_acts_wrote_of_the_trackml_detector_are_read(tmp_path):
    (event,) = events(1)
    hits, particles = rows_of(event, 5)
    hits["volume_id"] = event.volume.tolist()
    write_tables(tmp_path, [(hits, particles)])
    write_event(event, tmp_path / "csv")
    theirs = load_dataset({"source": "trackml", "path": str(tmp_path / "csv"), **CUTS})
    assert read(tmp_path).graphs[0].edge_index.tolist() == theirs.graphs[0].edge_index.tolist()


def test_the_layers_of_the_open_data_detector():
    assert len(OPEN_DATA.surfaces) == 48
    assert OPEN_DATA.volumes == (16, 17, 18, 23, 24, 25, 28, 29, 30)
    middle = [(s.place, 0, 0) if s.barrel else ((s.low + s.high) / 2, 0, s.place) for s in OPEN_DATA.surfaces]
    volumes = np.array([s.volume for s in OPEN_DATA.surfaces])
    assert layers_at(volumes, np.array(middle, float)).tolist() == [s.layer for s in OPEN_DATA.surfaces]
    assert layers_at(volumes[:1], np.array([[210.0, 0, 0]])).tolist() == [-1]
    assert layer_pairs("barrel", 0, OPEN_DATA) == tuple((k, k + 1) for k in range(9))
    assert len(layer_pairs("all", 0, OPEN_DATA)) == 112


def test_the_command_counts_and_skips(tmp_path, capsys):
    write_tables(tmp_path, [*rows(2), changed(0, "x", 5000.0)[0]])
    content = rows(2)
    content[1][0]["x"][0] = float("inf")
    write_tables(tmp_path, content)
    assert main(["colliderml", str(tmp_path), "--slope-max", "0.002", "--skip-bad", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["events"] == 1
    assert facts["metadata"]["options"]["skipped"] == 1
    assert main(["colliderml", str(tmp_path)]) == 2
    assert "event 6: x is inf at hit 0" in capsys.readouterr().err


def test_rows_know_their_place():
    assert Row("a", 1, 2) == ("a", 1, 2)
