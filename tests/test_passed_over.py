"""What a proposal's line says of the way to it: candidates that were passed over, the walk, the size of the network."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from small_search import Crash, crashing, lines, proposed, searched, small, write_odd

from archioptrx.graphs.computation_graph import ComputationGraph


def passed_over(folder: Path) -> Counter[str]:
    total: Counter[str] = Counter()
    for line in lines(folder / "proposals.jsonl"):
        total.update(line["passed_over"])
    return total


def test_the_lines_count_what_the_constraints_refused(tmp_path: Path) -> None:
    result = searched(tmp_path / "run", small(constraints__steps=4, constraints__rounds=1, budget__trials=4))
    counted = passed_over(tmp_path / "run")
    counted.pop("duplicate", None)
    assert counted == result.refusals and counted.total() > 0


def test_the_lines_count_the_samplers_duplicates_also_after_a_crash(tmp_path: Path) -> None:
    space = {key: value for key, value in write_odd(tmp_path).items() if key != "imports"}
    few = small(**space, budget__trials=4, constraints={})
    whole, crashed = tmp_path / "whole", tmp_path / "crashed"
    searched(whole, few)
    with pytest.raises(Crash):
        searched(crashed, few, crashing(5))
    searched(crashed, few)
    for folder in (whole, crashed):
        state = json.loads((folder / "sampler.json").read_text().split("\n", 1)[1])["state"]
        assert passed_over(folder) == Counter(state["refused"]) and passed_over(folder)["duplicate"] > 0
    assert proposed(crashed) == proposed(whole)


def test_the_lines_tell_of_the_walk_and_of_the_size(tmp_path: Path) -> None:
    searched(tmp_path / "run", small(budget__trials=3))
    for line in lines(tmp_path / "run" / "proposals.jsonl"):
        graph = ComputationGraph.from_dict(line["graph"])
        decisions = Counter(kind for kind, _, _ in line["trace"]["decisions"])
        assert line["walk"]["walks"] == 1 + decisions["walk"]
        assert line["size"] == {
            "steps": len(graph.steps),
            "executed": graph.executed,
            "rounds": graph.rounds,
            "loops": len(graph.loops),
            "depth": graph.depth,
        }
