"""`archioptrx compare MODEL acts:ckf`: networks beside Acts' own track finding, by the real pyacts."""

import json
import shutil

import numpy as np
import pytest
from test_track_definitions import ANY

from archioptrx.commands import compare, data, train
from archioptrx.core.errors import InputError
from archioptrx.data.simulation import fatras
from archioptrx.data.simulation.acts_chain import run_chain
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.acts import ACTS_FILES
from archioptrx.data.sources.event_files import find_events
from archioptrx.models.events import events_for
from archioptrx.models.model_folder import load_model
from archioptrx.report.comparison.acts_tracks import _read, acts_events, found_by_acts
from archioptrx.tasks.edge_classification import EdgeClassification
from archioptrx.tasks.tracks.definitions import Definition
from archioptrx.tasks.tracks.metrics import FoundTracks
from archioptrx.tasks.tracks.named_metrics import ACTS
from archioptrx.tasks.tracks.scores import events_of_task

pytest.importorskip("acts")
CUTS = ("--layers", "all", "--slope-max", "0.001", "--z0-max", "250", "--overlaps", "drop")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models, of simulated events and of their graphs on disk; CSV files of seven other events."""
    place = tmp_path_factory.mktemp("acts")
    simulation = ("--events", "6", "--particles", "25", "--seed", "3", *CUTS)
    assert data.main(["fatras", *simulation, "--output", str(place / "graphs")]) == 0
    cuts = "layers: all, slope_max: 0.001, z0_max: 250, overlaps: drop"
    simulated = f"data={{source: fatras, events: 6, particles: 25, seed: 3, {cuts}}}"
    common = ("--epochs", "1", "--output")
    assert train.main(["message_passing", "--set", simulated, *common, str(place / "m")]) == 0
    assert train.main(["message_passing", "--data", str(place / "graphs"), *common, str(place / "stored")]) == 0
    load_dataset({"source": "fatras", "events": 7, "particles": 25, "seed": 8, "csv": str(place / "csv")})
    return place


@pytest.fixture(scope="module")
def compared(folder):
    """Output of a comparison on the files, as text and as JSON, and its page."""
    names = [str(folder / "m"), "acts:ckf", "acts:truth", "--data", str(folder / "csv"), "--resamples", "100"]
    results = []
    for extra in (["--json", "--matching", "acts:single", "--pt-min", "0.6"], ["--html", str(folder / "page.html")]):
        file = folder / "output"
        with file.open("w") as stream, pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", stream)
            assert compare.main([*names, *extra]) == 0
        results.append(file.read_text())
    return json.loads(results[0]), results[1], (folder / "page.html").read_text()


@pytest.fixture(scope="module")
def events(folder):
    return [_read(files) for files in find_events(folder / "csv", ACTS_FILES)]


def test_acts_stands_beside_the_network(compared):
    content = compared[0]
    network, ckf, truth = content["models"]
    assert [entry["name"] for entry in content["models"]] == ["m", "acts:ckf", "acts:truth"]
    assert content["unit"] == "events" and content["units"] == 7
    assert ckf["metrics"]["acts:single_efficiency"]["value"] > 0.99
    assert ckf["metrics"]["acts:single_fake_rate"]["value"] < 0.02
    assert truth["metrics"]["acts:single_completeness"]["value"] > 0.99
    assert network["metrics"]["acts:single_completeness"]["low"] is not None
    apart = ckf["differences"]["acts:single_completeness"]
    values = [entry["metrics"]["acts:single_completeness"]["value"] for entry in (network, ckf)]
    assert apart["value"] == pytest.approx(values[1] - values[0]) and apart["low"] > 0
    for entry in content["models"]:
        assert entry["metrics"]["seconds_per_event"]["value"] > 0
        assert entry["metrics"]["seconds_per_event"]["low"] is not None
    assert ckf["parameters"] is ckf["memory"] is ckf["cut"] is None
    assert ckf["place"] == f"pyacts {fatras.pyacts_version()}"
    assert not [note for note in content["notes"] if "another kind" in note], "both build the same graphs"
    assert content["judging"] == "acts:single: particles: pT ≥ 0.6 GeV, 7 hits or more; tracks: 1 hit or more"


def test_bins_add_up(compared, events):
    """Particles of the bins, counted in the files, weigh their efficiencies to that of all; tracks their fakes."""
    pt = np.concatenate([event.event.pt[_hits(event) >= 7] for event in events])
    counts = np.histogram(pt[pt >= 0.6], [0.5, 1, 1.5, 2, 3, 5, np.inf])[0]
    for entry in compared[0]["models"]:
        bins = entry["bins"]
        assert [row["particles"] for row in bins["pt"]] == counts.tolist()
        for quantity in ("pt", "eta", "phi", "z"):
            for rows, count, rate in (
                (bins[quantity], "particles", "efficiency"),
                (bins["of_tracks"][quantity], "tracks", "fake_rate"),
                (bins["of_tracks"][quantity], "tracks", "duplicate_rate"),
            ):
                mean = np.average([row[rate] for row in rows], weights=[row[count] for row in rows])
                assert mean == pytest.approx(entry["metrics"][f"acts:single_{rate}"]["value"])


def test_time_is_that_of_the_stages(compared):
    stages = {entry["name"]: list(entry["seconds"]) for entry in compared[0]["models"]}
    assert stages == {
        "m": ["graph building", "network", "track building", "completion", "helix fit"],
        "acts:ckf": ["seeding", "Kalman filter", "ambiguity resolution"],
        "acts:truth": ["seeding", "Kalman fit"],
    }
    for entry in compared[0]["models"]:
        assert sum(entry["seconds"].values()) == pytest.approx(entry["metrics"]["seconds_per_event"]["value"])
    assert min(compared[0]["models"][1]["seconds"].values()) > 0
    assert "Kalman filter" in compared[1] and "stages-table" in compared[2]


def _hits(event):
    return np.array([(event.event.pid == particle).sum() for particle in event.event.particle_id])


def test_for_reading(compared):
    _, text, page = compared
    rows = {line[:18].strip(): line for line in text.splitlines()}
    assert text.index("acts efficiency") < text.index("tracks as acts:double: particles: pT ≥ 1 GeV, 7 hits or more")
    assert "seconds per event" in rows and "parameters" in rows
    assert {"1 … 1.5", "5 … ∞", "0.5 … 1"} <= {line.partition("  ")[0] for line in text.splitlines()}
    assert "acts:ckf, acts:truth: this algorithm, on other events" in text
    charts = {f"{rate}-{name}" for rate in ("efficiency", "fake-rate", "duplicate-rate")
              for name in ("pt", "eta", "phi", "z")}  # fmt: skip
    assert all(f'id="{chart}"' in page for chart in charts) and "fake rate, acts:truth" in page


def test_tracks_do_not_depend_on_the_order_of_measurements(events):
    event = events[0]
    count = len(event.event.hit_id)
    order = np.random.default_rng(0).permutation(count)
    mixed = {key: values[order] for key, values in event.measurements.items() if len(values) == count}
    mixed |= {key: event.measurements[key][:0] for key in ("hit", "track")}
    (first,), (second,) = (run_chain("ckf", 2.0, [arrays]) for arrays in (event.measurements, mixed))
    tracks = [{frozenset(hits[found.track == k].tolist()) for k in range(found.track.max() + 1)}
              for found, hits in ((first, first.hit), (second, order[second.hit]))]  # fmt: skip
    assert tracks[0] == tracks[1] and len(tracks[0]) > 10


def test_a_hit_of_several_tracks_counts_for_the_longest(events):
    found = found_by_acts("acts:truth", events[:1], 2.0)
    counted = Definition.named("acts").outcome(found.events[0], ANY).counts
    assert counted["efficiency"][0] > 20 and min(found.seconds[0].values()) > 0
    assert found.notes == (
        "acts:truth: finds tracks of all hits of an event, also of those that the cuts of graphs remove",
    )


@pytest.mark.parametrize("name", ["m", "stored"])
def test_events_are_simulated_again_from_their_seed(folder, capsys, name):
    """The test event of the model: of a simulation, and of graphs on disk that were built of one."""
    capsys.readouterr()
    assert compare.main([str(folder / name), "acts:ckf", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["events"] == 1
    assert content["models"][1]["metrics"]["acts_efficiency"]["value"] == 1.0
    timed = content["models"][0]["metrics"]["seconds_per_event"]["value"]
    assert timed > content["models"][1]["metrics"]["seconds_per_event"]["value"] / 100


def refused(capsys, *arguments):
    capsys.readouterr()
    assert compare.main([*map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_measurements_stand_in_any_order(folder, events, tmp_path):
    """Every reader takes the rows of a file in any order; the tracks, and what they are judged by, stay the same."""
    mixed = shutil.copytree(folder / "csv", tmp_path / "csv")
    for file in mixed.glob("*-measurements.csv"):
        head, *rows = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join([head, *reversed(rows)]))
    model = load_model(str(folder / "m"))
    graphs, _, metadata = events_for(model, str(mixed))
    found = acts_events(model, str(mixed), metadata, graphs)
    assert not np.array_equal(found[0].event.hit_id, events[0].event.hit_id)
    sums = [FoundTracks(found_by_acts("acts:truth", of[:2], 2.0).events, ANY).sums(ACTS) for of in (found, events)]
    assert sums[0]["efficiency"] == sums[1]["efficiency"] and sums[0]["fake_rate"] == sums[1]["fake_rate"]


def test_graphs_on_disk_hold_no_measurements(folder, capsys, tmp_path):
    built = ["acts", str(folder / "csv"), *CUTS, "--output", str(tmp_path / "built")]
    assert data.main(built) == 0
    assert refused(capsys, folder / "m", "acts:ckf", "--data", tmp_path / "built") == (
        "acts: needs measurements of Acts, and these are graphs that were built of them; "
        "allowed: --data PATH of the CSV files"
    )


def test_sectors_of_events_are_refused(folder, capsys, tmp_path):
    """Acts gets whole events: a network that is tested on parts of them would be judged by other particles."""
    parts, common = tmp_path / "parts", ("message_passing", "--epochs", "1", "--output")
    few = "data={source: fatras, events: 2, particles: 25, seed: 3, slope_max: %s}"
    assert train.main([*common, str(parts), "--set", few % "0.001"]) == 0
    assert refused(capsys, parts, "acts:ckf") == (
        "acts:ckf: takes whole events, and the test events of parts are sectors of events; "
        "allowed: --data PATH, or a first model that was trained on three events or more, without split.by: sectors"
    )
    other = (few % "0.002").replace("seed: 3", "seed: 5")
    assert train.main([*common, str(tmp_path / "other"), "--set", other]) == 0
    assert refused(capsys, parts, tmp_path / "other") == (
        "other: needs other graphs than parts, whose test events are sectors of events; allowed: --data PATH"
    )


@pytest.mark.parametrize("cuts", [{"layers": "all", "phi_sectors": 3}, {"pt_min": 0.6, "noise": "drop", "eta_max": 2}])
def test_both_are_judged_by_the_same_particles_and_their_hits(folder, events, cuts):
    """In several graphs of an event, or without what the cuts remove."""
    graphs = load_dataset({"source": "acts", "path": str(folder / "csv"), **cuts}).graphs
    task = EdgeClassification()
    of_graphs = events_of_task(task, [task.perfect(graph) for graph in graphs], graphs)
    of_acts = found_by_acts("acts:truth", events[:2], 2.0).events
    assert [event.name for event in of_graphs[:2]] == [event.name for event in of_acts]
    for ours, theirs in zip(of_graphs, of_acts, strict=False):
        for name in ("hits", "all_hits", "weights", "pt", "eta", "vr"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6)


def test_faults(folder, capsys, tmp_path, monkeypatch):
    model = folder / "m"
    assert refused(capsys, model, "acts:kf") == (
        "acts:kf: no algorithm of Acts here; allowed: acts:ckf, acts:truth (did you mean acts:ckf?)"
    )
    assert refused(capsys, "acts:ckf", model) == (
        "acts:ckf: stands first; allowed: after a model, whose events it gets"
    )
    assert refused(capsys, model, "acts:ckf", "acts:ckf") == "acts:ckf: stands twice; allowed: each once"
    toy = tmp_path / "toy"
    assert train.main(["message_passing", "--set", "data.num_samples=30", "--epochs", "1", "--output", str(toy)]) == 0
    assert refused(capsys, toy, "acts:ckf") == (
        "acts: needs measurements of Acts, and these events are of toy; "
        "allowed: --data PATH of CSV files of Acts, or a model that was trained on events of fatras or acts"
    )
    monkeypatch.setattr(fatras, "PACKAGE", "pyacts-that-nobody-has")
    assert refused(capsys, model, "acts:ckf") == (
        'acts:ckf: needs pyacts, which isn\'t installed; allowed: pip install "archioptrx[acts]"'
    )


def test_an_error_of_acts_is_one_line(events):
    arrays = {**events[0].measurements, "variance": np.zeros((1, 2))}
    with pytest.raises(InputError) as error:
        run_chain("ckf", 2.0, [arrays])
    assert str(error.value).startswith("acts:ckf: Acts ends with an error (")
    assert len(error.value.faults) == 1
