"""Output at the end of a search: the leaderboard, the best architecture, its test metrics, further commands."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict

from archioptrx.core.files import plain
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.experiment_sections import Budget
from archioptrx.runs.text import graphs_of, hyperparameters_text, metric_of, seeds_text, spread_text, table_text
from archioptrx.search.earlier import EarlierRuns, Gain
from archioptrx.search.pareto import front_json, front_line, retrained_text, spreads, spreads_json
from archioptrx.search.run import SearchResult
from archioptrx.search.screening import Cost
from archioptrx.tasks.options import headlines

SHOWN = 10
"""Trials in the leaderboard at the end of a search."""


def final_text(result: SearchResult, experiment: Experiment) -> str:
    """Final output as text for the terminal."""
    folder, winner = result.folder, result.winner
    rows, graphs, objective = folder.rows(), graphs_of(folder), experiment.objective
    line = folder.proposal(winner.proposal)
    refused = ", ".join(f"{name} {count}" for name, count in sorted(result.refusals.items()))
    seeds = winner.seeds
    score = spread_text(winner.score.mean, winner.score.deviation, seeds)
    names = dict.fromkeys([objective.first.metric, *headlines(experiment.task.options, winner.test)])
    tests = [
        f"  {name:26} {spread_text(spread.mean, spread.deviation, seeds)}"
        for name in names
        if (spread := winner.test.get(name)) is not None
    ]
    run = shlex.quote(str(folder.path))
    parts = [
        table_text(rows, SHOWN, objective, graphs),
        f"... and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "",
        front_line(rows, objective) if objective.several else "",
        f"refused before training: {refused}" if refused else "",
        screen_text(result, experiment),
        "" if (gain := gain_of(result, experiment)) is None else gain.text,
        "",
        f"best: trial {winner.proposal:04d}, fingerprint {line['fingerprint'][:12]}, "
        f"validation {metric_of(experiment)} {score}, {seeds_text(seeds, winner.failed)}",
        str(graphs[winner.proposal]),
        f"hyperparameters: {hyperparameters_text(line['hyperparameters'])}",
        "",
        "on test events:" if seeds == 1 else f"on test events, mean and spread over {seeds} seeds:",
        *tests,
        *(_retrained(result, experiment) if objective.several else ()),
        "",
        f"inspect    archioptrx inspect {run}",
        f"evaluate   archioptrx evaluate {run}",
        *([f"train      archioptrx train {run}/TRIAL"] if objective.several else []),
        "nothing new can be drawn: for more trials, begin a search with a larger space or wider constraints"
        if result.exhausted
        else f"continue   archioptrx search --resume {run}{_more(len(rows), experiment.budget)}",
    ]
    return "\n".join(part for index, part in enumerate(parts) if part or index > 5)


def _more(ended: int, budget: Budget) -> str:
    """Option of a resume that lets a search go on: more trials, if it was their number that ended it.

    A search that its time ended goes on by itself: a resume has the same time again.
    """
    return f" --trials {2 * budget.trials}" if ended >= budget.trials else ""


def screen_text(result: SearchResult, experiment: Experiment) -> str:
    """Line on the cost of the zero-cost screen; empty without one."""
    cost, screen = Cost.of(result.folder), experiment.screen
    if cost is None:
        return ""
    return (
        f"screened by {screen.proxy}: {cost.scored} candidates for {cost.proposals} proposals "
        f"({screen.proposals} drawn for each), {cost.seconds:.2g} s per proposal"
    )


def gain_of(result: SearchResult, experiment: Experiment) -> Gain | None:
    """Figures on what the earlier searches brought; None without any."""
    architectures = experiment.architecture is None
    return Gain.of(EarlierRuns.of(experiment, True, result.folder.path), result.folder.rows(), architectures)


def _retrained(result: SearchResult, experiment: Experiment) -> list[str]:
    """The goals of all that were trained again."""
    metric = metric_of(experiment)
    return [
        "",
        f"trained again: metrics on test events and costs; best: the highest mean validation {metric}",
        retrained_text(result.folder, experiment.objective, result.winner.proposal),
    ]


def final_json(result: SearchResult, experiment: Experiment) -> str:
    """Final output as JSON."""
    winner, cost, gain = result.winner, Cost.of(result.folder), gain_of(result, experiment)
    line = result.folder.proposal(winner.proposal)
    rows = [{key: row[key] for key in row if key not in ("trace", "curve", "curves")} for row in result.folder.rows()]
    content = {
        "run": str(result.folder.path),
        "metric": metric_of(experiment),
        "trials": rows,
        "objective": experiment.objective.to_plain(),
        "front": front_json(rows, experiment.objective),
        "retrained": spreads_json(spreads(result.folder, experiment.objective)),
        "refused": dict(result.refusals),
        "exhausted": result.exhausted,
        "screen": None if cost is None else asdict(cost),
        "earlier": None if gain is None else asdict(gain),
        "best": {
            "id": f"{winner.proposal:04d}",
            "proposal": winner.proposal,
            "fingerprint": line["fingerprint"],
            "hyperparameters": line["hyperparameters"],
            "text": str(graphs_of(result.folder)[winner.proposal]),
            "seeds": winner.seeds,
            "failed_seeds": winner.failed,
            "validation": {"mean": winner.score.mean, "deviation": winner.score.deviation},
            "test": {k: {"mean": v.mean, "deviation": v.deviation} for k, v in winner.test.items()},
        },
    }
    return json.dumps(plain(content), indent=1, ensure_ascii=False)
