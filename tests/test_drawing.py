"""Layout and drawing of function graphs: nothing overlaps, arrows keep clear of nodes, the files are pictures."""

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.core.config import bundled_names
from archioptrx.core.errors import InputError
from archioptrx.graphs.drawing.drawing import PASSING, ROW, Course, draw_function_graph, picture
from archioptrx.graphs.drawing.function_columns import bracketed, columns_of
from archioptrx.graphs.drawing.layered_layout import crossings, layered, spread
from archioptrx.graphs.function_graph import FunctionGraph

GRAPHS = bundled_names("function_graphs")


def arrows_of(graph: FunctionGraph) -> list[tuple[str, str]]:
    arrows = [(name, bracketed(f.name)) for f in graph.functions for name in f.inputs]
    return arrows + [(bracketed(f.name), f.output) for f in graph.functions]


@pytest.mark.parametrize("name", GRAPHS)
def test_sources_stand_on_the_left_and_targets_on_the_right(name: str) -> None:
    graph = FunctionGraph.load(name)
    columns = columns_of(graph)
    assert {columns[source] for source in graph.sources} == {0}
    assert {columns[target] for target in graph.targets} == {max(columns.values())}
    assert all(columns[node.name] % 2 == 0 for node in graph.data)
    assert all(columns[bracketed(function.name)] % 2 == 1 for function in graph.functions)
    assert all(abs(columns[bracketed(f.name)] - columns[f.output]) >= 1 for f in graph.functions)


@pytest.mark.parametrize("name", GRAPHS)
def test_texts_lie_inside_the_picture_and_do_not_overlap(name: str) -> None:
    graph = FunctionGraph.load(name)
    course = Course("probability", {function.name: [0.5, None, 0.25] for function in graph.functions})
    figure = picture(graph, f"{name}: what a sampler has learned", course)
    figure.canvas.draw()
    whole = figure.bbox
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) >= 2 * len(graph.data) + 2 * len(graph.functions) + 1
    for number, box in enumerate(boxes):
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_long_names_stay_inside() -> None:
    content = FunctionGraph.load("attention").to_dict()
    content["functions"]["a_function_with_quite_a_long_name"] = content["functions"].pop("edge_net")
    graph = FunctionGraph.from_dict(content)
    figure = picture(graph, "a title " * 40, Course("share", {"a_function_with_quite_a_long_name": [1.0]}))
    figure.canvas.draw()
    texts = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    assert texts["a title " * 40].x1 <= figure.bbox.x1
    assert not texts["a_function_with_quite_a_long_name"].overlaps(texts["1.00"])


digraphs = st.integers(2, 12).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(0, 4), min_size=count, max_size=count),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=20),
    )
)


@given(digraphs)
def test_items_of_a_column_keep_their_distances(digraph: tuple[list[int], list[tuple[int, int]]]) -> None:
    places, pairs = digraph
    columns = {f"n{number}": column for number, column in enumerate(places)}
    arrows = [(f"n{a}", f"n{b}") for a, b in pairs if places[a] != places[b]]
    layout = layered(columns, arrows, ROW, PASSING)
    assert set(layout.height) == set(columns) and set(layout.ways) == set(arrows)
    for (start, end), way in layout.ways.items():
        steps = [columns[start], *(column for column, _ in way), columns[end]]
        assert all(abs(a - b) == 1 for a, b in pairwise(steps)) and len(steps) == abs(steps[0] - steps[-1]) + 1
    items = [(columns[name], height, ROW) for name, height in layout.height.items()]
    items += [(column, height, PASSING) for way in layout.ways.values() for column, height in way]
    for (one, low, size), (other, high, room) in pairwise(sorted(items)):
        assert one != other or high - low >= (size + room) / 2 - 1e-6


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(0.1, 2), st.floats(0.5, 3)), min_size=1, max_size=8))
def test_spread_moves_nothing_that_has_room(rows: list[tuple[float, float, float]]) -> None:
    offsets = [sum(step for _, step, _ in rows[1 : number + 1]) for number in range(len(rows))]
    weights = [weight for _, _, weight in rows]
    places = spread([wish for wish, _, _ in rows], offsets, weights)
    assert all(b - a >= offsets[i + 1] - offsets[i] - 1e-9 for i, (a, b) in enumerate(pairwise(places)))
    assert spread(places, offsets, weights) == pytest.approx(places)


def test_rows_are_ordered_so_that_fewer_arrows_cross() -> None:
    columns = {"a": 0, "b": 0, "c": 0, "x": 1, "y": 1, "z": 1}
    layout = layered(columns, [("a", "z"), ("b", "y"), ("c", "x")])
    left, right = (sorted(names, key=layout.height.__getitem__) for names in (("a", "b", "c"), ("x", "y", "z")))
    near = {"a": ["z"], "b": ["y"], "c": ["x"], "x": ["c"], "y": ["b"], "z": ["a"]}
    assert crossings([["a", "b", "c"], ["x", "y", "z"]], near) == 3
    assert crossings([left, right], near) == 0


def test_two_files_are_written_into_a_new_folder(tmp_path: Path) -> None:
    graph = FunctionGraph.load("attention")
    paths = draw_function_graph(graph, tmp_path / "new" / "drawings", "attention", Course("share", {"attend": [0.4]}))
    assert [path.name for path in paths] == ["functions.svg", "functions.png"]
    assert ElementTree.parse(paths[0]).getroot().tag.endswith("svg")
    assert paths[1].read_bytes().startswith(b"\x89PNG") and paths[1].stat().st_size > 10_000


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            InputError, match=r"file.*: (is a file; allowed: a folder|can't be written: not a directory)"
        ):
            draw_function_graph(FunctionGraph.load("attention"), place, "attention")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_scale_ends_at_the_largest_value() -> None:
    assert Course("share", {}).top == 0.1
    assert Course("share", {"a": [0.31, None], "b": [0.2]}).top == 0.4
    assert Course("share", {"a": [0.3]}).top == 0.3
    assert Course("share", {"a": [1.0]}).top == 1.0
    assert Course("share", {"a": [0.3, None]}).now("a") is None and Course("share", {}).now("a") is None
