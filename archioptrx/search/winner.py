"""Winner of a search, and its numbers in `best/metrics.json`, which are compared with those of the journals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archioptrx.core.files import plain

OWN_SEED = -1
"""Number of a retraining that repeats the trial as it was."""


@dataclass(frozen=True)
class SeedSpread:
    """Mean and sample standard deviation of a score over seeds; the deviation is 0 for one seed."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> SeedSpread:
        """Compute mean and standard deviation of one or more values."""
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)


@dataclass(frozen=True)
class Winner:
    """Candidate with the highest mean validation score.

    Attributes
    ----------
    proposal, repeat
        Number of the proposal, and of its retraining with the best validation score, whose weights are in `best/`;
        `OWN_SEED`: it repeats the trial.
    score, seeds
        Validation score over the seeds, and their number.
    failed
        Number of its further seeds whose training failed.
    test
        Spread of each metric on test events over the seeds.
    """

    proposal: int
    repeat: int
    score: SeedSpread
    seeds: int
    failed: int
    test: dict[str, SeedSpread]


def metrics_of(winner: Winner, bins: Mapping[str, Any] | None) -> dict[str, Any]:
    """Content of the file, as it is read from JSON; `bins` are those of the training whose weights are kept."""
    content: dict[str, Any] = plain(
        {
            "proposal": winner.proposal,
            "repeat": winner.repeat,
            "seeds": winner.seeds,
            "failed_seeds": winner.failed,
            "validation": asdict(winner.score),
            "test": {name: asdict(spread) for name, spread in winner.test.items()},
            "bins": bins,
        }
    )
    return content


def first_difference(held: object, expected: object, name: str = "") -> str | None:
    """Dotted name of the first value of a file that isn't the expected one; None: all are.

    Keys that only the file has aren't compared, as another version may have written them.

    >>> first_difference({"test": {"auc": {"mean": 0.9}}}, {"test": {"auc": {"mean": 0.8}}})
    'test.auc.mean'
    """
    if isinstance(held, Mapping) and isinstance(expected, Mapping):
        for key, value in expected.items():
            inner = f"{name}.{key}".removeprefix(".")
            differing = first_difference(held[key], value, inner) if key in held else inner
            if differing is not None:
                return differing
        return None
    return None if held == expected else name
