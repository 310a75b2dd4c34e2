"""The commands of the tutorial work one after the other; fewer events, trials and epochs than a reader has, no Ray."""

import re
from pathlib import Path

import processes

from archioptrx.models.model_folder import load_model
from archioptrx.runs.run_folder import RunFolder

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")
FEWER = {
    "--events 60": "--events 12",
    "--events 10": "--events 3",
    "--particles 100": "--particles 20",
    "--trials 12": "--trials 2 --epochs 1 --set retrain.top=1 --backend local",
    "--epochs 20": "--epochs 2",
}


def lines(language: str) -> list[str]:
    """All lines of the blocks of a language; without one: what is printed."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [line for name, block in blocks if name == language for line in block.splitlines()]


def commands() -> list[str]:
    return lines("sh")


def labels() -> set[str]:
    """The words that printed lines begin with."""
    return {line.strip().split("  ")[0] for line in lines("") if re.match(r" *[a-z_ ]{4,}  ", line)}


def fewer(command: str) -> str:
    for written, run in FEWER.items():
        command = re.sub(rf"{written}\b", run, command)
    return command


def test_every_number_that_is_made_smaller_stands_in_the_tutorial():
    assert [written for written in FEWER if not any(written in command for command in commands())] == []


def test_its_commands_work_in_order(tmp_path):
    output = ""
    for command in commands():
        output += processes.run(fewer(command), tmp_path)
    # What the text shows are lines that commands print, with other numbers.
    assert len(labels()) > 8
    assert {label for label in labels() if label not in output} == set()
    assert len(RunFolder(tmp_path / "runs/first").rows()) == 2
    assert load_model(tmp_path / "models/longer").provenance.training["epochs"] == 2
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "events.png").is_file()
    assert len(list((tmp_path / "found").glob("*.npz"))) == 3
    assert "class " in (tmp_path / "tracker.py").read_text()
