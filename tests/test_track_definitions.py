"""Figures of tracks by name: counted by hand, hit by hit, by Acts itself, and in the commands."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.commands import evaluate, train
from archioptrx.core.errors import InputError
from archioptrx.core.own_files import check_replaceable
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.fatras import read
from archioptrx.report.comparison.compare import compare_models
from archioptrx.report.comparison.statistics import DrawnTracks, TrackStatistic
from archioptrx.tasks.metrics import OF_OTHERS
from archioptrx.tasks.tracks.definitions import DEFINITIONS, Definition
from archioptrx.tasks.tracks.figures import named_figures
from archioptrx.tasks.tracks.metrics import EventTracks, FoundTracks, Selection, track_metrics
from archioptrx.tasks.tracks.named_metrics import ACTS
from archioptrx.tasks.tracks.own_quantities import Frame

ANY = Selection(min_hits=1, track_hits=1)


def event(labels, particle, count=3, lost=0, pt=None, name="e"):
    """An event; its last particle has so many further hits that are in no graph."""
    labels, particle = np.array(labels, dtype=np.int64), np.array(particle, dtype=np.int64)
    hits = np.bincount(particle[particle >= 0], minlength=count)
    hits[-1] += lost
    pt = np.ones(count) if pt is None else np.array(pt, dtype=float)
    blank = np.zeros(count)
    return EventTracks(name, labels, particle, (particle >= 0) * 1.0, hits, hits * 1.0, pt, blank, blank)


def counts(name, tracks, selection=ANY, fraction=None):
    return Definition.named(name, fraction).outcome(tracks, selection).counts


def test_half_of_a_track_is_enough_for_acts():
    """4 + 4 hits of two particles of 5 and 8: by acorn no match, by Acts that of the last hit."""
    assert counts("acorn", event([0] * 8, [1] * 4 + [0] * 4, 2))["efficiency"] == (0, 2)
    labels, particle = [0] * 8 + [-1] * 5, [1] * 4 + [0] * 4 + [0] + [1] * 4
    assert counts("acts", event(labels, particle, 2))["efficiency"] == (1, 2)
    # Half of the particle's hits are enough too: of 8 in the event, but not of 9.
    other = labels, [0] * 4 + [1] * 4 + [0] + [1] * 4
    assert counts("acts", event(*other, 2))["efficiency"] == (1, 2)
    assert counts("acts", event(*other, 2, lost=1))["efficiency"] == (0, 2)
    assert counts("acts", event(*other, 2, lost=1))["fake_rate"] == (1, 1)
    assert counts("acts:single", event(*other, 2, lost=1))["efficiency"] == (1, 2)


def test_fakes_and_duplicates_of_acts_are_shares_of_all_tracks():
    """Particle 1 is below 1 GeV: it isn't counted, but its duplicate is; a track of noise is no fake."""
    tracks = event([0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 1, 1, 1, 1, -1, -1], 2, pt=[2.0, 0.5])
    within = Selection(pt_min=1.0, min_hits=1, track_hits=1)
    assert counts("acts", tracks, within) == {
        "efficiency": (1, 1), "fake_rate": (0, 4), "duplicate_rate": (1, 4),
        "completeness": (1.0, 1), "purity": (1.0, 1),
    }  # fmt: skip
    # acorn: noise is a particle, so that track isn't fake there either; by gnn_tracking only tracks of particles count.
    assert counts("acorn", tracks, within)["fake_rate"] == (0, 4)
    assert counts("acorn", tracks, within)["duplicate_rate"] == (0, 1)
    assert counts("gnn_tracking", tracks, within)["lhc"] == (1, 1)


def test_hits_of_no_track_are_a_track_of_acorn():
    """It is a fake, unless most of its hits are one particle's: that then counts as found."""
    tracks = event([0, 0, 0, -1, -1], [0, 0, 0, 1, 2])
    assert counts("acorn", tracks)["fake_rate"] == (1, 2)
    assert counts("acts", tracks)["fake_rate"] == (0, 1)
    assert counts("acorn", event([-1, -1, -1], [0, 0, 1], 2))["efficiency"] == (1, 2)


