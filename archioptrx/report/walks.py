"""Section on walk and sampler: proposals, candidates passed over, lines of descent, the screen, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from scipy import stats

from archioptrx.report.content import Content
from archioptrx.report.functions import best_quarter, evenly_thinned
from archioptrx.report.page import Cell, Section, View, figure, fragment, table
from archioptrx.runs.effects import best_curve_of, standings
from archioptrx.runs.statistics import Agreement, agreement, failures_of, generations, passed_over
from archioptrx.runs.trial_choices import SIZES, size_of

MEANINGS = {
    "duplicate": "the sampler had proposed it before",
    "seen": "it is one of the reference architectures",
    "constraint": "it breaks a constraint",
    "screen": "another candidate had a better zero-cost value",
}
WALKS = ("walks", "reverse walks", "recurrences", "branches")
"""Numbers of a proposal's walk; its other numbers are walks without effect."""
DOTS, BARS, CAUSES, ERROR = 1000, 40, 30, 300
"""Most trials in the picture of the screen; bars of a distribution; causes of failure; characters of an error."""


def section(content: Content) -> Section | None:
    """Section on walk and sampler; None before the first proposal."""
    if not content.proposals:
        return None
    parts = [_passed_over(content), _shapes(content), _lineage(content), *_screen(content)]
    parts += [_epochs(content), _failures(content)]
    body = Markup("").join(part for part in parts if part)
    return Section(
        "walks", "Walk and sampler", body, "Proposed candidates, candidates that were passed over, and failed trials."
    )


def _passed_over(content: Content) -> Markup:
    proposed = len(content.proposals)
    causes = passed_over(list(content.proposals.values()), content.refused)
    scored = content.folder.screened.read()
    if scored:
        chosen = sum(line.get("screened") is not None for line in content.proposals.values())
        causes["screen"] = max(0, len(scored) - chosen)
    total = proposed - len(content.refused) + causes.total()
    rows: list[list[str | Cell]] = [["proposed", *_count(proposed - len(content.refused), total), "went to training"]]
    rows += [
        [cause, *_count(count, total), MEANINGS.get(cause, f"it breaks the constraint on {cause}")]
        for cause, count in causes.most_common()
    ]
    heads = ["candidates", "count", "share", "why"]
    body = table("walks-candidates", heads, rows, left=(0, 3))
    dropped = _dropped(content)
    return fragment("part.html", title="Candidates", description=dropped, body=body)


def _count(count: int, total: int) -> list[Cell]:
    return [Cell(f"{count:,}", count), Cell(f"{count / max(1, total):.1%}", count)]


def _dropped(content: Content) -> str:
    """Sentence with the walks of all proposals and with those that added no step."""
    total: Counter[str] = Counter()
    for line in content.proposals.values():
        total.update(line.get("walk") or {})
    kept = [f"{total[name]:,} {name}" for name in WALKS if total[name]]
    lost = [f"{count:,} {name}" for name, count in total.most_common() if count and name not in WALKS]
    text = f"In the proposals: {', '.join(kept)}." if kept else ""
    return f"{text} Without effect: {', '.join(lost)}." if lost else text


