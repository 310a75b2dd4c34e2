"""Commands search, inspect, train and evaluate: exit codes, messages, what they print."""

import json
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import processes
import pytest
import torch
import yaml
from small_search import SMALL, lines, small

from archioptrx.commands import evaluate, inspect, train
from archioptrx.commands.search import main as search
from archioptrx.runs.run_folder import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search, by its command."""
    folder = tmp_path_factory.mktemp("commands")
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    assert search([str(path), "--backend", "local", "--output", str(folder / "run")]) == 0
    return folder / "run"


def faults(capsys: pytest.CaptureFixture[str], *arguments: str, main: Any = search) -> list[str]:
    """Run a command that must refuse its arguments; the lines on stderr."""
    try:
        code = main(list(arguments))
    except SystemExit as end:
        code = end.code
    assert code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


@pytest.mark.skipif(torch.cuda.device_count() > 7, reason="there are eight GPUs")
@pytest.mark.parametrize("further", [("--backend", "local"), ("--dry-run",), ("--backend", "ray")])
def test_gpus_that_are_not_there_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], further: tuple[str, ...]
) -> None:
    output = () if further == ("--dry-run",) else ("--output", str(tmp_path / "run"))
    (fault,) = faults(capsys, "quickstart", "--gpus-per-trial", "8", *further, *output)
    assert fault.startswith("resources: a trial needs 8 GPU; ")
    assert not (tmp_path / "run").exists()


def test_another_sampler_has_none_of_the_files_options(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "sampler": {"name": "gp", "initial": 3}}))
    for number, (options, sampler) in enumerate(
        [
            ((), {"name": "gp", "initial": 3}),
            (("--set", "sampler.pool=9"), {"name": "gp", "initial": 3, "pool": 9}),
            (("--sampler", "random"), {"name": "random"}),
            (("--set", "sampler.name=random"), {"name": "random"}),
            (("--sampler", "evolution", "--set", "sampler.population=7"), {"name": "evolution", "population": 7}),
        ]
    ):
        folder = tmp_path / str(number)
        budget = ("--trials", "1", "--epochs", "1", "--set", "retrain.seeds=1", "--backend", "local")
        assert search([str(file), *options, *budget, "--output", str(folder)]) == 0
        assert RunFolder(folder).experiment().sampler == sampler


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--trials", "-3"), "--trials: is -3; allowed: 1 or more"),
        (("--trials", "many"), "--trials: is 'many'; allowed: a whole number"),
        (("--gpus-per-trial", "some"), "--gpus-per-trial: is 'some'; allowed: a number"),
        (("--backend", "rai"), "--backend: is 'rai'; allowed: local, ray (did you mean ray?)"),
        (("--trails", "4"), "--trails: is unknown; allowed: --address, "),
        (("quickstart", "twice"), "archioptrx search: twice is one word too many; see archioptrx search --help"),
        (("--time", "soon"), "--time: is 'soon'; allowed: a time above 0"),
        (("--sampler", "randon"), "sampler.name: is 'randon'; allowed: "),
        (("--search-space", "smal"), "smal: no such search space"),
        (("--function-graph", "trackin"), "trackin: no such function graph"),
        (("--set", "training.epoch=3"), "--set training.epoch: is unknown; allowed: batch_size"),
        (("--set", "training.epochs=0"), "--set training.epochs: is 0; allowed: 1 or more"),
        (("--set", "epochs"), "--set epochs: is no assignment; allowed: key.sub=value"),
        (
            ("--epochs", "3", "--set", "training.epochs=4"),
            "--set training.epochs: --epochs gives it too; allowed: one of",
        ),
        (
            ("--sampler", "gp", "--set", "sampler.name=random"),
            "--set sampler.name: --sampler gives it too; allowed: one",
        ),
        (
            ("--sampler", "gp", "--set", "sampler={name: random}"),
            "--set sampler: would replace what --sampler gives; allowed: one of the two, or --set sampler.KEY=VALUE",
        ),
        (
            ("--trials", "3", "--set", "budget={time: 4h}"),
            "--set budget: would replace what --trials gives; allowed: one of the two, or --set budget.KEY=VALUE",
        ),
        (("--set", "seed=1", "--set", "seed=2"), "--set seed: is given twice; allowed: once"),
        (("--set", "references=[atention]"), "atention: no such architecture"),
        (("--data", "/nowhere"), "/nowhere: "),
        (("--backend", "local", "--address", "auto"), "--address: is for --backend ray only"),
        (("--resume", "/nowhere"), "/nowhere: is no folder"),
        (("nothing",), "nothing: no such experiment"),
        (("--set", "objective.metric=acc"), "--set objective.metric: is 'acc'; allowed: accuracy"),
        (("--set", "objective=[auc, parametrs]"), "--set objective[1].metric: is 'parametrs'; allowed: "),
        (("--set", "objective=[auc, latency, auc]"), "--set objective[2].metric: auc stands twice; allowed: each"),
        (
            ("--set", "objective=[latency, auc]"),
            "--set objective[0].metric: latency is a cost; allowed: first a metric",
        ),
        (("--set", "objective=[]"), "--set objective: is an empty list; allowed: at least one metric"),
        (("--set", "objective={metric: loss, cost: latency}"), "--set objective.cost: loss is no share of 1"),
        (
            ("--sampler", "evolution", "--set", "sampler.inherit=true"),
            "sampler.inherit: sampler evolution has no such option; allowed: crossover, initial, mode, population, ",
        ),
        (("--set", "imports=[no_such_module]"), "imports: no_such_module: can't be imported: ModuleNotFoundError"),
    ],
)
def test_a_fault_is_one_line(
    arguments: tuple[str, ...], start: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    printed = (
        faults(capsys, "--output", str(tmp_path / "run"), *arguments)
        if arguments[0] != "--resume"
        else faults(capsys, *arguments)
    )
    assert len(printed) == 1, printed
    assert printed[0].startswith(start), printed
    assert not (tmp_path / "run").exists()


def test_an_output_folder_in_use_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults(capsys, "--output", str(run)) == [
        f"{run}: holds another search; allowed: --resume {run}, or another --output"
    ]


def test_what_can_not_change_on_resume(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complaints = faults(capsys, "--resume", str(run), "--sampler", "random", "--set", "seed=1")
    assert [line.split(":")[0] for line in complaints] == ["--sampler", "--set"]


def test_a_run_whose_file_has_a_key_of_an_earlier_version_is_one_fault(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (change, start) in enumerate(
        [
            (
                {"sampler": {"name": "evolution", "inherit": True}},
                "sampler.inherit: sampler evolution has no such option",
            ),
            (
                {"screen": {"proposals": 4, "proxy": "synflow"}},
                "FILE: screen.proxy: is 'synflow'; allowed: jacob_cov, ",
            ),
        ]
    ):
        old = shutil.copytree(run, tmp_path / str(number))
        file = old / "experiment.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **change}))
        (fault,) = faults(capsys, "--resume", str(old), "--backend", "local")
        assert fault.startswith(start.replace("FILE", str(file)))


@pytest.mark.parametrize(
    ("section", "change"),
    [("objective", {"metric": "loss", "mode": "min"}), ("split", {"seed": 7}), ("training", {"learning_rate": 0.5})],
)
def test_a_resume_finds_what_would_give_other_scores(
    section: str, change: dict[str, Any], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    document = yaml.safe_load((copy / "experiment.yaml").read_text())
    before = document[section]
    (copy / "experiment.yaml").write_text(yaml.safe_dump(document | {section: before | change}))
    complaints = faults(capsys, "--resume", str(copy), "--trials", "9")
    where = f"{copy / 'experiment.yaml'}: {section}: was changed since the search began; allowed: "
    assert len(complaints) == 1 and complaints[0].startswith(where)
    assert len(RunFolder(copy).rows()) == len(RunFolder(run).rows())


def test_a_resume_finds_a_changed_space(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    file = copy / "search_space.yaml"
    file.write_text(file.read_text() + "# a note\n")
    complaints = faults(capsys, "--resume", str(copy), "--trials", "9")
    assert complaints == [f"{file}: was changed since the search began; allowed: as it was, or a new search"]


def test_a_budget_below_what_has_ended_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complaints = faults(capsys, "--resume", str(run), "--trials", "3", "--backend", "local")
    assert complaints == ["--trials: is 3, but 5 trials have ended; allowed: 5 or more"]
    assert RunFolder(run).experiment().budget.trials == 5


def test_a_running_search_is_not_resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunFolder(run).locked():
        complaints = faults(capsys, "--resume", str(run), "--backend", "local")
    assert "is writing to it" in complaints[-1]


def test_a_search_prints_what_a_person_needs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search(["--resume", str(run), "--backend", "local"]) == 0
    printed = capsys.readouterr().out
    for part in ("fingerprint", "-> score", "on test events", "±", f"archioptrx inspect {run}", f"--resume {run}"):
        assert part in printed


def test_a_search_prints_one_document(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search(["--resume", str(run), "--backend", "local", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["run"] == str(run) and len(content["trials"]) == 5
    assert 0 <= content["best"]["test"]["auc"]["mean"] <= 1


def test_the_run_folder_is_complete(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names >= {"experiment.yaml", "environment.json", "proposals.jsonl", "trials.jsonl", "best"}
    assert {path.name for path in (run / "best").iterdir()} == {
        "architecture.yaml", "weights.pt", "metadata.json", "metrics.json", "environment.json"
    }  # fmt: skip
    assert isinstance(torch.load(run / "best" / "weights.pt", weights_only=True), dict)
    environment = json.loads((run / "environment.json").read_text())
    assert len(environment["data"]["fingerprint"]) == 64 and environment["versions"]["torch"]
    keys = "id proposal fingerprint trace hyperparameters status score epochs metrics parameters seconds train_seconds"
    for row in lines(run / "trials.jsonl"):
        assert {*keys.split(), "error"} <= set(row)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    path, run = tmp_path / "small.yaml", tmp_path / "run"
    path.write_text(yaml.safe_dump({**SMALL, "budget": {"trials": 500}}))
    command = ["archioptrx", "search", str(path), "--backend", "local", "--output", str(run)]
    code, stderr = processes.interrupted(command, run / "trials.jsonl", 2)
    assert code == 130 == 128 + signal.SIGINT
    assert stderr.splitlines()[-1] == f"stopped; go on with: archioptrx search --resume {run}"


def test_a_dry_run_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    assert search(["small.yaml", "--dry-run", "--json"]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert estimate["architectures_at_least"] > 100 and estimate["seconds_per_step"] > 0 and estimate["hours"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_inspect_shows_table_and_architecture(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main([str(run), "--top", "2"]) == 0
    printed = capsys.readouterr().out
    best = RunFolder(run).rows()
    assert best[0]["fingerprint"] in printed and best[1]["fingerprint"][:12] in printed
    assert best[2]["fingerprint"][:12] not in printed
    assert "-> score" in printed and "hyperparameters: " in printed and "winner: trial" in printed


def test_inspect_one_fingerprint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    third = RunFolder(run).rows()[2]
    assert inspect.main([str(run), "--fingerprint", third["fingerprint"][:10], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shown"] == third["id"]
    complaints = faults(capsys, str(run), "--fingerprint", "xyz", main=inspect.main)
    assert complaints[0].startswith("--fingerprint xyz: no ended trial has it; allowed: ")


def test_inspect_one_trial(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    third = RunFolder(run).rows()[2]
    assert inspect.main([str(run / third["id"]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shown"] == third["id"]
    complaints = faults(capsys, str(run / "0099"), main=inspect.main)
    assert complaints == [f"{run}/0099: no such ended trial; allowed: 0000, 0001, 0002, 0003, 0004"]
    complaints = faults(capsys, str(run / third["id"]), "--fingerprint", "ab", main=inspect.main)
    assert complaints[0].startswith("--fingerprint: is for a whole run; allowed: ")


def test_inspect_draws_the_best_or_the_one_asked_for(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = RunFolder(run).rows()
    place, ids = tmp_path / "drawings", [row["id"] for row in rows if row["score"] is not None]
    assert len(ids) > 3
    names = {None: ["functions", *(f"trial-{trial}" for trial in ids[:3])], "--top": ["functions", f"trial-{ids[0]}"]}
    for option, drawn in names.items():
        assert inspect.main([str(run), "--draw", str(place), *([option, "1"] if option else [])]) == 0
        expected = [place / f"{name}.{kind}" for name in drawn for kind in ("svg", "png")]
        assert capsys.readouterr().out == "".join(f"drawn: {path}\n" for path in expected)
        assert all(path.stat().st_size > 1_000 for path in expected)
    assert inspect.main([str(run / ids[1]), "--draw", str(tmp_path / "one"), "--json"]) == 0
    expected = [tmp_path / "one" / f"trial-{ids[1]}.{kind}" for kind in ("svg", "png")]
    assert json.loads(capsys.readouterr().out)["drawings"] == [str(path) for path in expected]
    assert sorted((tmp_path / "one").iterdir()) == sorted(expected)
    texts = [element.text for element in ElementTree.parse(expected[0]).iter() if element.tag.endswith("text")]
    # Widths are numbers, those of sources and targets too: these words stand for nothing but names.
    assert texts.count("hits") == texts.count("target") == 1 and "hidden" not in texts
    assert f"{run.name}, trial {ids[1]}: auc" in " ".join(text for text in texts if text)


def test_inspect_an_empty_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder.create(tmp_path / "run", small(), {}, {})
    assert inspect.main([str(folder.path)]) == 0
    assert capsys.readouterr().out == "no trial has ended yet\n"
    assert inspect.main([str(folder.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == []


def test_inspect_while_a_line_is_written(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder.create(tmp_path / "run", small(), {}, {})
    rows, proposals = ((run / name).read_bytes() for name in ("trials.jsonl", "proposals.jsonl"))
    (folder.path / "proposals.jsonl").write_bytes(proposals)
    (folder.path / "trials.jsonl").write_bytes(rows[: rows.index(b"\n") + 40])
    assert inspect.main([str(folder.path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 1


def test_train_a_trial_again_gives_its_scores(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = lines(run / "trials.jsonl")[3]
    assert train.main([f"{run}/{row['id']}", "--output", str(tmp_path / "model"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["validation"]["mean"] == row["score"]
    assert evaluate.main([str(tmp_path / "model"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["auc"] == pytest.approx(content["test"]["auc"]["mean"], abs=1e-6)


def test_train_the_best_of_a_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([str(run), "--epochs", "1", "--output", str(tmp_path / "model")]) == 0
    printed = capsys.readouterr()
    assert "epoch 1: validation score" in printed.err and "epoch 2" not in printed.err
    assert "on test events:" in printed.out and f"archioptrx evaluate {tmp_path / 'model'}" in printed.out


def test_train_a_bundled_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "model"
    options = ["--epochs", "1", "--set", "data.num_samples=16", "--output", str(output)]
    assert train.main(["interaction", *options]) == 0
    capsys.readouterr()
    assert faults(capsys, "interaction", *options, main=train.main) == [
        f"{output}: holds other files; allowed: a new or empty folder"
    ]


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("interactoin",), "interactoin: no such architecture"),
        (("{run}/77",), "{run}/0077: no such trial; allowed: 0000 … 0004"),
        (("{run}/best7",), "{run}/best7: 'best7' is no trial"),
        (("interaction", "--epochs", "0"), "--epochs: is 0; allowed: 1 or more"),
        (("interaction", "--seed", "-1"), "--seed: is -1; allowed: 0 or more"),
        (("interaction", "--data", "/nowhere"), "/nowhere: "),
    ],
)
def test_faults_of_train(arguments: tuple[str, ...], start: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complaints = faults(capsys, *(argument.format(run=run) for argument in arguments), main=train.main)
    assert len(complaints) == 1 and complaints[0].startswith(start.format(run=run)), complaints


def test_evaluate_for_reading(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([str(run), "--cut", "0.7"]) == 0
    printed = capsys.readouterr().out
    assert "auc" in printed and "pT [GeV]" in printed and "cut                        0.70000" in printed


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("/nowhere",), "/nowhere: no such folder"),
        (("{run}", "--cut", "1.5"), "--cut: is 1.5; allowed: between 0 and 1"),
        (("{run}", "--data", "/nowhere"), "/nowhere: "),
    ],
)
def test_faults_of_evaluate(
    arguments: tuple[str, ...], start: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    complaints = faults(capsys, *(argument.format(run=run) for argument in arguments), main=evaluate.main)
    assert len(complaints) == 1 and complaints[0].startswith(start), complaints


def test_evaluate_at_a_cut_that_validation_events_choose(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([str(run), "--efficiency", "0.9", "--json"]) == 0
    loose = json.loads(capsys.readouterr().out)
    assert evaluate.main([str(run), "--efficiency", "0.5", "--json"]) == 0
    tight = json.loads(capsys.readouterr().out)
    assert loose["cut"] < tight["cut"] and loose["efficiency"] > tight["efficiency"]
    # Validation and test events are alike, not the same, and here there are few.
    assert abs(loose["efficiency"] - 0.9) < 0.25
    assert faults(capsys, str(run), "--efficiency", "2", "--cut", "0.5", main=evaluate.main) == [
        "--efficiency: is 2; allowed: between 0 and 1",
        "--cut and --efficiency: both set the cut; allowed: one of them",
    ]


def test_evaluate_a_search_without_a_winner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder.create(tmp_path / "run", small(), {}, {})
    complaints = faults(capsys, str(folder.path), main=evaluate.main)
    assert "the search has no trained winner yet" in complaints[0]


@pytest.mark.parametrize("module", ["search", "inspect", "train", "evaluate"])
def test_help_is_instant_and_needs_neither_torch_nor_ray(module: str) -> None:
    name = f"archioptrx.commands.{module}"
    code = (
        f"import sys, {name} as command\n"
        "try: command.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"usage: archioptrx {module}" in printed.stdout and printed.stdout.splitlines()[-1] == "[]"
