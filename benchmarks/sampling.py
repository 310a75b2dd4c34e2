"""CPU time of sampling: `python benchmarks/sampling.py --help`.

Walk and fingerprint of random architectures, `sample --json`, the start of the command, and how the time grows with
steps, functions and interchangeable steps. `--against FOLDER` measures another version of ArchiOpTrX as well, a
checkout of an earlier commit for example. Its function graph `tracking` and search space `full` are then taken for
both, and both take turns, so that other work of the machine slows both; ratios are medians over the repetitions.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
WARM = 200
"""Architectures that are sampled before those that are measured: the tables of costs are filled then."""


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes
    ----------
    name
        Name in the table.
    kind
        Name of a function of `KINDS`.
    count
        Number of architectures, or of calls, that are measured.
    size
        Steps, functions, or interchangeable steps.
    """

    name: str
    kind: str
    count: int
    size: int = 0


def cases(quick: bool) -> list[Case]:
    """All measurements; with `quick` fewer and smaller ones."""
    share = 10 if quick else 1
    rows = [Case("walk", "walk", 1000 // share), Case("walk and fingerprint", "both", 1000 // share)]
    rows += [Case("walk, fingerprint and --json", "document", 1000 // share), Case("start of sample", "start", 1)]
    rows += [Case(f"up to {n} steps", "steps", 200 // share, n) for n in (10, 20, 50, 100)[:: 1 + quick]]
    rows += [Case(f"{n} functions", "functions", 200 // share, n) for n in (10, 30, 100, 300)[:: 1 + quick]]
    rows += [Case(f"{n} interchangeable", "interchangeable", 1, n) for n in (4, 8, 16, 32, 64)[:: 1 + quick]]
    return rows


# What is measured, in a process of its own for each version. Names of modules are those of now, then of ca856c0.


def part(name: str, *modules: str) -> Any:
    """A class or function, from the first of these modules that this version has."""
    folder = Path(importlib.import_module("archioptrx").__file__ or "").parent
    for module in modules:
        place = folder.joinpath(*module.split("."))  # an installed version may have the others, and isn't meant
        if place.is_dir() or place.with_suffix(".py").is_file():
            return getattr(importlib.import_module(f"archioptrx.{module}"), name)
    raise SystemExit(f"{name}: is in none of {', '.join(modules)}")


def space_of(graph: Any, space: Any, **limits: Any) -> Any:
    """Space of the walks, with other limits."""
    search_space = part("SearchSpace", "sampling.search_space", "search_space")
    content = space.to_dict()
    content["walk"] |= limits
    return part("WalkSpace", "sampling.walk", "walk")(graph, search_space.from_dict(content))


def tracking(folder: Path, **limits: Any) -> Any:
    """Space of the walks on `tracking` of a version."""
    graph = part("FunctionGraph", "graphs.function_graph", "function_graph").load(
        folder / "function_graphs/tracking.yaml"
    )
    space = part("SearchSpace", "sampling.search_space", "search_space").load(folder / "search_spaces/full.yaml")
    return space_of(graph, space, **limits)


def many_functions(count: int) -> dict[str, Any]:
    """A function graph with so many functions, ten for each data node: encoders, updates, sums, scores."""
    width = {"hyperparameter": "hidden"}
    data: dict[str, Any] = {
        "hits": {"domain": "node", "field": "x"},
        "doublet": {"domain": "edge", "field": "edge_attr"},
    }
    data["score"] = {"domain": "edge", "width": "target"}
    nodes, functions = max(1, count // 10), dict[str, Any]()
    data |= {f"x{i}_": {"domain": "node", "width": width} for i in range(nodes)}
    for number in range(count):
        turn, place = divmod(number, nodes)
        here, there = f"x{place}_", f"x{(place + turn) % nodes}_"
        rows = [("mlp", ["hits"], here), ("mlp", [here, "doublet"], "score"), ("add", [here, there], here)]
        block, inputs, output = rows[turn] if turn < 3 else ("mlp", [there, here], here)
        functions[f"f{number}"] = {"block": block, "inputs": inputs, "output": output}
    return {"name": "many", "data": data, "functions": functions, "sources": ["hits", "doublet"], "targets": ["score"]}


def seconds(call: Callable[[int], Any], count: int) -> tuple[float, list[Any]]:
    """CPU seconds of one of so many calls, and their results."""
    start = time.process_time()
    results = [call(number) for number in range(count)]
    return (time.process_time() - start) / count, results


def sampled(space: Any, count: int, more: Callable[[Any], Any]) -> dict[str, float]:
    """Measure the sampling of candidates, each passed on to `more`."""
    sampler = part("RandomSampler", "sampling.samplers", "samplers")(space, 0)
    for number in range(WARM):
        more(sampler.draw(number, 1))

    def call(number: int) -> int:
        candidate = sampler.draw(number, 0)
        more(candidate)
        return len(candidate.graph.steps)

    one, steps = seconds(call, count)
    return {"seconds": one, "steps": statistics.fmean(steps)}


def identity(candidate: Any) -> Any:
    """Work out the fingerprint."""
    return candidate.fingerprint


def walk(case: Case, folder: Path) -> dict[str, float]:
    """Measure walks alone."""
    return sampled(tracking(folder), case.count, lambda candidate: None)


def both(case: Case, folder: Path) -> dict[str, float]:
    """Measure walk and fingerprint."""
    return sampled(tracking(folder), case.count, identity)


def document(case: Case, folder: Path) -> dict[str, float]:
    """Measure what `sample --json` does for each architecture, printing left out."""
    form = part("_form", "commands.sample", "sample")
    return sampled(tracking(folder), case.count, lambda c: json.dumps(form(c), ensure_ascii=False))


def start(case: Case, folder: Path) -> dict[str, float]:
    """Measure the command with five architectures, in a process of its own."""
    del case
    own = Path(importlib.import_module("archioptrx").__file__ or "").parent.parent
    command = [sys.executable, "-m", "archioptrx", "sample", str(folder / "function_graphs/tracking.yaml")]
    command += ["--search-space", str(folder / "search_spaces/full.yaml")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(own)}
    subprocess.run(command, cwd=own, env=environment, stdout=subprocess.DEVNULL, check=True)  # -m looks in cwd first
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def steps(case: Case, folder: Path) -> dict[str, float]:
    """Measure walk and fingerprint of networks of up to so many steps, with as many further walks as that allows."""
    limits = {"max_steps": case.size, "max_walks": 1 + case.size // 4, "recurrence": 1.0, "max_executed": 8 * case.size}
    return sampled(tracking(folder, **limits), case.count, identity)


def functions(case: Case, folder: Path) -> dict[str, float]:
    """Measure walk and fingerprint of a function graph of so many functions."""
    del folder
    graph = part("FunctionGraph", "graphs.function_graph", "function_graph").from_dict(many_functions(case.size))
    space = part("SearchSpace", "sampling.search_space", "search_space").from_dict(
        {"name": "many", "hyperparameters": {"hidden": 8}}
    )
    return sampled(space_of(graph, space), case.count, identity)


def interchangeable(case: Case, folder: Path) -> dict[str, float]:
    """Measure the fingerprint of a network of so many equal branches, an encoder and a norm each, that are averaged."""
    del folder
    step, kind = (
        part("Step", "graphs.steps", "computation_graph"),
        part("DataType", "graphs.steps", "computation_graph"),
    )
    width = part("Width", "graphs.signatures", "signatures").of
    types = (kind("hits", "node", width("hits"), "x"), kind("x", "node", width("hidden")))
    size, make = case.size, part("ComputationGraph", "graphs.computation_graph", "computation_graph")
    rows = [step("encode", "mlp", (0,), "x", (), f"encode.{i}") for i in range(size)]
    rows += [step("normalise", "norm", (1 + i,), "x", (), f"normalise.{i}") for i in range(size)]
    rows.append(step("mean", "mean", tuple(range(1 + size, 1 + 2 * size)), "x"))

    def call(number: int) -> Any:
        del number
        return make(types, ("hits",), tuple(rows), (), (1 + 2 * size,)).fingerprint

    call(0)
    one, _ = seconds(call, max(1, 256 // size**2))
    return {"seconds": one, "steps": len(rows)}


KINDS = {f.__name__: f for f in (walk, both, document, start, steps, functions, interchangeable)}


# Both versions by turns


def measured(case: Case, version: Path, files: Path) -> dict[str, float]:
    """Measure a case with the version in a folder, in a process of its own."""
    command = [sys.executable, __file__, "--files", str(files), "--one", json.dumps(vars(case))]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(version)}, stdout=subprocess.PIPE, text=True, check=True
    )
    row: dict[str, float] = json.loads(done.stdout)
    return row


def measure(
    quick: bool = False, against: Path | None = None, repeat: int = 5, only: str = ""
) -> Iterator[dict[str, Any]]:
    """Measure all cases, or those with a text in their names; a row for each.

    Yields
    ------
    Name, milliseconds (median and spread: largest less least), mean number of steps; with another version its
    milliseconds and steps, and the ratio (median, least, largest) of its time to ours.
    """
    files = against or HERE
    for case in [case for case in cases(quick) if only in case.name]:
        turns = [[measured(case, version, files) for version in (HERE, against) if version] for _ in range(repeat)]
        times = [[1e3 * row["seconds"] for row in rows] for rows in zip(*turns, strict=True)]
        row = {"name": case.name, "ms": statistics.median(times[0]), "spread": max(times[0]) - min(times[0])}
        row["steps"] = turns[0][0].get("steps")
        if against:
            ratios = sorted(other / ours for ours, other in zip(*times, strict=True))
            row |= {"other_ms": statistics.median(times[1]), "other_steps": turns[0][1].get("steps")}
            row |= {"ratio": statistics.median(ratios), "least": ratios[0], "largest": ratios[-1]}
        yield row


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    text = f"{row['name']:30}{row['ms']:>9.3f} ±{row['spread'] / 2:<8.3f}{row['steps'] or 0:>6.1f}"
    if "ratio" in row:
        text += f"{row['other_ms']:>12.3f}{row['other_steps'] or 0:>8.1f}{row['ratio']:>8.2f}"
        text += f"  ({row['least']:.2f} to {row['largest']:.2f})"
    return text


def parser() -> argparse.ArgumentParser:
    """Options."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--against", type=Path, metavar="FOLDER", help="checkout of another version")
    result.add_argument("--repeat", type=int, default=5, metavar="N", help="repetitions (default: 5)")
    result.add_argument("--quick", action="store_true", help="fewer and smaller measurements")
    result.add_argument("--only", default="", metavar="TEXT", help="measurements with this text in their names")
    result.add_argument("--json", type=Path, metavar="FILE", help="write the rows")
    result.add_argument("--files", type=Path, default=HERE, help=argparse.SUPPRESS)
    result.add_argument("--one", help=argparse.SUPPRESS)
    return result


def main() -> None:
    """Measure and print."""
    args = parser().parse_args()
    if args.one:
        case = Case(**json.loads(args.one))
        print(json.dumps(KINDS[case.kind](case, args.files)))
        return
    against = args.against and args.against.resolve()
    print(f"{'':30}{'ms':>9} {'':8}{'steps':>7}" + (f"{'other: ms':>12}{'steps':>8}{'ratio':>8}" if against else ""))
    rows = []
    for row in measure(args.quick, against, args.repeat, args.only):
        rows.append(row)
        print(line(row), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
