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
from archioptrx.commands.track_options import add_cut_options, add_track_options, track_limits
from archioptrx.core.errors import InputError
from archioptrx.data.plot import check_picture
from archioptrx.tasks.metrics import OF_OTHERS
from archioptrx.tasks.options.judging import cut_faults, fraction_faults

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
    add_cut_options(new, "the cut")
    add_track_options(new)
    new.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw efficiency, fakes and duplicates of tracks: .png, .svg or .pdf"
    )
    new.add_argument("--tracks", metavar="YAML", help="tracks: other rules of finding them, '{chi2_max: 5}'")
    new.add_argument(
        "--fit", action="store_true", help="fit the tracks by Acts' Kalman filter: pulls and resolutions (extra acts)"
    )
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Load the model and the events, and print the scores."""
    limits = track_limits(
        args, [*cut_faults(args.cut, args.efficiency), *fraction_faults(args.fraction, args.matching)]
    )
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
    from archioptrx.tasks.tracks.own_quantities import Frame
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
    judging: dict[str, Any] = {
        "signal": signal,
        "limits": limits,
        "definition": definition,
        "frame": Frame.of(metadata),
        "fit": _fit_of(args, model, metadata, graphs) if args.fit else None,
    }
    further = partial(_tracks, task=model.task, whole=whole, **judging)
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
    """Draw the rates in bins, by the chosen definition or the usual metrics, with the ceiling beside them."""
    from archioptrx.report.track_plot import USUAL, plot_rates
    from archioptrx.tasks.tracks.rates import drawn_rates

    tracks = scores.get("tracks")
    shown = tracks if (figures := scores.get("figures")) is None else figures
    if not isinstance(shown, Mapping) or not drawn_rates([shown]):
        lack = f"--plot: {args.model} makes no tracks of these events, or their particles have no pT and η"
        raise InputError(lack if figures is None else f"{lack}, or {figures['matching']} has no bins of them")
    ceiling = scores.get("ceiling", {}) if figures is None else figures["ceiling"]
    title = USUAL if figures is None else f"{figures['matching']}: {figures['limits_text']}"
    name = Path(args.model).name
    plot_rates(args.plot, {f"model {name}" if name == "ceiling" else name: shown, "ceiling": ceiling}, title)
    print(f"drawn to {args.plot}", file=sys.stderr)


def _tracks(outputs: Sequence[Any], graphs: Sequence[HitGraph], **options: Any) -> dict[str, Any]:
    """Scores of the tracks as a section of their own, where the task makes any and the data have particles.

    The ceiling are those of a network that answers every question of the task as the truth does. Figures by the
    definition of another project are a third section, with a ceiling inside.
    """
    from archioptrx.tasks.tracks.ceiling import ceiling
    from archioptrx.tasks.tracks.figures import binned_metrics, named_figures
    from archioptrx.tasks.tracks.metrics import BINS
    from archioptrx.tasks.tracks.rates import OF_TRACKS
    from archioptrx.tasks.tracks.scores import event_tracks, events_of_task, labels_of_events, labels_of_task

    task, signal, limits, whole, frame = (options[name] for name in ("task", "signal", "limits", "whole", "frame"))
    labels, selection = labels_of_task(task, outputs, graphs), replace(signal, **limits)
    if not labels:
        return {}
    events = event_tracks(graphs, labels, whole)
    scores = {
        "tracks": binned_metrics(events, selection, frame, task.name),
        "ceiling": ceiling(task, graphs, selection, whole, frame),
    }
    if (fit := options["fit"]) is not None:
        scores["fit"] = fit(labels_of_events(graphs, labels), options["definition"], signal, limits)
    if (definition := options["definition"]) is None:
        return scores
    perfect = [task.perfect(graph) for graph in graphs]
    within = replace(definition.limits(signal, events), **limits)
    best = named_figures(definition, events_of_task(task, perfect, graphs, whole), within, frame)
    rates = {name: best[name] for name in (*best["counts"], *BINS, OF_TRACKS) if name in best}
    return scores | {"figures": named_figures(definition, events, within, frame) | {"ceiling": rates}}


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
        lines += _all_bins({name: tracks[name] for name in BIN_UNITS if name in tracks}, TRACK_COLUMNS)
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
    return [*lines, *_all_bins({name: figures[name] for name in BIN_UNITS if name in figures}, TRACK_COLUMNS)]


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
