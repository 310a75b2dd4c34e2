"""Drawings of function graphs with a walk on them, and the pictures of the documentation, which are up to date."""

import subprocess
import sys
from pathlib import Path

import pytest
from test_graph_drawing import GRAPHS, check_clear, texts_of

from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.drawing.function_graph import IDLE, STROKES, Move, draw_walk, moves_of
from archioptrx.graphs.drawing.svg import Text, Way
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.sampling.samplers import RandomSampler
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_and_walks_on_it(name: str) -> None:
    graph = FunctionGraph.load(name)
    names = [*(node.name for node in graph.data), *(function.name for function in graph.functions)]
    sampler = RandomSampler(WalkSpace(graph, SearchSpace.load("full")), 2)
    for trace in (None, *(sampler.draw(number, 0).trace for number in range(6))):
        picture = draw_walk(graph, trace, f"{name}: a walk")
        check_clear(picture)
        texts = texts_of(picture.svg())
        assert all(text in texts for text in names)
        moves = moves_of(trace) if trace else []
        marks = [stroke.text for stroke in picture.strokes if isinstance(stroke, Text) and stroke.fill == "#ffffff"]
        assert sorted(marks, key=int) == [str(number) for number in range(1, len(moves) + 1)]
        assert all((kind in texts) == any(move.kind == kind for move in moves) for kind in STROKES if kind[:3] != "rev")


def test_a_known_walk() -> None:
    architecture, graph = Architecture.load("attention_recursive"), FunctionGraph.load("attention")
    assert architecture.trace is not None
    first = [Move("first walk", *names) for names in (("encode", "hits"), ("shortcut", "x"), ("edge_net", "xs"))]
    assert moves_of(architecture.trace) == [*first, Move("recurrence", "attend", "score")]
    ways = [stroke for stroke in draw_walk(graph, architecture.trace).strokes if isinstance(stroke, Way)]
    counts = {kind: sum(way.line == STROKES[kind][0] for way in ways) - 1 for kind in STROKES}  # less the legend's
    assert counts == {"first walk": 6, "reverse walk": 2, "recurrence": 2, "branch": -1}
    assert sum(way.line == IDLE for way in ways) == 3
    assert not any(way.line == IDLE for way in draw_walk(graph).strokes if isinstance(way, Way))


def test_the_pictures_of_the_documentation_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DOCS / "pictures.py"), str(tmp_path)], check=True)
    pictures = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert {path.name for path in (DOCS / "pictures").iterdir()} == set(pictures)
    for name, text in pictures.items():
        assert (DOCS / "pictures" / name).read_text(encoding="utf-8") == text, "make it again: python docs/pictures.py"
