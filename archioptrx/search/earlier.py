"""Trials of earlier searches as prior knowledge: read from their run folders, kept in the folder of the new search.

The copy (`earlier.jsonl`) makes a resume independent of the other folders, which may change or go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archioptrx.core.config import finish
from archioptrx.core.errors import InputError, ReplayError, faults_at
from archioptrx.core.files import Journal, Types, plain
from archioptrx.core.reading import reading
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Space, Trace
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.leaderboard import epochs_compared, score_of
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.samplers.base import Earlier
from archioptrx.sampling.samplers.ranking import quantiles
from archioptrx.sampling.samplers.variation import trace_in
from archioptrx.search.comparable import differing_scores
from archioptrx.training.objective import Objective

FILE = "earlier.jsonl"
ROW: dict[str, Types] = {"search": int, "run": str, "id": str, "epochs": int, "trace": dict, "graph": dict}
FEWEST = 5
"""Networks in both searches below which a rank correlation says nothing."""


@dataclass(frozen=True)
class EarlierRuns:
    """Ended trials with a score of earlier searches.

    Attributes
    ----------
    rows
        Plain data of the trials, as `earlier.jsonl` has them.
    """

    rows: tuple[Mapping[str, Any], ...] = ()

    @property
    def trials(self) -> tuple[Earlier, ...]:
        """The trials as samplers take them."""
        return tuple(Earlier(row["search"], _candidate(row), score_of(row), row["epochs"]) for row in self.rows)

    @property
    def text(self) -> str:
        """The file's text."""
        return "".join(json.dumps(plain(row), ensure_ascii=False) + "\n" for row in self.rows)

    @classmethod
    def of(cls, experiment: Experiment, architectures: bool, run: Path | None = None) -> EarlierRuns:
        """The trials of the runs that an experiment names, or the copy of them in its own run folder.

        Parameters
        ----------
        architectures
            Whether the search draws architectures, not the hyperparameters of one.
        run
            Run folder of a search that has begun.

        Raises
        ------
        InputError
            A run can't be compared with this search (another task, other goals), or has no trial with a score; or the
            copy is gone or has been changed.
        """
        if run is not None:
            if experiment.earlier_runs and not (run / FILE).is_file():
                raise InputError(f"{run / FILE}: is missing; the folder has been changed")
            return cls(tuple(Journal(run / FILE, ROW).read()))
        places = [Path(name).resolve() for name in experiment.earlier_runs]
        again = dict.fromkeys(place for number, place in enumerate(places) if place in places[:number])
        finish([f"earlier_runs: {place}: stands twice; allowed: each once" for place in again])
        rows = []
        for number, name in enumerate(experiment.earlier_runs, 1):
            folder = RunFolder(name)
            _check(folder, experiment, architectures)
            rows += _rows(folder, number)
        return cls(tuple(rows))


def _check(folder: RunFolder, experiment: Experiment, architectures: bool) -> None:
    """Raise InputError if the scores of a run say nothing about this search."""
    other, place = folder.experiment(), f"earlier_runs: {folder.path}"
    if other.task.name != experiment.task.name:
        raise InputError(f"{place}: is a search for {other.task.name}; allowed: one for {experiment.task.name}")
    if (other.architecture is None) != architectures:
        kind = "architectures" if architectures else "hyperparameters of one architecture"
        raise InputError(f"{place}: is a search of another kind; allowed: one for {kind}")
    ours, theirs = (len(search.objective.goals) for search in (experiment, other))
    if ours != theirs:
        raise InputError(f"{place}: has {theirs} goals; allowed: {ours}, as this search")


def earlier_warnings(earlier: EarlierRuns, experiment: Experiment, space: Space, run: Path | None = None) -> list[str]:
    """A warning for each earlier search with other metrics, and for each whose networks this space lacks.

    Parameters
    ----------
    run
        Run folder of a search that has begun; the other folders may be gone then, and nothing is said of their metrics.
    """
    warnings = []
    for name in () if run is not None else experiment.earlier_runs:
        other = RunFolder(name).experiment()
        if other.objective.goals != experiment.objective.goals:
            ranked = f"{_goals_text(other.objective)}, this one by {_goals_text(experiment.objective)}"
            warnings.append(f"earlier_runs: {name}: its trials are ranked by {ranked}")
        if differing := differing_scores(other, experiment):
            warnings.append(f"earlier_runs: {name}: its scores mean something else: {differing}")
    for number in dict.fromkeys(row["search"] for row in earlier.rows):
        rows = [row for row in earlier.rows if row["search"] == number]
        if not any(_in(space, row) for row in rows):
            warnings.append(
                f"earlier_runs: {rows[0]['run']}: the space lacks all of its {len(rows)} networks: gp learns from "
                "them, but none can be tried again or varied"
            )
    return warnings


