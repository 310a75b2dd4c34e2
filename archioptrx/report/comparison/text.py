"""Comparison as text for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.table import Table

from archioptrx.report.comparison.decisions import Pair
from archioptrx.report.comparison.result import ComparedModel, Comparison, Number, names_of
from archioptrx.runs.text import WIDTH, duration_text, plain_text
from archioptrx.tasks.tracks.rates import EFFICIENCY, TITLES, bin_rows, range_text

GAP = 2
COSTS: tuple[tuple[str, Callable[[ComparedModel], float | None], Callable[[float], str]], ...] = (
    ("parameters", lambda entry: entry.parameters, lambda value: f"{value:,.0f}"),
    ("latency", lambda entry: entry.latency, lambda value: f"{value:.3g} ms"),
    ("memory", lambda entry: entry.memory, lambda value: bytes_text(value)),
    ("epochs", lambda entry: entry.epochs, lambda value: f"{value:.0f}"),
    ("training", lambda entry: entry.train_seconds, lambda value: duration_text(value)),
)
SHOWN = ("pt", "eta")
"""Quantities in whose bins the terminal shows efficiencies; the page and the JSON have more."""
STAGES = "seconds per event"
"""Heading of the table of the seconds of each stage."""
SECONDS_LINE = (
    "seconds per event: from measurements to tracks (networks: graph building, forward pass, track finding) on one "
    "thread of this processor, without waiting"
)
RATIOS = ("parameters", "latency", "memory")


def comparison_text(comparison: Comparison, width: int = WIDTH) -> str:
    """Table of the comparison, the rows that changed sides, and notes."""
    lines = [comparison_head(comparison), ""]
    lines += [two_models_text(comparison)] if len(comparison.entries) == 2 else several_models_text(comparison, width)
    lines += ["", *legend(comparison)]
    if any(entry.seconds for entry in comparison.entries):
        lines += ["", *stage_lines(comparison, width)]
    if comparison.judging:
        lines += ["", *bin_lines(comparison, width)]
    if comparison.pairs:
        lines += ["", *change_lines(comparison)]
    lines += [f"note: {note}" for note in comparison.notes]
    return "\n".join(lines)


def comparison_head(comparison: Comparison) -> str:
    """Line with the origin and size of the test data."""
    counted = [f"{comparison.events:,} {'event' if comparison.events == 1 else 'events'}"]
    counted += [f"{comparison.graphs:,} graphs"] if comparison.graphs != comparison.events else []
    counted += [f"{comparison.rows:,} {comparison.what}"] if comparison.rows is not None else []
    return f"{comparison.origin}: {', '.join(counted)}"


def metric_text(name: str) -> str:
    """Name of a metric, short enough for a table.

    >>> metric_text("purity_at_efficiency_0.98"), metric_text("score.auc")
    ('purity at eff. 0.98', 'score.auc')
    """
    return name.replace("_at_efficiency_", "_at_eff._").replace("_", " ")


def value_text(value: float | None, digits: int = 5) -> str:
    """Value of a metric; large ones with fewer digits."""
    return "–" if value is None else f"{value:.{digits}f}" if abs(value) < 100 else f"{value:.{digits - 3}f}"


def interval_text(number: Number, units: int, digits: int = 5, sign: str = "") -> str:
    """Text of both ends of an interval; empty where there is none.

    Parameters
    ----------
    units
        Number of units that the head of the table names. An interval of fewer has its own number.
    """
    if number.low is None or number.high is None:
        return ""
    own = f" of {number.units}" if number.units not in (None, units) else ""
    return f"{number.low:{sign}.{digits}f}…{number.high:{sign}.{digits}f}{own}"


def difference_text(number: Number, digits: int = 5) -> str:
    """Difference with its sign, and a star where it holds for all differences together."""
    return "–" if number.value is None else f"{number.value:+.{digits}f}{' *' if number.firm else '  '}"


def interval_head(comparison: Comparison) -> str:
    """Level of the intervals with the number of events, graphs or parts of graphs that they come from.

    Empty: there are no intervals.
    """
    return f"95 %, {comparison.units} {comparison.unit.partition(' of ')[0]}" if comparison.resamples else ""


def _table(heads: Sequence[str], corner: str = "") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    table.add_column(corner, no_wrap=True)
    for head in heads:
        # Names of models may be broken; numbers, and what stands above them, not.
        whole = head.startswith(("95 %", "difference"))
        table.add_column(head, justify="right", overflow="fold", no_wrap=whole)
    return table


def two_models_text(comparison: Comparison) -> str:
    """Table of two models and their difference, a line for each metric."""
    first, second = comparison.entries
    interval = interval_head(comparison)
    table = _table([first.title, interval, second.title, interval, "difference  ", interval])
    for name in names_of(comparison.entries):
        first_number, second_number = (entry.metrics.get(name, Number(None)) for entry in (first, second))
        change = second.differences.get(name, Number(None))
        cells = [
            text
            for number in (first_number, second_number)
            for text in (value_text(number.value), interval_text(number, comparison.units))
        ]
        reach = interval_text(change, comparison.units, sign="+")
        table.add_row(metric_text(name), *cells, difference_text(change), reach)
    for name, get, show in COSTS:
        values = [get(entry) for entry in comparison.entries]
        if any(value is not None for value in values):
            cells = [text for value in values for text in ("–" if value is None else show(value), "")]
            table.add_row(name, *cells, ratio_text(name, values[1], values[0]) + "  ", "")
    return plain_text(table)


def stage_names(entries: Sequence[ComparedModel]) -> list[str]:
    """Stages of all entries whose time is measured, in the order of their first occurrence."""
    return list(dict.fromkeys(stage for entry in entries for stage in entry.seconds))


def stage_text(seconds: float | None) -> str:
    """Seconds of a stage; empty: the entry has no such stage."""
    return "" if seconds is None else f"{seconds:.4f}"


def stage_lines(comparison: Comparison, width: int) -> list[str]:
    """Tables of the seconds of each stage for an event."""
    lines = []
    for block in _blocks(comparison, width, max(map(len, (*stage_names(comparison.entries), STAGES))), 10):
        table = _table([entry.title for entry in block], STAGES)
        for stage in stage_names(block):
            table.add_row(stage, *(stage_text(entry.seconds.get(stage)) for entry in block))
        table.add_row("together", *(stage_text(entry.total_seconds) for entry in block))
        lines += [plain_text(table), ""]
    return lines[:-1]


def bin_lines(comparison: Comparison, width: int) -> list[str]:
    """Tables of the efficiencies of tracks in bins, below a line on how they are counted."""
    lines = [f"tracks as {comparison.judging}", "efficiency in bins, with 95 % intervals of Clopper and Pearson"]
    for quantity in SHOWN:
        for block in _blocks(comparison, width, 10, 17):
            tables = [{range_text(row): row for row in EFFICIENCY.rows(entry.bins, quantity)} for entry in block]
            names = [range_text(row) for row in bin_rows([list(table.values()) for table in tables])]
            shown = _table([entry.title for entry in block], TITLES[quantity])
            for name in names:
                shown.add_row(name, *(EFFICIENCY.text(table.get(name)) for table in tables))
            lines += ["", plain_text(shown)] if names else []
    return lines


def _blocks(comparison: Comparison, width: int, label: int, cell: int) -> list[Sequence[ComparedModel]]:
    """The entries, as many together as tables of a width have room for."""
    fit = max(1, (width - label - GAP) // (cell + GAP))
    return [comparison.entries[k : k + fit] for k in range(0, len(comparison.entries), fit)]


def ratio_text(name: str, value: float | None, first: float | None) -> str:
    """Multiple of the first model's cost; empty for costs that are no ratio."""
    return f"× {value / first:.2f}" if name in RATIOS and value is not None and first else ""


