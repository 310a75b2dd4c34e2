"""A run folder of thousands of trials: real proposals and a real search loop; only the training is made up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from small_search import quiet, small

from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.sampling.candidate import Candidate
from archioptrx.search.loop import Trials
from archioptrx.search.run import check_events, load_events, new_run, rules_of, trials_of
from archioptrx.search.setup import Specs, prepare

METRICS = ("loss", "average_precision", "accuracy", "efficiency", "purity", "efficiency_0.7", "purity_0.7")


def large_run(place: Path, trials: int, epochs: int = 5, **overrides: Any) -> Path:
    """Run a search whose trainings take no time."""
    experiment = small(budget__trials=trials, training__epochs=epochs, search_space="full", constraints={}, **overrides)
    setup, events = prepare(experiment), load_events(experiment)
    rules = rules_of(setup, events, Specs(experiment, "cpu"), check_events(setup, events), None)
    folder = new_run(place, setup, events)
    with folder.locked():
        pretend(trials_of(setup, folder, rules, setup.sampler, quiet(trials)), random.Random(0))
    return place


def pretend(work: Trials, chance: random.Random) -> None:
    """Answer for the workers: better with more parameters, with luck; some fail."""
    while not work.done:
        job = work.next()
        assert job is not None
        for message in messages(work.candidates[int(job.key)], chance):
            if work.message(job.key, message):
                break


def messages(candidate: Candidate, chance: random.Random, epochs: int = 5) -> Iterator[dict[str, Any]]:
    """What a worker would say of a trial."""
    size = count_parameters(candidate.graph, candidate.hyperparameters, {"hits": 3, "doublet": 5}) or 1
    if chance.random() < 0.02:
        yield {"kind": "error", "error": "RuntimeError: made up", "seconds": 1.0, "log": []}
        return
    error = min(0.5, 8 / size * chance.lognormvariate(0, 1))
    for epoch in range(1, epochs + 1):
        score = 1 - error * (1 + 1 / epoch) / 2
        costs = {"parameters": size, "seconds_per_epoch": size**0.5 * chance.uniform(0.01, 0.02)}
        yield {
            **{"kind": "epoch", "epoch": epoch, "score": score, "best": True, "parameters": size, "log": []},
            "metrics": {"auc": score, **{name: chance.random() for name in METRICS}, **costs},
            **{"loss": chance.random(), "learning_rate": 0.003, "gradient_norm": 1.0, "weight_norm": 9.0},
            **{"train_seconds": epoch * 1.5, "seconds": 2.0 + epoch * 1.5, "memory": 10**9, "gpu_memory": None},
        }
    yield {"kind": "end", "train_seconds": epochs * 1.5, "seconds": 2.0 + epochs * 1.5, "log": []}
