"""Any sampler of Optuna (Akiba et al. 2019) by name, `optuna:TPESampler` say: every decision is a categorical
parameter; a hyperparameter whose values are numbers in rising order is the number of its value, so that what is near
counts as near (a logarithmic range is even in these numbers). Needs the extra `optuna`.

The choices of a parameter of Optuna may not change under one name, so a name consists of the point, how often the
point came before in the same walk, and a digest of the labels.
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
from archioptrx.graphs.decisions import Choose, Point, Space
from archioptrx.sampling.samplers.base import seed_of
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.ranking import REFUSED, clean
from archioptrx.sampling.samplers.variation import HYPERPARAMETER, replays

PREFIX = "optuna:"
PATIENCE = 3
"""Refused draws after which a candidate is drawn at random."""


@dataclass
class Record:
    """One trial of the study.

    Attributes
    ----------
    key
        Of the candidate.
    choices, params
        By parameter: its labels, or how many values in rising order it has; the label, or number, that was taken.
    notes
        What the sampler of Optuna noted on the trial (a generation, say).
    number
        Of the draw; None: it was told without having been drawn.
    told
        (score, epochs), or None.
    """

    key: str
    choices: dict[str, list[str] | int]
    params: dict[str, str | int]
    notes: dict[str, Any]
    number: int | None = None
    told: tuple[Any, int] | None = None


def noting(record: Record, answer: Callable[[str, Point, Sequence[str], Sequence[float]], int]) -> Choose:
    """A `choose` that asks for each parameter by its name, and notes choices and answers."""
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
    """Whether these are the values of a hyperparameter, numbers in rising order.

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
    """Asks a sampler of Optuna.

    The study is built anew for each draw from plain records, so that a proposal depends on the seed, the numbers of
    the draw and what was told, and the state is plain data. A trial of fewer epochs than the longest one is told as
    pruned, one that failed as failed.

    Parameters
    ----------
    kind
        Class of optuna.samplers.
    **options
        Its arguments.
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
                # Many are marked experimental; who names one knows.
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return self.kind(**seeded, **self.options)
        except (TypeError, ValueError) as error:
            raise InputError(f"sampler: {self.kind.__name__} of Optuna: {error}") from error

    def draw(self, number: int, attempt: int) -> Any:
        """A candidate that Optuna decides. What was drawn before with this number, and is not told, was refused."""
        self.records = [one for one in self.records if one.told is not None or one.number != number]
        record = Record("", {}, {}, {}, number)
        seed = seed_of(self.seed, number, attempt)
        if attempt >= PATIENCE:
            prior = random_choices(seed)
            candidate = self.space(noting(record, lambda name, point, labels, weights: prior(point, labels, weights)))
        else:
            trial = self._ask(seed)

            def answer(name: str, point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
                if len(labels) == 1:
                    return 0
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
            This sampler of Optuna can't do what is asked: several objectives, say.
        """
        trial = self._study(seed).ask()
        try:
            # Decided when they are first looked at, and kept.
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
        """All records as trials."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # fallbacks: one line for each decision
        objectives = {len(one.told[0]) for one in self.records if one.told and isinstance(one.told[0], tuple)}
        directions = [optuna.study.StudyDirection.MAXIMIZE] * max(objectives, default=1)
        study = optuna.create_study(sampler=self._make(seed), directions=directions)
        longest = max((one.told[1] for one in self.records if one.told and one.told[0] is not None), default=0)
        study.add_trials([_trial(one, longest) for one in self.records])
        return study

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Tell the oldest open trial of that candidate; where there is none, it becomes one (a reference, say)."""
        told = clean(score), epochs
        if told == REFUSED:
            self.records = [one for one in self.records if one.key != candidate.key or one.told is not None]
            return
        for one in self.records:
            if one.key == candidate.key and one.told is None:
                one.told = told
                return
        known = any(one.key == candidate.key and one.told == told for one in self.records)
        if known or not replays(self.space, candidate.trace):
            return
        record, old = Record(candidate.key, {}, {}, {}, None, told), iter(candidate.trace.decisions)
        self.space(noting(record, lambda name, point, labels, weights: labels.index(next(old).label)))
        self.records.append(record)

    def state_dict(self) -> Mapping[str, Any]:
        """The records."""
        return {
            "records": [
                [r.key, r.choices, r.params, r.notes, r.number, list(r.told) if r.told else None] for r in self.records
            ]
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another one was."""
        self.records = []
        for key, choices, params, notes, number, told in state["records"]:
            known = (clean(told[0]), int(told[1])) if told else None
            self.records.append(Record(key, dict(choices), dict(params), dict(notes), number, known))


def _trial(record: Record, longest: int) -> Any:
    """A trial of Optuna: running, failed, pruned or complete."""
    from optuna.distributions import CategoricalDistribution, IntDistribution
    from optuna.trial import TrialState, create_trial

    outcome: dict[str, Any] = {"state": TrialState.RUNNING}
    if record.told is not None:
        score, epochs = record.told
        if score is None:
            outcome = {"state": TrialState.FAIL}
        elif isinstance(score, tuple):
            outcome = {"state": TrialState.COMPLETE, "values": list(score)}
        elif epochs < longest:
            outcome = {"state": TrialState.PRUNED, "intermediate_values": {epochs: score}}
        else:
            outcome = {"state": TrialState.COMPLETE, "value": score}
    return create_trial(
        params=dict(record.params),
        distributions={
            name: IntDistribution(0, values - 1) if isinstance(values, int) else CategoricalDistribution(values)
            for name, values in record.choices.items()
        },
        system_attrs=dict(record.notes),
        **outcome,
    )


@dataclass(frozen=True)
class OptunaKind:
    """Makes samplers of one class: `kind(space, seed, **options)`."""

    kind: type

    @property
    def OPTIONS(self) -> tuple[str, ...]:
        """Arguments of Optuna's class, the seed apart."""
        return tuple(name for name in inspect.signature(self.kind).parameters if name != "seed")

    def __call__(self, space: Space, seed: int = 0, **options: Any) -> OptunaSampler:
        """Make one."""
        return OptunaSampler(self.kind, space, seed, **options)


def _plain(kind: type) -> bool:
    """Whether it needs no argument; those of the others (a grid, another sampler) can't be said in a file."""
    return all(one.default is not one.empty for one in inspect.signature(kind).parameters.values())


def optuna_kind(name: str, place: str = "sampler") -> OptunaKind:
    """The class that `optuna:NAME` means.

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
    base, wanted = optuna.samplers.BaseSampler, name.removeprefix(PREFIX)
    found = {one: getattr(optuna.samplers, one) for one in sorted(optuna.samplers.__all__)}
    known = {
        one: kind
        for one, kind in found.items()
        if inspect.isclass(kind) and issubclass(kind, base) and not inspect.isabstract(kind) and _plain(kind)
    }
    if wanted not in known:
        raise InputError(f"{place}.name: is {name!r}; {did_you_mean(name, [PREFIX + one for one in known])}")
    return OptunaKind(known[wanted])
