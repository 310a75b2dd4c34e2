"""CPU time of one proposal by a number of observations: `python benchmarks/proposals.py --help`.

The observations are random walks of a function graph with a made-up score. `--against FOLDER` measures another version
of ArchiOpTrX as well, a checkout of an earlier commit for example, and prints the ratio of both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.sampling.samplers import make_sampler
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

Row = dict[str, Any]


def score(candidate: Any) -> float:
    """Made-up objective: most for 16 steps, many blocks of different names, and a small learning rate."""
    steps, rate = candidate.graph.steps, candidate.hyperparameters["learning_rate"]
    return float(len({step.block for step in steps}) - abs(len(steps) - 16) / 4 - 50 * rate)


def measure(name: str, space: WalkSpace, observations: int, proposals: int) -> Row:
    """CPU seconds of the first proposal after so many observations, and the median of those after it.

    The first one includes fits to all observations. Each proposal is observed before the next one.
    """
    sampler = make_sampler(name, space, 1)
    for seed in range(observations):
        candidate = space(random_choices(seed))
        sampler.observe(candidate, score(candidate), 1)
    sampler.number = observations
    seconds = []
    for _ in range(1 + proposals):
        start = time.process_time()
        proposed = sampler.propose()
        sampler.observe(proposed, score(proposed), 1)
        seconds.append(time.process_time() - start)
    return {
        "sampler": name,
        "observations": observations,
        "first": seconds[0],
        "next": statistics.median(seconds[1:]),
    }


def measured_by(folder: Path, name: str, observations: int, proposals: int) -> Row:
    """CPU seconds as of `measure`, for the version in a folder."""
    options = ["--samplers", name, "--observations", str(observations), "--proposals", str(proposals), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, __file__, *options], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    row: Row = json.loads(done.stdout)
    return row


def parser() -> argparse.ArgumentParser:
    """Options."""
    result = argparse.ArgumentParser(description=__doc__)
    result.add_argument("--samplers", default="gp,optuna:TPESampler,evolution", help="names, with commas between")
    result.add_argument("--observations", type=int, nargs="+", default=[50, 1000, 4000], metavar="N")
    result.add_argument("--proposals", type=int, default=8, metavar="N", help="after the first one")
    result.add_argument("--against", type=Path, metavar="FOLDER", help="checkout of another version")
    result.add_argument("--json", action="store_true", help="print one JSON document a line")
    return result


def main() -> None:
    """Measure all; a line for each."""
    args = parser().parse_args()
    space = WalkSpace(FunctionGraph.load("tracking"), SearchSpace.load("full"))
    titles = f"{'sampler':20}{'observations':>14}{'first':>10}{'next':>10}"
    if not args.json:
        print(titles + (f"{'other first':>14}{'other next':>12}{'ratio':>8}" if args.against else ""))
    for name, count in ((name, count) for name in args.samplers.split(",") for count in args.observations):
        row = measure(name, space, count, args.proposals)
        line = f"{name:20}{count:>14,}{row['first']:>8.3f} s{row['next']:>8.3f} s"
        if args.against:
            other = measured_by(args.against, name, count, args.proposals)
            line += f"{other['first']:>12.3f} s{other['next']:>10.3f} s{other['next'] / row['next']:>8.1f}"
        print(json.dumps(row) if args.json else line, flush=True)


if __name__ == "__main__":
    main()
