"""A study before it runs: its combinations, the names of their folders, everything that can be wrong with it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from small_search import SMALL
from test_search_commands import faults

from archioptrx.core.errors import InputError
from archioptrx.runs.experiment import parse_experiment
from archioptrx.search.study import OWN_FILES, combinations, load_study, parse_study

TEXTS = st.text(st.characters(codec="utf-8"), max_size=50) | st.sampled_from(
    ["lock", "a", "A", "a-b", "a_2", "..", "CON"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
SECTIONS = st.dictionaries(
    st.sampled_from(["name", "initial", "x"]), SCALARS | st.lists(SCALARS, max_size=2), max_size=3
)
LISTS = st.lists(SCALARS | SECTIONS, min_size=1, max_size=4, unique_by=repr)
VARIED = {"sampler": [{"name": "random"}, {"name": "evolution", "initial": 2}], "seed": [0, 1]}


def study_of(**more: Any) -> Any:
    return parse_study({**SMALL, "vary": VARIED, **more}, "s.yaml")


@given(st.dictionaries(st.sampled_from(["a", "b.c", "seed"]), LISTS, min_size=1, max_size=3))
def test_every_combination_has_a_folder_of_its_own(vary: dict[str, list[Any]]) -> None:
    searches = combinations(vary)
    count = 1
    for values in vary.values():
        count *= len(values)
    assert len({repr(combination.values) for combination in searches}) == len(searches) == count
    # A folder may not tell upper from lower case.
    assert len({combination.name.casefold() for combination in searches}) == count
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", combination.name) for combination in searches)
    assert all(len(combination.name) < 128 and combination.name not in OWN_FILES for combination in searches)
    for key, values in vary.items():
        # One label for each value, whatever else it is combined with.
        assert len({(repr(combination.values[key]), combination.labels[key]) for combination in searches}) == len(
            values
        )


def test_each_search_is_told_its_values_and_nothing_else_changes() -> None:
    study = study_of()
    assert [combination.name for combination in study.combinations] == [
        "random-0",
        "random-1",
        "evolution-0",
        "evolution-1",
    ]
    for combination, experiment in zip(study.combinations, study.experiments, strict=True):
        alone = parse_experiment({**SMALL, **combination.values}, "alone.yaml")
        assert experiment == alone
    assert study.experiments[3].sampler == {"name": "evolution", "initial": 2}


def test_a_value_may_be_one_key_of_a_section() -> None:
    nested = study_of(sampler={"name": "evolution"}, vary={"sampler": {"initial": [2, 3]}})
    dotted = study_of(sampler={"name": "evolution"}, vary={"sampler.initial": [2, 3]})
    assert nested == dotted
    assert [experiment.sampler for experiment in dotted.experiments] == [
        {"name": "evolution", "initial": n} for n in (2, 3)
    ]


def test_a_key_that_is_a_list_is_varied_as_a_whole() -> None:
    study = study_of(vary={"references": [[], ["interaction"]], "seed": [0, 1]})
    assert [combination.name for combination in study.combinations] == [
        "none-0", "none-1", "interaction-0", "interaction-1",
    ]  # fmt: skip
    assert [experiment.references for experiment in study.experiments] == [(), (), ("interaction",), ("interaction",)]


def test_the_resolved_study_is_the_same_study() -> None:
    study = study_of()
    again = parse_study(yaml.safe_load(yaml.safe_dump(dict(study.document))), "again.yaml")
    assert again == study
    assert "seed" not in study.document and "sampler" not in study.document


def test_one_experiment_is_no_study_and_a_study_is_not_one() -> None:
    assert load_study("quickstart") is None
    with pytest.raises(
        InputError, match=r"^s\.yaml: vary: makes it a study of several searches; allowed here: one search$"
    ):
        parse_experiment({**SMALL, "vary": VARIED}, "s.yaml")


def test_an_option_makes_a_study_of_an_experiment() -> None:
    study = load_study("quickstart", {"vary.seed": [3, 4], "budget.trials": 2}, {})
    assert study is not None and [(experiment.seed, experiment.budget.trials) for experiment in study.experiments] == [
        (3, 2),
        (4, 2),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--seed", "3"), ["--seed: seed is varied by {file}; allowed: --set vary.seed=[...]"]),
        (("--sampler", "gp"), ["--sampler: sampler is varied by {file}; allowed: --set vary.sampler=[...]"]),
        (("--set", "sampler.x=1"), ["--set sampler.x: sampler is varied by {file}; allowed: --set vary.sampler=[...]"]),
        (("--set", "vary=3"), ["--set vary: is 3; allowed: lists of values by key, such as {{seed: [0, 1, 2]}}"]),
        (("--set", "vary={}"), ["--set vary: is {{}}; allowed: lists of values by key, such as {{seed: [0, 1, 2]}}"]),
        (("--set", "vary.seed=1"), ["--set vary.seed: is 1; allowed: a list of values"]),
        (("--set", "vary.seed=[]"), ["--set vary.seed: is empty; allowed: one value or more"]),
        (
            ("--set", "vary.seed=[[1], 2, 2]"),
            [
                "--set vary.seed[0]: is [1]; allowed: a single value, or a mapping",
                "--set vary.seed[2]: 2 stands twice; allowed: each value once",
            ],
        ),
        (
            ("--set", "vary.references=[interaction, []]"),
            ["--set vary.references[0]: is 'interaction'; allowed: a list, such as [] or [a, b]"],
        ),
        (
            ("--set", "vary.task=[edge_classification, track_count]"),
            [
                "{file}: vary: gives searches with task edge_classification and track_count; allowed: the same in all, "
                "as their scores are compared"
            ],
        ),
        (("--set", "vary.name=[a]"), ["--set vary.name: can't be varied; allowed: every other key"]),
        (
            ("--set", "vary.objective.mode=[max]"),
            ["--set vary.objective.mode: can't be varied: their scores aren't comparable; allowed: every other key"],
        ),
        (
            ("--set", "vary={sampler: [{name: gp}], sampler.name: [random]}"),
            ["--set vary.sampler.name: is inside sampler, which is varied too; allowed: one of them"],
        ),
        (
            ("--set", "vary.budget.trails=[1]"),
            ["--set vary.budget.trails: is unknown; allowed: time, trial_time, trials (did you mean trials?)"],
        ),
        (
            ("--set", "vary.budget.trials=[1, 0]"),
            ["--set vary.budget.trials: is 0; allowed: 1 or more (in random-0-0 and 3 more)"],
        ),
        (("--trials", "0"), ["--trials: is 0; allowed: 1 or more"]),
    ],
)
def test_faults_are_told_before_anything_runs(
    arguments: tuple[str, ...], expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "vary": VARIED}))
    output = tmp_path / "study"
    assert faults(capsys, str(file), "--output", str(output), *arguments) == [
        line.format(file=file) for line in expected
    ]
    assert not output.exists()


@pytest.mark.parametrize(
    ("vary", "pattern"),
    [
        ({"sampler": [{"name": "random"}, {"name": "gp", "initail": 3}]}, r"sampler\.initail: .* \(in gp\)"),
        ({"scheduler.name": ["fifo", "fifa"]}, r".*small\.yaml: vary\.scheduler\.name: is 'fifa'; .* \(in fifa\)"),
        ({"data": [{"source": "toy", "num_samples": 16}, {"path": "/nowhere"}]}, r"/nowhere: .* \(in path_nowhere\)"),
        (
            {"search_space": ["small", "smal"], "seed": [0, 1]},
            r"smal: no such search space; .* \(in smal-0 and 1 more\)",
        ),
    ],
)
def test_the_last_search_is_checked_before_the_first_is_run(
    vary: dict[str, Any], pattern: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also what takes the data: whether they can be read, and have the metric."""
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "vary": vary}))
    messages = faults(capsys, str(file), "--backend", "local", "--output", str(tmp_path / "study"))
    warned = ["warning: vary: data: scores of different events aren't compared with each other"] * ("data" in vary)
    assert messages[:-1] == warned and re.fullmatch(pattern, messages[-1]), messages
    assert not (tmp_path / "study").exists()


def test_a_study_is_checked_without_torch(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**SMALL, "vary": VARIED}))
    code = (
        "import sys; from archioptrx.search.study import load_study; from archioptrx.search.study_run import prepared\n"
        f"assert len(prepared(load_study({str(tmp_path / 'small.yaml')!r}))) == 4\n"
        "print(sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
