"""A trial of Optuna that is kept from study to study. Imported only where Optuna is installed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

NO_TIME = datetime(2000, 1, 1)
"""Time of each trial, which Optuna requires; none of its samplers uses it."""


class KeptTrial(FrozenTrial):
    """A trial that costs Optuna less time; a study has hundreds of them, and is made for each draw.

    Its deep copy shares parameters and distributions: a storage in memory never changes them in place. It has no
    constraints: those of a search end before a trial begins. Optuna would look for them once for each decision.
    """

    @property
    def constraints(self) -> dict[str, float]:
        """None."""
        return {}

    def __deepcopy__(self, memo: Any) -> KeptTrial:
        """Copy with a number of its own."""
        return copy.copy(self)


def kept_trial(
    choices: Mapping[str, list[str] | int],
    params: Mapping[str, str | int],
    notes: Mapping[str, Any],
    outcome: tuple[Any, int] | None,
    pruned: bool,
) -> KeptTrial:
    """A trial: running, failed, pruned or complete. The arguments are those of a `Record`."""
    score, epochs = outcome or (None, 0)
    values: list[float] | None = None
    if outcome is None:
        state = TrialState.RUNNING
    elif score is None:
        state = TrialState.FAIL
    else:
        state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        values = None if pruned else list(score) if isinstance(score, tuple) else [score]
    return KeptTrial(
        number=-1,
        trial_id=-1,  # both are set by the storage
        state=state,
        value=None,
        values=values,
        datetime_start=NO_TIME,
        datetime_complete=None if outcome is None else NO_TIME,
        params=dict(params),
        distributions={name: _distribution(labels) for name, labels in choices.items()},
        user_attrs={},
        system_attrs=dict(notes),
        intermediate_values={epochs: cast(float, score)} if state == TrialState.PRUNED else {},
    )


def _distribution(labels: list[str] | int) -> BaseDistribution:
    return IntDistribution(0, labels - 1) if isinstance(labels, int) else CategoricalDistribution(labels)
