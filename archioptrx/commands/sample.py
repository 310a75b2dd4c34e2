"""`archioptrx sample`: sample and print architectures without training. Imports neither torch nor ray."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.config import bundled_names, finish
from archioptrx.core.errors import did_you_mean
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.samplers import SAMPLERS, RandomSampler
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace
from archioptrx.search.walk_space import walk_space

KINDS = ("random", "distinct", "exhaustive")


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    new = new_parser("sample", "Sample architectures from a function graph and print them, without training.")
    graphs, spaces = (", ".join(bundled_names(kind)) for kind in ("function_graphs", "search_spaces"))
    new.add_argument("function_graph", metavar="FUNCTION_GRAPH", help=f"a bundled name ({graphs}) or a file")
    new.add_argument("--search-space", metavar="NAME", default="full", help=f"a bundled name ({spaces}) or a file")
    new.add_argument("--count", type=int, metavar="N", help="how many (default 5; exhaustive: all within --max-steps)")
    new.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same list (default 0)")
    new.add_argument(
        "--sampler",
        default="random",
        metavar="KIND",
        help="random walks (the default), distinct ones, an exhaustive list of the distinct architectures, or one "
        "of your own",
    )
    new.add_argument("--max-steps", type=int, metavar="N", help="instead of the search space's walk.max_steps")
    new.add_argument("--stats", action="store_true", help="print distributions of the sample instead of the sample")
    new.add_argument("--draw", metavar="DIR", type=Path, help="draw each one: NN-fingerprint.svg and .png")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Sample, then print."""
    space = _space(args)
    candidates = _candidates(args, space)
    start = time.perf_counter()
    if args.stats:
        from archioptrx.sampling.statistics import Statistics

        statistics = Statistics(space)
        for candidate in candidates:
            statistics.add(candidate)
        statistics.seconds = time.perf_counter() - start
        print(json.dumps(statistics.to_json(), indent=1) if args.json else statistics.text())
    elif args.json:
        _print_json(candidates, args)
    else:
        for number, candidate in enumerate(candidates):
            _print_text(number, candidate, _drawings(args, number, candidate))
    return 0


def _space(args: argparse.Namespace) -> WalkSpace:
    faults = []
    if args.count is not None and args.count < 1:
        faults.append(f"--count: is {args.count}; allowed: 1 or more")
    if args.seed < 0:
        faults.append(f"--seed: is {args.seed}; allowed: 0 or more")
    if args.max_steps is not None and args.max_steps < 1:
        faults.append(f"--max-steps: is {args.max_steps}; allowed: 1 or more")
    known = (*KINDS, *SAMPLERS.own())
    if args.sampler not in known and args.sampler in SAMPLERS:
        allowed = ", ".join(sorted(known))
        faults.append(f"--sampler: is {args.sampler!r}, for searches alone; allowed: {allowed}, or one of your own")
    elif args.sampler not in known:
        faults.append(f"--sampler: is {args.sampler!r}; {did_you_mean(args.sampler, known)}")
    if args.sampler == "exhaustive" and args.count is None and args.max_steps is None:
        faults.append(
            "--sampler exhaustive: lists a whole space, which may take years; allowed: with --max-steps N or --count N"
        )
    if args.draw and args.stats:
        faults.append("--draw: draws the architectures that are printed; allowed: without --stats")
    finish(faults)
    if args.draw:
        from archioptrx.graphs.drawing.svg import (
            usable,  # here and below: what few calls need is imported for them alone
        )

        usable(args.draw)
    search_space = SearchSpace.load(args.search_space)
    if args.max_steps is not None:
        search_space = replace(search_space, walk=replace(search_space.walk, max_steps=args.max_steps))
    space, warnings = walk_space(FunctionGraph.load(args.function_graph), search_space, args.search_space)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return space


def _candidates(args: argparse.Namespace, space: WalkSpace) -> Iterator[Candidate]:
    if args.sampler == "exhaustive":
        return islice(_distinct(space), args.count)
    count = 5 if args.count is None else args.count
    if args.sampler == "random":
        sampler = RandomSampler(space, args.seed)
        return (sampler.draw(number, 0) for number in range(count))
    from archioptrx.sampling.samplers import make_sampler

    # No proposal is trained, so a sampler of the user's own hears of no score.
    once = make_sampler("random" if args.sampler == "distinct" else args.sampler, space, args.seed)
    return (candidate for candidate in (once.propose() for _ in range(count)) if candidate is not None)


def _distinct(space: WalkSpace) -> Iterator[Candidate]:
    """Candidates of different architectures, each with the first value of every hyperparameter."""
    from archioptrx.sampling.samplers import enumerate_space

    fingerprints: set[str] = set()
    for candidate, _ in enumerate_space(space, fixed=("hyperparameter",)):
        if candidate.fingerprint not in fingerprints:
            fingerprints.add(candidate.fingerprint)
            yield candidate


def _drawings(args: argparse.Namespace, number: int, candidate: Candidate) -> list[Path]:
    """Draw one candidate with `--draw`; paths of the drawings."""
    if args.draw is None:
        return []
    from archioptrx.graphs.drawing.network import draw_architecture

    name, title = f"{number:02d}-{candidate.fingerprint[:12]}", f"{args.function_graph} {number}"
    values = candidate.hyperparameters
    return draw_architecture(candidate.graph, args.draw, name, hyperparameters=values, title=title)


def _print_text(number: int, candidate: Candidate, drawings: Sequence[Path]) -> None:
    values = ", ".join(f"{name}={value}" for name, value in candidate.hyperparameters.items())
    print(f"{number}: {candidate.fingerprint}" + (f"  {values}" if values else ""))
    print("\n".join(f"   {line}" for line in str(candidate.graph).splitlines()))
    print("".join(f"   drawn: {path}\n" for path in drawings))


def _form(candidate: Candidate) -> dict[str, Any]:
    graph = candidate.graph
    return {
        "fingerprint": candidate.fingerprint,
        "steps": len(graph.steps),
        "loops": len(graph.loops),
        "walks": candidate.events["walks"],
        "hyperparameters": dict(candidate.hyperparameters),
        "text": str(graph),
        "trace": candidate.trace.to_json(),
    }


def _print_json(candidates: Iterator[Candidate], args: argparse.Namespace) -> None:
    """Print a JSON list, item by item as they are sampled."""
    separator, encode = "[\n", json.JSONEncoder(ensure_ascii=False).encode
    for number, candidate in enumerate(candidates):
        drawings = [str(path) for path in _drawings(args, number, candidate)]
        form = _form(candidate) | ({"drawings": drawings} if args.draw else {})
        print(separator + encode(form), end="")
        separator = ",\n"
    print("\n]" if separator == ",\n" else "[]")


main = command(parser, run)
