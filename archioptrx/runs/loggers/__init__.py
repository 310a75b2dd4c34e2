"""Loggers: they write the course of a search to files of other programs, beside its own journals.

A user's own logger is one decorated class, in a module that the experiment names under `imports`::

    @logger("lines")                                       # track: [lines], or --track lines
    class Lines:
        def __init__(self, root): ...                      # the run folder

with the methods of `Logger`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from archioptrx.core.errors import RAISED_BY_CALL, InputError, error_text
from archioptrx.core.plugins import Decorated, DescribedRegistry

METHODS = ("started", "epoch", "ended", "close")


@dataclass(frozen=True)
class LoggerDescription:
    """Description of a logger, known without importing it.

    Attributes
    ----------
    package
        The package that it needs, for a bundled logger an extra of this package. None: it needs none.
    """

    package: str | None = None


LOGGERS: DescribedRegistry[Callable[[Path], Logger], LoggerDescription] = DescribedRegistry(
    "logger",
    {
        "tensorboard": ("archioptrx.runs.loggers.tensorboard_files", LoggerDescription("tensorboard")),
        "wandb": ("archioptrx.runs.loggers.wandb_runs", LoggerDescription("wandb")),
    },
)
"""Every logger: called with the run folder, or the folder beside a model's, it makes a `Logger`."""


def logger(name: str, package: str | None = None) -> Callable[[Decorated], Decorated]:
    """Make a decorator that registers a logger: a class, or a function that makes one.

    Parameters
    ----------
    name
        Name in experiment files, under `track`.
    package
        See `LoggerDescription`.
    """
    return LOGGERS.describing(name, LoggerDescription(package))


class Logger(Protocol):
    """A listener to trainings, several at a time. Calls end soon; a logger that raises is left out from then on."""

    def started(self, trial: str, config: Mapping[str, Any], architecture: str) -> None:
        """A training begins, or begins again: earlier records of it are void.

        Parameters
        ----------
        trial
            Name that is unique in the run.
        config
            Settings of the training: plain values, mappings of them.
        architecture
            The network in words.
        """

    def epoch(self, trial: str, epoch: int, numbers: Mapping[str, float]) -> None:
        """An epoch of it has ended."""

    def ended(self, trial: str, status: str, summary: Mapping[str, Any]) -> None:
        """A training has ended: `finished`, `pruned` or `failed`."""

    def close(self) -> None:
        """End of all calls; trainings without an end were stopped."""


class Tracking:
    """Several loggers. One that fails is left out from then on, with a note: a search doesn't stop for it.

    Parameters
    ----------
    names
        Names of the loggers; see `LOGGERS`. They are imported when the first training starts.
    root
        The run folder, or the folder in which a model's will be.
    note
        Function that shows a line of text to the user.
    """

    def __init__(self, names: Sequence[str], root: Path, note: Callable[[str], None]) -> None:
        self.root, self.note = root, note
        self._waiting, self._open = list(names), dict[str, Logger]()

    @property
    def on(self) -> bool:
        """Whether there is a logger that hasn't failed."""
        return bool(self._waiting or self._open)

    def started(self, trial: str, config: Mapping[str, Any], architecture: str) -> None:
        """See `Logger`."""
        while self._waiting:
            name = self._waiting.pop(0)
            self._try(name, partial(self._make, name))
        self._tell(lambda listener: listener.started(trial, config, architecture))

    def epoch(self, trial: str, epoch: int, numbers: Mapping[str, float]) -> None:
        """See `Logger`."""
        self._tell(lambda listener: listener.epoch(trial, epoch, numbers))

    def ended(self, trial: str, status: str, summary: Mapping[str, Any]) -> None:
        """See `Logger`."""
        self._tell(lambda listener: listener.ended(trial, status, summary))

    def close(self) -> None:
        """See `Logger`."""
        self._tell(lambda listener: listener.close())
        self._open.clear()

    def _make(self, name: str) -> None:
        make = LOGGERS.get(name)
        self.root.mkdir(parents=True, exist_ok=True)
        logger = make(self.root)
        lacking = [method for method in METHODS if not callable(getattr(logger, method, None))]
        if lacking:
            kind = type(logger).__name__
            raise InputError(f"{kind} has no {', no '.join(lacking)}; allowed: a class with {', '.join(METHODS)}")
        self._open[name] = logger

    def _tell(self, tell: Callable[[Logger], None]) -> None:
        for name, logger in list(self._open.items()):
            self._try(name, partial(tell, logger))

    def _try(self, name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except RAISED_BY_CALL as error:  # other people's code, the disk, the network: a search doesn't depend on them
            self._open.pop(name, None)
            self.note(f"--track {name}: is off from here on: {error_text(error)[:220]}")


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
    values: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{before}{key}"
        values |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return values
