"""Training on more data than memory: `python benchmarks/streaming.py --help`. Linux only.

Two processes build the same random events and train for an epoch on them, one with the data on disk, one with the data
in memory. Neither may take more than the limit for it (RLIMIT_DATA: heap, private mappings), which is a fraction of the
data: the second one has to fail. Of the first one the peak of its own memory is shown: pages that no file backs.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from step import random_graph
from torch import Tensor, nn

from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Metadata
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.sources.stream import Job, StreamLimits, stream
from archioptrx.data.storage.graph_file import graph_bytes
from archioptrx.tasks import make_task
from archioptrx.training.fit import fit
from archioptrx.training.settings import Training

GIB = 2**30


def make(job: Job, edges: int) -> BuiltEvent:
    """One random event, with `pos` so that steps may cut it."""
    graph = random_graph(edges // 6, edges, job.content)
    graph.event, graph.pos = job.name, graph.x.clone()
    return BuiltEvent((graph,))


def memory(field: str) -> int:
    """Bytes of a row of /proc/self/status."""
    rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(rows[field].split()[0]) * 1024


class EdgeNetwork(nn.Module):
    """A small network: only the memory of the data is of interest. It is noted at the end of each forward pass."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5 + 3, width), nn.ReLU(), nn.Linear(width, 1))
        self.peak = 0

    def forward(self, data: HitGraph) -> Tensor:
        """Edge logits [E]."""
        output: Tensor = self.layers(torch.cat([data.edge_attr, data.x[data.edge_index[0]]], dim=1)).squeeze(1)
        self.peak = max(self.peak, memory("RssAnon"))
        return output


def run(arguments: argparse.Namespace) -> None:
    """Run as one of the two processes."""
    torch.set_num_threads(1)
    each = graph_bytes(make(Job("", 0), arguments.edges).graphs[0])
    begun = memory("RssAnon")
    resource.setrlimit(resource.RLIMIT_DATA, (memory("VmData") + int(arguments.limit * GIB), resource.RLIM_INFINITY))
    jobs = [Job(f"e{k:05d}", k, str(k)) for k in range(int(arguments.size * GIB / each))]
    limits = StreamLimits(memory=0 if arguments.process == "disk" else 2**60, seconds=float("inf"), rest=float("inf"))
    start = time.perf_counter()
    data = stream(jobs, partial(make, edges=arguments.edges), Metadata("random"), limits=limits)
    built = time.perf_counter() - start
    # Exact metrics keep scores and truth of all validation edges, some 80 bytes an edge: few events are enough here.
    splits = data.split(validation=0.02, test=0.02)
    model, task = EdgeNetwork(), make_task("edge_classification")
    settings = Training(epochs=1, edges_per_step=arguments.edges_per_step)
    (report,) = fit(model, task, splits.train, splits.validation, settings)
    print(
        f"{len(jobs):,} events, {len(jobs) * each / GIB:.2f} GiB; built in {built:.0f} s; an epoch of {report.steps:,} "
        f"steps in {report.seconds:.0f} s; loss {report.loss:.4f}; own memory at most {(model.peak - begun) / GIB:.2f} "
        f"GiB more than the {begun / GIB:.2f} GiB before the data"
    )


def main(arguments: argparse.Namespace) -> None:
    """Run both."""
    options = ["--size", str(arguments.size), "--limit", str(arguments.limit), "--edges", str(arguments.edges)]
    options += ["--edges-per-step", str(arguments.edges_per_step)]
    print(f"{arguments.size:g} GiB of data in a process that may have {arguments.limit:g} GiB more than its imports")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for place in ("disk", "memory"):
            command = [sys.executable, __file__, "--process", place, *options]
            env = {**os.environ, "ARCHIOPTRX_CACHE": f"{folder}/{place}", "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, env=env)
            lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
            print(f"{place}: {'' if done.returncode == 0 else 'failed: '}{lines[-1] if lines else done.returncode}")


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=8.0, help="GiB of data")
    parser.add_argument("--limit", type=float, default=0.5, help="GiB that a process may have beyond its imports")
    parser.add_argument("--edges", type=int, default=100_000, help="of each event")
    parser.add_argument("--edges-per-step", type=int, default=100_000, help="less than an event has: it is cut")
    parser.add_argument("--folder", type=Path, help="where the data are written (default: the temporary folder)")
    parser.add_argument("--process", choices=["disk", "memory"], help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    args = parse()
    run(args) if args.process else main(args)
