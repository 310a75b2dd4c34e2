"""Retraining at the end of a search: the best candidates are trained with several seeds, and a winner is chosen.

The best of N trials by one validation score is in part the luckiest one: its score is biased upwards. So the winner is
the candidate with the highest mean validation score over new seeds, and its reported result is mean and spread on test
events, which were used for nothing before. With several goals the first one decides. A candidate of which trainings
failed comes after those with a score of more seeds: a mean over the lucky seeds alone is biased, too.

Where no retraining of the best candidates has a score, the next best one follows, and so on. If all fail, the best
trial is repeated with its own seed, on CPU to the same weights: a search with a scored trial has a winner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from archioptrx.core.errors import InputError
from archioptrx.core.files import plain, remove_files, write_atomically, writing
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.latencies import with_latency
from archioptrx.runs.leaderboard import worth_training_again
from archioptrx.runs.run_folder import RunFolder
from archioptrx.runs.text import duration_text
from archioptrx.search.jobs import TrialJob
from archioptrx.search.records import Records
from archioptrx.search.rules import trial_seed
from archioptrx.search.winner import OWN_SEED, SeedSpread, Winner, first_difference, metrics_of
from archioptrx.training.trial_spec import TrialSpec


class RetrainingListener(Protocol):
    """Receiver of messages for the user."""

    def retraining(self, done: int, total: int) -> None:
        """Show how many of the trainings have ended."""

    def note(self, text: str) -> None:
        """Show a message."""


@dataclass(frozen=True)
class RetrainingPlan:
    """Settings of the retraining.

    Attributes
    ----------
    spec
        Function that makes the specification of a training from a proposal's line, its graph and a seed.
    again
        Function that makes the specification of the trial itself from the number of its proposal.
    top, seeds
        Candidates, and trainings of each.
    workers
        Trainings at one time.
    seed
        Seed of the experiment.
    trial_time
        Most seconds of a training with as many epochs as a trial; None: no limit.
    """

    spec: Callable[[Mapping[str, Any], ComputationGraph, int], TrialSpec]
    again: Callable[[int], TrialSpec]
    top: int
    seeds: int
    workers: int
    seed: int
    trial_time: float | None = None


class Retraining:
    """Last work of a search, after its trials. Ended trainings are in `retrain.jsonl`, their weights in `retrain/`.

    Parameters
    ----------
    folder
        A locked run folder whose trials have ended.
    records
        Logs and weights in the same folder.
    """

    def __init__(self, folder: RunFolder, plan: RetrainingPlan, listener: RetrainingListener, records: Records) -> None:
        self.folder, self.plan, self.listener, self.records = folder, plan, listener, records
        self.rows = {(r["proposal"], r["repeat"]): r for r in folder.retrained.read()}
        self._latencies = folder.latencies_of_networks()
        self._ranked = trials_to_retrain(folder)
        self.chosen = self._ranked[: plan.top]
        jobs = [(number, repeat) for number in self.chosen for repeat in range(plan.seeds)]
        self.total = len(jobs)
        self._waiting = [job for job in jobs if job not in self.rows]
        self._placed: dict[tuple[int, int], bool] = {}
        self._running: dict[str, tuple[int, int]] = {}
        self._best: dict[tuple[int, int], dict[str, Any]] = {}
        self._settings: dict[tuple[int, int], dict[str, Any]] = {}
        self._curves: dict[tuple[int, int], list[float | None]] = {}
        if self._waiting:
            listener.retraining(self.total - len(self._waiting), self.total)

    def _weights(self, job: tuple[int, int]) -> Path:
        return self.folder.path / "retrain" / f"{_name(job)}.pt"

    @property
    def done(self) -> bool:
        """Whether all trainings have ended and the winner's weights exist."""
        while not self._waiting and not self._running and not self._has_winner() and self._fall_back():
            pass
        if self._waiting or self._running:
            return False
        winner = self.winner()
        job = (winner.proposal, winner.repeat)
        if self.in_place(winner) or self._weights(job).is_file():
            return True
        # Trials were added to a search whose weights had been cleaned away: this one is trained again, to the same.
        self._waiting.append(job)
        return False

    def _has_winner(self) -> bool:
        """Whether a retraining of a chosen candidate has a score."""
        return any(row["proposal"] in self.chosen and row["status"] == "finished" for row in self.rows.values())

    def _fall_back(self) -> bool:
        """Add the next best candidate, after the last one the best trial itself; False: none is left."""
        if len(self.chosen) < len(self._ranked):
            number = self._ranked[len(self.chosen)]
            self.chosen.append(number)
            jobs = [(number, repeat) for repeat in range(self.plan.seeds)]
            text = f"trial {number}, the next best, is trained again"
        else:
            jobs = [(self._ranked[0], OWN_SEED)]
            text = f"trial {self._ranked[0]}, the best, is repeated with its own seed"
            if jobs[0] in self.rows:
                return False
        new = [job for job in jobs if job not in self.rows]
        self._waiting += new
        self.total += len(jobs)
        if new:
            self.listener.note(f"no retraining so far has a score: {text}")
        return True

    def in_place(self, winner: Winner) -> bool:
        """Whether `best/` holds the winner."""
        job = (winner.proposal, winner.repeat)
        if self._placed.get(job) is None:
            fault = self._fault_of_best(winner)
            self._placed[job] = fault is None
            if fault:
                self.listener.note(f"{self.folder.best}: {fault}; it is made again")
        return self._placed[job]

    def _fault_of_best(self, winner: Winner) -> str | None:
        """Fault of `best/`, "" where it is missing or holds another winner; None: it is whole."""
        job = (winner.proposal, winner.repeat)
        # Here, since it loads torch, which `inspect` comes along without.
        from archioptrx.models.model_folder import FILES, digest_of, load_model

        best = self.folder.best
        if not best.is_dir():
            return ""
        missing = [name for name in FILES if not (best / name).is_file()]
        if missing:
            return f"has no {missing[0]}"
        try:
            held = self.folder.winner() or {}
            if (held.get("proposal"), held.get("repeat")) != job:
                return ""
            digest, expected = digest_of(best / "weights.pt"), self.rows[job].get("weights_digest")
            model, line = load_model(best), self.folder.proposal(job[0])
        except InputError as error:
            return f"is damaged: {error.faults[0]}"
        if expected not in (None, digest):
            return "is damaged: its weights are others than those of the training"
        trained = model.architecture.graph, dict(model.architecture.hyperparameters)
        if trained != (ComputationGraph.from_dict(line["graph"]), line["hyperparameters"]):
            return "is damaged: its architecture.yaml holds another network than the trial"
        provenance, experiment = model.provenance, self.folder.experiment()
        said = provenance.task.to_dict(), provenance.split, provenance.fingerprint
        if said != (experiment.task.to_dict(), asdict(experiment.split), self.folder.fingerprint()):
            return "is damaged: its metadata.json names another task, split or data than the search"
        kept, held_files = (_names_in(place / "modules") for place in (self.folder.path, best))
        if missing := sorted(kept - held_files):
            return f"has no modules/{missing[0]}"
        recorded = self.folder.environment().get("data", {}).get("metadata")
        if recorded not in (None, plain(model.metadata.to_dict())):
            return "is damaged: its metadata.json describes other data than those of the search"
        if (name := first_difference(held, metrics_of(winner, self.rows[job]["bins"]))) is not None:
            # Its weights are whole, so nothing needs to be trained again.
            with writing(self._weights(job)):
                self._weights(job).parent.mkdir(exist_ok=True)
            write_atomically(self._weights(job), (best / "weights.pt").read_bytes())
            return f"its metrics.json has another {name} than the journals"
        return None

    def next(self) -> TrialJob | None:
        """Start the next training, if one may start now."""
        if not self._waiting or len(self._running) >= self.plan.workers:
            return None
        number, repeat = job = self._waiting.pop(0)
        key = f"retrain-{number}-{repeat}"
        self._running[key] = job
        line = self.folder.proposal(number)
        if repeat == OWN_SEED:
            spec = self.plan.again(number)
        else:
            seed = trial_seed(self.plan.seed, number, repeat + 1)
            spec = self.plan.spec(line, ComputationGraph.from_dict(line["graph"]), seed)
        self._curves[job], self._settings[job] = [], spec.training.to_dict()
        self.records.started(_name(job), line, spec)
        limit = self.plan.trial_time
        more = max(1.0, spec.training.epochs / line["epochs"])
        return TrialJob(key, spec, None if limit is None else limit * more)

    def message(self, key: str, message: dict[str, Any]) -> bool:
        """Take a message; True: the training is over."""
        job = self._running[key]
        self.records.heard(_name(job), {"proposal": job[0]}, message)
        if message["kind"] == "epoch":
            self._curves[job].append(message["score"])
            if message["best"]:
                self._best[job] = message
            return False
        if message["kind"] == "stopped":
            assert self.plan.trial_time is not None
            error = f"not ended within {duration_text(self.plan.trial_time)} (budget.trial_time)"
            message = {**message, "kind": "error", "error": error}
        self._end(job, message)
        del self._running[key]
        self.listener.retraining(self.total - len(self._waiting) - len(self._running), self.total)
        return True

    def _end(self, job: tuple[int, int], message: Mapping[str, Any]) -> None:
        failed = message["kind"] == "error"
        row = {
            "proposal": job[0],
            "repeat": job[1],
            "seed": self._settings[job]["seed"],
            "training": self._settings[job],
            "status": "failed" if failed else "finished",
            "score": None if failed else self._best[job]["score"],
            "metrics": None if failed else self._best[job]["metrics"],
            "test": None if failed else {k: v for k, v in message["test"].items() if not isinstance(v, list)},
            "bins": None if failed else {k: v for k, v in message["test"].items() if isinstance(v, list)},
            "curve": self._curves[job],
            "weights_digest": message.get("weights_digest"),
            "seconds": message["seconds"],
            "error": message.get("error"),
        }
        if failed:
            self.listener.note(f"retraining of trial {job[0]} failed: {message['error']}")
        else:
            # The weights first: a row says that they are there.
            with writing(self._weights(job)):
                self._weights(job).parent.mkdir(exist_ok=True)
            write_atomically(self._weights(job), message["weights"])
        if failed or job not in self.rows:  # one that is trained once more, and fails, can't be the winner again
            self.folder.retrained.append(row)
            self.rows[job] = row

        self.records.ended(_name(job), row, len(row["curve"]))

    def winner(self) -> Winner:
        """Choose the winner. Raises InputError if every retraining failed."""
        objective = self.folder.experiment().objective
        rows = [with_latency(row, objective, self._latencies.get(row["proposal"])) for row in self.rows.values()]
        return choose_winner(rows, self.chosen, self.plan.seeds)

    def unfinished_text(self) -> str:
        """Line on candidates with a score of some seeds only; empty where there are none."""
        counts = {
            number: [row["status"] == "finished" for row in self.rows.values() if row["proposal"] == number]
            for number in self.chosen
        }
        parts = [
            f"trial {number}: {sum(ended)} of {len(ended)}"
            for number, ended in counts.items()
            if 0 < sum(ended) < len(ended)
        ]
        rule = "candidates with more come first"
        return f"retrainings with a score: {'; '.join(parts)} ({rule})" if parts else ""

    def weights(self, winner: Winner) -> bytes:
        """Weights of the winner, as bytes of a file."""
        return self._weights((winner.proposal, winner.repeat)).read_bytes()

    def clean(self) -> None:
        """Remove the weights of the retrainings; `best/` keeps those of the winner."""
        remove_files(self.folder.path / "retrain", r"\d{4,}-(\d+|again)\.pt|\.\d{4,}-(\d+|again)\.pt\.\w{8}")


