"""Comparison of a study: one row for each combination of the varied keys but `seed`, mean and spread over seeds.

Scores of different events aren't comparable: a row is compared with the first one of the same data and split.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archioptrx.search.study import Combination
from archioptrx.search.study_run import StudyFolder
from archioptrx.training.objective import Goal

SHARES = {"quarter": 0.25, "half": 0.5, "all": 1.0}
"""Parts of the trials after which the best score so far is compared."""
SEED = "seed"


@dataclass(frozen=True)
class SearchOutcome:
    """Figures of one search of a study.

    Attributes
    ----------
    ended
        True: it has a winner; only then it is compared.
    curve
        Best validation score so far after each trial, in the order of proposals: the order in which trials end depends
        on time. Failed trials are included, as they cost time too; None: none had a score yet.
    figures
        `quarter`, `half`, `all`: the curve after these parts of the trials; `validation`, `test`: the winner trained
        again, mean over its trainings; `parameters`: of the winner; `architectures`: distinct ones; `seconds`: wall
        time. None: there is none.
    events
        Data and split whose scores these are: those of others mean something else.
    """

    combination: Combination
    ended: bool
    curve: tuple[float | None, ...]
    figures: Mapping[str, float | None]
    events: str = ""


@dataclass(frozen=True)
class Difference:
    """Mean difference to another row over the seeds that both have, and its standard error (None: one seed)."""

    mean: float
    error: float | None
    seeds: int

    @property
    def larger(self) -> bool:
        """Whether the difference is larger than its standard error."""
        return self.error is not None and abs(self.mean) > self.error


@dataclass(frozen=True)
class SeedGroup:
    """The searches that differ by nothing but their seed.

    Attributes
    ----------
    label, values
        The varied keys other than `seed`.
    outcomes
        Outcomes of the searches that have ended.
    searches
        Number of searches, with those that have not ended.
    reference
        Label of the first row of the same events; None: this is it.
    differences
        Differences to that row, by figure.
    """

    label: str
    values: Mapping[str, Any]
    outcomes: tuple[SearchOutcome, ...]
    searches: int
    reference: str | None
    differences: Mapping[str, Difference]

    def numbers(self, figure: str) -> list[float]:
        """A figure of each search that has it."""
        figures = (outcome.figures[figure] for outcome in self.outcomes)
        return [number for number in figures if number is not None]


def running_best(scores: Sequence[float | None]) -> tuple[float | None, ...]:
    """Running maximum.

    >>> running_best([None, 0.5, 0.4, None, 0.7])
    (None, 0.5, 0.5, 0.5, 0.7)
    """
    curve: list[float | None] = []
    for score in scores:
        before = curve[-1] if curve else None
        curve.append(before if score is None else score if before is None else max(before, score))
    return tuple(curve)


def outcome_of(
    combination: Combination,
    rows: Sequence[Mapping[str, Any]],
    trials: int,
    metric: str,
    winner: Mapping[str, Any] | None,
    seconds: float | None,
    events: str = "",
) -> SearchOutcome:
    """Figures of one search.

    Parameters
    ----------
    rows, trials
        Ended trials, and the number that the search may have. If the space is exhausted, the last value counts.
    metric
        Metric of the first goal itself, without the cost that its score subtracts.
    winner
        `best/metrics.json`; None: there is none yet.
    events
        See `SearchOutcome`.
    """
    ordered = sorted(rows, key=lambda row: row["proposal"])
    curve = running_best([row["score"] for row in ordered])
    after = {
        name: curve[min(math.ceil(share * trials), len(curve)) - 1] if curve else None for name, share in SHARES.items()
    }
    parameters = {row["proposal"]: row["parameters"] for row in ordered}
    figures = {
        **after,
        "validation": None if winner is None else winner["validation"]["mean"],
        "test": None if winner is None else winner["test"].get(metric, {}).get("mean"),
        "parameters": None if winner is None else parameters[winner["proposal"]],
        "architectures": len({row["fingerprint"] for row in ordered}),
        "seconds": seconds,
    }
    return SearchOutcome(combination, winner is not None and seconds is not None, curve, figures, events)


def outcomes_of(folder: StudyFolder) -> tuple[list[SearchOutcome], Goal]:
    """All searches of a study as they are now; also the first goal (of the last search, should it be varied)."""
    ends, outcomes = folder.ends(), []
    for combination in folder.combinations:
        run = folder.run(combination)
        experiment = run.experiment()
        goal = experiment.objective.first
        end = ends.get(combination.name)
        over = end is not None and end["budget"] == asdict(experiment.budget)
        winner = run.winner() if over else None
        seconds = end["seconds"] if end is not None and over else None
        trials, events = experiment.budget.trials, events_of(run.environment())
        outcomes.append(outcome_of(combination, run.ended(), trials, goal.metric, winner, seconds, events))
    return outcomes, goal


def events_of(environment: Mapping[str, Any]) -> str:
    """Data and split of a search, by the record of its folder: equal where its scores are those of the same events."""
    data, experiment = (environment.get(key) or {} for key in ("data", "experiment"))
    return json.dumps([data.get("fingerprint"), data.get("split"), experiment.get("split")], sort_keys=True)


def seed_groups(outcomes: Sequence[SearchOutcome], name: str) -> list[SeedGroup]:
    """Rows in the order of the study; `name` labels the only row of a study that varies nothing but `seed`."""
    groups: dict[str, list[SearchOutcome]] = {}
    for outcome in outcomes:
        label = "-".join(text for key, text in outcome.combination.labels.items() if key != SEED)
        groups.setdefault(label or name, []).append(outcome)
    rows: list[SeedGroup] = []
    firsts: dict[str, int] = {}  # place of the first row of some events
    for label, group in groups.items():
        ended = tuple(outcome for outcome in group if outcome.ended)
        values = {key: value for key, value in group[0].combination.values.items() if key != SEED}
        first = firsts.setdefault(group[0].events, len(rows))
        reference = rows[first] if first < len(rows) else None
        against = seed_differences(ended, reference.outcomes) if reference else {}
        rows.append(
            SeedGroup(label, values, ended, len(group), None if reference is None else reference.label, against)
        )
    return rows


def seed_differences(row: Sequence[SearchOutcome], first: Sequence[SearchOutcome]) -> dict[str, Difference]:
    """Difference of each figure to those of another row of the same events, paired by seed."""
    pairs = [
        (outcome.figures, reference.figures)
        for outcome in row
        for reference in first
        if outcome.combination.values.get(SEED) == reference.combination.values.get(SEED)
    ]
    found_differences = {}
    for figure in pairs[0][0] if pairs else ():
        both = [(figures[figure], reference[figure]) for figures, reference in pairs]
        deltas = [a - b for a, b in both if a is not None and b is not None]
        if deltas:
            error = statistics.stdev(deltas) / math.sqrt(len(deltas)) if len(deltas) > 1 else None
            found_differences[figure] = Difference(statistics.fmean(deltas), error, len(deltas))
    return found_differences
