"""Event graphs of acorn and gnn_tracking: what is read of them, what is refused, and what is written."""

import math
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from graphs import graph_faults
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data

from archioptrx.core.errors import InputError
from archioptrx.data.pairs import pair_keys, undirected
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.acorn import write_predictions

R = np.array([30.0, 70.0, 115.0, 70.0, 30.0])
PHI = np.array([0.1, 0.11, 0.12, -3.0, 3.1])
Z = np.array([10.0, 20.0, 30.0, -40.0, 5.0])
EDGES = np.array([[0, 2, 4, 3], [1, 1, 1, 2]])
"""0 → 1 and 1 ← 2 are true; 4 → 1 and 3 → 2 aren't."""
TRUTH = [True, True, False, False]


def columns(**changes):
    """What acorn writes without prefixes: hits 0, 1, 2 of particle 77, 3 and 4 noise."""
    fields = {
        "x": torch.tensor(R * np.cos(PHI)),
        "y": torch.tensor(TRUTH),
        "r": torch.tensor(R),
        "phi": torch.tensor(PHI),
        "z": torch.tensor(Z),
        "hit_id": torch.tensor([5, 6, 7, 8, 9]),
        "edge_index": torch.tensor(EDGES),
        "track_edges": torch.tensor([[0, 1], [1, 2]]),
        "particle_id": torch.tensor([77, 77]),
        "pt": torch.tensor([1.5, 1.5]),
        "config": [{"stage": "data_reading", "nested": [1, 2.5, None]}],
        "event_id": ["000001000"],
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def prefixed(**changes):
    """The same event as newer versions of acorn write it."""
    fields = {
        "hit_x": torch.tensor(R * np.cos(PHI)),
        "hit_y": torch.tensor(R * np.sin(PHI)),
        "hit_z": torch.tensor(Z),
        "hit_id": torch.tensor([5, 6, 7, 8, 9]),
        "edge_index": torch.tensor(EDGES),
        "edge_y": torch.tensor(TRUTH),
        "track_edges": torch.tensor([[0, 1], [1, 2]]),
        "track_particle_id": torch.tensor([77, 77]),
        "track_particle_pt": torch.tensor([1.5, 1.5]),
        "edge_weights": torch.tensor([1.0, 2.0, 0.0, 1.0]),
        "hit_eta": torch.arange(5.0),
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def matrix(**changes):
    """The same event as gnn_tracking writes it: scaled, each edge in both directions."""
    both = np.stack([EDGES, EDGES[::-1]], axis=2).reshape(2, 8)
    fields = {
        "x": torch.tensor(np.stack([R / 1000, PHI / math.pi, Z / 1000, np.arange(5.0)], axis=1), dtype=torch.float32),
        "edge_index": torch.tensor(both),
        "edge_attr": torch.zeros(8, 4),
        "y": torch.tensor(np.repeat(TRUTH, 2)).float(),
        "particle_id": torch.tensor([77, 77, 77, 0, 0]),
        "pt": torch.tensor([1.5, 1.5, 1.5, 0.0, 0.0]),
        "sector": torch.zeros(5),
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def saved(path, content):
    path.parent.mkdir(exist_ok=True, parents=True)
    torch.save(Data.from_dict(content), path)
    return path


def read(path, **options):
    return load_dataset({"source": "acorn", "path": str(path), **options})


def fault_of(path, **options):
    with pytest.raises(InputError) as error:
        read(path, **options)
    (fault,) = error.value.faults
    assert "\n" not in fault
    return fault.replace(f"{path}: ", "").replace(f"{path}/", "")


@pytest.mark.parametrize("form", [columns, prefixed, matrix])
def test_the_three_forms_of_an_event_are_the_same_graph(tmp_path, form):
    graph = read(saved(tmp_path / "event000001000.pyg", form())).graphs[0]
    assert graph_faults(graph) == []
    inner, outer = graph.in_file_order(graph.edge_index.T).T
    assert inner.tolist() == [0, 1, 4, 3]
    assert outer.tolist() == [1, 2, 1, 2]
    assert graph.in_file_order(graph.y).tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(graph.x[:, :3], np.stack([R / 1000, PHI / math.pi, Z / 1000], axis=1), rtol=1e-6)
    np.testing.assert_allclose(graph.pos[:, 0], R * np.cos(PHI), rtol=1e-5)
    assert graph.pid.tolist() == [77, 77, 77, 0, 0]
    assert graph.pt.tolist() == [1.5, 1.5, 1.5, 0, 0]
    assert graph.event == "event000001000"
    assert graph.hit_id.tolist() == ([0, 1, 2, 3, 4] if form is matrix else [5, 6, 7, 8, 9])


def test_truth_comes_from_the_tracks_where_edges_have_none(tmp_path):
    graph = read(saved(tmp_path / "a.pyg", columns(y=None))).graphs[0]
    assert graph.in_file_order(graph.y).tolist() == [1, 1, 0, 0]


def test_scales_units_weights_and_further_features_are_as_told(tmp_path):
    file = saved(tmp_path / "a.pyg", prefixed(hit_r=torch.tensor(R / 1000), hit_phi=torch.tensor(PHI)))
    dataset = read(file, scales=[1000, 1, 1], pt_unit="MeV", weights=True, columns=["eta"])
    graph = dataset.graphs[0]
    assert dataset.metadata.node_features == ("r", "φ", "z", "eta")
    np.testing.assert_allclose(graph.x[:, 0], R / 1000, rtol=1e-6)
    assert graph.x[:, 3].tolist() == [0, 1, 2, 3, 4]
    assert graph.pt[0].item() == pytest.approx(1.5e-3)
    assert graph.in_file_order(graph.edge_weight).tolist() == [1, 2, 0, 1]
    both = read(saved(tmp_path / "c.pt", matrix(weights=torch.arange(8.0))), weights=True).graphs[0]
    assert both.in_file_order(both.edge_weight).tolist() == [1, 3, 5, 7], "the larger of two"
    assert read(saved(tmp_path / "b.pt", matrix()), columns=["x3"]).graphs[0].x[:, 3].tolist() == [0, 1, 2, 3, 4]


def test_folders_inside_a_folder_are_read_and_events_of_one_name_stay_apart(tmp_path):
    for folder in ("trainset", "testset"):
        saved(tmp_path / folder / "event1.pyg", columns())
    saved(tmp_path / "testset" / "event2.pyg", prefixed())
    assert read(tmp_path).events == ("event2", "testset_event1", "trainset_event1")
    assert len(read(tmp_path, events=2).graphs) == 2
    for folder in ("old", "new"):
        saved(tmp_path / "deep" / folder / "run" / "event3.pyg", columns())
    assert read(tmp_path / "deep").events == ("new_run_event3", "old_run_event3")
    assert read(tmp_path / "deep", events=1).events == ("new_run_event3",)
    saved(tmp_path / "deep" / "new" / "run_event3.pyg", columns())
    saved(tmp_path / "deep" / "run_event3.pyg", columns())
    with pytest.raises(
        InputError, match=r"run_event3.pyg: is called new_run_event3, as is .*; allowed: names of their"
    ):
        read(tmp_path / "deep")
    # Without its name the source is known by the files.
    assert load_dataset({"path": str(tmp_path / "testset")}).metadata.source == "acorn"


WRONG = [
    ({"r": None, "phi": None}, "lacks r, phi; allowed: hit_r, hit_phi, hit_z, or a matrix x [hits, features]"),
    ({"r": torch.zeros(3)}, "r has the shape [3]; allowed: [5], one number per hit"),
    ({"z": torch.tensor([0, 1, math.nan, 2, 3])}, "z is nan at hit 2; allowed: finite numbers"),
    ({"hit_id": torch.tensor([5, 6, 7, 6, 9])}, "hit_id 6 stands 2 times, first at hit 1; allowed: once"),
    ({"hit_id": torch.tensor([5, 6, 7.5, 8, 9])}, "hit_id is 7.5 at hit 2; allowed: whole numbers below 16,777,216"),
    ({"z": torch.zeros(5, dtype=torch.bfloat16)}, "z holds bfloat16; allowed: numbers that numpy has"),
    (
        {"edge_index": None},
        "lacks edge_index; allowed: whole numbers [2, edges], or without_edges for a feature store",
    ),
    ({"edge_index": torch.zeros(2, 4)}, "edge_index is float32 [2, 4]; allowed: whole numbers [2, edges]"),
    (
        {"edge_index": torch.tensor([[0, 1, 5, 1]] * 2)},
        "edge_index points outside the 5 hits at edge 2; allowed: 0 … 4",
    ),
    ({"track_edges": torch.tensor([[9], [0]])}, "track_edges points outside the 5 hits at edge 0; allowed: 0 … 4"),
    ({"y": torch.tensor([0, 1, 2, 0])}, "y is 2 at edge 2; allowed: 0 and 1"),
    ({"y": torch.tensor([0, 1])}, "y has the shape [2]; allowed: [4], one number per edge"),
    ({"particle_id": torch.tensor([1])}, "particle_id has the shape [1]; allowed: [2], one number per track edge"),
    ({"z": [1, 2, 3]}, "z is list; allowed: a dense tensor of numbers"),
    (
        {"z": torch.zeros(1).expand(10**12)},
        "z claims 1,000,000,000,000 numbers, more than the file holds; allowed: stored numbers",
    ),
    ({"z": torch.zeros(5).to_sparse()}, "z is SparseTensor; allowed: a dense tensor of numbers"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[message.split(";")[0] for _, message in WRONG])
def test_every_fault_of_a_file_is_named(tmp_path, changes, message):
    saved(tmp_path / "event1.pyg", columns(**changes))
    saved(tmp_path / "event2.pyg", columns())
    assert fault_of(tmp_path) == f"event1.pyg: {message}"
    dataset = read(tmp_path, skip_bad=True)
    assert dataset.events == ("event2",)
    assert dataset.metadata.options["skipped"] == 1


def test_wrong_weights_and_features_are_named(tmp_path):
    file = saved(tmp_path / "a.pyg", prefixed(edge_weights=torch.tensor([1.0, -1, 0, 0])))
    assert fault_of(file, weights=True) == "edge_weights is -1 at edge 1; allowed: finite numbers of 0 or more"
    assert fault_of(file, columns=["charge"]) == "lacks charge; allowed: one number per hit"
    other = saved(tmp_path / "b.pt", matrix())
    assert fault_of(other, columns=["x4"]) == "x has 4 columns, no x4; allowed: x0 … x3"
    assert fault_of(file, scales=[1, 2]) == "data: scales: is [1, 2]; allowed: three positive numbers, for r, φ and z"


class Hostile:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("wrap", [lambda bad: bad, lambda bad: Data.from_dict(columns(config=[bad]))])
def test_a_hostile_file_is_refused_with_one_line_and_runs_nothing(tmp_path, wrap):
    torch.save(wrap(Hostile(tmp_path / "run")), tmp_path / "event1.pyg")
    fault = fault_of(tmp_path)
    assert fault.startswith("event1.pyg: holds more than a graph needs (")
    assert "posix.mkdir" in fault
    assert not (tmp_path / "run").exists()


def compressed(path):
    """A zip bomb: a good file packed again, with a megabyte of zeros."""
    with zipfile.ZipFile(path) as old:
        content = {member.filename: old.read(member) for member in old.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in content.items():
            new.writestr(name, data)
        new.writestr("event/data/99", bytes(10**6))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b""), "is empty; allowed: "),
        (lambda path: path.write_bytes(b"hello"), "is cut short or no file of torch.save; allowed: "),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is cut short or no file of torch.save; "),
        (lambda path: path.write_bytes(pickle.dumps(columns())), "is cut short or no file of torch.save; "),
        (lambda path: torch.save([1, 2], path), "can't be read (holds list, no graph); allowed: "),
        (compressed, "would unpack to 1,"),
    ],
    ids=["empty", "text", "cut", "pickle", "list", "bomb"],
)
def test_foreign_and_damaged_files_are_named(tmp_path, spoil, message):
    file = saved(tmp_path / "event1.pyg", columns())
    spoil(file)
    assert fault_of(tmp_path).startswith(f"event1.pyg: {message}")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    outside = saved(tmp_path / "other" / "event1.pyg", columns())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "event1.pyg").symlink_to(outside)
    expected = f"event1.pyg: is a link out of the folder; allowed: files inside it; allowed: {'event graphs'}"
    assert fault_of(tmp_path / "data").startswith(expected)
    # A link that the user names is what they mean.
    assert len(read(tmp_path / "data" / "event1.pyg").graphs) == 1


