"""`archioptrx.load`: a model, and hits in physical units as it wants them."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import SECTORS, saved
from graphs import random_arrays, toy

import archioptrx
from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Metadata, cut_sectors, make_graph
from archioptrx.data.hitgraph import HitGraph
from archioptrx.graphs.architecture import Architecture
from archioptrx.models.export.check import random_event
from archioptrx.models.export.geometry import about_hits
from archioptrx.models.inference import transform


def physical(graph: HitGraph, metadata: Metadata) -> tuple[np.ndarray, np.ndarray]:
    """Hits in mm, rad, mm (φ in the frame of the sector) and edges in the file's order."""
    hits = graph.x.numpy().astype(np.float64) * np.asarray(metadata.node_scale)
    return hits, graph.in_file_order(graph.edge_index.T).T.numpy()


def test_a_model_in_three_lines(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", Architecture.load("attention"))
    loaded = archioptrx.load(folder)
    data = toy(3)
    for graph in data.graphs:
        hits, edges = physical(graph, data.metadata)
        scores = loaded.model(loaded.transform(hits, edges))
        torch.testing.assert_close(scores, graph.in_file_order(loaded.model(graph)), rtol=0, atol=1e-5)
    assert not loaded.model.training
    assert loaded.metadata.sectors == 1 and loaded.task.name == "edge_classification"


def test_the_features_are_those_of_the_sources() -> None:
    arrays = random_arrays(0, 40, 120)
    metadata = Metadata("test", node_scale=(900.0, 0.5, 800.0))
    graph = make_graph(arrays, metadata, "a", 0)
    hits, edges = physical(graph, metadata)
    event = transform(hits, edges, metadata)
    np.testing.assert_array_equal(event.edge_index, arrays["edge_index"])
    torch.testing.assert_close(event.edge_attr, graph.in_file_order(graph.edge_attr), rtol=0, atol=0)
    torch.testing.assert_close(event.x, graph.x, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(event.pos, graph.pos, rtol=1e-6, atol=1e-3)


def test_lengths_of_a_detector_in_units_of_its_own_have_no_bounds() -> None:
    metadata = Metadata("straws", node_scale=(1.0, np.pi, 1.0), own_units=True)
    arrays = random_arrays(0, 40, 120)
    graph = make_graph({**arrays, "x": arrays["x"] * [1e-3, 1, 1e-3]}, metadata, "a", 0)
    event = transform(*physical(graph, metadata), metadata)
    torch.testing.assert_close(event.x, graph.x, rtol=1e-6, atol=1e-9)
    units = [column["unit"] for column in about_hits(metadata)]
    assert units == ["as in the training data", "rad", "as in the training data"]
    assert about_hits(Metadata("test"))[0]["unit"] == "mm"
    with pytest.raises(InputError, match="is it in metres"):
        transform(*physical(graph, metadata), replace(metadata, own_units=False))


def test_hits_of_a_whole_event_go_to_the_sectors_that_the_data_were_cut_into() -> None:
    whole = Metadata("test")
    graph = make_graph(random_arrays(0, 60, 200), whole, "a", 0)
    for parts in (3, 4):
        metadata = Metadata("test", node_scale=(1000.0, np.pi / parts, 1000.0), sectors=parts)
        for piece in cut_sectors(graph, whole, parts):
            middle = -np.pi + (2 * piece.sector + 1) * np.pi / parts
            hits, edges = physical(piece, whole)
            event = transform(hits + np.array([0, middle, 0]), edges, metadata)
            torch.testing.assert_close(event.x[:, 1], piece.x[:, 1] * parts, rtol=0, atol=1e-6)
            torch.testing.assert_close(event.edge_attr, piece.in_file_order(piece.edge_attr), rtol=1e-4, atol=1e-4)


def test_tensors_and_lists_are_taken_too() -> None:
    hits, edges = random_event(np.random.default_rng(0), 3, 9, 20)
    expected = transform(hits, edges, SECTORS)
    for event in (
        transform(torch.tensor(hits), torch.tensor(edges), SECTORS),
        transform(hits.tolist(), edges.tolist(), SECTORS),
    ):
        torch.testing.assert_close(event.x, expected.x)
        torch.testing.assert_close(event.edge_index, expected.edge_index)
    assert transform(hits, np.zeros((2, 0)), SECTORS).num_edges == 0


@pytest.mark.parametrize(
    ("hits", "edges", "fault"),
    [
        (np.zeros((4, 2)), [[0], [1]], r"hits: has the shape \[4, 2\]; allowed: \[hits, 3\]"),
        (np.full((4, 3), np.nan), [[0], [1]], "hits: holds NaN or infinite numbers; allowed: finite ones"),
        (np.zeros((4, 3)), [[0], [4]], "edge_index: points outside the 4 hits; allowed: 0 … 3"),
        (np.zeros((4, 3)), [[-1], [1]], "edge_index: points outside the 4 hits; allowed: 0 … 3"),
        (np.zeros((4, 3)), [[0, 1]], r"edge_index: is \[1, 2\] int64; allowed: \[2, edges\] whole numbers"),
        (np.zeros((4, 3)), [[0.5], [1]], r"edge_index: is \[2, 1\] float64; allowed: \[2, edges\] whole numbers"),
    ],
)
def test_wrong_inputs(hits: np.ndarray, edges: list[list[float]], fault: str) -> None:
    with pytest.raises(InputError, match=f"^{fault}$"):
        transform(hits, edges, SECTORS)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            [0.001, 1, 0.001],
            "hits: the farthest hit has r and |z| up to 0.1 mm; allowed: 5 mm or more; is it in metres?",
        ),
        ([1, 57.3, 1], "hits: φ spans 17.19 rad; allowed: a range of 2π; is it in degrees?"),
        ([-1, 1, 1], "hits: r is -30 mm at hit 0; allowed: 0 or more; is it x, or a radius with a sign?"),
        ([1e4, 1, 1], "hits: r is 1e+06 mm at hit 2; allowed: 0 … 100000 mm"),
    ],
)
def test_hits_in_other_units_are_refused(change: list[float], fault: str) -> None:
    hits = np.array([[30, 5.9, 5], [60, 6.0, 10], [100, 6.2, 15]])
    assert transform(hits, [[0], [1]], SECTORS).num_edges == 1, "φ in any range of 2π"
    with pytest.raises(InputError) as error:
        transform(hits * change, [[0], [1]], SECTORS)
    assert str(error.value) == fault


