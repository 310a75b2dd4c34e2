"""The guard of all hit graphs: one rule for every reader."""

import math

import numpy as np
import pytest
import torch
from graphs import graph_faults
from hypothesis import given
from hypothesis import strategies as st
from test_acorn import matrix, prefixed, saved
from test_acorn import read as read_acorn
from test_sources import arrays as npz
from test_sources import folder_of
from test_sources import read as read_npz

from archioptrx.core.errors import InputError
from archioptrx.data.bounds import coordinate_fault
from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.data.identifiers import particle_ids, whole_numbers
from archioptrx.data.repairs import collected

WHOLE = Metadata("test")


def hits(**changes):
    """Three hits of one track and one of another: 0 → 1 → 2 are true, 0 → 3 isn't."""
    content = {
        "x": np.array([[0.03, 0.1, 0.0], [0.07, 0.1, 0.01], [0.11, 0.1, 0.02], [0.07, 0.2, 0.0]]),
        "edge_index": np.array([[0, 1, 0], [1, 2, 3]]),
        "y": np.array([1, 1, 0]),
        "pid": np.array([5, 5, 5, 6]),
    }
    return content | changes


def repaired(**changes):
    with collected() as repairs:
        graph = make_graph(hits(**changes), WHOLE, "e", 0)
    return graph, {name: count for name, count in repairs.items() if count}


def fault(**changes):
    with pytest.raises(InputError) as error:
        make_graph(hits(**changes), WHOLE, "e", 0)
    (line,) = error.value.faults
    return line.removeprefix("e sector 0: ")


def both_ways(seed):
    """Edges of `hits` in both directions, in random order, some of them again; and the truth of the pairs."""
    random = np.random.default_rng(seed)
    edges = hits()["edge_index"]
    every = np.concatenate([edges, edges[::-1], edges[:, :2]], axis=1)
    order = random.permutation(every.shape[1])
    return every[:, order], np.tile(hits()["y"], 3)[: every.shape[1]][order]


@given(st.integers(0, 10**6))
def test_edges_in_both_directions_are_one_each_outwards_in_any_order(seed):
    edges, truth = both_ways(seed)
    graph, repairs = repaired(edge_index=edges, y=truth)
    pairs = dict(zip(map(tuple, graph.edge_index.T.tolist()), graph.y.tolist(), strict=True))
    assert pairs == {(0, 1): 1, (1, 2): 1, (0, 3): 0}
    assert repairs == {"joined_edges": 5}
    assert graph_faults(graph) == []
    assert sorted(graph.edge_order.tolist()) == [0, 1, 2]


@given(st.integers(0, 10**6), st.booleans())
def test_truth_of_either_direction_makes_a_pair_true_in_any_order(seed, forward):
    order = np.random.default_rng(seed).permutation(6)
    edges = hits()["edge_index"]
    both = np.concatenate([edges, edges[::-1]], axis=1)[:, order]
    truth = np.concatenate([hits()["y"] * forward, hits()["y"] * (not forward)])[order]
    mask = np.array([forward, True, False, not forward, False, True])[order]
    graph, repairs = repaired(edge_index=both, y=truth, edge_weight=np.arange(6.0)[order], edge_mask=mask)
    pairs = map(tuple, graph.edge_index.T.tolist())
    fields = zip(graph.y.tolist(), graph.edge_weight.tolist(), graph.edge_mask.tolist(), strict=True)
    # Of a true pair that of its true direction, of the false one the larger of both.
    weights = (0, 1) if forward else (3, 4)
    assert dict(zip(pairs, fields, strict=True)) == {
        (0, 1): (1, weights[0], True),
        (1, 2): (1, weights[1], forward),
        (0, 3): (0, 5, True),
    }
    assert repairs == {"joined_edges": 3, "one_sided_truth": 2}


def test_a_pair_with_both_answers_in_one_direction_is_refused():
    edges = np.array([[0, 1, 0, 0], [1, 2, 3, 1]])
    assert fault(edge_index=edges, y=np.array([1, 1, 0, 0])) == (
        "y is 1 and 0 for one pair of hits in one direction (edges 0 and 3); allowed: one answer for each direction"
    )


