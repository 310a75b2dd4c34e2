"""Drawings of computation graphs: all of a graph is there, nothing overlaps, arrows keep clear of boxes."""

import math
import random
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import computation_graph

from archioptrx.core.config import bundled_names
from archioptrx.core.errors import InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.drawing.network import draw_architecture, picture_of, svg_of
from archioptrx.graphs.drawing.svg import Outline, Picture, Text, Way
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import BackEdge, DataType, Step
from archioptrx.sampling.samplers import RandomSampler
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

REFERENCES = bundled_names("experiments/architectures")
GRAPHS = bundled_names("function_graphs")


def sampled(name: str, number: int) -> ComputationGraph:
    space = WalkSpace(FunctionGraph.load(name), SearchSpace.load("full"))
    return RandomSampler(space, 5).draw(number, 0).graph


def texts_of(svg: str) -> list[str]:
    tag = "{http://www.w3.org/2000/svg}text"
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(tag)]


def check_complete(graph: ComputationGraph) -> None:
    """Each value, width, function and count occurs as often as it should."""
    texts = texts_of(svg_of(graph, legend=False))
    for name in graph.values:
        assert texts.count(name) >= 1, name
    for name in {step.function for step in graph.steps}:
        assert texts.count(name) >= sum(step.function == name for step in graph.steps), name
    widths = [str(graph.type_of(value).width) for value in range(len(graph.values))]
    assert all(texts.count(width) >= widths.count(width) for width in widths)
    counts = [f"× {loop.iterations}" for loop in graph.loops]
    assert sorted(text for text in texts if text.startswith("× ")) == sorted(counts)


def check_clear(picture: Picture) -> None:
    """No two shapes of one layer overlap, no two texts, and all lie inside; no line crosses a shape or a text."""
    shapes = [s for s in picture.strokes if isinstance(s, Outline) and s.layer == 2]
    rooms = [
        (s.at[0] - s.width / 2, s.at[1] - s.height / 2, s.at[0] + s.width / 2, s.at[1] + s.height / 2) for s in shapes
    ]
    texts = [s.room for s in picture.strokes if isinstance(s, Text)]
    for left, top, right, bottom in [*rooms, *texts]:
        assert left >= 0 and top >= 0 and right <= picture.width and bottom <= picture.height
    for group in (rooms, texts):
        assert not any(overlap(room, other) for room, other in combinations(group, 2))
    boxes = [room for room, shape in zip(rooms, shapes, strict=True) if shape.radius is not None]
    ovals = [shape for shape in shapes if shape.radius is None]
    for way in (s for s in picture.strokes if isinstance(s, Way)):
        for x, y in points_along(way)[1:-1]:
            assert not any(a + 1 < x < c - 1 and b + 1 < y < d - 1 for a, b, c, d in [*boxes, *texts])
            assert all(math.hypot((x - s.at[0]) * 2 / s.width, (y - s.at[1]) * 2 / s.height) > 0.95 for s in ovals)


def overlap(room: tuple[float, ...], other: tuple[float, ...]) -> bool:
    near = 0.01
    return (
        room[0] < other[2] - near
        and other[0] < room[2] - near
        and room[1] < other[3] - near
        and other[1] < room[3] - near
    )


def points_along(way: Way) -> list[tuple[float, float]]:
    """Twenty places on each part of a line."""
    places, start = [way.points[0][0]], way.points[0][0]
    for part in way.points[1:]:
        a, b, c, d = (start, *part) if len(part) == 3 else (start, start, part[0], part[0])
        for number in range(1, 21):
            t = number / 20
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            x, y = (sum(w * p[axis] for w, p in zip(weights, (a, b, c, d), strict=True)) for axis in (0, 1))
            places.append((x, y))
        start = d
    return places


@pytest.mark.parametrize("name", REFERENCES)
def test_references(name: str) -> None:
    architecture = Architecture.load(name)
    check_complete(architecture.graph)
    check_clear(picture_of(architecture.graph, {"hits": 3}, architecture.hyperparameters, name))
    # A page holds dozens of them.
    boxes = len(architecture.graph.steps) + len(architecture.graph.sources)
    assert len(svg_of(architecture.graph, {"hits": 3}, architecture.hyperparameters, name).encode()) < 1_000 * boxes


@pytest.mark.parametrize("name", GRAPHS)
def test_samples_of_the_bundled_function_graphs(name: str) -> None:
    for number in range(6):
        graph = sampled(name, number)
        check_complete(graph)
        check_clear(picture_of(graph, title=f"{name} {number}"))


@settings(max_examples=50)
@given(st.randoms(use_true_random=False))
def test_any_graph(rng: random.Random) -> None:
    graph = computation_graph(rng)
    check_complete(graph)
    check_clear(picture_of(graph, title="any"))
    assert svg_of(graph) == svg_of(graph)


def test_numbers_stand_on_the_arrows_where_they_are_known() -> None:
    architecture = Architecture.load("attention_recursive")
    texts = texts_of(svg_of(architecture.graph, {"hits": 3, "target": 1}, architecture.hyperparameters))
    assert {"3", "64", "67", "1", "× 4", "(5 passes)"} <= set(texts)
    assert "hidden + hits" in texts_of(svg_of(architecture.graph, {"hits": 3}))


def test_two_files_are_written(tmp_path: Path) -> None:
    graph = Architecture.load("attention_recursive").graph
    paths = draw_architecture(graph, tmp_path / "new" / "folder", "one", title="a <title> & $more$")
    assert [path.name for path in paths] == ["one.svg", "one.png"]
    assert ElementTree.parse(paths[0]).getroot().get("aria-label") == "a <title> & $more$"
    assert paths[1].read_bytes().startswith(b"\x89PNG") and paths[1].stat().st_size > 10_000
    first = [path.read_bytes() for path in paths]
    draw_architecture(graph, tmp_path / "new" / "folder", "one", title="a <title> & $more$")
    assert [path.read_bytes() for path in paths] == first
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file: is a file; allowed: a folder"):
        draw_architecture(graph, tmp_path / "file", "one")


def test_steps_that_share_weights_have_the_same_mark() -> None:
    types = (DataType("hits", "node", Width.of("hits"), "x"), DataType("x", "node", Width.of("hidden")))
    steps = [Step("one", "mlp", (0,), "x", (), "first"), Step("same", "mlp", (1,), "x", (), "tied")]
    steps += [Step("same", "mlp", (2,), "x", (), "tied", True), Step("twice", "concat", (3, 3), "x")]
    graph = ComputationGraph(types, ("hits",), tuple(steps), (BackEdge(3, 2, 4),), (4,))
    picture = picture_of(graph)
    check_clear(picture)
    texts = texts_of(picture.svg())
    assert texts.count("A") == 3 and texts.count("B") == 0 and "same weights: tied" in texts  # two steps, the legend
    assert any("x3 twice" in text or "x2 twice" in text for text in texts)
    assert texts.count("own weights each pass") == 1
    assert {"× 4", "iterations", "(5 passes)"} <= set(texts)
