"""Settings of the search loop, and the rows that it writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.sampling.candidate import Candidate
from archioptrx.training.trial_spec import TrialSpec


class SearchListener(Protocol):
    """Receiver of messages for the user."""

    def started(self, proposal: Mapping[str, Any]) -> None:
        """Show that a trial starts."""

    def continued(self, row: Mapping[str, Any]) -> None:
        """Show that the trial which started had paused with this row: it counts as ended no more."""

    def epoch(self, number: int, message: Mapping[str, Any]) -> None:
        """Show the score of an epoch."""

    def ended(self, row: Mapping[str, Any]) -> None:
        """Show an ended trial."""

    def dropped(self, number: int, text: str) -> None:
        """Show that a trial ends without a row."""

    def note(self, text: str) -> None:
        """Show a message."""


@dataclass(frozen=True)
class Reference:
    """Reference architecture: a trial before the first proposal of the sampler."""

    name: str
    candidate: Candidate


@dataclass(frozen=True)
class Draw:
    """History of one draw.

    Attributes
    ----------
    draws
        Number of candidates that the sampler proposed for it.
    passed_over
        Number of candidates that were refused before it, by reason: `duplicate` (the sampler has proposed it before),
        `seen` (it is a reference), or the constraint that it breaks.
    """

    draws: int
    passed_over: Mapping[str, int]


@dataclass(frozen=True)
class Rules:
    """Settings of the search loop.

    Attributes
    ----------
    spec
        Function that makes the specification of a trial from a line of `proposals.jsonl` and its graph.
    refuse
        Function that gives the constraint that a candidate breaks; None: none.
    trials, epochs
        Ended trials that end the search; epochs of a whole trial.
    longest
        Epochs of the longest trial, where their number is a hyperparameter; else those of a whole trial.
    workers
        Trials at one time.
    delay
        Lag between proposals and results, see `archioptrx.search.loop`; None: results are passed on as they arrive.
    deadline
        `time.monotonic()` at which trials stop, with the score they have.
    trial_time
        Seconds after which a trial stops, with the score it has; None: no limit.
    by_architecture
        True: a fingerprint is trained once, with any hyperparameters.
    seed
        Seed of the experiment.
    screened
        Function that gives the screen's values of a candidate, by proxy; None: no screen.
    """

    spec: Callable[[Mapping[str, Any], ComputationGraph], TrialSpec]
    refuse: Callable[[Candidate], str | None]
    trials: int
    epochs: int
    longest: int
    workers: int
    delay: int | None
    deadline: float | None
    by_architecture: bool
    seed: int
    screened: Callable[[Candidate], Mapping[str, float | None] | None] = lambda candidate: None
    trial_time: float | None = None


@dataclass
class Running:
    """Running trial: its proposal and spec, start time, messages of its epochs, and its best weights if sent.

    `before`: the row with which it paused, None if it never did; `state`: that of its last epoch, where it may pause.
    """

    line: dict[str, Any]
    spec: TrialSpec
    started: float
    before: Mapping[str, Any] | None = None
    reports: list[dict[str, Any]] = field(default_factory=list)
    weights: bytes | None = None
    state: bytes | None = None


def trial_seed(seed: int, proposal: int, repeat: int = 0) -> int:
    """Seed of a training, 0 to 2³¹ − 1: a function of these numbers alone."""
    return int(np.random.SeedSequence([seed, proposal, repeat]).generate_state(1)[0] % 2**31)


def make_row(running: Running, status: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """The line of `trials.jsonl` for an ended trial; metrics are those of its best epoch.

    A trial that had paused has the curve of all its epochs.
    """
    line, reports, before = running.line, running.reports, running.before or NEVER_PAUSED
    better = next((report for report in reversed(reports) if report["best"]), None)
    best = better or (None if before["score"] is None else before)
    error = message["error"] if status == "failed" else None
    if best is None and error is None:  # pruned before an epoch had a score
        error = running.spec.objective.missing(reports[-1]["metrics"], len(reports))
    failed = error is not None
    if best is None:
        best = {"metrics": {}, "parameters": None, "score": None, "scores": None}
    several = {}
    if "curves" in before or (reports and "scores" in reports[0]):
        curves = [*before.get("curves", ()), *(report["scores"] for report in reports)]
        several = {"scores": None if failed else best["scores"], "curves": curves}
    curve = [*before["curve"], *(report["score"] for report in reports)]
    return {
        "id": f"{line['proposal']:04d}",
        "proposal": line["proposal"],
        "fingerprint": line["fingerprint"],
        "trace": line["trace"],
        "hyperparameters": line["hyperparameters"],
        "status": "failed" if failed else status,
        "score": None if failed else best["score"],
        "epochs": len(curve),
        "metrics": best["metrics"],
        "parameters": best["parameters"],
        # A worker that ends regularly counts its earlier parts; what is written of one that doesn't, doesn't.
        "seconds": message["seconds"] + (before["seconds"] if message["kind"] in ("error", "stopped") else 0.0),
        "train_seconds": reports[-1]["train_seconds"] if reports else before["train_seconds"],
        "error": error,
        "curve": curve,
        **several,
        "reference": line["reference"],
        "seed": line["seed"],
        "training": running.spec.training.to_dict(),
        "device": running.spec.device,
        "weights_digest": None if failed else best.get("weights_digest"),
        **_times(running),
    }


def _times(running: Running) -> dict[str, Any]:
    """Start and end of a trial; of one that had paused also those of all its parts."""
    now, before = time.time(), running.before
    if before is None:
        return {"started": running.started, "ended": now}
    parts = before.get("parts") or [[before["started"], before["ended"]]]
    return {"started": before["started"], "ended": now, "parts": [*parts, [running.started, now]]}


NEVER_PAUSED: Mapping[str, Any] = {"score": None, "curve": (), "seconds": 0.0, "train_seconds": 0.0}
"""What a trial has of an earlier part where there is none."""
