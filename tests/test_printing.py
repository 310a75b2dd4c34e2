"""What a stranger's file says can't steer the terminal."""

import io
import json
import sys
from pathlib import PurePosixPath

import pytest
import torch
import yaml
from rich.table import Table

from archioptrx.commands import evaluate, inspect, search
from archioptrx.commands.cli import command, new_parser
from archioptrx.core.errors import InputError
from archioptrx.core.printing import printable, printable_output, raw_stream
from archioptrx.data.sources.stream import progress
from archioptrx.graphs.architecture import Architecture
from archioptrx.runs.text import plain_text
from archioptrx.search.progress import Progress
from archioptrx.training.trial_log import as_lines

CONTROLS = "\x1b]0;title\x07\x1b[2J\r\x00\x7f\x9b2J\u202e\u2028\ud800"
SHOWN = r"\u001b]0;title\u0007\u001b[2J\u000d\u0000\u007f\u009b2J\u202e\u2028\ud800"

TEXT = CONTROLS.replace("\0", "")[:-1]
"""What YAML can hold."""


def is_clean(text: str) -> bool:
    return all(character.isprintable() or character in "\n\t" for character in text)


def test_control_characters_are_written_as_in_json():
    assert printable(CONTROLS) == SHOWN
    assert printable("φ → 1\n\tµ \x1b[1mbold\x1b[0m") == "φ → 1\n\tµ \x1b[1mbold\x1b[0m"
    assert json.loads(printable(json.dumps(["\x9b\u2028\ud800"], ensure_ascii=False))) == ["\x9b\u2028\ud800"]


def test_all_that_a_command_prints_is_clean(capsys):
    def run(args):
        print(CONTROLS)
        print(CONTROLS, file=sys.stderr)
        sys.stdout.writelines([CONTROLS, "\n"])
        raise InputError(CONTROLS)

    assert command(lambda: new_parser("x", ""), run)([]) == 2
    printed = capsys.readouterr()
    assert printed.out == f"{SHOWN}\n{SHOWN}\n" and printed.err == f"{SHOWN}\n{SHOWN}\n"


def test_views_and_logs_are_clean(capsys):
    from rich.console import Console

    with printable_output():
        progress = Progress(Console(file=raw_stream(sys.stderr)), 1, 1, "auc")
        progress.note(f"trial failed: {CONTROLS[:-1]}")
    assert is_clean(capsys.readouterr().err)
    assert as_lines([(0.0, CONTROLS)]).endswith(f"{SHOWN}\n")


def test_a_run_with_such_names_is_shown(run, tmp_path, capsys):
    first, second = (run / "trials.jsonl").read_text().splitlines()
    failed = {**json.loads(second), "status": "failed", "score": None, "curve": [], "error": CONTROLS[:-1]}
    (run / "trials.jsonl").write_text(f"{first}\n{json.dumps(failed)}\n")
    for arguments in ([str(run)], [f"{run}/1"], [str(run), "--json"], [str(run), "--effects"]):
        assert inspect.main(arguments) == 0
        printed = capsys.readouterr()
        assert is_clean(printed.out) and is_clean(printed.err)
    name = {**Architecture.load("interaction").to_dict(), "name": TEXT, "about": TEXT}
    (tmp_path / "named.yaml").write_text(yaml.safe_dump(name))
    assert inspect.main([str(tmp_path / "named.yaml"), "--draw", str(tmp_path / "drawn")]) == 0
    assert is_clean(capsys.readouterr().out)
    assert is_clean(next((tmp_path / "drawn").glob("*.svg")).read_text())


def test_a_line_of_an_unknown_key_is_clean(tmp_path, capsys):
    (tmp_path / "odd.yaml").write_text('name: x\n"a\\e[2Jb": 1\n')
    assert search.main([str(tmp_path / "odd.yaml")]) == 2
    error = capsys.readouterr().err
    assert r"a\u001b[2Jb: is unknown" in error and is_clean(error)


def broken(change):
    def write(file):
        state = torch.load(file, weights_only=True)
        torch.save(change(state), file)

    return write


WEIGHTS = {
    "an object": (broken(lambda state: {**state, "x": PurePosixPath("x")}), "holds no weights, or more than weights; "),
    "a list": (broken(lambda state: [1]), "holds no weights, or more than weights; "),
    "a number": (broken(lambda state: {**state, "x": 7}), "holds no weights, or more than weights; "),
    "bytes": (lambda file: file.write_bytes(b"no zip"), "holds no weights, or more than weights; "),
    "nothing": (lambda file: file.write_bytes(b""), "holds no weights, or more than weights; "),
    "one too many": (
        broken(lambda state: {**state, "\x1b[2J": torch.zeros(1)}),
        r"doesn't fit the architecture: \u001b[2J: is [1]; allowed: no such weights",
    ),
    "one missing": (broken(lambda state: dict(list(state.items())[1:])), ": is missing; allowed: ["),
    "another shape": (broken(lambda state: {k: v[None] for k, v in state.items()}), "; allowed: ["),
    "other numbers": (
        broken(lambda state: {k: v.to_sparse() for k, v in state.items()}),
        "doesn't fit the architecture",
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_none_are_refused_in_our_words(run, capsys, name):
    write, message = WEIGHTS[name]
    write(run / "best" / "weights.pt")
    assert evaluate.main([str(run)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{run}/best/weights.pt: ") and error.count("\n") == 1
    assert message in error and "weights_only" not in error and "safe_globals" not in error


class Terminal(io.StringIO):
    """A text in memory that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_bar_of_a_data_set_shows_the_name_that_its_metadata_give_the_source(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(progress([1, 2], 2, "a\x1b]0;title\x07 [/red] events")) == [1, 2]
    assert "\\u001b]0;title\\u0007 [/red]" in terminal.getvalue()


def test_a_name_in_a_table_is_no_command():
    """Brackets steer what rich prints: a model folder called run[best] was shown as run."""
    table = Table("run[best]")
    table.add_row("[/red] :smile:")
    assert [name for name in ("run[best]", "[/red] :smile:") if name not in plain_text(table)] == []
