"""Comparison as a self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from archioptrx.core.version import __version__
from archioptrx.report.comparison import figures
from archioptrx.report.comparison.result import Comparison, Number, names_of
from archioptrx.report.comparison.text import (
    COSTS,
    SECONDS_LINE,
    change_lines,
    change_text,
    comparison_head,
    difference_text,
    interval_head,
    interval_text,
    legend,
    metric_text,
    ratio_text,
    shown_pairs,
    stage_names,
    stage_text,
    value_text,
)
from archioptrx.report.page import Cell, Section, figure, fragment, page, table, write_page
from archioptrx.report.rate_figures import rate_chart
from archioptrx.tasks.classification_metrics import cut_text
from archioptrx.tasks.tracks.rates import ENOUGH, TITLES, Bins, Rate, bin_rows, drawn_rates, range_text


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page of a comparison. Raises InputError where the file can't be written."""
    title = " · ".join(entry.name for entry in comparison.entries)
    sections = (
        numbers_section(comparison),
        tracks_section(comparison),
        metrics_section(comparison),
        changes_section(comparison),
        curves_section(comparison),
        stages_section(comparison),
        cost_section(comparison),
        event_section(comparison),
    )
    text = page(
        title,
        comparison_head(comparison),
        comparison_facts(comparison),
        [section for section in sections if section is not None],
        banner="; ".join(comparison.notes),
        footer=f"Written by archioptrx compare, version {__version__}.",
    )
    write_page(path, text)


def comparison_facts(comparison: Comparison) -> dict[str, str]:
    """Key figures for the head of the page, by name."""
    facts = {
        "models": f"{len(comparison.entries)}",
        "task": comparison.first.task.replace("_", " "),
        "events": f"{comparison.events:,}",
    }
    facts |= {comparison.what: f"{comparison.rows:,}"} if comparison.rows is not None else {}
    return facts | ({"intervals": interval_head(comparison)} if comparison.resamples else {})


def numbers_section(comparison: Comparison) -> Section:
    """Section with the table of all metrics and costs."""
    others = comparison.entries[1:]
    heads = [f"metric ({interval_head(comparison)})" if comparison.resamples else "metric"]
    heads += [entry.title for entry in comparison.entries]
    heads += [f"{entry.name} − {comparison.first.name}" for entry in others]
    rows: list[list[str | Cell]] = []
    for name in names_of(comparison.entries):
        values = [_cell(entry.metrics.get(name), comparison.units) for entry in comparison.entries]
        differences = [_cell(entry.differences.get(name), comparison.units, "+") for entry in others]
        rows.append([metric_text(name), *values, *differences])
    for name, get, show in COSTS:
        if any(get(entry) is not None for entry in comparison.entries):
            amounts = [get(entry) for entry in comparison.entries]
            costs = [Cell("–" if amount is None else show(amount), amount) for amount in amounts]
            rows.append([name, *costs, *(ratio_text(name, get(entry), get(comparison.first)) for entry in others)])
    return Section(
        "numbers",
        "Numbers",
        table("numbers-table", heads, rows, left=[0]),
        " ".join(f"{sentence}." for sentence in legend(comparison)),
    )


def _cell(number: Number | None, units: int, sign: str = "") -> Cell:
    shown_number = number or Number(None)
    shown = difference_text(shown_number).strip() if sign else value_text(shown_number.value)
    interval = interval_text(shown_number, units, sign=sign)
    return Cell(fragment("interval.html", value=shown, interval=interval), shown_number.value)


def tracks_section(comparison: Comparison) -> Section | None:
    """Section with efficiency, fakes and duplicates of tracks in bins; None where no definition of tracks is chosen."""
    curves = {entry.title: entry.bins for entry in comparison.entries if entry.bins}
    parts = []
    for rate, quantities in drawn_rates(curves.values()):
        charts = []
        for quantity in quantities:
            chart, _ = rate_chart(curves, rate, [quantity])
            label = f"{rate.title} of {', '.join(curves)} against {rate.title_of(quantity)}"
            charts.append(figure(f"{rate.name.replace('_', '-')}-{quantity}", chart, label, 320))
        body = fragment("columns.html", parts=charts)
        parts.append(fragment("part.html", title=rate.title.capitalize(), description="", body=body))
    parts += [_bin_table(curves, quantity) for quantity in TITLES]
    description = (
        f"Counted as {comparison.judging}. Bars are 95 % intervals of Clopper and Pearson. Efficiencies are shares of "
        "particles, by their true quantities; fakes and duplicates are shares of tracks, by the quantities of a helix "
        f"fit to the track. The range of a rate fits bins that hold {100 * ENOUGH:g} % of them or more."
    )
    return Section("tracks", "Tracks in bins", _joined(parts), description) if any(parts) else None


def _bin_table(curves: Mapping[str, Bins], quantity: str) -> Markup:
    """All rates in bins of a quantity as a table that is folded; empty where nothing is known."""
    rates = [rate for rate, quantities in drawn_rates(curves.values()) if quantity in quantities]
    tables = {
        (label, rate): {range_text(row): row for row in rate.rows(bins, quantity)}
        for rate in rates
        for label, bins in curves.items()
    }
    names = [range_text(row) for row in bin_rows([list(rows.values()) for rows in tables.values()])]
    heads = [TITLES[quantity], *(f"{rate.title}, {label}" for label, rate in tables)]
    rows: list[list[str | Cell]] = [
        [
            Cell(name, float(place)),
            *(_rate_cell(of_curve.get(name), rate) for (_, rate), of_curve in tables.items()),
        ]
        for place, name in enumerate(names)
    ]
    body = table(f"{quantity}-table", heads, rows, left=[0])
    return (
        fragment("folded.html", title=f"Numbers by {TITLES[quantity]}", description="", body=body) if rows else Markup()
    )


