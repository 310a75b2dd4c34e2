"""Metrics of tracks: events whose answers are worked out by hand, and a slow second implementation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from track_oracle import slow_metrics

from archioptrx.core.errors import InputError
from archioptrx.tasks.tracks.metrics import EventTracks, Selection, track_metrics


def event(labels, particle, hits=None, weight=None, pt=None, name="e", **columns):
    """An event from lists; weights are 1 for each hit of a particle, and all hits are given, unless told otherwise."""
    particle = np.array(particle, dtype=np.int64)
    count = len(hits) if hits is not None else int(particle.max(initial=-1)) + 1
    own = np.bincount(particle[particle >= 0], minlength=count)
    hits = own if hits is None else np.array(hits, dtype=np.int64)
    weight = (particle >= 0) * 1.0 if weight is None else np.array(weight, dtype=float)
    plain = {"eta": np.zeros(count), "vr": np.zeros(count), "weights": hits * 1.0} | columns
    pt = np.ones(count) if pt is None else np.array(pt, dtype=float)
    return EventTracks(
        name, np.array(labels), particle, weight, hits, pt=pt, **{k: np.array(v) for k, v in plain.items()}
    )


def test_perfect_tracks():
    # Two particles of 4 and 3 hits and a noise hit; each particle is one track.
    scores = track_metrics([event([0, 0, 0, 0, 5, 5, 5, -1], [0, 0, 0, 0, 1, 1, 1, -1])])
    assert scores["track_efficiency"] == scores["track_efficiency_physics"] == scores["trackml_score"] == 1.0
    assert scores["track_fake_rate"] == scores["track_duplicate_rate"] == 0.0
    assert (scores["tracks"], scores["particles"]) == (2, 2)


def test_no_tracks_at_all():
    scores = track_metrics([event([-1] * 4, [0] * 4)])
    assert scores["track_efficiency"] == scores["trackml_score"] == 0.0
    assert scores["track_fake_rate"] is scores["track_duplicate_rate"] is None
    assert track_metrics([])["track_efficiency"] is None
    assert track_metrics([])["trackml_score"] is None


def test_a_particle_in_two_halves():
    # 8 hits as two tracks of 4. Each track is pure, so the particle is found by single majority, with one duplicate;
    # but no track has more than half of its hits (4 of 8), so there is no double majority, and no score.
    scores = track_metrics([event([0, 0, 0, 0, 1, 1, 1, 1], [0] * 8)])
    assert scores["matching"]["single"] == {
        "efficiency": 1.0, "efficiency_physics": 1.0, "fake_rate": 0.0, "duplicate_rate": 1.0, "completeness": 0.5,
    }  # fmt: skip
    assert scores["matching"]["double"]["fake_rate"] == 1.0
    assert scores["track_efficiency"] == scores["trackml_score"] == 0.0
    assert scores["track_duplicate_rate"] == 1.0


def test_two_particles_in_one_track():
    # One track of 5 + 3 hits. The first has more than half (5 of 8 = 62.5 %), all of its hits are in: found under
    # double majority. 62.5 % is less than three quarters: not LHC. The second is lost. Score: 5 of 8 hit weights.
    scores = track_metrics([event([0] * 8, [0] * 5 + [1] * 3)])
    assert scores["track_efficiency"] == 0.5
    assert scores["matching"]["lhc"]["efficiency"] == 0.0
    assert scores["matching"]["lhc"]["fake_rate"] == 1.0
    assert scores["trackml_score"] == 5 / 8


def test_just_half_is_no_majority_and_three_quarters_are_enough_for_lhc():
    # Track 0: two hits of each of two particles. Track 1: 3 hits of particle 2 and a noise hit.
    scores = track_metrics([event([0] * 4 + [1] * 4, [0, 0, 1, 1, 2, 2, 2, -1])], Selection(min_hits=2))
    assert scores["track_fake_rate"] == 0.5
    assert scores["matching"]["lhc"]["efficiency"] == 1 / 3
    assert scores["track_efficiency"] == 1 / 3


def test_noise_is_no_particle():
    scores = track_metrics([event([0, 0, 0], [-1, -1, -1])])
    assert scores["track_fake_rate"] == 1.0
    assert scores["track_efficiency"] is scores["trackml_score"] is None


def test_hits_that_are_not_in_the_graphs():
    # Particle 0 has 9 hits in the event and 4 in the graph, all in one track: found technically (4 of 4), not
    # physically (4 of 9). Particle 1 has 5 hits, 3 given and found: 3 of 5 is more than half, so both.
    # Particle 2 has 6 hits, 2 of them given: too few to be reachable, it counts in the physics efficiency alone.
    # Weights are 1 a hit, 20 in the event; only particle 1's 3 hits are in a good track.
    tracks = event([0] * 4 + [1] * 3 + [-1] * 2, [0] * 4 + [1] * 3 + [2] * 2, hits=[9, 5, 6])
    scores = track_metrics([tracks])
    assert scores["track_efficiency"] == 1.0
    assert scores["track_efficiency_physics"] == 1 / 3
    assert scores["trackml_score"] == 3 / 20
    assert scores["particles"] == 2


def test_weights():
    # Good track: 3 of its 4 hits are particle 0's, weighing 1 + 2 + 3; the stranger's weight 10 doesn't count.
    tracks = event([0] * 4 + [-1] * 3, [0, 0, 0, 1, 1, 1, 1], weight=[1, 2, 3, 10, 1, 1, 1], weights=[6.0, 13.0])
    assert track_metrics([tracks])["trackml_score"] == 6 / 19


def test_events_are_pooled_and_their_scores_averaged():
    # The same labels and particles in two events are others. Efficiency 2 of 3; score (1 + 1/2) / 2.
    first = event([0] * 3, [0] * 3)
    second = event([0] * 3 + [-1] * 3, [0] * 3 + [1] * 3)
    scores = track_metrics([first, second])
    assert scores["track_efficiency"] == 2 / 3
    assert scores["trackml_score"] == 0.75


def test_selection_and_bins():
    tracks = event([0] * 3 + [-1] * 6, [0] * 3 + [1] * 3 + [2] * 3, pt=[2.5, 0.4, 1.0], eta=[0.2, -1.2, 3.0])
    assert track_metrics([tracks])["track_efficiency"] == 1 / 3
    assert track_metrics([tracks], Selection(pt_min=1.0))["track_efficiency"] == 1 / 2, "1 GeV is enough"
    assert track_metrics([tracks], Selection(pt_min=1.1))["track_efficiency"] == 1.0
    assert track_metrics([tracks], Selection(eta_max=1.5))["track_efficiency"] == 1 / 2
    assert track_metrics([tracks], Selection(min_hits=4))["track_efficiency"] is None
    assert track_metrics([tracks], Selection(min_hits=4))["tracks"] == 0
    bins = track_metrics([tracks], bins=True)
    assert [(row["from"], row["to"], row["efficiency"]) for row in bins["pt"]] == [
        (0.0, 0.5, 0.0), (1.0, 1.5, 0.0), (2.0, 3.0, 1.0),
    ]  # fmt: skip
    assert [(row["from"], row["particles"], row["efficiency"]) for row in bins["eta"]] == [
        (0.0, 1, 1.0), (1.0, 1, 0.0), (3.0, 1, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [2.4, 1.1])
def test_at_exactly_the_limit_a_particle_counts(limit):
    """Files keep float32: 2.4 is read as 2.4000000954, 1.1 as 1.1000000238."""
    kept = float(np.float32(limit))
    tracks = event([0] * 3, [0] * 3, pt=[kept], eta=[-kept])
    for selection in (Selection(pt_min=limit), Selection(eta_max=limit)):
        assert selection.of(tracks).tolist() == [True]


def test_what_the_data_do_not_say_cannot_be_asked_for():
    tracks = event([0] * 3, [0] * 3, pt=[np.nan])
    assert track_metrics([tracks])["track_efficiency"] == 1.0
    assert "pt" not in track_metrics([tracks], bins=True)
    with pytest.raises(InputError, match="e: no pT of a particle is known; allowed: without a limit of it"):
        track_metrics([tracks], Selection(pt_min=1.0))


@st.composite
def random_events(draw):
    size, particles = draw(st.integers(0, 25)), draw(st.integers(1, 5))

    def some(values, number):
        return draw(st.lists(values, min_size=number, max_size=number))

    labels, particle = some(st.integers(-1, 4), size), some(st.integers(-1, particles - 1), size)
    weight = [w * (p >= 0) for w, p in zip(some(st.integers(0, 8), size), particle, strict=True)]
    columns = {key: some(st.sampled_from([0.25, 1.0, 4.0]), particles) for key in ("pt", "eta", "vr")}
    outside = some(st.integers(0, 4), particles)
    own = [particle.count(p) for p in range(particles)]
    hits = [a + b for a, b in zip(own, outside, strict=True)]
    weights = [sum(w for w, q in zip(weight, particle, strict=True) if q == p) + outside[p] for p in range(particles)]
    return event(labels, particle, hits, weight, weights=np.array(weights, float), **columns)


@given(
    st.lists(random_events(), max_size=3), st.sampled_from([0.0, 0.5]), st.sampled_from([1.5, 9.0]), st.integers(1, 4)
)
def test_the_slow_implementation_agrees(events, pt_min, limit, min_hits):
    selection = Selection(pt_min, eta_max=limit, vr_max=limit, min_hits=min_hits)
    ours = track_metrics(events, selection)
    for name, value in slow_metrics(events, selection).items():
        matching, _, inner = name.partition(".")
        mine = ours["matching"][matching][inner] if inner else ours[name]
        assert (mine is None) == (value is None), name
        assert mine == pytest.approx(value, abs=1e-12), name
    for name, of in (("track_efficiency", "double"), ("track_fake_rate", "single"), ("track_duplicate_rate", "single")):
        assert ours[name] == ours["matching"][of][name.removeprefix("track_")]
