"""`archioptrx sample` as a user runs it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archioptrx.commands.sample import main
from archioptrx.core.config import bundled, bundled_names
from archioptrx.graphs.decisions import Trace
from archioptrx.graphs.signatures import BLOCKS
from archioptrx.sampling.samplers import replay

COUNTED = [name for name in bundled_names("function_graphs") if name != "several"]
"""The shortest networks of `several` have nine steps: too many to be counted here."""


def test_it_prints_architectures(capsys):
    assert main(["attention", "--count", "2", "--seed", "5"]) == 0
    out = capsys.readouterr().out
    assert re.match(r"0: [0-9a-f]{32}  hidden=\d+, depth=\d+, activation=\w+, learning_rate=\S+\n   x0 +=", out)
    assert len(re.findall(r"^   -> score\d+$", out, re.MULTILINE)) == 2


def test_json_is_one_document_whose_traces_replay(capsys, tracking):
    assert main(["tracking", "--count", "30", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 30
    for row in rows:
        assert {"fingerprint", "steps", "loops", "walks", "text", "trace"} <= set(row)
        candidate = replay(tracking, Trace.from_json(row["trace"]))
        assert candidate.fingerprint == row["fingerprint"]
        assert (str(candidate.graph), len(candidate.graph.steps)) == (row["text"], row["steps"])
        assert row["text"].count(" passes, ") == row["loops"]


def test_each_one_is_drawn(tmp_path, capsys):
    place = tmp_path / "new" / "drawings"
    assert main(["tracking", "--count", "2", "--draw", str(place)]) == 0
    out = capsys.readouterr().out
    paths = [Path(path) for path in re.findall(r"^   drawn: (.*)$", out, re.MULTILINE)]
    prints = re.findall(r"^\d: ([0-9a-f]{32})", out, re.MULTILINE)
    assert [path.name for path in paths] == [
        f"{n:02d}-{f[:12]}.{k}" for n, f in enumerate(prints) for k in ("svg", "png")
    ]
    assert sorted(place.iterdir()) == sorted(paths) and all(path.stat().st_size > 2_000 for path in paths)
    assert main(["tracking", "--count", "2", "--draw", str(place), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [path for row in rows for path in row["drawings"]] == [str(path) for path in paths]
    assert main(["tracking", "--draw", str(paths[0])]) == 2
    assert capsys.readouterr().err == f"{paths[0]}: is a file; allowed: a folder, which is made if it's missing\n"
    assert main(["tracking", "--draw", str(place), "--stats"]) == 2
    assert capsys.readouterr().err == "--draw: draws the architectures that are printed; allowed: without --stats\n"


def test_statistics_are_those_of_the_sample(capsys):
    assert main(["tracking", "--count", "200", "--seed", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert main(["tracking", "--count", "200", "--seed", "1", "--stats", "--json"]) == 0
    statistics = json.loads(capsys.readouterr().out)
    assert statistics["architectures"] == 200
    assert statistics["distinct"] == len({row["fingerprint"] for row in rows})
    assert statistics["refused"]["duplicates"] == 200 - statistics["distinct"]
    assert statistics["distributions"]["steps"]["mean"] == sum(row["steps"] for row in rows) / 200
    assert statistics["shares"]["loops"] == sum(row["loops"] > 0 for row in rows) / 200
    assert set(statistics["distributions"]) >= {"steps", "depth", "loops", "branches", "message rounds", "parameters"}
    assert main(["tracking", "--count", "200", "--seed", "1", "--stats"]) == 0
    assert f"{statistics['distinct']:,} distinct" in capsys.readouterr().out


def test_distinct_architectures_only(capsys):
    assert main(["attention", "--count", "60", "--sampler", "distinct", "--json", "--search-space", "small"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len({row["fingerprint"] for row in rows}) == 60


@pytest.mark.parametrize("name", COUNTED)
def test_each_function_graph_says_how_many_architectures_it_holds(name, capsys):
    """The first number of the comment is counted again here, all of them by the `long` test below."""
    check_sizes(name, sizes_of(name)[:1], capsys)


@pytest.mark.long
@pytest.mark.parametrize("name", COUNTED)
def test_all_numbers_of_the_comments(name, capsys):
    check_sizes(name, sizes_of(name), capsys)


def sizes_of(name: str) -> list[tuple[int, int]]:
    text = bundled("function_graphs", name).read_text(encoding="utf-8")
    claims = re.findall(r"([\d,]+) architectures of up to (\d+) steps", " ".join(text.replace("\n# ", " ").split()))
    assert claims, "the comment states no number"
    return [(int(count.replace(",", "")), int(steps)) for count, steps in claims]


def check_sizes(name, sizes, capsys):
    for count, steps in sizes:
        arguments = ["--sampler", "exhaustive", "--max-steps", str(steps), "--stats", "--json"]
        assert main([name, *arguments]) == 0
        assert json.loads(capsys.readouterr().out)["distinct"] == count


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trakcing"], f"trakcing: no such function graph; allowed: {', '.join(bundled_names('function_graphs'))} "
         "(did you mean tracking?), or a path"),
        (["tracking", "--search-space", "fulll"], "fulll: no such search space; allowed: full, hyperparameters, small, wide (did you mean full?), or a path"),
        (["tracking", "--count", "-1"], "--count: is -1; allowed: 1 or more"),
        (["tracking", "--seed", "-1"], "--seed: is -1; allowed: 0 or more"),
        (["tracking", "--sampler", "gp"], "--sampler: is 'gp', for searches alone; allowed: distinct, exhaustive, random, or one of your own"),
        (["tracking", "--sampler", "rando"], "--sampler: is 'rando'; allowed: distinct, exhaustive, random (did you mean random?)"),
        (["tracking", "--max-steps", "2"], "search space full: walk.max_steps: is 2, but the shortest way to score takes 3 "
         "(encode, shortcut, edge_net); allowed: 3 or more"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err == message + "\n"


def test_the_whole_of_a_large_space_is_not_listed(capsys):
    assert main(["attention", "--sampler", "exhaustive"]) == 2
    assert "allowed: with --max-steps N or --count N" in capsys.readouterr().err
    assert main(["attention", "--sampler", "exhaustive", "--count", "3", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_own_blocks_are_known_after_an_import(tmp_path, monkeypatch, capsys):
    (tmp_path / "blocks_of_mine.py").write_text(
        "from archioptrx.graphs.signatures import SIGNATURES, register\n"
        "from dataclasses import replace\n"
        "register(replace(SIGNATURES['norm'], name='calm'))\n"
    )
    graph = bundled("function_graphs", "tracking").read_text(encoding="utf-8").replace("block: norm", "block: calm")
    (tmp_path / "mine.yaml").write_text(graph, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["mine.yaml"]) == 2
    assert "functions.normalise.block: is 'calm'; allowed:" in capsys.readouterr().err
    try:
        assert main(["mine.yaml", "--imports", "blocks_of_mine", "--count", "1"]) == 0
    finally:
        BLOCKS.descriptions.pop("calm")
    assert main(["mine.yaml", "--imports", "no_such_module"]) == 2
    assert "no_such_module" in capsys.readouterr().err


def test_faults_of_options_come_together(capsys):
    assert main(["tracking", "--count", "0", "--sampler", "x"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_neither_torch_nor_ray_nor_matplotlib_is_imported():
    program = (
        "import sys; from archioptrx.commands.sample import main; main(['tracking', '--count', '3', '--stats']);"
        "unwanted = ('torch', 'ray', 'torch_geometric', 'matplotlib');"
        "sys.exit(any(name.split('.')[0] in unwanted for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_the_console_script_knows_its_commands(capsys):
    from archioptrx.commands.cli import main as script

    assert script(["--version"]) == 0
    assert capsys.readouterr().out.startswith("archioptrx 0.")
    assert script([]) == 0
    assert "sample" in capsys.readouterr().out
    assert script(["smaple"]) == 2
    assert "'smaple' is no command; allowed:" in capsys.readouterr().err
    assert script(["sample", "attention", "--count", "1"]) == 0


def test_a_wrong_option_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["tracking", "--cuont", "3"])
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("--cuont: is unknown; allowed: --count, --debug, ")
    assert errors.endswith(" (did you mean --count?)\n") and errors.count("\n") == 1
