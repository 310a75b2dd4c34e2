"""The run folder: all records of a search. It outlives a crash at any moment.

========================  ==================================================================================
`experiment.yaml`         the experiment, resolved
`function_graph.yaml`     the function graph (or `architecture.yaml`, the one that is searched) and the search space as
`search_space.yaml`       they were when the search began
`modules/`                source of the user's own modules, where the search has some
`earlier.jsonl`           trials of the earlier searches that this one began with, where there are some
`environment.json`        versions, hardware, fingerprint and split of the data, command, commit
`proposals.jsonl`         one line per proposal, on disk before its trial starts; `observed` lists the results that
                          the sampler had got since the line before, so that a replay is exact
`screen.jsonl`            results of the zero-cost screen: one line per candidate that it scored
`trials.jsonl`            one line per ended trial, on disk before the sampler gets it; a trial that had paused and
                          ends again has a further line, which replaces the one before
`epochs.jsonl`            one line per epoch of each trial; not synced one by one: a crash of the machine may lose some
`logs/`                   events of each trial, in words
`weights/`                weights of the best trials; there before the trial's line
`paused/`                 states of paused trials, from which they may go on; there before the trial's line
`latencies.jsonl`         latencies that were measured again, alone, after the trials
`retrain.jsonl`           one line per ended retraining of the best candidates
`retrain/`                weights of retrainings, until the winner is known
`sampler.json`            the sampler's state after some proposal, with a digest of all before it: a resume need
                          not begin at the first; nothing is lost without it
`learned.jsonl`           of a sampler that learns: one line whenever the functions' probabilities have changed
`best/`                   the winner: a model folder
`lock`                    held by the process that writes
========================  ==================================================================================

A line counts when its newline is on disk. Whole files and folders are written beside their place and renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from archioptrx.core.config import Fields, finish, read_yaml
from archioptrx.core.errors import InputError
from archioptrx.core.files import Journal, Types, hold, new_folder, plain, refuse_links, refuse_used, write_atomically
from archioptrx.core.own_modules import keep_modules
from archioptrx.core.reading import read_json
from archioptrx.runs.experiment import Experiment, parse_experiment
from archioptrx.runs.latencies import with_latency
from archioptrx.runs.leaderboard import ranked

WRITTEN = ("weights", "paused", "logs", "retrain", "best", "modules", "tensorboard")
"""Folders in a run folder in which a search writes and deletes."""
Number = int | float
PROPOSAL: dict[str, Types] = {
    "proposal": int,
    "fingerprint": str,
    "hyperparameters": dict,
    "seed": int,
    "epochs": int,
    "trace": dict,
    "graph": dict,
}
TRIAL: dict[str, Types] = {
    "proposal": int,
    "id": str,
    "fingerprint": str,
    "hyperparameters": dict,
    "status": str,
    "score": Number | None,
    "epochs": int,
    "curve": list,
    "metrics": dict,
    "parameters": int | None,
    "seconds": Number,
    "error": str | None,
    "seed": int,
}
EPOCH: dict[str, Types] = {"proposal": int, "epoch": int, "score": Number | None}
LEARNED: dict[str, Types] = {"proposal": int, "functions": dict}
SCREENED: dict[str, Types] = {"key": str, "values": dict, "seconds": Number}
LATENCY: dict[str, Types] = {"proposal": int, "latency": Number | None}
RETRAINING: dict[str, Types] = {
    "proposal": int,
    "repeat": int,
    "status": str,
    "score": Number | None,
    "metrics": dict | None,
    "test": dict | None,
    "curve": list,
}
"""Types of the keys of the journals' lines."""
SEARCHES = "searches.jsonl"
"""File that only the folder of a study has, which holds the run folders of several searches."""


