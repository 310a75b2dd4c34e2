"""The README's commands and files do what it says. Its two set-up commands are what CI begins with."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

import processes
import pytest
import yaml

from archioptrx.commands.cli import main
from archioptrx.core.config import bundled
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.runs.experiment import parse_experiment

SMALL = "--backend local --set data.num_samples=30 --set retrain.seeds=1"
FEWER = {
    "--resume runs/first": "--resume runs/first --backend local",
    "--count 2000": "--count 200",
    "--output runs/interaction": f"--output runs/interaction {SMALL}",
    "--output runs/pareto": f"--output runs/pareto {SMALL}",
}
"""The first search runs on Ray and as it stands."""
README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.startswith("archioptrx ")]


def fewer(command: str) -> str:
    for written, run in FEWER.items():
        command = command.replace(written, run)
    return command


def test_the_two_set_up_commands_are_single_lines_at_the_margin():
    lines = re.findall(r"^pip install -c .*$", README, re.MULTILINE)
    assert len(lines) == 2
    assert lines[0].endswith("python -m archioptrx.search")
    assert "pytest" in lines[1]


def test_every_command_works(tmp_path):
    """In order, in one folder, as a reader would type them; `FEWER` says where less is computed."""
    assert len(commands()) > 8
    assert [written for written in FEWER if not any(written in command for command in commands())] == []
    for command in commands():
        assert processes.run(fewer(command), tmp_path).strip(), command
    # What the last search left behind is complete: six ended trials, a trained best network.
    assert len((tmp_path / "runs/first/trials.jsonl").read_text().splitlines()) == 6
    assert Architecture.load(tmp_path / "runs/first/best/architecture.yaml").graph.steps
    # The two ways to use it in Python give the same.
    code = f"{EVENT}\n{blocks('python')[0]}\nfirst = scores\n{blocks('python')[1]}\n{SAME}"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


EVENT = """
import archioptrx
import torch

hits = torch.rand(50, 3, dtype=torch.float64) * torch.tensor([1000.0, 3.0, 500.0])
outwards = hits[:, 0].argsort()
edge_index = outwards[torch.triu_indices(50, 50, 1)[:, torch.randperm(50 * 49 // 2)[:200]]]
"""
SAME = "assert len(scores) == 200; torch.testing.assert_close(first, scores, rtol=0, atol=1e-5)"


@pytest.mark.parametrize("text", blocks("yaml"), ids=lambda text: text.split("\n")[0])
def test_every_file_is_valid(text):
    content = yaml.safe_load(text)
    if "functions" in content:
        assert FunctionGraph.from_dict(content).targets
    else:
        content["data"]["path"] = "events"  # comes with --data
        shown = parse_experiment(content, "README").to_dict()
        assert shown["name"] == content["name"]


@pytest.mark.parametrize("space", ["small", "full"])
def test_the_shown_function_graph_is_sampled_and_searched_with_the_bundled_spaces(space, tmp_path, capsys):
    graph = next(text for text in blocks("yaml") if "functions:" in text)
    (tmp_path / "mine.yaml").write_text(graph)
    place = [str(tmp_path / "mine.yaml"), "--search-space", space]
    assert main(["sample", *place, "--count", "1"]) == 0
    printed = capsys.readouterr()
    assert "activation" not in printed.out
    warning = [line for line in printed.err.splitlines() if line.startswith("warning: ")]
    assert warning[0].startswith(f"warning: {space}: hyperparameters.activation: is not used: ")
    options = ["--function-graph", *place, "--set", "data.num_samples=8", "--dry-run"]
    assert main(["search", "quickstart", *options]) == 0
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")] == warning


def test_the_printed_network_is_the_reference():
    assert f"```\n{Architecture.load('attention_recursive').graph}\n```" in README


def test_the_shown_experiment_is_the_bundled_one():
    shown = next(yaml.safe_load(text) for text in blocks("yaml") if "budget" in text)
    real = yaml.safe_load(bundled("experiments", "hitgraphs").read_text())
    assert shown == real


def test_every_dependency_has_a_reason():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).resolve().parents[1] / "setup.cfg", encoding="utf-8")
    needed = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    packages = {re.split(r" |\[(?!tune)", line)[0] for text in needed for line in text.split("\n") if line}
    reasons = README.partition("## Dependencies")[2]
    named = {
        name for row in re.findall(r"^\| (.*?) \|", reasons, re.MULTILINE) for name in re.split(r", | \(.*?\)", row)
    }
    assert sorted(packages - named) == []
    assert sorted(named - packages - {"", "package", "---"}) == []
