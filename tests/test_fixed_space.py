"""One architecture as a space of its hyperparameters, and the search of it."""

import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from small_search import lines, results, searched, small

from archioptrx.commands.search import main as search
from archioptrx.commands.search import overrides_of, parser
from archioptrx.core.config import bundled
from archioptrx.core.errors import InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.sampling.fixed_architecture import FixedSpace
from archioptrx.sampling.samplers import enumerate_space, make_sampler, replay
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.search.walk_space import TRAINING_FIELDS

INTERACTION = Architecture.load("interaction")


def space_of(**hyperparameters):
    content = {"name": "own", "hyperparameters": hyperparameters}
    return FixedSpace(INTERACTION, SearchSpace.from_dict(content), TRAINING_FIELDS)


def test_all_of_the_grid_and_nothing_else():
    space = space_of(hidden={"choice": [16, 32, 64]}, learning_rate={"choice": [0.001, 0.01]}, optimizer="adamax")
    candidates = [candidate for candidate, _ in enumerate_space(space)]
    assert len({candidate.key for candidate in candidates}) == len(candidates) == 6
    assert {candidate.fingerprint for candidate in candidates} == {INTERACTION.graph.fingerprint}
    assert {candidate.hyperparameters["hidden"] for candidate in candidates} == {16, 32, 64}
    assert {candidate.hyperparameters["optimizer"] for candidate in candidates} == {"adamax"}
    fixed = set(INTERACTION.hyperparameters) - {"hidden", "learning_rate"}
    assert all(
        candidate.hyperparameters[k] == INTERACTION.hyperparameters[k] for k in fixed for candidate in candidates
    )


@given(st.integers(0, 2**32))
def test_a_candidate_is_replayed_from_its_trace(seed):
    space = FixedSpace(INTERACTION, SearchSpace.load("hyperparameters"), TRAINING_FIELDS)
    candidate = space(random_choices(seed))
    assert replay(space, candidate.trace).key == candidate.key


def test_what_nobody_knows_is_left_out():
    space = space_of(hidden={"choice": [16, 32]}, nonsense={"choice": [1, 2]})
    assert space.left_out == ("nonsense",)
    assert [grid.name for grid in space.grids] == ["hidden"]


def test_nothing_to_decide_is_a_fault():
    with pytest.raises(
        InputError, match="none with several values is one of interaction or of its training; allowed: "
    ):
        space_of(hidden=16, nonsense={"choice": [1, 2]})


def test_its_own_values_are_a_candidate_where_they_are_on_the_grid():
    size = INTERACTION.hyperparameters["hidden"]
    space = space_of(hidden={"choice": [8, size]})
    assert replay(space, space.own().trace).key == space.own().key
    off = space_of(hidden={"choice": [8, 9]}).own()
    assert off.trace.decisions == () and off.hyperparameters == INTERACTION.hyperparameters


@pytest.mark.parametrize("name", ["random", "evolution", "gp", "optuna:TPESampler", "controller"])
def test_every_sampler_searches_it(name):
    if name.startswith("optuna:"):
        pytest.importorskip("optuna", reason="needs the extra `optuna`")
    space = space_of(hidden={"choice": [8, 16, 32]}, learning_rate={"range": [0.001, 0.01], "scale": "log"})
    sampler = make_sampler(name, space, 0, dedup="hyperparameters")
    sampler.observe(space.own(), 0.5, 1)
    keys = []
    while (candidate := sampler.propose()) is not None:
        keys.append(candidate.key)
        sampler.observe(candidate, 1 / len(keys), 1)
    assert len(set(keys)) == len(keys) == 24 - (space.own().key in {c.key for c, _ in enumerate_space(space)})


