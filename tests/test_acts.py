"""Events of Acts: the graphs of its CSV files, what may be missing, and faults of one line each."""

import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from acts_files import PARTS, modules_of, write_acts
from events import barrel_event
from hypothesis import given, settings
from hypothesis import strategies as st
from test_trackml import pack_archive, pack_gz

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.data.event import Event
from archioptrx.data.options import ActsOptions, source_at
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.acts import ACTS_FILES, parts_of, read_event
from archioptrx.data.sources.acts_numbers import WIDTHS, module_of, particle_names
from archioptrx.data.sources.acts_truth import chosen_particles
from archioptrx.data.sources.event_files import EventFile, find_events
from archioptrx.data.sources.event_tables import Table
from archioptrx.data.sources.trackml import write_event

LOOSE = {"slope_max": 0.01, "z0_max": 1000.0}
EVENT = barrel_event(1, cells=False)


def load(path, **options):
    return load_dataset({"source": "acts", "path": str(path), **LOOSE, **options})


def one_event(folder):
    (files,) = find_events(folder, ACTS_FILES)
    return read_event(files)


@pytest.fixture
def folder(tmp_path):
    """One good event, as plain files."""
    write_acts(EVENT, tmp_path / "events")
    return tmp_path / "events"


def doublets(graph, name):
    """True edges and all edges by the places of their hits, whatever these are called."""
    places = [tuple(np.round(row, 5)) for row in graph.x.double().numpy()]
    pairs = [(places[a], places[b]) for a, b in graph.edge_index.T.tolist()]
    return Counter(zip(pairs, graph[name].tolist(), strict=True))


@pytest.mark.parametrize(
    "options", [{}, {"overlaps": "drop", "noise": "drop", "pt_min": 0.4}, {"phi_sectors": 2, "signal_hits": 10}]
)
def test_the_same_event_is_the_same_graph_as_from_trackml(folder, tmp_path, options):
    write_event(EVENT, tmp_path / "trackml")
    ours = load(folder, **options)
    theirs = load_dataset({"source": "trackml", "path": str(tmp_path / "trackml"), **LOOSE, **options})
    counts = [dataset.metadata.options["building"] for dataset in (ours, theirs)]
    assert counts[0] == counts[1] and counts[0]["true_edges"] > 30
    assert ours.metadata.node_scale == theirs.metadata.node_scale
    for a, b in zip(ours.graphs, theirs.graphs, strict=True):
        assert doublets(a, "y") == doublets(b, "y")
        assert sorted(a.pt.tolist()) == sorted(b.pt.tolist())
        np.testing.assert_array_equal(a["particles"][:, :7], b["particles"][:, :7])  # the last column is the weight


def test_every_form_of_the_files_is_found_and_known_by_its_names(folder):
    plain = load(folder)
    assert source_at(folder) == source_at(folder / f"{EVENT.name}-measurements.csv") == "acts"
    assert load(folder / f"{EVENT.name}-hits.csv").fingerprint == plain.fingerprint
    assert load(pack_archive(pack_gz(folder))).fingerprint == plain.fingerprint


def test_measurements_follow_the_true_steps_and_not_the_distance(tmp_path):
    """A particle that turns back: its last hit is the one nearest to its vertex."""
    backwards = {"hits": lambda table: table.assign(index=table["index"].max() - table["index"])}
    write_acts(EVENT, tmp_path / "turned", **backwards)
    event, _ = one_event(tmp_path / "turned")
    assert event.order is not None
    for pid in EVENT.particle_id:
        own = np.flatnonzero(event.pid == pid)
        along = own[np.argsort(event.order[own])]
        assert (np.diff(event.r[along]) <= 0).all()
    (graph,) = load(tmp_path / "turned", overlaps="drop", z0_max=1e5).graphs
    kept, twice = set(graph.hit_id.tolist()), 0
    for hit in np.flatnonzero(event.pid):
        same = (event.pid == event.pid[hit]) & (event.volume == event.volume[hit]) & (event.layer == event.layer[hit])
        assert (int(event.hit_id[hit]) in kept) == (event.r[hit] == event.r[same].max())  # the first on the way inwards
        twice += int(same.sum()) - 1
    assert twice > 5
    write_acts(EVENT, tmp_path / "unknown", hits=lambda table: table.assign(index=-1))
    assert one_event(tmp_path / "unknown")[0].order is None


