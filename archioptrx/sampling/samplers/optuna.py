"""Any sampler of Optuna (Akiba et al. 2019) by name, such as `optuna:TPESampler`. Needs the extra `optuna`.

Every decision is a categorical parameter. A hyperparameter whose values are numbers in rising order is an integer
parameter, the position of its value, so that near values count as near (a logarithmic range is even in positions).

The choices of a parameter of Optuna may not change under one name, so a name consists of the point, the number of its
earlier occurrences in the same walk, and a digest of the labels.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.graphs.decisions import HYPERPARAMETER, Choose, Point, Space
from archioptrx.sampling.samplers.base import seed_of
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.ranking import REFUSED, clean, window
from archioptrx.sampling.samplers.variation import known_in

PREFIX = "optuna:"
PATIENCE = 3
"""Number of refused draws after which a candidate is drawn at random."""
OPENING = 10
"""Number of candidates whose decisions with uneven prior weights are drawn by these: Optuna knows no such weights."""
WINDOWS = {"TPESampler": 500}
"""Most trials in a study, by class of Optuna. TPE sorts all trials for each decision; of the best it looks at 25."""


@dataclass
class Record:
    """One trial of the study.

    Attributes
    ----------
    key
        Identity of the candidate; "" while it is drawn.
    choices, params
        Labels, or number of values in rising order, of each parameter by name; and the label, or position, taken.
    notes
        Attributes that the sampler of Optuna has set on the trial, such as a generation.
    number
        Number of the draw; None: the candidate was observed without having been drawn here.
    outcome
        (score, epochs); None as long as it has not been observed.
    cached
        Trial of Optuna, with the outcome and whether it was pruned when it was made; no part of the state.
    """

    key: str
    choices: dict[str, list[str] | int]
    params: dict[str, str | int]
    notes: dict[str, Any]
    number: int | None = None
    outcome: tuple[Any, int] | None = None
    cached: tuple[tuple[Any, int] | None, bool, Any] = (None, False, None)

    def trial(self, longest: int) -> Any:
        """Trial of Optuna, kept as long as it is the same; `longest`: most epochs of a trial with a score."""
        from archioptrx.sampling.samplers.optuna_trial import kept_trial

        score, epochs = self.outcome or (None, 0)
        pruned = isinstance(score, float) and epochs < longest
        if self.cached[2] is None or self.cached[:2] != (self.outcome, pruned):
            new = kept_trial(self.choices, self.params, self.notes, self.outcome, pruned)
            self.cached = (self.outcome, pruned, new)
        return self.cached[2]


def noting(record: Record, answer: Callable[[str, Point, Sequence[str], Sequence[float]], int]) -> Choose:
    """A `choose` that takes each parameter's value from `answer`, by its name, and records choices and answers."""
    count: Counter[str] = Counter()

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        place = f"{point.kind} {point.place}"
        digest = hashlib.blake2b("\n".join(labels).encode(), digest_size=4).hexdigest()
        name = f"{place} {count[place]} {digest}"
        count[place] += 1
        index = int(answer(name, point, labels, weights))
        if len(labels) > 1:
            rising = is_rising(point, labels)
            record.choices[name] = len(labels) if rising else list(labels)
            record.params[name] = index if rising else labels[index]
        return index

    return choose


def is_rising(point: Point, labels: Sequence[str]) -> bool:
    """Whether labels are the values of a hyperparameter, and numbers in rising order.

    >>> is_rising(Point("hyperparameter", "hidden"), ["16", "32"]), is_rising(Point("extra", "x"), ["0", "1"])
    (True, False)
    """
    if point.kind != HYPERPARAMETER:
        return False
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return False
    return all(low < high for low, high in pairwise(numbers))