def _name(job: tuple[int, int]) -> str:
    """Name of a retraining in the records and of its file."""
    return f"{job[0]:04d}-{'again' if job[1] == OWN_SEED else job[1]}"


def trials_to_retrain(folder: RunFolder) -> list[int]:
    """Numbers of the trials with a score in the order in which they are trained again.

    With several goals, those outside of `worth_training_again` come last: they are used only if all others fail.

    Raises
    ------
    InputError
        No trial has a score.
    """
    rows = folder.rows()
    scored = [row["proposal"] for row in rows if row["score"] is not None]
    good = [row["proposal"] for row in worth_training_again(rows)]
    if not rows:
        raise InputError(f"{folder.path}: no trial has ended; allowed: more --time, then --resume {folder.path}")
    if not good:
        raise InputError(f"{folder.path}: all {len(rows)} trials failed; the last one: {rows[-1]['error']}")
    return [*good, *(number for number in scored if number not in good)]


def _names_in(folder: Path) -> set[str]:
    """Files of a folder, by their paths in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*.py")}


def choose_winner(rows: Sequence[Mapping[str, Any]], numbers: Sequence[int], seeds: int) -> Winner:
    """Choose the winner among the retrained candidates; in a tie the earlier one of `numbers`.

    More trainings with a score, up to `seeds`, come before a higher mean. A trial that was repeated with its own seed
    counts only where no other retraining does: its score is biased upwards.
    """
    scored = [row for row in rows if row["status"] == "finished" and row["proposal"] in numbers]
    usable = [row for row in scored if row["repeat"] != OWN_SEED] or scored
    finished = {n: [row for row in usable if row["proposal"] == n] for n in numbers}
    scores = {
        n: SeedSpread.of([r["score"] for r in rows_of_trial]) for n, rows_of_trial in finished.items() if rows_of_trial
    }
    if not scores:
        raise InputError(f"retrain: all trainings failed; the last one: {rows[-1]['error'] if rows else 'none ran'}")
    number = max(scores, key=lambda n: (min(len(finished[n]), seeds), scores[n].mean))
    finished_rows = finished[number]
    failed = sum(row["proposal"] == number and row["status"] == "failed" for row in rows)
    best = max(finished_rows, key=lambda r: r["score"])
    metrics = [
        name for name in best["test"] if all(isinstance(r["test"].get(name), int | float) for r in finished_rows)
    ]
    test = {name: SeedSpread.of([float(r["test"][name]) for r in finished_rows]) for name in metrics}
    failed = 0 if best["repeat"] == OWN_SEED else failed
    return Winner(number, best["repeat"], scores[number], len(finished_rows), failed, test)