def several_models_text(comparison: Comparison, width: int) -> list[str]:
    """Tables of three or more models: value, interval and difference from the first below each other."""
    digits = 5 if len(comparison.entries) < 5 else 4
    names = names_of(comparison.entries)
    label = max(len(text) for text in (*map(metric_text, names), interval_head(comparison)))
    blocks = _blocks(comparison, width, label, 2 * digits + 5)
    return [text for block in blocks for text in (_block(comparison, block, names, digits), "")][:-1]


def _block(comparison: Comparison, entries: Sequence[ComparedModel], names: Sequence[str], digits: int) -> str:
    table = _table([entry.title for entry in entries], interval_head(comparison))
    for name in names:
        table.add_row(metric_text(name), *(_cell(comparison, entry, name, digits) for entry in entries))
    for name, get, show in COSTS:
        if any(get(entry) is not None for entry in comparison.entries):
            ratios = [ratio_text(name, get(entry), get(comparison.first)) for entry in entries]
            cells = ["–" if (value := get(entry)) is None else show(value) for entry in entries]
            shown = [
                f"{cell}\n{ratio}" if ratio and entry is not comparison.first else cell
                for entry, cell, ratio in zip(entries, cells, ratios, strict=True)
            ]
            table.add_row(name, *shown)
    return plain_text(table)