def test_edges_that_lead_inwards_are_turned_unless_the_source_knows_better():
    inwards = hits()["edge_index"][::-1]
    graph, repairs = repaired(edge_index=inwards)
    assert sorted(map(tuple, graph.edge_index.T.tolist())) == [(0, 1), (0, 3), (1, 2)]
    assert repairs == {"turned_edges": 3}
    unturned = make_graph(hits(edge_index=inwards), WHOLE, "e", 0, directed=True)
    assert sorted(map(tuple, unturned.edge_index.T.tolist())) == [(1, 0), (2, 1), (3, 0)]


def test_an_edge_from_a_hit_to_itself_is_left_out():
    graph, repairs = repaired(edge_index=np.array([[0, 1, 2], [1, 2, 2]]))
    assert graph.num_edges == 2
    assert repairs == {"own_edges": 1}


def test_pairs_of_the_loss_stand_once_too():
    pairs = np.array([[0, 1, 3, 2], [1, 0, 3, 3]])
    graph, repairs = repaired(loss_index=pairs, y_loss=np.array([0, 1, 0, 0]))
    assert graph.loss_index.tolist() == [[0, 2], [1, 3]]
    assert graph.y_loss.tolist() == [1, 0]
    assert repairs == {"joined_pairs": 1}


def test_triplets_beside_edges_in_both_directions_are_refused():
    triplets = {"triplet_index": np.array([[0], [1]]), "y_triplet": np.array([1])}
    assert fault(edge_index=np.array([[0, 1, 1], [1, 2, 0]]), **triplets).startswith("triplet_index stands beside")


def test_who_makes_a_graph_alone_is_warned():
    with pytest.warns(UserWarning, match="^e sector 0: 3 edges led inwards and were turned$"):
        make_graph(hits(edge_index=hits()["edge_index"][::-1]), WHOLE, "e", 0)


def test_every_reader_joins_directions_and_says_so_once(tmp_path, capsys):
    both = {"Ro_rows": np.array([0, 1, 0, 1, 2]), "Ri_rows": np.array([1, 2, 3, 0, 1]), "y": np.array([1, 0, 0, 0, 1])}
    folder = folder_of(tmp_path / "npz", both)
    np.savez(folder / "event2_g001.npz", **npz(**both))
    dataset = read_npz(folder)
    assert dataset.graphs[0].num_edges == 3
    assert dataset.graphs[0].y.tolist() == [1, 1, 0]
    assert dataset.metadata.options["repaired"] == {"joined_edges": 4, "one_sided_truth": 4}
    line = "4 edges stood twice or in both directions and are one each; 4 of these were true in one direction only"
    assert capsys.readouterr().err == f"hitgraphs: {line} and are true\n"
    acorn = read_acorn(saved(tmp_path / "a" / "e.pt", matrix()))
    assert acorn.metadata.options["repaired"] == {"joined_edges": 4}
    backwards = matrix()["edge_index"].flip(1)
    truth = torch.tensor([0, 0, 0, 0, 0, 1, 0, 1.0])  # of the copies that were forward
    turned = read_acorn(saved(tmp_path / "b" / "e.pt", matrix(edge_index=backwards, y=truth)))
    assert turned.graphs[0].y.sum() == 2
    assert turned.metadata.options["repaired"]["one_sided_truth"] == 2


IDS = [
    (np.array([1.25, 2], np.float64), "pid is 1.25 at hit 0; allowed: whole numbers below 9,007,199,254,740,992"),
    (np.array([2, 1e19]), "pid is 10000000000000000000 at hit 1: float64 isn't exact there; allowed: below 9,007,1"),
    (np.array([2**24], np.float32), "pid is 16777216 at hit 0: float32 isn't exact there; allowed: below 16,777,216"),
    (np.array([2048], np.float16), "pid is 2048 at hit 0: float16 isn't exact there; allowed: below 2,048, or int64"),
    (np.array([2**63], np.uint64), "pid is 9223372036854775808 at hit 0; allowed: whole numbers up to 9,223,372,036,"),
    (np.array([1.0, 1e19], np.longdouble), "pid is 10000000000000000000 at hit 1: "),
    (np.array([np.inf]), "pid is inf at hit 0; allowed: whole numbers below 9,007,199,254,740,992"),
    (np.array([3, -2]), "pid is -2 at hit 1; allowed: 0 (noise; -1 and NaN are taken as it) or more"),
    (np.array(["a"]), "pid holds <U1; allowed: whole numbers"),
]