class OptunaSampler:
    """A proposer that draws with a sampler of Optuna.

    The study is made again from the records for each draw, so that a proposal depends on the seed, the numbers of the
    draw and the observations, and the state is plain data. Trials that have not changed are kept. For Optuna, a trial
    of fewer epochs than the longest is pruned, and a failed one is failed. A sampler of `WINDOWS` is given so many
    trials at most, where there is one objective: the best half and the latest.

    Parameters
    ----------
    kind
        Class of optuna.samplers.
    **options
        Arguments of that class.
    """

    def __init__(self, kind: type, space: Space, seed: int = 0, **options: Any) -> None:
        self.kind, self.space, self.seed, self.options = kind, space, seed, options
        self.records: list[Record] = []
        self._make(0)

    def _make(self, seed: int) -> Any:
        """A fresh sampler of Optuna."""
        import optuna

        seeded = {"seed": seed % 2**32} if "seed" in inspect.signature(self.kind).parameters else {}
        try:
            with warnings.catch_warnings():
                # Many are marked experimental; a user who names one has decided for it.
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return self.kind(**seeded, **self.options)
        except (TypeError, ValueError) as error:
            raise InputError(f"sampler: {self.kind.__name__} of Optuna: {error}") from error

    def draw(self, number: int, attempt: int) -> Any:
        """A candidate that Optuna decides.

        Earlier draws of this number that have no outcome were refused, and are dropped.
        """
        self.records = [known for known in self.records if known.outcome is not None or known.number != number]
        record = Record("", {}, {}, {}, number)
        seed = seed_of(self.seed, number, attempt)
        prior = random_choices(seed)
        if attempt >= PATIENCE:
            candidate = self.space(noting(record, lambda name, point, labels, weights: prior(point, labels, weights)))
        else:
            trial = self._ask(seed)

            def answer(name: str, point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
                if len(labels) == 1:
                    return 0
                if number < OPENING and max(weights) > min(weights):
                    return prior(point, labels, weights)
                if is_rising(point, labels):
                    return int(trial.suggest_int(name, 0, len(labels) - 1))
                return labels.index(trial.suggest_categorical(name, list(labels)))

            candidate = self.space(noting(record, answer))
            record.notes = dict(trial.study.get_trials(deepcopy=False)[-1].system_attrs)
        record.key = candidate.key
        self.records.append(record)
        return candidate

    def _ask(self, seed: int) -> Any:
        """The next trial of the study.

        Raises
        ------
        InputError
            This sampler of Optuna lacks a package, or can't be used here, for example with several objectives.
        """
        trial = self._study(seed).ask()
        try:
            # Optuna decides them at the first access, which may raise.
            _ = trial.relative_params
        except ModuleNotFoundError as error:
            raise InputError(
                f"sampler: {self.kind.__name__} of Optuna: needs the package {error.name}; allowed: install it, then "
                "go on with --resume, or another sampler"
            ) from error
        except ValueError as error:
            raise InputError(f"sampler: {self.kind.__name__} of Optuna: {error}") from error
        return trial

    def _study(self, seed: int) -> Any:
        """A study with all records as trials."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # fallbacks: one line for each decision
        outcomes = [record.outcome for record in self.records if record.outcome]
        objectives = {len(score) for score, _ in outcomes if isinstance(score, tuple)}
        directions = [optuna.study.StudyDirection.MAXIMIZE] * max(objectives, default=1)
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(storage=storage, sampler=self._make(seed), directions=directions)
        longest = max((epochs for score, epochs in outcomes if score is not None), default=0)
        number = storage.get_study_id_from_name(study.study_name)
        for record in self.records if objectives else self._latest():
            storage.create_new_trial(number, record.trial(longest))  # add_trials would check each one again
        return study

    def _latest(self) -> list[Record]:
        """The records that a study is given: all, or the best and the latest ones."""
        most = WINDOWS.get(self.kind.__name__, len(self.records))
        return [self.records[i] for i in window([record.outcome or REFUSED for record in self.records], most)]

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Give the oldest open trial of a candidate its outcome; without one, a reference becomes a new trial.

        The outcome of a trial that had paused replaces the one of before.
        """
        outcome = clean(score), epochs
        if outcome == REFUSED:
            self.records = [r for r in self.records if r.key != candidate.key or r.outcome is not None]
            return
        for record in self.records:
            if record.key == candidate.key and record.outcome is None:
                record.outcome = outcome
                return
        for record in self.records:
            if record.key == candidate.key and record.outcome is not None and record.outcome[1] < epochs:
                record.outcome = outcome
                return
        known = any(record.key == candidate.key and record.outcome == outcome for record in self.records)
        traces = () if known else known_in(self.space, [candidate])
        if not traces:
            return
        record, old = Record(candidate.key, {}, {}, {}, None, outcome), iter(traces[0].decisions)
        self.space(noting(record, lambda name, point, labels, weights: labels.index(next(old).label)))
        self.records.append(record)

    def state_dict(self) -> Mapping[str, Any]:
        """The records, as plain data for JSON."""
        return {
            "records": [
                [r.key, r.choices, r.params, r.notes, r.number, list(r.outcome) if r.outcome else None]
                for r in self.records
            ]
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.records = []
        for key, choices, params, notes, number, row in state["records"]:
            outcome = (clean(row[0]), int(row[1])) if row else None
            self.records.append(Record(key, dict(choices), dict(params), dict(notes), number, outcome))


@dataclass(frozen=True)
class OptunaKind:
    """Constructor of samplers of one class of Optuna: `kind(space, seed, **options)`."""

    kind: type

    @property
    def OPTIONS(self) -> tuple[str, ...]:
        """Arguments of Optuna's class, the seed apart."""
        return tuple(name for name in inspect.signature(self.kind).parameters if name != "seed")

    def __call__(self, space: Space, seed: int = 0, **options: Any) -> OptunaSampler:
        """Make a sampler."""
        return OptunaSampler(self.kind, space, seed, **options)


def _plain(kind: type) -> bool:
    """Whether a class needs no argument; needed ones (a grid, another sampler) can't be written in a file."""
    return all(argument.default is not argument.empty for argument in inspect.signature(kind).parameters.values())


def optuna_kind(name: str, place: str = "sampler") -> OptunaKind:
    """Constructor for the class of `optuna:NAME`.

    Raises
    ------
    InputError
        Optuna isn't installed, or has no such sampler.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise InputError(
            f"{place}.name: {name}: needs Optuna; allowed: pip install 'archioptrx[optuna]' first"
        ) from error
    base, class_name = optuna.samplers.BaseSampler, name.removeprefix(PREFIX)
    public = {key: getattr(optuna.samplers, key) for key in sorted(optuna.samplers.__all__)}
    known = {
        key: kind
        for key, kind in public.items()
        if inspect.isclass(kind) and issubclass(kind, base) and not inspect.isabstract(kind) and _plain(kind)
    }
    if class_name not in known:
        raise InputError(f"{place}.name: is {name!r}; {did_you_mean(name, [PREFIX + key for key in known])}")
    return OptunaKind(known[class_name])
