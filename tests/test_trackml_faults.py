"""Faulty files of TrackML events: each fault is one line, and its event can be skipped."""

import gzip
import json
import os
import shutil
import zipfile

import pytest
from events import barrel_event
from test_trackml import NAME, load

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.data.sources.trackml import write_event


@pytest.fixture
def folder(tmp_path):
    """One good event, as plain files."""
    write_event(barrel_event(1), tmp_path / "events")
    return tmp_path / "events"


def edit(part, change):
    """A fault: change the lines (a list, the first is the header) of one file."""

    def spoil(folder):
        file = folder / f"{NAME}-{part}.csv"
        lines = file.read_text().splitlines()
        change(lines)
        file.write_text("".join(f"{line}\n" for line in lines))

    return spoil


def put(row, column, value):
    def change(lines):
        cells = lines[row].split(",")
        cells[lines[0].split(",").index(column)] = value
        lines[row] = ",".join(cells)

    return change


def without(column):
    def change(lines):
        place = lines[0].split(",").index(column)
        lines[:] = [",".join(c for k, c in enumerate(line.split(",")) if k != place) for line in lines]

    return change


def same_id(lines):
    put(9, "hit_id", lines[3].split(",")[0])(lines)


FAULTS = [
    (edit("hits", without("z")), "-hits.csv: line 1: lacks z; allowed: the columns hit_id, x, y, z, volume_id, "),
    (edit("truth", without("weight")), "-truth.csv: line 1: lacks weight; allowed: "),
    (edit("particles", without("px")), "-particles.csv: line 1: lacks px; allowed: "),
    (edit("cells", without("value")), "-cells.csv: line 1: lacks value; allowed: "),
    (edit("hits", same_id), "-hits.csv: line 10: hit_id {id3} is there twice, also in line 4; allowed: each once"),
    (edit("truth", same_id), "-truth.csv: line 10: hit_id {id3} is there twice, also in line 4; allowed: each once"),
    (edit("truth", put(5, "hit_id", "99999")), "-truth.csv: line 6: hit_id is 99999, unknown; allowed: hits of event"),
    (edit("cells", put(5, "hit_id", "99999")), "-cells.csv: line 6: hit_id is 99999, unknown; allowed: hits of event"),
    (edit("truth", lambda lines: lines.pop(4)), "-hits.csv: line 5: hit_id is {id4}, not in event000000007-truth.csv"),
    (edit("hits", put(7, "y", "nan")), "-hits.csv: line 8: y is nan; allowed: a finite number"),
    (edit("hits", put(7, "y", "-inf")), "-hits.csv: line 8: y is -inf; allowed: a finite number"),
    (edit("hits", put(7, "y", "")), "-hits.csv: line 8: y is nan; allowed: a finite number"),
    (edit("hits", put(7, "x", "one")), "-hits.csv: line 8: x is one; allowed: a finite number"),
    (edit("hits", put(7, "x", "1e300")), "-hits.csv: line 8: x is 1e+300; allowed: -100000 … 100000 mm"),
    (edit("hits", put(7, "layer_id", "2.5")), "-hits.csv: line 8: layer_id is 2.5; allowed: a whole number"),
    (edit("hits", put(7, "hit_id", "9" * 25)), f"-hits.csv: line 8: hit_id is {'9' * 25}; allowed: a whole number"),
    (
        edit("truth", put(2, "particle_id", "4.5e17")),
        "-truth.csv: line 3: particle_id is 4.5e+17; allowed: a whole number",
    ),
    (edit("truth", put(2, "weight", "-1")), "-truth.csv: line 3: weight is -1.0; allowed: 0 or more"),
    (
        edit("particles", same_id_of := put(2, "particle_id", "10")),
        "-particles.csv: line 3: particle_id 10 is there twice",
    ),
    (edit("truth", put(2, "particle_id", "-7")), "-truth.csv: line 3: particle_id is -7; allowed: 0 (noise; -1 and"),
    (edit("particles", put(2, "particle_id", "-7")), "-particles.csv: line 3: particle_id is -7; allowed: 0 or more"),
    (edit("particles", put(2, "vz", "1e300")), "-particles.csv: line 3: vz is 1e+300; allowed: -100000 … 100000 mm"),
    (edit("particles", put(2, "px", "-1e50")), "-particles.csv: line 3: px is -1e+50; allowed: -100000 … 100000 GeV"),
    (edit("hits", lambda lines: lines.insert(4, "")), "-hits.csv: line 5: hit_id is nan; allowed: a whole number"),
    (edit("hits", lambda lines: lines.__setitem__(4, lines[4] + ",1,2")), "-hits.csv: is no table ("),
    (edit("hits", lambda lines: lines.clear()), "-hits.csv: is empty; allowed: a line with hit_id, x, y"),
    (edit("hits", lambda lines: lines.__delitem__(slice(1, None))), "-truth.csv: line 2: hit_id is"),
    (edit("particles", lambda lines: lines.__delitem__(slice(2, None))), "-particles.csv: lacks the particles of "),
]


