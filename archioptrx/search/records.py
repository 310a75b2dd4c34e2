"""Records of a running search: epochs, logs, weights, and the files of trackers such as TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.core.files import writing
from archioptrx.runs.experiment_sections import Keep
from archioptrx.runs.loggers import Tracking, numbers_of
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.retention import Retention
from archioptrx.training.trial_log import as_lines
from archioptrx.training.trial_spec import TrialSpec

OF_EPOCH = (
    *("epoch", "score", "scores", "best", "metrics", "loss", "learning_rate", "gradient_norm", "weight_norm"),
    *("train_seconds", "seconds", "memory", "gpu_memory"),
)
"""Keys of a worker's message that go into a line of `epochs.jsonl`."""
OF_TRIAL = ("proposal", "fingerprint", "parent", "reference", "hyperparameters")
"""Keys of a line of `proposals.jsonl` that go to a tracker."""


class Records:
    """Records of a search. Each training has a name: 0007 for a trial, 0007-1 for its retraining 1.

    Parameters
    ----------
    folder
        A locked run folder.
    keep
        Settings of the files that are kept of trials.
    tracking
        Trackers; None: none.
    about
        Constant entries for the configuration that trackers get.
    """

    def __init__(
        self, folder: RunFolder, keep: Keep, tracking: Tracking | None = None, context: Mapping[str, Any] | None = None
    ) -> None:
        self.folder, self.about = folder, context or {}
        self.retention = Retention(folder, keep)
        self.tracking = tracking or Tracking((), folder.path, print)

    def started(
        self, name: str, line: Mapping[str, Any], spec: TrialSpec, before: Mapping[str, Any] | None = None
    ) -> None:
        """Record the start of a training.

        Parameters
        ----------
        line
            The line of its proposal.
        before
            The row with which it paused, where it goes on. Trackers begin it anew with the epochs that it had.
        """
        origin = "" if line["reference"] is None else f", the reference {line['reference']}"
        origin += "" if line.get("parent") is None else f", a child of trial {line['parent']:04d}"
        settings = (
            f"hyperparameters: {_listed(line['hyperparameters'])}",
            f"training: {_listed(spec.training.to_dict())}",
        )
        if before is None:
            self._say(name, f"trial {name} is given to a worker{origin}", *settings)
        else:
            self._say(name, f"trial {name} is given to a worker again, after {before['epochs']} epochs")
        if self.tracking.on:
            config = {key: line.get(key) for key in OF_TRIAL} | spec.to_dict()
            self.tracking.started(name, {**config, **self.about}, str(spec.graph))
            if before is not None:
                epochs = self.folder.curves().get(line["proposal"], [])
                for row in epochs[: before["epochs"]]:  # a part that a crash ended may have had more
                    self.tracking.epoch(name, row["epoch"], numbers_of(row))

    def heard(self, name: str, line: Mapping[str, Any], message: dict[str, Any]) -> None:
        """Record a worker's message; its log lines are removed from the message."""
        self._write(name, message.pop("log", ()))
        if message["kind"] == "epoch":
            row = {"proposal": line["proposal"], **{key: message[key] for key in OF_EPOCH if key in message}}
            if name == trial_name(line):
                self.folder.epochs.append({**row, "time": time.time()}, sync=False)
            self._say(name, _epoch(message))
            self.tracking.epoch(name, message["epoch"], numbers_of(row))
        elif message["kind"] == "refused":
            self._say(name, f"is not run: {message['reason']}")
            self.tracking.ended(name, "refused", {"reason": message["reason"]})

    def ended(self, name: str, row: Mapping[str, Any], epochs: int) -> None:
        """Record the end of a training; `epochs`: the planned number."""
        digest = row["weights_digest"]
        outcome = row["error"] if row["status"] == "failed" else f"score {row['score']:.6g}, weights {digest}"
        of = f" after {len(row['curve'])} of {epochs} epochs" if row["status"] == "pruned" else ""
        self._say(name, f"{row['status']}{of}: {outcome}")
        summary = {"score": row["score"], "seconds": row["seconds"], "error": row["error"], "weights_digest": digest}
        self.tracking.ended(name, row["status"], {key: value for key, value in summary.items() if value is not None})

    def note(self, name: str, text: str) -> None:
        """Write a line to the log of a training."""
        self._say(name, text)

    def _say(self, name: str, *texts: str) -> None:
        now = time.time()
        self._write(name, [(now, text) for text in texts])

    def _write(self, name: str, notes: Sequence[tuple[float, str]]) -> None:
        file = self.folder.log(name)
        with writing(file):
            file.parent.mkdir(exist_ok=True)
            with file.open("a", encoding="utf-8") as log:
                log.write(as_lines(notes))


def trial_name(line: Mapping[str, Any]) -> str:
    """Name of a trial itself, not of a retraining, by its line or row.

    >>> trial_name({"proposal": 7})
    '0007'
    """
    return f"{line['proposal']:04d}"


def _epoch(message: Mapping[str, Any]) -> str:
    """Log line of an epoch."""
    names = ("loss", "learning_rate", "gradient_norm", "weight_norm")
    numbers = ", ".join(f"{name.replace('_', ' ')} {message[name]:.4g}" for name in names)
    best = ", the best so far" if message["best"] else ""
    memory = f"{message['memory'] / 2**20:,.0f} MiB"
    score = "none" if message["score"] is None else f"{message['score']:.6g}"
    return f"epoch {message['epoch']}: score {score}{best}; {numbers}, {memory}"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
