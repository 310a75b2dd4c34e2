"""Tracks from scores: by hand, against brute force, and what holds of any graph."""

import inspect
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from registries import restored

from archioptrx.core.errors import InputError
from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.edge_classification import make
from archioptrx.tasks.options import EdgeOptions
from archioptrx.tasks.options.tracks import (
    RESERVED,
    TRACK_FINDERS,
    TRIPLET_FINDERS,
    TrackOptions,
    track_finder,
    triplet_finder,
)
from archioptrx.tasks.tracks.finders import find_tracks_by_triplets
from archioptrx.tasks.tracks.finding import chains, components, junction_removal, numbered, walk_through
from archioptrx.tasks.tracks.ordered_scores import ordered_probabilities


def edges(*pairs):
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def parts(labels):
    """Hits of each track, as sets: how they are numbered doesn't matter."""
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist()) - {-1}}


def test_a_finder_of_a_user_has_triplets_where_it_has_a_form_for_them():
    triplets, doublets, scores = edges((0, 1)), edges((0, 1), (1, 2), (2, 3)), np.array([0.9])
    with restored(TRACK_FINDERS, TRIPLET_FINDERS):

        @track_finder("ends")
        def ends(edge_index, scores, hits, cut, min_hits):
            return np.where(np.isin(np.arange(hits), edge_index), 0, -1)

        options = TrackOptions(method="ends", further=())
        assert find_tracks_by_triplets(triplets, scores, doublets, 4, options).tolist() == [0, 0, 0, -1]

        @triplet_finder("ends")
        def outer_doublets(triplet_index, scores, edge_index, hits, cut, min_hits):
            return np.where(np.isin(np.arange(hits), edge_index[:, triplet_index[1]]), 0, -1)

        assert find_tracks_by_triplets(triplets, scores, doublets, 4, options).tolist() == [-1, 0, 0, -1]


@pytest.mark.parametrize("key", ["complete", "chi2_max", "resolution", "min_hits", "method", "scores", "hits"])
def test_an_option_of_a_finder_has_no_name_that_all_finders_use(key):
    with pytest.raises(
        InputError, match=rf"^track finder ends: has an option {key}; allowed: names other than method, "
    ):
        track_finder("ends", **{key: 1.0})


def test_every_key_of_all_finders_is_reserved():
    keys = {*TrackOptions().content(), *inspect.signature(components).parameters}
    assert keys - {"cut", "follow"} <= {*RESERVED}


def test_components_join_what_accepted_edges_connect():
    index = edges((0, 1), (2, 1), (3, 4), (4, 5), (2, 3))
    keep = np.array([True, True, True, True, False])
    assert components(index, keep, 7).tolist() == [0, 0, 0, 1, 1, 1, -1]
    assert parts(components(index, np.ones(5, bool), 7)) == {frozenset(range(6))}
    assert components(index, keep, 7, min_hits=4).tolist() == [-1] * 7
    assert components(edges(), np.zeros(0, bool), 2).tolist() == [-1, -1]


def test_junctions_keep_their_best_edges():
    # At hit 1 the edge to 2 is the best one outwards, at hit 5 the one from 2 the best one inwards.
    index = edges((0, 1), (1, 2), (1, 4), (2, 5), (3, 5), (4, 6), (6, 7))
    scores = np.array([0.9, 0.8, 0.7, 0.9, 0.6, 0.9, 0.9])
    assert parts(junction_removal(index, scores, 8)) == {frozenset({0, 1, 2, 5}), frozenset({4, 6, 7})}
    # Equal scores: the first hit by number.
    assert junction_removal(edges((0, 1), (1, 2), (1, 3)), np.full(3, 0.9), 4).tolist() == [0, 0, 0, -1]
    assert junction_removal(edges(), np.zeros(0), 2).tolist() == [-1, -1]


def test_walk_takes_the_better_branch():
    # 0 → 1 → 2 → 3 and a side step 1 → 4: the longer way with the better scores is a track, hit 4 is left over.
    index = edges((0, 1), (1, 2), (2, 3), (1, 4))
    labels = walk_through(index, np.array([0.9, 0.8, 0.9, 0.95]), 5)
    assert labels.tolist() == [0, 0, 0, 0, -1]


def test_walk_follows_only_the_best_edge_where_none_is_good():
    # The same with a bad 1 → 2: below `follow` the walk goes to hit 4 only, though the other way is longer.
    index, scores = edges((0, 1), (1, 2), (2, 3), (1, 4)), np.array([0.9, 0.4, 0.9, 0.5])
    assert walk_through(index, scores, 5).tolist() == [0, 0, -1, -1, 0]
    assert walk_through(index, scores, 5, follow=0.4).tolist() == [0, 0, 0, 0, -1]