@pytest.mark.parametrize(("values", "message"), IDS)
def test_ids_that_would_collide_are_refused(values, message):
    with pytest.raises(InputError) as error:
        particle_ids(values)
    assert str(error.value).startswith(message)


@given(st.lists(st.integers(-1, 2**63 - 1), max_size=20))
def test_whole_ids_come_through_exactly_and_noise_is_0(ids):
    values, marked = particle_ids(np.array(ids, dtype=np.int64))
    assert values.tolist() == [max(0, number) for number in ids]
    assert marked == ids.count(-1)
    unsigned = [number for number in ids if number >= 0]
    assert whole_numbers(np.array(unsigned, dtype=np.uint64), "id").tolist() == unsigned


def test_noise_is_0_and_minus_1_and_nan_are_taken_as_it_by_every_reader(tmp_path):
    graph, repairs = repaired(pid=np.array([5, 5, -1, np.nan]), pt=np.array([2.0, 2, np.nan, np.nan]))
    assert graph.pid.tolist() == [5, 5, 0, 0]
    assert graph.pt.tolist() == [2, 2, 0, 0]
    assert repairs == {"noise_ids": 2}
    folder = folder_of(tmp_path / "npz", {"pid": np.array([7, 7, 7, -1])}, everywhere=True)
    assert read_npz(folder).graphs[0].pid.tolist() == [7, 7, 7, 0]
    from_zero = folder_of(tmp_path / "zero", {"pid": np.array([0, 0, 0, -1])}, everywhere=True)
    assert read_npz(from_zero).graphs[0].pid.tolist() == [1, 1, 1, 0], "0 is a particle: a true edge joins its hits"
    ids = torch.tensor([77, 77, 77, -1, np.nan])
    dataset = read_acorn(saved(tmp_path / "a" / "e.pt", prefixed(hit_particle_id=ids)))
    assert dataset.graphs[0].pid.tolist() == [77, 77, 77, 0, 0]
    assert dataset.metadata.options["repaired"]["noise_ids"] == 2


def test_a_true_edge_between_hits_of_noise_is_refused():
    message = "a true edge joins two hits of noise (2 do); allowed: particle ids from 1 on, for 0 is noise"
    assert fault(pid=np.zeros(4)) == message


PLACES = [
    ([[-3, 0, 0]], (1000,) * 3, 1, "r is -3 mm at hit 0; allowed: 0 or more; is it x, or a radius with a sign?"),
    ([[32e3, 0, 0], [1e6, 0, 0]], (1000, 1, 1), 1, "r is 1e+06 mm at hit 1; allowed: 0 … 100000 mm; were they in mm "),
    ([[32, 0, -2e6]], (1, 1, 1000), 1, "z is -2e+06 mm at hit 0; allowed: -100000 … 100000 mm; were they in mm before"),
    ([[0.03, 0, 0], [1.1, 0, 2.7]], (1, 1, 1), 1, "the farthest hit has r and |z| up to 2.7 mm; allowed: 5 mm or more"),
    ([[32, 170, 0]], (1, 1, 1), 1, "φ is 170 rad at hit 0; allowed: -π … π; is it in degrees?"),
    ([[32, 6.2, 0]], (1, 1, 1), 1, "φ is 6.2 rad at hit 0; allowed: -π … π; does it count from 0?"),
    ([[32, -3 * math.pi, 0]], (1, math.pi, 1), 1, "φ is -9.42478 rad at hit 0; allowed: -π … π; was it in rad before"),
    ([[32, -1, 0]], (1, math.pi / 4, 1), 4, "φ is -1 rad at hit 0; allowed: -π/4 … π/4, from the middle of the φ sec"),
]


