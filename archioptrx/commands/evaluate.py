"""`archioptrx evaluate MODEL`: score a trained model on any data."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.commands.cli import command, new_parser
from archioptrx.commands.track_options import add_track_options, track_limits
from archioptrx.core.errors import InputError
from archioptrx.data.plot import check_picture
from archioptrx.tasks.metrics import OF_OTHERS

if TYPE_CHECKING:
    from archioptrx.data.dataset import Metadata
    from archioptrx.data.hitgraph import HitGraph
    from archioptrx.models.model_folder import TrainedModel

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
    add_track_options(new)
    new.add_argument("--plot", type=Path, metavar="FILE", help="draw the efficiency of tracks: .png, .svg or .pdf")
    new.add_argument("--tracks", metavar="YAML", help="tracks: other rules of finding them, '{chi2_max: 5}'")
    new.add_argument(
        "--fit", action="store_true", help="fit the tracks by Acts' Kalman filter: pulls and resolutions (extra acts)"
    )
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Load the model and the events, and print the scores."""
    options = (("--cut", args.cut), ("--efficiency", args.efficiency))
    shares = [(name, value) for name, value in options if value is not None]
    faults = [f"{name}: is {value:g}; allowed: between 0 and 1" for name, value in shares if not 0 < value < 1]
    if args.cut is not None and args.efficiency is not None:
        faults.append("--cut and --efficiency: both set the cut; allowed: one of them")
    if args.fraction is not None and args.matching is None:
        faults.append("--fraction: has no meaning alone; allowed: with --matching acts or acorn")
    limits = track_limits(args, faults)
    if args.plot is not None:
        check_picture(args.plot)
    # torch is imported from here on.
    from archioptrx.core.files import plain
    from archioptrx.data.simulation.fatras import pyacts_version
    from archioptrx.models.events import events_for
    from archioptrx.models.model_folder import load_model
    from archioptrx.models.track_finding import with_tracks
    from archioptrx.models.working_point import chosen_cut
    from archioptrx.tasks.tracks.definitions import Definition
    from archioptrx.tasks.tracks.scores import signal_selection
    from archioptrx.training.fit import evaluate_model

    definition = None if args.matching is None else Definition.named(args.matching, args.fraction)
    if args.fit:
        pyacts_version("--fit")
    model = load_model(args.model)
    with_tracks(model.task, args.tracks)
    graphs, whole, metadata = events_for(model, args.data)
    signal = signal_selection(graphs, metadata.options)
    cut = chosen_cut(model, args.cut, args.efficiency)
    fit = _fit_of(args, model, metadata, graphs) if args.fit else None
    further = partial(
        _tracks, task=model.task, signal=signal, limits=limits, whole=whole, definition=definition, fit=fit
    )
    scores = evaluate_model(model.model, model.task, graphs, cut=cut, further=further)
    if definition is not None and not isinstance(scores.get("figures"), Mapping):
        raise InputError(f"--matching: {args.model} makes no tracks of these events, or they have no particles")
    if args.fit and "fit" not in scores:
        raise InputError(f"--fit: {args.model} makes no tracks of these events, or they have no particles")
    if args.plot is not None:
        _plot(scores, args)
    if args.json:
        print(json.dumps(plain(scores), indent=1, ensure_ascii=False))
    else:
        print(as_text(scores, graphs))
    return 0


def _fit_of(
    args: argparse.Namespace, model: TrainedModel, metadata: Metadata, graphs: Sequence[HitGraph]
) -> Callable[..., dict[str, Any]]:
    """Function that fits tracks of the events by Acts. The events are read here: their faults come first.

    It gets the tracks of each event, the definition, the signal and the limits.
    """
    from archioptrx.report.comparison.acts_fits import chosen_matching, fit_scores
    from archioptrx.report.comparison.acts_tracks import acts_events, field_of

    events = acts_events(model, args.data, metadata, graphs)
    field, name = field_of(model, args.data, metadata), Path(args.model).resolve().name

    def fit(found: Mapping[str, Any], definition: Any, signal: Any, limits: dict[str, float]) -> dict[str, Any]:
        return fit_scores(name, events, found, field, chosen_matching(definition, signal, limits, events))

    return fit


