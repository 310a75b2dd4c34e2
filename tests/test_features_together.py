"""Screen, snapshot, refusals, references and several goals in one search: a resume is still exact."""

from pathlib import Path
from typing import Any

import pytest
from small_search import Crash, crashing, lines, proposed, results, searched, small

EVOLUTION = {"name": "evolution", "initial": 3, "population": 6}
SHORT: dict[str, Any] = {
    "data__num_samples": 8,
    "budget__trials": 12,
    "training__epochs": 1,
    "retrain__seeds": 1,
    "screen__proposals": 3,
}
SEARCHES: dict[str, dict[str, Any]] = {
    "walk": {
        "sampler": EVOLUTION,
        "screen__proxy": "naswot+parameters",
        "objective": ["auc", "parameters"],
        "references": ["interaction"],
        "constraints": {"executed": 10, "parameters": 4000},
    },
    "architecture": {
        "sampler": EVOLUTION,
        "architecture": "interaction",
        "search_space": "hyperparameters",
        "constraints": {"parameters": 20000},
    },
    "controller": {
        "sampler": {"name": "controller", "batch": 3, "width": 8},
        "objective": ["auc", "parameters"],
        "constraints": {"executed": 10, "parameters": 4000},
    },
}


def search_record(path: Path) -> list[tuple[Any, ...]]:
    """What a proposal has beside its architecture, and what was learned."""
    learned = lines(path / "learned.jsonl") if (path / "learned.jsonl").exists() else []
    proposals = [
        (line["parent"], line["screened"], line["hyperparameters"]) for line in lines(path / "proposals.jsonl")
    ]
    return [*proposals, *(tuple(line["functions"].items()) for line in learned)]


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_that_died_goes_on_to_the_same_end(name: str, tmp_path: Path) -> None:
    experiment, whole = small(**SHORT, **SEARCHES[name]), tmp_path / "whole"
    searched(whole, experiment)
    proposals = lines(whole / "proposals.jsonl")
    if name == "controller":
        assert lines(whole / "learned.jsonl")
    else:
        assert sum(line["parent"] is not None for line in proposals) > 5
    for after in (7, 21):  # before the first snapshot, and after it
        folder = tmp_path / str(after)
        with pytest.raises(Crash):
            searched(folder, experiment, crashing(after))
        assert (folder / "sampler.json").exists() == (after == 21)
        searched(folder, experiment)
        assert results(folder) == results(whole) and proposed(folder) == proposed(whole)
        assert search_record(folder) == search_record(whole)