def _cell(comparison: Comparison, entry: ComparedModel, name: str, digits: int) -> str:
    number = entry.metrics.get(name, Number(None))
    lines = [value_text(number.value, digits), interval_text(number, comparison.units, digits)]
    if entry is not comparison.first and name in entry.differences:
        lines.append(difference_text(entry.differences[name], digits).strip())
    return "\n".join(line for line in lines if line)


def legend(comparison: Comparison) -> list[str]:
    """Lines on how the intervals and costs were determined."""
    costs = (
        f"latency: forward pass on the largest graph ({comparison.device}), fastest of several, models in turn; "
        "memory: peak size of its tensors"
    )
    if not comparison.resamples:
        return [costs]
    return [
        f"95 %: bootstrap (the same {comparison.resamples:,} resamples for all models) and Student's t of "
        f"{comparison.units} {comparison.unit}",
        comparison.meaning,
        *([SECONDS_LINE] if any("seconds_per_event" in entry.metrics for entry in comparison.entries) else []),
        *([comparison.caution] if comparison.caution else []),
        costs,
    ]


def change_lines(comparison: Comparison) -> list[str]:
    """Sentences on the rows that changed sides between each two models, and how many of their p values hold."""
    pairs = shown_pairs(comparison)
    lines = [change_text(pair, comparison.what) for pair in pairs]
    if len(pairs) > 1:
        firm = sum(pair.firm for pair in pairs)
        lines.append(f"McNemar p with *: holds for all {len(pairs)} pairs together (Holm's correction): {firm}")
    return lines


def shown_pairs(comparison: Comparison) -> list[Pair]:
    """Each two models once, the earlier one first."""
    order = [entry.name for entry in comparison.entries]
    return [pair for pair in comparison.pairs if order.index(pair.first) < order.index(pair.second)]


def change_text(pair: Pair, rows_name: str) -> str:
    """Sentence such as "b fixes 389 of the 500 edges that a has wrong and worsens 10: net ...", with its p value."""
    wrong = pair.fixes + pair.both_wrong
    return (
        f"{pair.second} fixes {pair.fixes:,} of the {wrong:,} {rows_name} that {pair.first} has wrong and worsens "
        f"{pair.worsens:,}: net {pair.net:+,} of {pair.rows:,} (McNemar p {p_text(pair.p)}{'*' * pair.firm})"
    )


def p_text(p: float) -> str:
    """A p value.

    >>> p_text(0.25), p_text(3e-8), p_text(0.0)
    ('= 0.25', '= 3e-08', '< 1e-300')
    """
    return f"= {p:.2g}" if p >= 1e-300 else "< 1e-300"


def bytes_text(size: float) -> str:
    """Size in KiB, MiB or GiB.

    >>> bytes_text(2048), bytes_text(5.5 * 2**20)
    ('2 KiB', '5.5 MiB')
    """
    return (
        f"{size / 1024:.3g} KiB"
        if size < 2**20
        else f"{size / 2**20:.3g} MiB"
        if size < 2**30
        else f"{size / 2**30:.3g} GiB"
    )