def _plot(scores: Mapping[str, Any], args: argparse.Namespace) -> None:
    """Draw the efficiency in bins, by the chosen definition with the ceiling beside it, or the technical one."""
    from archioptrx.report.track_plot import plot_efficiencies

    tracks = scores.get("tracks")
    if not isinstance(tracks, Mapping) or not {"pt", "eta"} & set(tracks):
        raise InputError(f"--plot: {args.model} makes no tracks of these events, or their particles have no pT and η")
    figures, name = scores.get("figures"), Path(args.model).name
    if figures is None:
        plot_efficiencies(args.plot, {name: tracks}, "technical efficiency, double majority")
    else:
        title = f"{figures['matching']}: {figures['limits_text']}"
        plot_efficiencies(args.plot, {name: figures, "ceiling": figures["ceiling"]}, title)
    print(f"drawn to {args.plot}", file=sys.stderr)


def _tracks(outputs: Sequence[Any], graphs: Sequence[HitGraph], **options: Any) -> dict[str, Any]:
    """Scores of the tracks as a section of their own, where the task makes any and the data have particles.

    The ceiling are those of a network that answers every question of the task as the truth does. Figures by the
    definition of another project are a third section, with a ceiling inside.
    """
    from archioptrx.tasks.tracks.ceiling import ceiling
    from archioptrx.tasks.tracks.figures import named_figures
    from archioptrx.tasks.tracks.metrics import track_metrics
    from archioptrx.tasks.tracks.scores import event_tracks, events_of_task, labels_of_events, labels_of_task

    task, signal, limits, whole = (options[name] for name in ("task", "signal", "limits", "whole"))
    labels, selection = labels_of_task(task, outputs, graphs), replace(signal, **limits)
    if not labels:
        return {}
    events = event_tracks(graphs, labels, whole)
    scores = {
        "tracks": track_metrics(events, selection, bins=True, task=task.name),
        "ceiling": ceiling(task, graphs, selection, whole),
    }
    if (fit := options["fit"]) is not None:
        scores["fit"] = fit(labels_of_events(graphs, labels), options["definition"], signal, limits)
    if (definition := options["definition"]) is None:
        return scores
    perfect = [task.perfect(graph) for graph in graphs]
    within = replace(definition.limits(signal, events), **limits)
    best = named_figures(definition, events_of_task(task, perfect, graphs, whole), within)
    rates = {name: best[name] for name in (*best["counts"], "pt", "eta") if name in best}
    return scores | {"figures": named_figures(definition, events, within) | {"ceiling": rates}}


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
    if isinstance(figures := scores.get("figures"), Mapping) and "counts" in figures:
        lines += ["", *figures_text(figures)]
    if isinstance(fit := scores.get("fit"), Mapping) and "common" in fit:
        from archioptrx.report.comparison.fit_text import fit_text

        lines += ["", *fit_text(fit)]
    return "\n".join(lines)


def figures_text(figures: Mapping[str, Any]) -> list[str]:
    """Lines of figures by the definition of another project: each rate with its counts, and the ceiling beside it."""
    lines = [f"{'as ' + figures['matching']:28} {'this':>10} {'ceiling':>10}"]
    for rate, (part, whole) in figures["counts"].items():
        shown = f"{_amount(part)} of {_amount(whole)}"
        lines.append(f"  {rate:26} {_text(figures[rate], 5):>10} {_text(figures['ceiling'][rate], 5):>10}  {shown}")
    lines.append(figures["limits_text"])
    return [*lines, *_all_bins({key: figures[key] for key in ("pt", "eta") if key in figures}, TRACK_COLUMNS)]


def _amount(count: float) -> str:
    """A number of particles or tracks, or a sum of shares."""
    return f"{count:,.0f}" if count == round(count) else f"{count:,.3f}"


def _numbers(scores: Mapping[str, Any]) -> list[str]:
    single = {name: value for name, value in scores.items() if not isinstance(value, list | Mapping)}
    return [f"  {name:26} {_text(value, 5)}" for name, value in single.items()]


def _beside(scores: Mapping[str, Any], ceiling: Mapping[str, Any]) -> list[str]:
    """Lines of single numbers, with those of a perfect network beside them."""
    single = {name: value for name, value in scores.items() if not isinstance(value, list | Mapping | str)}
    shown = [name for name in single if not name.startswith(OF_OTHERS)]
    return [f"  {name:26} {_text(single[name], 5):>10} {_text(ceiling.get(name), 5):>10}" for name in shown]


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