def _rate_cell(row: Mapping[str, Any] | None, rate: Rate) -> Cell:
    if row is None or row[rate.name] is None:
        return Cell("–", None)
    interval = f"{row[rate.low]:.3f}…{row[rate.high]:.3f} of {row[rate.count]:,}"
    return Cell(fragment("interval.html", value=f"{row[rate.name]:.3f}", interval=interval), row[rate.name])


def stages_section(comparison: Comparison) -> Section | None:
    """Section with the seconds of each stage for an event; None where they aren't measured."""
    entries = [entry for entry in comparison.entries if entry.seconds]
    if not entries:
        return None
    rows: list[list[str | Cell]] = [
        [stage, *(Cell(stage_text(seconds), seconds) for seconds in (entry.seconds.get(stage) for entry in entries))]
        for stage in stage_names(entries)
    ]
    rows.append(["together", *(Cell(stage_text(entry.total_seconds), entry.total_seconds) for entry in entries)])
    body = table("stages-table", ["stage", *(entry.title for entry in entries)], rows, left=[0])
    chart = figures.stage_figure(entries, stage_names(entries))
    drawn = figure("stages-figure", chart, "seconds of each stage for an event", 130 + 45 * len(entries))
    return Section(
        "stages", "Seconds per event", _joined([drawn, body]), f"{SECONDS_LINE.partition(': ')[2].capitalize()}."
    )


def metrics_section(comparison: Comparison) -> Section:
    """Section with forest plots of the values and of the differences."""
    names = [
        name
        for name in names_of(comparison.entries)
        if any(_known(entry.metrics.get(name)) for entry in comparison.entries)
    ]
    chart, views = figures.interval_figure(comparison, names)
    label = f"{metric_text(names[0])} and other metrics of {len(comparison.entries)} models with their 95 % intervals"
    charts = [figure("intervals", chart, label, 130 + 45 * len(comparison.entries), views)]
    others = len(comparison.entries) - 1
    height = 120 + (18 + 14 * others) * len(names)
    label = f"differences of all metrics from {comparison.first.name}, with their 95 % intervals"
    charts.append(figure("differences", figures.difference_figure(comparison, names), label, height))
    basis = interval_head(comparison) or "none: too few events"
    description = (
        f"Bars are intervals ({basis}; bootstrap and Student's t). Above: each model by itself. Below: paired "
        "differences in the same resamples; they may exclude 0 even if the bars above overlap. "
        f"By chance one in twenty does so. {comparison.caution}"
    ).strip()
    return Section("metrics", "Metrics", _joined(charts), description)


def _known(number: Number | None) -> bool:
    return number is not None and number.value is not None


def changes_section(comparison: Comparison) -> Section | None:
    """Section with the rows that change sides; None where no two models decide the same rows."""
    pairs = shown_pairs(comparison)
    if not pairs:
        return None
    chart = figure(
        "changes-figure",
        figures.change_figure(pairs, comparison.what),
        "; ".join(change_text(p, comparison.what) for p in pairs),
        130 + 60 * len(pairs),
    )
    body = fragment("changes.html", chart=chart, lines=change_lines(comparison))
    of_entries = {entry.name: entry.cut for entry in comparison.entries if entry.cut is not None}
    cuts = sorted(set(of_entries.values()))
    own = ", ".join(f"{name} {cut_text(cut)}" for name, cut in of_entries.items())
    at = f"at a probability of {cut_text(cuts[0])}" if len(cuts) == 1 else f"each at its own cut ({own})"
    return Section(
        "changes",
        f"{comparison.what.capitalize()} that change sides",
        body,
        f"Rows that are right for one model and wrong for the other, {at}.",
    )


def curves_section(comparison: Comparison) -> Section | None:
    """Section with ROC curves and purity over efficiency; None without binary target."""
    curves = {name: curve for name, curve in comparison.curves.items() if len(curve.purity)}
    if not curves:
        return None
    places = {entry.name: place for place, entry in enumerate(comparison.entries)}
    names = ", ".join(curves)
    charts = [
        figure("roc-figure", figures.roc_comparison(curves, places), f"ROC curves of {names}", 420),
        figure("purity-figure", figures.purity_comparison(curves, places), f"purity over efficiency of {names}", 420),
    ]
    body = fragment("columns.html", parts=charts)
    return Section("curves", "Curves", body, "Curves over all cuts; the diamonds mark the cuts of this comparison.")


def cost_section(comparison: Comparison) -> Section:
    """Section with a metric over cost."""
    name = next(
        name
        for name in names_of(comparison.entries)
        if all(_known(entry.metrics.get(name)) for entry in comparison.entries)
    )
    chart, views = figures.score_over_cost(comparison, name)
    body = figure("cost-figure", chart, f"{metric_text(name)} of the models over what they cost", 420, views)
    return Section(
        "cost",
        "Score and cost",
        body,
        f"The {metric_text(name)} with its interval ({interval_head(comparison) or 'none'}).",
    )


def event_section(comparison: Comparison) -> Section | None:
    """Section with one event and the edges that change sides."""
    shown = comparison.display
    if shown is None:
        return None
    label = f"{shown.event} in x and y with the edges that {shown.second} fixes and worsens beside {shown.first}"
    description = f"{shown.event}, the graph in which most edges change sides between {shown.first} and {shown.second}."
    return Section(
        "event", "One event", figure("event-figure", figures.changed_edges_figure(shown), label, 620), description
    )


def _joined(parts: Sequence[Markup]) -> Markup:
    return fragment("stacked.html", parts=parts)
