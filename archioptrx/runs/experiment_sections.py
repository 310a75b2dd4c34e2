"""Sections of the experiment file, each frozen data that reads and checks itself. Torch- and ray-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from archioptrx.core.config import Fields
from archioptrx.core.errors import did_you_mean
from archioptrx.core.overrides import duration
from archioptrx.runs.loggers import LOGGERS

NUMBER = (int, float)
PROXIES = ("naswot", "jacob_cov", "parameters")
"""Zero-cost proxies; see `archioptrx.training.proxies`."""
ALL = "all"
NONE = "none"
USUAL_LOGGER = "tensorboard"
VOTE = "+"
"""Separator of proxies whose ranks are added."""


@dataclass(frozen=True)
class Split:
    """Shares of the events for validation and for the test, the seed of the division, and the unit that is divided.

    `by`: `events`, or `sectors`: φ sectors of each event, for data of few events.
    """

    validation: float = 0.15
    test: float = 0.15
    seed: int = 0
    by: str = "events"

    @classmethod
    def read(cls, inside: Fields) -> Split:
        """Take and check the section."""
        below = 0.9999
        split = cls(
            inside.take("validation", float, 0.15, minimum=0.0001, maximum=below),
            inside.take("test", float, 0.15, minimum=0.0001, maximum=below),
            inside.take("seed", int, 0, minimum=0),
            inside.take("by", str, "events", choices=("events", "sectors")),
        )
        if split.validation + split.test >= 1:
            inside.fault("", f"validation and test add to {split.validation + split.test:g}; allowed: below 1 together")
        inside.rest()
        return split


@dataclass(frozen=True)
class Scheduler:
    """Rules by which trials are pruned.

    Attributes
    ----------
    name
        `asha`: asynchronous successive halving (Li et al. 2018, arXiv:1810.05934); `fifo`: never.
    grace_epochs
        Epochs that every trial may run.
    reduction_factor
        Number of trials at a rung of which one goes on.
    type
        Form of ASHA: `stopping` ends trials; `promotion` pauses them, and lets the best of them go on later.
    """

    name: str = "asha"
    grace_epochs: int = 1
    reduction_factor: float = 3.0
    type: str = "stopping"

    @classmethod
    def read(cls, inside: Fields) -> Scheduler:
        """Take and check the section."""
        result = cls(
            inside.take("name", str, "asha", choices=("asha", "fifo")),
            inside.take("grace_epochs", int, 1, minimum=1),
            inside.take("reduction_factor", float, 3.0, minimum=1.1),
            inside.take("type", str, "stopping", choices=("stopping", "promotion")),
        )
        inside.rest()
        return result


@dataclass(frozen=True)
class Budget:
    """Limits of a search.

    Attributes
    ----------
    trials
        Number of ended trials (finished, pruned or failed).
    time
        Wall time of the trials together, in seconds; None: no limit. Trials that run at its end are stopped.
    trial_time
        Wall time of each trial, in seconds; None: no limit. A retraining with more epochs has more, in proportion.
    """

    trials: int = 12
    time: float | None = None
    trial_time: float | None = None

    @classmethod
    def read(cls, inside: Fields) -> Budget:
        """Take and check the section."""
        trials = inside.take("trials", int, 12, minimum=1)
        result = cls(trials, cls._seconds(inside, "time"), cls._seconds(inside, "trial_time"))
        inside.rest()
        return result

    @staticmethod
    def _seconds(inside: Fields, key: str) -> float | None:
        """Take a time."""
        written = inside.take(key, (str, int, float, type(None)), None)
        seconds = None if written is None else duration(written)
        if written is not None and seconds is None:
            inside.fault(key, f"is {written!r}; allowed: a time above 0 such as 4h, 90m, 45s, 1h30m")
        return seconds


@dataclass(frozen=True)
class Constraints:
    """Upper limits; None: no limit. A proposal beyond one is refused before it is trained and writes no row.

    Attributes
    ----------
    parameters
        Number of trained numbers of the network.
    steps, executed, rounds
        Steps of the computation graph; steps × passes; executed rounds of message passing.
    seconds_per_step
        Duration of one training step on the first batch, measured by the worker, in seconds.
    """

    parameters: int | None = None
    steps: int | None = None
    executed: int | None = None
    rounds: int | None = None
    seconds_per_step: float | None = None

    @classmethod
    def read(cls, inside: Fields) -> Constraints:
        """Take and check the section."""
        counts = ("parameters", "steps", "executed", "rounds")
        limits = {key: inside.take(key, (int, type(None)), None, minimum=1) for key in counts}
        seconds = inside.take("seconds_per_step", (*NUMBER, type(None)), None, minimum=1e-6)
        inside.rest()
        return cls(**limits, seconds_per_step=None if seconds is None else float(seconds))


@dataclass(frozen=True)
class ScreenSettings:
    """Screen of untrained proposals: number scored for each that is trained (1: no screen), and the scores.

    Attributes
    ----------
    proposals
        Number of proposals of the sampler for each one that goes to training.
    proxy
        One of `PROXIES`, or several with `+` between: their ranks are added.
    """

    proposals: int = 1
    proxy: str = "jacob_cov"

    @property
    def proxies(self) -> tuple[str, ...]:
        """Names of the proxies."""
        return tuple(self.proxy.split(VOTE))

    @classmethod
    def read(cls, inside: Fields) -> ScreenSettings:
        """Take and check the section."""
        usual = cls()
        result = cls(inside.take("proposals", int, usual.proposals, minimum=1), inside.take("proxy", str, usual.proxy))
        for name in result.proxies:
            if name not in PROXIES:
                known = did_you_mean(name, PROXIES)
                inside.fault("proxy", f"is {result.proxy!r}; {known}, or several with {VOTE} between")
        if len(set(result.proxies)) < len(result.proxies):
            inside.fault("proxy", f"is {result.proxy!r}; allowed: each proxy once")
        inside.rest()
        return result


@dataclass(frozen=True)
class Retrain:
    """The end of a search: its `top` candidates are trained again under `seeds` seeds (epochs None: as in training)."""

    top: int = 3
    seeds: int = 3
    epochs: int | None = None

    @classmethod
    def read(cls, inside: Fields) -> Retrain:
        """Take and check the section."""
        result = cls(
            inside.take("top", int, 3, minimum=1),
            inside.take("seeds", int, 3, minimum=1),
            inside.take("epochs", (int, type(None)), None, minimum=1),
        )
        inside.rest()
        return result


@dataclass(frozen=True)
class Resources:
    """Trials at one time, and the CPUs and GPUs of each. Whole CPUs are its threads; a GPU may be shared (0.25)."""

    workers: int = 2
    cpus_per_trial: float = 1.0
    gpus_per_trial: float = 0.0

    @classmethod
    def read(cls, inside: Fields) -> Resources:
        """Take and check the section."""
        result = cls(
            inside.take("workers", int, 2, minimum=1),
            inside.take("cpus_per_trial", float, 1.0, minimum=0.01),
            inside.take("gpus_per_trial", float, 0.0, minimum=0),
        )
        inside.rest()
        return result

    def shortages(self, available: Mapping[str, float]) -> list[str]:
        """A fault for each kind, `CPU` or `GPU`, of which a trial needs more than are available."""
        needed = {"CPU": self.cpus_per_trial, "GPU": self.gpus_per_trial}
        return [
            f"resources: a trial needs {needed[kind]:g} {kind}; "
            + (f"allowed here: {most:g} or less" if most else "there is none here; allowed: 0")
            for kind, most in available.items()
            if needed[kind] > most
        ]


@dataclass(frozen=True)
class Keep:
    """Files kept of trials beside their lines: `weights` of that many of the best trials (None: of all)."""

    weights: int | None = 1

    @classmethod
    def read(cls, inside: Fields) -> Keep:
        """Take and check the section."""
        written = inside.take("weights", (int, str), 1, choices=(ALL,), minimum=0)
        inside.rest()
        return cls(None if written == ALL else written)

    def to_plain(self) -> dict[str, int | str]:
        """Plain data, as it is written."""
        return {"weights": ALL if self.weights is None else self.weights}


def read_trackers(top: Fields) -> tuple[str, ...]:
    """Take and check the loggers: one, or a list of them, or `none`. Left out: tensorboard, where it is installed."""
    usual = [] if missing_trackers([USUAL_LOGGER]) else [USUAL_LOGGER]
    written = top.take("track", (str, list), usual)
    names = [written] if isinstance(written, str) else list(written)
    for name in names:
        if name not in (*LOGGERS, NONE):
            top.fault("track", f"is {name!r}; {did_you_mean(str(name), (*LOGGERS, NONE))}")
    if NONE in names and len(names) > 1:
        top.fault("track", f"is {', '.join(map(str, names))}; allowed: {NONE} alone")
    return tuple(name for name in dict.fromkeys(map(str, names)) if name in LOGGERS)


def missing_trackers(names: Sequence[str]) -> list[str]:
    """Loggers whose package isn't installed. A folder of its name, which a logger leaves behind, is no package."""
    packages = {name: LOGGERS.description(name).package for name in names}
    specs = {name: find_spec(package) for name, package in packages.items() if package is not None}
    return [name for name, spec in specs.items() if spec is None or spec.origin is None]
