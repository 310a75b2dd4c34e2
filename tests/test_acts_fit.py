"""The way back to Acts, by the real pyacts: proto tracks, the program that fits them, pulls and resolutions."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_predict import model

from archioptrx.commands import evaluate
from archioptrx.data.options import ActsOptions, FatrasOptions
from archioptrx.data.simulation import fatras
from archioptrx.data.simulation.acts_chain import run_chain
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.acts import ACTS_FILES
from archioptrx.data.sources.event_files import find_events
from archioptrx.models.predictions.prediction import Prediction
from archioptrx.models.predictions.proto_tracks import write_proto_tracks
from archioptrx.report.comparison.acts_fits import chosen_matching, given_tracks, matched_residuals
from archioptrx.report.comparison.acts_tracks import _read
from archioptrx.report.comparison.fit_text import fit_text
from archioptrx.tasks.tracks.metrics import Selection
from archioptrx.tasks.tracks.pulls import UNITS, joined_residuals, summary

acts = pytest.importorskip("acts")
HERE = Path(__file__).parent
CUTS = {"layers": "all", "slope_max": 0.001, "z0_max": 250}
ALONE = "import runpy, sys; sys.modules['archioptrx'] = None; runpy.run_path({!r}, run_name='__main__')"
"""Program that runs another one, in which archioptrx can't be imported."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """CSV files of two events of 40 pions."""
    place = tmp_path_factory.mktemp("fit")
    for number in range(2):
        (place / "csv").mkdir(exist_ok=True)
        fatras.simulate(FatrasOptions(particles=40, seed=5), number, place / "csv")
    return place


@pytest.fixture(scope="module")
def events(folder):
    return [_read(files) for files in find_events(folder / "csv", ACTS_FILES)]


@pytest.fixture(scope="module")
def graphs(folder):
    return load_dataset({"source": "acts", "path": str(folder / "csv"), **CUTS}).graphs