def test_an_event_of_unknown_particles_beside_known_ones_counts_none_of_them():
    """Whether pT and η are known is decided once for all events, by the objective as by `--pt-min`."""
    known = event([0] * 8, [0] * 8, 1, pt=[2.0])
    unknown = replace(event([0] * 8, [0] * 8, 1, pt=[np.nan]), eta=np.array([np.nan]))
    for events in ([known, unknown], [unknown, known]):
        assert FoundTracks(events, Selection()).sums(ACTS)["efficiency"] == (1, 1)
        assert track_metrics(events, Selection(pt_min=1.0))["particles"] == 1
        limited = Selection(pt_min=1.0, eta_max=2.0, min_hits=7, track_hits=1)
        assert named_figures(ACTS, events, limited, Frame())["counts"]["efficiency"] == [1, 1]
        drawn = DrawnTracks(TrackStatistic(events, limited), np.array([3, 2]))
        assert drawn.counts["double"]["efficiency_physics"][1] == (3 if events[0] is known else 2)
        assert drawn.sums(ACTS)["efficiency"][1] == (3 if events[0] is known else 2)
    for ask in (track_metrics, TrackStatistic):
        with pytest.raises(InputError, match="2 events: no pT of a particle is known; allowed: without a limit of it"):
            ask([unknown, unknown], Selection(pt_min=1.0))
    with pytest.raises(InputError, match="e: no η of a particle is known"):
        named_figures(ACTS, [unknown], Selection(eta_max=1.0), Frame())
    assert FoundTracks([unknown], Selection()).sums(ACTS)["efficiency"] == (1, 1), "of all, as none is known"


def by_hand(tracks):
    """Counts of each definition, track by track and hit by hit."""
    labels, owner, total = tracks.labels.tolist(), tracks.particle.tolist(), tracks.hits.tolist()
    held = {label: [p for other, p in zip(labels, owner, strict=True) if other == label] for label in set(labels)}
    graph = Counter(owner)
    real = {label: hits for label, hits in held.items() if label >= 0}
    everyone = [p for p in range(len(total)) if total[p] >= 1]
    in_graph = [p for p in everyone if graph[p] >= 1]
    result = {}
    for style in ("double", "single"):
        found, fakes, duplicates = set(), 0, 0
        for hits in real.values():
            owners = Counter(p for p in reversed(hits) if p >= 0)
            if not owners:
                continue
            particle, shared = owners.most_common(1)[0]  # of equal ones the first
            if shared / len(hits) < 0.5 or (style == "double" and shared / total[particle] < 0.5):
                fakes += 1
            else:
                duplicates += particle in found
                found.add(particle)
        result[f"acts:{style}"] = {
            "efficiency": (len(found), len(everyone)),
            "fake_rate": (fakes, len(real)),
            "duplicate_rate": (duplicates, len(real)),
        }
    for style in ("ATLAS", "one_way", "two_way"):
        rows, matched = [], set()
        for label, hits in held.items():
            for particle, shared in Counter(hits).items():
                pure, complete = 2 * shared > len(hits), 2 * shared > graph[particle]
                ways = {"ATLAS": (pure, pure), "one_way": (pure, complete), "two_way": (pure and complete,) * 2}
                by_track, by_particle = ways[style]
                matched |= {label} if by_track else set()
                rows += [particle] if by_particle and particle >= 0 else []
        result[f"acorn:{style}"] = {
            "efficiency": (len(set(rows)), len(in_graph)),
            "fake_rate": (len(held) - len(matched), len(held)),
            "duplicate_rate": (len(rows) - len(set(rows)), len(set(rows))),
        }
    tracks_of = []
    for hits in real.values():
        owners = Counter(reversed(hits))
        particle, shared = owners.most_common(1)[0]
        if particle >= 0:
            tracks_of.append((shared / len(hits), shared / graph[particle]))
    good = {
        "double_majority": sum(pure > 0.5 and share > 0.5 for pure, share in tracks_of),
        "lhc": sum(pure > 0.75 for pure, _ in tracks_of),
        "perfect": sum(pure == share == 1 for pure, share in tracks_of),
    }
    result["gnn_tracking"] = {
        name: (n, len(tracks_of) if name == "lhc" else len(in_graph)) for name, n in good.items()
    } | {f"fake_{name}": (len(tracks_of) - n, len(tracks_of)) for name, n in good.items()}
    return result