def _goals_text(objective: Objective) -> str:
    """Goals of a search, with direction and price."""
    texts = []
    for goal in objective.goals:
        price = f", {goal.price.per_doubling:g} for a doubled {goal.price.metric}" if goal.price else ""
        texts.append(f"{goal.metric} ({goal.mode}{price})")
    return ", ".join(texts)


def _in(space: Space, row: Mapping[str, Any]) -> bool:
    try:
        trace_in(space, _candidate(row))
    except ReplayError:
        return False
    return True


def _rows(folder: RunFolder, number: int) -> list[dict[str, Any]]:
    """The trials of a run that have a score, in the order of their ends."""
    place = f"earlier_runs: {folder.path}"
    with reading(place):
        rows = _rows_of(folder, number)
        for row in rows:
            with faults_at(f"{place}: trial {row['id']}"):
                _candidate(row)
    if not rows:
        raise InputError(f"{place}: has no trial with a score; allowed: a search that has some")
    return rows


def _rows_of(folder: RunFolder, number: int) -> list[dict[str, Any]]:
    lines = {line["proposal"]: line for line in folder.proposals.read() if "refused" not in line}
    rows = folder.ended()
    whole = max([folder.experiment().training.epochs, *(row["epochs"] for row in rows)])
    return [
        {
            "search": number,
            "run": str(folder.path.resolve()),
            "id": row["id"],
            "score": row["score"],
            "scores": row.get("scores"),
            "epochs": epochs_compared(row, whole),
            "hyperparameters": row["hyperparameters"],
            "trace": row["trace"],
            "graph": lines[row["proposal"]]["graph"],
        }
        for row in rows
        if row["score"] is not None
    ]


def _candidate(row: Mapping[str, Any]) -> Candidate:
    graph = ComputationGraph.from_dict(row["graph"])
    return Candidate(Trace.from_json(row["trace"]), graph, row["hyperparameters"])


@dataclass(frozen=True)
class Gain:
    """Figures on what earlier searches brought.

    Attributes
    ----------
    searches, trials
        Earlier searches, and their trials with a score.
    tried_again
        Their networks that the new search tried too.
    best_place, scored
        Place of the best of those among the trials with a score, from 1 on (None: there is none), and their number.
    rank_correlation
        Spearman's, of the networks' levels then and now; None: there are fewer than `FEWEST`, or all were equal.
    """

    searches: int
    trials: int
    tried_again: int
    best_place: int | None
    scored: int
    rank_correlation: float | None

    @classmethod
    def of(cls, earlier: EarlierRuns, rows: Sequence[Mapping[str, Any]], architectures: bool = True) -> Gain | None:
        """Compare the earlier trials with those of the new search; None without any.

        Parameters
        ----------
        rows
            Ended trials of the new search, best first.
        architectures
            True: a network is known again by its fingerprint; False, in a search of hyperparameters: by these too.
        """
        if not earlier.rows:
            return None
        levels = _levels(earlier, architectures)
        names = [_name(row["fingerprint"], row, architectures) for row in rows if row["score"] is not None]
        places = [place for place, name in enumerate(names, 1) if name in levels]
        before = [levels[names[place - 1]] for place in places]
        searches = len({row["search"] for row in earlier.rows})
        correlation = _spearman(before) if len(before) >= FEWEST and len(set(before)) > 1 else None
        return cls(searches, len(earlier.rows), len(places), min(places, default=None), len(names), correlation)

    @property
    def text(self) -> str:
        """The figures in one line."""
        searches = "1 earlier search" if self.searches == 1 else f"{self.searches} earlier searches"
        text = f"from {searches}: {self.trials} trials"
        if not self.tried_again:
            return f"{text}; none of their networks was tried again"
        text += f"; {self.tried_again} of their networks tried again, the best of them at place {self.best_place}"
        text += f" of {self.scored}"
        if self.rank_correlation is None:
            return text
        return f"{text}; rank correlation of the {self.tried_again}, then and now: {self.rank_correlation:.2f}"


def _name(fingerprint: str, row: Mapping[str, Any], architectures: bool) -> str:
    return fingerprint if architectures else f"{fingerprint} {sorted(row['hyperparameters'].items())}"


def _levels(earlier: EarlierRuns, architectures: bool) -> dict[str, float]:
    """Best normal quantile of each network in its search, by its name."""
    levels: dict[str, float] = {}
    for number in {row["search"] for row in earlier.rows}:
        trials = [row for row in earlier.rows if row["search"] == number]
        ranks = quantiles([(score_of(row), row["epochs"]) for row in trials])
        for row, rank in zip(trials, ranks, strict=True):
            name = _name(_candidate(row).fingerprint, row, architectures)
            levels[name] = max(rank, levels.get(name, rank))
    return levels


def _spearman(levels: Sequence[float]) -> float:
    """Rank correlation of levels, in the order from the best of now to the worst, with that order."""
    values = np.array(levels)
    ranks = [(values < value).sum() + ((values == value).sum() - 1) / 2 for value in values]  # equal ones: their mean
    return float(np.corrcoef(ranks, -np.arange(len(ranks)))[0, 1])