def test_walk_tells_crossing_tracks_apart():
    # Two tracks of five hits share nothing but two false edges between them, so they are one component.
    index = edges((0, 1), (1, 2), (2, 3), (3, 4), (5, 6), (6, 7), (7, 8), (8, 9), (1, 7), (6, 2))
    scores = np.array([0.9] * 8 + [0.3, 0.65])
    assert parts(walk_through(index, scores, 10)) == {frozenset(range(5)), frozenset(range(5, 10))}
    assert parts(components(index, scores >= 0.1, 10)) == {frozenset(range(10))}


def test_walk_gives_a_shared_hit_to_the_better_track():
    # Both 0 → 1 and 3 → 4 lead to hit 2, which only one of them can have.
    index = edges((0, 1), (1, 2), (3, 4), (4, 2), (5, 3))
    labels = walk_through(index, np.array([0.9, 0.9, 0.9, 0.8, 0.9]), 6)
    assert parts(labels) == {frozenset({5, 3, 4, 2})}
    assert parts(walk_through(index, np.array([0.9, 0.9, 0.9, 0.8, 0.05]), 6)) == {frozenset({0, 1, 2})}


def test_what_a_taken_path_promised_to_others_no_longer_counts():
    # 0 … 4 is the best path. Hit 5 had led into it; what it has left, 5 → 6 → 7, is worth less than 8 → 9 → 6 → 7.
    index = edges((0, 1), (1, 2), (2, 3), (3, 4), (5, 1), (5, 6), (6, 7), (8, 9), (9, 6))
    scores = np.array([0.9, 0.9, 0.9, 0.9, 0.85, 0.7, 0.7, 0.8, 0.8])
    assert parts(walk_through(index, scores, 10)) == {frozenset(range(5)), frozenset({8, 9, 6, 7})}


def test_a_path_that_is_too_short_leaves_its_hits_to_others():
    # 0 → 1 alone is worth more than 2 → 3 → 1, but is no track.
    index = edges((0, 1), (2, 3), (3, 1))
    assert parts(walk_through(index, np.array([0.99, 0.3, 0.3]), 4)) == {frozenset({1, 2, 3})}


def test_circles_are_opened():
    ring = edges((0, 1), (1, 2), (2, 0))
    assert walk_through(ring, np.full(3, 0.9), 3).tolist() == [0, 0, 0]
    assert walk_through(edges((0, 0), (0, 1), (1, 2)), np.full(3, 0.9), 3).tolist() == [0, 0, 0]


