"""Rank correlations of zero-cost proxies with trained scores: `python -m benchmarks.proxies RUN [RUN ...]`.

For all trials of a search that ended and were not pruned (or all at equal epochs), each proxy is computed on the run's
own data as a screen would do it. Printed are its rank correlations with the trained score (bootstrap, 95 %), with the
seconds of training, and with the score where the number of parameters is held fixed (partial rank correlation); and
the gain by a screen: the expected rank (1 best, 0 worst, random 0.5) and score of the best of k random trials by
the proxy; and the rank of the best that a search on these trials finds, 8 drawn for each that is trained, in the time
that 8 or 16 average trainings take (`no screen`: random search).
Needs scipy.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Trace
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.candidate import Candidate
from archioptrx.search.run import check_events, load_events
from archioptrx.search.screening import Measure
from archioptrx.search.setup import prepare
from archioptrx.training.proxies import MEASURES
from benchmarks.rank_statistics import best_of_search, expected_best, intervals, partial, spearman

SIZES = (4, 8, 16)
PROPOSALS = 8
SEARCHES = (8, 16)
"""Budgets of a search, in average trainings."""
FEWEST = 5
"""Trials below which a rank correlation says nothing."""
OF_THE_GRAPH: dict[str, Callable[[ComputationGraph], int]] = {
    "steps": lambda graph: len(graph.steps),
    "executed": lambda graph: graph.executed,
    "rounds": lambda graph: graph.rounds,
}
"""Numbers of a graph that need no network."""
VOTE = "+"
"""Separator of two proxies whose ranks are added."""


def trials_of(folder: RunFolder, epochs: int | None) -> list[tuple[dict[str, Any], Candidate]]:
    """Ended, unpruned trials and their candidates; with `epochs` the scores of all that came so far."""
    graphs = {line["proposal"]: line["graph"] for line in folder.proposals.read() if "refused" not in line}
    rows = [row for row in folder.trials.read() if row["status"] == "finished" or epochs is not None]
    if epochs is not None:
        rows = [{**row, "score": max(row["curve"][:epochs])} for row in rows if len(row["curve"]) >= epochs]
    return [
        (row, Candidate(Trace(()), ComputationGraph.from_dict(graphs[row["proposal"]]), row["hyperparameters"]))
        for row in rows
    ]


def measured(path: Path, data: str | None, epochs: int | None, proxies: Sequence[str]) -> dict[str, Any]:
    """Scores of a run's trials and values of the proxies (None: no number); mean seconds of each."""
    folder = RunFolder(path)
    experiment = folder.experiment()
    if data:
        experiment = replace(experiment, data=experiment.data.at(data))
    setup = prepare(experiment, path)
    events = load_events(experiment)
    measure = Measure(events.data, check_events(setup, events), experiment.seed, 1)
    trials = trials_of(folder, epochs)
    if len(trials) < FEWEST:
        raise InputError(f"{path}: has {len(trials)} finished trials; allowed: {FEWEST} or more")
    values: dict[str, list[float | None]] = {name: [] for name in (*proxies, *OF_THE_GRAPH)}
    seconds = dict.fromkeys(proxies, 0.0)
    for number, (_, candidate) in enumerate(trials, 1):
        for name in proxies:
            start = time.perf_counter()
            values[name].append(measure(candidate, name))
            seconds[name] += time.perf_counter() - start
        for name, count in OF_THE_GRAPH.items():
            values[name].append(float(count(candidate.graph)))
        if sys.stderr.isatty():
            print(
                f"\r{path}: {number} of {len(trials)}", end="\n" * (number == len(trials)), file=sys.stderr, flush=True
            )
    rows = [row for row, _ in trials]
    return {
        "run": str(path),
        **{key: [row[key] for row in rows] for key in ("score", "train_seconds", "parameters")},
        "values": values,
        "proxy_seconds": {name: total / len(trials) for name, total in seconds.items()},
    }


