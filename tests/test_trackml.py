"""Events of the TrackML challenge: every form of the files, what may be missing, and back again."""

import gzip
import json
import os
import shutil
import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest
from events import barrel_event
from hypothesis import given, settings
from hypothesis import strategies as st

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset
from archioptrx.data.options import source_at
from archioptrx.data.sources import SOURCES, check_spec, load_dataset
from archioptrx.data.sources.event_files import find_events
from archioptrx.data.sources.trackml import read_event, write_event

LOOSE = {"slope_max": 0.01, "z0_max": 1000.0}
NAME = "event000000007"


@pytest.fixture
def folder(tmp_path):
    """One good event, as plain files."""
    write_event(barrel_event(1), tmp_path / "events")
    return tmp_path / "events"


def load(path, **options) -> Dataset:
    return load_dataset({"source": "trackml", "path": str(path), **LOOSE, **options})


def same(first, second):
    for field in fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert a.dtype == b.dtype, field.name
        else:
            assert a == b, field.name


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), cells=st.booleans())
def test_an_event_that_was_written_is_read_back_exactly(tmp_path_factory, seed, cells):
    event = barrel_event(seed, cells=cells)
    folder = tmp_path_factory.mktemp("event")
    write_event(event, folder)
    (files,) = find_events(folder)
    again, _ = read_event(files)
    if cells:
        np.testing.assert_allclose(again.cells, event.cells, rtol=1e-12)
    same(replace(again, cells=None), replace(event, cells=None))