def _shapes(content: Content) -> Markup:
    best = best_quarter(content)
    numbers = {n: _numbers(line) for n, line in content.proposals.items()}
    names = list(dict.fromkeys(name for sizes in numbers.values() for name in sizes))
    groups = [(f"all {len(numbers):,} proposals", set(numbers), "var(--strong)")]
    groups += [(f"the best {len(best):,} trials", best, "var(--c1)")] if best else []

    def bars(name: str) -> list[dict[str, Any]]:
        edges = _bins([sizes[name] for sizes in numbers.values() if name in sizes])
        traces_data = []
        for _, members, _ in groups:
            values = [numbers[n][name] for n in members if name in numbers[n]]
            counts = [sum(low <= value <= high for value in values) for low, high in edges]
            shown = [str(low) if low == high else f"{low}–{high}" for low, high in edges]
            traces_data.append(
                {"x": shown, "y": [round(100 * c / max(1, len(values)), 2) for c in counts], "text": counts}
            )
        return traces_data

    views = [View("number of", name, bars(name), {"xaxis": {"title": {"text": name}}}) for name in names]
    traces = [
        go.Bar(
            name=label,
            marker={"color": colour},
            textposition="none",
            hovertemplate="%{x}: %{y:.1f} % (%{text})<extra></extra>",
            **bar_data,
        )
        for (label, _, colour), bar_data in zip(groups, views[0].data, strict=True)
    ]
    layout = {
        "barmode": "group",
        "xaxis": {"type": "category", "title": {"text": names[0]}},
        "yaxis": {"title": {"text": "share, %"}, "rangemode": "tozero"},
        "legend": {"traceorder": "normal"},
    }
    chart = figure("walks-shapes", go.Figure(traces, layout), "Distributions of the sizes of the proposals", 360, views)
    return fragment(
        "part.html", title="Shapes", description="Distributions of the sizes of the proposed networks.", body=chart
    )


def _numbers(line: Mapping[str, Any]) -> dict[str, int]:
    size = {SIZES.get(name, name): number for name, number in size_of(line).items()}
    walk = line.get("walk") or {}
    return size | {name: walk[name] for name in WALKS if name in walk}