def judged(document: Mapping[str, Any], votes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rank correlations by proxy and vote, and expected rank and score of the best of k by it."""
    score, seconds, size = (np.array(document[key], float) for key in ("score", "train_seconds", "parameters"))
    worth = (rankdata(score) - 1) / (len(score) - 1)
    values = {
        name: np.array([-math.inf if value is None else value for value in row])
        for name, row in document["values"].items()
    }
    for vote in votes:
        values[vote] = np.sum([rankdata(values[name]) for name in vote.split(VOTE)], axis=0)
    values["the score itself"] = score
    budgets = [seconds.mean() * number for number in SEARCHES]
    values["no screen"] = np.zeros(len(score))
    return {
        name: {
            **intervals(row, score),
            "with_seconds": spearman(row, seconds),
            "at_equal_parameters": partial(row, score, size),
            "search": best_of_search(row, worth, 1 if name == "no screen" else PROPOSALS, seconds, budgets),
            "rank_of_best": {k: expected_best(row, worth, k) for k in SIZES if k <= len(score)},
            "score_of_best": {k: expected_best(row, score, k) for k in SIZES if k <= len(score)},
        }
        for name, row in values.items()
    }


def format_table(document: Mapping[str, Any]) -> str:
    """One line for each proxy."""
    proxies, seconds = document["proxies"], document["proxy_seconds"]
    sizes = list(next(iter(proxies.values()))["rank_of_best"])
    head = f"{'':22}{'Spearman':>9}{'95 %':>15}{'Kendall':>9}{'95 %':>15}{'seconds':>9}{'partial':>9}"
    lines = [f"{document['run']}: {len(document['score'])} trials, mean score {np.mean(document['score']):.5f}"]
    lines.append(head + "".join(f"{f'best of {k}: rank, score':>26}" for k in sizes) + f"{'search':>13}{'time':>9}")
    for name, row in proxies.items():
        text = f"{name:22}"
        for kind in ("spearman", "kendall"):
            middle, low, high = row[kind]
            text += f"{middle:9.2f}{f'{low:.2f} … {high:.2f}':>15}"
        text += f"{row['with_seconds']:9.2f}{row['at_equal_parameters']:9.2f}"
        text += "".join(f"{row['rank_of_best'][k]:17.2f}{row['score_of_best'][k]:9.5f}" for k in sizes)
        text += "  " + "".join(f"{worth:6.3f}" for worth in row["search"])[1:]
        lines.append(text + (f"{seconds[name]:7.3f} s" if name in seconds else ""))
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The options."""
    new = new_parser("benchmarks.proxies", "Rank correlation of zero-cost proxies with trained scores.")
    new.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder of a search, best with fifo")
    new.add_argument("--data", metavar="PATH", help="where the data of the runs lie now")
    new.add_argument("--epochs", type=int, metavar="N", help="scores after N epochs, of pruned trials too")
    new.add_argument("--proxies", default=",".join(MEASURES), metavar="A,B+C", help="B+C: the ranks of two are added")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    new.prog = "python -m benchmarks.proxies"
    return new


def run(args: argparse.Namespace) -> int:
    """Compute and print."""
    votes = [name for name in args.proxies.split(",") if name]
    single = list(dict.fromkeys(name for vote in votes for name in vote.split(VOTE)))
    if faults := [f"--proxies: {name!r}; {did_you_mean(name, MEASURES)}" for name in single if name not in MEASURES]:
        raise InputError(*faults)
    if args.epochs is not None and args.epochs < 1:
        raise InputError(f"--epochs: is {args.epochs}; allowed: 1 or more")
    if not votes:
        raise InputError("--proxies: is empty; allowed: names with commas between")
    documents = []
    for path in args.runs:
        document = measured(path, args.data, args.epochs, single)
        document["proxies"] = judged(document, [name for name in votes if VOTE in name])
        documents.append(document)
    print(json.dumps(documents, indent=1) if args.json else "\n\n".join(map(format_table, documents)))
    return 0


main = command(parser, run)

if __name__ == "__main__":
    sys.exit(main())