def choose_slowly(row, hit, particle, step, count):
    """The rule in words, measurement by measurement."""
    pid, order, shared = [0] * count, [0] * count, 0
    for measurement in range(count):
        hits = {h for r, h in zip(row, hit, strict=True) if r == measurement and particle[h]}
        votes = {name: sorted(h for h in hits if particle[h] == name) for name in {particle[h] for h in hits}}
        shared += len(votes) > 1
        if votes:
            pid[measurement] = min(votes, key=lambda name: (-len(votes[name]), votes[name][0]))
            order[measurement] = min(step[h] for h in votes[pid[measurement]])
    return pid, order, shared


@given(st.data())
def test_a_measurement_of_several_particles_has_the_one_with_most_hits(data):
    hits, count = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 4))
    particle = data.draw(st.lists(st.integers(0, 3), min_size=hits, max_size=hits))
    step = data.draw(st.lists(st.integers(0, 9), min_size=hits, max_size=hits))
    links = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, hits - 1)), max_size=12))
    row, hit = np.array(links, np.int64).reshape(-1, 2).T
    truth = chosen_particles(row, hit, np.array(particle), np.array(step), count)
    assert truth.order is not None
    expected = choose_slowly(row.tolist(), hit.tolist(), particle, step, count)
    assert (truth.pid.tolist(), truth.order.tolist(), truth.shared) == expected


def test_shared_measurements_are_counted(folder, capsys):
    links = folder / f"{EVENT.name}-measurement-simhit-map.csv"
    hits = folder / f"{EVENT.name}-hits.csv"
    table = pd.read_csv(hits)
    other = table.iloc[[0]].assign(particle_id_part=int(EVENT.particle_id[-1]))
    pd.concat([table, other]).to_csv(hits, index=False)
    measurement = pd.read_csv(links).measurement_id[0]
    links.write_text(links.read_text() + f"{measurement},{len(table)}\n")
    dataset = load(folder)
    assert dataset.metadata.options["repaired"] == {"shared_measurements": 1}
    assert "acts: 1 measurements of several particles count for the one with most" in capsys.readouterr().err
    assert dataset.graphs[0].pid.tolist() == load_without_note(folder, table, hits)


def load_without_note(folder, table, hits):
    """Particles of the hits without the second particle: the first hit decides a tie."""
    links = folder / f"{EVENT.name}-measurement-simhit-map.csv"
    links.write_text("\n".join(links.read_text().splitlines()[:-1]) + "\n")
    table.to_csv(hits, index=False)
    return load(folder).graphs[0].pid.tolist()


FIVE = st.tuples(*(st.integers(0, 2**width - 1) for width in WIDTHS.values()))


@given(st.lists(FIVE, min_size=2, max_size=20, unique=True))
def test_no_two_particles_have_one_name(numbers):
    columns = dict(zip(PARTS, np.array(numbers, np.int64).T, strict=True))
    names = particle_names(Table(EventFile(ActsOptions.path), columns))
    assert len(set(names.tolist())) == len(numbers) and (names >= 0).all()
    first, second, third, fourth, fifth = numbers[0]
    assert int(names[0]) == first << 52 | second << 40 | third << 24 | fourth << 16 | fifth  # as Acts' own number


@settings(max_examples=20)
@given(st.integers(0, 2**63 - 1))
def test_the_bits_of_a_module(number):
    volume, layer, module = module_of(np.array([number]))
    bits = f"{number:064b}"
    parts = [int(bits[first:last], 2) for first, last in ((0, 8), (16, 28), (36, 56))]
    assert [int(volume[0]), int(layer[0]), int(module[0])] == parts


def test_places_come_from_the_modules_where_the_file_has_none(tmp_path):
    lacking = {"measurements": lambda table: table.drop(columns=["global_x", "global_z"])}
    write_acts(EVENT, tmp_path, **lacking)
    with pytest.raises(InputError) as error:
        load(tmp_path)
    file = tmp_path / f"{EVENT.name}-measurements.csv"
    allowed = "these columns, or detectors.csv beside the file"
    assert error.value.faults == (f"{file}: line 1: lacks global_x, global_z; allowed: {allowed}",)
    pd.DataFrame(modules_of(EVENT)).to_csv(tmp_path / "detectors.csv", index=False)
    np.testing.assert_allclose(one_event(tmp_path)[0].pos, EVENT.pos, atol=1e-9)
    pd.DataFrame(modules_of(EVENT)).iloc[5:].to_csv(tmp_path / "detectors.csv", index=False)
    with pytest.raises(InputError, match=r"line 2: geometry_id is \d+, unknown; allowed: modules of detectors.csv"):
        load(tmp_path)