PAIRS = [
    (
        [[0, 1, 1], [1, 2, 0]],
        "edge_index: edges 0 and 2 join the same hits; allowed: each pair once, from the inner to ",
    ),
    (
        [[0, 0], [1, 1]],
        "edge_index: edges 0 and 1 join the same hits; allowed: each pair once, from the inner to the o",
    ),
    ([[0, 2], [1, 2]], "edge_index: edge 1 joins hit 2 with itself; allowed: two hits"),
]


def test_a_loaded_model_wants_each_pair_once_and_outwards(tmp_path: Path) -> None:
    loaded = archioptrx.load(saved(tmp_path / "model", Architecture.load("interaction")))
    hits = np.array([[30, 0.1, 5], [60, 0.1, 10], [100, 0.1, 15]])
    for edges, fault in PAIRS:
        with pytest.raises(InputError) as error:
            loaded.transform(hits, edges)
        assert str(error.value).startswith(fault)
    with pytest.warns(
        UserWarning, match="^edge_index: 2 of 3 edges lead inwards; the model learned edges from the inner"
    ):
        loaded.transform(hits, [[1, 2, 0], [0, 1, 2]])


def test_there_has_to_be_a_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no model"):
        archioptrx.load(tmp_path)


def test_the_package_alone_loads_no_torch() -> None:
    code = "import sys, archioptrx; archioptrx.load; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