def test_chains_of_triplets():
    # Doublets 0 … 4 of two tracks 0-1-2-3 and 4-5-6; the triplet 1-2 + 2-6 would join them.
    doublets = edges((0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (2, 6))
    triplets = edges((0, 1), (1, 2), (3, 4), (1, 5))
    labels = chains(triplets, np.array([0.9, 0.9, 0.9, 0.4]), doublets, 7)
    assert parts(labels) == {frozenset({0, 1, 2, 3}), frozenset({4, 5, 6})}
    # A better triplet leads elsewhere: the chain 0-1-2-6 takes hit 6 from 4-5-6, which is too short without it.
    labels = chains(triplets, np.array([0.9, 0.5, 0.6, 0.95]), doublets, 7)
    assert parts(labels) == {frozenset({0, 1, 2, 6})}
    assert chains(triplets, np.full(4, 0.1), doublets, 7).tolist() == [-1] * 7


def test_numbers_are_dense():
    assert numbered(np.array([9, 4, -1, 4, 9, 2]), 2).tolist() == [1, 0, -1, 0, 1, -1]


@st.composite
def graphs(draw, circles):
    """Edges with different scores, so that there is one answer; without circles they lead from lower to higher hits."""
    hits = draw(st.integers(2, 9))
    pairs = st.tuples(st.integers(0, hits - 1), st.integers(0, hits - 1))
    if not circles:
        pairs = pairs.filter(lambda pair: pair[0] != pair[1]).map(lambda pair: tuple(sorted(pair)))
    edge_list = draw(st.lists(pairs, unique=True, max_size=14))
    order = draw(st.permutations(range(len(edge_list))))
    # No two sums of powers of two are equal.
    scores = np.array([0.05 + 0.9 * (place + 2.0**-place) / 16 for place in order])
    return edges(*edge_list), scores, hits, draw(st.permutations(range(hits)))


def brute_force(index, scores, hits, cut, follow, min_hits):
    """All paths of followed edges among the free hits, the best one taken, until none is long enough."""
    steps = {}
    for hit in range(hits):
        out = [(s, e) for a, e, s in zip(*index.tolist(), scores.tolist(), strict=True) if a == hit and s >= cut]
        steps[hit] = [(s, e) for s, e in out if s >= follow or s == max(out)[0]]
    free, tracks = set(range(hits)), set()

    def paths(hit):
        yield 0.0, (hit,)
        for score, end in steps[hit]:
            if end in free:
                yield from ((score + worth, (hit, *path)) for worth, path in paths(end))

    def maximal(path):
        return not any(end in free for _, end in steps[path[-1]])

    while True:
        candidates = [
            scored_path
            for hit in free
            for scored_path in paths(hit)
            if maximal(scored_path[1]) and len(scored_path[1]) >= min_hits
        ]
        if not candidates:
            return tracks
        best = max(candidates)[1]
        tracks.add(frozenset(best))
        free -= set(best)


@given(graphs(circles=False), st.sampled_from([0.1, 0.4]), st.sampled_from([0.5, 0.8, 0.99]), st.integers(2, 4))
def test_walk_finds_what_brute_force_finds(graph, cut, follow, min_hits):
    index, scores, hits, _ = graph
    labels = walk_through(index, scores, hits, cut, follow, min_hits)
    assert parts(labels) == brute_force(index, scores, hits, cut, follow, min_hits)


@given(graphs(circles=False))
def test_walk_does_not_depend_on_how_hits_and_edges_are_numbered(graph):
    index, scores, hits, order = graph
    new = np.array(order)
    turned = walk_through(new[index][:, ::-1], scores[::-1], hits)
    assert parts(walk_through(index, scores, hits)) == {
        frozenset(np.flatnonzero(np.isin(new, list(part))).tolist()) for part in parts(turned)
    }


@given(graphs(circles=True), st.integers(2, 4))
def test_every_track_is_a_path_of_accepted_edges(graph, min_hits):
    index, scores, hits, _ = graph
    accepted = {pair for pair, score in zip(map(tuple, index.T.tolist()), scores, strict=True) if score >= 0.3}
    tracks = parts(walk_through(index, scores, hits, cut=0.3, min_hits=min_hits))
    for part in tracks:
        assert len(part) >= min_hits
        assert any(accepted.issuperset(itertools.pairwise(path)) for path in itertools.permutations(part))
    joined = parts(components(index, scores >= 0.3, hits, min_hits=min_hits))
    assert all(any(part <= whole for whole in joined) for part in tracks)


@pytest.mark.parametrize("score", [0.2, 0.9])
def test_equal_scores_everywhere(score):
    """What an untrained network may say: the result is still a set of paths, and always the same one."""
    layers = [range(start, start + 5) for start in (0, 5, 10, 15)]
    index = edges(*[pair for low, high in itertools.pairwise(layers) for pair in itertools.product(low, high)])
    scores = np.full(index.shape[1], score)
    labels = walk_through(index, scores, 20)
    assert np.array_equal(labels, walk_through(index, scores, 20))
    assert all(len(part) == 4 for part in parts(labels)) and parts(labels)


@pytest.mark.parametrize("method", ["junction_removal", "walk_through"])
def test_large_logits_keep_their_order(method):
    """Of the edges 0-1, 0-2 and of 1-3, 2-3 the better ones have larger logits: of both, probabilities are 1."""
    edges = torch.tensor([[0, 0, 1, 2, 3], [1, 2, 3, 3, 4]])
    graph = HitGraph(x=torch.zeros(5, 3), edge_index=edges)
    task = make(EdgeOptions(tracks=TrackOptions(method=method, cut=0.5, further=())))
    logits = torch.tensor([4.0, 6.0, 4.0, 6.0, 6.0])
    for factor in (1, 10, 100):
        assert task.tracks(logits * factor, graph).tolist() == [0, -1, 0, 0, 0]


@given(st.lists(st.floats(-800, 800, width=32), max_size=30), st.sampled_from([0.5, 1 - 2.0**-53, 1.0]))
def test_probabilities_have_the_order_of_logits_and_reach_the_same_cuts(values, cut):
    logits = torch.tensor(values, dtype=torch.float64)
    plain = torch.sigmoid(logits).numpy()
    ordered, reached = ordered_probabilities(logits), ordered_probabilities(logits, [cut])
    assert np.abs(ordered - plain).max(initial=0) < 1e-14
    assert np.array_equal(reached >= cut, plain >= cut)
    large = np.array([value for value in values if value > 30])
    assert len(np.unique(ordered[logits.numpy() > 30])) == len(np.unique(large))
    order = np.argsort(values, kind="stable")
    assert (np.diff(ordered[order]) >= 0).all()