@pytest.mark.parametrize(("spoil", "fault"), FAULTS, ids=[f"{k}{fault[:32]}" for k, (_, fault) in enumerate(FAULTS)])
def test_a_bad_event_is_one_line_with_file_and_row(folder, spoil, fault, capsys):
    ids = [line.split(",")[0] for line in (folder / f"{NAME}-hits.csv").read_text().splitlines()]
    spoil(folder)
    assert main(["trackml", str(folder), "--slope-max", "0.01"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"{folder}/{NAME}" + fault.format(id3=ids[3], id4=ids[4]))
    write_event(barrel_event(2, name="event000000008"), folder)
    assert main(["trackml", str(folder), "--slope-max", "0.01", "--skip-bad", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["events"], summary["metadata"]["options"]["skipped"]) == (1, 1)


def link_file(folder):
    outside = folder.parent / "outside.csv"
    shutil.move(folder / f"{NAME}-truth.csv", outside)
    (folder / f"{NAME}-truth.csv").symlink_to(outside)
    return f"{folder}/{NAME}-truth.csv: is a link out of its folder; allowed: files inside of it"


def link_to_nothing(folder):
    (folder / f"{NAME}-truth.csv").unlink()
    (folder / f"{NAME}-truth.csv").symlink_to(folder / "gone")
    return f"{folder}/{NAME}-truth.csv: is a link to nothing; allowed: a file"


def bomb_gz(folder):
    file = folder / f"{NAME}-cells.csv"
    packed = gzip.compress(b"hit_id,ch0,ch1,value\n" + b"0" * (24 << 20))
    file.unlink()
    (folder / f"{file.name}.gz").write_bytes(packed)
    return (
        f"{file}.gz: unpacks from {len(packed):,} to more than 16,777,216 bytes, as a zip bomb does; "
        "allowed: at most 50 times its size"
    )


def bomb_zip(folder):
    file = folder / f"{NAME}-cells.csv"
    file.unlink()
    with zipfile.ZipFile(f"{file}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cells.csv", b"0" * (24 << 20))
        packed = archive.getinfo("cells.csv").compress_size
    return (
        f"{file}.zip: unpacks from {packed:,} to more than 16,777,216 bytes, as a zip bomb does; "
        "allowed: at most 50 times its size"
    )


def endless(folder):
    """A file of 3 GiB that takes no room on the disk."""
    file = folder / f"{NAME}-cells.csv"
    os.truncate(file, 3 << 30)
    return f"{file}: holds 3,221,225,472 bytes; allowed: 2,147,483,648 or less"


def pipe(folder):
    """Reading it would wait for ever."""
    file = folder / f"{NAME}-cells.csv"
    file.unlink()
    os.mkfifo(file)
    return f"{file}: is no file; allowed: "


def cut_short(folder):
    file = folder / f"{NAME}-hits.csv"
    packed = gzip.compress(file.read_bytes())
    file.unlink()
    (folder / f"{file.name}.gz").write_bytes(packed[: len(packed) // 2])
    return f"{file}.gz: can't be read (Compressed file ended before the end-of-stream marker was reached); allowed: "


def no_zip(folder):
    file = folder / f"{NAME}-hits.csv"
    file.rename(f"{file}.zip")
    return f"{file}.zip: can't be read (File is not a zip file); allowed: "


def binary(folder):
    file = folder / f"{NAME}-hits.csv"
    file.write_bytes(b"hit_id,x,y,z\xff\xfe\n1,2,3\n")
    return f"{file}: is no table ("


def twice(folder):
    file = folder / f"{NAME}-hits.csv"
    (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    return f"{file}.gz: is there twice, also as {file}; allowed: one of the two"


def no_hits(folder):
    (folder / f"{NAME}-hits.csv").unlink()
    return f"{folder}/{NAME}-cells.csv: {NAME}-hits.csv is missing beside it; allowed: hits with it"


@pytest.mark.parametrize(
    "spoil",
    [
        link_file,
        link_to_nothing,
        bomb_gz,
        bomb_zip,
        endless,
        pipe,
        cut_short,
        no_zip,
        binary,
        twice,
        no_hits,
    ],
)
def test_a_bad_file_is_one_line_and_its_event_can_be_skipped(folder, spoil):
    write_event(barrel_event(2, name="event000000008"), folder)
    fault = spoil(folder)
    with pytest.raises(InputError) as error:
        load(folder)
    assert len(error.value.faults) == 1
    assert error.value.faults[0].startswith(fault)
    dataset = load(folder, skip_bad=True)
    assert dataset.events == ("event000000008",)
    assert dataset.metadata.options["skipped"] == 1


def test_a_folder_that_is_a_link_out_is_refused(folder):
    shutil.move(folder, folder.parent / "outside")
    folder.mkdir()
    (folder / "events").symlink_to(folder.parent / "outside")
    with pytest.raises(InputError, match=r"events/events: is a link out of its folder; allowed: files inside of it"):
        load(folder)


def test_a_link_that_stays_inside_is_followed(folder):
    (folder / "real").mkdir()
    shutil.move(folder / f"{NAME}-truth.csv", folder / "real" / "truth")
    (folder / f"{NAME}-truth.csv").symlink_to(folder / "real" / "truth")
    assert load(folder).graphs[0].y.any()
