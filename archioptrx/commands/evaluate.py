"""`archioptrx evaluate MODEL`: score a trained model on any data."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.config import finish

if TYPE_CHECKING:
    from archioptrx.data.hitgraph import HitGraph

BIN_COLUMNS = ("edges", "triplets", "auc", "efficiency", "purity")
RATES = ("efficiency", "efficiency_physics", "fake_rate", "duplicate_rate", "completeness")
TRACK_COLUMNS = ("particles", "efficiency", "efficiency_physics", "duplicate_rate")
BIN_UNITS = {"eta": "|η|", "pt": "pT [GeV]"}


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("evaluate", "Score a trained model on any data.")
    new.add_argument("model", metavar="MODEL", help="folder that `train` wrote, a run (its best) or RUN/ID")
    new.add_argument("--data", metavar="PATH", help="events to score, all of them (default: the model's test events)")
    new.add_argument("--cut", type=float, metavar="F", help="probability that accepts (default: 0.5)")
    new.add_argument(
        "--efficiency", type=float, metavar="F", help="instead: the cut that has this efficiency on validation events"
    )
    new.add_argument(
        "--pt-min",
        type=float,
        metavar="GEV",
        help="tracks: only particles of this pT or more (default: the signal)",
    )
    new.add_argument(
        "--min-hits",
        type=int,
        metavar="N",
        help="tracks: fewer hits make no particle or track that counts (default: 3)",
    )
    new.add_argument("--tracks", metavar="YAML", help="tracks: other rules of finding them, '{chi2_max: 5}'")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Load the model and the events, and print the scores."""
    options = (("--cut", args.cut), ("--efficiency", args.efficiency))
    shares = [(name, value) for name, value in options if value is not None]
    faults = [f"{name}: is {value:g}; allowed: between 0 and 1" for name, value in shares if not 0 < value < 1]
    if args.cut is not None and args.efficiency is not None:
        faults.append("--cut and --efficiency: both set the cut; allowed: one of them")
    if args.pt_min is not None and not 0 <= args.pt_min < math.inf:
        faults.append(f"--pt-min: is {args.pt_min:g}; allowed: 0 or more")
    if args.min_hits is not None and args.min_hits < 1:
        faults.append(f"--min-hits: is {args.min_hits}; allowed: 1 or more")
    finish(faults)
    # torch is imported from here on.
    from archioptrx.core.files import plain
    from archioptrx.models.events import events_for
    from archioptrx.models.model_folder import load_model
    from archioptrx.models.track_finding import with_tracks
    from archioptrx.models.working_point import chosen_cut
    from archioptrx.tasks.tracks.scores import signal_selection
    from archioptrx.training.fit import evaluate_model

    model = load_model(args.model)
    with_tracks(model.task, args.tracks)
    graphs, whole, metadata = events_for(model, args.data)
    signal = signal_selection(graphs, metadata.options)
    limits = {"pt_min": args.pt_min, "min_hits": args.min_hits}
    selection = replace(signal, **{name: value for name, value in limits.items() if value is not None})
    cut = chosen_cut(model, args.cut, args.efficiency)
    further = partial(_tracks, task=model.task, selection=selection, whole=whole)
    scores = evaluate_model(model.model, model.task, graphs, cut=cut, further=further)
    if args.json:
        print(json.dumps(plain(scores), indent=1, ensure_ascii=False))
    else:
        print(as_text(scores, graphs))
    return 0


def _tracks(outputs: Sequence[Any], graphs: Sequence[HitGraph], **options: Any) -> dict[str, Any]:
    """Scores of the tracks as a section of their own, where the task makes any and the data have particles.

    The ceiling are those of a network that answers every question of the task as the truth does.
    """
    from archioptrx.tasks.tracks.ceiling import ceiling
    from archioptrx.tasks.tracks.scores import track_scores

    task, selection, whole = options["task"], options["selection"], options["whole"]
    scores = track_scores(task, outputs, graphs, selection, bins=True, whole=whole)
    if not scores:
        return {}
    return {"tracks": scores, "ceiling": ceiling(task, graphs, selection, whole)}


def as_text(scores: Mapping[str, Any], graphs: Sequence[HitGraph]) -> str:
    """Scores as text, bins below; then those of the tracks in the same way."""
    lines = [f"{len(graphs)} graphs, {len({graph.event for graph in graphs})} events", *_numbers(scores)]
    lines += _all_bins(scores, BIN_COLUMNS)
    if isinstance(tracks := scores.get("tracks"), Mapping):  # a task may have a number of that name
        lines += ["", f"{'tracks':28} {'this':>10} {'ceiling':>10}", *_beside(tracks, scores.get("ceiling", {}))]
        broken = scores.get("ceiling", {}).get("broken_chains")
        pieces = "" if broken is None else f"; true edges leave {broken:,} particles in pieces"
        lines += [f"ceiling: with the true answer for every edge, hit or triplet of these graphs{pieces}"]
        lines += ["", *_table("matching", tracks["matching"].items(), RATES)]
        lines += _all_bins(tracks, TRACK_COLUMNS)
    return "\n".join(lines)


def _numbers(scores: Mapping[str, Any]) -> list[str]:
    single = {name: value for name, value in scores.items() if not isinstance(value, list | Mapping)}
    return [f"  {name:26} {_text(value, 5)}" for name, value in single.items()]


def _beside(scores: Mapping[str, Any], ceiling: Mapping[str, Any]) -> list[str]:
    """Lines of single numbers, with those of a perfect network beside them."""
    single = {name: value for name, value in scores.items() if not isinstance(value, list | Mapping)}
    return [f"  {name:26} {_text(value, 5):>10} {_text(ceiling.get(name), 5):>10}" for name, value in single.items()]


def _text(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def _all_bins(scores: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for name, rows in scores.items():
        if isinstance(rows, list) and rows:
            limits = (f"{row['from']:g} … " + ("∞" if row["to"] is None else f"{row['to']:g}") for row in rows)
            shown = [column for column in columns if any(column in row for row in rows)]
            lines += ["", *_table(_quantity(name), zip(limits, rows, strict=True), shown)]
    return lines


def _quantity(name: str) -> str:
    """Heading of a table of bins; of several targets behind the target's name."""
    target, dot, quantity = name.rpartition(".")
    return f"{target}{' ' * bool(dot)}{BIN_UNITS.get(quantity, quantity)}"


def _table(name: str, rows: Iterable[tuple[str, Mapping[str, Any]]], columns: Sequence[str]) -> list[str]:
    """Lines of a table: a header, then one for each row. Underscores of a column's name become spaces."""
    widths = [max(12, len(column) + 2) for column in columns]
    heads = (column.replace("_", " ").rjust(width) for column, width in zip(columns, widths, strict=True))
    lines = [f"{name:16}" + "".join(heads)]
    for first, row in rows:
        cells = zip(columns, widths, strict=True)
        lines.append(f"{first:16}" + "".join(_text(row.get(column), 4).rjust(width) for column, width in cells))
    return lines


main = command(parser, run)