def test_predictions_stand_beside_the_files_own_content(tmp_path):
    for form, scores, labels in (
        (columns, "scores", ("labels", "hit_track_labels")),
        (prefixed, "edge_scores", ("labels", "hit_track_labels")),
        (matrix, "scores", ("labels",)),
    ):
        file = saved(tmp_path / f"{form.__name__}.pyg", form())
        graph = read(file).graphs[0]
        probabilities = torch.tensor([0.9, 0.8, 0.1, 0.2])[graph.edge_order]
        target = tmp_path / "out" / file.name
        named = write_predictions(file, target, graph, probabilities, torch.tensor([0, 0, 0, -1, -1]), 0.25)
        assert named is (form is not matrix)
        written = torch.load(target, weights_only=False).to_dict()
        expected = np.repeat([0.9, 0.8, 0.1, 0.2], 2 if form is matrix else 1)
        assert written[scores].tolist() == pytest.approx(expected)
        assert all(written[name].tolist() == [0, 0, 0, -1, -1] for name in labels)
        assert set(written) == {*form(), scores, *labels, *(("time_taken",) if named else ())}
        assert torch.equal(written["edge_index"], form()["edge_index"])
        with pytest.raises(InputError, match="exists already; allowed: a new file"):
            write_predictions(file, target, graph, probabilities, None)
    saved(tmp_path / "matrix.pyg", matrix(edge_index=torch.ones(2, 8, dtype=torch.int64) * torch.tensor([[0], [3]])))
    with pytest.raises(InputError, match="has other edges than the graph that was read from it"):
        write_predictions(tmp_path / "matrix.pyg", tmp_path / "new.pyg", graph, probabilities, None)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 60))