@pytest.mark.parametrize(("nodes", "scale", "sectors", "message"), PLACES)
def test_places_in_other_units_are_refused_with_the_likely_cause(nodes, scale, sectors, message):
    fault = coordinate_fault(np.array(nodes, dtype=float), scale, sectors)
    assert fault is not None and fault.startswith(message)


def test_every_reader_refuses_other_units(tmp_path):
    with pytest.raises(InputError, match=r"event1_g000.npz: r is 300000 mm at hit 2; .* were they in mm before"):
        read_npz(folder_of(tmp_path / "npz", {"X": npz()["X"] * [1000, 1, 1]}))
    with pytest.raises(InputError, match=r"e.pt: φ is 177.617 rad at hit 4; allowed: -π … π; is it in degrees\?"):
        phi = torch.tensor(np.degrees([0.1, 0.11, 0.12, -3.0, 3.1]))
        read_acorn(saved(tmp_path / "a" / "e.pt", prefixed(hit_phi=phi, hit_r=torch.tensor([30.0, 70, 115, 70, 30]))))


WRONG = [
    ({"edge_index": np.array([[0, -1], [1, 2]]), "y": np.ones(2)}, "edge_index points outside the 4 hits (-1); allowe"),
    ({"edge_index": np.array([[0, 4], [1, 2]]), "y": np.ones(2)}, "edge_index points outside the 4 hits (4); allowed:"),
    ({"edge_index": np.array([[0.5], [1]]), "y": np.ones(1)}, "edge_index is 0.5 at row 0; allowed: whole numbers"),
    ({"y": np.array([1, 0.5, 0])}, "y is 0.5 at edge 1; allowed: 0 and 1"),
    ({"y": np.ones(2)}, "y has 2 rows; allowed: one per edge, 3"),
    ({"pt": np.array([1, -1, 0, 0])}, "pt is -1 at hit 1; allowed: 0 or more"),
    ({"hit_id": np.array([1, 2, 2, 3])}, "hit_id 2 stands 2 times; allowed: each once"),
    ({"x": np.full((4, 3), np.nan)}, "x holds 12 NaN or infinite numbers; allowed: finite ones"),
    ({"y": np.ones((3, 1))}, "y has the shape [3, 1]; allowed: one number per edge"),
    ({"edge_weight": np.ones((3, 2))}, "edge_weight has the shape [3, 2]; allowed: one number per edge"),
    ({"pt": np.ones((4, 1))}, "pt has the shape [4, 1]; allowed: one number per hit"),
    ({"x": np.ones((4, 3), bool)}, "x is bool [4, 3]; allowed: numbers [hits, 3 or more]"),
    ({"x": np.full((4, 4), 0.3)}, "x has 4 columns; allowed: 3, as node_features says"),
    ({"x": [[1, 2], [3]]}, "x is no array of numbers ("),
    (
        {"pos": np.full((4, 3), 0.1)},
        "pos has r = 0.141421 mm at hit 0, and x gives 30 mm; allowed: x, y, z of the same ",
    ),
    ({"pos": np.ones((4, 2))}, "pos has the shape [4, 2]; allowed: [hits, 3]"),
    ({"edge_order": np.array([0, 2, 2])}, "edge_order doesn't name every edge once; allowed: each of 0 … 2 once"),
    ({"edge_mask": np.array([0.5, 0, 1])}, "edge_mask is 0.5 at edge 0; allowed: 0 and 1"),
    ({"baseline": np.array([0.5, 2, 1])}, "baseline is 2 at edge 1; allowed: a probability, 0 … 1"),
    (
        {"baseline": np.zeros(3), "baseline_logit": np.zeros(3)},
        "baseline stands beside baseline_logit; allowed: one of the two",
    ),
    ({"particle_index": np.zeros(4, int)}, "particle_index points outside the 0 particles (0); allowed: none"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_breaks_the_contract_is_refused_for_own_sources_too(changes, message):
    assert fault(**changes).startswith(message)
