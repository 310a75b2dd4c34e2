"""`archioptrx inspect`: the best architectures of a search, also while it runs, or one architecture.

For a study it prints the comparison of its searches.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from archioptrx.commands.cli import command, new_parser
from archioptrx.commands.inspect_architecture import check_exists, is_architecture, show_architecture
from archioptrx.commands.inspect_functions import Functions
from archioptrx.core.config import finish
from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.core.files import plain
from archioptrx.core.own_files import check_page
from archioptrx.core.reading import reading
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.drawing.network import draw_architecture, source_widths
from archioptrx.runs.effects import Effect, Effects, effects_of
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.run_folder import RunFolder, is_study, trial_of
from archioptrx.runs.text import (
    graphs_of,
    hyperparameters_text,
    metric_of,
    plain_text,
    score_text,
    seeds_text,
    spread_text,
    table_text,
)
from archioptrx.search import study_report as comparison_report
from archioptrx.search.pareto import front_json, front_line, retrained_text
from archioptrx.search.study_run import StudyFolder
from archioptrx.training.objective import Objective

TOP, DRAWN = 10, 3
"""Trials in the table, and architectures that are drawn, where no number is given."""


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("inspect", "Show the best architectures of a search, also while it runs, or one architecture.")
    new.add_argument(
        "run_folder",
        metavar="RUN",
        type=Path,
        help="folder that `archioptrx search` wrote (of a study: compares its searches); RUN/ID: shows that trial; "
        "an architecture's bundled name or file, a sketch's too: shows the network",
    )
    new.add_argument("--top", type=int, metavar="K", help=f"trials in the table (default: {TOP}), drawn ({DRAWN})")
    new.add_argument("--fingerprint", metavar="F", help="show this architecture (its first digits) instead of the best")
    new.add_argument("--functions", action="store_true", help="how often each function is proposed, and how probable")
    new.add_argument("--effects", action="store_true", help="common traits of good trials: the effect of each choice")
    new.add_argument(
        "--draw",
        metavar="DIR",
        type=Path,
        help="draw the best architectures, or the one asked for: trial-ID.svg, .png (of one architecture NAME.svg, "
        ".png); and the function graph with the numbers of --functions: functions.svg, .png (--functions: that alone)",
    )
    new.add_argument("--html", metavar="FILE", type=Path, help="write a report: one page that needs nothing else")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Print the table and one architecture, or the parts that the options name."""
    if args.top is not None and args.top < 1:
        raise InputError(f"--top: is {args.top}; allowed: 1 or more")
    if is_architecture(args.run_folder):
        return show_architecture(args)
    check_exists(args.run_folder)
    with reading(str(args.run_folder)):
        return show_study(args) if is_study(args.run_folder) else show_run(args)


def show_run(args: argparse.Namespace) -> int:
    """Print one search."""
    folder, trial = trial_of(args.run_folder) or (RunFolder(args.run_folder), None)
    if args.html:
        return write_html(folder, trial, args)
    experiment, rows, graphs = folder.experiment(), folder.rows(), graphs_of(folder)
    shown = chosen_row(rows, trial, args)
    named_row = shown if args.fingerprint or trial is not None else None
    learned = (folder.path / "learned.jsonl").exists()
    walked = bool(args.draw) and (folder.path / "function_graph.yaml").is_file()
    functions = Functions.of(folder, experiment) if args.functions or walked or learned else None
    drawings = draw(args, folder, functions, named_row, graphs) if args.draw else []
    effects = effects_by_goal(folder, experiment) if args.effects else {}
    if args.json:
        content = document(folder, rows[: args.top or TOP], shown, graphs, metric_of(experiment))
        content |= {"front": front_json(rows, experiment.objective)}
        content |= {"functions": functions.document()} if functions and args.functions else {}
        content |= {"effects": effects_document(effects)} if args.effects else {}
        content |= {"drawings": [str(path) for path in drawings]} if args.draw else {}
        print(json.dumps(plain(content), indent=1, ensure_ascii=False))
        return 0
    running = len(graphs) - len(rows)
    begun = f"; {running} begun and not ended" if running else ""
    print(f"{folder.path}: {len(rows)} of {experiment.budget.trials} trials ended{begun}", file=sys.stderr)
    parts = [functions.text()] if functions and args.functions else []
    parts += [effects_text(effects, args.top or TOP)] if args.effects else []
    parts += [f"drawn: {path}" for path in drawings]
    print("\n".join(parts) if parts else overview(folder, experiment, rows, shown, graphs, args.top or TOP))
    if not parts and functions and (text := functions.summary()):
        print(f"\n{text}")
    return 0