hits = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 2)), min_size=1, max_size=14)


@given(hits, st.integers(0, 3))
def test_the_counts_are_those_hit_by_hit(pairs, lost):
    tracks = event(*zip(*pairs, strict=True), lost=lost)
    for name, expected in by_hand(tracks).items():
        counted = counts(name, tracks)
        assert {rate: counted[rate] for rate in expected} == expected, name


@given(st.lists(st.tuples(hits, st.integers(0, 3)), min_size=1, max_size=4), st.data())
def test_metrics_of_drawn_events_are_those_of_events_that_are_repeated(content, data):
    events = [event(*zip(*pairs, strict=True), lost=lost, name=f"e{n}") for n, (pairs, lost) in enumerate(content)]
    weights = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(events), max_size=len(events))))
    statistic = TrackStatistic(events, ANY)
    repeated = [tracks for tracks, times in zip(events, weights, strict=True) for _ in range(times)]
    drawn = DrawnTracks(statistic, weights)
    if len(repeated):
        for rate, pair in FoundTracks(repeated, ANY).sums(ACTS).items():
            assert drawn.sums(ACTS)[rate] == pytest.approx(pair)
    shown = {name for name in track_metrics(events, ANY) if not name.startswith(OF_OTHERS)}
    assert set(statistic(weights)) == shown - {"tracks", "particles", "matching"}


def test_limits_are_the_projects_where_the_data_have_none():
    known, unknown = event([0], [0]), event([0], [0], pt=[np.nan] * 3)
    acts, acorn = Definition.named("acts"), Definition.named("acorn")
    assert acts.limits(Selection(), [known]) == Selection(pt_min=1.0, min_hits=7, track_hits=1)
    assert acts.limits(Selection(pt_min=0.5, vr_max=2.0), [known]).pt_min == 0.5, "a signal keeps its own"
    assert acts.limits(Selection(), [unknown]).pt_min == 0.0
    assert acorn.limits(Selection(), [known]) == Selection(1.0, 4.0, track_hits=5)


def test_names_and_faults():
    assert [Definition.named(name).label for name in DEFINITIONS] == [
        "acts:double", "trackml", "acorn:ATLAS", "gnn_tracking", "colliderml",
    ]  # fmt: skip
    for text, fraction, message in (
        ("atcs", None, "--matching: is 'atcs'; allowed: acorn, acts, colliderml, gnn_tracking, trackml"),
        ("acts:dubble", None, "--matching: acts has no style 'dubble'; allowed: double, single"),
        ("trackml:double", None, "--matching: trackml has no style 'double'; allowed: trackml"),
        ("acts", 0.4, "--fraction: is 0.4; allowed: from 0.5 to 1"),
        ("gnn_tracking", 0.6, "--fraction: is given, and gnn_tracking fixes it; allowed: with --matching acts, acorn"),
    ):
        with pytest.raises(InputError) as error:
            Definition.named(text, fraction)
        assert str(error.value).startswith(message)