def test_pairs_become_edges_once_and_point_outwards(seed, hits, count):
    random = np.random.default_rng(seed)
    pairs = random.integers(0, hits, (2, count))
    r, z = random.integers(0, 4, hits) * 10.0, random.integers(-2, 3, hits) * 5.0
    edges = undirected(pairs, r, z)
    inner, outer = edges.edge_index
    expected = {frozenset(pair) for pair in pairs.T.tolist()} - {frozenset([k]) for k in range(hits)}
    assert {frozenset(edge) for edge in edges.edge_index.T.tolist()} == expected
    assert len(inner) == len(expected)
    assert (edges.first[1:] > edges.first[:-1]).all()
    assert np.array_equal(pair_keys(edges.edge_index, hits), pair_keys(pairs[:, edges.first], hits))
    order = [(r[k], abs(z[k]), k) for k in range(hits)]
    assert all(order[a] < order[b] for a, b in zip(inner, outer, strict=True))


@pytest.mark.parametrize(("lacking", "label"), [("particle_id", "pid"), ("y", "truth")])
def test_what_one_file_knows_all_know(lacking, label, tmp_path):
    saved(tmp_path / "a" / "e1.pt", matrix())
    path = saved(tmp_path / "a" / "e2.pt", matrix(**{lacking: None})).parent
    assert fault_of(path) == f"e2: lacks {label}, which e1 has; allowed: the same arrays for all events"


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_a_hit_of_two_particles_has_one_of_them_in_any_order_and_is_counted(order, tmp_path, capsys):
    tracks = {
        "track_edges": torch.tensor([[0, 1, 3], [1, 2, 2]])[:, order],
        "track_particle_id": torch.tensor([77, 77, 78])[order],
        "track_particle_pt": torch.tensor([1.5, 1.5, 2.5])[order],
    }
    dataset = load_dataset({"source": "acorn", "path": str(saved(tmp_path / "e.pt", prefixed(**tracks)))})
    (graph,) = dataset.graphs
    assert graph.pid.tolist() == [77, 77, 77, 78, 0]
    assert graph.pt.tolist() == [1.5, 1.5, 1.5, 2.5, 0]
    assert dataset.metadata.options["repaired"]["shared_particles"] == 1
    assert "1 hits of several particles count for the one with the smallest id" in capsys.readouterr().err