def overview(
    folder: RunFolder,
    experiment: Experiment,
    rows: list[dict[str, Any]],
    shown: Mapping[str, Any] | None,
    graphs: Mapping[int, ComputationGraph],
    top: int,
) -> str:
    """The leaderboard, one architecture and the winner."""
    objective, parts = experiment.objective, ["no trial has ended yet"]
    if shown is not None:
        parts = [table_text(rows, top, objective, graphs)]
        parts += [front_line(rows, objective)] if objective.several else []
        parts += ["", architecture_text(shown, graphs[shown["proposal"]], metric_of(experiment))]
    return "\n".join(parts + ([best_text(folder, objective)] if folder.best.is_dir() else []))


def write_html(folder: RunFolder, trial: int | None, args: argparse.Namespace) -> int:
    """Write the report of a run and print its path."""
    options = {"RUN/ID": trial is not None, "--fingerprint": args.fingerprint, "--functions": args.functions}
    options["--draw"] = args.draw
    allowed = f"allowed: archioptrx inspect {folder.path} --html {args.html}"
    finish(
        [
            f"--html: is a report of the whole run, not with {name}; {allowed}"
            for name, value in options.items()
            if value
        ]
    )
    check_page(args.html)
    from archioptrx.report.run_report import write_report  # plotly is imported from here on

    write_report(folder, args.html, args.top or TOP)
    print(json.dumps({"report": str(args.html)}) if args.json else f"written: {args.html}")
    return 0


def draw(
    args: argparse.Namespace,
    folder: RunFolder,
    functions: Functions | None,
    named_row: dict[str, Any] | None,
    graphs: Mapping[int, ComputationGraph],
) -> list[Path]:
    """Draw the trial that the user named; or the function graph and (without --functions) the best trials."""
    drawings = functions.draw(args.draw) if functions and (args.functions or not named_row) else []
    if args.functions:
        return drawings
    rows = [named_row] if named_row else best_of(folder.rows(), args.top or DRAWN)
    return drawings + draw_trials(folder, rows, graphs, metric_of(folder.experiment()), args.draw)


