"""Writes down what a search does while it does it: epochs, what happened in words, weights that are kept."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from archioptrx.run_folder import RunFolder
from archioptrx.search.retention import Retention
from archioptrx.settings import Keep
from archioptrx.trial_log import as_lines

OF_EPOCH = (
    *("epoch", "score", "scores", "best", "metrics", "loss", "learning_rate", "gradient_norm", "weight_norm"),
    *("train_seconds", "seconds", "memory", "gpu_memory"),
)
"""What a line of `epochs.jsonl` has of a worker's message."""


class Records:
    """The records of a search; `Trials` tells what happens.

    Parameters
    ----------
    folder
        A locked run folder.
    keep
        What outlives a trial.
    """

    def __init__(self, folder: RunFolder, keep: Keep) -> None:
        self.folder = folder
        self.retention = Retention(folder, keep)

    def started(self, line: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        """A trial is given to a worker."""
        origin = "" if line["reference"] is None else f", the reference {line['reference']}"
        origin += "" if line.get("parent") is None else f", a child of trial {line['parent']:04d}"
        self._say(
            line,
            f"trial {line['proposal']:04d} is given to a worker{origin}",
            f"hyperparameters: {_listed(line['hyperparameters'])}",
            f"training: {_listed(spec['training'])}",
        )

    def heard(self, line: Mapping[str, Any], message: dict[str, Any]) -> None:
        """A worker says something; its notes are taken out of the message."""
        self._write(line, message.pop("log", []))
        if message["kind"] == "epoch":
            row = {"proposal": line["proposal"], **{key: message[key] for key in OF_EPOCH if key in message}}
            self.folder.epochs.append({**row, "time": time.time()}, sync=False)
            self._say(line, _epoch(message, line["epochs"]))
        elif message["kind"] == "refused":
            self._say(line, f"is not run: {message['reason']}")

    def ended(self, line: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """A trial has its line."""
        what = (
            f"score {row['score']:.6g}, weights {row['weights_digest']}" if row["score"] is not None else row["error"]
        )
        of = f" after {row['epochs']} of {line['epochs']} epochs" if row["status"] == "pruned" else ""
        self._say(line, f"{row['status']}{of}: {what}")

    def _say(self, line: Mapping[str, Any], *texts: str) -> None:
        now = time.time()
        self._write(line, [(now, text) for text in texts])

    def _write(self, line: Mapping[str, Any], notes: Iterable[tuple[float, str]]) -> None:
        file = self.folder.log(line["proposal"])
        file.parent.mkdir(exist_ok=True)
        with file.open("a", encoding="utf-8") as log:
            log.write(as_lines(list(notes)))


def _epoch(message: Mapping[str, Any], epochs: int) -> str:
    numbers = ", ".join(
        f"{name.replace('_', ' ')} {message[name]:.4g}"
        for name in ("loss", "learning_rate", "gradient_norm", "weight_norm")
        if name in message
    )
    best = ", the best so far" if message["best"] else ""
    memory = f", {message['memory'] / 2**20:,.0f} MiB" if "memory" in message else ""
    return f"epoch {message['epoch']} of {epochs}: score {message['score']:.6g}{best}; {numbers}{memory}"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