def scrambled(event, number):
    """Tracks that are the particles of an event, broken, joined, mixed, with hits lost."""
    random, fields = np.random.default_rng(number), event.particle_fields()
    own, table = fields["particle_index"] - 1, fields["particles"][1:]
    labels, count = own.copy(), len(table)
    for particle in random.choice(count, count // 2, replace=False):
        few = random.permutation(np.flatnonzero(own == particle))[: random.integers(1, 8)]
        labels[few] = count + particle
    for particle in random.choice(count, count // 3, replace=False):
        labels[labels == particle] = (particle + 1) % count
    labels[random.random(len(labels)) < 0.1] = -1
    mixed = random.random(len(labels)) < 0.05
    labels[mixed] = random.integers(0, count, mixed.sum())
    hits = table[:, 6].astype(np.int64)
    return EventTracks(event.name, labels, own, (own >= 0) * 1.0, hits, hits * 1.0, *table[:, [0, 2, 4]].T)


@pytest.fixture(scope="module")
def by_acts(tmp_path_factory):
    """Scrambled tracks of two simulated events, and what Acts says of them."""
    pytest.importorskip("acts")
    folder = tmp_path_factory.mktemp("acts") / "csv"
    load_dataset({"source": "fatras", "events": 2, "particles": 60, "csv": str(folder), "layers": "all", "seed": 5})
    events = [read(folder, number)[0] for number in range(2)]
    tracks = [scrambled(content, number) for number, content in enumerate(events)]
    proto = [
        [content.hit_id[found.labels == label].tolist() for label in np.unique(found.labels[found.labels >= 0])]
        for content, found in zip(events, tracks, strict=True)
    ]
    file = folder.parent / "tracks.json"
    file.write_text(json.dumps(proto))
    script = Path(__file__).parent / "acts_figures.py"
    subprocess.run([sys.executable, script, folder, file], check=True, capture_output=True, timeout=300)
    return tracks, json.loads(file.with_suffix(".figures.json").read_text())


@pytest.mark.parametrize("style", ["double", "single"])
def test_acts_gives_the_same_figures(by_acts, style):
    tracks, figures = by_acts
    expected, definition = figures[style], Definition.named(f"acts:{style}")
    ours = named_figures(definition, tracks, definition.limits(Selection(), tracks), Frame())
    assert 20 < expected["nTotalMatchedParticles"] < expected["nTotalParticles"], "some are lost"
    assert expected["nTotalFakeTracks"] > 5
    assert expected["nTotalDuplicateTracks"] > (5 if style == "single" else -1)
    assert ours["efficiency"] == expected["efficiencyParticles"]
    assert ours["fake_rate"] == expected["fakeRatioTracks"]
    assert ours["duplicate_rate"] == expected["duplicateRatioTracks"]
    assert ours["counts"]["efficiency"] == [expected["nTotalMatchedParticles"], expected["nTotalParticles"]]
    assert ours["counts"]["fake_rate"] == [expected["nTotalFakeTracks"], expected["nTotalTracks"]]
    assert ours["counts"]["duplicate_rate"][0] == expected["nTotalDuplicateTracks"]
    # A mean: Acts rounds each step of its sum, and here the sum is rounded once.
    assert ours["completeness"] == pytest.approx(expected["meanCompleteness"], rel=1e-13)
    assert ours["purity"] == pytest.approx(expected["meanPurity"], rel=1e-13)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small network that was trained for Acts' efficiency."""
    folder = tmp_path_factory.mktemp("models") / "m"
    data = "data={source: helix, events: 8, particles: 30, slope_max: 1.0e-3}"
    options = ("--set", data, "--set", "objective=acts_efficiency", "--epochs", "1", "--output", str(folder))
    assert train.main(["message_passing", *options]) == 0
    return folder


def scores_of(capsys, *arguments):
    capsys.readouterr()
    assert evaluate.main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_objective_by_name(model, capsys):
    scores = scores_of(capsys, model, "--matching", "acts")
    metrics = json.loads((model / "metrics.json").read_text())["test"]
    for rate in ("efficiency", "fake_rate", "duplicate_rate", "completeness"):
        assert metrics[f"acts_{rate}"]["mean"] == scores["tracks"][f"acts_{rate}"] == scores["figures"][rate]
    assert scores["figures"]["efficiency"] <= scores["figures"]["ceiling"]["efficiency"] <= 1
    assert sum(row["particles"] for row in scores["figures"]["pt"]) == scores["figures"]["counts"]["efficiency"][1]


def test_evaluate_by_name(model, capsys):
    for name in DEFINITIONS:
        assert evaluate.main([str(model), "--matching", name]) == 0
        text = capsys.readouterr().out
        label = Definition.named(name).label
        assert f"\nas {label} " in text
        assert "acts_efficiency" not in text, "metrics of other projects are shown by their names alone"
    every = scores_of(capsys, model, "--matching", "acts", "--pt-min", 0)["figures"]
    high = scores_of(capsys, model, "--matching", "acts:single", "--pt-min", 2, "--min-hits", 5, "--track-hits", 4)
    assert high["figures"]["limits"] == {
        "pt_min": 2.0, "eta_max": None, "vr_max": None, "min_hits": 5, "track_hits": 4,
    }  # fmt: skip
    assert high["figures"]["counts"]["efficiency"][1] < every["counts"]["efficiency"][1]
    strict = scores_of(capsys, model, "--matching", "acts", "--pt-min", 0, "--fraction", 0.9)["figures"]
    assert strict["efficiency"] < every["efficiency"]


def test_limits_are_shown_where_they_are_applied(model, capsys, tmp_path):
    """ColliderML's benchmark has none; the usual metrics beside it have."""
    limits = ("--matching", "colliderml", "--pt-min", "5", "--track-hits", "9")
    scores, every = (scores_of(capsys, model, *options) for options in (limits, limits[:2]))
    assert scores["figures"]["limits"] == dict.fromkeys(("pt_min", "eta_max", "vr_max", "min_hits", "track_hits"))
    assert scores["figures"] == every["figures"] and scores["tracks"]["particles"] < every["tracks"]["particles"]
    assert scores["figures"]["limits_text"] == "all particles and all tracks: colliderml has no limits"
    other = shutil.copytree(model, tmp_path / "other")
    found = compare_models([model, other], matching="colliderml", limits={"pt_min": 5.0}, resamples=100)
    assert found.judging == f"colliderml: {scores['figures']['limits_text']}"


def test_efficiencies_are_drawn(model, capsys, tmp_path):
    """With the ceiling beside them where a definition is chosen."""
    options = ["--matching", "acorn", "--pt-min", "0"]
    files = [tmp_path / "plots" / name for name in ("a.svg", "b.svg", "c.png")]
    for file, extra in zip(files, (options, options, []), strict=True):
        assert evaluate.main([str(model), *extra, "--plot", str(file)]) == 0
        check_replaceable(file)
        assert capsys.readouterr().err.endswith(f"drawn to {file}\n")
    assert files[0].read_text().count('<g id="axes_') == 3 * 4, "three rates against four quantities"
    assert files[2].stat().st_size > 5_000
    scores = scores_of(capsys, model, *options)
    figures, usual = scores["figures"], scores["tracks"]
    for bins in (figures, figures["ceiling"], usual, scores["ceiling"]):
        known = [row for row in bins["pt"] + bins["z"] if row["efficiency"] is not None]
        assert all(row["low"] <= row["efficiency"] <= row["high"] for row in known) and len(known) > 5
        rows = [row for name in ("pt", "eta", "phi", "z") for row in bins["of_tracks"][name]]
        for rate in ("fake", "duplicate"):
            assert all(row[f"{rate}_low"] <= row[f"{rate}_rate"] <= row[f"{rate}_high"] for row in rows)
    for quantity in ("pt", "eta", "phi", "z"):
        assert sum(row["particles"] for row in figures[quantity]) == figures["counts"]["efficiency"][1]
        assert sum(row["tracks"] for row in usual["of_tracks"][quantity]) == usual["tracks"]
    assert evaluate.main([str(model), "--plot", "a.txt"]) == 2
    assert capsys.readouterr().err.startswith("--plot a.txt: ends in .txt; allowed: png, svg, pdf")
    nothing = tmp_path / "nothing.svg"
    assert evaluate.main([str(model), "--matching", "colliderml", "--plot", str(nothing)]) == 2
    assert "colliderml has no bins" in capsys.readouterr().err and not nothing.exists()


def test_a_model_named_ceiling_has_a_curve_of_its_own(model, tmp_path):
    file = tmp_path / "plot.svg"
    own = shutil.copytree(model, tmp_path / "ceiling")
    assert evaluate.main([str(own), "--plot", str(file)]) == 0
    assert "<!-- model ceiling -->" in file.read_text() and "<!-- ceiling -->" in file.read_text()


def test_faults_of_the_options(model, capsys):
    capsys.readouterr()
    assert evaluate.main([str(model), "--fraction", "0.6", "--track-hits", "0", "--eta-max", "0"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "--fraction: has no meaning alone; allowed: with --matching acts or acorn",
        "--eta-max: is 0; allowed: above 0",
        "--track-hits: is 0; allowed: 1 or more",
    ]
    assert evaluate.main([str(model), "--matching", "atlas"]) == 2
    assert capsys.readouterr().err.startswith("--matching: is 'atlas'; ")
