"""Completion of tracks by geometry, and the helix fit: on known helices, and what holds of any labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.tasks.options.tracks import TrackOptions
from archioptrx.tasks.tracks.completion import attach, complete, extend, merge, neighbours
from archioptrx.tasks.tracks.finders import Places, find_tracks
from archioptrx.tasks.tracks.helix import Helix, Resolution, Tracks
from archioptrx.tasks.tracks.helix_fit import fit_tracks, with_good_fit

SIMPLE = Resolution()
RADII = (32.0, 72.0, 116.0, 172.0, 260.0, 360.0, 500.0, 660.0, 820.0, 1020.0)


def helix(phi=0.3, cot=0.4, radius=2000.0, at=RADII, z=5.0):
    """Places where a particle from the beam line crosses cylinders: [len(at), 3]."""
    angle = 2 * np.arcsin(np.array(at) / (2 * radius))
    x, y = radius * np.sin(angle), radius * (1 - np.cos(angle))
    turned = x * np.cos(phi) - y * np.sin(phi), x * np.sin(phi) + y * np.cos(phi)
    return np.stack([*turned, z + cot * radius * angle], axis=1)


def partition(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist()) - {-1}}


def attached(labels, pos, resolution):
    return attach(labels, pos, resolution, neighbours(pos))


def test_a_circle_goes_through_its_three_hits_and_leads_on():
    pos = helix()
    line = Helix(pos[None, [0, 3, 5]])
    assert line.radius == pytest.approx(2000, rel=1e-6)
    for hit in pos:
        across, along = line.deviation(hit[None], pos[None, 0])
        assert across < 1e-6 and along < 1e-6
    length = line.arc(pos[None, 7]) - line.arc(pos[None, 5])
    beyond = line.beyond(length * np.sqrt(1 + 0.4**2))
    np.testing.assert_allclose(beyond[0, 0], pos[7], atol=1e-6)


def test_hits_in_a_line_and_hits_of_one_place_give_finite_numbers():
    straight = np.outer([1.0, 2.0, 4.0], [10.0, 20.0, 5.0])
    across, along = Helix(straight[None]).deviation(np.array([[80.0, 160.0, 40.0]]), straight[:1])
    assert across < 2e-3 and along < 2e-3  # a straight line is a circle of 10 km
    one_place = np.array([[[1.0, 2.0, 3.0], [1.0, 2.0, 4.0], [1.0, 2.0, 6.0]]])
    assert np.isfinite(Helix(one_place).beyond(np.array([10.0, 20.0]))).all()


def test_an_overlap_hit_goes_to_its_track_and_noise_beside_it_does_not():
    track = helix()
    overlap = helix(at=(119.0, 664.0))
    noise = overlap[:1] + np.array([0.0, 0.0, 2.0])
    labels = attached(np.array([4] * 10 + [-1] * 3), np.concatenate([track, overlap, noise]), SIMPLE)
    assert labels.tolist() == [4] * 12 + [-1]


def test_a_track_of_overlap_hits_is_dissolved_in_the_longer_one():
    """As where each overlap hit has edges to both hits of the next layer: two chains along one particle."""
    track, second = helix(), helix(at=(35.0, 75.0, 119.0, 175.0))
    labels = attached(np.array([0] * 10 + [1] * 4), np.concatenate([track, second]), SIMPLE)
    assert labels.tolist() == [0] * 14
    # A track of another particle with as many hits stays.
    other = helix(phi=0.35, at=(35.0, 75.0, 119.0, 175.0))
    assert partition(attached(np.array([0] * 10 + [1] * 4), np.concatenate([track, other]), SIMPLE)) == {
        frozenset(range(10)),
        frozenset(range(10, 14)),
    }


def test_parts_of_a_track_are_joined_and_parts_of_others_are_not():
    pos = np.concatenate([helix(), helix(phi=1.0)])
    labels = np.array([0] * 4 + [1] * 6 + [2] * 4 + [3] * 6)
    joined, changed = merge(labels, pos, SIMPLE, np.arange(4))
    assert changed.tolist() == [0, 2] and joined.tolist() == [0] * 10 + [2] * 10
    again, changed = merge(joined, pos, SIMPLE, changed)
    assert not len(changed) and (again == joined).all()
    # A pair with one part that is new is joined, whichever it is.
    for fresh in ([0], [1]):
        assert merge(labels, pos, SIMPLE, np.array(fresh))[0].tolist() == [0] * 10 + [2] * 4 + [3] * 6
    # Of equal direction and another curvature: a kink.
    kink = np.concatenate([helix()[:4], helix(radius=600.0)[5:]])
    assert not len(merge(np.array([0] * 4 + [1] * 5), kink, SIMPLE, np.arange(2))[1])


def test_a_track_is_followed_in_both_directions():
    pos = np.concatenate([helix(at=RADII[:9]), [[50.0, -60.0, 10.0]]])
    labels = np.array([-1, -1, 3, 3, 3, 3, -1, -1, -1, -1])
    outwards, found = extend(labels, pos, SIMPLE, 1, np.array([3]))
    assert found.tolist() == [3] and outwards.tolist() == [-1, -1, 3, 3, 3, 3, 3, -1, -1, -1]
    inwards, found = extend(labels, pos, SIMPLE, -1, np.array([3]))
    assert found.tolist() == [3] and inwards.tolist() == [-1, 3, 3, 3, 3, 3, -1, -1, -1, -1]
    assert complete(labels, pos, SIMPLE).tolist() == [3] * 9 + [-1]
    same, found = extend(labels, pos, SIMPLE, 1, np.array([4]))
    assert not len(found) and (same == labels).all()


def test_a_track_that_lost_its_hit_to_another_goes_on():
    """Two parts of one particle side by side end at one free hit: one takes it, both are looked at again."""
    pos = np.concatenate([helix()[:6], helix()[2:5] + np.array([0.0, 0.0, 0.05])])
    labels, found = extend(np.array([0] * 5 + [-1] + [1] * 3), pos, SIMPLE, 1, np.array([0, 1]))
    assert found.tolist() == [0, 1] and labels[5] in (0, 1)


def test_a_track_is_not_followed_through_the_beam_line():
    """The helix goes on behind the beam; hits there belong to others."""
    pos = helix()
    behind = pos[:3] * np.array([-1.0, -1.0, 1.0]) + np.array([0.0, 0.0, 2 * (5.0 - pos[0, 2])])
    labels = complete(np.array([0] * 10 + [-1] * 3), np.concatenate([pos, behind]), SIMPLE)
    assert labels.tolist() == [0] * 10 + [-1] * 3


def test_resolution_widens_the_windows():
    track, overlap = helix(), helix(at=(119.0,)) + np.array([0.0, 0.0, 2.0])
    labels, pos = np.array([0] * 10 + [-1]), np.concatenate([track, overlap])
    assert attached(labels, pos, SIMPLE)[-1] == -1
    assert attached(labels, pos, Resolution(10.0))[-1] == 0


@given(st.integers(0, 2**32), st.integers(0, 40))
def test_any_labels_of_any_hits(seed, hits):
    """Nothing fails, a hit in a track stays in one, and names are those that were given."""
    random = np.random.default_rng(seed)
    pos = random.integers(-3, 4, (hits, 3)) * 40.0
    labels = random.integers(-1, 4, hits)
    result = complete(labels, pos, SIMPLE)
    assert set(result.tolist()) <= {*labels.tolist(), -1}
    assert (result[labels >= 0] >= 0).all() or len(set(labels.tolist()) - {-1}) > 1
    fitted = with_good_fit(labels, pos, SIMPLE, 1.0, 3)
    assert ((fitted == labels) | (fitted == -1)).all()


def test_chi2_of_exact_helices_is_0_and_grows_with_a_wrong_hit():
    pos = np.concatenate([helix(), helix(phi=2.0, radius=400.0, at=RADII[:7])])
    labels = np.array([0] * 10 + [1] * 7)
    np.testing.assert_allclose(fit_tracks(Tracks.of(labels, pos), SIMPLE).chi2, 0, atol=1e-3)
    pos[2, :2] += [3.0, -3.0]
    fit = fit_tracks(Tracks.of(labels, pos), SIMPLE)
    assert fit.chi2[0] > 10 and fit.chi2[1] < 1e-3
    assert fit.outlying[:10].argmax() == 2


def test_chi2_has_its_expected_size():
    """Hits with Gaussian errors of the resolution have a mean χ² of 1 per degree of freedom."""
    random, phi = np.random.default_rng(1), np.linspace(-3, 3, 200)
    pos = np.concatenate([helix(phi=each, radius=1e6) for each in phi])
    across = random.normal(size=len(pos)) * SIMPLE.across(pos)
    angle = np.repeat(phi, 10) + np.pi / 2
    pos += np.stack(
        [across * np.cos(angle), across * np.sin(angle), random.normal(size=len(pos)) * SIMPLE.along(pos)], 1
    )
    assert fit_tracks(Tracks.of(np.repeat(np.arange(200), 10), pos), SIMPLE).chi2.mean() == pytest.approx(1, abs=0.1)


def test_a_wrong_hit_is_taken_away_and_a_bad_track_is_none():
    pos = helix()
    pos[2, 2] += 20.0
    random = np.random.default_rng(0).uniform(-500, 500, (4, 3))
    labels = with_good_fit(np.array([0] * 10 + [1] * 4), np.concatenate([pos, random]), SIMPLE, 5.0, 3)
    assert labels.tolist() == [0, 0, -1] + [0] * 7 + [-1] * 4


def test_three_hits_come_from_the_beam_line():
    """Any three hits lie on a circle, and of four with a wrong one three may be left."""
    far = np.array([[30.0, 0.0, 10.0], [70.0, 60.0, 20.0], [80.0, 140.0, 30.0]])
    far[:, 2] = np.array([0.0, 72.1, 152.7]) * 0.3  # z is linear: the fit is good
    pos = np.concatenate([helix(at=RADII[:3]), far, helix(phi=2.0, at=RADII[:4])])
    pos[8, 2] += 30.0
    labels = with_good_fit(np.array([0] * 3 + [1] * 3 + [2] * 4), pos, SIMPLE, 5.0, 3)
    assert labels.tolist() == [0] * 3 + [-1] * 3 + [2, 2, -1, 2]


def test_a_component_of_a_whole_event_takes_no_longer_than_many_tracks():
    """An untrained network joins all hits to one track; then a round for each hit would never end."""
    pos = np.random.default_rng(0).uniform(-5, 5, (20_000, 3)) + 100.0
    labels = np.zeros(len(pos), dtype=np.int64)
    assert (with_good_fit(labels, pos, SIMPLE, 3.0, 3) == -1).all()
    assert (complete(labels, pos, SIMPLE) == 0).all()


def test_in_passes_the_hits_of_good_tracks_are_free_for_no_other():
    """A worse edge leads from one track into the other: with one pass and a low cut the walk mixes them."""
    pos = np.concatenate([helix(at=RADII[:8]), helix(phi=0.34, at=RADII)])
    chain = lambda first, last: [(k, k + 1) for k in range(first, last)]  # noqa: E731
    edges = np.array([*chain(0, 7), *chain(8, 17), (3, 12)]).T
    scores = np.array([0.6] * 7 + [0.4] * 9 + [0.95])
    places = Places(pos, np.array([0, len(pos)]))
    plain = TrackOptions(complete=False)
    assert partition(find_tracks(edges, scores, len(pos), plain, 3, places)) != {
        frozenset(range(8)),
        frozenset(range(8, 18)),
    }
    fitted = find_tracks(edges, scores, len(pos), TrackOptions(chi2_max=5.0), 3, places)
    assert partition(fitted) == {frozenset(range(8)), frozenset(range(8, 18))}


def test_graphs_of_a_batch_and_hits_without_places():
    pos = np.concatenate([helix(at=RADII[:9])] * 2)  # the same places, in two events
    edges, places = np.array([[k, k + 1] for k in (0, 1, 2, 11, 12, 13)]).T, Places(pos, np.array([0, 9, 18]))
    labels = find_tracks(edges, np.ones(6), 18, TrackOptions(), 3, places)
    assert partition(labels) == {frozenset(range(9)), frozenset(range(9, 18))}
    unknown = find_tracks(edges, np.ones(6), 18, TrackOptions(), 3)
    assert partition(unknown) == {frozenset(range(4)), frozenset(range(11, 15))}