def _bins(values: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges that cover the whole numbers from the smallest to the largest, of equal width; both ends belong to one."""
    low, high = min(values), max(values)
    width = -(-(high - low + 1) // BARS)
    return [(start, min(start + width - 1, high)) for start in range(low, high + 1, width)]


def _lineage(content: Content) -> Markup | None:
    depth = generations([line for _, line in sorted(content.proposals.items())])
    if not any(depth.values()):
        return None
    scored = {row["proposal"]: row for row in content.rows if row["score"] is not None and row["proposal"] in depth}
    rows = list(scored.values())
    standing = dict(zip(scored, standings([best_curve_of(row) for row in rows]), strict=True)) if len(rows) > 1 else {}
    counts = Counter(depth.values())
    ages = sorted(counts)
    means = [[standing[n] for n, number in depth.items() if number == age and n in standing] for age in ages]
    traces = [
        go.Bar(name="proposals", x=ages, y=[counts[age] for age in ages], marker={"color": "var(--strong)"}),
        go.Scatter(
            name="mean standing of their trials",
            x=ages,
            y=[
                round(100 * sum(standings_of_age) / len(standings_of_age), 1) if standings_of_age else None
                for standings_of_age in means
            ],
            yaxis="y2",
            mode="lines+markers",
            line={"color": "var(--c2)", "width": 2.5},
        ),
    ]
    layout = {
        "xaxis": {"title": {"text": "number of ancestors"}},
        "yaxis": {"title": {"text": "proposals"}},
        "yaxis2": {
            "title": {"text": "mean standing, %"},
            "overlaying": "y",
            "side": "right",
            "range": [0, 100],
            "tickmode": "linear",
            "dtick": 20,
            "showgrid": False,
        },
        "margin": {"r": 64},
    }
    chart = figure("walks-lineage", go.Figure(traces, layout), "Proposals and standing by number of ancestors", 320)
    fresh, oldest = counts[0], max(ages)
    description = f"{fresh:,} proposals have no parent; the longest line of descent has {oldest} ancestors."
    return fragment("part.html", title="Descent", description=description, body=chart)


def _screen(content: Content) -> list[Markup]:
    lines = {n: line["screened"] for n, line in content.proposals.items() if line.get("screened")}
    rows = [row for row in content.rows if row["score"] is not None and row["proposal"] in lines]
    if len(rows) < 2:
        return []
    standing = dict(zip([row["proposal"] for row in rows], standings([best_curve_of(r) for r in rows]), strict=True))
    pairs_by_proxy = {
        proxy: [(lines[n][proxy], float(value)) for n, value in standing.items() if lines[n].get(proxy) is not None]
        for proxy in lines[rows[0]["proposal"]]
    }
    return [_proxy(proxy, pairs) for proxy, pairs in pairs_by_proxy.items() if pairs]


def _proxy(proxy: str, pairs: Sequence[tuple[float, float]]) -> Markup:
    agreed = agreement([value for value, _ in pairs], [other for _, other in pairs])
    ranks = stats.rankdata([value for value, _ in pairs]).tolist()
    shown = evenly_thinned([(rank, *pair) for rank, pair in zip(ranks, pairs, strict=True)], DOTS)
    values = [float(f"{value:.6g}") for _, value, _ in shown]
    trace = go.Scatter(
        text=values,
        y=[round(100 * other, 1) for _, _, other in shown],
        mode="markers",
        marker={"color": "var(--c1)", "size": 7, "opacity": 0.7},
        hovertemplate=f"{proxy} %{{text}}<br>standing %{{y}} %<extra></extra>",
    )
    layout = {"yaxis": {"title": {"text": "standing, %"}, "range": [-3, 103]}}
    views = [
        View("scale", name, [{"x": x}], {"xaxis": {"title": {"text": title}}})
        for name, x, title in (
            ("ranks", [rank for rank, _, _ in shown], f"rank by {proxy}"),
            ("values", values, proxy),
        )
    ]
    chart = figure(f"walks-screen-{proxy}", go.Figure([trace], layout), f"{proxy} against standing", 340, views)
    return fragment("part.html", title=f"The screen: {proxy}", description=agreement_text(agreed), body=chart)


def agreement_text(correlation: Agreement | None) -> str:
    """Sentence on how well the screen predicted the standing after training.

    >>> agreement_text(Agreement(0.5, 0.2, 0.7, 40))
    'Rank correlation with the standing after training 0.50 (0.20 to 0.70) in 40 trials, which the screen had chosen.'
    """
    if correlation is None:
        return "Too few trials to judge whether it predicts the standing after training."
    interval = f"{correlation.low:.2f} to {correlation.high:.2f}"
    return (
        f"Rank correlation with the standing after training {correlation.rho:.2f} ({interval}) in "
        f"{correlation.trials} trials, which the screen had chosen."
    )


def _epochs(content: Content) -> Markup | None:
    if not any(row["status"] == "pruned" for row in content.rows):
        return None
    epochs = sorted({row["epochs"] for row in content.rows})
    counts = Counter((row["status"], row["epochs"]) for row in content.rows)
    traces = [
        go.Bar(
            name=status,
            x=[str(epoch) for epoch in epochs],
            y=[counts[status, epoch] for epoch in epochs],
            marker={"color": f"var(--{status})"},
            hovertemplate=f"%{{y}} {status} after epoch %{{x}}<extra></extra>",
        )
        for status in ("finished", "pruned", "failed")
        if any(row["status"] == status for row in content.rows)
    ]
    layout = {
        "barmode": "stack",
        "xaxis": {"type": "category", "title": {"text": "epochs"}},
        "yaxis": {"title": {"text": "trials"}},
    }
    chart = figure("walks-epochs", go.Figure(traces, layout), "Trials by the epoch after which they ended", 300)
    description = "Number of trials by the epoch after which they ended."
    return fragment("part.html", title="Pruning", description=description, body=chart)


def _failures(content: Content) -> Markup | None:
    failures = failures_of(content.rows)
    if not failures:
        return None
    rows: list[list[str | Cell]] = []
    for failure in failures[:CAUSES]:
        log = f"logs/{failure.trials[0]}.log"
        error = failure.example if len(failure.example) <= ERROR else f"{failure.example[:ERROR]} …"
        rows.append(
            [
                error,
                Cell(str(len(failure.trials)), len(failure.trials)),
                failure.trials[0],
                log if (content.folder.path / log).is_file() else "–",
            ]
        )
    failed = sum(len(failure.trials) for failure in failures)
    body = table("walks-failures", ["first error", "trials", "first trial", "log"], rows, left=(0, 2, 3))
    description = (
        f"{failed:,} of {len(content.rows):,} trials failed. Errors that differ only in numbers are one cause."
    )
    return fragment("part.html", title="Failures", description=description, body=body)