def test_older_files_name_particles_by_one_column(folder, tmp_path):
    def joined(table):
        return table.assign(particle_id=table[PARTS[2]] * 2**24).drop(columns=list(PARTS))

    write_acts(EVENT, tmp_path / "old", hits=joined, particles_simulated=joined)
    assert load(tmp_path / "old").fingerprint == load(folder).fingerprint


@pytest.mark.parametrize("mark", [-1, None, 0])
def test_marks_of_noise_in_the_one_column_are_noise(mark, folder, tmp_path, capsys):
    first = int(EVENT.pid[EVENT.pid != 0][0])

    def joined(table):
        names = table[PARTS[2]] * 2**24
        return table.assign(particle_id=names).drop(columns=list(PARTS))

    def marked(table):
        names = joined(table)
        return names.assign(particle_id=names.particle_id.astype("Int64").where(table[PARTS[2]] != first, mark))

    def with_noise(table):
        names = joined(table)  # a line for noise among the particles is no hit
        return pd.concat([names, names[:1].assign(particle_id=-1)])

    write_acts(EVENT, tmp_path / "old", hits=marked, particles_simulated=with_noise)
    expected = load(folder).graphs[0].pid.tolist()
    assert load(tmp_path / "old").graphs[0].pid.tolist() == [0 if p == first * 2**24 else p for p in expected]
    count = sum(p == first * 2**24 for p in expected)
    said = capsys.readouterr().err
    assert f"{count} hits of particle -1 or NaN are noise" in said if mark != 0 else "noise" not in said


def test_measurements_alone_are_enough_for_predictions(folder):
    for part in ("measurement-simhit-map", "hits", "particles_simulated"):
        (folder / f"{EVENT.name}-{part}.csv").unlink()
    (graph,) = load(folder).graphs
    assert graph.num_edges > 50 and not graph.y.any() and not graph.pid.any()
    assert parts_of(ActsOptions(path=folder)) == set()
    with pytest.raises(InputError, match="has no truth; allowed: pt_min 0"):
        load(folder, pt_min=1.0)


def test_particles_that_are_missing_have_no_momentum(folder):
    whole = load(folder).graphs[0]
    file = folder / f"{EVENT.name}-particles_simulated.csv"
    shutil.copy(file, folder / f"{EVENT.name}-particles.csv")
    file.unlink()
    assert load(folder).fingerprint == load(folder).fingerprint
    assert load(folder).graphs[0].pt.tolist() == whole.pt.tolist()
    (folder / f"{EVENT.name}-particles.csv").unlink()
    (graph,) = load(folder).graphs
    assert graph.pid.tolist() == whole.pid.tolist() and not graph.pt.any()
    assert parts_of(ActsOptions(path=folder)) == {"truth"}


def test_cells_give_features(folder):
    rows = [f"0,{number},1,2,0,0.5" for number in (0, 0, 1)]
    file = folder / f"{EVENT.name}-cells.csv"
    file.write_text("\n".join(["geometry_id,measurement_id,channel0,channel1,timestamp,value", *rows]) + "\n")
    event: Event = one_event(folder)[0]
    assert event.cells is not None and event.cells[:3].tolist() == [[2, 1], [1, 0.5], [0, 0]]
    file.write_text("geometry_id,measurement_id,channel0,channel1,timestamp,value\n")
    with pytest.raises(InputError, match="has no cells; allowed: features without charge"):
        load(folder, features=["charge"])


def edited(part, **columns):
    """A fault: other values in the third row of a file."""

    def spoil(folder):
        file = folder / f"{EVENT.name}-{part}.csv"
        table = pd.read_csv(file).astype(object)
        for name, value in columns.items():
            table.loc[2, name] = value
        table.to_csv(file, index=False)

    return spoil


