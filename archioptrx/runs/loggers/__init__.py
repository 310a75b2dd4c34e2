"""Trackers: other programs' files of what a search does, written where the search itself runs, beside its journals."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

WRITERS = {
    "tensorboard": "archioptrx.runs.loggers.tensorboard_files",
    "wandb": "archioptrx.runs.loggers.wandb_runs",
}
"""By the name of a tracker the module that makes it: `make(root) -> Tracker`."""


class Tracker(Protocol):
    """Hears of trainings, several at a time. Each call ends soon; what it raises ends the tracking."""

    def started(self, trial: str, config: Mapping[str, Any], architecture: str) -> None:
        """A training begins, or begins again: what was there of it is void.

        Parameters
        ----------
        trial
            A name that is unique in the run.
        config
            What it is made with: plain values, mappings of them.
        architecture
            In words.
        """

    def epoch(self, trial: str, epoch: int, numbers: Mapping[str, float]) -> None:
        """An epoch of it has ended."""

    def ended(self, trial: str, status: str, summary: Mapping[str, Any]) -> None:
        """It has ended: `finished`, `pruned` or `failed`."""

    def close(self) -> None:
        """Nothing more will come; what still runs was stopped."""


class Tracking:
    """Several trackers. One that fails is left out from then on, which is said: a search doesn't stop for it.

    Parameters
    ----------
    names
        Of the trackers; see `WRITERS`. They are imported when the first training starts.
    root
        The run folder, or the folder in which a model's will be.
    note
        Tells a person.
    """

    def __init__(self, names: Sequence[str], root: Path, note: Callable[[str], None]) -> None:
        self.root, self.note = root, note
        self._waiting, self._open = list(names), dict[str, Tracker]()

    @property
    def on(self) -> bool:
        """Whether anyone listens."""
        return bool(self._waiting or self._open)

    def started(self, trial: str, config: Mapping[str, Any], architecture: str) -> None:
        """See `Tracker`."""
        while self._waiting:
            name = self._waiting.pop(0)
            self._try(name, partial(self._make, name))
        self._tell(lambda one: one.started(trial, config, architecture))

    def epoch(self, trial: str, epoch: int, numbers: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._tell(lambda one: one.epoch(trial, epoch, numbers))

    def ended(self, trial: str, status: str, summary: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        self._tell(lambda one: one.ended(trial, status, summary))

    def close(self) -> None:
        """See `Tracker`."""
        self._tell(lambda one: one.close())
        self._open.clear()

    def _make(self, name: str) -> None:
        made: Tracker = importlib.import_module(WRITERS[name]).make(self.root)
        self._open[name] = made

    def _tell(self, tell: Callable[[Tracker], None]) -> None:
        for name, one in list(self._open.items()):
            self._try(name, partial(tell, one))

    def _try(self, name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # other people's code, the disk, the network: none of it is what a search is for
            self._open.pop(name, None)
            reason = " ".join(str(error).split())[:200]
            self.note(f"--track {name}: is off from here on: {type(error).__name__}: {reason}")


def numbers_of(epoch: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in a line of `epochs.jsonl`, those of `metrics` with `metrics/` before their names.

    >>> numbers_of({"proposal": 3, "epoch": 1, "time": 1.8e9, "best": True, "loss": 0.5, "metrics": {"auc": 0.9}})
    {'loss': 0.5, 'metrics/auc': 0.9}
    """
    own = {key: value for key, value in epoch.items() if key not in ("proposal", "epoch", "time", "metrics")}
    own |= {f"metrics/{key}": value for key, value in epoch["metrics"].items()}
    for place, score in enumerate(own.pop("scores", None) or ()):
        own[f"scores/{place}"] = score
    return {key: value for key, value in own.items() if isinstance(value, int | float) and not isinstance(value, bool)}


def flat(config: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A nested mapping as one level: keys are joined by dots.

    >>> flat({"a": 1, "b": {"c": None}})
    {'a': 1, 'b.c': None}
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{before}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found