class RunFolder:
    """A run folder that exists. Reading needs no lock; `locked` is for the one process that writes.

    Attributes
    ----------
    path : Path
        The folder.
    proposals, trials, epochs, measured, retrained, learned, screened : Journal
        Journals of the run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "experiment.yaml").is_file():
            fault = "holds no search" if self.path.is_dir() else "is no folder"
            raise InputError(f"{self.path}: {fault}; allowed: a folder that `archioptrx search` wrote")
        if is_study(self.path):
            example = next((str(path.parent) for path in sorted(self.path.glob("*/experiment.yaml"))), "none is left")
            raise InputError(f"{self.path}: holds a study of several searches; allowed: one of them, such as {example}")
        self._experiment: Experiment | None = None
        self.proposals = Journal(self.path / "proposals.jsonl", PROPOSAL)
        self.trials = Journal(self.path / "trials.jsonl", TRIAL)
        self.epochs = Journal(self.path / "epochs.jsonl", EPOCH)
        self.measured = Journal(self.path / "latencies.jsonl", LATENCY)
        self.retrained = Journal(self.path / "retrain.jsonl", RETRAINING)
        self.learned = Journal(self.path / "learned.jsonl", LEARNED)
        self.screened = Journal(self.path / "screen.jsonl", SCREENED)

    @classmethod
    def create(
        cls,
        path: str | Path,
        experiment: Experiment,
        environment: Mapping[str, Any],
        files: Mapping[str, Path],
        texts: Mapping[str, str] = MappingProxyType({}),
    ) -> RunFolder:
        """Make a run folder; it appears complete or not at all.

        Parameters
        ----------
        files, texts
            Files to be copied into it, and texts to be written, by name.

        Raises
        ------
        InputError
            The folder holds something already.
        """
        path = Path(path)
        refuse_used(path)
        with new_folder(path) as fresh:
            (fresh / "experiment.yaml").write_text(dump(experiment))
            (fresh / "environment.json").write_text(json.dumps(plain(environment), indent=2) + "\n")
            for name, source in files.items():
                shutil.copyfile(source, fresh / name)
            for name, text in texts.items():
                (fresh / name).write_text(text)
            keep_modules(fresh, experiment.imports)
            for name in ("proposals.jsonl", "trials.jsonl"):
                (fresh / name).touch()
        return cls(path)

    @property
    def best(self) -> Path:
        """Folder of the winner."""
        return self.path / "best"

    def weights(self, number: int) -> Path:
        """File of the trained weights of a trial, where the search keeps them."""
        return self.path / "weights" / f"{number:04d}.pt"

    def kept(self) -> list[int]:
        """Numbers of the trials whose weights are there."""
        names = (file.stem for file in (self.path / "weights").glob("*.pt"))
        return sorted(int(name) for name in names if name.isdecimal() and name == f"{int(name):04d}")

    def log(self, name: str) -> Path:
        """File with the events of a training in words: of trial 0007, or of its retraining 0007-1."""
        return self.path / "logs" / f"{name}.log"

    def curves(self) -> dict[int, list[dict[str, Any]]]:
        """Lines of `epochs.jsonl` by proposal, in the order of epochs; of trials that run, too.

        A trial that a crash stopped runs again from its first epoch: a line of an epoch replaces the earlier line of
        that epoch and all lines after it.
        """
        curves: dict[int, list[dict[str, Any]]] = {}
        for line in self.epochs.read():
            curve = curves.setdefault(line["proposal"], [])
            curve[:] = [*(epoch for epoch in curve if epoch["epoch"] < line["epoch"]), line]
        return curves

    @property
    def place(self) -> str:
        """File of the experiment, the start of messages about it."""
        return str(self.path / "experiment.yaml")

    def document(self) -> dict[str, Any]:
        """Content of the experiment file, for overrides."""
        content: dict[str, Any] = read_yaml(self.place)
        return content

    def experiment(self) -> Experiment:
        """The experiment, with the function graph and the search space that this folder keeps; parsed once."""
        if self._experiment is None:
            self._experiment = parse_experiment(read_yaml(self.place), self.place)
        return self._experiment

    def winner(self) -> dict[str, Any] | None:
        """Content of `best/metrics.json`; None before the search has ended.

        Raises
        ------
        InputError
            The file has been changed.
        """
        file = self.best / "metrics.json"
        if not file.is_file():
            return None
        content, faults = read_json(file), list[str]()
        fields = Fields(content, str(file), faults)
        fields.take("proposal", (int, type(None)), minimum=0), fields.take("repeat", (int, type(None)), minimum=-1)
        fields.take("seeds", int, minimum=1)
        tests = fields.inside("test")
        for name in tests.content:
            test = tests.inside(name)
            test.take("mean", (int, float)), test.take("deviation", (int, float))
        finish(faults)
        return content

    def environment(self) -> dict[str, Any]:
        """Content of `environment.json`."""
        content: dict[str, Any] = read_json(self.path / "environment.json")
        return content

    def fingerprint(self) -> str:
        """Fingerprint of the data. Raises InputError if the record of it is gone."""
        facts = self.environment().get("data")
        known = facts.get("fingerprint") if isinstance(facts, dict) else None
        if not isinstance(known, str):
            raise InputError(f"{self.path / 'environment.json'}: has no data.fingerprint; the file has been changed")
        return known

    def update(self, experiment: Experiment) -> None:
        """Write the experiment anew, for example with a larger budget."""
        self._experiment = experiment
        keep_modules(self.path, experiment.imports)
        write_atomically(self.path / "experiment.yaml", dump(experiment))

    @contextmanager
    def locked(self) -> Iterator[RunFolder]:
        """Hold the right to write; see `hold`."""
        journals = [self.proposals, self.trials, self.retrained]
        # These aren't made empty: few searches have a screen, and with one worker nothing is measured again.
        journals += [journal for journal in (self.screened, self.measured) if journal.path.exists()]
        for name in WRITTEN:
            refuse_links(self.path / name)
        with hold(self.path):
            try:
                for journal in journals:
                    journal.repair()
                self._proposed_trials()  # a change is found before anything is written
                yield self
            finally:
                for journal in (*journals, self.epochs, self.learned, self.screened, self.measured):
                    journal.close()

    def latencies(self) -> dict[int, float]:
        """Latencies in ms that were measured again, alone, by proposal; see `archioptrx.runs.latencies`."""
        return {line["proposal"]: line["latency"] for line in self.measured.read()}

    def latencies_of_networks(self) -> dict[int, float]:
        """Latency in ms of each trial's network, by proposal: measured alone, else during the trial."""
        measured = ((row["proposal"], row["metrics"].get("latency")) for row in self.last_rows())
        return {number: latency for number, latency in measured if latency is not None} | self.latencies()

    def ended(self) -> list[dict[str, Any]]:
        """Ended trials in the order of their ends, with the latencies that were measured alone.

        Raises
        ------
        InputError
            A trial was never proposed.
        """
        return self._corrected(self._proposed_trials(), self.latencies())

    def last_rows(self) -> list[dict[str, Any]]:
        """The last line of `trials.jsonl` of each trial, in their order."""
        lines = self.trials.read()
        last = {row["proposal"]: place for place, row in enumerate(lines)}
        return [row for place, row in enumerate(lines) if last[row["proposal"]] == place]

    def _proposed_trials(self) -> list[dict[str, Any]]:
        """The last rows. Raises InputError where one isn't in `proposals.jsonl`, or follows one that had ended."""
        rows, ended = self.trials.read(), dict[int, dict[str, Any]]()  # before the proposals: a search may write both
        lines = self.proposals.read()
        proposed = {line["proposal"] for line in lines} - {line["proposal"] for line in lines if "refused" in line}
        for number, row in enumerate(rows, 1):
            proposal = row["proposal"]
            before = ended.pop(proposal, None)
            if proposal not in proposed:
                fault = f"isn't in {self.proposals.path.name}, or was refused"
                raise self._changed(self.trials, number, f"proposal {proposal} {fault}")
            if before and (before["status"] != "pruned" or row["curve"][: before["epochs"]] != before["curve"]):
                raise self._changed(self.trials, number, f"proposal {proposal} stands twice")
            ended[proposal] = row
        return list(ended.values())

    def _changed(self, journal: Journal, line: int, fault: str) -> InputError:
        """Error of a journal that doesn't go together with another one."""
        return InputError(
            f"{journal.path}: line {line}: {fault}; a file has been changed; allowed: both as the search wrote them"
        )

    def retrainings(self) -> list[dict[str, Any]]:
        """Ended retrainings in the order of their ends, with the latencies of their trials."""
        rows, proposed = self.retrained.read(), self.proposed()
        for number, row in enumerate(rows, 1):
            if row["proposal"] not in proposed:
                fault = f"proposal {row['proposal']} isn't in {self.proposals.path.name}"
                raise self._changed(self.retrained, number, fault)
        return self._corrected(rows, self.latencies_of_networks())

    def _corrected(self, rows: list[dict[str, Any]], latencies: Mapping[int, float]) -> list[dict[str, Any]]:
        if not latencies:
            return rows
        objective = self.experiment().objective
        return [with_latency(row, objective, latencies.get(row["proposal"])) for row in rows]

    def rows(self) -> list[dict[str, Any]]:
        """Ended trials, best first; see `ended` and `archioptrx.runs.leaderboard.ranked`."""
        return ranked(self.ended())

    def proposed(self) -> dict[int, dict[str, Any]]:
        """Lines of proposals by number, without those that a worker refused."""
        return {line["proposal"]: line for line in self.proposals.read() if "refused" not in line}

    def proposal(self, number: int) -> dict[str, Any]:
        """The line of a proposal. Raises InputError if there is none."""
        lines = self.proposed()
        if number not in lines:
            allowed = f"allowed: 0000 … {max(lines):04}" if lines else "there is none yet"
            raise InputError(f"{self.path}/{number:04}: no such trial; {allowed}")
        return lines[number]


def trial_of(name: str | Path) -> tuple[RunFolder, int] | None:
    """Run folder and number where `name` is RUN/ID; None: it is something else.

    Raises
    ------
    InputError
        `name` is RUN/ID of a study.
    """
    path = Path(name)
    if path.name.isdecimal() and (path.parent / "experiment.yaml").is_file() and not path.exists():
        return RunFolder(path.parent), int(path.name)
    return None


def is_study(path: Path) -> bool:
    """Whether a folder holds a study, not one search."""
    return (path / SEARCHES).is_file()


def dump(experiment: Experiment) -> str:
    """The text of a resolved experiment."""
    return yaml.safe_dump(plain(experiment.to_dict()), sort_keys=False, allow_unicode=True)
