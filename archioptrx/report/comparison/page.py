"""A comparison as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archioptrx.core.version import __version__
from archioptrx.report.comparison import figures
from archioptrx.report.comparison.result import Comparison, Number, names_of
from archioptrx.report.comparison.text import (
    COSTS,
    change_text,
    difference_text,
    head,
    interval_text,
    legend,
    metric_text,
    ratio_text,
    shown_pairs,
    value_text,
)
from archioptrx.report.page import Cell, Section, figure, fragment, page, table, write_page

if TYPE_CHECKING:
    from markupsafe import Markup


def write_comparison(found: Comparison, path: Path) -> None:
    """Write the page. Raises InputError where that can't be done."""
    title = " · ".join(one.name for one in found.entries)
    made = (numbers(found), metrics(found), edges(found), curves(found), cost(found), event(found))
    text = page(
        title,
        head(found),
        facts(found),
        [section for section in made if section is not None],
        banner="; ".join(found.notes),
        footer=f"Written by archioptrx compare, version {__version__}.",
    )
    write_page(path, text)


def facts(found: Comparison) -> dict[str, str]:
    """Short figures for the head of the page."""
    told = {
        "models": f"{len(found.entries)}",
        "task": found.first.task.replace("_", " "),
        "events": f"{found.events:,}",
    }
    told |= {found.what: f"{found.rows:,}"} if found.rows is not None else {}
    return told | ({"intervals": f"95 %, {found.units} {found.unit}"} if found.resamples else {})


def numbers(found: Comparison) -> Section:
    """The table of all numbers."""
    others = found.entries[1:]
    heads = ["metric", *(one.name for one in found.entries)]
    heads += [f"{one.name} − {found.first.name}" for one in others]
    rows: list[list[str | Cell]] = []
    for name in names_of(found.entries):
        values = [_cell(one.metrics.get(name)) for one in found.entries]
        rows.append([metric_text(name), *values, *(_cell(one.differences.get(name), "+") for one in others)])
    for name, get, show in COSTS:
        if any(get(one) is not None for one in found.entries):
            known = [get(one) for one in found.entries]
            costs = [Cell("–" if value is None else show(value), value) for value in known]
            rows.append([name, *costs, *(ratio_text(name, get(one), get(found.first)) for one in others)])
    return Section(
        "numbers",
        "Numbers",
        table("numbers-table", heads, rows, left=[0]),
        " ".join(f"{one}." for one in legend(found)),
    )


def _cell(number: Number | None, sign: str = "") -> Cell:
    one = number or Number(None)
    shown = difference_text(one).strip() if sign else value_text(one.value)
    return Cell(fragment("interval.html", value=shown, interval=interval_text(one, sign=sign)), one.value)


def metrics(found: Comparison) -> Section:
    """Forest plots of the values and of the differences."""
    names = [name for name in names_of(found.entries) if any(_known(one.metrics.get(name)) for one in found.entries)]
    chart, views = figures.intervals(found, names)
    label = f"{metric_text(names[0])} and other metrics of {len(found.entries)} models with their 95 % intervals"
    charts = [figure("intervals", chart, label, 130 + 45 * len(found.entries), views)]
    others = len(found.entries) - 1
    height = 120 + (18 + 14 * others) * len(names)
    label = f"differences of all metrics from {found.first.name}, with their 95 % intervals"
    charts.append(figure("differences", figures.differences(found, names), label, height))
    about = (
        "Bars are 95 % intervals. Above, each model by itself. Below, the differences in the same resamples: a bar "
        "that leaves out 0 speaks for a difference on other events too, whether or not the bars above overlap. One in "
        "twenty does so by chance; nothing is corrected for the number of metrics."
    )
    return Section("metrics", "Metrics", _joined(charts), about)


def _known(number: Number | None) -> bool:
    return number is not None and number.value is not None


def edges(found: Comparison) -> Section | None:
    """The rows that change sides."""
    pairs = shown_pairs(found)
    if not pairs:
        return None
    chart = figure(
        "changes-figure",
        figures.changes(pairs, found.what),
        "; ".join(change_text(p, found.what) for p in pairs),
        130 + 60 * len(pairs),
    )
    body = fragment("changes.html", chart=chart, lines=[change_text(pair, found.what) for pair in pairs])
    cuts = sorted({one.cut for one in found.entries})
    at = (
        f"at a probability of {cuts[0]:g}"
        if len(cuts) == 1
        else "each at its own cut (" + ", ".join(f"{one.name} {one.cut:.4g}" for one in found.entries) + ")"
    )
    return Section(
        "changes",
        f"{found.what.capitalize()} that change sides",
        body,
        f"What one decides rightly and the other wrongly, {at}.",
    )


def curves(found: Comparison) -> Section | None:
    """ROC and purity over efficiency."""
    known = {name: one for name, one in found.curves.items() if len(one.purity)}
    if not known:
        return None
    places = {one.name: place for place, one in enumerate(found.entries)}
    names = ", ".join(known)
    charts = [
        figure("roc-figure", figures.roc(known, places), f"ROC curves of {names}", 420),
        figure("purity-figure", figures.purity(known, places), f"purity over efficiency of {names}", 420),
    ]
    body = fragment("columns.html", parts=charts)
    return Section("curves", "Curves", body, "At all cuts; the diamonds are the cuts of this comparison.")


def cost(found: Comparison) -> Section:
    """What a score costs."""
    name = next(name for name in names_of(found.entries) if all(_known(one.metrics.get(name)) for one in found.entries))
    chart, views = figures.score_over_cost(found, name)
    body = figure("cost-figure", chart, f"{metric_text(name)} of the models over what they cost", 420, views)
    return Section("cost", "Score and cost", body, f"The {metric_text(name)} with its interval.")


def event(found: Comparison) -> Section | None:
    """One event with the edges that change sides."""
    shown = found.display
    if shown is None:
        return None
    label = f"{shown.event} in x and y with the edges that {shown.second} fixes and worsens beside {shown.first}"
    about = f"{shown.event}, the graph in which most edges change sides between {shown.first} and {shown.second}."
    return Section("event", "One event", figure("event-figure", figures.event(shown), label, 620), about)


def _joined(parts: Sequence[Markup]) -> Markup:
    return fragment("stacked.html", parts=parts)
