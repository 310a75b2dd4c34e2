"""Estimate of a search: size of the space, seconds of one training step, hours in all. Nothing is written."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archioptrx.core.files import plain
from archioptrx.runs.text import duration_text
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.fixed_architecture import FixedSpace
from archioptrx.sampling.samplers import RandomSampler
from archioptrx.search.rules import trial_seed
from archioptrx.search.run import Events, cautions_of, check_events, rules_of
from archioptrx.search.setup import Setup, Specs
from archioptrx.search.study_run import EventsOf
from archioptrx.training.fit import Fitting
from archioptrx.training.measure import step_seconds
from archioptrx.training.trial import build

DRAWN = 500
"""Random candidates from which the size of the space is estimated."""
TIMED = 3
"""Networks of which a training step is timed; the median counts."""


@dataclass(frozen=True)
class DryRunSample:
    """Random candidates of a space: those within the constraints, and numbers of distinct ones, drawn once or twice."""

    allowed: list[Candidate]
    distinct: int
    seen_once: int
    seen_twice: int

    @property
    def size(self) -> float:
        """Lower bound of the number of architectures: S + f₁² / (2 f₂) (Chao 1984, Scand. J. Stat. 11, 265).

        S are the distinct ones drawn, f₁ and f₂ those drawn once and twice.
        """
        return self.distinct + self.seen_once**2 / (2 * max(1, self.seen_twice))


def draw_sample(setup: Setup, refuse: Any) -> DryRunSample:
    """Draw random candidates from the space by its prior weights."""
    sampler = RandomSampler(setup.space, setup.experiment.seed)
    candidates: dict[str, list[Candidate]] = {}
    for number in range(DRAWN):
        candidate = sampler.draw(number, 0)
        identity = candidate.key if isinstance(setup.space, FixedSpace) else candidate.fingerprint
        candidates.setdefault(identity, []).append(candidate)
    times = [len(same) for same in candidates.values()]
    allowed = [same[0] for same in candidates.values() if refuse(same[0]) is None]
    return DryRunSample(allowed, len(candidates), times.count(1), times.count(2))


def estimate_search(setup: Setup, events: Events) -> dict[str, Any]:
    """Estimate of one search, as plain data."""
    experiment = setup.experiment
    task = check_events(setup, events)
    specs = Specs(experiment, "cuda" if experiment.resources.gpus_per_trial else "cpu")
    sample = draw_sample(setup, rules_of(setup, events, specs, task, None).refuse)
    train, validation = events.data.splits.train, events.data.splits.validation
    steps, seconds = 0, []
    for number, candidate in enumerate(sample.allowed[:TIMED]):
        training = specs.training(candidate.hyperparameters, trial_seed(experiment.seed, number))
        model = build(candidate.graph, candidate.hyperparameters, events.data.metadata, task, training.seed)
        fitting = Fitting(model, task, train, validation, training, specs.device)
        seconds.append(step_seconds(fitting))
        steps = fitting.steps_per_epoch
        fitting.close()
    step = statistics.median(seconds) if seconds else None
    retrain = experiment.retrain.top * experiment.retrain.seeds
    trainings = experiment.budget.trials + retrain
    # Validation and what else an epoch needs come to about a fifth of the steps of a pass, a half of it each time.
    further = 0.1 + 0.1 * experiment.training.epochs_per_pass
    total = None if step is None else (1 + further) * step * steps * experiment.training.epochs * trainings
    size = (
        {"candidates": setup.space.size}
        if isinstance(setup.space, FixedSpace)
        else {"architectures_at_least": round(sample.size)}
    )
    return {
        **size,
        "distinct": sample.distinct / DRAWN,
        "within_constraints": len(sample.allowed) / sample.distinct,
        "split": events.data.splits.rule,
        "caution": "; ".join(cautions_of(setup, events)).removeprefix("split: ") or None,
        "steps_per_epoch": steps,
        "seconds_per_step": step,
        "trainings": trainings,
        "hours": None if total is None else total / experiment.resources.workers / 3600,
    }


def dry_run(setups: Sequence[Setup], as_json: bool) -> int:
    """Print the estimates of one or more searches; those that differ only in sampler or seed share one."""
    read, estimates = EventsOf(), {}
    all_estimates = []
    for setup in setups:
        key = repr({k: v for k, v in setup.experiment.to_dict().items() if k not in ("sampler", "seed")})
        if key not in estimates:
            estimates[key] = estimate_search(setup, read(setup.experiment))
        all_estimates.append(estimates[key])
    hours = [estimate["hours"] for estimate in all_estimates]
    total = None if None in hours else sum(hours)
    if as_json:
        content = all_estimates[0] if len(setups) == 1 else {"searches": all_estimates, "hours": total}
        print(json.dumps(plain(content), indent=1, ensure_ascii=False))
    else:
        print("\n\n".join(estimate_text(estimate) for estimate in estimates.values()))
        if len(setups) > 1:
            time = "unknown" if total is None else f"at most about {duration_text(total * 3600)}"
            print(f"\n{'whole study':20}{len(setups)} searches, {time}")
    print("nothing was trained or written", file=sys.stderr)
    return 0


def estimate_text(estimate: dict[str, Any]) -> str:
    """Estimate as text for the terminal."""
    hours, step = estimate["hours"], estimate["seconds_per_step"]
    if "candidates" in estimate:
        kind, size = "candidates", f"{estimate['candidates']:,}, of one architecture"
    else:
        kind, size = "architectures", f"at least {estimate['architectures_at_least']:,} (estimated from {DRAWN} draws)"
    rows = [
        (kind, size),
        ("distinct draws", f"{estimate['distinct']:.0%}"),
        ("within constraints", f"{estimate['within_constraints']:.0%} of the {kind} drawn"),
        ("events", estimate["split"]),
        *([("caution", estimate["caution"])] if estimate["caution"] else []),
        ("one training step", "unknown" if step is None else f"{step:.3g} s, {estimate['steps_per_epoch']} an epoch"),
        (
            "whole search",
            "unknown: no architecture is within the constraints"
            if hours is None
            else f"{estimate['trainings']} trainings, at most about {duration_text(hours * 3600)}",
        ),
    ]
    return "\n".join(f"{name:20}{text}" for name, text in rows)