def best_of(rows: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The trials to draw: the first so many that have a score."""
    return [row for row in rows if row["score"] is not None][:count]


def draw_trials(
    folder: RunFolder,
    rows: Sequence[Mapping[str, Any]],
    graphs: Mapping[int, ComputationGraph],
    metric: str,
    place: Path,
) -> list[Path]:
    """Draw the architectures of trials, as `trial-0007.svg` and `.png`; the paths.

    Raises
    ------
    InputError
        The place is a file, or can't be written.
    """
    paths, widths = [], folder.environment().get("data", {}).get("widths", {})  # an older run has none
    for row in rows:
        graph, values = graphs[row["proposal"]], row["hyperparameters"]
        result = (row["metrics"] or {}).get(metric)
        title = f"{folder.path.resolve().name}, trial {row['id']}"
        title += f": {metric} {result:.4f}" if isinstance(result, float) else f": {row['status']}"
        paths += draw_architecture(graph, place, f"trial-{row['id']}", source_widths(graph, widths), values, title)
    return paths


def show_study(args: argparse.Namespace) -> int:
    """Print the comparison of the searches of a study."""
    folder = StudyFolder(args.run_folder)
    run = folder.path / folder.combinations[0].name
    options = ("fingerprint", "functions", "effects", "draw", "html")
    values = {f"--{name}": getattr(args, name) for name in options}
    allowed = f"allowed: archioptrx inspect {run} …"
    finish([f"{option}: is for one search of the study; {allowed}" for option, value in values.items() if value])
    print(comparison_report.study_json(folder) if args.json else comparison_report.study_text(folder))
    return 0


def chosen_row(rows: list[dict[str, Any]], trial: int | None, args: argparse.Namespace) -> dict[str, Any] | None:
    """The row of the trial that is shown: the one asked for, or the best; None: none has ended."""
    if trial is None:
        return chosen(rows, args.fingerprint) if args.fingerprint or rows else None
    if args.fingerprint:
        allowed = f"allowed: archioptrx inspect {args.run_folder.parent} --fingerprint …"
        raise InputError(f"--fingerprint: is for a whole run; {allowed}")
    return ended(rows, trial, args.run_folder)


def ended(rows: list[dict[str, Any]], trial: int, place: Path) -> dict[str, Any]:
    """The row of a trial. Raises InputError if it hasn't ended."""
    for row in rows:
        if row["proposal"] == trial:
            return row
    known = ", ".join(sorted(row["id"] for row in rows)) or "none yet"
    raise InputError(f"{place}: no such ended trial; allowed: {known}")


def chosen(rows: list[dict[str, Any]], fingerprint: str | None) -> dict[str, Any]:
    """The row of a fingerprint, or the best one."""
    if fingerprint is None:
        return rows[0]
    matches = [row for row in rows if row["fingerprint"].startswith(fingerprint)]
    if not matches:
        known = did_you_mean(fingerprint, [row["fingerprint"][:12] for row in rows])
        raise InputError(f"--fingerprint {fingerprint}: no ended trial has it; {known}")
    if len({row["fingerprint"] for row in matches}) > 1:
        raise InputError(f"--fingerprint {fingerprint}: {len(matches)} trials have it; allowed: more digits")
    return matches[0]


def architecture_text(row: Mapping[str, Any], graph: ComputationGraph, metric: str) -> str:
    """One architecture, with the results of its trial."""
    scores = ", ".join(score_text(score) for score in row["curve"])
    lines = [
        f"trial {row['id']}, fingerprint {row['fingerprint']}, {row['status']}",
        str(graph),
        f"hyperparameters: {hyperparameters_text(row['hyperparameters'])}",
    ]
    lines += [f"validation {metric} after each epoch: {scores}"] if scores else []
    lines += [f"error: {row['error']}"] if row["error"] else []
    return "\n".join(lines)


def best_text(folder: RunFolder, objective: Objective) -> str:
    """The winner of the retraining; with several goals all that were trained again."""
    metrics = folder.winner()
    if metrics is None or metrics["proposal"] is None:
        raise InputError(
            f"{folder.best}: holds no winner of this search; allowed: archioptrx search --resume {folder.path}"
        )
    known = [name for name in ("auc", "purity", "efficiency") if name in metrics["test"]]
    names = known or [name for name in objective.metrics if name in metrics["test"]]
    tests = {name: metrics["test"][name] for name in names}
    seeds = metrics["seeds"]
    text = ", ".join(f"{name} {spread_text(test['mean'], test['deviation'], seeds)}" for name, test in tests.items())
    under = seeds_text(seeds, metrics.get("failed_seeds", 0))
    winner = f"\nwinner: trial {metrics['proposal']:04d}, trained under {under}; on test events {text}"
    if not objective.several:
        return winner
    again = retrained_text(folder, objective, metrics["proposal"])
    return f"{winner}\ntrained again: metrics on test events and costs\n{again}"


def document(
    folder: RunFolder,
    rows: list[dict[str, Any]],
    shown: Mapping[str, Any] | None,
    graphs: Mapping[int, ComputationGraph],
    metric: str,
) -> dict[str, Any]:
    """Leaderboard and one architecture as a JSON document."""
    return {
        "run": str(folder.path),
        "metric": metric,
        "proposals": len(graphs),
        "trials": [{**row, "text": str(graphs[row["proposal"]])} for row in rows],
        "shown": None if shown is None else shown["id"],
        "winner": folder.winner(),
    }


def effects_by_goal(folder: RunFolder, experiment: Experiment) -> dict[str, Effects]:
    """Effects of all choices on each goal."""
    rows, proposals = folder.rows(), folder.proposed()
    goals = experiment.objective.goals
    return {goal.label: effects_of(rows, proposals, number) for number, goal in enumerate(goals)}


def effects_text(by_goal: Mapping[str, Effects], top: int) -> str:
    """A table of the strongest effects on the first goal, for a terminal."""
    goal, effects = next(iter(by_goal.items()))
    if not effects.judged:
        return f"{effects.caution} {effects.trials} trials have a score."
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("choice", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for head in ("made", "left", "difference", "95 % interval", "p"):
        table.add_column(head, justify="right", no_wrap=True)
    for effect in effects.judged[:top]:
        table.add_row(effect.name, effect.group, str(effect.trials), str(effect.others), *_effect_numbers(effect))
    pruned = f", {effects.pruned} of them pruned" if effects.pruned else ""
    more = len(effects.judged) - top
    parts = [
        f"what good trials share, on {goal}: {effects.trials} trials{pruned}; difference: of the mean share of others",
        "that a trial beats at equal epochs, in percent, between those that made a choice and those that didn't",
        plain_text(table),
        f"... and {more} more (--top)" if more > 0 else "",
        textwrap.fill(f"{effects.caution} * holds for all together", 118),
        f"other goals ({', '.join(list(by_goal)[1:])}): --json" if len(by_goal) > 1 else "",
    ]
    return "\n".join(part for part in parts if part)


def _effect_numbers(effect: Effect) -> tuple[str, str, str]:
    low, high, p = effect.low or 0.0, effect.high or 0.0, effect.p or 0.0
    mark = " *" if effect.firm else "  "
    return f"{100 * effect.difference:+.0f}", f"{100 * low:+.0f} … {100 * high:+.0f}", f"{p:.2g}{mark}"


def effects_document(by_goal: Mapping[str, Effects]) -> dict[str, Any]:
    """All effects on each goal, for JSON."""
    return {
        goal: {
            "trials": effects.trials,
            "pruned": effects.pruned,
            "caution": effects.caution,
            "choices": [asdict(effect) for effect in effects.effects],
        }
        for goal, effects in by_goal.items()
    }


main = command(parser, run)
