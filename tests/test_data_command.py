"""The command `data`, as a user calls it."""

import json

import pytest

from archioptrx.commands.data import main


def test_toy_data_are_made_written_and_read_again(tmp_path, capsys):
    folder = tmp_path / "toy"
    assert main(["toy", "--num-samples", "6", "--seed", "3", "--output", str(folder), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["events"], summary["graphs"], summary["metadata"]["options"]["seed"]) == (6, 6, 3)
    assert len(list(folder.glob("*.npz"))) == 6
    assert main(["hitgraphs", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == summary


def test_the_summary_is_short_and_readable(capsys):
    assert main(["toy", "--num-samples", "3", "--event-size-max", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 30
    starts = dict(line.split(maxsplit=1) for line in lines if line.strip())
    assert starts["graphs"] == "3"
    assert starts["num_samples"] == "3"
    assert lines[-4].split() == ["per", "graph", "minimum", "median", "maximum"]
    assert lines[-1].startswith("true fraction")
    assert len(starts["fingerprint"]) == 64


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        (
            ["hitgraphs"],
            ["data: path: is missing; allowed: a folder of .npz files or one of them, also as --data PATH"],
        ),
        (
            ["hitgraphs", "nowhere"],
            ["nowhere: no such file or folder; allowed: HEP.TrkX graphs such as event"],
        ),
        (["toy", "--num-samples", "-1", "--seed", "-2"], ["data: num_samples: is -1; ", "data: seed: is -2; "]),
    ],
)
def test_faults_are_one_line_each_and_end_with_2(arguments, faults, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == len(faults)
    assert all(line.startswith(fault) for line, fault in zip(lines, faults, strict=True))


@pytest.mark.parametrize("arguments", [["toy", "--sectors", "4"], ["hitgraphs", "x", "--height", "3"], ["nothing"], []])
def test_a_source_has_its_own_options_only(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_output_folder_that_holds_something_is_refused_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["hitgraphs", "nowhere", "--output", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [f"{tmp_path}: already holds something; allowed: a new or empty folder"]


def test_an_unknown_source_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["toyy"])
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("SOURCE: is 'toyy'; allowed: acorn, ") and errors.endswith("(did you mean toy?)\n"), errors


def test_an_unknown_option_of_a_source_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["toy", "--num-sample", "3"])
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("--num-sample: is unknown; allowed: --curve-max, "), errors
    assert errors.endswith("(did you mean --num-samples?)\n") and errors.count("\n") == 1, errors


def test_bad_files_are_skipped_on_demand(tmp_path, capsys):
    folder = tmp_path / "toy"
    main(["toy", "--num-samples", "3", "--output", str(folder)])
    (folder / "toy000001_g000.npz").write_bytes(b"")
    capsys.readouterr()
    assert main(["hitgraphs", str(folder)]) == 2
    fault = f"{folder / 'toy000001_g000.npz'}: is empty; allowed: an .npz file of HEP.TrkX"
    assert capsys.readouterr().err.splitlines() == [fault]
    assert main(["hitgraphs", str(folder), "--skip-bad", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["graphs"], summary["metadata"]["options"]["skipped"]) == (2, 1)
