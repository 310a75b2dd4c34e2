"""Layout and drawing of function graphs: nothing overlaps, arrows keep clear of nodes, courses show their numbers."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_graph_drawing import check_clear, texts_of

from archioptrx.core.config import bundled_names
from archioptrx.core.errors import InputError
from archioptrx.graphs.drawing.course import HEIGHT, POINTS, Course
from archioptrx.graphs.drawing.function_graph import bracketed, draw_course, draw_walk, ranks_of
from archioptrx.graphs.drawing.layered_layout import crossings, layered, spread
from archioptrx.graphs.drawing.network import BACK
from archioptrx.graphs.drawing.svg import INK, Outline, Picture, Way
from archioptrx.graphs.function_graph import FunctionGraph

GRAPHS = bundled_names("function_graphs")


def curves_of(picture: Picture) -> list[Way]:
    """Curves in the boxes, without that of the legend."""
    return [stroke for stroke in picture.strokes if isinstance(stroke, Way) and stroke.layer == 4]


def boxes_of(picture: Picture) -> list[Outline]:
    """Boxes of functions with a course."""
    return [stroke for stroke in picture.strokes if isinstance(stroke, Outline) and stroke.height == HEIGHT]


@pytest.mark.parametrize("name", GRAPHS)
def test_sources_stand_at_the_top_and_targets_at_the_bottom(name: str) -> None:
    graph = FunctionGraph.load(name)
    ranks = ranks_of(graph)
    assert {ranks[source] for source in graph.sources} == {0}
    assert {ranks[target] for target in graph.targets} == {max(ranks.values())}
    assert all(ranks[node.name] % 2 == 0 for node in graph.data)
    assert all(ranks[bracketed(function.name)] % 2 == 1 for function in graph.functions)
    assert all(abs(ranks[bracketed(f.name)] - ranks[f.output]) >= 1 for f in graph.functions)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_course_is_clear_and_shows_the_last_values(name: str) -> None:
    graph = FunctionGraph.load(name)
    values = {function.name: [0.5, None, (number + 1) / 100] for number, function in enumerate(graph.functions)}
    picture = draw_course(graph, Course("probability", values), f"{name}: what a sampler has learned")
    curves = curves_of(picture)
    check_clear(replace(picture, strokes=tuple(stroke for stroke in picture.strokes if stroke not in curves)))
    texts = texts_of(picture.svg())
    assert all(function.name in texts and f"{values[function.name][-1]:.2f}" in texts for function in graph.functions)
    assert "0 … 0.5: probability now" in texts and len(curves) == len(boxes_of(picture)) == len(graph.functions)
    for curve in curves:
        (x, top), (right, bottom) = (point for part in curve.points for point in part)
        box = next(b for b in boxes_of(picture) if abs(b.at[0] - x) < b.width / 2 and abs(b.at[1] - top) < HEIGHT / 2)
        assert top < bottom < box.at[1] + HEIGHT / 2 and x < right < box.at[0] + box.width / 2


def test_a_function_without_a_value_is_dashed_and_one_with_the_largest_is_dark() -> None:
    graph = FunctionGraph.load("attention")
    picture = draw_course(graph, Course("share", {"attend": [0.4], "encode": [0.2, None], "edge_net": [0.0, 0.0]}))
    fills = [(box.fill, box.dashed) for box in boxes_of(picture)]
    assert fills.count(("#f28e2b", False)) == 1 and fills.count(("#ffffff", False)) == 1
    assert fills.count(("#ffffff", True)) == len(graph.functions) - 2
    assert len(curves_of(picture)) == 1, "one value is a dot"


def test_a_long_course_has_few_points_and_ends_with_the_last_value() -> None:
    graph = FunctionGraph.load("attention")
    (curve,) = curves_of(draw_course(graph, Course("share", {"attend": [0.0] * 5000 + [1.0]})))
    heights = [point[1] for part in curve.points for point in part]
    assert len(heights) == POINTS and heights[-1] == min(heights) < max(heights)


def test_long_names_and_titles_have_room() -> None:
    content = FunctionGraph.load("attention").to_dict()
    content["functions"]["a_function_with_quite_a_long_name"] = content["functions"].pop("edge_net")
    graph = FunctionGraph.from_dict(content)
    check_clear(draw_course(graph, Course("share", {"a_function_with_quite_a_long_name": [1.0]}), "a title " * 40))


def test_arrows_back_have_a_colour_of_their_own() -> None:
    colours = [stroke.line for stroke in draw_walk(FunctionGraph.load("attention")).strokes if isinstance(stroke, Way)]
    assert set(colours) == {INK, BACK} and colours.count(BACK) == 3  # score -> attend -> x, and the legend


digraphs = st.integers(2, 12).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(0, 4), min_size=count, max_size=count),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=20),
    )
)


@given(digraphs)
def test_items_of_a_rank_keep_their_distances(digraph: tuple[list[int], list[tuple[int, int]]]) -> None:
    places, pairs = digraph
    ranks = {f"n{number}": rank for number, rank in enumerate(places)}
    arrows = [(f"n{a}", f"n{b}") for a, b in pairs if places[a] != places[b]]
    rooms = {name: 20.0 + 3 * number for number, name in enumerate(ranks)}
    layout = layered(ranks, arrows, rooms, 9.0)
    assert set(layout.x) == set(ranks) and set(layout.ways) == set(arrows)
    for (start, end), way in layout.ways.items():
        steps = [ranks[start], *(rank for rank, _ in way), ranks[end]]
        assert all(abs(a - b) == 1 for a, b in pairwise(steps)) and len(steps) == abs(steps[0] - steps[-1]) + 1
    items = [(ranks[name], x, rooms[name]) for name, x in layout.x.items()]
    items += [(rank, x, 9.0) for way in layout.ways.values() for rank, x in way]
    for (rank, low, size), (next_rank, high, room) in pairwise(sorted(items)):
        assert rank != next_rank or high - low >= (size + room) / 2 - 1e-6


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(0.1, 2), st.floats(0.5, 3)), min_size=1, max_size=8))
def test_spread_moves_nothing_that_has_room(rows: list[tuple[float, float, float]]) -> None:
    offsets = [sum(step for _, step, _ in rows[1 : number + 1]) for number in range(len(rows))]
    weights = [weight for _, _, weight in rows]
    places = spread([wish for wish, _, _ in rows], offsets, weights)
    assert all(b - a >= offsets[i + 1] - offsets[i] - 1e-9 for i, (a, b) in enumerate(pairwise(places)))
    assert spread(places, offsets, weights) == pytest.approx(places)


def test_ranks_are_ordered_so_that_fewer_arrows_cross() -> None:
    ranks = {"a": 0, "b": 0, "c": 0, "x": 1, "y": 1, "z": 1}
    layout = layered(ranks, [("a", "z"), ("b", "y"), ("c", "x")], dict.fromkeys(ranks, 1.0), 0.4)
    left, right = (sorted(names, key=layout.x.__getitem__) for names in (("a", "b", "c"), ("x", "y", "z")))
    near = {"a": ["z"], "b": ["y"], "c": ["x"], "x": ["c"], "y": ["b"], "z": ["a"]}
    assert crossings([["a", "b", "c"], ["x", "y", "z"]], near) == 3
    assert crossings([left, right], near) == 0


def test_two_files_are_written_and_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    picture = draw_course(FunctionGraph.load("attention"), Course("share", {"attend": [0.4, 0.2]}), "attention")
    paths = picture.save(tmp_path / "new", "functions")
    assert [path.name for path in paths] == ["functions.svg", "functions.png"]
    assert paths[1].read_bytes().startswith(b"\x89PNG") and paths[1].stat().st_size > 10_000
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"below: can't be written: not a directory"):
        picture.save(tmp_path / "file" / "below", "functions")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_scale_ends_at_the_largest_value() -> None:
    assert Course("share", {}).top == 0.1
    assert Course("share", {"a": [0.31, None], "b": [0.2]}).top == 0.4
    assert Course("share", {"a": [0.3]}).top == 0.3
    assert Course("share", {"a": [1.0]}).top == 1.0
    assert Course("share", {"a": [0.3, None]}).now("a") is None and Course("share", {}).now("a") is None
