"""Samplers on NAS-Bench-Graph (Qin et al. 2022, arXiv:2206.09166): `python -m benchmarks.nas_bench_graph --help`.

Cost is counted in distinct architectures. Protocol A (as published): the reward is the test accuracy, and the best
one seen counts. Protocol B: the reward is the validation accuracy, and the test accuracy of the architecture that it
selects counts. With `--pareto` the rewards are validation accuracy and latency together, and the share of the true
front's hypervolume counts.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.core.overrides import assignment
from archioptrx.sampling.samplers import make_sampler
from benchmarks.graph_report import draw_curves, format_table
from benchmarks.graph_space import DATA_SETS, Table
from benchmarks.hypervolume import Shares

STOPS = (50, 100, 200, 300, 500)
Curve = list[float]
"""Score of the best so far, in per cent, after 1, 2 … evaluations."""


def run_search(
    sampler_name: str,
    table: Table,
    seed: int,
    evaluations: int,
    protocol: str,
    options: Mapping[str, Any] | None = None,
) -> Curve:
    """One search. In a space that is exhausted before, the last value is repeated."""
    sampler = make_sampler(sampler_name, table.space, seed, **options or {})
    shares = Shares(table.rows.values()) if protocol == "pareto" else None
    curve, selected, best = list[float](), -math.inf, -math.inf
    while len(curve) < evaluations and (candidate := sampler.propose()) is not None:
        row = table.row(candidate)
        if row is None:
            sampler.observe(candidate, None, 1)
            continue
        valid, test = float(row["valid_perf"]), float(row["perf"])
        if shares is not None:
            best = shares.add(valid, float(row["latency"]))
            sampler.observe(candidate, (valid, -float(row["latency"])), 1)
        else:
            reward = test if protocol == "A" else valid
            if reward > selected:
                selected, best = reward, test
            sampler.observe(candidate, reward, 1)
        curve.append(100 * best)
    return curve + curve[-1:] * (evaluations - len(curve))


def summary(curves: Sequence[Curve], stops: Sequence[int]) -> dict[str, dict[str, float]]:
    """Mean over seeds and its standard error, by number of evaluations."""
    columns = {str(stop): [curve[stop - 1] for curve in curves] for stop in stops}
    errors = {
        stop: statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
        for stop, values in columns.items()
    }
    return {"mean": {stop: statistics.fmean(values) for stop, values in columns.items()}, "error": errors}


def parser() -> argparse.ArgumentParser:
    """Options."""
    result = new_parser("benchmarks.nas_bench_graph", "compare samplers on NAS-Bench-Graph")
    result.prog = "python -m benchmarks.nas_bench_graph"
    result.add_argument("--samplers", default="random,evolution", metavar="A,B", help="names, with commas between")
    result.add_argument("--evaluations", type=int, default=200, metavar="N", help="distinct architectures")
    result.add_argument("--seeds", type=int, default=20, metavar="K", help="searches of each sampler and data set")
    result.add_argument("--first-seed", type=int, default=0, metavar="S")
    result.add_argument("--protocol", choices=("A", "B"), default="A", help="what is the reward (see the docs)")
    result.add_argument("--pareto", action="store_true", help="validation accuracy and latency together")
    result.add_argument("--data-sets", default=",".join(DATA_SETS), metavar="A,B")
    result.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the samplers")
    result.add_argument("--plot", type=Path, metavar="FILE", help="draw the score over evaluations")
    result.add_argument("--json", action="store_true", help="print one JSON document")
    return result


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Options of the samplers; InputError where one is no assignment."""
    return dict(assignment(text) for text in args.set)


def check(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Names of samplers and data sets; InputError with one line per fault."""
    samplers, data_sets = ([name for name in text.split(",") if name] for text in (args.samplers, args.data_sets))
    faults = [
        f"--data-sets: {data_set}; {did_you_mean(data_set, DATA_SETS)}"
        for data_set in data_sets
        if data_set not in DATA_SETS
    ]
    faults += [
        f"--{name}: is {getattr(args, name)}; allowed: from 1"
        for name in ("evaluations", "seeds")
        if getattr(args, name) < 1
    ]
    faults += ["--samplers: is empty; allowed: names with commas between"] * (not samplers)
    try:
        table = Table(data_sets[0]) if data_sets and not faults else None
    except ModuleNotFoundError as error:
        raise InputError(f"{error}; allowed: pip install 'archioptrx[benchmark]' first") from error
    for name in samplers if table is not None else ():
        make_sampler(name, table.space, place="--samplers", **options_of(args))
    if faults:
        raise InputError(*faults)
    return samplers, data_sets


def tell(text: str) -> None:
    """Show the progress on one line."""
    if sys.stderr.isatty():
        print(f"\r{text:60}\r", end="", file=sys.stderr, flush=True)


def run(args: argparse.Namespace) -> int:
    """All searches, then the report."""
    samplers, data_sets = check(args)
    options = options_of(args)
    protocol = "pareto" if args.pareto else args.protocol
    stops = sorted({stop for stop in STOPS if stop < args.evaluations} | {args.evaluations})
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    curves: dict[str, dict[str, list[Curve]]] = {name: {} for name in samplers}
    for data_set in data_sets:
        table = Table(data_set)
        for name in samplers:
            searches = []
            for seed in seeds:
                tell(f"{data_set} {name}: seed {seed}")
                searches.append(run_search(name, table, seed, args.evaluations, protocol, options))
            curves[name][data_set] = searches
    tell("")
    results = {
        name: {data_set: summary(searches, stops) for data_set, searches in inner.items()}
        for name, inner in curves.items()
    }
    document: dict[str, Any] = {
        "protocol": protocol, "options": options, "evaluations": args.evaluations, "seeds": list(seeds),
        "results": results,
    }  # fmt: skip
    print(json.dumps(document, indent=1) if args.json else format_table(document))
    if args.plot:
        draw_curves(curves, args.plot)
    return 0


main = command(parser, run)

if __name__ == "__main__":
    sys.exit(main())
