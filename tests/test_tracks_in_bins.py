"""Efficiency, fakes and duplicates in bins: what is in a bin, and the quantities of tracks that decide about it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_track_definitions import ANY, event

from archioptrx.data.dataset import Metadata
from archioptrx.tasks.tracks.binned import in_bins, technical_outcome
from archioptrx.tasks.tracks.definitions import DEFINITIONS, Definition
from archioptrx.tasks.tracks.own_quantities import GEV, Frame, OwnQuantities
from archioptrx.tasks.tracks.rates import EFFICIENCY, drawn_rates, range_text

NAMES = ("acts:double", "acts:single", "trackml", "acorn:ATLAS", "acorn:one_way", "acorn:two_way", "gnn_tracking")


def helices(field=2.0, tracks=40, hits=9, seed=0):
    """Hits of exact helices from the beam line, and their pT, η, φ and z there."""
    random = np.random.default_rng(seed)
    pt, eta = np.exp(random.uniform(-1.2, 3, tracks)), random.uniform(-2.5, 2.5, tracks)
    phi, z, charge = (
        random.uniform(-math.pi, math.pi, tracks),
        random.normal(0, 50, tracks),
        random.choice([-1, 1], tracks),
    )
    radius = pt / (GEV * field)
    arc = np.minimum(2 * radius, 900)[:, None] * np.linspace(0.04, 1, hits)
    angle = phi[:, None] - charge[:, None] * arc / radius[:, None]
    x, y = ((charge * radius)[:, None] * part for part in (np.sin(phi)[:, None] - np.sin(angle),
                                                          np.cos(angle) - np.cos(phi)[:, None]))  # fmt: skip
    pos = np.stack([x, y, z[:, None] + np.sinh(eta)[:, None] * arc], axis=2).reshape(-1, 3)
    labels = np.repeat(np.arange(tracks), hits)
    return replace(event(labels, labels, tracks), pos=pos, z=z, phi=phi), {
        "pt": pt,
        "eta": np.abs(eta),
        "phi": phi,
        "z": z,
    }


@pytest.mark.parametrize("field", [2.0, 3.8])
def test_tracks_have_the_quantities_of_their_helices(field):
    tracks, truth = helices(field)
    order = np.random.default_rng(1).permutation(len(tracks.labels))
    mixed = replace(tracks, labels=tracks.labels[order], particle=tracks.particle[order], pos=tracks.pos[order])
    found = OwnQuantities.of(mixed, Frame(field))
    for name, expected in truth.items():
        np.testing.assert_allclose(found.values[name], expected, rtol=1e-6, atol=1e-6)


def test_what_is_unknown_is_left_out():
    tracks, _ = helices()
    assert list(OwnQuantities.of(tracks, Frame(turned=True)).values) == ["pt", "eta", "z"]
    assert list(OwnQuantities.of(tracks, Frame(None)).values) == ["eta", "phi", "z"]
    assert OwnQuantities.of(replace(tracks, pos=None), Frame()).values == {}
    short = replace(tracks, labels=np.where(np.arange(len(tracks.labels)) % 9 < 2, tracks.labels, -1))
    assert np.isnan(OwnQuantities.of(short, Frame()).values["pt"]).all(), "two hits have no helix"
    inner = Metadata("helix", options={"field": 1.0}).to_dict()
    assert Frame.of(Metadata("learned", options={"of": inner})) == Frame(1.0)
    assert Frame.of(Metadata("toy", own_units=True)).field is None


@st.composite
def scrambled(draw):
    """Three particles, noise, and tracks of their hits in any mixture."""
    count = draw(st.integers(1, 14))
    labels, particle = (draw(st.lists(st.integers(-1, most), min_size=count, max_size=count)) for most in (4, 2))
    return replace(event(labels, particle), pos=np.random.default_rng(count).normal(0, 100, (count, 3)))


@given(tracks=scrambled())
def test_verdicts_add_up_to_the_rates(tracks):
    for name in NAMES:
        outcome = Definition.named(name).outcome(tracks, ANY)
        fakes, whole = outcome.counts["fake_double_majority" if name == "gnn_tracking" else "fake_rate"]
        verdicts, rest = outcome.verdicts, 0
        if name.startswith("acorn") and (tracks.labels == -1).any():
            rest = 1  # hits of no track are one more track there
        assert len(verdicts.track) == whole - rest and (np.diff(verdicts.track) > 0).all()
        assert verdicts.fake.sum() in (fakes, fakes - rest)
        if verdicts.again is not None:
            assert verdicts.again.sum() == outcome.counts["duplicate_rate"][0] or rest
            assert not (verdicts.again & verdicts.fake).any()
    assert Definition.named("colliderml").outcome(tracks, ANY).verdicts is None
    assert {name.partition(":")[0] for name in NAMES} | {"colliderml"} == set(DEFINITIONS)


def test_the_longest_track_of_a_particle_is_no_duplicate():
    tracks = event([0, 0, 1, 1, 1, 2, 2, -1], [0, 0, 0, 0, 0, 0, 1, 1], 2)
    verdicts = Definition.named("acts:single").outcome(tracks, ANY).verdicts
    assert verdicts.track.tolist() == [0, 1, 2]
    assert verdicts.again.tolist() == [True, False, False] and not verdicts.fake.any()
    usual = technical_outcome(tracks, replace(ANY, min_hits=2)).verdicts
    assert usual.again.tolist() == [True, False, False] and usual.fake.tolist() == [False, False, True]


def test_numbers_of_several_trainings_are_means():
    tracks, _ = helices()
    lost = replace(tracks, labels=np.where(tracks.labels % 2 == 0, tracks.labels, -1))
    outcomes = [Definition.named("acts").outcome(found, ANY) for found in (tracks, lost)]
    one = in_bins([tracks], outcomes[:1], Frame())
    both = in_bins([tracks, lost], outcomes, Frame(), trainings=2)
    for name in ("phi", "z"):
        assert [row["particles"] for row in both[name]] == [row["particles"] for row in one[name]]
    mean = sum(row["efficiency"] * row["particles"] for row in both["z"]) / 40
    assert mean == pytest.approx(0.75)
    whole = next(row for row in in_bins([tracks] * 2, outcomes[:1] * 2, Frame(), trainings=2)["z"])
    assert (whole["low"], whole["high"]) == (one["z"][0]["low"], one["z"][0]["high"])


def test_rates_that_are_drawn():
    tracks, _ = helices()
    bins = in_bins([tracks], [Definition.named("trackml").outcome(tracks, ANY)], Frame())
    assert [rate.name for rate, _ in drawn_rates([bins])] == ["efficiency", "fake_rate"], "trackml has no duplicates"
    assert drawn_rates([{}]) == []
    assert [range_text(row) for row in bins["eta"]] == ["0 … 0.5"]
    many = {"from": -5.0, "to": 0.0, "particles": 990, "efficiency": 0.98, "low": 0.96, "high": 0.99}
    few = {"from": 0.0, "to": 5.0, "particles": 1, "efficiency": 0.0, "low": 0.0, "high": 0.98}
    low, high = EFFICIENCY.span([{"z": [many, few]}])
    assert 0.95 < low < 0.96 and 1 < high < 1.01, "the bin of one particle doesn't stretch the axis"
