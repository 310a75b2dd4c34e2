"""The value of a search: its winner against a network drawn by hand, tuned with as many trials.

    python -m benchmarks.search_value --data PATH --output DIR --trials 50 --epochs 5 --searches 3

For each seed two searches run: one of architectures, one of the hyperparameters of the reference. Both have the same
data, epochs, trials, sampler and scheduler. Then `archioptrx compare` trains both winners under the same new seeds and
scores them on test events, by which nothing was chosen. Of several searches the winner with the best validation score
is taken, on both sides. Printed are 1 - AUC, purity at an efficiency of 0.98, track efficiency, parameters and latency
with 95 % intervals over seeds and events, and the best score so far over the time of the trials (anytime curve).

Searches and comparisons that are in DIR already aren't run again. `--samplers` adds curves of further samplers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archioptrx.commands.cli import command, new_parser
from archioptrx.runs.run_folder import RunFolder

METRICS = ("auc", "purity_at_efficiency_0.98", "track_efficiency")
SHARES = (0.1, 0.25, 0.5, 1.0)
"""Shares of the time of a search at which its best score is printed."""


@dataclass(frozen=True)
class Plan:
    """Settings that all searches have in common.

    Attributes
    ----------
    data, output
        Folder of the hit graphs; folder of the searches.
    reference
        Architecture drawn by hand.
    trials, epochs, parameters
        Budget of each search; epochs of each training; most parameters of a network.
    options
        Further options of `archioptrx search`.
    """

    data: Path
    output: Path
    reference: str
    trials: int
    epochs: int
    parameters: int
    options: tuple[str, ...]

    def search(self, name: str, *options: str) -> RunFolder:
        """A search of this plan, run unless it is there; one that was stopped goes on."""
        path = self.output / name
        if not path.exists():
            budget = ["--trials", str(self.trials), "--epochs", str(self.epochs), "--data", str(self.data)]
            called("search", "hitgraphs", *budget, "--output", str(path), *self.options, *options)
        elif not (path / "best").is_dir():
            called("search", "--resume", str(path))
        return RunFolder(path)

    def found(self, seed: int, sampler: str = "gp") -> RunFolder:
        """Search of architectures that begins with the reference."""
        limits = ["--set", f"references=[{self.reference}]", "--set", f"constraints.parameters={self.parameters}"]
        return self.search(
            f"found-{sampler.replace(':', '-')}-{seed}", "--seed", str(seed), "--sampler", sampler, *limits
        )

    def tuned(self, seed: int) -> RunFolder:
        """Search of the reference's hyperparameters."""
        return self.search(f"tuned-{seed}", "--seed", str(seed), "--architecture", self.reference)


def called(*arguments: str) -> str:
    """Standard output of a command, whose messages are shown."""
    line = [sys.executable, "-m", "archioptrx", *arguments]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout


def validation(run: RunFolder) -> float:
    """Mean validation score of the winner over its retrainings."""
    winner = run.winner()
    assert winner is not None
    return float(winner["validation"]["mean"])


def anytime(run: RunFolder) -> list[tuple[float, float]]:
    """Seconds of all trials so far and the best score, after each trial."""
    points, seconds, best = [], 0.0, -1.0
    for row in run.ended():
        seconds += row["seconds"]
        best = max(best, best if row["score"] is None else row["score"])
        points.append((seconds, best))
    return points


def curve_row(name: str, points: Sequence[tuple[float, float]]) -> str:
    """1 - best score at shares of the time, as a line of a table."""
    end = points[-1][0]
    cells = []
    for share in SHARES:
        scores = [best for seconds, best in points if seconds <= share * end]
        cells.append(f"{1 - scores[-1]:.2e}" if scores else "")
    return f"| {name} | {' | '.join(cells)} | {end:.0f} |"


def compared(plan: Plan, runs: Mapping[str, RunFolder], seeds: int) -> dict[str, Any]:
    """Comparison of the winners of some searches as architectures, each trained under the same seeds."""
    file = plan.output / "comparison.json"
    if not file.exists():
        files = []
        for name, run in runs.items():
            file_of_winner = plan.output / f"{name}.yaml"
            file_of_winner.write_bytes((run.best / "architecture.yaml").read_bytes())
            files.append(str(file_of_winner))
        options = ["--seeds", str(seeds), "--seed", "1000", "--epochs", str(plan.epochs), "--data", str(plan.data)]
        text = called("compare", *files, *options, "--output", str(plan.output / "models"), "--json")
        file.write_text(text)
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def lines(comparison: Mapping[str, Any]) -> Iterator[str]:
    """Table of a comparison; of AUC its distance to 1."""
    yield "| network | parameters | latency, ms | 1 - AUC | purity at 0.98 | track efficiency |"
    yield "|---|---|---|---|---|---|"
    for model in comparison["models"]:
        cells = [model["name"], f"{model['parameters']:,}", f"{model['latency']:.3g}"]
        for metric in METRICS:
            value = model["metrics"].get(metric)
            cells.append("" if value is None else _interval(value, 1 if metric == "auc" else 0))
        yield f"| {' | '.join(cells)} |"
    yield f"{comparison['events']} test events, {comparison['models'][0]['seeds']} seeds; 95 % over both."


def _interval(value: Mapping[str, Any], less: int) -> str:
    """A value with its interval; `less` 1: its distance to 1."""
    numbers = [value["value"], value["low"], value["high"]]
    if less:
        numbers = [1 - numbers[0], 1 - numbers[2], 1 - numbers[1]]
    return f"{numbers[0]:.3g} ({numbers[1]:.2g} … {numbers[2]:.2g})"


def parser() -> argparse.ArgumentParser:
    """The options."""
    new = new_parser("search_value", "A search against a tuned network drawn by hand.")
    new.add_argument("--data", type=Path, required=True, metavar="PATH", help="hit graphs")
    new.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the searches")
    new.add_argument("--reference", default="interaction", metavar="NAME", help="network drawn by hand")
    new.add_argument("--trials", type=int, default=50, metavar="N", help="of each search")
    new.add_argument("--epochs", type=int, default=5, metavar="N", help="of each training")
    new.add_argument("--parameters", type=int, default=12000, metavar="N", help="most of a network that is searched")
    new.add_argument("--searches", type=int, default=3, metavar="N", help="seeds of the searches")
    new.add_argument("--seeds", type=int, default=5, metavar="N", help="trainings of each winner")
    new.add_argument("--samplers", nargs="*", default=[], metavar="NAME", help="further samplers, for their curves")
    new.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of all searches")
    return new


def run(args: argparse.Namespace) -> int:
    """Search, compare and print."""
    args.output.mkdir(parents=True, exist_ok=True)
    options = tuple(part for text in args.set for part in ("--set", text))
    plan = Plan(args.data, args.output, args.reference, args.trials, args.epochs, args.parameters, options)
    seeds = range(args.searches)
    found, tuned = [plan.found(seed) for seed in seeds], [plan.tuned(seed) for seed in seeds]
    others = [(name, plan.found(seed, name)) for name in args.samplers for seed in seeds]
    winners = {"found": max(found, key=validation), plan.reference: max(tuned, key=validation)}
    print("\n".join(lines(compared(plan, winners, args.seeds))))
    print(f"\n| 1 - best score after | {' | '.join(f'{share:.0%}' for share in SHARES)} | s |\n|---|{'---|' * 5}")
    for name, folder in [
        *(("gp", search) for search in found),
        *others,
        *((plan.reference, search) for search in tuned),
    ]:
        print(curve_row(name, anytime(folder)))
    return 0


main = command(parser, run)

if __name__ == "__main__":
    sys.exit(main())
