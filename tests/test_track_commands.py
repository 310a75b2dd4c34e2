"""Tracks in the commands: as an objective of a training, among its test metrics, and in `evaluate`."""

import json

import pytest

from archioptrx.commands import evaluate, train

TOY = ("--set", "data.num_samples=30", "--set", "training.learning_rate=0.01", "--epochs", "2")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network that was trained for the efficiency of its tracks; its folder, and what `train` said."""
    folder = tmp_path_factory.mktemp("models") / "m"
    assert train.main(["message_passing", *TOY, "--set", "objective=track_efficiency", "--output", str(folder)]) == 0
    return folder


def scores_of(capsys, *arguments):
    assert evaluate.main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_objective_of_tracks_is_found_in_each_epoch(model, capsys):
    metrics = json.loads((model / "metrics.json").read_text())
    # The score of the training is that of the tracks, and test events have theirs, the same that `evaluate` finds.
    assert 0 < metrics["validation"]["mean"] <= 1
    tracks = scores_of(capsys, model)["tracks"]
    for name in ("track_efficiency", "track_fake_rate", "trackml_score", "tracks"):
        assert metrics["test"][name]["mean"] == pytest.approx(tracks[name])


def test_selection_of_particles(model, capsys):
    every = scores_of(capsys, model)["tracks"]
    high = scores_of(capsys, model, "--pt-min", 2)["tracks"]
    assert 0 < high["particles"] < every["particles"]
    assert min(row["from"] for row in high["pt"]) == 2.0
    assert high["tracks"] == every["tracks"]
    long = scores_of(capsys, model, "--min-hits", 99)["tracks"]
    assert (long["particles"], long["tracks"], long["track_efficiency"]) == (0, 0, None)
    assert long["trackml_score"] == every["trackml_score"]


def test_for_reading(model, capsys):
    assert evaluate.main([str(model)]) == 0
    text = capsys.readouterr().out
    head = "matching          efficiency  efficiency physics   fake rate  duplicate rate  completeness"
    beside = "\ntracks                             this    ceiling\n"
    assert text.index("auc") < text.index(beside) < text.index(head) < text.rindex("pT [GeV]")


def test_the_ceiling_is_what_the_true_answers_reach(model, capsys):
    """Toy events have every true edge; so only the way to tracks is between the answers and the particles."""
    scores = scores_of(capsys, model)
    ceiling = scores["ceiling"]
    assert (ceiling["track_efficiency"], ceiling["track_fake_rate"], ceiling["track_completeness"]) == (1.0, 0.0, 1.0)
    assert ceiling["particles"] == scores["tracks"]["particles"]
    assert ceiling["track_efficiency"] > scores["tracks"]["track_efficiency"]
    # Cuts that remove true edges: what is lost before the network shows in the ceiling.
    options = (
        "--set",
        "data={source: helix, events: 9, particles: 20, slope_max: 0.0006, signal_pt: 0.1, seed: 3}",
        "--epochs",
        "1",
    )
    assert train.main(["message_passing", *options, "--output", f"{model}-lossy"]) == 0
    capsys.readouterr()
    ceiling = scores_of(capsys, f"{model}-lossy")["ceiling"]
    assert 0 < ceiling["track_efficiency_physics"] < 0.9


def test_faults(model, capsys):
    assert evaluate.main([str(model), "--pt-min", "-1", "--min-hits", "0"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "--pt-min: is -1; allowed: 0 or more",
        "--min-hits: is 0; allowed: 1 or more",
    ]


def test_the_signal_of_the_data_is_what_tracks_are_judged_by(tmp_path, capsys):
    data = "data={source: helix, events: 8, particles: 30, slope_max: 1.0e-3, signal_pt: 1.0, signal_primary: true}"
    folder = tmp_path / "m"
    assert train.main(["message_passing", "--set", data, "--epochs", "1", "--output", str(folder)]) == 0
    counted = json.loads((folder / "metrics.json").read_text())["test"]["particles"]["mean"]
    capsys.readouterr()
    signal = scores_of(capsys, folder)["tracks"]["particles"]
    every = scores_of(capsys, folder, "--pt-min", 0)["tracks"]["particles"]
    assert 0 < counted == signal < every


def test_tracks_by_other_rules(model, capsys):
    every = scores_of(capsys, model)
    short = scores_of(capsys, model, "--tracks", "{min_hits: 8, cut: 0.5}")
    assert 0 < short["tracks"]["tracks"] < every["tracks"]["tracks"]
    joined = scores_of(capsys, model, "--tracks", "components")
    assert joined["tracks"]["track_completeness"] != every["tracks"]["track_completeness"]
    fitted = scores_of(capsys, model, "--tracks", "chi2_max: 1.0e-9")
    assert fitted["tracks"]["tracks"] != every["tracks"]["tracks"]
    assert evaluate.main([str(model), "--tracks", "{method: walk, follow: -1, foo: 1}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "--tracks: method: is 'walk'; allowed: components, junction_removal, walk_through"
    assert len(lines) == 3 and all(line.startswith("--tracks: ") for line in lines)
    for wrong in ("3", "[1"):
        assert evaluate.main([str(model), "--tracks", wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
