"""The sandbox: its sliders, and its notebook from the first cell to the last."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from archioptrx.core.errors import ArchiOpTrXError, InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.sandbox import Controls, build, command, save

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FEWER = {("data", "num_samples"): 60, ("training", "epochs"): 4}
"""Values of sliders: less to train than for a reader."""
NOTEBOOK = EXAMPLES / "sandbox.ipynb"


def test_the_notebook_is_kept_without_results():
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert len(cells) > 10
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    parts = [line for cell in book.cells for line in cell.source.splitlines() if line.startswith("## ")]
    assert [line[3] for line in parts] == list("123456")


def test_the_notebook_runs(tmp_path: Path):
    for name in ("sandbox.ipynb", "sandbox.yaml", "sketch.yaml"):
        shutil.copy(EXAMPLES / name, tmp_path)
    sliders_file = tmp_path / "sandbox.yaml"
    content = yaml.safe_load(sliders_file.read_text(encoding="utf-8"))
    for (section, name), value in FEWER.items():
        content[section][name]["value"] = value
    sliders_file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    book = nbformat.read(tmp_path / "sandbox.ipynb", as_version=4)
    client = NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env={**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLES.parent), *sys.path])})
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    sliders = [output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert (len(pictures), len(sliders)) == (2, 5)
    printed = "".join(output.get("text", "") for output in outputs)
    assert re.search(r"tuned fixes \d+ of the \d+ edges that mine has wrong", printed)
    work = tmp_path / "sandbox/try-1"
    assert len((work / "tuned/trials.jsonl").read_text().splitlines()) == 3  # the sketch as it stands is the first
    assert json.loads((work / "models/mine/metrics.json").read_text())["test"]["auc"]["mean"] > 0.6
    assert Architecture.load(work / "mine.yaml") == Architecture.load(work / "models/mine")


def test_a_slider_stands_where_the_file_says_until_it_is_moved():
    numbers = Controls.load(EXAMPLES / "sandbox.yaml", "architecture")
    assert Architecture.from_dict(build(**numbers.values)).graph.loops
    assert numbers["iterations"] == 2
    numbers.widgets["iterations"].value = 1
    assert not Architecture.from_dict(build(**numbers.values)).graph.loops
    numbers.widgets["iterations"].value = 99
    assert numbers["iterations"] == 6  # no further than `to`


def test_every_section_of_the_file_is_legal_for_what_it_sets():
    methods = Controls.load(EXAMPLES / "sandbox.yaml", "methods")
    for control in methods.controls:
        for choice in control.choices:
            assert Architecture.from_dict(build(node_poolings=1, graph_convolutions=1, methods={control.name: choice}))
    whole = Controls.load(EXAMPLES / "sandbox.yaml", "data")
    assert isinstance(whole["num_samples"], int) and isinstance(whole["curve_min"], float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {a: {value: 9, from: 0, to: 4}}", "data.a.value: is 9; allowed: from 0 to 4"),
        ("data: {a: {value: x, of: [y, z]}}", "data.a.value: is 'x'; allowed: y, z"),
        ("data: {a: {value: 1, from: 0, till: 4}}", "data.a.to: is missing"),
        ("dat: {a: {value: 1, from: 0, to: 4}}", "has no section 'data'; allowed: dat .did you mean dat"),
    ],
)
def test_a_fault_of_the_file_is_said_in_a_line(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        Controls.load(path, "data")


def test_a_slider_that_is_not_there_is_named():
    with pytest.raises(InputError, match="sliders: none is named 'trial'; allowed: trials"):
        Controls.load(EXAMPLES / "sandbox.yaml", "search")["trial"]


def test_an_option_that_there_is_not_is_said_as_any_other_fault(capsys):
    with pytest.raises(ArchiOpTrXError, match="inspect --tops: ended with 2; the reason is printed above"):
        command("inspect --tops")
    assert "see archioptrx inspect --help" in capsys.readouterr().err
    command("inspect --help")
    assert "--top" in capsys.readouterr().out


def test_a_command_that_ends_badly_stops_the_notebook(capsys):
    with pytest.raises(ArchiOpTrXError, match="archioptrx inspect nowhere: ended with 2; the reason is printed above"):
        command("inspect nowhere")
    assert "nowhere: is no folder or file here" in capsys.readouterr().err


def test_only_a_sketch_without_faults_is_saved(tmp_path):
    with pytest.raises(InputError, match=r"mine.yaml: pipeline: nothing is named 'nodes'"):
        save(build(1, 1) | {"pipeline": ["input", "nodes", "edge1", "node1", "answer"]}, tmp_path / "mine.yaml")
    assert not (tmp_path / "mine.yaml").exists()
