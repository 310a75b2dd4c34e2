"""`archioptrx inspect FILE`: an architecture, a sketch or a bundled name, without data."""

import json
from pathlib import Path

import pytest
import yaml
from test_search_commands import faults

from archioptrx.commands import inspect
from archioptrx.commands.cli import main
from archioptrx.graphs.architecture import Architecture

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "sketch.yaml"


def test_a_sketch_is_shown_as_the_network_it_is(capsys):
    assert main(["inspect", str(EXAMPLE)]) == 0
    shown = capsys.readouterr().out
    graph = Architecture.load(EXAMPLE).graph
    assert str(graph) in shown and graph.fingerprint in shown
    assert "hyperparameters  activation=tanh, depth=4, hidden=64, learning_rate=0.001\n" in shown
    assert "steps            4, executed 15, message-passing rounds 4\n" in shown
    assert "parameters       43,713 (3 channels of hits)\n" in shown


def test_a_bundled_name_as_json(capsys):
    assert inspect.main(["interaction", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["fingerprint"] == Architecture.load("interaction").graph.fingerprint
    assert shown["widths"] == {"hits": 3, "doublet": 5} and shown["parameters"] > 10_000


def test_blocks_of_torch_geometric_are_counted_by_building_them(tmp_path, capsys):
    content = yaml.safe_load(EXAMPLE.read_text())
    content["architecture"]["nodenet"] = {"type": "node", "convolution": {"GATConv": {"heads": 4}}}
    path = tmp_path / "gat.yaml"
    path.write_text(yaml.safe_dump(content))
    assert inspect.main([str(path), "--json"]) == 0
    # input; edgenet of 4 layers on 2 · 67; GATConv: a matrix of 67 · 64, a bias, two vectors for each head.
    edgenet = (134 * 64 + 64) + 2 * (64 * 64 + 64) + (64 + 1) + 3 * 128
    assert json.loads(capsys.readouterr().out)["parameters"] == (4 * 64 + 128) + edgenet + 2 * (67 * 64 + 3 * 64)


def test_a_source_of_unknown_width_is_named(capsys):
    assert inspect.main(["notebook"]) == 0
    assert "parameters       depend on the data (channels of learned)" in capsys.readouterr().out


def test_it_is_drawn(tmp_path, capsys):
    assert inspect.main([str(EXAMPLE), "--draw", str(tmp_path)]) == 0
    assert f"drawn: {tmp_path / 'sketch.svg'}" in capsys.readouterr().out
    assert "edgenet" in (tmp_path / "sketch.svg").read_text() and (tmp_path / "sketch.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("attention", "--functions"), "--functions: is for a search; allowed: a run in place of attention"),
        (("attenshun",), "attenshun: is no folder or file here, and no bundled architecture; allowed: attention, "),
        ((str(EXAMPLE.parents[1] / "README.md"),), f"{EXAMPLE.parents[1] / 'README.md'}: "),
    ],
)
def test_what_is_wrong_is_said_in_a_line(capsys, arguments, message):
    (line,) = faults(capsys, *arguments, main=inspect.main)
    assert line.startswith(message)


def test_a_class_that_does_not_fit_is_said_in_a_line(tmp_path, capsys):
    path = tmp_path / "han.yaml"
    path.write_text(EXAMPLE.read_text().replace("{attention: edgenet}, mlp: true", "HANConv"))
    (line,) = faults(capsys, str(path), main=inspect.main)
    assert line.startswith(f"{path}: ") and "conv: HANConv needs types of hits and edges, which no event has" in line