@pytest.fixture(scope="module")
def written(folder, graphs):
    """Folder of the prediction of a network that finds every track, fitted by the program in it."""
    place = folder / "prediction"
    place.mkdir()
    found = [Prediction(graph, None, graph.particle_index - 1, {}) for graph in graphs]
    write_proto_tracks(iter(found), ActsOptions(path=folder / "csv"), place)
    program = ALONE.format(str(place / "fit.py"))
    command = [sys.executable, "-I", "-c", program, "--output", str(place / "fitted")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return place, done.stderr


@pytest.fixture(scope="module")
def fits(events):
    """The true tracks, fitted."""
    return run_chain("truth", 2.0, [event.measurements for event in events])


@pytest.fixture(scope="module")
def oracle(folder, written):
    """What Acts says of the proto tracks: its histograms, and the files that it writes of them."""
    tables = [pd.read_csv(file) for file in sorted(written[0].glob("*-prototracks.csv"))]
    tracks = [[hits.tolist() for _, hits in table.groupby("trackId").measurementId] for table in tables]
    (folder / "oracle").mkdir()
    file = folder / "oracle" / "tracks.json"
    file.write_text(json.dumps(tracks))
    command = [sys.executable, str(HERE / "acts_pulls.py"), str(folder / "csv"), str(file)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd=HERE.parent)
    return json.loads((folder / "oracle" / "tracks.pulls.json").read_text())


def test_proto_tracks_are_written_as_acts_does(folder, written, oracle, events):
    names = [f"event{number:09d}-prototracks.csv" for number in range(2)]
    for name, event in zip(names, events, strict=True):
        ours, theirs = (pd.read_csv(place / name) for place in (written[0], folder / "oracle"))
        assert list(ours.columns) == list(theirs.columns) == ["trackId", "measurementId", "x", "y", "z"]
        assert ours[["trackId", "measurementId"]].equals(theirs[["trackId", "measurementId"]])
        np.testing.assert_allclose(ours[[*"xyz"]], theirs[[*"xyz"]], rtol=1e-5, atol=1e-4)
        assert ours.trackId.nunique() == len(np.unique(event.measurements["track"])) == 40
        copied = name.replace("prototracks", "measurements")
        assert (written[0] / copied).read_bytes() == (folder / "csv" / copied).read_bytes()


def test_the_program_fits_without_archioptrx(written, fits, events):
    """It gives the same tracks as the fit in the package, in the columns of Acts' writer."""
    place, printed = written
    assert printed.splitlines() == [
        f"event{number:09d}: 40 proto tracks, 0 without start parameters, 0 failed, 40 fitted" for number in range(2)
    ]
    names = ["d0", "z0", "phi", "theta", "qop"]
    for number, (fit, event) in enumerate(zip(fits, events, strict=True)):
        table = pd.read_csv(place / "fitted" / f"event{number:09d}-track_parameters.csv")
        assert len(table.columns) == 1 + 5 + 25
        proto = pd.read_csv(place / f"event{number:09d}-prototracks.csv")
        # The particle of each track, by one of its measurements, names the same track in both.
        theirs = event.event.pid[proto.groupby("trackId").measurementId.first()[table.trackId].to_numpy()]
        ours = event.event.pid[fit.hit[np.unique(fit.track, return_index=True)[1]]]
        table, order = table.iloc[np.argsort(theirs)], np.argsort(ours)
        np.testing.assert_allclose(table[names], fit.parameters[order], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(table[[f"var_{name}" for name in names]], fit.variances[order], rtol=1e-6)
        np.testing.assert_allclose(table.cov_d0phi, table.cov_phid0)


def test_pulls_are_those_of_acts_bin_by_bin(events, fits, oracle):
    matching = chosen_matching(None, Selection(), {}, events)
    found = joined_residuals(list(matched_residuals(events, fits, 2.0, matching)))
    assert len(found.particle) > 40
    for place, (name, (_, size)) in enumerate(UNITS.items()):
        columns = {"pull": found.pull[:, place]}
        columns |= {"res": found.residual[:, place] / size} if name != "qop" else {}
        for kind, values in columns.items():
            histogram = oracle[f"{kind}_{name}"]
            assert np.histogram(values, histogram["edges"])[0].tolist() == histogram["counts"]
    numbers = summary(found)
    for row in numbers.values():
        assert abs(row["pull_mean"]) < 5 * row["pull_mean_error"]
        assert 0.6 < row["pull_width"] < 1.3 and row["outside"] == 0
    assert numbers["d0"]["resolution"] < 40 and numbers["qop"]["resolution"] < 2


def test_a_measurement_may_be_on_several_tracks(events, fits):
    """Each track is matched by its own measurements, also where another one has them all."""
    matching = chosen_matching(None, Selection(), {"pt_min": 0.5}, events)
    twice = [
        replace(
            fit,
            hit=np.concatenate([fit.hit, fit.hit]),
            track=np.concatenate([fit.track, fit.track + len(fit.parameters)]),
            parameters=np.concatenate([fit.parameters, fit.parameters]),
            variances=np.concatenate([fit.variances, fit.variances]),
        )
        for fit in fits
    ]
    once, both = (joined_residuals(list(matched_residuals(events, of, 2.0, matching))) for of in (fits, twice))
    assert sorted(both.particle) == sorted([*once.particle, *once.particle])
    none = np.zeros(0, np.int64)
    nothing = [
        replace(fit, hit=none, track=none, parameters=np.zeros((0, 5)), variances=np.zeros((0, 5))) for fit in fits
    ]
    assert not any(len(found.particle) for found in matched_residuals(events, nothing, 2.0, matching))
    assert summary(both)["z0"]["resolution"] == pytest.approx(summary(once)["z0"]["resolution"], rel=0.1)


def test_tracks_are_given_by_their_ids(events, graphs):
    event, graph = events[0], graphs[0]
    given = given_tracks(event, graph.hit_id.numpy(), np.where(graph.pid == 0, -1, graph.pid))
    assert (event.event.pid[given["hit"]] == given["track"]).all() and (given["track"] > 0).all()
    distance = np.linalg.norm(event.event.pos[given["hit"]], axis=1)
    same = np.diff(given["track"]) == 0
    assert (np.diff(distance)[same] >= 0).all() and same.sum() > 300


@pytest.fixture(scope="module")
def evaluated(folder):
    """Output of the command for an untrained network: its tracks are few, and not all of them can be fitted."""
    model(folder / "m", {"source": "acts", "path": str(folder / "csv"), **CUTS})
    with (folder / "output").open("w") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        options = ["--data", str(folder / "csv"), "--pt-min", "0.6", "--fit", "--json"]
        assert evaluate.main([str(folder / "m"), *options]) == 0
    return json.loads((folder / "output").read_text())


def test_evaluate_shows_the_fit_beside_those_of_acts(evaluated, events, fits):
    fit = evaluated["fit"]
    assert [*fit["tracks"]] == ["m", "acts:ckf", "acts:truth"]
    assert (fit["matching"], fit["field"], fit["limits"]["pt_min"], fit["limits"]["min_hits"]) == (
        "acts:double",
        2,
        0.6,
        7,
    )
    network, ckf, truth = fit["tracks"].values()
    assert network["given"] == evaluated["tracks"]["tracks"] > 5
    assert network["given"] == network["without_start"] + network["failed"] + network["fitted"]
    assert ckf["given"] is ckf["failed"] is None and ckf["fitted"] >= ckf["matched"] > 40
    assert (truth["given"], truth["without_start"], truth["failed"], truth["fitted"]) == (80, 0, 0, 80)
    matching = chosen_matching(None, Selection(), {"pt_min": 0.6}, events)
    found = joined_residuals(list(matched_residuals(events, fits, 2.0, matching)))
    assert truth["matched"] == len(found.particle)
    for name, row in summary(found).items():
        assert truth["parameters"][name] == pytest.approx(row)
    assert fit["common"]["particles"] <= network["matched"]
    lines = fit_text(fit)
    assert lines[3].split() == ["acts:truth", "80", "0", "0", "80", str(truth["matched"])]
    assert lines[5].split("  ")[-1].strip() == "of common"
    assert len(lines) == 4 + 2 + 15 + 2 and "pT ≥ 0.6 GeV" in lines[-2]


def refused(capsys, *arguments):
    capsys.readouterr()
    assert evaluate.main([*map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_faults(folder, capsys, tmp_path, monkeypatch):
    toy = tmp_path / "toy"
    model(toy, {"source": "toy", "num_samples": 30})
    assert refused(capsys, toy, "--fit").startswith(
        "acts: needs measurements of Acts, and these events are of toy; allowed: --data PATH of CSV files of Acts"
    )
    monkeypatch.setattr(fatras, "PACKAGE", "pyacts-that-nobody-has")
    assert refused(capsys, toy, "--fit") == (
        '--fit: needs pyacts, which isn\'t installed; allowed: pip install "archioptrx[acts]"'
    )
