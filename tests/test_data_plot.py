"""Pictures of data sets: their numbers are right, each kind of file is written, bad endings are refused early."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.core.own_files import check_replaceable
from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.hitgraph import subgraph
from archioptrx.data.plot import MOST_EDGES, count_events, data_figure, eta_sectors, plot, some, whole_event
from archioptrx.data.sources import load_dataset

SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
CHAIN = np.array([[0, 1, 2, 4, 6, 1], [1, 2, 3, 5, 7, 5]])
CHAIN_TRUE = np.array([1, 1, 1, 1, 1, 0])


def chains(pid: list[int] | None = None, event: str = "one", sector: int = 0, sectors: int = 1) -> Dataset:
    """One chain of four hits, two of two hits, and a false edge; hits on the x axis of the sector."""
    metadata = Metadata("toy", node_scale=(1000.0, np.pi / sectors, 1000.0), sectors=sectors)
    x = np.zeros((8, 3))
    x[:, 0] = 0.1 * (np.arange(8) + 1)
    known = np.ones(8, dtype=bool) if pid is None else np.array(pid) > 0
    true = CHAIN_TRUE * known[CHAIN].any(axis=0)  # no true edge joins two hits of noise
    content = {"x": x, "edge_index": CHAIN, "y": true, "pid": pid}
    return Dataset((make_graph(content, metadata, event, sector),), metadata)


def test_tracks_are_particles_with_three_hits_or_chains_of_three() -> None:
    (counts,) = count_events(chains())
    assert (counts.tracks, counts.hits, counts.edges, counts.true) == (1, 8, 6, 5)
    (counts,) = count_events(chains([1, 1, 1, 2, 2, 2, 3, 0]))
    assert counts.tracks == 2


def test_sectors_of_an_event_are_counted_together() -> None:
    graphs = [chains([5, 5, 0, 0, 0, 0, 0, 0], event, sector).graphs[0] for event in "ab" for sector in (0, 1)]
    counts = count_events(Dataset(tuple(graphs), Metadata("toy")))
    assert [(c.name, c.graphs, c.hits) for c in counts] == [("a", (0, 1), 16), ("b", (2, 3), 16)]
    # Two hits in each of two sectors are one track.
    assert [c.tracks for c in counts] == [1, 1]


@pytest.mark.parametrize("source", [{}, {"source": "line_graph"}])
def test_hits_and_edges_of_overlapping_sectors_are_counted_once(source) -> None:
    of = {"source": "helix", "events": 2, "particles": 20, "seed": 5}
    whole = load_dataset({**source, "of": of} if source else of)
    twice = Dataset(
        tuple(part for graph in whole.graphs for part in (graph, subgraph(graph, graph.x[:, 0] > 0))), whole.metadata
    )
    assert [(c.tracks, c.hits, c.edges, c.true) for c in count_events(twice)] == [
        (c.tracks, c.hits, c.edges, c.true) for c in count_events(whole)
    ]


def test_sectors_are_turned_to_their_places() -> None:
    graphs = [chains(sector=sector, sectors=4).graphs[0] for sector in range(4)]
    picture = whole_event(graphs, 4)
    assert picture.pos.shape == (32, 3)
    angles = np.arctan2(picture.pos[:, 1], picture.pos[:, 0]).reshape(4, 8)
    assert np.allclose(angles, np.radians([-135, -45, 45, 135])[:, None])
    assert (picture.edges == np.concatenate([g.edge_index + 8 * k for k, g in enumerate(graphs)], axis=1)).all()
    pair = [chains(sector=sector, sectors=2).graphs[0] for sector in (2, 3)]
    angles = np.arctan2(*whole_event(pair, 2, eta_sectors=2).pos[:, 1::-1].T)
    assert np.allclose(angles, np.pi / 2)


@pytest.mark.parametrize(("sectors", "numbers", "parts"), [(1, [0], 1), (4, [0, 3], 1), (4, [2, 7], 2), (2, [5], 3)])
def test_parts_in_eta_are_known_without_being_told(sectors: int, numbers: list[int], parts: int) -> None:
    graphs = tuple(chains(sector=number, sectors=sectors).graphs[0] for number in numbers)
    assert eta_sectors(Dataset(graphs, Metadata("toy", sectors=sectors))) == parts


def test_published_halves_of_sectors_lie_where_they_were(shared_data: Path) -> None:
    dataset = load_dataset({"path": str(shared_data / "hitgraphs_nocut")})
    picture = whole_event(dataset.graphs, dataset.metadata.sectors, eta_sectors(dataset))
    sector = np.repeat(np.arange(16) // 2, [len(graph.x) for graph in dataset.graphs])
    middle = (2 * sector + 1 - 8) * np.pi / 8
    away = np.arctan2(picture.pos[:, 1], picture.pos[:, 0]) - middle
    assert np.abs(away).max() < np.pi / 8 + 1e-5


@given(st.integers(0, 10**6), st.integers(1, 10**4))
def test_no_more_than_so_many_are_drawn_and_not_far_fewer(count: int, most: int) -> None:
    drawn = len(range(count)[some(count, most)])
    assert drawn <= most
    assert drawn >= min(count, most / 2)


def test_the_picture_says_what_it_shows() -> None:
    dataset = load_dataset({"source": "toy", "num_samples": 9})
    figure = data_figure(dataset)
    texts = [t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    median = sorted(count_events(dataset), key=lambda c: (c.edges, c.name))[4]
    assert "toy: 9 events, 9 graphs" in texts
    assert f"{median.true} true edges" in texts
    assert f"{median.edges - median.true} false edges" in texts
    assert any(text.startswith(f"{median.name}: the event of median size") for text in texts)
    assert {"x, mm", "y, mm", "r, mm", "events", "hits"} <= set(texts)
    lines = [sum(len(c.get_segments()) for c in axis.collections[:2]) for axis in figure.axes[4:]]
    assert lines == [median.edges, median.edges]


def test_of_a_large_event_a_part_of_the_edges_is_drawn() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (1000, 3)) * (0.5, 1, 1) + (0.5, 0, 0)
    outwards = np.argsort(x[:, 0])[np.stack(np.triu_indices(1000, 1))]
    edges = random.permutation(outwards, axis=1)[:, : 3 * MOST_EDGES]
    content = {"x": x, "edge_index": edges, "y": np.arange(3 * MOST_EDGES) % 2}
    figure = data_figure(Dataset((make_graph(content, Metadata("toy"), "large", 0),), Metadata("toy")))
    drawn = [len(c.get_segments()) for c in figure.axes[4].collections[:2]]
    assert sum(drawn) == MOST_EDGES
    assert all(abs(n - MOST_EDGES / 2) < MOST_EDGES / 10 for n in drawn)
    labels = [c.get_label() for c in figure.axes[4].collections[:2]]
    assert labels == [f"{3 * MOST_EDGES // 2:,} {kind} edges (1 in 3 drawn)" for kind in ("false", "true")]


@pytest.mark.parametrize("kind", sorted(SIGNATURES))
def test_each_kind_of_file_is_written(kind: str, tmp_path, capsys) -> None:
    path = tmp_path / "pictures" / f"toy.{kind}"
    assert main(["toy", "--num-samples", "2", "--plot", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["graphs"] == 2
    assert captured.err.splitlines() == [f"drawn to {path}"]
    assert path.read_bytes().startswith(SIGNATURES[kind])
    check_replaceable(path)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("toy.jpg", "ends in .jpg; allowed: png, svg, pdf"),
        ("toy", "ends in nothing; allowed: png, svg, pdf"),
        ("folder.png", "is a folder; allowed: a file that ends in .png, .svg or .pdf"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_before_any_work(name: str, fault: str, tmp_path, capsys) -> None:
    (tmp_path / "folder.png").mkdir()
    path, output = tmp_path / name, tmp_path / "output"
    assert main(["toy", "--num-samples", "2", "--plot", str(path), "--output", str(output)]) == 2
    assert capsys.readouterr().err.splitlines() == [f"--plot {path}: {fault}"]
    assert not output.exists()


def test_a_file_that_cannot_be_written_is_one_line(tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert main(["toy", "--num-samples", "2", "--plot", str(tmp_path / "file" / "toy.png")]) == 2
    assert "toy.png: can't be written: " in capsys.readouterr().err


def test_a_picture_from_python_has_a_legal_ending_too(tmp_path) -> None:
    with pytest.raises(InputError, match=r"ends in \.gif; allowed: png, svg, pdf"):
        plot(chains(), tmp_path / "toy.gif")
