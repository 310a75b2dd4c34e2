"""A search of seconds, for tests: sixteen toy events, five trials, two epochs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from archioptrx.core.own_modules import find
from archioptrx.core.trust import remember
from archioptrx.runs.experiment import Experiment, parse_experiment
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.jobs import Backend, Work
from archioptrx.search.local_backend import run_locally
from archioptrx.search.progress import Progress
from archioptrx.search.run import Events, SearchResult, load_events, new_run, run_search
from archioptrx.search.setup import prepare
from archioptrx.training.trial import TrialData, messages

SMALL: dict[str, Any] = {
    "name": "small",
    "data": {"source": "toy", "num_samples": 16},
    "search_space": str(Path(__file__).with_name("quick.yaml")),
    "sampler": {"name": "random"},
    "scheduler": {"name": "fifo"},
    "budget": {"trials": 5},
    "training": {"epochs": 2},
    "constraints": {"executed": 10, "parameters": 8000},
    "retrain": {"top": 1, "seeds": 2},
}

PROPOSAL = {
    **{"proposal": 0, "fingerprint": "f", "hyperparameters": {}, "seed": 1, "epochs": 1, "trace": {}, "graph": {}},
}
"""Keys of a line of `proposals.jsonl`, with nothing behind them."""

BLOCKS = '''
"""Blocks that go wrong."""
import os
import sys
import threading

import torch
from torch import nn

from archioptrx.networks.blocks import block
from archioptrx.graphs.signatures import Signature


def same(domains, output):
    return None


def width(widths, parameters):
    return widths[0]


class Odd(nn.Module):
    def __init__(self, inputs, output):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))


@block(Signature("raising", accepts=same, width=width))
class Raising(Odd):
    def forward(self, values, run):
        raise ValueError("this block never works")


@block(Signature("exploding", accepts=same, width=width))
class Exploding(Odd):
    def forward(self, values, run):
        return values[0].tensor() * self.weight * float("inf")


@block(Signature("hanging", accepts=same, width=width))
class Hanging(Odd):
    def forward(self, values, run):
        threading.Event().wait()


@block(Signature("leaving", accepts=same, width=width))
class Leaving(Odd):
    def forward(self, values, run):
        sys.exit(0)


@block(Signature("closing", accepts=same, width=width))
class Closing(Odd):
    def forward(self, values, run):
        raise GeneratorExit


@block(Signature("closing_backward", accepts=same, width=width))
class ClosingBackward(Odd):
    def forward(self, values, run):
        result = values[0].tensor() * 1
        if result.requires_grad:
            result.register_hook(close)
        return result


def close(gradient):
    raise GeneratorExit


@block(Signature("interrupting", accepts=same, width=width))
class Interrupting(Odd):
    def forward(self, values, run):
        raise KeyboardInterrupt


@block(Signature("dying", accepts=same, width=width))
class Dying(Odd):
    def forward(self, values, run):
        os._exit(9)
'''


def graph_with(*blocks: str) -> dict[str, Any]:
    """A function graph of an mlp on the doublets, with some of the bad blocks before its last step."""
    functions: dict[str, Any] = {
        "first": {"block": "mlp", "inputs": ["doublet"], "output": "e", "params": {"layers": 1}},
        "again": {"block": "mlp", "inputs": ["e"], "output": "e", "params": {"layers": 1}},
        "classify": {"block": "mlp", "inputs": ["e"], "output": "score", "params": {"layers": 1}},
    }
    for name in blocks:
        functions[name] = {"block": name, "inputs": ["e"], "output": "e"}
    return {
        "name": "odd",
        "data": {
            "doublet": {"domain": "edge", "field": "edge_attr"},
            "e": {"domain": "edge", "width": {"hyperparameter": "hidden"}},
            "score": {"domain": "edge", "width": "target"},
        },
        "functions": functions,
        "sources": ["doublet"],
        "targets": ["score"],
    }


def allow(name: str, folder: Path) -> None:
    """Let files ask for a module that lies in a folder, as `--imports` does."""
    source = find(name, (), (folder,))
    assert source is not None
    remember(source.digest, name)


def write_odd(folder: Path, *blocks: str) -> dict[str, Any]:
    """Write module and function graph to a folder; what an experiment says to use them."""
    (folder / "odd_blocks.py").write_text(BLOCKS)
    allow("odd_blocks", folder)
    (folder / "odd.yaml").write_text(yaml.safe_dump(graph_with(*blocks)))
    walk = {"max_steps": 6, "max_walks": 1, "extra": [4]}
    (folder / "few.yaml").write_text(yaml.safe_dump({"name": "few", "hyperparameters": {"hidden": 8}, "walk": walk}))
    files = {"function_graph": str(folder / "odd.yaml"), "search_space": str(folder / "few.yaml")}
    return {"imports": ["odd_blocks"], **files}


def write_only(folder: Path, block: str) -> dict[str, Any]:
    """The same of networks that all have one of the bad blocks."""
    content = write_odd(folder, block)
    graph = graph_with(block)
    graph["functions"]["first"]["output"] = graph["functions"][block]["inputs"][0] = "d"
    graph["data"]["d"] = graph["data"]["e"]
    (folder / "odd.yaml").write_text(yaml.safe_dump(graph, sort_keys=False))
    return content


def small(**overrides: Any) -> Experiment:
    """The small experiment with other values; `__` stands for the dots of a key."""
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return parse_experiment(SMALL, "small.yaml", overrides=dotted)


def quiet(trials: int = 5) -> Progress:
    """A progress view that shows nothing."""
    return Progress(Console(quiet=True), trials, 2, "auc")


class Crash(Exception):
    """Stands for the moment at which a process dies."""


def crashing(after: int) -> Any:
    """A backend that dies after so many messages."""

    def run(work: Work, data: TrialData) -> None:
        left = after
        while not work.done:
            job = work.next()
            assert job is not None
            for message in messages(job.spec, data):
                left -= 1
                if left < 0:
                    raise Crash
                if work.message(job.key, message):
                    break

    return run


def searched(
    folder: Path,
    experiment: Experiment,
    backend: Backend = run_locally,
    deadline: float | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Run a search in a new folder, or the rest of one."""
    new = not folder.exists()
    setup = prepare(experiment, None if new else folder)
    events: Events = load_events(experiment)
    run = new_run(folder, setup, events) if new else RunFolder(folder)
    with run.locked():
        return run_search(setup, events, run, backend, progress or quiet(experiment.budget.trials), deadline)


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def results(folder: Path) -> list[tuple[Any, ...]]:
    """What two runs of one search have in common, in the order of proposals."""
    rows = sorted(lines(folder / "trials.jsonl"), key=lambda row: row["proposal"])
    return [(r["proposal"], r["fingerprint"], r["hyperparameters"], r["status"], r["curve"], r["seed"]) for r in rows]


def proposed(folder: Path) -> list[tuple[Any, ...]]:
    """Proposals, and what the sampler knew."""
    keys = ("proposal", "fingerprint", "draws", "passed_over", "observed")
    return [tuple(p[key] for key in keys) for p in lines(folder / "proposals.jsonl")]


def recursive_run(folder: Path) -> Path:
    """The run folder of a search for one network with a loop."""
    options = {"architecture": "attention_recursive", "search_space": "hyperparameters", "budget__trials": 1}
    searched(folder, small(**options, constraints={}, retrain={"top": 1, "seeds": 1}))
    return folder