def without(part):
    return lambda folder: (folder / f"{EVENT.name}-{part}.csv").unlink()


def other_hits(folder):
    """The hits of another event."""
    write_acts(barrel_event(2, cells=False), folder.parent / "other")
    shutil.copy(folder.parent / "other" / f"{EVENT.name}-hits.csv", folder)


def joined_events(folder):
    """The measurements of two events in one file."""
    file = folder / f"{EVENT.name}-measurements.csv"
    table = pd.read_csv(file)
    pd.concat([table, table]).to_csv(file, index=False)


def without_column(folder):
    file = folder / f"{EVENT.name}-hits.csv"
    pd.read_csv(file).drop(columns=PARTS[1]).to_csv(file, index=False)


OTHER = (23 << 56) | (4 << 36) | (7 << 8)
FAULTS = {
    "map": (
        without("measurement-simhit-map"),
        "measurement-simhit-map.csv is missing beside it; allowed: measurements",
    ),
    "hits": (without("hits"), "hits.csv is missing beside it; allowed: measurements, map and hits, or measurements"),
    "measurements": (without("measurements"), "measurements.csv is missing beside it; allowed: measurements with it"),
    "one dimension": (
        edited("measurements", var_local1=0),
        "line 4: measurement 2 has one dimension (var_local1 is 0); allowed: measurements of both local coordinates",
    ),
    "detector": (
        edited("measurements", geometry_id=OTHER),
        "line 4: measurement 2 is in volume 23, layer 4; allowed: Acts' GenericDetector, volumes 7 8 9 12 13 14 16 17",
    ),
    "place": (edited("measurements", global_x=0, global_y=5), "at r = 5 mm; allowed: Acts' GenericDetector, volumes"),
    "two events": (joined_events, "measurement_id 0 is there twice, also in line 2; allowed: the measurements of one"),
    "other event": (other_hits, "; allowed: measurements, map and hits of one event"),
    "unknown hit": (edited("measurement-simhit-map", hit_id=9999), "line 4: hit_id is 9999, unknown; allowed: below"),
    "unknown": (edited("measurement-simhit-map", measurement_id=-4), "measurement_id is -4, unknown; allowed: measur"),
    "number": (edited("measurements", global_y="nan"), "line 4: global_y is nan; allowed: a finite number"),
    "part": (edited("hits", particle_id_gen=256), "line 4: particle_id_gen is 256; allowed: 0 … 255"),
    "vertex": (edited("hits", particle_id_pv=2048), "line 4: particle_id_pv is 2048; allowed: 0 … 2,047"),
    "column": (without_column, "line 1: lacks particle_id_sv; allowed: these five columns, or particle_id alone"),
    "momentum": (edited("particles_simulated", px=1e9), "px is 1000000000.0; allowed: -100000 … 100000 GeV"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(folder, fault, capsys):
    spoil, text = FAULTS[fault]
    spoil(folder)
    assert main(["acts", str(folder), "--slope-max", "0.01"]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert captured.out == "" and line.startswith(str(folder)) and text in line, line


def test_files_of_acts_are_named_where_another_source_gets_them(folder, tmp_path, capsys):
    named = f", or for these files the source acts (archioptrx data acts {folder})"
    assert main(["hitgraphs", str(folder)]) == 2
    assert capsys.readouterr().err.endswith(named + "\n")
    assert main(["trackml", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"{folder}/{EVENT.name}-hits.csv: holds simulated hits of Acts; allowed: events of TrackML{named}\n"
    )
    for part in ("measurements", "measurement-simhit-map", "particles_simulated"):
        # Neither without measurements, nor with hits alone, are they files of TrackML.
        (folder / f"{EVENT.name}-{part}.csv").unlink()
        assert source_at(folder) == source_at(folder / f"{EVENT.name}-hits.csv") == "acts"
        assert main(["hitgraphs", str(folder)]) == 2
        assert capsys.readouterr().err.endswith(named + "\n")
        assert main(["acts", str(folder)]) == 2
        assert "trackml" not in capsys.readouterr().err
    write_event(EVENT, tmp_path / "trackml")
    assert source_at(tmp_path / "trackml") == "trackml"
    assert main(["acts", str(tmp_path / "trackml")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds no event*-measurements.csv; allowed: events of Acts, or for these files the source trackml" in line