def test_a_search_of_one_architecture(tmp_path: Path):
    experiment = small(architecture="interaction", search_space="hyperparameters", constraints={})
    assert experiment.dedup == "hyperparameters"
    searched(tmp_path / "run", experiment)
    rows = lines(tmp_path / "run" / "trials.jsonl")
    assert {row["fingerprint"] for row in rows} == {INTERACTION.graph.fingerprint}
    assert len({json.dumps(row["hyperparameters"], sort_keys=True) for row in rows}) == len(rows) == 5
    assert [row["reference"] for row in sorted(rows, key=lambda r: r["proposal"])] == ["interaction", *[None] * 4]
    # The run has its own copy, and goes on with it.
    assert Architecture.load(tmp_path / "run" / "architecture.yaml").graph == INTERACTION.graph
    searched(tmp_path / "run", small(**{**_as_keys(experiment), "budget__trials": 6}))
    assert len(results(tmp_path / "run")) == 6


def _as_keys(experiment):
    return {"architecture": experiment.architecture, "search_space": experiment.search_space, "constraints": {}}


def test_the_option_takes_the_space_of_hyperparameters(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--architecture", "message_passing", "--trials", "2", "--epochs", "1", "--backend", "local"]
    settings = ["--set", "retrain.top=1", "--set", "retrain.seeds=1", "--set", "data.num_samples=16"]
    assert search([*options, *settings, "--output", str(tmp_path / "run")]) == 0
    table = capsys.readouterr().out.split("best: ")[0]
    assert "(given)" in table and "optimizer" in table and "fingerprint" not in table
    document = yaml.safe_load((tmp_path / "run" / "experiment.yaml").read_text())
    assert (document["architecture"], document["search_space"]) == ("message_passing", "hyperparameters")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--architecture", "interactio"), "interactio: no such architecture; allowed: "),
        (("--architecture", "interaction", "--set", "dedup=architecture"), "--set dedup: is 'architecture', but only"),
        (("--architecture", "interaction", "--search-space", "nowhere"), "nowhere: no such search space"),
    ],
)
def test_faults_are_one_line(arguments, start, capsys: pytest.CaptureFixture[str]):
    assert search(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(start)


def test_a_dry_run_counts_the_candidates(capsys: pytest.CaptureFixture[str]):
    assert search(["--architecture", "interaction", "--dry-run", "--json"]) == 0
    grids = SearchSpace.load("hyperparameters").hyperparameters
    assert json.loads(capsys.readouterr().out)["candidates"] == math.prod(len(grid.values) for grid in grids)
    assert search(["--architecture", "interaction", "--dry-run"]) == 0
    assert "6,480, of one architecture" in capsys.readouterr().out


def test_a_node_network_is_no_edge_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    content = yaml.safe_load(bundled("experiments/architectures", "interaction").read_text())
    content["graph"]["targets"] = ["x0"]  # the first step: hits to nodes
    content["graph"]["steps"] = content["graph"]["steps"][:1]
    content["graph"]["back_edges"] = []
    (tmp_path / "nodes.yaml").write_text(yaml.safe_dump(content))
    assert search(["--architecture", str(tmp_path / "nodes.yaml"), "--dry-run"]) == 2
    assert "(node); allowed for edge_classification: one of domain edge" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--architecture", "interaction"], ["--set", "architecture=interaction"]])
def test_the_space_of_hyperparameters_however_it_is_said(option, capsys: pytest.CaptureFixture[str]):
    overrides = overrides_of(parser().parse_args(["quickstart", *option]))[0]
    assert overrides["search_space"] == "hyperparameters"
    assert search(["quickstart", *option, "--function-graph", "tracking", "--dry-run"]) == 2
    name = " ".join(option).split("=")[0].removesuffix(" interaction")
    assert capsys.readouterr().err == (
        f"--function-graph: doesn't go with {name}: one is searched; allowed: one of the two\n"
    )


def test_a_model_folder_is_an_architecture(tmp_path: Path):
    INTERACTION.save(tmp_path / "architecture.yaml")
    with pytest.raises(InputError, match="is a folder, no architecture; allowed: attention, "):
        bundled("experiments/architectures", tmp_path)
    (tmp_path / "weights.pt").touch()
    assert Architecture.load(tmp_path).graph == INTERACTION.graph
