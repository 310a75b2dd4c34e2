"""Experiment files: defaults, faults, overrides, resolved form."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from registries import restored

from archioptrx.core.config import bundled, bundled_names
from archioptrx.core.errors import InputError
from archioptrx.core.overrides import duration
from archioptrx.core.plugins import import_modules
from archioptrx.data.options import SOURCES, source
from archioptrx.data.options.base import HERE, PlainOptions, option
from archioptrx.runs.experiment import load_experiment, parse_experiment
from archioptrx.runs.overrides import override
from archioptrx.search.study import load_study, parse_study
from archioptrx.training.objective import Goal, Objective


def test_a_task_may_be_a_name_alone():
    short = parse_experiment({"name": "a", "task": "node_regression"}, "f.yaml")
    assert short == parse_experiment({"name": "a", "task": {"name": "node_regression"}}, "f.yaml")
    assert short.objective.first.metric == "explained"
    with pytest.raises(InputError) as error:
        parse_experiment({"name": "a", "task": "node_regresion"}, "f.yaml")
    assert error.value.faults[0].startswith("f.yaml: task.name: is 'node_regresion'; allowed: ")


def test_a_sampler_may_be_a_name_alone():
    assert parse_experiment({"name": "x", "sampler": "gp"}, "x").sampler == {"name": "gp"}


def test_a_name_is_enough() -> None:
    experiment = parse_experiment({"name": "one"}, "one.yaml")
    assert experiment.data.to_dict() == {"source": "toy"}
    assert experiment.budget.trials == 12
    assert experiment.objective == Objective((Goal("auc", "max"),))


@pytest.mark.parametrize("name", bundled_names("experiments"))
def test_bundled_experiments_are_legal_and_round_trip(name: str, tmp_path: Path) -> None:
    source = yaml.safe_load(bundled("experiments", name).read_text(encoding="utf-8"))["data"]["source"]
    overrides = {"data.path": str(tmp_path)} if source in ("hitgraphs", "trackml", "colliderml") else {}
    study = load_study(name, overrides)
    if study is not None:
        assert parse_study(study.document, "again") == study
        return
    experiment = load_experiment(name, overrides)
    assert parse_experiment(experiment.to_dict(), "again") == experiment


def test_all_faults_are_reported_at_once() -> None:
    document = {
        "name": "a b",
        "budjet": {},
        "budget": {"trials": -1, "time": "soon"},
        "training": {"learning_rate": "fast"},
        "task": {"name": "edges"},
        "scheduler": {"name": "ashes"},
        "split": {"validation": 0.6, "test": 0.6},
        "references": [3],
    }
    with pytest.raises(InputError) as caught:
        parse_experiment(document, "x.yaml")
    faults = caught.value.faults
    for start in (
        "x.yaml: name: is 'a b'",
        "x.yaml: budjet: is unknown",
        "x.yaml: budget.trials: is -1; allowed: 1 or more",
        "x.yaml: budget.time: is 'soon'",
        "x.yaml: training.learning_rate: is 'fast'",
        "x.yaml: task.name: is 'edges'; allowed: edge_classification",
        "x.yaml: scheduler.name: is 'ashes'; allowed: asha, fifo (did you mean asha?)",
        "x.yaml: split: validation and test add to 1.2",
        "x.yaml: references[0]: is 3",
    ):
        assert [fault for fault in faults if fault.startswith(start)], (start, faults)
    assert len(faults) == 9


def test_a_fault_in_an_option_names_the_option() -> None:
    with pytest.raises(InputError, match=r"^--trials: is 0; allowed: 1 or more$"):
        load_experiment("quickstart", {"budget.trials": 0}, {"budget.trials": "--trials"})


def test_unknown_experiment_lists_the_bundled_ones() -> None:
    with pytest.raises(InputError, match=r"quickstrat: no such experiment.*did you mean quickstart\?"):
        load_experiment("quickstrat")


def test_a_data_path_turns_made_events_into_read_ones(tmp_path: Path) -> None:
    experiment = load_experiment("quickstart", {"data.path": str(tmp_path)})
    assert experiment.data.to_dict() == {"path": str(tmp_path), "source": "hitgraphs"}


def test_a_source_says_whether_it_reads_files() -> None:
    @dataclass(frozen=True)
    class Gun(PlainOptions):
        source = "gun"
        about = "particles of a gun"
        events: int = option(3, "events")

    @dataclass(frozen=True)
    class Tape(Gun):
        source = "tape"
        path: Path = option(HERE, "file")

    with restored(SOURCES):
        for options in (Gun, Tape):
            source(options)(lambda options: None)
        of_gun, of_tape = ({"data": {"source": name, "events": 2}} for name in ("gun", "tape"))
        assert override(of_gun, {"data.path": "x"}, "x.yaml") == {"data": {"path": "x"}}
        of_made = {"data": {"source": "learned", "of": {"source": "gun"}}}
        assert override(of_made, {"data.path": "x"}, "x.yaml") == {"data": {"source": "learned", "of": {"path": "x"}}}
        of_files = {"data": {"source": "learned", "of": "y"}}
        assert override(of_files, {"data.path": "x"}, "x.yaml") == {"data": {"source": "learned", "of": {"path": "x"}}}
        assert override(of_tape, {"data.path": "x"}, "x.yaml") == {"data": {"source": "tape", "events": 2, "path": "x"}}


def test_paths_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = load_experiment("hitgraphs", {"data.path": "events", "test": "others"})
    assert experiment.data.content["path"] == str(tmp_path / "events")
    assert experiment.test == str(tmp_path / "others")


def test_overrides_leave_the_document_as_it_is() -> None:
    document = {"budget": {"trials": 3}}
    assert override(document, {"budget.trials": 4, "task.name": "x"}, "x.yaml") == {
        "budget": {"trials": 4},
        "task": {"name": "x"},
    }
    assert document == {"budget": {"trials": 3}}


@pytest.mark.parametrize(("text", "seconds"), [("4h", 14400), ("90m", 5400), ("1h30m5s", 5405), (7, 7), ("0.5h", 1800)])
def test_times(text: object, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "soon", 0, -3, True, "0s"])
def test_what_is_no_time(text: object) -> None:
    assert duration(text) is None


def test_a_seed_for_training_is_refused() -> None:
    with pytest.raises(InputError, match=r"training\.seed: is not for this file"):
        parse_experiment({"name": "one", "training": {"seed": 1}}, "one.yaml")


def test_neither_torch_nor_ray_is_imported() -> None:
    code = (
        "import sys; import archioptrx.search.setup, archioptrx.commands.search, archioptrx.commands.train\n"
        "from archioptrx.runs.experiment import load_experiment\n"
        "archioptrx.search.setup.prepare(load_experiment('quickstart'))\n"
        "print(sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_module_says_where_it_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "needs_another.py").write_text("import no_such_module\n")
    faults = []
    for name in ("no_such_module", "needs_another"):
        with pytest.raises(InputError) as caught:
            import_modules([name, "no_other"])
        faults += caught.value.faults
    first, second = faults
    assert first.endswith(f"one in the current folder, {tmp_path}")
    assert "allowed" not in second  # this one was found