def pack_gz(folder):
    for file in list(folder.iterdir()):
        (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    return folder


def pack_zips(folder):
    for file in list(folder.iterdir()):
        with zipfile.ZipFile(folder / f"{file.name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(file, file.name)
        file.unlink()
    return folder


def pack_archive(folder):
    path = folder.parent / "train_events.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"train_100_events/{file.name}")
    return path


def pack_nested(folder):
    (folder.parent / "more" / "deep").mkdir(parents=True)
    shutil.move(pack_archive(folder), folder.parent / "more" / "deep")
    return folder.parent / "more"


def one_file(folder):
    return folder / f"{NAME}-truth.csv"


@pytest.mark.parametrize("pack", [pack_gz, pack_zips, pack_archive, pack_nested, one_file])
def test_all_forms_of_the_files_are_the_same_data(folder, pack):
    plain = load(folder)
    path = pack(folder)
    assert load(path).fingerprint == plain.fingerprint
    # In folders of folders only one level is looked at: guessing has to be quick.
    assert (pack is pack_nested) or source_at(path) == source_at(path.parent) == "trackml"


def test_a_gz_inside_of_an_archive_is_read(folder):
    plain = load(folder)
    assert load(pack_archive(pack_gz(folder))).fingerprint == plain.fingerprint


def test_events_come_by_name_and_as_many_as_are_told(tmp_path):
    for k in (3, 1, 2):
        write_event(barrel_event(k, name=f"event00000000{k}"), tmp_path / f"part{k}")
    assert load(tmp_path).events == ("event000000001", "event000000002", "event000000003")
    assert load(tmp_path, events=2).events == ("event000000001", "event000000002")


def test_the_key_of_an_event_changes_with_its_files(folder):
    before, again = find_events(folder)[0].key, find_events(folder)[0].key
    assert before == again
    file = folder / f"{NAME}-truth.csv"
    os.utime(file, ns=(1, 1))
    assert find_events(folder)[0].key != before


def test_hits_alone_are_enough_for_predictions(folder, capsys):
    for part in ("truth", "particles", "cells"):
        (folder / f"{NAME}-{part}.csv").unlink()
    (graph,) = load(folder).graphs
    assert graph.num_edges > 50
    assert not graph.y.any() and not graph.pid.any()
    assert sorted(graph.hit_id.tolist()) == sorted(barrel_event(1).hit_id.tolist())
    assert main(["trackml", str(folder)]) == 0
    assert "building        no edge is known to be true\n" in capsys.readouterr().out
    for options, text in (
        ({"pt_min": 1.0}, "has no truth.csv; allowed: pt_min 0"),
        ({"preset": "big"}, "has no truth.csv; allowed: noise keep, overlaps every"),
        ({"signal_primary": True}, "has no particles.csv; allowed: signal_primary false"),
        ({"features": ["eta", "charge"]}, "has no cells.csv; allowed: features without charge"),
    ):
        with pytest.raises(InputError) as error:
            load(folder, **options)
        assert error.value.faults == (f"{NAME}: {text}",)


def test_without_particles_the_truth_still_joins_hits(folder):
    whole = load(folder)
    (folder / f"{NAME}-particles.csv").unlink()
    (graph,) = load(folder).graphs
    assert graph.pid.tolist() == whole.graphs[0].pid.tolist()
    assert 0.5 * whole.graphs[0].y.sum() < graph.y.sum()
    assert not graph.pt.any()


def test_hits_of_particles_that_are_not_listed_are_noise(folder):
    event = barrel_event(1)
    file = folder / f"{NAME}-particles.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    last = int(event.particle_id[-1])
    dataset = load(folder)
    assert last not in dataset.graphs[0].pid.tolist()
    assert last not in dataset.graphs[0]["particle_id"].tolist()
    assert dataset.metadata.options["building"]["unlisted_hits"] == (event.pid == last).sum()


@pytest.mark.parametrize("other", ["event000000008", "event000000000"])  # after the whole event, and before it
@pytest.mark.parametrize(("part", "file"), [("truth", "cells"), ("particles", "cells")])
def test_events_with_and_without_truth_or_particles_are_not_mixed(part, file, other, folder):
    write_event(barrel_event(2, name=other), folder)
    (folder / f"{other}-{part}.csv").unlink()
    with pytest.raises(InputError) as error:
        load(folder)
    assert error.value.faults == (
        f"{folder}/{other}-{file}.csv: {other}-{part}.csv is missing, and other events have it; "
        f"allowed: {part} for all events, or for none",
    )
    dataset = load(folder, skip_bad=True)
    assert dataset.events == (NAME,)
    assert dataset.metadata.options["skipped"] == 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nowhere", "no such file or folder; allowed: a folder or .zip of event*-hits.csv files"),
        ("other.csv", "is no file of an event; allowed: e.g. event000001000-hits.csv, or"),
        ("empty", "holds no event; allowed: files called e.g. event000001000-hits.csv, or"),
        ("bad.zip", "can't be read (File is not a zip file); allowed: a .zip of event files"),
    ],
)
def test_a_path_without_events_is_refused(tmp_path, name, fault):
    (tmp_path / "other.csv").write_text("x\n1\n")
    (tmp_path / "bad.zip").write_text("x\n1\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        load(tmp_path / name)
    (line,) = error.value.faults
    assert line.startswith(f"{tmp_path / name}: {fault}")


def test_cuts_that_leave_no_edge_leave_the_event(folder):
    (graph,) = load(folder, slope_max=1e-9).graphs
    assert graph.num_edges == 0 and len(graph.x) > 0


def test_options_are_checked_without_files():
    faults = []
    assert check_spec({"source": "trackml", "events": 0, "pt_min": -1.0}, "data", faults) is None
    assert faults == [
        "data: path: is missing; allowed: a folder or .zip of event*-hits.csv files, also as --data PATH",
        "data: events: is 0; allowed: 1 or more",
        "data: pt_min: is -1.0; allowed: 0 or more",
    ]
    assert SOURCES.description("trackml").options.source == "trackml"


def test_a_data_set_that_was_written_is_read_again(folder, tmp_path, capsys):
    write_event(barrel_event(2, name="event000000008"), folder)
    arguments = ["--slope-max", "0.01", "--phi-sectors", "2", "--signal-hits", "10", "--features", "eta", "cells"]
    assert main(["trackml", str(folder), *arguments, "--output", str(tmp_path / "graphs"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert main(["hitgraphs", str(tmp_path / "graphs"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == summary


def test_the_summary_says_how_good_the_building_is(folder, capsys):
    assert main(["trackml", str(folder), "--slope-max", "0.01", "--z0-max", "1000", "--phi-sectors", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = load(folder, phi_sectors=3).metadata.options["building"]
    kept, true = counts["kept_edges"], counts["true_edges"]
    (line,) = [line for line in lines if line.startswith("building")]
    assert line == (
        f"building        efficiency {kept / true:.4f} ({kept} of {true} true edges), "
        f"purity {kept / counts['edges']:.4f}, "
        f"{counts['crossing_edges']} true edges cross sectors, {counts['overlap_pairs']} pairs in one layer aside"
    )


def test_the_real_events_are_read(shared_data):
    """The counts that the data's README names, and the building's efficiency on a real high-pile-up event."""
    large, small = (
        load(shared_data / f"trackml/event{k:09d}-hits.csv.gz", slope_max=6e-4, z0_max=200.0, **options)
        for k, options in ((1000, {"pt_min": 0.5}), (1, {"layers": "all", "features": ["eta", "cells", "charge"]}))
    )
    counts = large.metadata.options["building"]
    assert counts["unlisted_hits"] == 5798
    assert counts["kept_edges"] / counts["true_edges"] == pytest.approx(0.94, abs=0.02)
    (graph,) = small.graphs
    assert len(graph.x) == 5527
    assert float((graph.pid == 0).float().mean()) == pytest.approx(0.15, abs=0.01)
    assert len(graph["particle_id"]) == 549
    cells = graph.x[:, 4] * small.metadata.node_scale[4]
    assert float(cells.sum()) == pytest.approx(18564)
