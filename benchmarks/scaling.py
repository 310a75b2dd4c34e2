"""Cost of training on whole events, from 1,000 to 300,000 edges: `python benchmarks/scaling.py --help`.

Each step trains on one random event that isn't cut, with six edges a hit: 300,000 edges between 50,000 hits at the end.
Times of the sizes are taken by turns in one process, so that other work of the machine slows all of them; the
fastest of the turns counts. The peak of memory of each size (all that is resident, imports included) is that of a
process of its own, which may not have more than the limit: it would fail. Linux only.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from step import random_graph

from archioptrx.core.config import bundled
from archioptrx.data.dataset import Metadata
from archioptrx.graphs.architecture import Architecture
from archioptrx.tasks import make_task
from archioptrx.training.fit import Fitting
from archioptrx.training.settings import Training
from archioptrx.training.trial import build

SIZES = (1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 300000)
EDGES_PER_HIT = 6
EDGES_A_TURN, MOST_STEPS = 200_000, 50
"""Repetition of short steps until they take as long: other work of the machine interrupts long steps more often."""


def fitting_of(name: str, edges: int) -> Fitting:
    """A training whose epoch is one step on one whole event."""
    architecture = Architecture.load(bundled("experiments/architectures", name))
    task = make_task("edge_classification")
    graph = random_graph(edges // EDGES_PER_HIT, edges, seed=edges)
    model = build(architecture.graph, architecture.hyperparameters, Metadata("random"), task, 0)
    settings = Training(epochs=1, edges_per_step=10**9)
    return Fitting(model, task, [graph], (), settings)


def seconds(name: str, sizes: tuple[int, ...], turns: int) -> list[list[float]]:
    """Seconds of a step of each size in each turn, after one to warm up. Small events take several steps a turn."""
    fittings = [fitting_of(name, edges) for edges in sizes]
    taken: list[list[float]] = [[] for _ in sizes]
    for turn in range(-1, turns):
        for place, fitting in enumerate(fittings):
            steps = max(1, min(MOST_STEPS, EDGES_A_TURN // sizes[place])) if turn >= 0 else 1
            start = time.perf_counter()
            for _ in range(steps):
                fitting.epoch()
            if turn >= 0:
                taken[place].append((time.perf_counter() - start) / steps)
    return taken


def peak(name: str, edges: int, limit: float, threads: int) -> int:
    """Bytes that a process holds at most in two steps of a size."""
    command = [sys.executable, __file__, "--architecture", name, "--one", str(edges), "--limit", str(limit)]
    done = subprocess.run([*command, "--threads", str(threads)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{edges} edges: {done.stderr.strip().splitlines()[-1]}")
    return int(done.stdout)


def two_steps(name: str, edges: int, limit: float) -> None:
    """Run as the process that `peak` measures."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit * 2**30), resource.RLIM_INFINITY))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    fitting = fitting_of(name, edges)
    fitting.epoch()
    fitting.epoch()
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(fields["VmHWM"].split()[0]) * 1024)


def line(edges: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    """Constant and slope of a straight line, each point with the same relative weight, and the largest deviation."""
    design = np.stack([1 / values, edges / values], axis=1)
    constant, slope = np.linalg.lstsq(design, np.ones(len(edges)), rcond=None)[0]
    return float(constant), float(slope), float(np.abs((constant + slope * edges) / values - 1).max())


def power(edges: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> float:
    """Exponent of a power law: the slope in the double logarithmic plot."""
    return float(np.polyfit(np.log(edges), np.log(values), 1)[0])


def draw(file: Path, edges: Any, times: Any, memory: Any, fits: tuple[tuple[float, float, float], ...]) -> None:
    """Plot both against the number of edges, with their lines."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    smooth = np.geomspace(edges[0], edges[-1], 200)
    rows = ((axes[0], times, fits[0], "s a step"), (axes[1], memory / 2**30, fits[1], "GiB, peak of the process"))
    for axis, values, (constant, slope, _), name in rows:
        axis.loglog(edges, values, "o", color="C0")
        axis.loglog(smooth, constant + slope * smooth, "-", color="C1", label="straight line")
        axis.set(xlabel="edges of the event", ylabel=name)
        axis.grid(which="both", alpha=0.2)
        axis.legend(frameon=False)
    figure.savefig(file, dpi=150)


def report(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure and print."""
    name, sizes = arguments.architecture, tuple(arguments.edges)
    edges = np.array(sizes, dtype=float)
    turns = np.array(seconds(name, sizes, arguments.turns))
    times = turns.min(axis=1)
    memory = np.array([peak(name, size, arguments.limit, arguments.threads) for size in sizes], dtype=float)
    print(f"{name}, {arguments.threads} threads; memory inside {arguments.limit:g} GiB")
    print(f"{'edges':>9}{'hits':>9}{'s a step':>10}{'median':>10}{'µs an edge':>12}{'GiB':>8}")
    for size, fast, middle, gib in zip(sizes, times, np.median(turns, axis=1), memory / 2**30, strict=True):
        row = f"{size:9,}{size // EDGES_PER_HIT:9,}{fast:10.4f}{middle:10.4f}{1e6 * fast / size:12.2f}{gib:8.2f}"
        print(row)
    fits = (line(edges, times), line(edges, memory / 2**30))
    large = edges >= 10000
    print(f"time: {fits[0][0]:.4f} s + {1e6 * fits[0][1]:.2f} µs an edge, all within {fits[0][2]:.0%} of the line")
    print(f"memory: {fits[1][0]:.2f} GiB + {2**30 * fits[1][1]:.0f} bytes an edge, all within {fits[1][2]:.0%}")
    print(f"time grows as edges^{power(edges[large], times[large]):.2f} from 10,000 edges on")
    if arguments.plot:
        draw(arguments.plot, edges, times, memory, fits)
    return {"edges": sizes, "seconds": turns.tolist(), "bytes": memory.tolist()}


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="interaction", help="bundled name or path")
    parser.add_argument("--edges", type=int, nargs="+", default=SIZES)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, default=8.0, help="GiB that a process may have")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    torch.set_num_threads(options.threads)
    if options.one:
        two_steps(options.architecture, options.one, options.limit)
    else:
        measured = report(options)
        if options.json:
            options.json.write_text(json.dumps(measured) + "\n")
