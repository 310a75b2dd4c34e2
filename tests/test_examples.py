"""What lies in `examples/` does what it says, by the commands that stand in it, only with less to train."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import processes
import pytest
import yaml

from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.runs.experiment import load_experiment

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
LESS = "--backend local --trials 2 --epochs 1 --seed 0 --set retrain.top=1 --set retrain.seeds=1"
FEWER = {
    "custom_block": "--set data.num_samples=9",
    "custom_parts": "--set data.num_samples=9",
    "custom_function_graph": "--set data.events=9",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the examples: what a command writes doesn't go there."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


def typed(name: str) -> list[str]:
    """The commands in the text at the head of an example, without what they are said to do."""
    suffix = ".yaml" if name == "custom_function_graph" else ".py"
    text = (EXAMPLES / f"{name}{suffix}").read_text(encoding="utf-8")
    return [line.split("  #")[0].strip() for line in re.findall(r"^(?:#| )   +((?:archioptrx|python) .*)", text, re.M)]


def call(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, and return what came of it."""
    return processes.call(command, folder, {"PATH": "", "ARCHIOPTRX_TRUST": str(folder / "trusted")})


def run(folder: Path, command: str) -> str:
    """The same, where it has to go well."""
    return processes.run(command, folder, {"PATH": ""})


@pytest.mark.parametrize("name", ["custom_data", "custom_block", "custom_function_graph", "custom_parts"])
def test_the_commands_of_an_example_work_and_find_a_network(folder, name):
    commands = typed(name)
    assert len(commands) >= 2
    used = any(re.search(r" (evaluate|export|predict) run ?", command) for command in commands)
    for command in commands:
        output = "" if used else "--output run"  # commands that use a run have to say where it is written
        run(folder, f"{command} {LESS} {FEWER.get(name, '')} {output}" if " search " in command else command)
    ended = [json.loads(line) for line in (folder / "run" / "trials.jsonl").read_text().splitlines()]
    assert [row["status"] for row in ended] == ["finished"] * 2
    assert (folder / "run" / "best" / "weights.pt").is_file()
    assert re.search(r"^ +auc +0\.\d+$", run(folder, "archioptrx evaluate run"), re.M)


def test_own_parts_leave_what_they_write(folder):
    run(folder, f"archioptrx train interaction --set imports=[custom_parts] {FEWER['custom_parts']} "
                "--set task.tracks=greedy --track lines --epochs 2 --output models/first")  # fmt: skip
    written = [json.loads(line) for line in (folder / "models" / "lines.jsonl").read_text().splitlines()]
    assert [(row["trial"], row["epoch"]) for row in written] == [("first", 1), ("first", 2)]
    run(folder, "archioptrx export models/first --format weights --output first.npz")
    assert (folder / "first.npz").is_file()


def test_an_own_task_and_own_metrics_are_searched_for(folder):
    own, edges = typed("custom_task")
    run(folder, f"{own} {LESS} --output run --set data.events=12")
    run(folder, f"{edges} {LESS} --output edges --set data.num_samples=20")
    for name, metric in (("run", "noise_rejection"), ("edges", "fast_efficiency")):
        evaluation = json.loads(run(folder, f"archioptrx evaluate {name} --json"))
        assert 0 <= evaluation[metric] <= 1
        rows = [json.loads(line) for line in (folder / name / "trials.jsonl").read_text().splitlines()]
        assert [row["score"] == row["metrics"][metric] for row in rows] == [True] * 2
    run(folder, "archioptrx inspect run --html run.html")
    assert "Probabilities of hits" in (folder / "run.html").read_text(encoding="utf-8")


def test_own_data_are_looked_at_found_by_their_files_and_refused_in_one_line(folder):
    run(folder, "python custom_data.py events")
    shown = json.loads(run(folder, "archioptrx data straws events --imports custom_data --json"))
    assert (shown["events"], shown["hits"], shown["metadata"]["source"]) == (20, 2000, "straws")
    own = "--set imports=[custom_data] --set 'data={source: straws, path: events, window: 0.1}'"
    run(folder, f"archioptrx train interaction {own} --epochs 1 --output model")
    evaluated = json.loads(run(folder, "archioptrx evaluate model --data events --json"))
    assert 0 < evaluated["auc"] < 1
    for options, message in (
        ("--imports custom_data --window 0", "data: window: is 0; allowed: above 0\n"),
        ("--imports custom_data --window x", "--window: is 'x'; allowed: a number\n"),
        ("--imports no_such_module", "imports: no_such_module: can't be imported: ModuleNotFoundError"),
        ("", "SOURCE: is 'straws'; allowed: acorn, "),
    ):
        done = call(folder, f"archioptrx data straws events {options}")
        assert done.returncode == 2, options
        assert message in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


def test_an_own_source_without_its_module_is_named(folder):
    done = call(folder, "archioptrx search quickstart --set imports=[no_such] --set 'data={source: straws}'")
    assert done.returncode == 2
    assert done.stderr.startswith("imports: no_such: can't be imported"), done.stderr
    assert done.stderr.count("\n") == 1
    done = call(folder, "archioptrx search quickstart --set imports=[custom_data] --set 'data={source: straws}'")
    assert done.stderr == "--set data.path: is missing; allowed: a path, also as --data PATH\n"


def test_the_function_graph_never_sees_where_a_hit_is():
    graph = FunctionGraph.load(EXAMPLES / "custom_function_graph.yaml")
    assert [node.field for node in graph.data if node.name in graph.sources] == ["edge_attr"]
    experiment = load_experiment(EXAMPLES / "custom_experiment.yaml")
    assert (EXAMPLES / experiment.function_graph).is_file()


def test_the_sketch_is_searched_and_trained(folder):
    """The talk's network, from its sketch: the one architecture of a search, and trained alone."""
    few = "--set data.num_samples=20"
    done = call(folder, f"archioptrx search quickstart --architecture sketch.yaml {few} {LESS} --output run")
    assert done.returncode == 0, done.stderr
    reference = Architecture.load("attention_recursive").graph.fingerprint
    rows = [json.loads(line) for line in (folder / "run" / "trials.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and {row["fingerprint"] for row in rows} == {reference}
    done = call(folder, "archioptrx train sketch.yaml --epochs 1 --set data.num_samples=20 --output model --json")
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout)["test"]["auc"]["mean"] <= 1


def test_the_citation_has_what_the_format_asks_for():
    """Keys of the Citation File Format 1.2.0 (https://citation-file-format.github.io)."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert all(set(author) & {"name", "family-names"} for author in cited["authors"])
    version = re.search(r'__version__ = "(.*)"', (ROOT / "archioptrx" / "core" / "version.py").read_text())
    assert cited["version"] == version[1]
    assert cited["license"] == "Apache-2.0"
